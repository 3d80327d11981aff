"""Chunks on an atServer: hidden, unsynced public keys, several to a ``batch:``.

Design §7: a chunk is sealed already, so it lies under a public key that any recipient reads without
a login; one leading underscore keeps the key out of every scan and out of the commit log. Nothing
lists these keys: the manifest counts them.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from typing import Callable, Optional, Union

from atxfer._format.manifest import chunk_name
from atxfer._net.records import EXPIRED, Records, ttl_ms
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import AtError
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import Delete, Llookup, Mode, Update, UpdateMeta, Verb
from atxfer.config import KIB, MIB, TransferConfig
from atxfer.errors import ChunkCorrupt, ChunkMissing, FileExpired
from atxfer.model import Chunk
from atxfer.stores.answers import (
    Answers,
    check,
    check_stored,
    end_of,
    failures,
    nulls,
    telling,
    written_at,
)
from atxfer.stores.base import Capabilities, StoredFile, UploadPlan
from atxfer.waiting import Wait

__all__ = ["CHUNK_GRACE", "AtServerStore", "capabilities_for", "chunk_key", "chunk_of"]

# Chunks outlive their manifest by this many seconds, so that whoever can read the manifest can read
# the file (design §7).
CHUNK_GRACE = 3600.0

# A third of that is for the time since a chunk of an interrupted upload was stored. Half is for the
# upload that goes on, and a sixth is spare.
_OLD_ENOUGH = CHUNK_GRACE / 3

# To renew a record costs an atServer as much as to write it: 50 to 100 ms for one of 32 KiB on
# 3.0.52, as it reads and writes the value. So many stay far below request_timeout.
_RENEWED_PER_REQUEST = 16

# What lies under the key of chunk 0 where the chunks lie in another store. It is no chunk.
_ELSEWHERE = "elsewhere"


class AtServerStore:
    """The chunks of one atSign, on its own server, by its owner.

    Args:
        records: The server, by connections that are logged in as its owner.
        owner: The atSign.
        config: Sizes of requests.

    Threads: all methods may be called from several threads.
    """

    def __init__(self, records: Records, owner: str, config: TransferConfig) -> None:
        self._records = records
        self.owner = owner
        self.capabilities = capabilities_for(owner, config)

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
        check(indexes, self.ask_each(stored.file_id, indexes, Delete, wait))

    def extend(self, stored: StoredFile, indexes: range, ttl: float, wait: Wait) -> None:
        """Let chunks live so many seconds from now."""
        # A server answers update:meta for a key that is not there by making an empty record
        # (seen on 3.0.52), so it is asked first what it holds.
        held = self.held(stored.file_id, indexes, wait).keys()
        gone = [index for index in indexes if index not in held]
        if gone:
            raise ChunkMissing("a chunk is not on the server any more", chunk=gone[0])
        self.renew(stored.file_id, indexes, ttl, wait)

    def written(self, stored: StoredFile, indexes: range, wait: Wait) -> dict[int, float]:
        """Return which of these chunks are there, and when each was last written or renewed.

        Returns:
            Epoch seconds by the server's clock, by index; infinity where it doesn't say.
        """
        held = self.held(stored.file_id, indexes, wait)
        return {index: written_at(metadata) for index, metadata in held.items()}

    def mark(self, file_id: str, ttl: Optional[float], wait: Wait) -> None:
        """Show under the key of chunk 0 that a file is there whose chunks lie in another store.

        It ends as a chunk would, and goes as chunk 0. Who knows the id of a file can tell by it
        that the file is there, and no more than that.
        """
        update = Update(self.key(file_id, 0), _ELSEWHERE, Metadata(ttl_ms=_chunk_ttl_ms(ttl)))
        check_stored([0], self.ask([update], wait))

    # --- what uploads and downloads share

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Log one more connection in, for a later request."""
        return self._records.prepare(wait, enough)

    def key(self, file_id: str, index: int) -> AtKey:
        """Return the key of a chunk."""
        return chunk_key(file_id, index, self.owner)

    def ask(self, verbs: Sequence[Verb], wait: Wait) -> Answers:
        """Ask several things in one request; answers by position, where the server gave one."""
        return self._records.ask(verbs, wait)

    def ask_each(
        self, file_id: str, indexes: Sequence[int], verb: Callable[[AtKey], Verb], wait: Wait
    ) -> Answers:
        """Ask the same of several chunks, in one request."""
        return self.ask([verb(self.key(file_id, index)) for index in indexes], wait)

    def renew(self, file_id: str, indexes: Sequence[int], ttl: Optional[float], wait: Wait) -> None:
        """Let chunks that are known to be there live so many seconds from now."""
        metadata = Metadata(ttl_ms=_chunk_ttl_ms(ttl))
        for start in range(0, len(indexes), _RENEWED_PER_REQUEST):
            some = indexes[start : start + _RENEWED_PER_REQUEST]
            check(some, self.ask_each(file_id, some, lambda key: UpdateMeta(key, metadata), wait))

    def held(self, file_id: str, indexes: Sequence[int], wait: Wait) -> dict[int, str]:
        """Return the metadata of those of these chunks that are there and have not expired."""
        answers = self.ask_each(file_id, indexes, lambda key: Llookup(key, Mode.META), wait)
        failed = failures(indexes, answers)
        unknown = {i: e for i, e in failed.items() if not isinstance(e, ChunkMissing)}
        if unknown:
            raise telling(unknown)
        gone = failed.keys() | nulls(indexes, answers)
        return {
            index: answer.data
            for place, index in enumerate(indexes)
            if index not in gone and isinstance(answer := answers.get(place), Answer)
        }


