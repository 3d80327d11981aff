"""A file by ``GET``: in parts where the server gives them, or as a whole that is read in order.

Rules of this file (peers.md R22; scenario 15):

1. What comes is believed only if it is the part that was asked for, of the file that was meant.
2. A server that answers a ``Range`` with all of the file is not hung up on: @tus/server, which is
   one, may end its process for that. The one answer serves all that follows in order; between two
   chunks it stays open, though nobody holds a permit for it.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Optional, Protocol

from atxfer._buffers import Buffer
from atxfer.errors import ChunkCorrupt, ChunkMissing, NetworkError, ProtocolViolation
from atxfer.model import Chunk
from atxfer.stores.base import ObjectInfo, StoredFile
from atxfer.stores.http.incoming import Incoming
from atxfer.waiting import Wait

__all__ = ["FileDownload", "Origin", "Reader", "content_range", "strong_etag"]

# Bytes that are read though nobody wants them, rather than hang up.
_DRAINED = 1 << 20


class Origin(Protocol):
    """The server of a file.

    Attributes:
        name: ``host:port``, for errors.
        gives_parts: Whether it gives parts of a file; None as long as nobody has asked for one.
    """

    gives_parts: Optional[bool]

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def get(self, url: str, headers: Mapping[str, str], wait: Wait) -> Incoming:
        """Return the answer to a ``GET``: 200, 206, 404, 410, 412 or 416."""
        ...


class Reader:
    """Reads one file.

    Args:
        server: Where it lies; this learns whether it gives parts.
        info: What it is.

    Threads: may be shared; but a whole that comes in one answer is read fastest by one.
    """

    def __init__(self, server: Origin, info: ObjectInfo) -> None:
        self._server = server
        self._info = info
        self._lock = threading.Lock()  # guards _whole
        self._whole: Optional[Incoming] = None

    def read(self, start: int, stop: int, wait: Wait) -> Buffer:
        """Return exactly these bytes, in one request or from an answer that is under way.

        Raises:
            ChunkMissing: The file is gone.
            ChunkCorrupt: It is another one by now.
            ProtocolViolation: The server gives other bytes than were asked for.
            TransferError: The request failed otherwise; it may be repeated.
        """
        if start >= stop:
            return b""
        answer = self._take(start) or self._ask(start, stop, wait)
        try:
            if answer.status != 206:
                answer.skip(start - answer.position)
            data = answer.read(stop - start)
        except BaseException:
            answer.close()
            raise
        self._put_back(answer)
        return data

    def close(self) -> None:
        """Let go of an answer that is not read to its end."""
        whole = self._take(self._info.size)
        if whole is not None:
            left = self._info.size - whole.position
            with whole, contextlib.suppress(NetworkError):
                if left <= _DRAINED:
                    whole.skip(left)

    def _take(self, start: int) -> Optional[Incoming]:
        """Return the answer that is under way, if it has not passed this place yet."""
        with self._lock:
            if self._whole is None or self._whole.position > start:
                return None
            whole, self._whole = self._whole, None
            return whole

    def _put_back(self, answer: Incoming) -> None:
        """Keep an answer that has more to give, instead of one that was kept before."""
        useless: Optional[Incoming] = answer
        if answer.status != 206 and answer.position < self._info.size:
            with self._lock:
                useless, self._whole = self._whole, answer
        if useless is not None:
            useless.close()

    def _ask(self, start: int, stop: int, wait: Wait) -> Incoming:
        headers = {}
        if self._server.gives_parts is not False:
            headers["Range"] = f"bytes={start}-{stop - 1}"
        if self._info.version:
            headers["If-Match"] = self._info.version
        answer = self._server.get(self._info.address, headers, wait)
        try:
            self._check(answer.status, answer.headers, start, stop)
        except BaseException:
            answer.close()
            raise
        if (start, stop) != (0, self._info.size):
            self._server.gives_parts = answer.status == 206
        return answer

    def _check(self, status: int, headers: Mapping[str, str], start: int, stop: int) -> None:
        server = self._server.name
        if status in (404, 410):
            raise ChunkMissing(f"{server} has no such file any more")
        if status in (412, 416) or self._is_another(headers):
            raise ChunkCorrupt(f"the file at {server} is another one by now")
        if headers.get("Content-Encoding", "identity") != "identity":
            raise ProtocolViolation(f"{server} compresses what was asked for as it is")
        if status == 206:
            self._check_range(headers, start, stop)
        elif headers.get("Content-Length", str(self._info.size)) != str(self._info.size):
            raise ChunkCorrupt(f"the file at {server} has another length by now")

    def _is_another(self, headers: Mapping[str, str]) -> bool:
        version = headers.get("ETag", "")
        return bool(self._info.version and version) and version != self._info.version

    def _check_range(self, headers: Mapping[str, str], start: int, stop: int) -> None:
        server = self._server.name
        given = content_range(headers)
        if given is None or given[:2] != (start, stop):
            raise ProtocolViolation(
                f"{server} gives other bytes than those asked for",
                remedy="A cache on the way may be broken; ask the server itself.",
            )
        if given[2] is not None and given[2] != self._info.size:
            raise ChunkCorrupt(f"the file at {server} has another length by now")


class FileDownload:
    """One file on its way from a server that knows no checksum of the whole.

    Args:
        reader: Of the file.
        stored: What it is.

    Threads: one gets chunks, in order if it can.
    """

    def __init__(self, reader: Reader, stored: StoredFile) -> None:
        self._reader = reader
        self._stored = stored

    def get(self, indexes: Sequence[int], wait: Wait) -> Sequence[Chunk]:
        """Return chunks as they lie there."""
        spans = [(i, *self._stored.span(range(i, i + 1))) for i in indexes]
        return [Chunk(i, self._reader.read(start, stop, wait)) for i, start, stop in spans]

    def check(self) -> None:
        """Compare nothing: the server says nothing of the whole."""
        self._reader.close()


def strong_etag(headers: Mapping[str, str]) -> str:
    """Return the ETag, if it changes with every byte; empty otherwise."""
    etag = headers.get("ETag", "")
    return "" if etag.startswith("W/") else etag


def content_range(headers: Mapping[str, str]) -> Optional[tuple[int, int, Optional[int]]]:
    """Return where the content of a 206 begins and ends, and the length of the whole if it is told.

    None if the header is not there, or can't be read.
    """
    text = headers.get("Content-Range", "").strip()
    match = re.fullmatch(
        r"bytes +([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", text, re.IGNORECASE
    )
    if match is None:
        return None
    return int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3])
