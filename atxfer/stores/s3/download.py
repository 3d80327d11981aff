"""Files on their way from S3: one range a request, all of one version (R22)."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from atxfer._buffers import Buffer
from atxfer.errors import (
    ChunkCorrupt,
    ChunkMissing,
    ProtocolViolation,
)
from atxfer.model import Chunk
from atxfer.stores.base import StoredFile
from atxfer.stores.http import Incoming, Response
from atxfer.stores.s3.bucket import Bucket
from atxfer.stores.s3.checksums import crc32, has_md5_etags, md5_hex, plain_etag
from atxfer.stores.s3.proof import Piece, Proof
from atxfer.waiting import Wait

__all__ = ["RangeRead", "S3Download", "read_range"]

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")

_AGAIN = "Download it again; the target was left as it was."


@dataclass(frozen=True)
class RangeRead:
    """Some bytes of an object, and what the server said of the whole.

    Attributes:
        data: Exactly as many as were asked for.
        version: The object's ETag.
        has_md5s: Whether the ETag may be made of MD5s.
    """

    data: Buffer = field(repr=False)
    version: str
    has_md5s: bool


def read_range(
    bucket: Bucket, key: str, span: tuple[int, int], *, version: str, size: int, wait: Wait
) -> RangeRead:
    """Return some bytes of an object, in one request.

    Args:
        bucket: Where it lies.
        key: What it is called.
        span: Where they begin and end.
        version: The only ETag that will do; empty for any.
        size: How large the object is.
        wait: Cancellation and deadline of the transfer this is for.

    Raises:
        ChunkMissing: It is gone.
        ChunkCorrupt: It is another version.
        ProtocolViolation: Other bytes came than were asked for.
        TransferError: As :meth:`Bucket.ask` does.
    """
    start, stop = span
    headers = {"Range": f"bytes={start}-{stop - 1}"}
    if version:
        headers["If-Match"] = f'"{version}"'
    expect = (200, 206, 404, 412, 416)
    with bucket.open(
        "GET", key, wait=wait, headers=headers, expect=expect, size=stop - start
    ) as answer:
        if answer.status == 404:
            failure = bucket.failure_of(Response.of(answer))
            if failure.code in ("NoSuchKey", ""):
                raise ChunkMissing(f"{bucket.place.address(key)} is not there any more")
            raise failure.error
        if answer.status in (412, 416):
            raise _changed()
        _check_range(answer, start, stop, size)
        told = plain_etag(answer.headers.get("ETag", ""))
        if version and told and told != version:
            raise _changed()
        data = answer.exactly(stop - start)
        return RangeRead(data, told or version, has_md5_etags(answer.headers))


def _changed() -> ChunkCorrupt:
    return ChunkCorrupt("the object changed while it was read", remedy=_AGAIN)


def _check_range(answer: Incoming, start: int, stop: int, size: int) -> None:
    """Raise if these are not the bytes that were asked for: they are never taken for others."""
    told = (0, size, size)  # of the whole, if it has the length that it had
    if answer.status == 206:
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if found is None:
            raise ProtocolViolation("the server sent a part, and did not say which")
        told = (int(found[1]), int(found[2]) + 1, size if found[3] == "*" else int(found[3]))
    if told != (start, stop, size):
        got = f"{told[0]:,} to {told[1]:,} of {told[2]:,}"
        raise ProtocolViolation(
            f"the server was asked for bytes {start:,} to {stop:,} of {size:,}, and sent {got}",
            remedy="This server may not know ranges; or a proxy in front of it doesn't.",
        )


class S3Download:
    """One file on its way from S3.

    Threads: ranges may be read by several.
    """

    def __init__(self, bucket: Bucket, stored: StoredFile) -> None:
        location = stored.location
        self._bucket = bucket
        self._stored = stored
        self._key = bucket.place.key_of(location["address"])
        self._size = int(location["size"])
        self._version = str(location.get("version", ""))
        self._proof = Proof.parse(str(location.get("proof", "")))
        self._pieces: dict[int, Piece] = {}
        self._has_md5s = True
        self._lock = threading.Lock()  # guards _version, _pieces and _has_md5s

    def get(self, indexes: Sequence[int], wait: Wait) -> Sequence[Chunk]:
        """Return chunks, one range each."""
        return [self._get(index, wait) for index in indexes]

    def _get(self, index: int, wait: Wait) -> Chunk:
        span = self._stored.span(range(index, index + 1))
        read = read_range(
            self._bucket, self._key, span, version=self._version, size=self._size, wait=wait
        )
        piece = self._piece(read)
        with self._lock:
            # Where nobody said which version, it is that of the first answer.
            self._version = self._version or read.version
            is_same = read.version == self._version
            self._has_md5s = self._has_md5s and read.has_md5s
            self._pieces[index] = piece
        if not is_same:
            raise _changed()
        return Chunk(index, read.data)

    def check(self) -> None:
        """Compare what was read with what the store says of the whole, if it is the whole.

        Raises:
            ChecksumMismatch: It is not what was stored.
        """
        with self._lock:
            pieces = [piece for _, piece in sorted(self._pieces.items())]
            has_md5s = self._has_md5s
        if sum(piece.size for piece in pieces) == self._size:
            self._proof.check(pieces, self._version, etags_are_md5s=has_md5s and self._makes_md5s)

    @property
    def _makes_md5s(self) -> bool:
        """Whether the server is one whose ETags of such an object are made of MD5s."""
        return self._stored.chunks == 1 or self._bucket.etags_are_md5s

    def _piece(self, read: RangeRead) -> Piece:
        needs_md5 = not self._proof.crc32 and read.has_md5s and self._makes_md5s
        md5 = md5_hex(read.data) if needs_md5 else ""
        return Piece(len(read.data), crc32(read.data), md5)
