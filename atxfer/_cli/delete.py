"""``atxfer delete``: remove files, or what a failed upload has left."""

from __future__ import annotations

from typing import Optional

import click

from atxfer._cli.options import subcommand
from atxfer._cli.settings import Settings
from atxfer._cli.words import size_text


@subcommand("delete")
@click.argument("file_ids", nargs=-1, required=True, metavar="ID...")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option("--namespace", metavar="NS", help="Of format attalk: the application's name space.")
def command(
    settings: Settings, file_ids: tuple[str, ...], dry_run: bool, namespace: Optional[str]
) -> None:
    """Delete files for good; nobody is asked again.

    The ID of a file in a store is its address.
    """
    with settings.client() as client:

        def delete(file_id: str) -> None:
            file = client.file(file_id, namespace=namespace)
            if not dry_run:
                client.delete(file, namespace=namespace)
            settings.output.result(
                {**file.as_dict(), "deleted": not dry_run},
                f"{'would delete' if dry_run else 'deleted'} {file_id}  {file.name}"
                f" ({size_text(file.size)})",
            )

        settings.each(file_ids, delete)
