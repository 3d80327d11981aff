"""A file for five recipients, and what one of them waits for it, at 100 ms a round trip.

The bars are those of sharing's first release: one copy of the chunks, one record and one
notification a recipient; 5 MiB received in under 4 s by default settings, looking into the inbox,
finding the owner's server and verifying all of it included.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from atxfer import Client
from atxfer.config import MIB
from tests.bench.atserver import ROUND_TRIP, Row, world

RECIPIENTS = ["@bob", "@carol", "@dave", "@erin", "@frank"]


def client_of(ready: dict[str, Any], atsign: str, folder: Path) -> Client:
    """Return a client of one of the world's atSigns, with a state of its own."""
    return Client(
        atsign,
        directory=f"{ready['root_host']}:{ready['root_port']}",
        ca_file=ready["ca"],
        keys_dir=ready["keys_dir"],
        state_dir=folder / "state",
    )


def shared(ready: dict[str, Any], folder: Path, source: Path, *, first: bool) -> Row:
    """Share a file with all five as it is uploaded; return the seconds."""
    began = time.perf_counter()
    with client_of(ready, "@alice", folder) as client:
        client.upload(source, share_with=RECIPIENTS)
    kind = "first time" if first else "known recipients"
    size = source.stat().st_size // MIB
    return Row(f"{size} MiB up, shared with five, {kind}", time.perf_counter() - began, "s")


def received(ready: dict[str, Any], folder: Path, atsign: str, source: Path) -> float:
    """Return the seconds from nothing to the file in its place, of one recipient."""
    target = folder / f"{atsign}.back"
    began = time.perf_counter()
    with client_of(ready, atsign, folder) as client:
        (file,) = client.inbox()
        client.download(file, target)
    seconds = time.perf_counter() - began
    if target.read_bytes() != source.read_bytes():
        raise AssertionError("the bytes differ")
    return seconds


def run() -> int:
    """Measure and print; return 1 if a bar was missed."""
    options = ["--profile", "atserver", "--latency", f"{ROUND_TRIP * 1000:g}ms"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = folder / "5MiB", folder / "20MiB"
        small.write_bytes(os.urandom(5 * MIB))
        large.write_bytes(os.urandom(20 * MIB))
        with world(*options, atsigns=["@alice", *RECIPIENTS]) as ready:
            rows = [shared(ready, folder, small, first=True)]
            times = [received(ready, folder, atsign, small) for atsign in RECIPIENTS]
            rows += [
                Row("5 MiB received, median of five", statistics.median(times), "s", 4.0),
                Row("5 MiB received, longest of five", max(times), "s"),
                shared(ready, folder, large, first=False),
            ]
            times = [received(ready, folder, atsign, large) for atsign in RECIPIENTS]
            rows.append(Row("20 MiB received, median of five", statistics.median(times), "s"))
    for row in rows:
        print(row)
    return 0 if all(row.passed for row in rows) else 1
