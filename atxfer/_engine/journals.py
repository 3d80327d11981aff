"""The folder of journals: which upload has one, and who holds it.

A lock is held by an open file, not by a process: the threads of a process exclude each other, a
process that dies lets go of it, and so does a descriptor that is closed. A child of a fork would
hold it as well, so none is made between opening and taking note of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from atxfer._disk import HAS_LOCKS, try_lock
from atxfer._engine.journal import Errand, Journal, is_at
from atxfer._engine.record import Damaged, Record, read
from atxfer._engine.sources import Identity
from atxfer.errors import SourceChanged, TransferError, UploadInProgress
from atxfer.model import UnfinishedUpload
from atxfer.waiting import Wait

__all__ = ["Journals"]

_ENDING, _DAMAGED = ".journal", ".damaged"

# Who lists the journals holds each lock for a moment, so one that is taken is tried again.
_TRIES, _PAUSE = 4, 0.05

_log = logging.getLogger("atxfer.journal")


class _Taken(Exception):
    """Somebody else holds the lock."""


class Journals:
    """The journals of this machine's user.

    Args:
        folder: Where they lie, or None to keep none.

    Threads: may be shared.
    """

    def __init__(self, folder: Optional[Path]) -> None:
        # In full: the program may change its working directory.
        self._folder = folder.absolute() if folder is not None and HAS_LOCKS else None

    @contextlib.contextmanager
    def claim(
        self, errand: Errand, wait: Wait, *, make: bool = True
    ) -> Iterator[Optional[Journal]]:
        """Yield the journal of an upload, which goes when the block ends well.

        It is None where none is kept: the source is no file, the folder can't be written, or
        another thread of this process is at the same upload; that one's is left alone then.

        Args:
            errand: Which upload it is.
            wait: The transfer's.
            make: Whether to make one where an earlier call has left none.

        Raises:
            UploadInProgress: Another process is at the same upload.
            OSError: The source can't be read.
        """
        journal = self._open(errand, wait, make=make)
        if journal is None:
            yield None
            return
        try:
            yield journal
            journal.done()
        except TransferError as error:
            if not isinstance(error, SourceChanged):
                error.with_context(resumable=journal.kept)
            raise
        finally:
            _withdraw(journal)

    def unfinished(self) -> list[UnfinishedUpload]:
        """Return the uploads that did not end, the oldest first.

        Those whose time on the server is over are forgotten instead.
        """
        told = [told for path in self._paths() if (told := _told(path)) is not None]
        return sorted(told, key=lambda upload: upload.stopped_at)

    def under_way(self) -> list[Record]:
        """Return what the journals say that a process of this machine is at."""
        return [told for path in self._paths() if (told := _under_way(path)) is not None]

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_ENDING}")) if self._folder is not None else []

    def _open(self, errand: Errand, wait: Wait, *, make: bool) -> Optional[Journal]:
        if self._folder is None or errand.source.path is None:
            return None
        path = self._folder / f"{_key(errand)}{_ENDING}"
        if not make and not os.path.lexists(path):
            return None
        identity = errand.source.identity()
        for _ in range(_TRIES):
            try:
                for folder in (self._folder.parent, self._folder):
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                return _taken(path, errand, identity)
            except OSError as error:
                _log.warning("journal.failed path=%s error=%r", path, str(error))
                return None
            except _Taken:
                wait.sleep(_PAUSE)
        raise _in_progress(path, errand)


def _taken(path: Path, errand: Errand, identity: Identity) -> Optional[Journal]:
    """Return the journal that is to lie there, locked; None if another thread has it.

    Raises:
        _Taken: Another process has it.
        OSError: It can't be made, read or locked.
    """
    while True:
        try:
            with _lock:
                if path in _OPEN:
                    return None
                journal = _locked(path, errand, identity)
        except Damaged as error:
            _log.warning("journal.set_aside path=%s reason=%r", _aside(path), str(error))
        else:
            if journal is not None:
                journal.check_source()
                return journal


def _locked(path: Path, errand: Errand, identity: Identity) -> Optional[Journal]:
    """Do that once; return None if its owner has removed it just now.

    Raises:
        Damaged: It could not be followed, and was set aside.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        _lock_file(descriptor)
        if is_at(path, descriptor):
            _OPEN[path] = Journal(path, descriptor, errand, identity)
    except Damaged:
        path.replace(_aside(path))
        raise
    finally:
        if path not in _OPEN:
            os.close(descriptor)
    return _OPEN.get(path)


def _aside(path: Path) -> Path:
    return path.with_suffix(_DAMAGED)


def _lock_file(descriptor: int) -> None:
    """Lock a file for its one writer.

    Raises:
        _Taken: It is locked.
        OSError: Its file system knows no locks.
    """
    if not try_lock(descriptor):
        raise _Taken


def _withdraw(journal: Journal) -> None:
    with _lock:
        if _OPEN.get(journal.path) is journal:  # else it was left to the parent of a fork
            del _OPEN[journal.path]
        journal.close()


def _key(errand: Errand) -> str:
    parts = (errand.destination, str(errand.source.path), errand.source.name)
    return hashlib.sha256(b"\0".join(map(os.fsencode, parts))).hexdigest()[:32]


def _in_progress(path: Path, errand: Errand) -> UploadInProgress:
    record = _peek(path)
    who = f"process {record.process}" if record is not None else "another process"
    return UploadInProgress(
        f"{who} is uploading {errand.source.path} to {errand.destination}", file=errand.source.name
    )


def _peek(path: Path) -> Optional[Record]:
    """Return what a journal says, whoever holds it."""
    try:
        return read(path.read_bytes())
    except (OSError, Damaged):
        return None


def _told(path: Path) -> Optional[UnfinishedUpload]:
    """Return what a journal tells of its upload, or None if it can't be followed any more."""
    record = _peek(path)
    if record is None:
        return None
    head = record.head
    try:
        stopped_at = path.stat().st_mtime
        is_over = head.ttl is not None and time.time() > stopped_at + head.ttl
        is_running = _is_running(path, forget=is_over)
    except OSError:  # it has just ended
        return None
    if is_over and not is_running:
        return None
    return UnfinishedUpload(
        path=head.path,
        name=head.name,
        destination=head.destination,
        file_id=head.file_id,
        size=head.identity.size,
        stored=record.stored,
        chunk_size=head.chunk_size,
        ttl=head.ttl,
        share_with=head.share_with,
        stopped_at=stopped_at,
        state="running" if is_running else _state(record),
    )


def _under_way(path: Path) -> Optional[Record]:
    try:
        # Looked for first: what is read of one that is held is not older than that.
        return _peek(path) if _is_running(path, forget=False) else None
    except OSError:  # it has just ended
        return None


def _is_running(path: Path, *, forget: bool) -> bool:
    """Return whether somebody is at an upload; if nobody is, remove its journal where asked to."""
    with _lock:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            _lock_file(descriptor)
            if forget and is_at(path, descriptor):
                path.unlink()
        except _Taken:
            return True
        finally:
            os.close(descriptor)
    return False


def _state(record: Record) -> str:
    try:
        status = Path(record.head.path).stat()
    except OSError:
        return "gone"
    identity = record.head.identity
    is_same = (status.st_size, status.st_mtime_ns) == (identity.size, identity.mtime_ns)
    return "stopped" if is_same else "changed"


# --- the journals that this process has open

_OPEN: dict[Path, Journal] = {}
_lock = threading.Lock()  # guards _OPEN, and that what is open is in it when a child is made


def _leave_all() -> None:
    for journal in _OPEN.values():
        journal.leave_to_parent()
    _OPEN.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_leave_all
    )
