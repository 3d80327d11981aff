"""``atxfer resume``: list the uploads that did not end, and go on with them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Optional

import click

from atxfer import NotFound, TransferConfig, TransferError, UnfinishedUpload, unfinished_uploads
from atxfer._cli.failure import failure_of
from atxfer._cli.options import subcommand
from atxfer._cli.output import Row
from atxfer._cli.settings import Settings
from atxfer._cli.upload import remind, show
from atxfer._cli.words import moment_text, printable, size_text

_COLUMNS = ("FILE", "TO", "+SIZE", "+THERE", "STOPPED", "STATE")


@subcommand("resume")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--all", "everything", is_flag=True, help="Go on with all to this atSign, or store.")
@click.option("--dry-run", is_flag=True, help="Say what would be gone on with, and send nothing.")
@click.option("--state-dir", metavar="DIR", help="Where it is kept how far uploads are.")
def command(
    settings: Settings,
    files: tuple[str, ...],
    everything: bool,
    dry_run: bool,
    state_dir: Optional[str],
) -> None:
    """List the uploads that did not end, or go on with some.

    Without FILE and --all, lists all of this machine, wherever they were going; no keys are needed.
    With FILE or --all, goes on with those to the atSign of --atsign, or to the store of
    --destination.
    """
    unfinished = unfinished_uploads(state_dir=state_dir)
    if not files and not everything:
        _list(settings, unfinished)
        return
    with settings.client(state_dir=state_dir) as client:
        destination = client.destination
    ours = [upload for upload in unfinished if upload.destination == destination]
    chosen = _named(settings, ours, files, destination) if files else ours
    for upload in chosen:
        if upload.state == "running" and not files:
            settings.output.note(f"another process is at {printable(upload.path)}")
        elif dry_run:
            _announce(settings, upload)
        else:
            _go_on(settings, upload, state_dir)


def _list(settings: Settings, unfinished: Sequence[UnfinishedUpload]) -> None:
    if not unfinished:
        settings.output.note("All uploads of this machine have ended.")
        return
    settings.output.table(
        _COLUMNS, [Row(upload.as_dict(), _cells(upload)) for upload in unfinished]
    )


def _cells(upload: UnfinishedUpload) -> tuple[str, ...]:
    return (
        upload.path,
        upload.destination,
        size_text(upload.size),
        size_text(upload.stored),
        moment_text(upload.stopped_at),
        upload.state,
    )


def _named(
    settings: Settings, ours: Sequence[UnfinishedUpload], files: Sequence[str], destination: str
) -> Iterator[UnfinishedUpload]:
    for file in files:
        found = [upload for upload in ours if upload.path == os.path.realpath(file)]
        if not found:
            what = f"no upload of {file} to {destination} is unfinished"
            error = NotFound(what, remedy="List those that are: `atxfer resume`.")
            settings.output.error(failure_of(error))
        yield from found


def _announce(settings: Settings, upload: UnfinishedUpload) -> None:
    settings.output.result(
        {**upload.as_dict(), "resumed": False},
        f"would go on with {printable(upload.path)}: {size_text(upload.stored)} of"
        f" {size_text(upload.size)} are there ({upload.state})",
        upload.path,
    )


def _go_on(settings: Settings, upload: UnfinishedUpload, state_dir: Optional[str]) -> None:
    """Upload as the call did that was interrupted; tell of a failure, and let the others go on."""
    config = TransferConfig().but(ttl=upload.ttl, chunk_size=upload.chunk_size)
    try:
        with (
            remind(settings, [upload.path], state_dir),
            settings.client(config, state_dir) as client,
            settings.output.progress() as progress,
        ):
            receipt = client.upload(
                upload.path, name=upload.name, share_with=upload.share_with, progress=progress
            )
    except (TransferError, OSError) as error:
        settings.output.error(failure_of(error))
    else:
        show(settings, receipt)
