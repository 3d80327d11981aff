"""What a store is to the engine: a few blocking calls, each of them one request.

A store knows one protocol and no thread, retries nothing, and raises typed errors of
:mod:`atxfer.errors` that name the cause; whether a call is repeated is the engine's decision. All
calls are thread-safe. A call may be repeated after any error: chunks are addressed by file id and
index, and storing one twice stores it once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional, Protocol

from atxfer._buffers import Buffer
from atxfer.errors import TransferError
from atxfer.model import Chunk
from atxfer.waiting import Wait

__all__ = [
    "Capabilities",
    "ChunksFailed",
    "Download",
    "Leftover",
    "ObjectInfo",
    "ObjectReader",
    "ObjectStore",
    "Store",
    "StoredFile",
    "Upload",
    "UploadPlan",
]


@dataclass(frozen=True)
class Capabilities:
    """What a store can take, and what suits it. Sizes in bytes.

    Attributes:
        max_request_bytes: Largest request that is still efficient; several chunks share one.
        max_read_bytes: The same for the answers of a download.
        max_chunk_bytes: Largest chunk the store can take at all, sealed.
        min_chunk_bytes: Smallest chunk but the last that it accepts.
        max_chunks: How many chunks one file may have, or None for any number.
        max_chunks_per_request: How many chunks one request may carry up.
        max_chunks_per_read: How many chunks one answer may carry down.
        max_chunks_per_delete: How many chunks one ``delete``, ``extend`` or ``stored`` may name.
        chunk_expansion: Bytes on the wire per byte of chunk (4/3 for base64).
        chunk_overhead: Further bytes on the wire per chunk (key, framing).
        chunk_ladder: ``(largest file, chunk size)`` in rising order: the default chunk sizes.
        max_default_chunk: Above the ladder, the chunk size doubles up to this ...
        target_chunks: ... so that the file has at most so many chunks.
        parallel: Whether several requests may carry chunks of one file at a time. Where not, the
            store appends: what it holds can't be sent again.
        parallel_chunks: Where they may, only for files of at most so many chunks, or None for all.
        parallel_reads: Whether several requests may read chunks of one file at a time.
    """

    max_request_bytes: int
    max_read_bytes: int
    max_chunk_bytes: int
    min_chunk_bytes: int = 1
    max_chunks: Optional[int] = None
    max_chunks_per_request: int = 1
    max_chunks_per_read: int = 1
    max_chunks_per_delete: int = 1
    chunk_expansion: float = 1.0
    chunk_overhead: int = 0
    chunk_ladder: tuple[tuple[int, int], ...] = ()
    max_default_chunk: int = 8 << 20
    target_chunks: int = 2048
    parallel: bool = True
    parallel_chunks: Optional[int] = None
    parallel_reads: bool = True

    def wire_bytes(self, chunk_bytes: int) -> int:
        """Return what a sealed chunk of this size takes in a request."""
        return math.ceil(chunk_bytes * self.chunk_expansion) + self.chunk_overhead

    def for_chunks(self, chunks: int) -> Capabilities:
        """Return what holds for the upload of a file of so many chunks."""
        if self.parallel_chunks is None or chunks <= self.parallel_chunks:
            return self
        return replace(self, parallel=False)


@dataclass(frozen=True)
class UploadPlan:
    """How one file is cut up.

    Attributes:
        file_id: 128 random bits in lower-case base32.
        size: Bytes of the file.
        chunk_size: Bytes of each plain chunk but the last.
        chunks: How many chunks.
        ttl: Seconds the chunks are to live, or None for ever.
        name: What the file is called, where a store may know that; empty where it may not.
        overhead: Bytes that sealing adds to each chunk.
        trailer: Bytes that follow the last chunk, in the same request.
        repeats: Whether chunks of an earlier call are sealed to the same bytes again.
    """

    file_id: str
    size: int
    chunk_size: int
    chunks: int
    ttl: Optional[float]
    name: str = ""
    overhead: int = 0
    trailer: int = 0
    repeats: bool = False

    @property
    def stored_bytes(self) -> int:
        """Bytes of the whole as it is stored, where its chunks lie one behind the other."""
        return self.size + self.chunks * self.overhead + self.trailer

    def offset(self, index: int) -> int:
        """Return where a stored chunk begins in that whole."""
        return index * (self.chunk_size + self.overhead)


@dataclass(frozen=True)
class StoredFile:
    """Where the chunks of a file lie; the part of a manifest that a store understands.

    Attributes:
        file_id: The id under which the chunks were put.
        owner: The atSign whose server holds them; empty where stores have no owners.
        chunks: How many chunks.
        location: What else the store must know to find them, as plain JSON values.
        size: Bytes of the plain file.
        chunk_size: Bytes of each plain chunk but the last.
        overhead: Bytes that sealing has added to each chunk.
        leavings: What the upload had to store beside them, and is of no use any more.
    """

    file_id: str
    owner: str
    chunks: int
    location: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0
    chunk_size: int = 0
    overhead: int = 0
    leavings: tuple[Leftover, ...] = ()

    def span(self, indexes: range) -> tuple[int, int]:
        """Return where these stored chunks begin and end, one behind the other."""
        step = self.chunk_size + self.overhead
        last = min(indexes.stop * self.chunk_size, self.size) + indexes.stop * self.overhead
        return indexes.start * step, last


class ChunksFailed(TransferError):
    """Some chunks of a request failed; those not named succeeded.

    Attributes:
        failures: The cause, by index of the chunk.
    """

    def __init__(
        self, message: str = "", failures: Optional[Mapping[int, TransferError]] = None
    ) -> None:
        super().__init__(message)
        self.failures: dict[int, TransferError] = dict(failures or {})


class Upload(Protocol):
    """One file on its way up."""

    @property
    def token(self) -> bytes:
        """What a journal keeps, to open the same upload again after a crash.

        It may change with each call, and is empty while there is nothing to go on with.
        """
        ...

    @property
    def begins(self) -> bool:
        """Whether ``begin`` has to be called: it is a request."""
        ...

    @property
    def commits(self) -> bool:
        """Whether ``commit`` is a request."""
        ...

    def begin(self, wait: Wait) -> None:
        """Make the server ready to take chunks; before any of them, until it has succeeded."""
        ...

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Make a connection ready for a later call, unless there are enough.

        Args:
            wait: Cancellation and deadline of the transfer this is for.
            enough: How many there are to be, in use or not.

        Returns:
            Whether one was made.
        """
        ...

    def put(self, chunks: Sequence[Chunk], wait: Wait) -> None:
        """Store sealed chunks, in one request.

        Raises:
            ChunksFailed: Some were stored and some were not.
            TransferError: None is known to be stored.
        """
        ...

    def stored(self, indexes: range, wait: Wait) -> frozenset[int]:
        """Return which of these chunks the server holds, whole, in one request.

        Asked before the first ``put`` of an upload that goes on. Those that are held are to live
        from now on as long as those that will be put.

        Raises:
            NotFound: There is no such upload any more, or it can't be gone on with, as one that
                ends within a sealed chunk. Then another one is begun.
        """
        ...

    def commit(self, wait: Wait) -> StoredFile:
        """End the upload; called once all chunks are stored, until it has succeeded."""
        ...

    def abort(self, wait: Wait) -> None:
        """Remove what was stored, if the store keeps uploads that have not ended apart."""
        ...


