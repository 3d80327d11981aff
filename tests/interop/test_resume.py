"""What must never go on, at tus and S3 servers that others wrote."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Callable, Union

import pytest

from atxfer._engine.record import Record, read
from atxfer._operations.orders import Order
from atxfer.config import MIB
from atxfer.errors import ConnectionLost
from atxfer.model import Receipt
from atxfer.stores.base import UploadPlan
from atxfer.waiting import Wait
from tests.servers.s3 import S3Server
from tests.servers.tus import TusServer
from tests.stores.s3.conftest import _own_account
from tests.support.delayproxy import UP, DelayProxy
from tests.support.s3 import Bench as S3Bench
from tests.support.s3 import s3_bench
from tests.support.tusbench import CHUNK, TusBench, tus_bench
from tests.support.worlds import content

pytestmark = pytest.mark.interop
__all__ = ["_own_account"]

Server = Union[TusServer, S3Server]
Bench = Union[TusBench, S3Bench]
Open = Callable[..., "contextlib.AbstractContextManager[Bench]"]


@pytest.fixture
def part(store_server: Server) -> int:
    """Give the bytes of a chunk: S3 takes none that are smaller."""
    return CHUNK if isinstance(store_server, TusServer) else 5 * MIB


@pytest.fixture
def proxy(store_server: Server, delay_proxy: Callable[..., DelayProxy]) -> DelayProxy:
    """Give what stands before the server, and can cut a connection."""
    return delay_proxy(store_server)


@pytest.fixture
def opens(store_server: Server, proxy: DelayProxy, tmp_path: Path) -> Open:
    """Give what opens a client of the server, which keeps its journals here."""
    url = proxy.through(store_server.url)
    if isinstance(store_server, TusServer):
        return lambda **how: tus_bench(url, cap=1, journals=tmp_path / "state", **how)
    bucket = store_server.new_bucket()
    return lambda **how: s3_bench(url, bucket, width=1, state=tmp_path / "state", **how)


@pytest.fixture
def source(tmp_path: Path, part: int) -> Path:
    """Give a file of four parts and a bit."""
    path = tmp_path / "a.bin"
    path.write_bytes(content(4 * part + 7))
    return path


def upload(bench: Bench, source: Path) -> Receipt:
    """Upload a file."""
    order = Order(source, None, None, None)
    return bench.reach.engine.run(lambda transfer: bench.objects.upload(order, transfer), "up")


def interrupted(opens: Open, proxy: DelayProxy, source: Path, part: int, **how: Any) -> Record:
    """Leave an upload of two parts and a torn one; return what its journal says, if it has one."""
    proxy.cut(UP, 2 * part + part // 2, only="PUT|PATCH|POST")
    with opens(max_attempts=1, **how) as bench, pytest.raises(ConnectionLost):
        upload(bench, source)
    assert proxy.faults_left == 0
    found = [read(path.read_bytes()) for path in (source.parent / "state").glob("*.journal")]
    return found[0] if found else None  # type: ignore[return-value]


def begins_anew(opens: Open, source: Path, **how: Any) -> None:
    """Upload, and see that nothing of an earlier upload was used."""
    with opens(**how) as bench:
        receipt = upload(bench, source)
        assert receipt.statistics.resumed_bytes == 0
        got = bench.download(receipt.link or receipt.file_id)
        assert (got if isinstance(got, bytes) else got[1]) == source.read_bytes()
    assert list((source.parent / "state").glob("*.journal")) == []


def test_an_upload_that_is_gone(opens: Open, proxy: DelayProxy, source: Path, part: int) -> None:
    """The server has removed what there was of it."""
    head, token = (record := interrupted(opens, proxy, source, part)).head, record.token
    plan = UploadPlan("x", source.stat().st_size, head.chunk_size, head.chunks, None, head.name)
    with opens() as bench:
        bench.store.open_upload(plan, Wait(), token=token).abort(Wait())
    begins_anew(opens, source)


def test_another_content(opens: Open, proxy: DelayProxy, source: Path, part: int) -> None:
    """Of the same size, ends, time and inode: the two are never merged (M9)."""
    interrupted(opens, proxy, source, part)
    was = source.stat()
    with source.open("r+b") as stream:
        stream.seek(part + part // 2)
        stream.write(b"another content")
    os.utime(source, ns=(was.st_atime_ns, was.st_mtime_ns))
    begins_anew(opens, source)


def test_a_sealed_file(opens: Open, proxy: DelayProxy, source: Path, part: int) -> None:
    """Its keys were in the process that is gone, and no journal holds a key."""
    assert interrupted(opens, proxy, source, part, encrypt=True) is None
    begins_anew(opens, source, encrypt=True)
