"""``atxfer extend``: let files live longer, or shorter."""

from __future__ import annotations

import click

from atxfer._cli.options import NEVER, duration, subcommand
from atxfer._cli.settings import Settings
from atxfer._cli.words import moment_text


@subcommand("extend")
@click.argument("file_ids", nargs=-1, required=True, metavar="ID...")
@click.option("--ttl", type=duration, required=True, help="From now on: 3600, 2h, 2d.")
def command(settings: Settings, file_ids: tuple[str, ...], ttl: float) -> None:
    """Set the time to live of files of an atSign, from now on.

    Where a --store holds the bulk, the addresses by which others read it are renewed as well.
    """
    if ttl == NEVER:
        raise click.UsageError("a file's end can be moved, but not taken away")
    with settings.client() as client:

        def extend(file_id: str) -> None:
            file = client.extend(file_id, ttl)
            settings.output.result(
                file.as_dict(),
                f"{file_id}  {file.name}: expires {moment_text(file.expires_at)}",
            )

        settings.each(file_ids, extend)
