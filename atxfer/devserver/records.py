"""Where an atServer's records lie: in memory, or in an SQLite file; one interface for both.

This floor only stores. What an update keeps of the record before it, which keys leave commit entries
and who may read what is decided above, in :mod:`atxfer.devserver.keystore`.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional, Protocol

from atxfer.atprotocol.metadata import Metadata
from atxfer.devserver.clock import timestamp


@dataclass(frozen=True)
class History:
    """What the server itself notes about a record. Times in epoch milliseconds.

    Attributes:
        created_by: Who made it: an atSign.
        updated_by: Who changed it last.
        created_ms: When it was made.
        updated_ms: When it was changed last.
        available_ms: When it is born, if it has a time to birth.
        expires_ms: When it expires, if it does.
        refresh_ms: When a cached copy is to be fetched again.
        version: How often it was changed.
    """

    created_by: str
    updated_by: str
    created_ms: int
    updated_ms: int
    available_ms: Optional[int] = None
    expires_ms: Optional[int] = None
    refresh_ms: Optional[int] = None
    version: int = 0

    def active(self, now_ms: int) -> bool:
        """Whether the record is born and not expired."""
        return (self.available_ms is None or self.available_ms <= now_ms) and not self.expired(
            now_ms
        )

    def expired(self, now_ms: int) -> bool:
        """Whether its time to live is over."""
        return self.expires_ms is not None and self.expires_ms <= now_ms


@dataclass(frozen=True)
class Record:
    """One record. The value is None where only metadata was ever stored."""

    value: Optional[str] = field(repr=False)
    metadata: Metadata
    history: History

    def metadata_json(self) -> dict[str, Any]:
        """Return the metadata as the server answers it, in its order."""
        history = self.history
        times = {
            "createdAt": history.created_ms,
            "updatedAt": history.updated_ms,
            "availableAt": history.available_ms,
            "expiresAt": history.expires_ms,
            "refreshAt": history.refresh_ms,
        }
        named = self.metadata.to_json()
        named.pop("sharedKeyStatus", None)  # taken, and never stored [s]
        return {
            "createdBy": history.created_by,
            "updatedBy": history.updated_by,
            **{name: timestamp(at) for name, at in times.items() if at is not None},
            "status": "active",
            "version": history.version,
            **named,
        }


@dataclass(frozen=True)
class Commit:
    """The latest change of one key, by which devices synchronise."""

    id: int
    key: str
    operation: str  # "+" a value, "*" a value with metadata, "#" metadata alone, "-" deleted


class Records(Protocol):
    """Storage of one atServer.

    Threads: belongs to the event loop's thread.
    """

    stored_bytes: int

    def find(self, key: str) -> Optional[Record]:
        """Return a record, expired or not, or None."""
        ...

    def put(self, key: str, record: Record) -> None:
        """Store a record."""
        ...

    def remove(self, key: str) -> bool:
        """Remove a record, and return whether it was there."""
        ...

    def active_keys(self, now_ms: int) -> list[str]:
        """Return the keys that are born and not expired, sorted."""
        ...

    def expired_keys(self, now_ms: int) -> list[str]:
        """Return the keys whose time is over."""
        ...

    def __len__(self) -> int: ...

    def commit(self, key: str, operation: str) -> int:
        """Note a change, in place of an earlier one of the same key, and return its number."""
        ...

    def commits(self) -> list[Commit]:
        """Return the latest change of each key, oldest first."""
        ...

    @property
    def last_commit(self) -> int:
        """The number of the latest change; -1 if there was none."""
        ...

    def notes(self) -> dict[str, str]:
        """Return the other things that are kept: notifications and settings, by name."""
        ...

    def put_note(self, name: str, text: Optional[str]) -> None:
        """Keep one, or with None forget it."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Make what is stored inside durable at once, at its end."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class MemoryRecords:
    """Records in memory: gone with the process, not with a restart of the atServer."""

    def __init__(self) -> None:
        self.stored_bytes = 0
        self._records: dict[str, Record] = {}
        self._commits: dict[str, Commit] = {}
        self._last_commit = -1
        self._notes: dict[str, str] = {}

    def find(self, key: str) -> Optional[Record]:
        """See :class:`Records`; so for the others."""
        return self._records.get(key)

    def put(self, key: str, record: Record) -> None:
        self.stored_bytes += len(record.value or "") - self._size(key)
        self._records[key] = record

    def _size(self, key: str) -> int:
        old = self._records.get(key)
        return len(old.value or "") if old is not None else 0

    def remove(self, key: str) -> bool:
        self.stored_bytes -= self._size(key)
        return self._records.pop(key, None) is not None

    def active_keys(self, now_ms: int) -> list[str]:
        return sorted(k for k, record in self._records.items() if record.history.active(now_ms))

    def expired_keys(self, now_ms: int) -> list[str]:
        return [k for k, record in self._records.items() if record.history.expired(now_ms)]

    def __len__(self) -> int:
        return len(self._records)

    def commit(self, key: str, operation: str) -> int:
        self._last_commit += 1
        self._commits.pop(key, None)  # a dict keeps the order of first insertion
        self._commits[key] = Commit(self._last_commit, key, operation)
        return self._last_commit

    def commits(self) -> list[Commit]:
        return list(self._commits.values())

    @property
    def last_commit(self) -> int:
        return self._last_commit

    def notes(self) -> dict[str, str]:
        return dict(self._notes)

    def put_note(self, name: str, text: Optional[str]) -> None:
        if text is None:
            self._notes.pop(name, None)
        else:
            self._notes[name] = text

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        yield

    def clear(self) -> None:
        self.stored_bytes = 0
        self._records.clear()
        self._commits.clear()
        self._notes.clear()
        self._last_commit = -1

    def close(self) -> None:
        pass


