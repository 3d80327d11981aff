"""The records of one atSign, by the rules of the real server.

Rules of this file, each seen in the transcript or read in the server's source [s]:

1. Keys fold to lower case, values do not.
2. An update keeps what it doesn't name of the metadata before; ``isBinary`` and ``isEncrypted``
   alone fall to false. An expired record that the sweep has not taken yet still counts as the one
   before.
3. ``private:``, ``privatekey:`` and ``public:_`` keys leave no commit entry (-1); ``public:__`` do.
4. Expired and unborn records are ``null``, not missing, and in no scan.
5. ``update:meta`` of a key that isn't there makes a record without a value [s].
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Optional

from atxfer.atprotocol import errors
from atxfer.atprotocol.metadata import WIRE_NAMES, Metadata
from atxfer.devserver.clock import ServerClock
from atxfer.devserver.records import History, Record, Records

_UNCOMMITTED = re.compile(r"private:|privatekey:|local:|public:_(?!_)")
# What the copies that other servers push keep of the copy before them [s].
_KEPT_BY_COPIES = ("ttl_ms", "ttb_ms", "ttr_s", "ccd")
_NOTHING = Metadata()


class KeyStore:
    """Records with their life: kept metadata, versions, times, commit numbers.

    Threads: belongs to the event loop's thread.

    Args:
        atsign: Whose records they are.
        records: Where they lie.
        clock: The server's time.
    """

    def __init__(self, atsign: str, records: Records, clock: ServerClock) -> None:
        self.atsign = atsign
        self.records = records
        self._clock = clock

    def find(self, key: str) -> Optional[Record]:
        """Return a record, expired or not, or None."""
        return self.records.find(key.lower())

    def get(self, key: str) -> Record:
        """Return a record, expired or not.

        Raises:
            KeyNotFound: There is none.
        """
        record = self.find(key)
        if record is None:
            raise errors.KeyNotFound(f"{key.lower()} does not exist in keystore")
        return record

    def get_active(self, key: str) -> Optional[Record]:
        """Return a record that is born and not expired, None for any other.

        Raises:
            KeyNotFound: There is none at all.
        """
        record = self.get(key)
        return record if self.is_active(record) else None

    def is_active(self, record: Record) -> bool:
        """Whether a record is born and not expired."""
        return record.history.active(self._clock.now_ms())

    def update(self, key: str, value: str, named: Metadata) -> int:
        """Store a value and return the commit number."""
        return self._store(key, value, self._kept(key, named), "*")

    def update_meta(self, key: str, named: Metadata) -> int:
        """Change metadata alone and return the commit number. Times count from now."""
        old = self.find(key)
        return self._store(key, old.value if old else None, self._kept(key, named), "#")

    def _kept(self, key: str, named: Metadata) -> Metadata:
        """Return metadata with what an update leaves as it was (rule 2)."""
        old = self.find(key)
        named = replace(
            named, is_binary=bool(named.is_binary), is_encrypted=bool(named.is_encrypted)
        )
        return _merged(named, old.metadata, tuple(WIRE_NAMES)) if old else named

    def put_own(self, key: str, value: str, named: Metadata = _NOTHING) -> int:
        """Store a record of the server's own, whose metadata is as given."""
        return self._store(key, value, named, "+" if named is _NOTHING else "*")

    def put_silently(self, key: str, value: str, named: Metadata = _NOTHING) -> None:
        """The same without a commit entry, so that no device copies it."""
        self._put(key, value, named)

    def put_copy(
        self, key: str, value: Optional[str], named: Metadata, created_by: Optional[str] = None
    ) -> int:
        """Store the copy of another atSign's record; with None for a value, its metadata alone."""
        old = self.find(key)
        if old is not None:
            named = _merged(named, old.metadata, _KEPT_BY_COPIES)
        operation = "*" if value is not None else "#"
        if value is None and old is not None:
            value = old.value
        return self._store(key, value, named, operation, created_by)

    def _store(
        self,
        key: str,
        value: Optional[str],
        named: Metadata,
        operation: str,
        created_by: Optional[str] = None,
    ) -> int:
        self._put(key, value, named, created_by)
        return self._commit(key.lower(), operation)

    def _put(
        self, key: str, value: Optional[str], named: Metadata, created_by: Optional[str] = None
    ) -> None:
        key = key.lower()
        old = self.records.find(key)
        history = self._history(named, old.history if old else None, created_by)
        self.records.put(key, Record(value, named, history))

    def _history(
        self, named: Metadata, old: Optional[History], created_by: Optional[str]
    ) -> History:
        now = self._clock.now_ms()
        born = now + named.ttb_ms if named.ttb_ms is not None else None
        return History(
            created_by=created_by or self.atsign,
            updated_by=self.atsign,
            created_ms=old.created_ms if old else now,
            updated_ms=now,
            available_ms=born,
            expires_ms=(born or now) + named.ttl_ms if named.ttl_ms else None,
            refresh_ms=now + named.ttr_s * 1000 if named.ttr_s and named.ttr_s > 0 else None,
            version=old.version + 1 if old else 0,
        )

    def _commit(self, key: str, operation: str) -> int:
        return -1 if _UNCOMMITTED.match(key) else self.records.commit(key, operation)

    def remove(self, key: str) -> int:
        """Delete a record, there or not, and return the commit number."""
        key = key.lower()
        self.records.remove(key)
        return self._commit(key, "-")

    def active_keys(self, pattern: Optional[str] = None) -> list[str]:
        """Return the keys that match an expression, sorted; the server's own among them.

        Raises:
            InvalidSyntax: It is no expression.
        """
        keys = self.records.active_keys(self._clock.now_ms())
        if pattern is None:
            return keys
        try:
            matches = re.compile(pattern).search
        except re.error as error:
            raise errors.InvalidSyntax(f"Invalid syntax FormatException: {error}") from error
        return [key for key in keys if matches(key)]

    def sweep(self) -> int:
        """Remove what has expired, as the server does every 10 to 12 minutes; return how many."""
        expired = self.records.expired_keys(self._clock.now_ms())
        for key in expired:
            self.records.remove(key)
        return len(expired)


def _merged(new: Metadata, old: Metadata, names: tuple[str, ...]) -> Metadata:
    kept = {
        name: getattr(old, name)
        for name in names
        if getattr(new, name) is None and getattr(old, name) is not None
    }
    return replace(new, **kept) if kept else new


def is_hidden(key: str, *, show_hidden: bool) -> bool:
    """Return whether the owner's scan leaves this key out [s]."""
    if show_hidden and key.startswith(("public:__", "_")):
        return False
    return key.startswith(("private:", "privatekey:", "public:_", "_"))
