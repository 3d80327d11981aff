"""Chunks on an atServer: what is sent, and what every kind of answer means."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from atxfer._net.records import Records
from atxfer._policy.sizing import choose_chunk_size, chunks_per_request
from atxfer.atprotocol.errors import error_for
from atxfer.config import KIB, MIB, TransferConfig
from atxfer.devserver.clock import timestamp
from atxfer.errors import (
    AnswerMissing,
    ChunkCorrupt,
    ChunkMissing,
    FileExpired,
    RetryableError,
    ServerFault,
    TransferError,
)
from atxfer.model import Chunk
from atxfer.stores.atserver import AtServerStore
from atxfer.stores.base import ChunksFailed, StoredFile, UploadPlan
from atxfer.waiting import Wait
from tests.support.pools import FakePool, missing

ID = "ucq2fi5euwtkpkfjvkv2zlnov4"
STORED = StoredFile(ID, "@alice", 3)


def store_on(pool: FakePool, **config: Any) -> AtServerStore:
    """Return a store of @alice's."""
    records = Records(pool)  # type: ignore[arg-type]
    return AtServerStore(records, "@alice", TransferConfig().but(**config))


def put(pool: FakePool, count: int = 3, ttl: float | None = 60.0) -> None:
    """Store chunks in one request."""
    upload = store_on(pool).open_upload(UploadPlan(ID, 30, 10, 3, ttl), Wait())
    upload.put([Chunk(index, b"sealed") for index in range(count)], Wait())


def test_a_chunk_lies_under_a_hidden_public_key_with_an_hour_to_spare() -> None:
    """One underscore, base64, and a time to live an hour longer than the manifest's."""
    pool = FakePool()
    put(pool, count=1)
    value = base64.b64encode(b"sealed").decode()
    assert pool.requests == [f"update:ttl:3660000:public:_0.{ID}.atxfer@alice {value}"]


def test_without_an_end_the_chunk_has_none() -> None:
    """ttl=None is sent as 0, which also clears what an earlier record left."""
    pool = FakePool()
    put(pool, count=1, ttl=None)
    assert pool.requests[0].startswith("update:ttl:0:public:")


def test_chunks_that_failed_are_told_apart_from_those_that_did_not() -> None:
    """One failing command of a batch is one failing chunk."""
    pool = FakePool(lambda line: error_for("AT0011", "x") if ":_1." in line else "-1")
    with pytest.raises(ChunksFailed) as caught:
        put(pool)
    assert list(caught.value.failures) == [1]
    assert caught.value.failures[1].retryable


def test_a_command_without_an_answer_has_failed() -> None:
    """What fits no syntax is left out of the answer without a word (facts §6)."""
    with pytest.raises(ChunksFailed) as caught:
        put(FakePool(left_out=(3,)))
    assert isinstance(caught.value.failures[2], AnswerMissing)


def test_an_update_answered_with_null_was_not_stored() -> None:
    """The server swallows what goes wrong in its data store, and answers null."""
    with pytest.raises(ChunksFailed) as caught:
        put(FakePool(lambda line: "null" if ":_2." in line else "-1"))
    assert isinstance(caught.value.failures[2], ServerFault)


def get(pool: FakePool) -> list[Chunk]:
    """Read the first and the last chunk in one request."""
    download = store_on(pool).open_download(STORED, Wait())
    return list(download.get([0, 2], Wait()))


def test_chunks_come_back_in_the_order_asked_for() -> None:
    """Index and content belong together."""
    pool = FakePool(lambda line: base64.b64encode(line.encode()).decode())
    assert [chunk.index for chunk in get(pool)] == [0, 2]
    assert get(pool)[1].data.endswith(f"public:_2.{ID}.atxfer@alice".encode())


@pytest.mark.parametrize(
    ("reply", "error"),
    [(missing(), ChunkMissing), ("null", FileExpired), ("no base64!", ChunkCorrupt)],
)
def test_a_chunk_that_cannot_be_had_says_why(
    reply: str | TransferError, error: type[TransferError]
) -> None:
    """Gone, expired and damaged are three errors, and each names the chunk."""
    with pytest.raises(error) as caught:
        get(FakePool(lambda line: reply if ":_2." in line else "AAAA"))
    assert caught.value.chunk == 2


def test_extend_asks_first_what_is_there() -> None:
    """update:meta would make an empty record for a chunk that is gone."""
    pool = FakePool(lambda line: missing() if ":_1." in line else "{}")
    with pytest.raises(ChunkMissing) as caught:
        store_on(pool).extend(STORED, range(3), 60.0, Wait())
    assert caught.value.chunk == 1
    assert not any("update:meta" in request for request in pool.requests)


def test_a_failure_that_passes_is_not_a_missing_chunk() -> None:
    """What the server could not say just now may be asked again; nothing is called gone for it."""
    pool = FakePool(lambda line: error_for("AT0011", "x") if ":_1." in line else "{}")
    with pytest.raises(RetryableError):
        store_on(pool).extend(STORED, range(3), 60.0, Wait())


