"""``atxfer list``: what is there."""

from __future__ import annotations

import click

from atxfer import RemoteFile
from atxfer._cli.options import subcommand
from atxfer._cli.output import Row
from atxfer._cli.settings import Settings
from atxfer._cli.words import moment_text, size_text

# Without the state a line of a short name fits into 80 columns.
_COLUMNS = ("FILE ID", "NAME", "+SIZE", "UPLOADED", "EXPIRES")


@subcommand("list")
@click.option("--incomplete", is_flag=True, help="Show uploads that did not end, too.")
def command(settings: Settings, incomplete: bool) -> None:
    """List the files on the server, oldest first.

    Of a bucket, those below the prefix, and only whole ones. tus servers have no list.
    """
    with settings.client() as client:
        files = sorted(client.files(incomplete=incomplete), key=lambda f: (f.created_at, f.file_id))
    columns = (*_COLUMNS, "STATE") if incomplete else _COLUMNS
    if files:
        rows = [Row(file.as_dict(), _cells(file)[: len(columns)]) for file in files]
        settings.output.table(columns, rows)
    else:
        settings.output.note("There are no files.")


def _cells(file: RemoteFile) -> tuple[str, ...]:
    return (
        file.file_id,
        file.name,
        size_text(file.size),
        moment_text(file.created_at),
        moment_text(file.expires_at),
        file.state,
    )
