"""``atxfer demo``: what batches and concurrency are worth, on your own machine."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Optional

import click

from atxfer._cli import race
from atxfer._cli.chart import Bar, drawn, svg
from atxfer._cli.options import subcommand
from atxfer._cli.output import Output, Row
from atxfer._cli.settings import Settings
from atxfer._cli.words import duration_text, size_text

_OWN_SIZE = 5 * 1024 * 1024
_COLUMNS = ("WAY", "HOW", "+SECONDS", "+SPEED", "+REQUESTS")
_MARK = "* the first {} measured, the rest extrapolated at the same rate"


@subcommand("demo")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--svg", "picture", metavar="FILE", help="Save the chart as a picture, too.")
def command(settings: Settings, file: Optional[str], picture: Optional[str]) -> None:
    """See what batches and concurrency are worth.

    Moves a file to a development server 100 ms away, in three ways, and back. Nothing leaves this
    machine. Without a FILE, 5 MiB of random bytes are moved.
    """
    output = settings.output
    with tempfile.TemporaryDirectory(prefix="atxfer-demo-") as folder, race.world() as ready:
        source = Path(file) if file is not None else _own_file(Path(folder))
        size = size_text(source.stat().st_size)
        output.note(f"{source.name}, {size}, to an atServer {race.ROUND_TRIP * 1000:g} ms away")
        laps = []
        for way in race.WAYS:
            with output.progress() as progress:
                laps.append(race.lap(ready, way, source, progress))
        with output.progress() as progress:
            download = race.back(ready, laps[-1].receipt, source, progress)
    title = f"Seconds to upload {size} at {race.ROUND_TRIP * 1000:g} ms a round trip"
    bars = [Bar(lap.way.name, lap.seconds, _seconds(lap)) for lap in laps]
    note = _MARK.format(size_text(race.SAMPLE)) if any(lap.extrapolated for lap in laps) else ""
    if picture is not None:
        Path(picture).write_text(svg(title, bars, note), "utf-8")
    _show(output, laps, download, [title, *drawn(bars, blocks=output.has_blocks), note])
    if not download["identical"]:
        raise click.ClickException("what came back is not what was sent")


def _own_file(folder: Path) -> Path:
    source = folder / "random-5MiB.bin"
    source.write_bytes(os.urandom(_OWN_SIZE))
    return source


def _show(output: Output, laps: list[race.Lap], download: dict[str, Any], chart: list[str]) -> None:
    output.table(_COLUMNS, [Row(lap.as_dict(), _cells(lap)) for lap in laps])
    verdict = "identical" if download["identical"] else "DIFFERENT"
    output.result(
        {"way": "download", **download},
        f"\nand back in {duration_text(download['seconds'])}, SHA-256 {verdict}:"
        f" {download['sha256'][:16]}...",
    )
    output.line("\n".join(["", *chart]))


def _seconds(lap: race.Lap) -> str:
    return f"{lap.seconds:.1f} s" + (" *" if lap.extrapolated else "")


def _cells(lap: race.Lap) -> tuple[str, ...]:
    return (
        lap.way.name,
        lap.way.explained,
        _seconds(lap),
        f"{size_text(lap.size / lap.seconds)}/s",
        str(lap.receipt.statistics.requests),
    )
