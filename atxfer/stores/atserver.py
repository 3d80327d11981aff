"""Chunks on an atServer: hidden, unsynced public keys, several to a ``batch:``.

Design §7: a chunk is sealed already, so it lies under a public key that any recipient reads without
a login; one leading underscore keeps the key out of every scan and out of the commit log. Nothing
lists these keys: the manifest counts them.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Sequence
from typing import Callable, Optional

from atxfer._format.manifest import chunk_name
from atxfer._net.pool import ConnectionPool
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import InvalidSyntax, KeyNotFound
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import Batch, Delete, Llookup, Mode, Update, UpdateMeta, Verb
from atxfer.config import KIB, MIB, TransferConfig
from atxfer.errors import (
    AnswerMissing,
    ChunkCorrupt,
    ChunkMissing,
    FileExpired,
    RetryableError,
    TransferError,
)
from atxfer.model import Chunk
from atxfer.stores.base import Capabilities, ChunksFailed, StoredFile, UploadPlan
from atxfer.waiting import Wait

__all__ = ["CHUNK_GRACE", "EXPIRED", "AtServerStore", "ttl_ms"]

# Chunks outlive their manifest by this many seconds, so that whoever can read the manifest can read
# the file (design §7).
CHUNK_GRACE = 3600.0

# What a server answers for a record whose time is over (facts §5); the text itself is never stored.
EXPIRED = "null"


def ttl_ms(ttl: Optional[float], grace: float = 0.0) -> int:
    """Return a time to live as the wire has it; 0 clears what an earlier record left (facts §5)."""
    return 0 if ttl is None else int((ttl + grace) * 1000)


class AtServerStore:
    """The chunks of one atSign, on its own server, by its owner.

    Args:
        pool: Connections to the server, logged in as its owner.
        owner: The atSign.
        config: Sizes of requests.

    Threads: all methods may be called from several threads.
    """

    def __init__(self, pool: ConnectionPool, owner: str, config: TransferConfig) -> None:
        self._pool = pool
        self._owner = owner
        self._batches = True  # until a server answers that it knows no batch; only ever cleared
        self._lock = threading.Lock()  # guards _batches
        self.capabilities = Capabilities(
            max_request_bytes=config.max_request_bytes,
            # An answer costs the server no square: reading is bound by round trips (facts §10).
            max_read_bytes=2 * config.max_request_bytes,
            # The server's line buffer holds 10,240,000 bytes (facts §2); base64 takes 4/3.
            max_chunk_bytes=7 * MIB,
            max_chunks_per_request=1024,
            max_chunks_per_read=1024,
            max_chunks_per_delete=256,  # measured: a batch of 256 deletes takes 0.1 s (facts §10)
            chunk_expansion=4 / 3,
            chunk_overhead=128 + len(owner),
            chunk_ladder=((256 * KIB, 8 * KIB), (64 * MIB, 32 * KIB)),
            max_default_chunk=128 * KIB,
            target_chunks=2048,
        )

    def open_upload(
        self, plan: UploadPlan, wait: Wait, *, token: Optional[bytes] = None
    ) -> AtServerUpload:
        """Begin an upload; the file id alone says where the chunks go, so a token adds nothing."""
        return AtServerUpload(self, plan)

    def open_download(self, stored: StoredFile, wait: Wait) -> AtServerDownload:
        """Begin a download by the owner."""
        return AtServerDownload(self, stored)

    def delete(self, stored: StoredFile, indexes: range, wait: Wait) -> None:
        """Remove chunks; the server doesn't mind those that are not there."""
        failed = self._failures(indexes, self._ask_each(stored, indexes, Delete, wait))
        if failed:
            raise _first(failed)

    def extend(self, stored: StoredFile, indexes: range, ttl: float, wait: Wait) -> None:
        """Let chunks live so many seconds from now."""
        metadata = Metadata(ttl_ms=ttl_ms(ttl, CHUNK_GRACE))
        answers = self._ask_each(stored, indexes, lambda key: UpdateMeta(key, metadata), wait)
        failed = self._failures(indexes, answers)
        if failed:
            raise _first(failed)

    # --- what uploads and downloads share

    def prepare(self, wait: Wait) -> None:
        """Log one more connection in, for a later request."""
        self._pool.prepare(wait)

    def key(self, file_id: str, index: int) -> AtKey:
        """Return the key of a chunk."""
        return AtKey.public(chunk_name(file_id, index), self._owner)

    def ask(self, verbs: Sequence[Verb], wait: Wait) -> dict[int, Answer | TransferError]:
        """Ask several things in one request; answers by position, where the server gave one.

        Servers without ``batch:`` are asked one by one, from the first refusal on.
        """
        if len(verbs) == 1:
            return {0: self._ask_one(verbs[0], wait)}
        if self._batches:
            batch = Batch(tuple(verbs))
            try:
                answers = Batch.read(self._pool.ask(batch, wait).data)
            except InvalidSyntax:
                with self._lock:
                    self._batches = False
            else:
                return {place - 1: answer for place, answer in answers.items()}
        return {place: self._ask_one(verb, wait) for place, verb in enumerate(verbs)}

    def _ask_one(self, verb: Verb, wait: Wait) -> Answer | TransferError:
        try:
            return self._pool.ask(verb, wait)
        except KeyNotFound as error:
            return error

    def _ask_each(
        self, stored: StoredFile, indexes: range, verb: Callable[[AtKey], Verb], wait: Wait
    ) -> dict[int, Answer | TransferError]:
        return self.ask([verb(self.key(stored.file_id, index)) for index in indexes], wait)

    @staticmethod
    def _failures(
        indexes: Sequence[int], answers: dict[int, Answer | TransferError]
    ) -> dict[int, TransferError]:
        """Return the cause for each chunk whose command did not succeed."""
        failed: dict[int, TransferError] = {}
        for place, index in enumerate(indexes):
            answer = answers.get(place)
            if answer is None:
                failed[index] = AnswerMissing("the server left a command without an answer")
            elif isinstance(answer, KeyNotFound):
                failed[index] = ChunkMissing(f"chunk {index} is not on the server", chunk=index)
            elif isinstance(answer, TransferError):
                failed[index] = answer
        return failed


