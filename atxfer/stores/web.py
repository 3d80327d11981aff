"""Objects by URLs that need no credentials: presigned ones, or public ones. For reading alone.

Such a URL comes from a manifest or a link, that is, from somebody else (R24): only ``https`` is
followed, or ``http`` on this machine; nothing is sent to it that says who we are, and no redirect
is followed.
"""

from __future__ import annotations

import contextlib
import time
import urllib.parse
from collections.abc import Mapping
from typing import Optional

from atxfer._buffers import Buffer
from atxfer.config import MIB
from atxfer.errors import FileExpired, FileNotFound, NotAuthorized, ProtocolViolation
from atxfer.stores.base import Capabilities, ObjectInfo, StoredFile
from atxfer.stores.http import HttpTransport, Incoming
from atxfer.stores.http.reading import FileDownload, Reader, content_range, strong_etag
from atxfer.waiting import Wait

__all__ = ["WebStore"]

_LARGEST = 1024 * MIB
# Presigned URLs, tokens and all, are seldom longer than 2 KB.
_MAX_URL = 16 * 1024


class WebStore:
    """Whatever lies behind URLs.

    Args:
        transport: Sends the requests.
        ends_at: The epoch second at which the URLs end, if that is known.
        parallel: Whether several requests may read one object at a time.

    Threads: may be shared.
    """

    def __init__(
        self, transport: HttpTransport, *, ends_at: Optional[float] = None, parallel: bool = True
    ) -> None:
        self._transport = transport
        self._ends_at = ends_at
        self.gives_parts: Optional[bool] = None
        self.capabilities = Capabilities(
            max_request_bytes=_LARGEST,
            max_read_bytes=_LARGEST,
            max_chunk_bytes=_LARGEST,
            chunk_ladder=((8 * MIB, 8 * MIB),),
            parallel_reads=parallel,
        )

    @property
    def name(self) -> str:
        """What it is called in errors."""
        return "the web server"

    def get(self, url: str, headers: Mapping[str, str], wait: Wait) -> Incoming:
        """Return the answer to a ``GET``.

        Raises:
            ValueError: The URL is none that is followed.
            FileExpired: The URL has ended.
            NotAuthorized: The server doesn't let us read it.
        """
        expect = (200, 206, 404, 410, 412, 416, 401, 403)
        answer = self._transport.open(
            "GET", _checked(url), wait=wait, headers=headers, expect=expect
        )
        if answer.status in (401, 403):
            answer.close()
            raise self._refused()
        return answer

    def _refused(self) -> Exception:
        if self._ends_at is not None and self._ends_at <= time.time():
            return FileExpired(
                "the address of this file has ended",
                remedy="Ask its owner to extend it, which makes a new one.",
            )
        return NotAuthorized(
            "the server does not give this file out",
            remedy="Its address may have ended: ask its owner for a new one.",
        )

    def stat(self, address: str, wait: Wait) -> ObjectInfo:
        """Ask for the first byte: a URL that is signed for GET is good for nothing else."""
        with self.get(address, {"Range": "bytes=0-0"}, wait) as answer:
            if answer.status in (404, 410):
                raise FileNotFound("there is no such file at this address (any more)")
            name = _name_in(address)
            return ObjectInfo(
                address, name, _size(answer.status, answer.headers), strong_etag(answer.headers)
            )

    def read(self, info: ObjectInfo, start: int, stop: int, wait: Wait) -> Buffer:
        """Return exactly these bytes of an object."""
        with contextlib.closing(Reader(self, info)) as reader:
            return reader.read(start, stop, wait)

    def open_download(self, stored: StoredFile, wait: Wait) -> FileDownload:
        """Begin a download."""
        return FileDownload(Reader(self, ObjectInfo(**stored.location)), stored)


def _checked(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    safe = parts.scheme == "https" or (parts.scheme == "http" and here)
    if not safe or not parts.hostname or parts.username is not None or len(url) > _MAX_URL:
        raise ValueError("a file is read from https:// alone, without a login in the address")
    return urllib.parse.urlunsplit(parts._replace(fragment=""))


def _name_in(url: str) -> str:
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    return path.rstrip("/").rpartition("/")[2] or "unnamed"


def _size(status: int, headers: Mapping[str, str]) -> int:
    """Return the length of an object from the answer to a request for its first byte."""
    told: Optional[str] = headers.get("Content-Length")
    if status == 206:
        given = content_range(headers)
        told = None if given is None or given[2] is None else str(given[2])
    elif status == 416:  # it is empty: there is no first byte
        told = headers.get("Content-Range", "").strip().partition("*/")[2]
    if told is None or not (told.isascii() and told.isdigit()):
        raise ProtocolViolation("the server does not say how long the file is")
    return int(told)
