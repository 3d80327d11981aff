"""``atxfer share``: let other atSigns read a file."""

from __future__ import annotations

import click

from atxfer._cli.options import subcommand
from atxfer._cli.settings import Settings


@subcommand("share")
@click.argument("file_id", metavar="ID")
@click.argument("atsigns", nargs=-1, required=True, metavar="ATSIGN...")
def command(settings: Settings, file_id: str, atsigns: tuple[str, ...]) -> None:
    """Share a file of an atSign with others.

    Nothing of the file is sent again. Each of them gets one record and one notification, and finds
    the file in their inbox for as long as it lives.
    """
    with settings.client() as client:
        client.share(file_id, *atsigns)
        shared_with = client.shared_with(file_id)
    settings.output.result(
        {"file_id": file_id, "shared_with": shared_with},
        f"{file_id}  is shared with {', '.join(shared_with)}",
        file_id,
    )
