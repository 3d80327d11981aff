"""Frozen values that pass between the floors and out to the caller. No behaviour but showing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional, Union

from atxfer._buffers import Buffer

__all__ = [
    "AbandonedUpload",
    "Chunk",
    "LimitChange",
    "Outcome",
    "Progress",
    "Receipt",
    "RemoteFile",
    "Result",
    "SharedFile",
    "Statistics",
    "UnfinishedUpload",
    "chunk_count",
]


def chunk_count(size: int, chunk_size: int) -> int:
    """Return how many chunks a file of ``size`` bytes has; an empty file has none."""
    return -(-size // chunk_size)


@dataclass(frozen=True)
class Chunk:
    """A contiguous slice of a file, plain or sealed.

    Attributes:
        index: Its place, from 0.
        data: The bytes; after sealing they are longer than the slice of the file.
        block: The memory that they lie in, with the room that the job's frame asks for. Whoever
            seals the chunk may write to it. None if there is no such room.
        nonce: By which it is sealed, or was. None for a new one, and where the format has none.
    """

    index: int
    data: Buffer = field(repr=False)
    block: Optional[memoryview] = field(default=None, repr=False, compare=False)
    nonce: Optional[bytes] = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class LimitChange:
    """A change of the number of requests allowed in flight, and why it was made."""

    seconds: float
    limit: int
    reason: str


@dataclass(frozen=True)
class Statistics:
    """The evidence of one transfer: what it took, and what the server felt.

    Attributes:
        seconds: From the call to its end.
        bytes: Bytes of the file that were moved.
        resumed_bytes: The part of ``bytes`` that an earlier, interrupted call had moved already.
        wire_bytes: Bytes of chunks handed to the store, sealed, repetitions included.
        resent_bytes: The part of ``wire_bytes`` that had been sent before.
        chunks: Chunks moved.
        requests: Requests sent, repetitions included.
        retries: Repetitions by the name of the error that caused them.
        peak_in_flight: The largest number of requests to the destination at one moment, as this
            process counted them; other transfers to the same destination count too.
        latency_p50: Median seconds of a request, from permit to answer. 0.0 without requests.
        latency_p95: 95th percentile of the same.
        latency_max: The longest of the same.
        limit_history: Changes of the limit under the cap, with reasons.
        callback_errors: What the progress callback raised, as text; it did no harm.
    """

    seconds: float = 0.0
    bytes: int = 0
    resumed_bytes: int = 0
    wire_bytes: int = 0
    resent_bytes: int = 0
    chunks: int = 0
    requests: int = 0
    retries: Mapping[str, int] = field(default_factory=dict)
    peak_in_flight: int = 0
    latency_p50: float = 0.0
    latency_p95: float = 0.0
    latency_max: float = 0.0
    limit_history: tuple[LimitChange, ...] = ()
    callback_errors: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the evidence as plain values, ready for JSON."""
        values = asdict(self)
        values["retries"] = dict(self.retries)
        return values


