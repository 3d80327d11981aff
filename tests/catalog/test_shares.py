"""Copies of a manifest for recipients: what is sent, and what is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atxfer._catalog.pairkeys import PairKey
from atxfer._catalog.shares import AtServerShares
from atxfer._crypto.sharing import open_text
from atxfer._format.manifest import Manifest
from atxfer._net.records import Records
from atxfer.errors import ServerFault
from atxfer.waiting import Wait
from tests.catalog.test_atserver import ID, MANIFEST
from tests.support.pools import FakePool
from tests.support.shelves import Shelf
from tests.support.vectors import alice_keys

PAIR = PairKey("@bob", bytes(range(32)), "d3JhcHBlZA==", "0123456789abcdef0123456789abcdef")
BOBS = f"@bob:{ID}.files.atxfer@alice"
CAROLS = f"@carol:{ID}.files.atxfer@alice"


def shares_on(pool: FakePool) -> AtServerShares:
    """Return what @alice shares."""
    return AtServerShares(Records(pool), alice_keys())  # type: ignore[arg-type]


def shared(shelf: Shelf, ttl: float = 60.0) -> FakePool:
    """Share the file with @bob, and return what that took."""
    pool = FakePool(shelf)
    shares_on(pool).write(MANIFEST, 1_700_000_001.5, PAIR, ttl, Wait())
    return pool


def test_a_share_is_one_record_with_all_that_its_reader_needs() -> None:
    """One request, so one notification; with the key, and a copy that goes when ours goes."""
    shelf = Shelf()
    pool = shared(shelf)
    assert len(pool.requests) == 1
    value, metadata = shelf.records[BOBS]
    nonce = metadata.pop("ivNonce")
    assert metadata == {
        "ttl": 60000,
        "ttr": -1,
        "ccd": True,
        "isEncrypted": True,
        "sharedKeyEnc": PAIR.wrapped,
        "pubKeyCS": PAIR.checksum,
    }
    manifest = Manifest.from_text(
        open_text(PAIR.key, value, nonce),
        alice_keys().verify_data,
        expected_owner="@alice",
        expected_file_id=ID,
    )
    assert manifest == replace(MANIFEST, shared_at=1_700_000_001.5)


def test_each_writing_has_a_nonce_of_its_own() -> None:
    """Or two texts would be encrypted under one key stream."""
    shelf = Shelf()
    shared(shelf)
    first = shelf.records[BOBS]
    shared(shelf)
    assert shelf.records[BOBS][1]["ivNonce"] != first[1]["ivNonce"]


def test_a_write_answered_with_null_has_failed() -> None:
    """The server swallows what goes wrong in its data store."""
    shelf = Shelf()
    shelf.lost.add(BOBS)
    with pytest.raises(ServerFault):
        shared(shelf)


def test_recipients_are_those_of_this_file() -> None:
    """Neither the owner's manifest nor other files' copies count."""
    shelf = Shelf()
    shared(shelf)
    others = [CAROLS, f"{ID}.files.atxfer@alice", BOBS.replace(ID, "a" * 26), f"cached:{BOBS}"]
    shelf.records.update({key: ("x", {}) for key in others})
    assert shares_on(FakePool(shelf)).recipients(ID, Wait()) == ["@bob", "@carol"]


def test_remove_takes_those_who_are_named() -> None:
    """In one request; others keep theirs."""
    shelf = Shelf()
    shelf.records.update({BOBS: ("x", {}), CAROLS: ("x", {})})
    pool = FakePool(shelf)
    shares_on(pool).remove(ID, ["@bob", "@dave"], Wait())
    assert list(shelf.records) == [CAROLS]
    assert len(pool.requests) == 1


def test_extend_changes_nothing_but_the_end() -> None:
    """The same value under the same nonce and key; what is gone stays gone."""
    shelf = Shelf()
    shared(shelf)
    value, metadata = shelf.records[BOBS]
    shares_on(FakePool(shelf)).extend(ID, ["@bob", "@carol"], 120.0, Wait())
    assert shelf.records == {BOBS: (value, {**metadata, "ttl": 120_000})}