class Download(Protocol):
    """One file on its way down."""

    def get(self, indexes: Sequence[int], wait: Wait) -> Sequence[Chunk]:
        """Return these sealed chunks, in the order asked for, in one request.

        Raises:
            ChunkMissing: One is not there (any more).
            TransferError: Whatever else went wrong.
        """
        ...

    def check(self) -> None:
        """Compare the whole with what the store says of it, once all chunks were got; ask nothing.

        Raises:
            ChecksumMismatch: It is not what was stored.
        """
        ...


class Store(Protocol):
    """A place where chunks lie."""

    @property
    def capabilities(self) -> Capabilities:
        """What the store can take."""
        ...

    def open_upload(self, plan: UploadPlan, wait: Wait, *, token: Optional[bytes] = None) -> Upload:
        """Begin an upload, or with a token go on with an earlier one."""
        ...

    def open_download(self, stored: StoredFile, wait: Wait) -> Download:
        """Begin a download."""
        ...

    def delete(self, stored: StoredFile, indexes: range, wait: Wait) -> None:
        """Remove these chunks, in one request; those that are not there don't matter."""
        ...

    def extend(self, stored: StoredFile, indexes: range, ttl: float, wait: Wait) -> None:
        """Let these chunks live so many seconds from now, in as few requests as possible.

        Raises:
            ChunkMissing: One is not there any more.
        """
        ...


