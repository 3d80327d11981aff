"""The memory that a large file takes on its way to tus and S3 stores and back.

Each transfer is made in a process of its own, so that its peak is that of nothing else.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atxfer.config import MIB
from tests.bench.atserver import Row
from tests.servers.s3 import VersityGw
from tests.servers.tus import Tusd
from tests.support.peak import moved

__all__ = ["run"]

SIZE = 512 * MIB
BAR = 96.0

CONFIGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "width 10": {"max_concurrent_uploads": 10},
}


def rows_of(kind: type[Any], folder: Path, source: Path) -> Iterator[Row]:
    """Move a file up and down, plain and sealed, and yield the peak of each way."""
    folder.mkdir()
    with kind(folder) as server:
        address, options, environment = server.url, {}, {}
        if kind is VersityGw:
            address, options = f"s3://{server.new_bucket()}", {"endpoint_url": server.url}
            environment = {
                "AWS_ACCESS_KEY_ID": server.access_key,
                "AWS_SECRET_ACCESS_KEY": server.secret_key,
            }
        target = folder / "back"
        for encrypt in (False, True):
            for name, config in CONFIGS.items():
                given = {
                    "options": {**options, "encrypt": encrypt, "state_dir": str(folder / "state")},
                    "config": config,
                    "environment": environment,
                }
                what = f"512 MiB, {server.name}, {'sealed' if encrypt else 'plain'}, {name}"
                up = moved(address, source, **given)
                yield _row(f"{what}, up", up.peak, up.seconds)
                down = moved(address, target, up.file, **given)
                yield _row(f"{what}, down", down.peak, down.seconds)
                subprocess.run(["cmp", str(source), str(target)], check=True)
                target.unlink()


def _row(what: str, peak: int, seconds: float) -> Row:
    return Row(f"{what}, {seconds:.1f} s", peak / MIB, "MiB", BAR)


def run() -> int:
    """Measure and print; return 1 if the bar was missed."""
    passed = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "512MiB"
        with source.open("wb") as sink:
            for _ in range(SIZE // MIB):
                sink.write(os.urandom(MIB))
        for kind in (VersityGw, Tusd):
            for row in rows_of(kind, folder / f"server-{kind.name}", source):
                print(row, flush=True)
                passed = passed and row.passed
    return 0 if passed else 1
