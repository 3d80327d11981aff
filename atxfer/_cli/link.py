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
    """Print a link to a file, for people without keys.

    Who holds the link can read the file, by `atxfer download LINK`, so send it by a way that you
    trust. That of an atSign's file carries the key. It ends with the file, or by --ttl, or by
    `atxfer unlink`.

    Of a file in a store, whose ID is its address, it is a URL. In S3 a presigned one, good for 7
    days or for --ttl; at a tus server that of the file, without an end. `atxfer unlink` can't take
    it back.
    """
    with settings.client() as client:
        link = client.link(file_id, ttl=None if ttl == NEVER else ttl)
    settings.output.result({"file_id": file_id, "link": link}, link, link)
