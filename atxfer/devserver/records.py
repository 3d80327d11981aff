"""Where an atServer's records lie: one face for all stores, and the one in memory.

This floor only stores. What an update keeps of the record before it, which keys leave commit
entries and who may read what is decided above, in :mod:`atxfer.devserver.keystore`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
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
        """See :class:`Records`."""
        return self._records.get(key)

    def put(self, key: str, record: Record) -> None:
        """See :class:`Records`."""
        self.stored_bytes += len(record.value or "") - self._size(key)
        self._records[key] = record

    def _size(self, key: str) -> int:
        old = self._records.get(key)
        return len(old.value or "") if old is not None else 0

    def remove(self, key: str) -> bool:
        """See :class:`Records`."""
        self.stored_bytes -= self._size(key)
        return self._records.pop(key, None) is not None

    def active_keys(self, now_ms: int) -> list[str]:
        """See :class:`Records`."""
        return sorted(k for k, record in self._records.items() if record.history.active(now_ms))

    def expired_keys(self, now_ms: int) -> list[str]:
        """See :class:`Records`."""
        return [k for k, record in self._records.items() if record.history.expired(now_ms)]

    def __len__(self) -> int:
        return len(self._records)

    def commit(self, key: str, operation: str) -> int:
        """See :class:`Records`."""
        self._last_commit += 1
        self._commits.pop(key, None)  # a dict keeps the order of first insertion
        self._commits[key] = Commit(self._last_commit, key, operation)
        return self._last_commit

    def commits(self) -> list[Commit]:
        """See :class:`Records`."""
        return list(self._commits.values())

    @property
    def last_commit(self) -> int:
        """See :class:`Records`."""
        return self._last_commit

    def notes(self) -> dict[str, str]:
        """See :class:`Records`."""
        return dict(self._notes)

    def put_note(self, name: str, text: Optional[str]) -> None:
        """See :class:`Records`."""
        if text is None:
            self._notes.pop(name, None)
        else:
            self._notes[name] = text

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """See :class:`Records`."""
        yield

    def clear(self) -> None:
        """See :class:`Records`."""
        self.stored_bytes = 0
        self._records.clear()
        self._commits.clear()
        self._notes.clear()
        self._last_commit = -1

    def close(self) -> None:
        """See :class:`Records`: there are none."""
