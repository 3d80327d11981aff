"""``atxfer inbox``: what others share with us."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import click

from atxfer import Client, SharedFile, TransferError
from atxfer._cli.failure import failure_of
from atxfer._cli.options import NEVER, duration, subcommand
from atxfer._cli.output import Output, Row
from atxfer._cli.settings import Settings
from atxfer._cli.words import moment_text, printable, size_text

_COLUMNS = ("FILE ID", "FROM", "NAME", "+SIZE", "SHARED")

# The longest name a file may have on the file systems in use, in bytes.
_LONGEST_NAME = 255
_LONGEST_ENDING = 32  # of what counts as the ending of a name


def _patience(text: str) -> float:
    """Read how long to wait."""
    return NEVER if text.lower() == "forever" else duration(text)


@subcommand("inbox")
@click.option(
    "--wait",
    type=_patience,
    metavar="DURATION",
    default="0",
    help="Go on listening: 60, 15m, forever.",
)
@click.option("--download", "folder", metavar="DIR", help="Download each file to this folder.")
@click.option("--from", "owners", multiple=True, metavar="ATSIGN", help="Only what they share.")
@click.option("--all", "everything", is_flag=True, help="Show what was seen before, too.")
@click.option("--state-dir", metavar="DIR", help="Where it is kept what was seen.")
def command(
    settings: Settings,
    wait: float,
    folder: Optional[str],
    owners: tuple[str, ...],
    everything: bool,
    state_dir: Optional[str],
) -> None:
    """Show what others share with us.

    Each share once, and what comes while waiting. With --download, what arrives takes a name that
    is free: report.pdf, report (2).pdf. What fails is told of, and comes again next time. With
    --from, the servers of these atSigns are asked as well. ATXFER_STATE_DIR may stand for
    --state-dir.
    """
    output = settings.output
    with settings.client(state_dir=state_dir) as client, _warnings(output):
        files = client.inbox(
            wait=None if wait == NEVER else wait,
            from_=owners,
            include_seen=everything,
            until_downloaded=folder is not None,
        )
        if folder is not None:
            _download_each(client, files, Path(folder), output)
        elif wait > 0 or output.as_json:
            for file in files:
                output.result(file.as_dict(), "  ".join(_cells(file)), file.file_id)
        else:
            _show(list(files), output)


def _show(files: list[SharedFile], output: Output) -> None:
    if files:
        output.table(_COLUMNS, [Row(file.as_dict(), _cells(file)) for file in files])
    else:
        output.note("There is nothing new.")


def _cells(file: SharedFile) -> tuple[str, ...]:
    return (
        file.file_id,
        file.owner,
        printable(file.name),
        size_text(file.size),
        moment_text(file.shared_at),
    )


@contextlib.contextmanager
def _warnings(output: Output) -> Iterator[None]:
    """Tell, by the way, what can't be shown and why; with --verbose the whole log does."""
    if output.verbose:
        yield
        return
    logger, notes = logging.getLogger("atxfer.inbox"), _Notes(output)
    logger.addHandler(notes)
    try:
        yield
    finally:
        logger.removeHandler(notes)


class _Notes(logging.Handler):
    """Shows warnings as notes."""

    def __init__(self, output: Output) -> None:
        super().__init__(logging.WARNING)
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Show one."""
        self._output.note(printable(f"atxfer: {record.getMessage()}"))


# --- downloading


def _download_each(
    client: Client, files: Iterator[SharedFile], folder: Path, output: Output
) -> None:
    """Download what comes; one that fails doesn't disturb the others."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        try:
            path = _download(client, file, folder, output)
        except (TransferError, OSError) as error:
            output.error(failure_of(error))
            continue
        text = f"{printable(file.name)} from {file.owner}: {size_text(file.size)}, in {path}"
        output.result({**file.as_dict(), "path": str(path)}, text, str(path))


def _download(client: Client, file: SharedFile, folder: Path, output: Output) -> Path:
    """Download a file under a name that is free, and return its path.

    The name is taken by an empty file first, which the download replaces, so that nobody else takes
    it meanwhile.
    """
    path, taken = _taken(folder, file.name)
    try:
        with output.progress() as progress:
            client.download(file, path, progress=progress)
    except BaseException:
        # Not what has arrived just before an interrupt: that is another file.
        with contextlib.suppress(OSError):
            if path.stat().st_ino == taken:
                path.unlink()
        raise
    return path


def _taken(folder: Path, name: str) -> tuple[Path, int]:
    """Take the first free name in a folder; return the path of an empty file, and its number."""
    for number in itertools.count(1):
        path = folder / _numbered(name, number)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                return path, os.fstat(descriptor).st_ino
            finally:
                os.close(descriptor)
    raise AssertionError  # it counts on


def _numbered(name: str, number: int) -> str:
    """Return ``report.pdf``, ``report (2).pdf``, ``report (3).pdf``."""
    clean = "".join(c if c.isprintable() else "_" for c in name).strip() or "unnamed"
    stem, dot, ending = clean.rpartition(".")
    if not stem or len(ending.encode()) > _LONGEST_ENDING:
        stem, dot, ending = clean, "", ""
    tail = f"{'' if number == 1 else f' ({number})'}{dot}{ending}"
    room = _LONGEST_NAME - len(tail.encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + tail
