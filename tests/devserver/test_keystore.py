"""The life of records: what is kept, what counts as there, what leaves a commit entry."""

from __future__ import annotations

import pytest

from atxfer.atprotocol.errors import InvalidSyntax, KeyNotFound
from atxfer.atprotocol.metadata import Metadata
from atxfer.devserver.clock import ServerClock
from atxfer.devserver.keystore import KeyStore, is_hidden
from atxfer.devserver.records import MemoryRecords

KEY = "k.atxfer@alice"


class Store(KeyStore):
    """A key store whose time stands still until it is moved."""

    def __init__(self) -> None:
        self.clock = ServerClock(lambda: 1_000_000.0)
        super().__init__("@alice", MemoryRecords(), self.clock)


def test_keys_fold_and_values_do_not() -> None:
    """KEY and key are one record."""
    store = Store()
    store.update("K.ATXFER@alice", "Value", Metadata())
    assert store.get(KEY).value == "Value"


def test_an_update_keeps_what_it_does_not_name() -> None:
    """All metadata stays but the two flags, which fall to false."""
    store = Store()
    named = Metadata(ttl_ms=60_000, iv_nonce="abcd", encoding="base64", is_encrypted=True)
    store.update(KEY, "v1", named)
    store.update(KEY, "v2", Metadata())
    kept = store.get(KEY).metadata
    assert (kept.ttl_ms, kept.iv_nonce, kept.encoding) == (60_000, "abcd", "base64")
    assert (kept.is_encrypted, kept.is_binary) == (False, False)


def test_a_deletion_forgets_metadata_too() -> None:
    """What comes after it is a new record."""
    store = Store()
    store.update(KEY, "v1", Metadata(iv_nonce="abcd"))
    store.update(KEY, "v1", Metadata())
    store.remove(KEY)
    store.update(KEY, "v2", Metadata())
    assert store.get(KEY).metadata.iv_nonce is None
    assert store.get(KEY).history.version == 0


def test_versions_and_times() -> None:
    """A change moves the version and the time of the update, not that of the creation."""
    store = Store()
    store.update(KEY, "v1", Metadata())
    store.clock.advance(5)
    store.update(KEY, "v2", Metadata())
    history = store.get(KEY).history
    assert history.version == 1
    assert history.updated_ms - history.created_ms == 5_000


def test_a_record_expires_without_going() -> None:
    """Expired is not missing: the value is null until the sweep."""
    store = Store()
    store.update(KEY, "v", Metadata(ttl_ms=1_000))
    store.clock.advance(1.0)
    assert store.get_active(KEY) is None
    assert store.active_keys() == []
    assert store.sweep() == 1
    with pytest.raises(KeyNotFound, match=f"{KEY} does not exist in keystore"):
        store.get(KEY)


def test_a_record_is_born_later() -> None:
    """Its time to live begins with its birth."""
    store = Store()
    store.update(KEY, "v", Metadata(ttb_ms=1_000, ttl_ms=500))
    assert store.get_active(KEY) is None
    store.clock.advance(1.2)
    assert store.get_active(KEY) is not None
    store.clock.advance(0.3)
    assert store.get_active(KEY) is None


def test_meta_renews_the_time_to_live() -> None:
    """It counts from now, and leaves the value."""
    store = Store()
    store.update(KEY, "v", Metadata(ttl_ms=1_000))
    store.clock.advance(0.9)
    store.update_meta(KEY, Metadata(ttl_ms=1_000))
    store.clock.advance(0.9)
    record = store.get_active(KEY)
    assert record is not None
    assert record.value == "v"


def test_a_time_to_live_of_zero_is_for_ever() -> None:
    """It clears an expiry."""
    store = Store()
    store.update(KEY, "v", Metadata(ttl_ms=1_000))
    store.update(KEY, "v", Metadata(ttl_ms=0))
    store.clock.advance(1e6)
    assert store.get_active(KEY) is not None


def test_meta_of_a_missing_key_makes_a_record_without_value() -> None:
    """The original does so; whoever renews chunks must know."""
    store = Store()
    store.update_meta(KEY, Metadata(ttl_ms=60_000))
    assert store.get(KEY).value is None


@pytest.mark.parametrize(
    ("key", "committed"),
    [
        ("public:_0.x.atxfer@alice", False),
        ("public:__0.x.atxfer@alice", True),
        ("public:x@alice", True),
        ("_x@alice", True),
        ("private:x@alice", False),
        ("privatekey:at_secret", False),
        ("@bob:x@alice", True),
    ],
)
def test_which_keys_leave_a_commit_entry(key: str, *, committed: bool) -> None:
    """Chunks are not synchronised to other devices."""
    store = Store()
    expected = 0 if committed else -1
    assert store.put_own(key, "v", Metadata(ttl_ms=1)) == expected
    assert store.remove(key) == (1 if committed else -1)


def test_what_is_put_silently_leaves_none() -> None:
    """Enrolments are the server's own business."""
    store = Store()
    store.put_silently(KEY, "v")
    assert store.records.last_commit == -1


def test_a_copy_keeps_times_alone() -> None:
    """A pushed copy without nonce must not keep the nonce of the one before."""
    store = Store()
    store.put_copy(KEY, "v1", Metadata(ttl_ms=5, ttr_s=-1, ccd=True, iv_nonce="abcd"))
    store.put_copy(KEY, "v2", Metadata())
    metadata = store.get(KEY).metadata
    assert metadata == Metadata(ttl_ms=5, ttr_s=-1, ccd=True)


def test_a_copy_without_value_keeps_the_old_one() -> None:
    """update:meta of the original reaches the copy as metadata alone."""
    store = Store()
    store.put_copy(KEY, "v1", Metadata(ttr_s=-1))
    store.put_copy(KEY, None, Metadata(ttl_ms=9))
    assert store.get(KEY).value == "v1"


def test_expressions_search_and_are_checked() -> None:
    """An expression may match anywhere; nonsense is a syntax error."""
    store = Store()
    for key in ("a.atxfer@alice", "b.atxfer@alice", "public:a.other@alice"):
        store.update(key, "v", Metadata())
    assert store.active_keys(r"a\.(atxfer|other)") == ["a.atxfer@alice", "public:a.other@alice"]
    with pytest.raises(InvalidSyntax):
        store.active_keys("(")


@pytest.mark.parametrize(
    ("key", "plain", "shown"),
    [
        ("public:x@alice", False, False),
        ("_x@alice", True, False),
        ("public:__x@alice", True, False),
        ("public:_x@alice", True, True),
        ("privatekey:x", True, True),
        ("cached:public:_x@bob", False, False),
    ],
)
def test_what_the_owners_scan_hides(key: str, *, plain: bool, shown: bool) -> None:
    """One underscore hides from every scan, two from the plain one."""
    assert is_hidden(key, show_hidden=False) is plain
    assert is_hidden(key, show_hidden=True) is shown
