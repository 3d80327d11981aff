"""Uploads to tus and S3 servers that others wrote: interrupted, and gone on with by a journal."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Callable, Optional, Union

import pytest

from atxfer._engine.record import read
from atxfer._operations.orders import Order
from atxfer.config import MIB
from atxfer.errors import Cancelled
from atxfer.model import Progress, Receipt
from atxfer.stores.base import UploadPlan
from atxfer.waiting import Wait
from tests.servers.s3 import S3Server
from tests.servers.tus import TusServer
from tests.stores.s3.conftest import _own_account
from tests.support.s3 import Bench as S3Bench
from tests.support.s3 import s3_bench
from tests.support.tusbench import CHUNK, TusBench, tus_bench
from tests.support.worlds import content

pytestmark = pytest.mark.interop
__all__ = ["_own_account"]

Bench = Union[TusBench, S3Bench]
Open = Callable[..., "contextlib.AbstractContextManager[Bench]"]

PARTS = 7


@pytest.fixture(params=["tusd", "tus_node", "versitygw", "moto_server"])
def server(request: pytest.FixtureRequest) -> Union[TusServer, S3Server]:
    """Give each server in turn."""
    given: Union[TusServer, S3Server] = request.getfixturevalue(request.param)
    return given


@pytest.fixture
def part(server: Union[TusServer, S3Server]) -> int:
    """Give the bytes of a chunk: S3 takes none that are smaller."""
    return CHUNK if isinstance(server, TusServer) else 5 * MIB


@pytest.fixture
def opens(server: Union[TusServer, S3Server], tmp_path: Path) -> Open:
    """Give what opens a client of the server, which keeps its journals here."""
    how: dict[str, Any] = {"state": tmp_path / "state", "progress_interval": 0.0}
    if isinstance(server, TusServer):
        url = server.url
        return lambda cap=3, **more: tus_bench(url, cap=cap, **how, **more)
    endpoint, bucket = server.url, server.new_bucket()
    return lambda cap=3, **more: s3_bench(endpoint, bucket, width=cap, **how, **more)


@pytest.fixture
def source(tmp_path: Path, part: int) -> Path:
    """Give a file of seven parts and a bit."""
    path = tmp_path / "a.bin"
    path.write_bytes(content(PARTS * part + 7))
    return path


def upload(bench: Bench, source: Path, until: Optional[int] = None) -> Receipt:
    """Upload a file, or so many parts of it."""
    transfers: list[Any] = []

    def stop(progress: Progress) -> None:
        if until is not None and progress.chunks >= until:
            transfers[0].cancel()

    def body(transfer: Any) -> Receipt:
        transfers.append(transfer)
        return bench.objects.upload(Order(source, None, None, stop), transfer)

    return bench.reach.engine.run(body, "up")


def interrupted(opens: Open, source: Path, **how: Any) -> None:
    """Leave an upload of which three parts are there at least, and the next may be torn."""
    with opens(cap=1, **how) as bench, pytest.raises(Cancelled):
        upload(bench, source, until=3)


def back(bench: Bench, receipt: Receipt) -> bytes:
    """Return what can be downloaded."""
    got = bench.download(receipt.link or receipt.file_id)
    return got if isinstance(got, bytes) else got[1]


def test_it_goes_on_where_it_ended(opens: Open, source: Path, part: int) -> None:
    """The rest is sent, and the bytes agree."""
    interrupted(opens, source)
    with opens() as bench:
        receipt = upload(bench, source)
        assert receipt.statistics.resumed_bytes >= 3 * part
        assert back(bench, receipt) == source.read_bytes()
    assert list((source.parent / "state").glob("*.journal")) == []


def test_it_can_be_interrupted_again_and_again(opens: Open, source: Path, part: int) -> None:
    """Each call adds what it could."""
    for until in range(2, PARTS):
        with opens() as bench, contextlib.suppress(Cancelled):
            upload(bench, source, until=until)
    with opens() as bench:
        receipt = upload(bench, source)
        assert receipt.statistics.resumed_bytes >= (PARTS - 1) * part
        assert back(bench, receipt) == source.read_bytes()


def test_an_upload_that_is_gone_begins_anew(opens: Open, source: Path) -> None:
    """The server has removed it."""
    interrupted(opens, source)
    with opens() as bench:
        # The server knows the upload by its token, which is in the journal.
        (journal,) = (source.parent / "state").glob("*.journal")
        record = read(journal.read_bytes())
        assert record is not None
        plan = UploadPlan(
            "x", source.stat().st_size, record.head.chunk_size, record.head.chunks, None
        )
        bench.store.open_upload(plan, Wait(), token=record.token).abort(Wait())
        receipt = upload(bench, source)
        assert receipt.statistics.resumed_bytes == 0
        assert back(bench, receipt) == source.read_bytes()


def test_another_content_is_never_merged(opens: Open, source: Path, part: int) -> None:
    """Same size, ends, time and inode: what is there of the first is left alone (M9)."""
    interrupted(opens, source)
    was = source.stat()
    with source.open("r+b") as stream:
        stream.seek(part + 100_000 % part)
        stream.write(b"another content")
    os.utime(source, ns=(was.st_atime_ns, was.st_mtime_ns))
    with opens() as bench:
        receipt = upload(bench, source)
        assert receipt.statistics.resumed_bytes == 0
        assert back(bench, receipt) == source.read_bytes()


def test_a_sealed_file_begins_anew(opens: Open, source: Path) -> None:
    """Its keys were in the process that is gone, and no journal holds a key."""
    interrupted(opens, source, encrypt=True)
    with opens(encrypt=True) as bench:
        receipt = upload(bench, source)
        assert receipt.statistics.resumed_bytes == 0
        assert back(bench, receipt) == source.read_bytes()
