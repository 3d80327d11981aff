"""The key shared with one other atSign: found before it is made, and never for the wrong one."""

from __future__ import annotations

import json
import logging
import threading

import pytest

from atxfer._catalog.pairkeys import PairKey, PairKeys
from atxfer._crypto.primitives import base64_encode, random_bytes
from atxfer._crypto.public_key import PublicKey
from atxfer._crypto.sharing import unwrap_key
from atxfer._net.records import Records
from atxfer.atprotocol.errors import error_for
from atxfer.errors import (
    AnswerMissing,
    NotAuthorized,
    PublicKeyInvalid,
    ServerFault,
    SharedKeyUnreadable,
    TransferError,
)
from atxfer.waiting import Wait
from tests.support.pools import FakePool, Reply
from tests.support.shelves import Shelf
from tests.support.vectors import alice_keys, public_der, rsa_private

OWN, THEIRS = "shared_key.bob@alice", "@bob:shared_key@alice"
BOB = PublicKey("@bob", base64_encode(public_der("bob_encryption_private")))
# A bob who has begun anew: any other key will do.
NEW_BOB = PublicKey("@bob", base64_encode(public_der("alice_pkam_private")))


def pair_keys(pool: FakePool) -> PairKeys:
    """Return the keys that @alice shares."""
    return PairKeys(Records(pool), alice_keys())  # type: ignore[arg-type]


def obtained(shelf: Shelf, public: PublicKey = BOB) -> PairKey:
    """Return what a client that has just started gets."""
    return pair_keys(FakePool(shelf)).obtain(public, Wait())


def test_a_new_key_is_kept_for_both() -> None:
    """The owner's copy opens with the owner's key, the recipient's with theirs, to the same."""
    shelf = Shelf()
    pair = obtained(shelf)
    assert unwrap_key(shelf.records[OWN][0], alice_keys().encryption_private) == pair.key
    bobs = rsa_private("bob_encryption_private")
    assert unwrap_key(shelf.records[THEIRS][0], bobs) == unwrap_key(pair.wrapped, bobs) == pair.key
    assert shelf.records[THEIRS][1]["pubKeyCS"] == pair.checksum == BOB.checksum


def test_a_key_that_is_there_is_used() -> None:
    """A second key would make all that was encrypted under the first unreadable."""
    shelf = Shelf()
    first = obtained(shelf)
    before = dict(shelf.records)
    assert obtained(shelf).key == first.key
    assert shelf.records == before


def test_a_key_made_by_the_dart_client_is_used() -> None:
    """Its records name no checksum; nothing of them is changed."""
    shelf, key = Shelf(), random_bytes(32)
    own = PublicKey("@alice", alice_keys().encryption_public)
    shelf.records[OWN] = own.wrap(key), {"isEncrypted": False}
    shelf.records[THEIRS] = BOB.wrap(key), {"ttr": 3888000, "isEncrypted": False}
    before = dict(shelf.records)
    assert obtained(shelf).key == key
    assert shelf.records == before


def test_what_lies_there_for_the_recipient_is_not_believed() -> None:
    """It may be wrapped for somebody else; what goes with a record is wrapped anew."""
    shelf = Shelf()
    pair = obtained(shelf)
    shelf.records[THEIRS] = NEW_BOB.wrap(pair.key), {"pubKeyCS": BOB.checksum}
    bobs = rsa_private("bob_encryption_private")
    assert unwrap_key(obtained(shelf).wrapped, bobs) == pair.key


def test_a_missing_copy_for_the_recipient_is_made_again() -> None:
    """With the key that the owner's copy holds."""
    shelf = Shelf()
    pair = obtained(shelf)
    del shelf.records[THEIRS]
    obtained(shelf)
    bobs = rsa_private("bob_encryption_private")
    assert unwrap_key(shelf.records[THEIRS][0], bobs) == pair.key


def test_without_the_owners_copy_a_new_key_is_made() -> None:
    """Nobody on our side could open the recipient's."""
    shelf = Shelf()
    first = obtained(shelf)
    del shelf.records[OWN]
    assert obtained(shelf).key != first.key


