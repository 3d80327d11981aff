"""``atxfer link``: one line that leads anybody to a file."""

from __future__ import annotations

from typing import Optional

import click

from atxfer._cli.options import NEVER, duration, subcommand
from atxfer._cli.settings import Settings


@subcommand("link")
@click.argument("file_id", metavar="ID")
@click.option("--ttl", type=duration, help="How long it leads there: 3600, 2h, 1d.")
def command(settings: Settings, file_id: str, ttl: Optional[float]) -> None:
    """Print a link to a file, for somebody who has no atSign.

    Who holds the link can read the file, by `atxfer download LINK`: it carries the key, so send it
    by a way that you trust. It ends with the file, or by --ttl, or by `atxfer unlink`.
    """
    with settings.client() as client:
        link = client.link(file_id, ttl=None if ttl == NEVER else ttl)
    settings.output.result({"file_id": file_id, "link": link}, link, link)
