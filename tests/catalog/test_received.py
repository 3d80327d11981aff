"""What others share with us: what is asked, what every kind of answer means, what is believed."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from typing import Any

import pytest

from atxfer._catalog.received import Received, SealedShare, file_id_of
from atxfer._crypto.primitives import RSAPrivateKey, rsa_sign_sha256
from atxfer._crypto.public_key import PublicKey
from atxfer._crypto.sharing import seal_text, wrap_key
from atxfer._format.manifest import Manifest, new_file_id
from atxfer._net.records import Records
from atxfer._net.relay import Relay
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.metadata import Metadata
from atxfer.errors import (
    AnswerMissing,
    FileExpired,
    ManifestInvalid,
    NotShared,
    ProtocolViolation,
    ServerFault,
    SharedKeyUnreadable,
    TransferError,
)
from atxfer.waiting import Wait
from tests.support.pools import FakePool, Reply, missing
from tests.support.shares import a_manifest
from tests.support.vectors import alice_keys, platform_vectors, rsa_private

# The vectors have @alice's keys; so it is she who is shared with, and @bob who shares.
ID = "ucq2fi5euwtkpkfjvkv2zlnov4"  # the same in every run, as the names of tests must be
KEY = AtKey.shared(f"{ID}.files", "@bob", "@alice")
COPY = f"cached:@alice:{ID}.files.atxfer@bob"
PAIR = bytes(range(32))
BOB = rsa_private("bob_encryption_private")
MANIFEST = a_manifest("@bob", file_id=ID, shared_at=1_700_000_100.0)


def sign(data: bytes) -> bytes:
    """Sign as @bob."""
    return rsa_sign_sha256(BOB, data)


def verify(signature: bytes, data: bytes) -> bool:
    """Verify what @bob signed."""
    return PublicKey("@bob", platform_vectors()["rsa_keys"]["bob_encryption_public"]).verify(
        signature, data
    )


def wrapped(key: bytes = PAIR) -> str:
    """Return a pair key as it is handed to @alice."""
    return wrap_key(key, rsa_private("alice_encryption_private").public_key())


def record(manifest: Manifest = MANIFEST, *, key: bytes = PAIR, **changes: Any) -> str:
    """Return a share as a server answers it."""
    value, iv_nonce = seal_text(key, manifest.to_text(sign))
    metadata = {"sharedKeyEnc": wrapped(key), "ivNonce": iv_nonce, "isEncrypted": True}
    metadata["expiresAt"] = "2026-11-24 07:10:22.982Z"
    metadata = {name: v for name, v in {**metadata, **changes}.items() if v is not None}
    return json.dumps({"key": "k", "data": value, "metaData": metadata})


def received_on(pool: FakePool) -> Received:
    """Return what others share with @alice."""
    records, relay = Records(pool), Relay(pool)  # type: ignore[arg-type]
    return Received(records, relay, alice_keys())


def sealed(text: str) -> SealedShare:
    """Return a share that a server answered so."""
    return received_on(FakePool(lambda line: text)).read("@bob", ID, Wait())


# --- keys


def test_copies_are_listed_by_one_scan() -> None:
    """What the expression lets through beyond that is left out; it must hold no colon."""
    other = new_file_id()
    listed = [
        COPY,
        f"cached:@alice:{other}.files.atxfer@carol",
        f"@alice:{ID}.files.atxfer@bob",
        f"cached:@alice2:{ID}.files.atxfer@bob",
        "cached:@alice:x.files.atxfer@bob",
        f"cached:public:{ID}.files.atxfer@bob",
        "cached:@alice:shared_key@bob",
    ]
    pool = FakePool(lambda line: json.dumps(listed))
    found = received_on(pool).keys(Wait())
    assert found == [KEY, AtKey.shared(f"{other}.files", "@carol", "@alice")]
    assert pool.requests == [r"scan cached.@alice.*\.files\.atxfer@"]


def test_an_owner_s_server_is_asked_by_ours() -> None:
    """It names its keys without the recipient; other keys than files' are left out."""
    listed = [f"{ID}.files.atxfer@bob", "shared_key@bob", "x.files.atxfer@bob"]
    pool = FakePool(lambda line: json.dumps(listed))
    assert received_on(pool).keys_at("@bob", Wait()) == [KEY]
    assert pool.requests == [r"scan:@bob \.files\.atxfer@"]


def test_nothing_shared_is_an_empty_list() -> None:
    """A server answers null for it."""
    assert received_on(FakePool(lambda line: "null")).keys_at("@bob", Wait()) == []


def test_a_list_of_another_owner_s_keys_is_an_answer_to_something_else() -> None:
    """It is tried again."""
    pool = FakePool(lambda line: json.dumps([f"{ID}.files.atxfer@carol"]))
    with pytest.raises(ServerFault, match="@bob") as caught:
        received_on(pool).keys_at("@bob", Wait())
    assert caught.value.retryable