@dataclass(frozen=True)
class Progress:
    """How far a transfer is.

    Attributes:
        file: The name of the file.
        total: Bytes of the whole file.
        confirmed: Bytes the other side has confirmed. Only grows, unless an upload that was resumed
            turns out to be of another content, and begins anew.
        chunks: Chunks confirmed.
        chunks_total: Chunks of the whole file.
        seconds: Since the start of the transfer.
        resumed: The part of ``confirmed`` that an earlier, interrupted call had moved already.
    """

    file: str
    total: int
    confirmed: int
    chunks: int
    chunks_total: int
    seconds: float
    resumed: int = 0

    @property
    def fraction(self) -> float:
        """The part that is done, 0.0 to 1.0."""
        return self.confirmed / self.total if self.total else 1.0

    @property
    def rate(self) -> float:
        """Bytes per second so far, of those that this call has moved."""
        return (self.confirmed - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        return (
            f"{self.file}: {self.fraction:4.0%}, {self.confirmed:,} of {self.total:,} bytes,"
            f" {self.rate / 1e6:.2f} MB/s"
        )


@dataclass(frozen=True)
class RemoteFile:
    """A file as its manifest describes it.

    Attributes:
        file_id: 128 random bits in lower-case base32; in a store without a catalog, its address.
        name: The name it was uploaded under; never a path.
        size: Bytes.
        chunk_size: Bytes of each chunk but the last.
        chunks: How many.
        sha256: Of the whole file, in hex; empty while the upload is under way, and where the store
            doesn't know it.
        state: ``uploading`` or ``complete``.
        owner: The atSign whose file it is; empty where files have no owners.
        created_at: Epoch seconds.
        expires_at: Epoch seconds, or None if it never expires.
    """

    file_id: str
    name: str
    size: int
    chunk_size: int
    chunks: int
    sha256: str
    state: str
    owner: str
    created_at: float
    expires_at: Optional[float]

    def as_dict(self) -> dict[str, Any]:
        """Return the description as plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class SharedFile(RemoteFile):
    """A file that another atSign shares with us.

    The attributes are those of :class:`RemoteFile`, and:

    Attributes:
        shared_at: Epoch seconds at which its owner shared it, by the owner's clock.
    """

    shared_at: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the description as plain values, ready for JSON; ``from`` is the owner."""
        return {**asdict(self), "from": self.owner}


@dataclass(frozen=True)
class Receipt:
    """What ``upload`` returns: enough to download, extend or delete the file, and the evidence.

    The attributes are those of :class:`RemoteFile`, and:

    Attributes:
        link: Of a sealed file in a store without a catalog: its address with the key. Nothing else
            holds the key, so who loses this has lost the file. None elsewhere.
        statistics: The evidence.
    """

    file_id: str
    name: str
    size: int
    chunk_size: int
    chunks: int
    sha256: str
    owner: str
    created_at: float
    expires_at: Optional[float]
    link: Optional[str] = field(default=None, repr=False)
    statistics: Statistics = field(default_factory=Statistics, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the receipt and its statistics in one flat dictionary, ready for JSON."""
        values = asdict(self)
        del values["statistics"]
        return {**self.statistics.as_dict(), **values}


@dataclass(frozen=True)
class Result:
    """What ``download`` returns.

    Attributes:
        file: The file's description.
        path: Where it was written, or None if the target was a file object.
        statistics: The evidence.
    """

    file: RemoteFile
    path: Optional[Path]
    statistics: Statistics = field(default_factory=Statistics, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the result in one flat dictionary, ready for JSON."""
        path = str(self.path) if self.path is not None else None
        return {**self.statistics.as_dict(), **self.file.as_dict(), "path": path}


@dataclass(frozen=True)
class Outcome:
    """How one file of ``upload_many`` ended: with a receipt, or with an error.

    Attributes:
        source: The source as it was given.
        receipt: The receipt, if the upload succeeded.
        error: The error, if it did not.
    """

    source: Union[str, Path, Any]
    receipt: Optional[Receipt] = None
    error: Optional[Exception] = None

    @property
    def ok(self) -> bool:
        """Whether the file is safely there."""
        return self.error is None


@dataclass(frozen=True)
class UnfinishedUpload:
    """An upload of this machine that did not end, as its journal tells.

    Attributes:
        path: The file, in full.
        name: The name it is to be kept under.
        destination: Where to, as :attr:`Client.destination`.
        file_id: What the server knows it by; in a store, only what journals tell it from others by.
        size: Bytes of the file.
        stored: Bytes that the server had confirmed.
        chunk_size: Bytes of each chunk but the last.
        ttl: Seconds it is to live, or None for ever.
        share_with: The atSigns it is to be shared with.
        stopped_at: Epoch seconds of its last progress.
        state: ``stopped``; ``running`` where a process is at it; ``changed`` or ``gone`` where the
            file is not what it was any more.
    """

    path: str
    name: str
    destination: str
    file_id: str
    size: int
    stored: int
    chunk_size: int
    ttl: Optional[float]
    share_with: tuple[str, ...]
    stopped_at: float
    state: str

    def as_dict(self) -> dict[str, Any]:
        """Return the description as plain values, ready for JSON."""
        return {**asdict(self), "share_with": list(self.share_with)}


@dataclass(frozen=True)
class AbandonedUpload:
    """An upload that did not end, as its server tells, and that nobody has gone on with.

    Attributes:
        file_id: What the server knows the file by; in a store the address it would have had, at
            which another file, that is whole, may lie.
        name: The name of the file; in a store that of the object.
        size: Bytes of the whole file, or None where the server doesn't know.
        stored: Bytes of it that lie on the server; in a store as they lie there, sealed or not.
        begun_at: Epoch seconds; by the clock of the store, or of who uploads to an atServer.
        stopped_at: Epoch seconds of its last progress, by the server's clock.
    """

    file_id: str
    name: str
    size: Optional[int]
    stored: int
    begun_at: float
    stopped_at: float

    def as_dict(self) -> dict[str, Any]:
        """Return the description as plain values, ready for JSON."""
        return asdict(self)
