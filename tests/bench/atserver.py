"""An atServer at 100 ms a round trip, and a large file without delay.

The bars are those of the project's first release: 5 MiB up and down in under 3 s each with three
requests in flight, where the original settings take about 22 s and sequential sending about 64 s;
256 MiB up and down in under 96 MiB of resident memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from atxfer import Client, TransferConfig
from atxfer.config import KIB, MIB

ROUND_TRIP = 0.1
SAMPLE = 512 * KIB  # what the slow ways move; the rest is extrapolated


@dataclass
class Row:
    """One measurement, and the bar it is held to."""

    what: str
    figure: float
    unit: str
    bar: Optional[float] = None

    @property
    def passed(self) -> bool:
        """Whether the bar, if there is one, is met."""
        return self.bar is None or self.figure < self.bar

    def __str__(self) -> str:
        verdict = "met" if self.passed else "MISSED"
        bar = "" if self.bar is None else f"  bar {self.bar:g}: {verdict}"
        return f"{self.what:<48}{self.figure:9.2f} {self.unit:<4}{bar}"


@contextlib.contextmanager
def world(*options: str, atsigns: Sequence[str] = ("@alice",)) -> Iterator[dict[str, Any]]:
    """Run a development server in a process of its own, and yield its ready.json."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "atxfer", "devserver", "--dir", folder, *options]
        server = subprocess.Popen(
            [*command, "--atsigns", ",".join(atsigns)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            server.stdout.readline()
            yield json.loads((Path(folder) / "ready.json").read_text())
        finally:
            server.terminate()
            server.communicate()


def client_of(ready: dict[str, Any], config: TransferConfig) -> Client:
    """Return a client of @alice."""
    return Client(
        "@alice",
        directory=f"{ready['root_host']}:{ready['root_port']}",
        ca_file=ready["ca"],
        keys_dir=ready["keys_dir"],
        config=config,
    )


def timed(ready: dict[str, Any], config: TransferConfig, source: Path) -> tuple[float, float]:
    """Return the seconds up and down, each with a client of its own, login included."""
    began = time.perf_counter()
    with client_of(ready, config) as client:
        receipt = client.upload(source)
        up = time.perf_counter() - began
    began = time.perf_counter()
    with client_of(ready, config) as client:
        client.download(receipt.file_id, source.with_suffix(".back"))
        down = time.perf_counter() - began
        client.delete(receipt)
    if source.with_suffix(".back").read_bytes() != source.read_bytes():
        raise AssertionError("the bytes differ")
    return up, down


def latency(ready: dict[str, Any], folder: Path) -> list[Row]:
    """Move 5 MiB in three ways; of our own the median of five."""
    whole = folder / "5MiB"
    whole.write_bytes(os.urandom(5 * MIB))
    runs = [timed(ready, TransferConfig(), whole) for _ in range(5)]
    up, down = (statistics.median(times) for times in zip(*runs))
    worst = max(times[0] for times in runs)
    original = TransferConfig.original()
    slow_up, slow_down = extrapolated(ready, original, folder)
    slower_up, slower_down = extrapolated(ready, original.but(max_concurrent_uploads=1), folder)
    return [
        Row("5 MiB up, defaults, median of 5", up, "s", 3.0),
        Row("5 MiB up, defaults, longest of 5", worst, "s"),
        Row("5 MiB down, defaults, median of 5", down, "s", 3.0),
        Row("5 MiB up, original settings, extrapolated", slow_up, "s"),
        Row("5 MiB down, original settings, extrapolated", slow_down, "s"),
        Row("5 MiB up, sequential, extrapolated", slower_up, "s"),
        Row("5 MiB down, sequential, extrapolated", slower_down, "s"),
        Row("speed-up over the original settings", slow_up / up, "x"),
    ]


def extrapolated(
    ready: dict[str, Any], config: TransferConfig, folder: Path
) -> tuple[float, float]:
    """Return the seconds that 5 MiB would take, from those of nothing and of a sample."""
    empty, sample = folder / "empty", folder / "512KiB"
    empty.write_bytes(b"")
    sample.write_bytes(os.urandom(SAMPLE))
    bases, times = timed(ready, config, empty), timed(ready, config, sample)
    up, down = (base + (time_ - base) * (5 * MIB / SAMPLE) for base, time_ in zip(bases, times))
    return up, down


def memory(ready: dict[str, Any], folder: Path) -> list[Row]:
    """Move 256 MiB in a process of its own, and ask it for its peak."""
    big = folder / "256MiB"
    with big.open("wb") as sink:
        for _ in range(256):
            sink.write(os.urandom(MIB))
    command = [sys.executable, "-m", "tests.bench.atserver", json.dumps(ready), str(big)]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return [
        Row("256 MiB up", report["up"], "s"),
        Row("256 MiB down", report["down"], "s"),
        Row("peak resident memory of the client", report["peak_mib"], "MiB", 96.0),
    ]


def run(ready_file: Optional[str], only: Optional[str]) -> int:
    """Measure and print; return 1 if a bar was missed."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        given = json.loads(Path(ready_file).read_text()) if ready_file else None
        if only != "memory":
            ready = given or stack.enter_context(
                world("--profile", "atserver", "--latency", f"{ROUND_TRIP * 1000:g}ms")
            )
            rows += latency(ready, folder)
        if only != "latency":
            rows += memory(given or stack.enter_context(world()), folder)
    for row in rows:
        print(row)
    return 0 if all(row.passed for row in rows) else 1


def _peak_of_one_process(ready: dict[str, Any], source: Path) -> dict[str, float]:
    up, down = timed_streaming(ready, source)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"up": up, "down": down, "peak_mib": peak}


def timed_streaming(ready: dict[str, Any], source: Path) -> tuple[float, float]:
    """Return the seconds up and down, without holding the file in memory to compare it."""
    back = source.with_suffix(".back")
    with client_of(ready, TransferConfig()) as client:
        began = time.perf_counter()
        receipt = client.upload(source)
        up = time.perf_counter() - began
        began = time.perf_counter()
        client.download(receipt, back)
        down = time.perf_counter() - began
        client.delete(receipt)
    subprocess.run(["cmp", str(source), str(back)], check=True)
    return up, down


if __name__ == "__main__":
    print(json.dumps(_peak_of_one_process(json.loads(sys.argv[1]), Path(sys.argv[2]))))
