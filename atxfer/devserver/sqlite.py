"""Records in an SQLite file: what was answered survives the end of the process (facts §11)."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional

from atxfer.atprotocol.metadata import Metadata
from atxfer.devserver.records import Commit, History, Record

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    key TEXT PRIMARY KEY, value TEXT, metadata TEXT, history TEXT,
    available_ms INTEGER, expires_ms INTEGER);
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
        size = self._one("SELECT coalesce(sum(length(value)), 0) FROM records")
        self.stored_bytes = int(size[0])
        self._last_commit = int(self._one("SELECT coalesce(max(id), -1) FROM commits")[0])

    def _one(self, sql: str, *values: object) -> Any:
        return self._db.execute(sql, values).fetchone()

    def find(self, key: str) -> Optional[Record]:
        """See :class:`Records`."""
        row = self._one("SELECT value, metadata, history FROM records WHERE key = ?", key)
        if row is None:
            return None
        value, metadata, history = row
        return Record(
            value, Metadata.from_json(json.loads(metadata)), History(**json.loads(history))
        )

    def put(self, key: str, record: Record) -> None:
        """See :class:`Records`."""
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
        """See :class:`Records`."""
        self.stored_bytes -= self._size(key)
        return self._db.execute("DELETE FROM records WHERE key = ?", (key,)).rowcount > 0

    def active_keys(self, now_ms: int) -> list[str]:
        """See :class:`Records`."""
        rows = self._db.execute(
            "SELECT key FROM records WHERE coalesce(available_ms, 0) <= ?1"
            " AND (expires_ms IS NULL OR expires_ms > ?1) ORDER BY key",
            (now_ms,),
        )
        return [key for (key,) in rows]

    def expired_keys(self, now_ms: int) -> list[str]:
        """See :class:`Records`."""
        rows = self._db.execute("SELECT key FROM records WHERE expires_ms <= ?", (now_ms,))
        return [key for (key,) in rows]

    def __len__(self) -> int:
        return int(self._one("SELECT count(*) FROM records")[0])

    def commit(self, key: str, operation: str) -> int:
        """See :class:`Records`."""
        self._last_commit += 1
        self._db.execute(
            "INSERT OR REPLACE INTO commits VALUES (?, ?, ?)", (key, self._last_commit, operation)
        )
        return self._last_commit

    def commits(self) -> list[Commit]:
        """See :class:`Records`."""
        rows = self._db.execute("SELECT id, key, operation FROM commits ORDER BY id")
        return [Commit(*row) for row in rows]

    @property
    def last_commit(self) -> int:
        """See :class:`Records`."""
        return self._last_commit

    def notes(self) -> dict[str, str]:
        """See :class:`Records`."""
        return dict(self._db.execute("SELECT name, text FROM notes"))

    def put_note(self, name: str, text: Optional[str]) -> None:
        """See :class:`Records`."""
        if text is None:
            self._db.execute("DELETE FROM notes WHERE name = ?", (name,))
        else:
            self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, text))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """See :class:`Records`."""
        if self._db.in_transaction:  # a batch inside a batch
            yield
            return
        with self._db:
            self._db.execute("BEGIN")
            yield

    def clear(self) -> None:
        """See :class:`Records`."""
        for table in ("records", "commits", "notes"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608  # names of ours
        self.stored_bytes = 0
        self._last_commit = -1

    def close(self) -> None:
        """See :class:`Records`."""
        self._db.close()