@pytest.mark.parametrize("answer", ["no json", "{}"])
def test_a_list_that_is_none_is_an_error(answer: str) -> None:
    """Not an empty list: shares must not seem to be gone."""
    received = received_on(FakePool(lambda line: answer))
    for ask in (received.keys, lambda wait: received.keys_at("@bob", wait)):
        with pytest.raises(ProtocolViolation):
            ask(Wait())


@pytest.mark.parametrize(
    "text", [f"@alice:{ID}.files.atxfer@bob", f"@ALICE:{ID.upper()}.files.atxfer@Bob"]
)
def test_the_key_of_a_notification(text: str) -> None:
    """However it is written."""
    assert received_on(FakePool()).maybe_key(text) == KEY


@pytest.mark.parametrize(
    "text",
    [COPY, f"@carol:{ID}.files.atxfer@bob", f"{ID}.files.atxfer@bob", "@alice:hello", "", "a b"],
)
def test_a_notification_of_something_else(text: str) -> None:
    """Nothing that another program sends is taken for a share."""
    assert received_on(FakePool()).maybe_key(text) is None


@pytest.mark.parametrize(
    "name", [f"{ID}.file", f"{ID}.files.x", f"x{ID}.files", f"_{ID}.files", ".files", ID]
)
def test_only_the_keys_of_files_have_a_file_id(name: str) -> None:
    """A name has exactly one form."""
    assert file_id_of(AtKey.shared(name, "@bob", "@alice")) is None
    assert file_id_of(KEY) == ID


# --- records


def test_several_are_read_in_one_request() -> None:
    """Those that are gone, or whose time is over, are not in the answer."""
    keys = [AtKey.shared(f"{new_file_id()}.files", "@bob", "@alice") for _ in range(2)]
    replies: list[Reply] = [record(), missing(), "null"]
    pool = FakePool(lambda line: replies.pop(0))
    shares = received_on(pool).read_many([KEY, *keys], Wait())
    assert list(shares) == [KEY]
    assert shares[KEY].metadata.expires_at == pytest.approx(1_795_504_222.982)
    assert len(pool.requests) == 1
    assert f"llookup:all:{COPY}" in pool.requests[0]


def test_a_server_that_leaves_one_out_did_not_say_that_it_is_gone() -> None:
    """The request is to be sent again."""
    pool = FakePool(lambda line: record(), left_out=(2,))
    other = AtKey.shared(f"{new_file_id()}.files", "@bob", "@alice")
    with pytest.raises(AnswerMissing):
        received_on(pool).read_many([KEY, other], Wait())


def test_a_record_that_is_none_does_not_hide_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is left out, and told by a warning."""
    other = AtKey.shared(f"{new_file_id()}.files", "@bob", "@alice")
    replies: list[Reply] = ["no json", record()]
    with caplog.at_level(logging.WARNING, logger="atxfer.catalog"):
        shares = received_on(FakePool(lambda line: replies.pop(0))).read_many([KEY, other], Wait())
    assert list(shares) == [other]
    assert ID in caplog.text


def test_the_own_copy_comes_first() -> None:
    """Then nobody else is asked."""
    pool = FakePool(lambda line: record())
    assert received_on(pool).read("@bob", ID, Wait()).key == KEY
    assert pool.requests == [f"llookup:all:{COPY}"]


def test_without_a_copy_the_owner_s_server_is_asked() -> None:
    """Through ours, past its cache."""
    pool = FakePool(lambda line: missing() if line.startswith("llookup") else record())
    assert received_on(pool).read("@bob", ID, Wait()).key == KEY
    assert pool.requests[1:] == [f"lookup:bypassCache:true:all:{ID}.files.atxfer@bob"]


@pytest.mark.parametrize(
    ("copy", "original", "error"),
    [
        (missing(), missing(), NotShared),
        (missing(), "null", FileExpired),
        ("null", missing(), FileExpired),
        ("null", "null", FileExpired),
        ("no json", missing(), ManifestInvalid),
    ],
)
def test_what_is_not_there(copy: Reply, original: Reply, error: type[TransferError]) -> None:
    """Not shared, or not any more; and the error names the file."""
    pool = FakePool(lambda line: copy if line.startswith("llookup") else original)
    with pytest.raises(error) as caught:
        received_on(pool).read("@bob", ID, Wait())
    assert caught.value.file_id == ID


def test_a_copy_that_has_expired_may_have_been_renewed() -> None:
    """The original is what counts."""
    pool = FakePool(lambda line: "null" if line.startswith("llookup") else record())
    assert received_on(pool).read("@bob", ID, Wait()).key == KEY


def test_others_servers_are_asked_one_at_a_time() -> None:
    """By all clients of one atSign in a process: answers get mixed up otherwise (facts §7)."""
    lock, met, inside = threading.Lock(), threading.Event(), [0]

    def reply(line: str) -> Reply:
        with lock:
            inside[0] += 1
            if inside[0] > 1:
                met.set()
        met.wait(0.1)  # for another, who is not to come
        with lock:
            inside[0] -= 1
        return record() if line.startswith("lookup") else "[]"

    def ask() -> None:
        received = received_on(FakePool(reply))
        received.read_from_owner("@bob", ID, Wait())
        received.keys_at("@bob", Wait())

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not met.is_set()


def test_a_pair_key_that_the_record_leaves_out() -> None:
    """Other clients keep it apart: in a copy, or on the owner's server."""
    texts = {"llookup:all": record(sharedKeyEnc=None), "llookup:cached": wrapped()}
    pool = FakePool(lambda line: texts[line[: line.index(":", 8)]])
    received = received_on(pool)
    assert received.open(received.read("@bob", ID, Wait()), verify).manifest == MANIFEST
    assert pool.requests[1] == "llookup:cached:@alice:shared_key@bob"

    replies: list[Reply] = [record(sharedKeyEnc=None), missing(), wrapped()]
    pool = FakePool(lambda line: replies.pop(0))
    received = received_on(pool)
    assert received.open(received.read("@bob", ID, Wait()), verify).manifest == MANIFEST
    assert pool.requests[2] == "lookup:bypassCache:true:shared_key@bob"