class AtServerUpload:
    """One file on its way to an atServer.

    There is nothing to begin and nothing to end: the manifest makes chunks a file, and who removes
    it removes them.
    """

    begins = commits = False

    def __init__(self, store: AtServerStore, plan: UploadPlan) -> None:
        self._store = store
        self._plan = plan
        self._metadata = Metadata(ttl_ms=_chunk_ttl_ms(plan.ttl))

    @property
    def token(self) -> bytes:
        """The file id: it is all that finds the chunks again."""
        return self._plan.file_id.encode("ascii")

    def begin(self, wait: Wait) -> None:
        """Ask nothing."""

    def abort(self, wait: Wait) -> None:
        """Ask nothing."""

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Log one more connection in."""
        return self._store.prepare(wait, enough)

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
        check_stored(indexes, self._store.ask(updates, wait))

    def stored(self, indexes: range, wait: Wait) -> frozenset[int]:
        """Return which of these chunks the server holds, and renew those that are old."""
        ends = self._ends(indexes, wait)
        if ends:
            self._renew(ends, wait)
        return frozenset(ends)

    def _ends(self, indexes: Sequence[int], wait: Wait) -> dict[int, float]:
        held = self._store.held(self._plan.file_id, indexes, wait)
        return {index: end_of(metadata) for index, metadata in held.items()}

    def _renew(self, ends: dict[int, float], wait: Wait) -> None:
        """Let chunks live on that would end well before those that are put now.

        By the server's clock alone: the first to end is renewed, and the others are compared to it.
        """
        file_id, ttl = self._plan.file_id, self._plan.ttl
        first = min(ends, key=lambda index: ends[index])
        self._store.renew(file_id, [first], ttl, wait)
        fresh = self._ends([first], wait).get(first)
        if fresh is None:
            raise ChunkMissing("a chunk has just expired", chunk=first)
        old = [i for i, end in ends.items() if i != first and _is_old(end, fresh)]
        self._store.renew(file_id, old, ttl, wait)

    def commit(self, wait: Wait) -> StoredFile:
        """Return where the chunks lie; the manifest makes them a file."""
        plan = self._plan
        return StoredFile(plan.file_id, self._store.owner, plan.chunks)


class AtServerDownload:
    """One file on its way from its owner's atServer."""

    def __init__(self, store: AtServerStore, stored: StoredFile) -> None:
        self._store = store
        self._stored = stored

    def get(self, indexes: Sequence[int], wait: Wait) -> Sequence[Chunk]:
        """Return sealed chunks, read in one request."""
        answers = self._store.ask_each(self._stored.file_id, indexes, Llookup, wait)
        check(indexes, answers)
        return [chunk_of(index, _data(answers[place])) for place, index in enumerate(indexes)]

    def check(self) -> None:
        """Nothing: each chunk is authenticated, and the manifest knows the whole."""


def _is_old(end: float, fresh: float) -> bool:
    """Return whether a chunk is to be renewed, given when one ends that was renewed just now."""
    if math.isinf(fresh) or math.isinf(end):  # one that never ends is to end, if the file does
        return end != fresh
    return fresh - end > _OLD_ENOUGH


def _chunk_ttl_ms(ttl: Optional[float]) -> int:
    return ttl_ms(None if ttl is None else ttl + CHUNK_GRACE)


def capabilities_for(owner: str, config: TransferConfig) -> Capabilities:
    """Return what an atServer can take, and what suits it."""
    return Capabilities(
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


def chunk_key(file_id: str, index: int, owner: str) -> AtKey:
    """Return the key that a chunk lies under."""
    return AtKey.public(chunk_name(file_id, index), owner)


def chunk_of(index: int, text: str) -> Chunk:
    """Return the sealed chunk that a record holds.

    Raises:
        FileExpired: The record's time is over.
        ChunkCorrupt: It holds no chunk.
    """
    if text == EXPIRED:
        raise FileExpired("the chunks of this file have expired", chunk=index)
    try:
        return Chunk(index, base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ChunkCorrupt("the stored chunk is not base64", chunk=index) from error


def _data(answer: Union[Answer, AtError]) -> str:
    assert isinstance(answer, Answer)  # noqa: S101  # failures were raised before
    return answer.data
