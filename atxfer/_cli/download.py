"""``atxfer download``: one file."""

from __future__ import annotations

import sys

import click

from atxfer._cli.options import subcommand
from atxfer._cli.settings import Settings
from atxfer._cli.words import duration_text, size_text


@subcommand("download")
@click.argument("file_id", metavar="ID")
@click.argument("target", default=".")
def command(settings: Settings, file_id: str, target: str) -> None:
    """Download a file; it takes its name only once it is whole and verified.

    TARGET is a path, or a folder in which the file keeps its name; - is the standard output. An
    existing file is replaced.
    """
    output = settings.output
    to_stdout = target == "-"
    if to_stdout and output.as_json:
        raise click.UsageError("--json and a TARGET of - would both write to the standard output")
    with settings.client() as client, output.progress() as progress:
        result = client.download(
            file_id, sys.stdout.buffer if to_stdout else target, progress=progress
        )
    seconds = result.statistics.seconds
    rate = result.file.size / seconds if seconds > 0 else 0.0
    text = (
        f"{result.file.name}: {size_text(result.file.size)} in {duration_text(seconds)}"
        f" ({size_text(rate)}/s), verified"
    )
    if to_stdout:
        output.note(text)
    else:
        output.result(result.as_dict(), f"{text}, in {result.path}", str(result.path))
