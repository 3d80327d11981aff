"""Which shares an atSign has seen already: one small file, shared by its programs.

Rules of this file:

1. What was seen is told by owner, file id and the time of sharing: a file that is shared again is
   new again.
2. Programs that use the same file lose none of each other's entries: under a lock it is read,
   merged and replaced whole. The lock is held for milliseconds, and never while anything is asked.
3. An entry is kept while its share can come again: each listing that meets it renews it, and a day
   after the file's end, at the latest three months after it was last met, it is forgotten.
4. A file that can't be read is set aside, with a warning, and a new one is begun: what still lies
   on the server is then shown once more, rather than nothing any more.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

from atxfer._disk import try_lock
from atxfer._engine.targets import atomic_write
from atxfer.config import StrPath, setting
from atxfer.errors import DeadlineExceeded
from atxfer.model import SharedFile
from atxfer.waiting import Deadline, Wait

__all__ = ["NO_HOME", "Seen", "state_folder"]

_log = logging.getLogger("atxfer.inbox")

Identity = tuple[str, str, int]
"""Owner, file id, and the milliseconds since 1970 at which it was shared."""

_VERSION = 1
_DAY = 86_400.0
_LONGEST = 90 * _DAY  # that an entry is kept without having been met
# Seconds to wait for other programs, which hold the lock for a few milliseconds each.
_PATIENCE = 10.0
_PAUSE = 0.01

NO_HOME = "there is no home directory to keep the state in"
_NAME_ONE = "Name a folder: state_dir (--state-dir), ATXFER_STATE_DIR or XDG_STATE_HOME"


def state_folder(given: Optional[StrPath] = None) -> Optional[Path]:
    """Return where the file is kept: as given, or as the environment says, or the usual place.

    It is None where nothing names one and the user has no home directory, as may be in a container:
    most of what a client does needs none.
    """
    chosen = setting(given, "ATXFER_STATE_DIR")
    if chosen is not None:
        return Path(chosen)
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not base.is_absolute():  # the XDG specification has relative ones ignored
        try:
            base = Path.home() / ".local" / "state"
        except (RuntimeError, KeyError):  # the latter on Python 3.9
            return None
    return base / "atxfer"


@dataclass
class _State:
    """What the file holds.

    Attributes:
        seen: Until when each entry is kept, in epoch seconds.
        heard_ms: When the last notification came in, in milliseconds by the server's clock.
    """

    seen: dict[Identity, float] = field(default_factory=dict)
    heard_ms: int = 0

    def merge(self, other: _State) -> None:
        """Take over what another program knows."""
        for identity, until in other.seen.items():
            self.seen[identity] = max(until, self.seen.get(identity, 0.0))
        self.heard_ms = max(self.heard_ms, other.heard_ms)


class Seen:
    """What was seen of one atSign's shares, in memory and on disk.

    Args:
        folder: Where the file lies, made when first written to; None if there is no place for it.
        atsign: Whose shares.
        directory: ``HOST:PORT`` of the atDirectory that knows them: another one, as that of a
            development server, is another world.
        now: The time of day, in epoch seconds.

    Threads: may be shared.
    """

    def __init__(
        self,
        folder: Optional[Path],
        atsign: str,
        directory: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        # Up to 220 bytes of atSign leave no room for a host name, which may have 253.
        world = hashlib.sha256(directory.encode("utf-8")).hexdigest()[:16]
        self._folder = folder
        self._name = f"{atsign}-{world}.json"
        self._labels = {"atsign": atsign, "directory": directory}
        self._now = now
        self._lock = threading.Lock()  # guards _state, _is_changed
        self._state = _State()
        self._is_changed = False

    @property
    def path(self) -> Path:
        """Where the file lies.

        Raises:
            OSError: There is no place for it.
        """
        if self._folder is None:
            raise OSError(errno.ENOENT, f"{NO_HOME}. {_NAME_ONE}")
        return self._folder / self._name

    def __contains__(self, file: SharedFile) -> bool:
        with self._lock:
            return _identity(file) in self._state.seen

    @property
    def heard_ms(self) -> Optional[int]:
        """When the last notification came in by the server's clock, as far as is known."""
        with self._lock:
            return self._state.heard_ms or None

    # --- what happened; in memory until flush()

    def mark(self, file: SharedFile) -> None:
        """Take note that a share was seen."""
        with self._lock:
            self._state.seen[_identity(file)] = self._until(file)
            self._is_changed = True

    def met(self, file: SharedFile) -> None:
        """Take note that a share which was seen is still there."""
        with self._lock:
            known, until = self._state.seen.get(_identity(file)), self._until(file)
            # Not for each listing: a file is not written for a difference of hours.
            if known is not None and until - known > _DAY:
                self._state.seen[_identity(file)] = until
                self._is_changed = True

    def heard(self, epoch_ms: int) -> None:
        """Take note of the last notification that was dealt with."""
        with self._lock:
            if epoch_ms > self._state.heard_ms:
                self._state.heard_ms = epoch_ms
                self._is_changed = True

    def mark_now(self, file: SharedFile) -> None:
        """Take note that a share was seen, on disk; where that fails, only a warning tells.

        For a file that has arrived: that must not fail because of this.
        """
        self.mark(file)
        try:
            self.flush()
        except OSError as error:
            path = self._folder and self.path
            _log.warning("inbox.state_not_written path=%s reason=%s", path, error.strerror)

    def _until(self, file: SharedFile) -> float:
        ends = file.expires_at if file.expires_at is not None else math.inf
        return min(ends, self._now() + _LONGEST) + _DAY

    # --- the file

    def load(self) -> None:
        """Learn what other programs have seen.

        Raises:
            OSError: The file can't be read or made.
        """
        with self._locked():
            found = self._read()
        with self._lock:
            self._state.merge(found)

    def flush(self) -> None:
        """Write down what is new, if anything is.

        Raises:
            OSError: The file can't be written; what is new is kept for the next time.
        """
        with self._lock:
            if not self._is_changed:
                return
        with self._locked():
            state = self._read()
            with self._lock:
                state.merge(self._state)
                now = self._now()
                state.seen = {i: until for i, until in state.seen.items() if until >= now}
                self._state = state
                self._is_changed = False
                data = self._document()
            try:
                self._write(data)
            except BaseException:
                with self._lock:
                    self._is_changed = True
                raise

    def drop(self) -> None:
        """Begin anew in a forked child, where the lock's holder may not exist."""
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other programs, and other threads, away from the file."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A file of its own, since the other one is replaced.
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            wait = Wait(Deadline.after(_PATIENCE))
            while not try_lock(descriptor):
                try:
                    wait.sleep(_PAUSE)
                except DeadlineExceeded:
                    reason = "another program holds it"
                    raise OSError(errno.EWOULDBLOCK, reason, str(self.path)) from None
            yield
        finally:
            os.close(descriptor)  # which unlocks

    def _read(self) -> _State:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return _State()
        if not data:  # made, but never written
            return _State()
        try:
            return _parsed(data)
        except ValueError as error:
            aside = self.path.with_suffix(".damaged")
            self.path.replace(aside)
            _log.warning(
                "inbox.state_damaged path=%s kept_as=%s reason=%s", self.path, aside, error
            )
            return _State()

    def _document(self) -> bytes:
        seen = [[*identity, until] for identity, until in sorted(self._state.seen.items())]
        document = {
            "version": _VERSION,
            **self._labels,
            "heard_ms": self._state.heard_ms,
            "seen": seen,
        }
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8")

    def _write(self, data: bytes) -> None:
        path = Path(os.path.realpath(self.path))
        # Made first, because a file that is replaced keeps its permissions.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        with atomic_write(path, size=len(data)) as part:
            part.write_at(0, data)

    def __repr__(self) -> str:
        with self._lock:
            return f"<Seen {self._name}: {len(self._state.seen)} shares>"


def _identity(file: SharedFile) -> Identity:
    return file.owner, file.file_id, round(file.shared_at * 1000)


def _parsed(data: bytes) -> _State:
    """Read the file's content; a ValueError if it is none that we write."""
    try:
        document: Mapping[str, Any] = json.loads(data)
        version, heard_ms, entries = (document[name] for name in ("version", "heard_ms", "seen"))
        seen = {_entry(owner, file_id, at): float(until) for owner, file_id, at, until in entries}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("it is not what was written") from None
    if version != _VERSION or type(heard_ms) is not int:
        raise ValueError("another version of this program wrote it")
    return _State(seen, heard_ms)


def _entry(owner: object, file_id: object, at: object) -> Identity:
    if not (isinstance(owner, str) and isinstance(file_id, str) and type(at) is int):
        raise TypeError("an entry is of another form")
    return owner, file_id, at