def test_a_pair_key_that_is_nowhere() -> None:
    """The share can't be opened, and the error says whom to ask."""
    replies: list[Reply] = [record(sharedKeyEnc=None), missing(), missing()]
    received = received_on(FakePool(lambda line: replies.pop(0)))
    share = received.read("@bob", ID, Wait())
    with pytest.raises(SharedKeyUnreadable) as caught:
        received.open(share, verify)
    assert "@bob" in caught.value.remedy


def test_a_pair_key_that_is_none() -> None:
    """What a mixed-up answer holds is no key."""
    replies: list[Reply] = [record(sharedKeyEnc=None), missing(), "hello world"]
    with pytest.raises(SharedKeyUnreadable):
        received_on(FakePool(lambda line: replies.pop(0))).read("@bob", ID, Wait())


# --- opening


def test_an_opened_share_is_what_was_shared() -> None:
    """With the end that its record has."""
    entry = received_on(FakePool()).open(sealed(record()), verify)
    assert entry.manifest == MANIFEST
    assert entry.expires_at == pytest.approx(1_795_504_222.982)
    assert entry.shared_file().shared_at == 1_700_000_100.0


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (record(a_manifest("@bob")), ManifestInvalid),
        (record(replace(MANIFEST, owner="@carol")), ManifestInvalid),
        (record(ivNonce="AAAAAAAAAAAAAAAAAAAAAA=="), ManifestInvalid),
        (record(sharedKeyEnc=wrapped(bytes(32))), ManifestInvalid),
        (record(sharedKeyEnc="AAAA"), SharedKeyUnreadable),
        ('{"data":"TUlJQklqQU5CZ2tx","metaData":{"sharedKeyEnc":"AAAA"}}', SharedKeyUnreadable),
    ],
    ids=["another file", "another owner", "nonce", "another key", "no key", "a public key"],
)
def test_what_is_not_the_share_is_not_believed(text: str, error: type[TransferError]) -> None:
    """Wherever it came from; the error names the file that was asked for."""
    with pytest.raises(error) as caught:
        received_on(FakePool()).open(sealed(text), verify)
    assert caught.value.file_id == ID


def test_another_s_signature_is_not_believed() -> None:
    """Only the owner can share."""
    with pytest.raises(ManifestInvalid, match="signed"):
        received_on(FakePool()).open(sealed(record()), alice_keys().verify_data)


def test_a_key_that_many_shares_have_is_unwrapped_once() -> None:
    """It takes a millisecond each time."""
    used: list[None] = []

    class Counting:
        atsign = "@alice"

        @property
        def encryption_private(self) -> RSAPrivateKey:
            used.append(None)
            return alice_keys().encryption_private

    pool = FakePool()
    records, relay = Records(pool), Relay(pool)  # type: ignore[arg-type]
    received = Received(records, relay, Counting())  # type: ignore[arg-type]
    share = sealed(record())
    for _ in range(3):
        received.open(share, verify)
    assert len(used) == 1


def test_what_is_sealed_is_not_shown() -> None:
    """Neither value nor key appear in what is printed of a share."""
    share = SealedShare(KEY, "VALUE", Metadata(shared_key_enc="WRAPPED"))
    assert str(KEY.entity) in repr(share)
    assert "VALUE" not in repr(share)
    assert "WRAPPED" not in repr(share)
