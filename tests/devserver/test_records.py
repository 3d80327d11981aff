"""Storage: one behaviour in memory and in SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest

from atxfer.atprotocol.metadata import Metadata
from atxfer.devserver.records import Commit, History, MemoryRecords, Record, Records
from atxfer.devserver.sqlite import SqliteRecords

NOW = 1_000_000


def record(value: Optional[str] = "v", **history: Any) -> Record:
    """Return a record with this value and history."""
    metadata = Metadata(ttl_ms=1, is_encrypted=True, iv_nonce="bm9uY2U=")
    return Record(value, metadata, replace(History("@alice", "@alice", NOW, NOW), **history))


@pytest.fixture(params=["memory", "sqlite"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    """Both stores."""
    memory = request.param == "memory"
    store: Records = MemoryRecords() if memory else SqliteRecords(tmp_path / "r.sqlite")
    yield store
    store.close()


def test_what_is_put_is_found(records: Records) -> None:
    """Value, metadata and history come back as they were."""
    records.put("k@alice", record("héllo 😀", version=3, expires_ms=NOW + 5))
    assert records.find("k@alice") == record("héllo 😀", version=3, expires_ms=NOW + 5)
    assert records.find("other@alice") is None
    assert len(records) == 1


def test_a_record_may_have_no_value(records: Records) -> None:
    """update:meta of a missing key leaves one."""
    records.put("k@alice", record(None))
    found = records.find("k@alice")
    assert found is not None
    assert found.value is None


def test_remove_says_whether_it_was_there(records: Records) -> None:
    """The server answers both alike; the store knows."""
    records.put("k@alice", record())
    assert records.remove("k@alice")
    assert not records.remove("k@alice")
    assert len(records) == 0


def test_keys_are_sorted_and_alive(records: Records) -> None:
    """A scan lists neither the expired nor the unborn."""
    records.put("b@alice", record(expires_ms=NOW + 1))
    records.put("a@alice", record())
    records.put("gone@alice", record(expires_ms=NOW))
    records.put("unborn@alice", record(available_ms=NOW + 1))
    assert records.active_keys(NOW) == ["a@alice", "b@alice"]
    assert records.expired_keys(NOW) == ["gone@alice"]


def test_stored_bytes_follow_every_change(records: Records) -> None:
    """Replacing counts the difference, removing gives back."""
    records.put("a@alice", record("12345"))
    records.put("b@alice", record("123"))
    records.put("a@alice", record("1"))
    records.remove("b@alice")
    assert records.stored_bytes == 1


def test_a_commit_takes_the_place_of_an_earlier_one(records: Records) -> None:
    """Devices need the latest change of a key alone, in the order of changes."""
    assert records.last_commit == -1
    assert [records.commit(key, "+") for key in ("a", "b", "a")] == [0, 1, 2]
    assert records.commits() == [Commit(1, "b", "+"), Commit(2, "a", "+")]
    assert records.last_commit == 2


def test_notes_are_kept_and_forgotten(records: Records) -> None:
    """Settings and notifications lie beside the records."""
    records.put_note("blocked", "@mallory")
    records.put_note("x", "y")
    records.put_note("x", None)
    assert records.notes() == {"blocked": "@mallory"}


def test_clear_forgets_everything(records: Records) -> None:
    """A cleared store is as new."""
    records.put("a@alice", record())
    records.commit("a@alice", "+")
    records.put_note("x", "y")
    records.clear()
    assert (len(records), records.stored_bytes, records.last_commit) == (0, 0, -1)
    assert (records.commits(), records.notes()) == ([], {})


def test_transactions_may_lie_inside_each_other(records: Records) -> None:
    """A batch may hold a batch."""
    with records.transaction(), records.transaction():
        records.put("a@alice", record())
    assert records.find("a@alice") is not None


def test_sqlite_survives_the_process(tmp_path: Path) -> None:
    """Another process that opens the file finds all that was answered."""
    path = tmp_path / "r.sqlite"
    first = SqliteRecords(path)
    first.put("a@alice", record("12345"))
    first.commit("a@alice", "*")
    first.put_note("x", "y")
    second = SqliteRecords(path)
    assert second.find("a@alice") == record("12345")
    assert (second.stored_bytes, second.last_commit, second.notes()) == (5, 0, {"x": "y"})
    first.close()
    second.close()
