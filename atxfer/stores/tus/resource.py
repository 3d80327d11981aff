"""One upload at a server: a row of bytes that is appended to, and how far it is.

Rules of this file (peers.md R8, R9, R10; scenarios 11, 12):

1. Where an outcome is not known, the server is asked how far it is before anything is sent. Its
   answer wins, and only what it has not is sent.
2. What it says must be possible: an offset is not beyond what was sent, and nothing that it has
   confirmed gets lost. Else it is an error, at once.
3. Nothing here goes round for ever: each round moves the offset on or ends in an error, and the
   rounds of one call are bounded as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from atxfer._buffers import Buffer
from atxfer.errors import (
    ConnectionLost,
    NotFound,
    ProtocolViolation,
    RequestTimeout,
    ServerFault,
)
from atxfer.stores.tus.server import TusServer
from atxfer.waiting import Wait

__all__ = ["Resource"]

# Requests that one call makes at most. A server that takes a sixteenth of what it is sent at a time
# has reasons to take no more; the next attempt goes on from there.
_ROUNDS = 16

_BEGIN_ANEW = "Upload the file again; what is at the server can't be gone on with."


class Resource:
    """An upload, made by the first call that sends something.

    Args:
        server: Where it is.
        length: Bytes it is to have.
        headers: What else it is to be made with.
        url: Where it is, if an earlier process has made it.

    Attributes:
        offset: How many bytes the server has, by its last word.

    Threads: one at a time sends; the attributes may be read by any.
    """

    def __init__(
        self,
        server: TusServer,
        length: int,
        headers: Mapping[str, str],
        url: Optional[str] = None,
    ) -> None:
        self._server = server
        self._length = length
        self._headers = {"Upload-Length": str(length), **headers}
        self.url = url
        self.offset = 0
        self._sent = 0 if url is None else length  # the largest offset that can be true
        self._is_certain = url is None
        self._may_begin_anew = True
        self._creates_with_body = True

    @property
    def is_complete(self) -> bool:
        """Whether the server has all of it, as far as is known."""
        return self.url is not None and self._is_certain and self.offset == self._length

    def create(self, wait: Wait) -> None:
        """Make it, without content, unless that is done."""
        if self.url is None:
            self.url = self._server.create(self._headers, wait).url

    def send(self, start: int, data: Buffer, wait: Wait) -> None:
        """Let the server have these bytes, which follow those it had before.

        Args:
            start: Their place in the whole.
            data: The bytes.
            wait: Cancellation and deadline of the transfer this is for.

        Raises:
            NotFound: The upload is gone, and with it what was before these bytes.
            ProtocolViolation: What the server says can't be true.
            TransferError: Something else failed; the call may be repeated with the same bytes.
        """
        try:
            self._send(start, memoryview(data), wait)
        except NotFound:
            if self.url is None or start > 0 or not self._may_begin_anew:
                raise
            self._may_begin_anew = False  # once is bad luck
            self.forget()
            self._send(start, memoryview(data), wait)

    def reached(self, wait: Wait) -> int:
        """Return how far it is; the server is asked if that is not known."""
        if not self._is_certain:
            self._synchronise(wait)
        return self.offset

    def forget(self) -> None:
        """Leave what was made alone, and begin with another one."""
        self.url = None
        self.offset = self._sent = 0
        self._is_certain = True

    # --- one round after another

    def _send(self, start: int, data: memoryview, wait: Wait) -> None:
        end = start + len(data)
        if self.url is None:
            self._create_with(data if start == 0 else data[:0], wait)
        refused = None
        for _ in range(_ROUNDS):
            if self.reached(wait) >= end:
                return
            self._check_place(start, refused)
            refused = self._append(data[self.offset - start :], wait)
        raise ServerFault(f"{self._server.name} takes its bytes in too many small pieces")

    def _create_with(self, data: memoryview, wait: Wait) -> None:
        """Make it, with its first bytes in the same request where the server takes them."""
        has_body = len(data) > 0 and self._creates_with_body
        if not has_body or not self._server.known.has("creation-with-upload"):
            self.create(wait)
            return
        try:
            made = self._server.create(self._headers, wait, data)
        except (ConnectionLost, RequestTimeout):
            # It may be there, but nobody knows where, and a slow line would never get through. With
            # the URL known first, the next attempt goes on where this one ends (R9, R10).
            self._creates_with_body = False
            raise
        self.url, self._sent = made.url, len(data)
        if made.offset is None:  # some servers that have the extension pass over the content
            self._is_certain = False
        else:
            self._believe(made.offset)

    def _append(self, rest: memoryview, wait: Wait) -> Optional[int]:
        """Send what the server has not, and return the offset if it refuses that one."""
        assert self.url is not None  # noqa: S101  # it was created before
        before = self.offset
        self._is_certain = False
        self._sent = max(self._sent, before + len(rest))
        reached = self._server.append(self.url, before, rest, wait)
        if reached is None:
            return before
        if reached < before:
            raise ProtocolViolation(
                f"{self._server.name} went back from {before:,} to {reached:,} bytes",
                remedy=_BEGIN_ANEW,
            )
        self._believe(reached)
        if reached == before:
            raise ServerFault(f"{self._server.name} took none of {len(rest):,} bytes")
        return None

    def _synchronise(self, wait: Wait) -> None:
        assert self.url is not None  # noqa: S101  # there is something to ask for
        state = self._server.state(self.url, wait)
        if state.offset is None:
            raise ProtocolViolation(
                f"{self._server.name} doesn't say how far the upload is", remedy=_BEGIN_ANEW
            )
        if state.length is not None and state.length != self._length:
            raise ProtocolViolation(
                f"{self._server.name} expects {state.length:,} bytes, and not {self._length:,}",
                remedy=_BEGIN_ANEW,
            )
        self._believe(state.offset)

    def _check_place(self, start: int, refused: Optional[int]) -> None:
        """See that there is a next round worth making."""
        if self.offset < start:
            raise ProtocolViolation(
                f"{self._server.name} has lost what it had of the upload:"
                f" it is at {self.offset:,}, after {start:,}",
                remedy=_BEGIN_ANEW,
            )
        if self.offset == refused:
            raise ServerFault(
                f"{self._server.name} refuses an offset of {refused:,}, and says that it is there"
            )

    def _believe(self, offset: int) -> None:
        """Take the server's word for how far it is, if it can be true."""
        if offset > self._sent:
            raise ProtocolViolation(
                f"{self._server.name} says that it has {offset:,} bytes, of {self._sent:,} sent",
                remedy=_BEGIN_ANEW,
            )
        self.offset = offset
        self._is_certain = True
