"""Chunks in the AtTalk format: what is sent, for whom, and what shows of what comes back."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from atxfer._catalog.pairkeys import PairKey
from atxfer._crypto.primitives import (
    AES_BLOCK,
    aes_256_ctr_pkcs7_seal,
    base64_decode,
    base64_encode,
)
from atxfer._crypto.public_key import PublicKey
from atxfer._crypto.readers import Owner, RecordOpener
from atxfer._crypto.sharing import seal_text
from atxfer._format.base2e15 import encode
from atxfer._net.records import Records
from atxfer._net.relay import Relay
from atxfer._policy.sizing import chunks_per_read, chunks_per_request
from atxfer.atprotocol.errors import error_for
from atxfer.config import TransferConfig
from atxfer.errors import (
    AnswerMissing,
    ChunkCorrupt,
    ChunkMissing,
    FileExpired,
    ServerFault,
    TransferError,
)
from atxfer.model import Chunk
from atxfer.stores.attalk.own import AtTalkStore
from atxfer.stores.attalk.sealing import ChunkOpener, Copies
from atxfer.stores.attalk.shared import SharedDownload, shared_capabilities
from atxfer.stores.base import ChunksFailed, StoredFile, UploadPlan
from atxfer.waiting import Wait
from tests.support.pools import FakePool, Reply, missing
from tests.support.shelves import Shelf
from tests.support.vectors import alice_keys, public_der, rsa_private
from tests.support.worlds import content

ID = "1752597942549_9396"
STORED = StoredFile(ID, "@alice", 3)
PLAN = UploadPlan(ID, 20_000, 8192, 3, 86_400.0)
OWN_KEY = f"file_chunk_{ID}_0.attalk@alice"
BOBS_KEY = f"@bob:{OWN_KEY}"
BOB_PUBLIC = PublicKey("@bob", base64_encode(public_der("bob_encryption_private")))
PAIR_KEY = bytes(range(32))
BOB = PairKey("@bob", PAIR_KEY, BOB_PUBLIC.wrap(PAIR_KEY), BOB_PUBLIC.checksum)
OWNER = Owner(alice_keys().self_key)
DATA = content(8192)


def copies(*pairs: PairKey) -> Copies:
    """Return for whom chunks are written: @alice, and these."""
    return Copies("@alice", "attalk", [OWNER, *pairs])


def store_on(pool: FakePool, *pairs: PairKey, **config: Any) -> AtTalkStore:
    """Return a store of @alice's."""
    records = Records(pool)  # type: ignore[arg-type]
    return AtTalkStore(records, copies(*pairs), TransferConfig().but(**config))


def put(pool: FakePool, *pairs: PairKey, count: int = 1) -> None:
    """Store chunks, as the engine does."""
    store = store_on(pool, *pairs)
    sealed = [store.copies.seal(Chunk(index, DATA)) for index in range(count)]
    store.open_upload(PLAN).put(sealed, Wait())


# --- up


def test_a_chunk_is_the_line_that_the_dart_client_sends() -> None:
    """Its metadata in the one order, its key, and 17,496 characters."""
    pool = FakePool()
    put(pool)
    (line,) = pool.requests
    assert re.fullmatch(
        "update:ttl:86400000:isBinary:true:isEncrypted:true:ivNonce:[A-Za-z0-9+/]{22}==:"
        rf"{re.escape(OWN_KEY)} [A-Za-z0-9+/]{{17494}}==",
        line,
    )


def test_a_recipient_gets_a_record_of_their_own() -> None:
    """With the key and its checksum, and without a ttr: a pushed copy is binary no more."""
    shelf = Shelf()
    put(FakePool(shelf), BOB)
    assert set(shelf.records) == {OWN_KEY, BOBS_KEY}
    _, metadata = shelf.records[BOBS_KEY]
    nonce = metadata.pop("ivNonce")
    assert metadata == {
        "ttl": 86_400_000,
        "isBinary": True,
        "isEncrypted": True,
        "sharedKeyEnc": BOB.wrapped,
        "pubKeyCS": BOB.checksum,
    }
    assert nonce != shelf.records[OWN_KEY][1]["ivNonce"]


