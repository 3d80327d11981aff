"""How much memory one transfer takes: it is made in a process that does nothing else.

``python -m tests.support.peak JOB`` makes the transfer that the JSON text describes, and prints
what came of it. Nothing but atxfer is imported here, because it would count.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

__all__ = ["Moved", "moved"]


@dataclass(frozen=True)
class Moved:
    """What one transfer took.

    Attributes:
        file: What the file can be downloaded by.
        seconds: From the call to its end.
        peak: Bytes of the process that were in RAM, at most.
    """

    file: str
    seconds: float
    peak: int


def moved(
    address: str,
    path: Path,
    file: Optional[str] = None,
    *,
    options: Mapping[str, Any],
    config: Mapping[str, Any],
    environment: Optional[Mapping[str, str]] = None,
) -> Moved:
    """Move a file in a process of its own.

    Args:
        address: Of the client.
        path: What is uploaded, or where a download goes.
        file: What is downloaded; None for an upload.
        options: Further arguments of the client.
        config: Of the configuration.
        environment: What is to be found there beside what this process has.
    """
    job = {"address": address, "path": str(path), "file": file}
    command = [sys.executable, "-m", __name__, json.dumps({**job, "o": options, "c": config})]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, env={**os.environ, **(environment or {})}
    )
    return Moved(**json.loads(done.stdout))


def _peak() -> int:
    """Return the peak of this process; what the system calls so may be that of its parent."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024


def _move(job: dict[str, Any]) -> dict[str, Any]:
    from atxfer import Client, TransferConfig

    with Client(job["address"], config=TransferConfig(**job["c"]), **job["o"]) as client:
        began = time.perf_counter()
        if job["file"] is None:
            receipt = client.upload(job["path"])
            file = receipt.link or receipt.file_id
        else:
            file = job["file"]
            client.download(file, job["path"])
        return {"file": file, "seconds": time.perf_counter() - began, "peak": _peak()}


if __name__ == "__main__":
    print(json.dumps(_move(json.loads(sys.argv[1]))))