def test_extend_renews_every_chunk_with_an_hour_to_spare() -> None:
    """Two requests: what is there, and the new end."""
    pool = FakePool()
    store_on(pool).extend(STORED, range(3), 60.0, Wait())
    asked, renewed = pool.requests
    assert asked.count("llookup:meta:") == 3
    assert renewed.count(":ttl:3660000") == 3


def test_stored_tells_what_the_server_holds() -> None:
    """Missing and expired chunks are not held."""
    pool = FakePool(
        lambda line: missing() if ":_0." in line else "null" if ":_1." in line else "{}"
    )
    upload = store_on(pool).open_upload(UploadPlan(ID, 30, 10, 3, None), Wait())
    assert upload.stored(range(3), Wait()) == {2}


class Clocked:
    """A pool whose chunks end at some second; those that are renewed end at 10,000."""

    def __init__(self, ends: dict[int, float | None]) -> None:
        self.ends = ends
        self.renewed: list[int] = []
        self.pool = FakePool(self._reply)

    def _reply(self, line: str) -> str:
        index = int(line.partition("public:_")[2].partition(".")[0])
        if line.startswith("update:meta"):
            self.renewed.append(index)
            self.ends[index] = None if ":ttl:0" in line else 10_000.0
        end = self.ends[index]
        return "{}" if end is None else json.dumps({"expiresAt": timestamp(int(end * 1000))})

    def stored(self, ttl: float | None = 60.0) -> frozenset[int]:
        """Ask for all."""
        chunks = len(self.ends)
        plan = UploadPlan(ID, 10 * chunks, 10, chunks, ttl)
        return store_on(self.pool).open_upload(plan, Wait()).stored(range(chunks), Wait())


def test_stored_renews_chunks_that_are_old() -> None:
    """Those stored more than twenty minutes ago, by the server's clock; one to compare with."""
    clocked = Clocked({0: 8799.0, 1: 8799.0, 2: 8801.0, 3: 9999.0})
    assert clocked.stored() == {0, 1, 2, 3}
    assert clocked.renewed == [0, 1]
    again = Clocked({0: 8801.0, 1: 9000.0})
    assert again.stored() == {0, 1}
    assert again.renewed == [0]


def test_stored_gives_chunks_the_end_that_the_file_will_have() -> None:
    """None, where it will have none; and one to those that had none."""
    clocked = Clocked({0: 9999.0, 1: None, 2: 9999.0})
    clocked.stored(ttl=None)
    assert sorted(clocked.renewed) == [0, 2]
    limited = Clocked({0: None, 1: 9999.0, 2: None})
    limited.stored()
    assert sorted(limited.renewed) == [0, 1, 2]


def test_renewals_share_requests_that_are_answered_in_time() -> None:
    """Each costs the server as much as storing the chunk: 256 at a time would be a time-out."""
    clocked = Clocked(dict.fromkeys(range(50), 1.0))
    clocked.stored()
    sizes = [request.count("update:meta") for request in clocked.pool.requests]
    assert sizes == [0, 1, 0, 16, 16, 16, 1]
    assert sorted(clocked.renewed) == list(range(50))


def test_stored_does_not_guess() -> None:
    """A command without an answer says nothing about its chunk."""
    upload = store_on(FakePool(left_out=(1,))).open_upload(UploadPlan(ID, 30, 10, 3, None), Wait())
    with pytest.raises(AnswerMissing):
        upload.stored(range(3), Wait())


def test_delete_is_one_request() -> None:
    """Chunks are removed together."""
    pool = FakePool()
    store_on(pool).delete(STORED, range(3), Wait())
    assert len(pool.requests) == 1
    assert pool.requests[0].count("delete:public:_") == 3


@pytest.mark.parametrize(
    ("size", "chunk_size"),
    [
        (0, 8 * KIB),
        (256 * KIB, 8 * KIB),
        (256 * KIB + 1, 32 * KIB),
        (64 * MIB, 32 * KIB),
        (64 * MIB + 1, 64 * KIB),
        (128 * MIB + 1, 128 * KIB),
        (1024 * MIB, 128 * KIB),
    ],
)
def test_the_chunk_size_suits_the_file(size: int, chunk_size: int) -> None:
    """Design §7: small ones write fast, large ones read fast."""
    assert choose_chunk_size(size, store_on(FakePool()).capabilities, overhead=28) == chunk_size


@pytest.mark.parametrize("chunk_size", [8 * KIB, 32 * KIB, 64 * KIB, 128 * KIB])
def test_a_request_stays_under_its_limit(chunk_size: int) -> None:
    """The line of a full request is at most max_request_bytes, keys and JSON included."""
    pool = FakePool()
    store = store_on(pool)
    count = chunks_per_request(chunk_size + 28, store.capabilities)
    upload = store.open_upload(UploadPlan(ID, 1 << 40, chunk_size, 1 << 20, 1e9), Wait())
    first = 10_000_000
    upload.put([Chunk(first + n, bytes(chunk_size + 28)) for n in range(count)], Wait())
    assert 120_000 < len(pool.requests[0]) <= 180_000
