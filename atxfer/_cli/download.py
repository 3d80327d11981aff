"""``atxfer download``: one file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import BinaryIO, Callable, Optional, Union

import click

from atxfer import Progress, Result, download_link
from atxfer._cli.options import subcommand
from atxfer._cli.settings import Settings
from atxfer._cli.words import duration_text, size_text

_LINKS = ("atxfer:", "https://", "http://")


@subcommand("download")
@click.argument("file", metavar="ID|LINK")
@click.argument("target", default=".")
@click.option("--from", "from_", metavar="ATSIGN", help="Whose file it is, if it is not our own.")
@click.option("--namespace", metavar="NS", help="Of format attalk: the application's name space.")
def command(settings: Settings, file: str, target: str, **place: Optional[str]) -> None:
    """Download a file. It takes its name only once it is whole and verified.

    A file of one's own, or one that is shared with us, by its ID; in a store, by its address. Or
    what a LINK leads to, for which neither an atSign nor keys nor credentials are needed.

    TARGET is a path, or a folder in which the file keeps its name; - is the standard output. An
    existing file is replaced.
    """
    output = settings.output
    to_stdout = target == "-"
    if to_stdout and output.as_json:
        raise click.UsageError("--json and a TARGET of - would both write to the standard output")
    with output.progress() as progress:
        chosen = sys.stdout.buffer if to_stdout else target
        result = _download(settings, file, chosen, progress, place)
    seconds = result.statistics.seconds
    rate = result.file.size / seconds if seconds > 0 else 0.0
    text = (
        f"{result.file.name}: {size_text(result.file.size)} in {duration_text(seconds)}"
        f" ({size_text(rate)}/s), {'verified' if result.file.sha256 else 'of the right size'}"
    )
    if to_stdout:
        output.note(text)
    else:
        output.result(result.as_dict(), f"{text}, in {result.path}", str(result.path))


def _download(
    settings: Settings,
    file: str,
    target: Union[str, BinaryIO],
    progress: Callable[[Progress], object],
    place: Mapping[str, Optional[str]],
) -> Result:
    if settings.is_store or not file.lower().startswith(_LINKS):
        with settings.client() as client:
            return client.download(file, target, progress=progress, **place)
    if any(place.values()):
        raise click.UsageError("--from and --namespace go with an ID")
    return download_link(
        file,
        target,
        directory=settings.directory,
        ca_file=settings.ca_file,
        progress=progress,
    )