def test_every_reader_opens_the_same_bytes() -> None:
    """@alice with her key, @bob with what his record carries."""
    shelf = Shelf()
    put(FakePool(shelf), BOB)
    own = ChunkOpener(RecordOpener(alice_keys()), STORED, "attalk")
    assert own.open(sealed(shelf, OWN_KEY)).data == DATA
    assert bobs_opener().open(sealed(shelf, BOBS_KEY)).data == DATA


def bobs_opener() -> ChunkOpener:
    """Return what opens @alice's chunks for @bob."""
    bob = replace(
        alice_keys(), atsign="@bob", encryption_private=rsa_private("bob_encryption_private")
    )
    return ChunkOpener(RecordOpener(bob), STORED, "attalk", "@bob")


def sealed(shelf: Shelf, key: str) -> Chunk:
    """Return chunk 0 as it comes from a server."""
    value, metadata = shelf.records[key]
    return Chunk(0, json.dumps({"key": key, "data": value, "metaData": metadata}).encode())


def test_a_repetition_sends_the_same_bytes() -> None:
    """A chunk is encrypted once, for all its readers."""
    pool = FakePool()
    store = store_on(pool, BOB)
    chunk = store.copies.seal(Chunk(0, DATA))
    for _ in range(2):
        store.open_upload(PLAN).put([chunk], Wait())
    first, second = pool.requests
    assert first == second


def test_two_sealings_never_share_a_nonce() -> None:
    """Or the difference of two chunks would show."""
    seen = {copies().seal(Chunk(0, DATA)).data[:AES_BLOCK] for _ in range(50)}
    assert len(seen) == 50


@pytest.mark.parametrize("key", [f"file_chunk_{ID}_1.attalk", f"@bob:file_chunk_{ID}_1.attalk"])
def test_a_chunk_has_failed_if_one_of_its_records_has(key: str) -> None:
    """The others are not sent again."""
    answer = error_for("AT0011", "x")
    pool = FakePool(lambda line: answer if f":{key}@alice " in line else "5")
    with pytest.raises(ChunksFailed) as caught:
        put(pool, BOB, count=3)
    assert list(caught.value.failures) == [1]
    assert caught.value.failures[1].retryable


def test_a_command_left_out_or_answered_with_null_has_failed() -> None:
    """Neither was stored."""
    with pytest.raises(ChunksFailed) as caught:
        put(FakePool(lambda line: "null" if "_2.attalk" in line else "5", left_out=(1,)), count=3)
    failures = caught.value.failures
    assert isinstance(failures[0], AnswerMissing)
    assert isinstance(failures[2], ServerFault)


@pytest.mark.parametrize("recipients", range(6))
def test_a_request_stays_under_its_limit(recipients: int) -> None:
    """The line of a full request is at most max_request_bytes, however many read."""
    pairs = [replace(BOB, recipient=f"@{'x' * 40}{number}") for number in range(recipients)]
    pool = FakePool()
    store = store_on(pool, *pairs)
    count = chunks_per_request(8192, store.capabilities)
    chunks = [store.copies.seal(Chunk(100_000 + n, DATA)) for n in range(count)]
    store.open_upload(PLAN).put(chunks, Wait())
    (line,) = pool.requests
    assert 90_000 < len(line) <= 180_000


def test_more_readers_than_fit_have_several_requests() -> None:
    """One after another, none of them too large, and each record once."""
    pairs = [replace(BOB, recipient=f"@bob{number}") for number in range(25)]
    shelf = Shelf()
    pool = FakePool(shelf)
    put(pool, *pairs)
    assert len(shelf.records) == 26
    assert len(pool.requests) == 3
    assert max(len(line) for line in pool.requests) <= 180_000


def test_a_file_of_the_original_system_is_one_chunk_a_request() -> None:
    """``original()`` says so."""
    store = store_on(FakePool())
    assert chunks_per_request(8192, store.capabilities, 1) == 1


