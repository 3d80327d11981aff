"""The journal of an upload: what a later call must know to go on after a crash (peers.md R19).

Rules of this file:

1. There is one for each destination, path and name. Its owner holds a lock on it, which the system
   takes back when the process dies, however that happens. Nobody else follows or writes it.
2. The head is on the disk before anything is sent, a token before chunks are confirmed, and a hash
   with the system before its chunk is sent. So a journal knows the content of every chunk that
   its upload can have brought to the server.
3. One that can't be read is set aside; one that can't be written any more, and so would break rule
   2, is removed. Neither ends an upload.
4. It goes when the upload is committed, and stays in every other case.
5. The child of a fork has no journal: those of its parent are still its parent's.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from atxfer._disk import sync_folder
from atxfer._engine import record as lines
from atxfer._engine.record import Head, Record
from atxfer._engine.sources import Identity, Source
from atxfer.stores.base import UploadPlan
from atxfer.waiting import Clock

__all__ = ["Errand", "Journal", "is_at"]

# Seconds between two flushes of hashes and confirmations to the disk. What a loss of power takes
# is sent again; flushing every line would hold up a slow disk's user.
_FLUSH = 1.0

_log = logging.getLogger("atxfer.journal")


@dataclass(frozen=True)
class Errand:
    """What an upload is for, as its caller said it.

    Attributes:
        source: A regular file, opened by its path.
        destination: Where to: what tells the server from others.
        share_with: The atSigns it is to be shared with.
        ttl: Seconds it is to live, or None for ever.
    """

    source: Source
    destination: str
    share_with: tuple[str, ...] = ()
    ttl: Optional[float] = None


class Journal:
    """The journal of one upload, locked for it.

    Args:
        path: Where it lies.
        descriptor: Open for appending, and locked.
        errand: Which upload it is.
        identity: What its source is now.

    Attributes:
        record: What an earlier call left that can be gone on with, or None.
        kept: Whether a later call can go on with this upload.

    Raises:
        Damaged: What lies there can't be followed.
        OSError: It can't be read.

    Threads: belongs to the thread that drives the upload; any of its workers may call the methods
        that take a note.
    """

    def __init__(self, path: Path, descriptor: int, errand: Errand, identity: Identity) -> None:
        self.path = path
        self._descriptor: Optional[int] = descriptor  # None if there is none to write any more
        self._errand = errand
        self._identity = identity
        self._writing = threading.RLock()  # guards _descriptor
        self._token = b""
        self._flushed: Optional[float] = None
        self.record: Optional[Record] = lines.read(path.read_bytes())
        self.kept = self.record is not None

    def check_source(self) -> None:
        """Forget an upload of what the file held before it was changed."""
        if self.record is not None and self.record.head.identity != self._identity:
            self.forget("the file has changed")

    def forget(self, reason: str) -> None:
        """Go on with the earlier upload no more, and tell what it has left on the server."""
        if self.record is not None:
            name, file_id = self.record.head.name, self.record.head.file_id
            _log.warning("upload.abandoned file=%r file_id=%s reason=%r", name, file_id, reason)
        self.record = None
        self.kept = False

    def open(self, plan: UploadPlan) -> None:
        """Go on with the earlier upload, or write the head of a new one."""
        if self.record is not None:
            self._token = self.record.token
            self._begin_at(self.record.length, lines.process_line())  # what is torn goes
        else:
            self._begin_at(0, self._head(plan).line() + lines.process_line())

    def note_token(self, token: bytes) -> None:
        """Keep what the store knows the upload by, if that is new."""
        if token != self._token:
            self._append(lines.token_line(token), flush=True)
            self._token = token

    def note_sent(
        self, hashes: Mapping[int, bytes], nonces: Mapping[int, bytes], *, flush: bool
    ) -> None:
        """Keep what tells of chunks that are about to be sent.

        Args:
            hashes: SHA-256 of the plain chunks, by index.
            nonces: Of those of them that are to be sealed to the same bytes again.
            flush: Whether a loss of power must not take them either.
        """
        if hashes:
            self._append(lines.sent_line(hashes, nonces), flush=flush)

    def note_held(self, indexes: Sequence[int], clock: Clock) -> None:
        """Keep which chunks the server has confirmed."""
        if indexes:
            now = clock.monotonic()
            due = self._flushed is None or now - self._flushed >= _FLUSH
            self._append(lines.held_line(indexes), flush=due)
            self._flushed = now if due else self._flushed

    def done(self) -> None:
        """The upload is committed: there is nothing to go on with."""
        self.kept = False

    def close(self) -> None:
        """Let go of the lock, and of a journal that is of no use."""
        with self._writing:
            if not self.kept:
                self._remove()
            self._close()

    def leave_to_parent(self) -> None:
        """Have nothing to do with it any more, in the child of a fork."""
        self._writing = threading.RLock()
        self.kept = False
        self._close()  # the lock is the parent's as well, and stays

    def _head(self, plan: UploadPlan) -> Head:
        return Head(
            destination=self._errand.destination,
            path=str(self._errand.source.path),
            name=self._errand.source.name,
            share_with=self._errand.share_with,
            identity=self._identity,
            file_id=plan.file_id,
            chunk_size=plan.chunk_size,
            chunks=plan.chunks,
            ttl=self._errand.ttl,
        )

    def _begin_at(self, length: int, line: bytes) -> None:
        """Cut the journal to this length, and go on from there."""
        if self._descriptor is None:
            return
        try:
            os.ftruncate(self._descriptor, length)
            sync_folder(self.path.parent)
        except OSError as error:
            self._give_up(error)
        self.kept = self._append(line, flush=True)

    def _append(self, line: bytes, *, flush: bool) -> bool:
        """Add a line; return whether the journal is still one."""
        with self._writing:
            if self._descriptor is None:
                return False
            try:
                if os.write(self._descriptor, line) != len(line):
                    raise OSError("a line could be written in part only")
                if flush:
                    os.fsync(self._descriptor)
            except OSError as error:
                self._give_up(error)
            return self._descriptor is not None

    def _give_up(self, error: OSError) -> None:
        """Do without the journal from now on (rule 3)."""
        _log.warning("journal.failed path=%s error=%r", self.path, str(error))
        self.kept = False
        self.close()

    def _close(self) -> None:
        # Forgotten first: a child made meanwhile must not close what has its number by then.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            # Once ours is gone, another process may have made one of its own.
            if self._descriptor is not None and is_at(self.path, self._descriptor):
                self.path.unlink()


def is_at(path: Path, descriptor: int) -> bool:
    """Return whether the file that is open lies there still."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