_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    key TEXT PRIMARY KEY, value TEXT, metadata TEXT, history TEXT,
    available_ms INTEGER, expires_ms INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commits (key TEXT PRIMARY KEY, id INTEGER, operation TEXT);
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, text TEXT);
"""


class SqliteRecords:
    """Records in one SQLite file; what was answered survives the end of the process.

    Args:
        path: The file; made if it isn't there.
    """

    def __init__(self, path: Path) -> None:
        # Autocommit: transactions are named where they are wanted.
        self._db = sqlite3.connect(str(path), isolation_level=None, check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)
        (self.stored_bytes,) = self._one("SELECT coalesce(sum(length(value)), 0) FROM records")
        (self._last_commit,) = self._one("SELECT coalesce(max(id), -1) FROM commits")

    def _one(self, sql: str, *values: object) -> Any:
        return self._db.execute(sql, values).fetchone()

    def find(self, key: str) -> Optional[Record]:
        """See :class:`Records`; so for the others."""
        row = self._one("SELECT value, metadata, history FROM records WHERE key = ?", key)
        if row is None:
            return None
        value, metadata, history = row
        return Record(
            value, Metadata.from_json(json.loads(metadata)), History(**json.loads(history))
        )

    def put(self, key: str, record: Record) -> None:
        self.stored_bytes += len(record.value or "") - self._size(key)
        self._db.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?)",
            (
                key,
                record.value,
                json.dumps(record.metadata.to_json()),
                json.dumps(asdict(record.history)),
                record.history.available_ms,
                record.history.expires_ms,
            ),
        )

    def _size(self, key: str) -> int:
        row = self._one("SELECT coalesce(length(value), 0) FROM records WHERE key = ?", key)
        return row[0] if row else 0

    def remove(self, key: str) -> bool:
        self.stored_bytes -= self._size(key)
        return self._db.execute("DELETE FROM records WHERE key = ?", (key,)).rowcount > 0

    def active_keys(self, now_ms: int) -> list[str]:
        rows = self._db.execute(
            "SELECT key FROM records WHERE coalesce(available_ms, 0) <= ?1"
            " AND (expires_ms IS NULL OR expires_ms > ?1) ORDER BY key",
            (now_ms,),
        )
        return [key for (key,) in rows]

    def expired_keys(self, now_ms: int) -> list[str]:
        rows = self._db.execute("SELECT key FROM records WHERE expires_ms <= ?", (now_ms,))
        return [key for (key,) in rows]

    def __len__(self) -> int:
        return int(self._one("SELECT count(*) FROM records")[0])

    def commit(self, key: str, operation: str) -> int:
        self._last_commit += 1
        self._db.execute(
            "INSERT OR REPLACE INTO commits VALUES (?, ?, ?)", (key, self._last_commit, operation)
        )
        return self._last_commit

    def commits(self) -> list[Commit]:
        rows = self._db.execute("SELECT id, key, operation FROM commits ORDER BY id")
        return [Commit(*row) for row in rows]

    @property
    def last_commit(self) -> int:
        return self._last_commit

    def notes(self) -> dict[str, str]:
        return dict(self._db.execute("SELECT name, text FROM notes"))

    def put_note(self, name: str, text: Optional[str]) -> None:
        if text is None:
            self._db.execute("DELETE FROM notes WHERE name = ?", (name,))
        else:
            self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, text))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        if self._db.in_transaction:  # a batch inside a batch
            yield
            return
        with self._db:
            self._db.execute("BEGIN")
            yield

    def clear(self) -> None:
        for table in ("records", "commits", "notes"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608  # names of ours
        self.stored_bytes = 0
        self._last_commit = -1

    def close(self) -> None:
        self._db.close()