def test_stored_tells_what_is_there_for_all() -> None:
    """A record that is missing or expired is a chunk that is not held."""

    def reply(line: str) -> Reply:
        if "@bob:" in line and "_0." in line:
            return missing()
        return "null" if "_1." in line else "{}"

    upload = store_on(FakePool(reply), BOB).open_upload(PLAN)
    assert upload.stored(range(3), Wait()) == {2}


# --- down, by the owner


def test_the_owner_reads_many_chunks_in_a_request() -> None:
    """In one ``batch:``, in the order asked for."""
    shelf = Shelf()
    pool = FakePool(shelf)
    put(pool, count=3)
    pool.requests.clear()
    store = store_on(pool)
    chunks = store.open_download(STORED).get([2, 0], Wait())
    assert [chunk.index for chunk in chunks] == [2, 0]
    assert pool.requests[0].count("llookup:all:") == 2
    opener = ChunkOpener(RecordOpener(alice_keys()), STORED, "attalk")
    assert [opener.open(chunk).data for chunk in chunks] == [DATA, DATA]


def test_an_answer_stays_under_its_limit() -> None:
    """What the owner reads in one request is not much more than 360,000 bytes."""
    shelf = Shelf()
    put(FakePool(shelf), BOB)
    count = chunks_per_read(8192, store_on(FakePool()).capabilities)
    answer = json.dumps(sealed(shelf, OWN_KEY).data.decode())
    assert 250_000 < count * len(answer) <= 360_000


@pytest.mark.parametrize(("reply", "error"), [(missing(), ChunkMissing), ("null", FileExpired)])
def test_a_chunk_that_cannot_be_had_says_why(reply: Reply, error: type[TransferError]) -> None:
    """Gone and expired are two errors, and each names the chunk."""
    pool = FakePool(lambda line: reply if "_2." in line else "{}")
    with pytest.raises(error) as caught:
        store_on(pool).open_download(STORED).get([0, 2], Wait())
    assert caught.value.chunk == 2


# --- down, by a recipient


def shared_from(reply: Reply) -> Chunk:
    """Read chunk 0 as @bob, whose server answers this."""
    relay = Relay(FakePool(lambda line: reply))  # type: ignore[arg-type]
    (chunk,) = SharedDownload(relay, bobs_opener()).get([0], Wait())
    return chunk


def test_a_recipient_asks_one_by_one() -> None:
    """Answers get mixed up otherwise (facts §7)."""
    assert not shared_capabilities(TransferConfig()).parallel
    pool = FakePool(lambda line: "{}")
    relay = Relay(pool)  # type: ignore[arg-type]
    SharedDownload(relay, bobs_opener()).get([0, 1], Wait())
    assert pool.requests == [f"lookup:all:file_chunk_{ID}_{i}.attalk@alice" for i in range(2)]


def test_a_recipient_is_told_what_has_expired() -> None:
    """The own server makes AT0015 of it, with the other's answer in its words."""
    words = "key not found : remoteLookUp: remote atServer returned String value 'null' for x@alice"
    with pytest.raises(FileExpired, match="a day at most"):
        shared_from(error_for("AT0015", words))


def test_a_recipient_is_told_what_was_never_shared() -> None:
    """With whose it is, and what to do."""
    with pytest.raises(ChunkMissing, match="@alice has no chunk 0 of this file for @bob") as caught:
        shared_from(error_for("AT0015", "key not found : Exception: x does not exist"))
    assert "uploaded again" in caught.value.remedy


# --- what shows


def record(content: bytes = DATA, **changes: Any) -> Chunk:
    """Return chunk 0 as it comes to @alice from her server, with some members changed."""
    value, iv_nonce = seal_text(OWNER.key, encode(content))
    found = {"key": OWN_KEY, "data": value, "metaData": {"ivNonce": iv_nonce}}
    return Chunk(0, json.dumps({**found, **changes}).encode())


def opened(chunk: Chunk) -> bytes:
    """Open a chunk as @alice."""
    return ChunkOpener(RecordOpener(alice_keys()), STORED, "attalk").open(chunk).data


@pytest.mark.parametrize("size", [1, 2, 15, 5000, 8192, 100_000])
def test_a_chunk_of_any_length_opens(size: int) -> None:
    """The format's own writers cut at 8 KiB; a reader doesn't mind."""
    assert opened(record(content(size))) == content(size)