# --- stores in which a file is one object, of a name that others may know, too


@dataclass(frozen=True)
class ObjectInfo:
    """What a store says of an object.

    Attributes:
        address: What names it: an URL that the store's ``stat`` takes.
        name: What it is called; may be hostile.
        size: Bytes, as they are stored.
        version: Changes whenever the content does, as an ETag; empty where the store has none.
        modified_at: Epoch seconds, or None where the store doesn't say.
        expires_at: Epoch seconds, or None if it never expires.
        proof: What the content can be verified by, in the store's own words; empty if by nothing.
    """

    address: str
    name: str
    size: int
    version: str = ""
    modified_at: Optional[float] = None
    expires_at: Optional[float] = None
    proof: str = ""


@dataclass(frozen=True)
class Leftover:
    """An upload that did not end, and what was stored of it.

    Attributes:
        address: Where the object would lie.
        token: What the store knows the upload by, as ``Upload.token``.
        begun_at: Epoch seconds by the store's clock, or None where the store doesn't say.
        stopped_at: The same of when something was stored of it last; None where nobody has asked.
        stored: Bytes that were stored of it; 0 where nobody has asked.
    """

    address: str
    token: bytes
    begun_at: Optional[float] = None
    stopped_at: Optional[float] = None
    stored: int = 0


class ObjectReader(Protocol):
    """Where objects are read: a store, or the URLs of one.

    ``StoredFile.location`` holds what ``ObjectInfo`` does, under the same names.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can take and give."""
        ...

    def stat(self, address: str, wait: Wait) -> ObjectInfo:
        """Ask for one object, in one request.

        Raises:
            ValueError: This is no address in this store.
            FileNotFound: There is none.
            FileExpired: It was there, and its time is over.
        """
        ...

    def read(self, info: ObjectInfo, start: int, stop: int, wait: Wait) -> Buffer:
        """Return exactly these bytes of an object, in one request.

        Raises:
            ChunkMissing: It is gone.
            ChunkCorrupt: Its content is another one than ``info`` says.
        """
        ...

    def open_download(self, stored: StoredFile, wait: Wait) -> Download:
        """Begin a download."""
        ...


class ObjectStore(ObjectReader, Store, Protocol):
    """A store whose files are objects: one behind the other lie all chunks, then a trailer.

    ``delete`` removes the object, whichever chunks are named, and ``extend`` raises ChunkMissing if
    it is not there.
    """

    @property
    def learns(self) -> bool:
        """Whether ``learn`` is to be called before an upload: it is a request."""
        ...

    def learn(self, wait: Wait) -> None:
        """Ask the server what it can do, on which ``capabilities`` depend; once is enough."""
        ...

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Make a connection ready for a later call, as that of an upload does."""
        ...

    def objects(self, wait: Wait) -> Sequence[ObjectInfo]:
        """Return all that lie below the store's address.

        Raises:
            NotSupported: The store can't list.
        """
        ...

    def url(
        self, info: ObjectInfo, ttl: Optional[float], wait: Wait
    ) -> tuple[str, Optional[float]]:
        """Return an URL by which anybody can read an object, and the epoch second it ends at.

        Args:
            info: The object.
            ttl: Seconds the URL is to be good for, or None for as long as the store allows.
            wait: Cancellation and deadline of the transfer this is for.

        Raises:
            ValueError: The store can't let it be good for so long.
        """
        ...

    def leftovers(self, wait: Wait) -> Sequence[Leftover]:
        """Return the uploads below the store's address that did not end.

        Raises:
            NotSupported: The store can't list them.
        """
        ...

    def examine(self, leftover: Leftover, wait: Wait) -> Optional[Leftover]:
        """Return it with how much of it is stored, and since when; None if it is gone.

        Raises:
            NotSupported: The store can't say.
        """
        ...

    def address_of(self, name: str) -> Optional[str]:
        """Return where an object of this name lies, or None where the store decides that."""
        ...

    def drop(self, leftover: Leftover, wait: Wait) -> None:
        """Remove what was stored of an upload that did not end, there or not."""
        ...
