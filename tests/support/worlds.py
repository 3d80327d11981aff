"""A client for a running development server, and files to move."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from atxfer import Client, TransferConfig
from atxfer.devserver import DevServer

# Short waits before retries: tests of faults are not to sit them out.
QUICK = TransferConfig(backoff_initial=0.01, backoff_max=0.05)
FIVE = ["@bob", "@carol", "@dave", "@erin", "@frank"]


def client_of(world: DevServer, atsign: str = "@alice", **config: Any) -> Client:
    """Return a client of one of the world's atSigns; keywords change the configuration."""
    return Client(
        atsign,
        directory=f"{world.root_host}:{world.root_port}",
        ca_file=world.ca_file,
        keys_dir=world.keys_dir,
        config=QUICK.but(**config),
    )


def content(size: int, seed: int = 1) -> bytes:
    """Return bytes that no two places of a file share."""
    return random.Random(seed).randbytes(size)  # noqa: S311  # the same in every run


def sha256(data: bytes) -> str:
    """Return the digest in hex."""
    return hashlib.sha256(data).hexdigest()
