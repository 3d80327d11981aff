"""``atxfer unlink``: let a link lead nowhere."""

from __future__ import annotations

import click

from atxfer._cli.options import subcommand
from atxfer._cli.settings import Settings


@subcommand("unlink")
@click.argument("file_ids", nargs=-1, required=True, metavar="ID...")
def command(settings: Settings, file_ids: tuple[str, ...]) -> None:
    """Revoke the links of files of an atSign.

    A later link of the same file has another key. Who has followed the link before has the file, or
    may have kept its key.
    """
    with settings.client() as client:

        def unlink(file_id: str) -> None:
            client.unlink(file_id)
            settings.output.result(
                {"file_id": file_id, "link": None}, f"{file_id}  has no link", file_id
            )

        settings.each(file_ids, unlink)