def test_a_record_without_a_nonce_has_one_of_zeros() -> None:
    """As the Dart client writes by default, which we read and never write."""
    value = aes_256_ctr_pkcs7_seal(OWNER.key, bytes(16), encode(DATA).encode())
    assert opened(record(metaData={}, data=base64_encode(value))) == DATA


def test_a_copy_on_the_own_server_is_the_same_record() -> None:
    """Its key begins with cached: where somebody wrote a ttr."""
    shelf = Shelf()
    put(FakePool(shelf), BOB)
    value, metadata = shelf.records[BOBS_KEY]
    found = {"key": f"cached:{BOBS_KEY}", "data": value, "metaData": metadata}
    assert bobs_opener().open(Chunk(0, json.dumps(found).encode())).data == DATA


@pytest.mark.parametrize(
    "changes",
    [
        {"key": f"file_chunk_{ID}_1.attalk@alice"},
        {"key": f"file_chunk_{ID}_0.attalk@bob"},
        {"key": f"file_chunk_{ID}_0.other@alice"},
        {"key": BOBS_KEY},
        {"key": "no key"},
        {"key": None},
        {"data": None},
        {"data": "no base64!"},
        {"data": "AAAA"},
        {"data": base64_encode(bytes(64))},
        {"metaData": {}},
        {"metaData": None},
        {"metaData": {"ivNonce": 3}},
    ],
)
def test_another_record_or_a_damaged_one_shows(changes: dict[str, Any]) -> None:
    """Each is ChunkCorrupt, so that the chunk is asked for once more."""
    with pytest.raises(ChunkCorrupt):
        opened(record(**changes))


@pytest.mark.parametrize("text", ["hello", encode(DATA) + "!", base64_encode(DATA)])
def test_what_is_no_base2e15_shows(text: str) -> None:
    """The Dart client gives zero bytes for base64, without an error; this does not."""
    value, iv_nonce = seal_text(OWNER.key, text)
    with pytest.raises(ChunkCorrupt, match="something else than bytes"):
        opened(record(metaData={"ivNonce": iv_nonce}, data=value))


def test_a_shared_record_without_its_key_shows() -> None:
    """Nothing can open it."""
    shelf = Shelf()
    put(FakePool(shelf), BOB)
    del shelf.records[BOBS_KEY][1]["sharedKeyEnc"]
    with pytest.raises(ChunkCorrupt, match="no key"):
        bobs_opener().open(sealed(shelf, BOBS_KEY))


def test_half_a_record_shows() -> None:
    """A value that was cut off has no padding at its end."""
    chunk = record()
    found = json.loads(chunk.data)
    cut = base64_encode(base64_decode(found["data"])[:6000])
    with pytest.raises(ChunkCorrupt):
        opened(Chunk(0, json.dumps({**found, "data": cut}).encode()))


def test_the_record_of_another_chunk_shows() -> None:
    """Servers that mix answers up give it under the key that was asked for."""
    opener = ChunkOpener(RecordOpener(alice_keys()), STORED, "attalk")
    first = record()
    assert opener.open(first).data == opener.open(first).data == DATA
    found = {**json.loads(first.data), "key": f"file_chunk_{ID}_1.attalk@alice"}
    with pytest.raises(ChunkCorrupt, match="the record of chunk 0"):
        opener.open(Chunk(1, json.dumps(found).encode()))


def test_equal_chunks_of_a_writer_without_nonces_are_no_mistake() -> None:
    """Their records are equal, too, and so is what they hold."""
    opener = ChunkOpener(RecordOpener(alice_keys()), STORED, "attalk")
    value = aes_256_ctr_pkcs7_seal(OWNER.key, bytes(16), encode(DATA).encode())
    first = record(metaData={}, data=base64_encode(value))
    found = {**json.loads(first.data), "key": f"file_chunk_{ID}_1.attalk@alice"}
    opener.open(first)
    assert opener.open(Chunk(1, json.dumps(found).encode())).data == DATA