class AtServerUpload:
    """One file on its way to an atServer."""

    def __init__(self, store: AtServerStore, plan: UploadPlan) -> None:
        self._store = store
        self._plan = plan
        self._metadata = Metadata(ttl_ms=ttl_ms(plan.ttl, CHUNK_GRACE))

    @property
    def token(self) -> bytes:
        """The file id: it is all that finds the chunks again."""
        return self._plan.file_id.encode("ascii")

    def prepare(self, wait: Wait) -> None:
        """Log one more connection in."""
        self._store.prepare(wait)

    def put(self, chunks: Sequence[Chunk], wait: Wait) -> None:
        """Store sealed chunks in one request; a repetition overwrites with the same."""
        updates = [
            Update(
                self._store.key(self._plan.file_id, chunk.index),
                base64.b64encode(chunk.data).decode("ascii"),
                self._metadata,
            )
            for chunk in chunks
        ]
        indexes = [chunk.index for chunk in chunks]
        failed = self._store._failures(indexes, self._store.ask(updates, wait))
        if failed:
            raise ChunksFailed(f"{len(failed)} of {len(chunks)} chunks were not stored", failed)

    def stored(self, indexes: range, wait: Wait) -> frozenset[int]:
        """Return which of these chunks the server holds and has not let expire."""
        keys = [self._store.key(self._plan.file_id, index) for index in indexes]
        answers = self._store.ask([Llookup(key, Mode.META) for key in keys], wait)
        return frozenset(
            index
            for place, index in enumerate(indexes)
            if isinstance(answer := answers.get(place), Answer) and answer.data != EXPIRED
        )

    def commit(self, wait: Wait) -> StoredFile:
        """Return where the chunks lie; the manifest makes them a file."""
        plan = self._plan
        return StoredFile(plan.file_id, self._store._owner, plan.chunks)


class AtServerDownload:
    """One file on its way from its owner's atServer."""

    def __init__(self, store: AtServerStore, stored: StoredFile) -> None:
        self._store = store
        self._stored = stored

    def prepare(self, wait: Wait) -> None:
        """Log one more connection in."""
        self._store.prepare(wait)

    def get(self, indexes: Sequence[int], wait: Wait) -> Sequence[Chunk]:
        """Return sealed chunks, read in one request."""
        keys = [self._store.key(self._stored.file_id, index) for index in indexes]
        answers = self._store.ask([Llookup(key) for key in keys], wait)
        failed = self._store._failures(indexes, answers)
        if failed:
            raise _first(failed)
        return [_chunk(index, answers[place]) for place, index in enumerate(indexes)]


def _chunk(index: int, answer: Answer | TransferError) -> Chunk:
    assert isinstance(answer, Answer)  # noqa: S101  # failures were raised before
    if answer.data == EXPIRED:
        raise FileExpired("the chunks of this file have expired", chunk=index)
    try:
        return Chunk(index, base64.b64decode(answer.data, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ChunkCorrupt("the stored chunk is not base64", chunk=index) from error


def _first(failed: dict[int, TransferError]) -> TransferError:
    """Return the error that says most: a final one before one that may pass."""
    final = [error for error in failed.values() if not isinstance(error, RetryableError)]
    return (final or list(failed.values()))[0]
