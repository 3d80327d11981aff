"""``atxfer unshare``: share a file no longer."""

from __future__ import annotations

import click

from atxfer._cli.options import subcommand
from atxfer._cli.settings import Settings


@subcommand("unshare")
@click.argument("file_id", metavar="ID")
@click.argument("atsigns", nargs=-1, metavar="[ATSIGN...]")
def command(settings: Settings, file_id: str, atsigns: tuple[str, ...]) -> None:
    """Share a file no longer, with some or with anybody.

    Without an ATSIGN it is shared with nobody. Who has downloaded it has it; who has opened its
    manifest may have kept the file's key.
    """
    with settings.client() as client:
        client.unshare(file_id, *atsigns)
        shared_with = client.shared_with(file_id)
    left = f"is shared with {', '.join(shared_with)}" if shared_with else "is shared with nobody"
    settings.output.result(
        {"file_id": file_id, "shared_with": shared_with}, f"{file_id}  {left}", file_id
    )
