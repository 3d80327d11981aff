"""An answer whose head is there, and whose content is still to be read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any, Callable, Optional, Union

import requests
from urllib3.exceptions import HTTPError

from atxfer._buffers import new_buffer
from atxfer.config import KIB
from atxfer.errors import ConnectionLost, NetworkError, ProtocolViolation
from atxfer.stores.http.dialling import Exchange

__all__ = ["Incoming", "ours"]

# Bytes read at a time. Each worker's heap keeps a few such pieces: with 256 KiB, ten workers held
# 4 MiB more, and were no faster (measured with 512 MiB from S3).
_PIECE = 64 * KIB


class Incoming:
    """An answer that is read piece by piece.

    Args:
        answer: As the adapter gave it; it is closed with this.
        exchange: What it is part of.
        server: ``host:port``, for errors.
        check_open: Raises if the transport was closed; given what its requests fail with then.
        on_end: Called once, when it is closed.

    Attributes:
        status: The status code.
        headers: By name in any case.
        position: Bytes of the content that were read.

    Threads: one at a time. Unlike the connection, it may go from one to the next.
    """

    def __init__(
        self,
        answer: requests.Response,
        exchange: Exchange,
        server: str,
        *,
        check_open: Callable[[Exception], None],
        on_end: Callable[[], None],
    ) -> None:
        self.status = answer.status_code
        self.headers: Mapping[str, str] = answer.headers
        self.position = 0
        self._answer = answer
        self._exchange = exchange
        self._server = server
        self._check_open = check_open
        self._on_end = on_end
        self._ended = False

    def read(self, size: int) -> memoryview:
        """Return exactly so many bytes more, as a block of their own.

        Each call has the time of a request.

        Raises:
            ConnectionLost: The content ends before.
            TransferError: As :meth:`HttpTransport.request` does.
        """
        self._exchange.renew()
        block, filled = new_buffer(size), 0
        with self._telling():
            for piece in self._pieces(size):
                block[filled : filled + len(piece)] = piece
                filled += len(piece)
        if filled < size:
            raise self._cut_short()
        return block

    def exactly(self, size: int) -> memoryview:
        """Return all the content, as :meth:`read` does, which must have so many bytes.

        Raises:
            ProtocolViolation: It has others.
            ConnectionLost: It ends before.
            TransferError: As :meth:`HttpTransport.request` does.
        """
        told = self._told_length()
        if told is None or told == size:
            block = self.read(size)
            with self._telling():
                told = size + sum(map(len, self._pieces(1)))
        if told != size:
            raise ProtocolViolation(
                f"{self._server} sends {told:,} bytes or more instead of {size:,}"
            )
        return block

    def skip(self, size: int) -> None:
        """Pass over so many bytes, keeping none; as long as some come, it has time."""
        left = size
        while left:
            self._exchange.renew()
            with self._telling():
                passed = sum(map(len, self._pieces(min(left, _PIECE))))
            if not passed:
                raise self._cut_short()
            left -= passed

    def all(self, max_bytes: int) -> bytes:
        """Return all the content, which must be as long as it was said to be.

        Raises:
            ProtocolViolation: It is more than fits.
            TransferError: As :meth:`HttpTransport.request` does.
        """
        length = self._told_length()
        fits = length is None or length <= max_bytes
        with self._telling():
            parts = list(self._pieces(max_bytes + 1)) if fits else []
        size = sum(map(len, parts))
        if size > max_bytes or not fits:
            raise ProtocolViolation(
                f"{self._server} sends more than the {max_bytes:,} bytes that fit"
            )
        # urllib3 1.26 lets a body end early without a word.
        if length is not None and size < length:
            raise self._cut_short()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Let go of it; a connection whose answer was not read to its end is ended."""
        if not self._ended:
            self._ended = True
            self._answer.close()
            self._on_end()

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        # The last resort, for the answer of a transfer that ended before it did (R23).
        self.close()

    def _told_length(self) -> Optional[int]:
        """Return the length of the content, if the server says it and it comes."""
        told = self.headers.get("Content-Length", "")
        comes = self._answer.request.method != "HEAD"
        return int(told) if told.isascii() and told.isdigit() and comes else None

    def _pieces(self, size: int) -> Iterator[bytes]:
        """Yield what comes, up to so many bytes."""
        raw: Any = self._answer.raw
        left = size
        while left and (piece := raw.read(min(left, _PIECE), decode_content=False)):
            left -= len(piece)
            self.position += len(piece)
            yield piece

    def _telling(self) -> contextlib.AbstractContextManager[None]:
        return ours(self._exchange, self._server, self._check_open)

    def _cut_short(self) -> ConnectionLost:
        lost = ConnectionLost(f"{self._server} ended the connection within its answer")
        self._check_open(lost)  # urllib3 1.26 tells of our own closing in this way, too
        return lost


@contextlib.contextmanager
def ours(
    exchange: Exchange, server: str, check_open: Callable[[Exception], None]
) -> Iterator[None]:
    """Let errors of ours out of the block, and none of requests, urllib3 and http.client."""
    try:
        yield
    except NetworkError as error:
        check_open(error)
        raise
    except (requests.RequestException, HTTPError, HTTPException) as error:
        exchange.wait.check()
        check_open(error)
        raise _translated(server, exchange) from error


def _translated(server: str, exchange: Exchange) -> Union[NetworkError, ProtocolViolation]:
    if exchange.at_end:
        return ConnectionLost(f"{server} ended the connection instead of answering")
    return ProtocolViolation(
        f"{server} doesn't answer as an HTTP server does",
        remedy="Check that the address is that of the store.",
    )
