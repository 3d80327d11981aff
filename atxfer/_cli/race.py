"""The demonstration's measurements: one file, several ways of moving it, one development server."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import atxfer
from atxfer import Client, Progress, TransferConfig

__all__ = ["ROUND_TRIP", "SAMPLE", "WAYS", "Lap", "Way", "back", "lap", "world"]

ROUND_TRIP = 0.1  # seconds: an atServer half a continent away
SAMPLE = 512 * 1024  # bytes that the slow ways move; the rest is extrapolated

OnProgress = Callable[[Progress], object]


@dataclass(frozen=True)
class Way:
    """A way of moving a file: its name, and how to configure it."""

    name: str
    explained: str
    config: Callable[[], TransferConfig]
    whole: bool = False  # whether it moves the whole file, or a sample


WAYS = (
    Way(
        "sequential",
        "8 KiB a request, 1 at a time",
        lambda: TransferConfig.original(max_concurrent_uploads=1),
    ),
    Way("original", "8 KiB a request, 3 at a time", TransferConfig.original),
    Way("atxfer", "full requests, 3 at a time", TransferConfig, whole=True),
)


@dataclass(frozen=True)
class Lap:
    """How long one way took.

    Attributes:
        way: The way.
        size: Bytes of the whole file.
        moved: Bytes that really were moved.
        measured: Seconds that took, login included.
        seconds: Seconds for the whole file; extrapolated if only a part was moved.
        receipt: What the upload returned.
    """

    way: Way
    size: int
    moved: int
    measured: float
    seconds: float
    receipt: atxfer.Receipt

    @property
    def extrapolated(self) -> bool:
        """Whether the seconds are partly an estimate."""
        return self.moved < self.size

    def as_dict(self) -> dict[str, Any]:
        """Return the lap as plain values, ready for JSON."""
        spent = self.receipt.statistics
        return {
            "way": self.way.name,
            "seconds": self.seconds,
            "extrapolated": self.extrapolated,
            "measured_bytes": self.moved,
            "measured_seconds": self.measured,
            "requests": spent.requests,
            "peak_in_flight": spent.peak_in_flight,
        }


@contextlib.contextmanager
def world() -> Iterator[dict[str, Any]]:
    """Run a development server in a process of its own, as slow and as far as a real one.

    In our own process it would share the interpreter's lock with the client it is to measure.
    """
    with tempfile.TemporaryDirectory(prefix="atxfer-demo-") as folder:
        options = ["--profile", "atserver", "--latency", f"{ROUND_TRIP * 1000:g}ms"]
        command = [sys.executable, "-m", "atxfer", "devserver", "--json", "--dir", folder]
        server = subprocess.Popen(  # noqa: S603  # our own interpreter, our own arguments
            [*command, "--atsigns", "alice", *options], stdout=subprocess.PIPE, text=True
        )
        with server:
            try:
                ready = server.stdout.readline() if server.stdout is not None else ""
                if not ready:
                    raise ChildProcessError("the development server did not start")
                yield json.loads(ready)
            finally:
                server.terminate()


def lap(ready: dict[str, Any], way: Way, source: Path, progress: OnProgress) -> Lap:
    """Upload the file, or a part of it, in one way, by a client of its own."""
    size = source.stat().st_size
    moved = size if way.whole else min(size, SAMPLE)
    samples: list[Progress] = []

    def watch(state: Progress) -> None:
        samples.append(state)
        progress(state)

    with _client(ready, way.config()) as client, source.open("rb") as file:
        part = file.read(moved) if moved < size else file
        receipt = client.upload(part, name=source.name, progress=watch)
    measured = receipt.statistics.seconds
    rest = (size - moved) / _steady_rate(samples) if moved < size else 0.0
    return Lap(way, size, moved, measured, measured + rest, receipt)


def _steady_rate(samples: list[Progress]) -> float:
    """Return bytes per second once the first chunk was there: what login costs is paid once."""
    first = next(sample for sample in samples if sample.confirmed)
    last = samples[-1]
    if last.confirmed > first.confirmed and last.seconds > first.seconds:
        return (last.confirmed - first.confirmed) / (last.seconds - first.seconds)
    return last.rate


def back(
    ready: dict[str, Any], receipt: atxfer.Receipt, source: Path, progress: OnProgress
) -> dict[str, Any]:
    """Download the file again, and compare it with the source, byte for byte."""
    with tempfile.TemporaryDirectory(prefix="atxfer-demo-") as folder:
        target = Path(folder) / "copy"
        with _client(ready, TransferConfig()) as client:
            result = client.download(receipt.file_id, target, progress=progress)
        digest = _sha256(target)
    identical = digest == _sha256(source) == receipt.sha256
    return {"seconds": result.statistics.seconds, "sha256": digest, "identical": identical}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _client(ready: dict[str, Any], config: TransferConfig) -> Client:
    return Client(
        "@alice",
        directory=f"{ready['root_host']}:{ready['root_port']}",
        ca_file=ready["ca"],
        keys_dir=ready["keys_dir"],
        config=config,
    )
