"""What a large file takes of the memory, on its way to servers that others wrote and back."""

from __future__ import annotations

import mmap
import os
import threading
import types
import weakref
from pathlib import Path
from typing import Any, ClassVar, Union

import pytest

from atxfer import Client, TransferConfig, _buffers
from atxfer.config import MIB
from tests.servers.s3 import S3Server
from tests.servers.tus import TusServer
from tests.stores.s3.conftest import _own_account
from tests.support.peak import moved
from tests.support.worlds import content

pytestmark = pytest.mark.interop
__all__ = ["_own_account"]

# The bar of `python -m tests.bench http --only memory` for 512 MiB; no more than this is needed to
# have every thread at work.
PEAK = 96 * MIB
SIZE = 160 * MIB

WIDE = {"max_concurrent_uploads": 10, "max_concurrent_downloads": 10}

real_servers = pytest.mark.parametrize("store_server", ["tusd", "versitygw"], indirect=True)
plain_and_sealed = pytest.mark.parametrize("encrypt", [False, True], ids=["plain", "sealed"])


def where(server: Union[TusServer, S3Server]) -> tuple[str, dict[str, Any]]:
    """Return the address of a client of a server, and what else it is given."""
    if isinstance(server, S3Server):
        return f"s3://{server.new_bucket()}", {"endpoint_url": server.url}
    return server.url, {}


@plain_and_sealed
@real_servers
def test_a_process_stays_small(
    tmp_path: Path, store_server: Union[TusServer, S3Server], encrypt: bool
) -> None:
    """Ten requests in flight or one: the budget is what counts, and no copy of anything is kept."""
    source = tmp_path / "source"
    source.write_bytes(content(SIZE))
    address, options = where(store_server)
    how: dict[str, Any] = {
        "options": {**options, "encrypt": encrypt, "state_dir": str(tmp_path / "state")},
        "config": WIDE,
    }
    up = moved(address, source, **how)
    down = moved(address, tmp_path / "back", up.file, **how)
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert (up.peak < PEAK, down.peak < PEAK) == (True, True), (up, down)


class Counted(mmap.mmap):
    """Pages that are counted as long as anybody holds them."""

    alive: ClassVar[weakref.WeakSet[Counted]] = weakref.WeakSet()
    most: ClassVar[int] = 0
    guard: ClassVar[threading.Lock] = threading.Lock()

    def __new__(cls, *args: Any, **kwargs: Any) -> Counted:
        """Map them."""
        made = super().__new__(cls, *args, **kwargs)
        with cls.guard:
            cls.alive.add(made)
            cls.most = max(cls.most, sum(map(len, cls.alive)))
        return made

    def __hash__(self) -> int:
        """Return what a set needs."""
        return id(self)


@plain_and_sealed
@real_servers
def test_no_more_is_held_than_the_budget(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    store_server: Union[TusServer, S3Server],
    encrypt: bool,
) -> None:
    """What has landed is let go of at once, by drivers, workers and connections alike."""
    monkeypatch.setattr(_buffers, "mmap", types.SimpleNamespace(mmap=Counted))
    monkeypatch.setattr(Counted, "most", 0)
    budget, room = 15 * MIB, 64 * 1024  # room for what sealing adds
    source = tmp_path / "source"
    source.write_bytes(os.urandom(64 * MIB + 1))
    address, options = where(store_server)
    config = TransferConfig(memory_budget=budget, **WIDE)
    with Client(
        address, config=config, encrypt=encrypt, state_dir=tmp_path / "state", **options
    ) as client:
        receipt = client.upload(source)
        assert 5 * MIB <= Counted.most <= budget + room
        assert not Counted.alive
        Counted.most = 0
        client.download(receipt.link or receipt.file_id, tmp_path / "back")
        assert 5 * MIB <= Counted.most <= budget + room
        assert not Counted.alive
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