@pytest.mark.parametrize("known_by", ["checksum", "memory of the server"])
def test_a_changed_public_key_gets_a_new_key(
    known_by: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The atSign may have changed hands. The old key is set aside, and it is told."""
    shelf = Shelf()
    first = obtained(shelf)
    old = shelf.records[OWN]
    if known_by != "checksum":
        shelf.records[THEIRS] = shelf.records[THEIRS][0], {}
        text = base64_encode(public_der("bob_encryption_private"))
        shelf.records["cached:public:publickey@bob"] = text, {}
    with caplog.at_level(logging.WARNING, "atxfer"):
        second = obtained(shelf, NEW_BOB)
    assert second.key != first.key
    assert unwrap_key(second.wrapped, rsa_private("alice_pkam_private")) == second.key
    (retired,) = [key for key in shelf.records if key.startswith("shared_key.bob.until.")]
    assert shelf.records[retired][0] == old[0]
    assert "share.public_key_changed recipient=@bob" in caplog.text


def test_a_key_that_can_not_be_set_aside_stays() -> None:
    """Enrolled keys may not write that name; then nothing is changed at all."""
    shelf = Shelf()
    obtained(shelf)
    before = dict(shelf.records)

    def refuses(line: str) -> Reply:
        return error_for("AT0009", "no") if ".until." in line else shelf(line)

    with pytest.raises(NotAuthorized):
        pair_keys(FakePool(refuses)).obtain(NEW_BOB, Wait())
    assert shelf.records == before


def test_an_owners_copy_that_does_not_open_is_told() -> None:
    """Not replaced: the right key file may be at hand."""
    shelf = Shelf()
    obtained(shelf)
    shelf.records[OWN] = BOB.wrap(random_bytes(32)), {}
    before = dict(shelf.records)
    with pytest.raises(SharedKeyUnreadable, match=OWN):
        obtained(shelf)
    assert shelf.records == before


@pytest.mark.parametrize("failure", [error_for("AT0010", "no"), error_for("AT0009", "no")])
def test_a_look_up_that_failed_is_not_a_key_that_is_missing(failure: TransferError) -> None:
    """Or a server's bad moment would cost the key."""
    shelf = Shelf()
    with pytest.raises(type(failure)):
        pair_keys(
            FakePool(lambda line: failure if line == f"llookup:{OWN}" else shelf(line))
        ).obtain(BOB, Wait())
    assert shelf.records == {}


def test_a_look_up_without_an_answer_is_not_a_key_that_is_missing() -> None:
    """A command that the server left out has failed."""
    shelf = Shelf()
    with pytest.raises(AnswerMissing):
        pair_keys(FakePool(shelf, left_out=(1,))).obtain(BOB, Wait())
    assert shelf.records == {}


@pytest.mark.parametrize("lost", [OWN, THEIRS], ids=["own", "theirs"])
def test_an_update_answered_with_null_has_failed(lost: str) -> None:
    """No record is shared under a key that the server did not keep."""
    shelf = Shelf()
    shelf.lost.add(lost)
    with pytest.raises(ServerFault):
        obtained(shelf)


def test_whoever_was_faster_decides() -> None:
    """Two programs of one atSign make a key at the same time; both end with the same."""
    shelf, key = Shelf(), random_bytes(32)
    own = PublicKey("@alice", alice_keys().encryption_public)

    def overtaken(line: str) -> Reply:
        reply = shelf(line)
        if line.startswith("update") and THEIRS in line:
            shelf.records[OWN] = own.wrap(key), {}
        return reply

    assert pair_keys(FakePool(overtaken)).obtain(BOB, Wait()).key == key


def test_threads_that_come_at_once_make_one_key() -> None:
    """The others wait for the first, and ask nothing."""
    shelf, pairs = Shelf(), []
    pool = FakePool(shelf)
    keys = pair_keys(pool)
    threads = [
        threading.Thread(target=lambda: pairs.append(keys.obtain(BOB, Wait()))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({pair.key for pair in pairs}) == 1
    assert len(pool.requests) == 3  # look, make, look again


def test_secrets_are_in_no_repr() -> None:
    """Neither the key nor its wrapping."""
    pair = obtained(Shelf())
    assert base64_encode(pair.key) not in repr(pair)
    assert repr(pair.key) not in repr(pair)
    assert pair.wrapped not in repr(pair)


@pytest.mark.parametrize("text", ["", "no key", base64_encode(b"nor this"), json.dumps({})])
def test_a_public_key_that_is_none_is_refused(text: str) -> None:
    """Before anything is encrypted to it."""
    with pytest.raises(PublicKeyInvalid, match="@bob"):
        PublicKey("@bob", text)
