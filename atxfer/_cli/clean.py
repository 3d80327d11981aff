"""``atxfer clean``: remove what uploads have left that did not end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import click

from atxfer import AbandonedUpload
from atxfer._cli.failure import failure_of
from atxfer._cli.options import duration, subcommand
from atxfer._cli.output import Row
from atxfer._cli.settings import Settings
from atxfer._cli.words import counted, moment_text, size_text
from atxfer.errors import CleaningFailed

_COLUMNS = ("FILE ID", "NAME", "+SIZE", "+THERE", "STOPPED")


@subcommand("clean")
@click.option(
    "--older-than",
    type=duration,
    default="1d",
    show_default=True,
    help="How long ago they stopped: 3600, 2h, 1d.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--state-dir", metavar="DIR", help="Where it is kept how far uploads are.")
def command(settings: Settings, older_than: float, dry_run: bool, state_dir: Optional[str]) -> None:
    """Remove what unfinished uploads have left.

    Nobody is asked again. Of an atSign: manifests and chunks, with --store also what lies there. Of
    S3: all multipart uploads below the address. Files that are whole stay, and so do uploads to
    which something was added more recently. An upload that could be resumed begins anew, once it
    was removed.
    """
    with settings.client(state_dir=state_dir) as client:
        try:
            _show(settings, client.clean(older_than, dry_run=dry_run), dry_run=dry_run)
        except CleaningFailed as error:
            _show(settings, error.removed, dry_run=dry_run)
            for upload, cause in error.failures:
                cause = cause.with_context(file=upload.name, file_id=upload.file_id)
                settings.output.error(failure_of(cause))


def _show(settings: Settings, uploads: Sequence[AbandonedUpload], *, dry_run: bool) -> None:
    if uploads:
        rows = [Row({**u.as_dict(), "removed": not dry_run}, _cells(u)) for u in uploads]
        settings.output.table(_COLUMNS, rows)
    said = counted(len(uploads), "upload") if uploads else "nothing"
    settings.output.note(f"Would remove {said}." if dry_run else f"Removed {said}.")


def _cells(upload: AbandonedUpload) -> tuple[str, ...]:
    return (
        upload.file_id,
        upload.name,
        "" if upload.size is None else size_text(upload.size),
        size_text(upload.stored),
        moment_text(upload.stopped_at),
    )
