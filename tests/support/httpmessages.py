"""Where HTTP/1.1 messages begin and end within a stream of bytes; no socket, no clock.

All that goes in comes out again, in order and unchanged, cut at the borders of messages: so a proxy
can count requests, and knows heads from bodies. What is not HTTP/1.1 comes out as bodies that
never end.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Optional

LONGEST_HEAD = 65_536
NO_BODY = (204, 304)
METHOD = re.compile(rb"[A-Z]{1,12}( |\Z)")
REQUEST_LINE = re.compile(rb"[A-Z]{3,12} \S+ HTTP/1\.[01]\r\n")


class Part(Enum):
    """What a segment is: the head of a message, a piece of its body, or what frames a body."""

    HEAD = "head"
    BODY = "body"
    FRAME = "frame"


@dataclass
class Segment:
    """Some bytes of one message."""

    part: Part
    data: bytes
    ends: bool = False  # whether the message is complete with it


class _State(Enum):
    HEAD = 0
    LENGTH = 1
    CHUNK_SIZE = 2
    CHUNK = 3
    CHUNK_END = 4
    TRAILER = 5
    OPAQUE = 6


class RequestReader:
    """The requests of one connection; ``methods`` holds those whose answer has not ended."""

    def __init__(self) -> None:
        self._state = _State.HEAD
        self._kept = b""
        self._left = 0
        self.methods: deque[bytes] = deque()

    def feed(self, data: bytes) -> Iterator[Segment]:
        """Yield what can be told from the bytes so far; half a head is kept until it is whole."""
        data = self._kept + data
        self._kept = b""
        while data:
            segment = self._next(data)
            if segment is None:
                self._kept = data
                return
            data = data[len(segment.data) :]
            yield segment

    @property
    def is_between_messages(self) -> bool:
        """Whether what was begun is complete."""
        return self._state is _State.HEAD and not self._kept

    def _next(self, data: bytes) -> Optional[Segment]:
        if self._state is _State.HEAD:
            return self._head(data)
        if self._state is _State.OPAQUE:
            return Segment(Part.BODY, data)
        if self._state in (_State.LENGTH, _State.CHUNK):
            return self._body(data)
        return self._line(data)

    def _head(self, data: bytes) -> Optional[Segment]:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if self._may_be_head(data):
                return None
            self._state = _State.OPAQUE
            return Segment(Part.BODY, data)
        head = data[: end + 4]
        if not self._is_head(head):
            self._state = _State.OPAQUE
            return Segment(Part.BODY, data)
        self._frame(head)
        return Segment(Part.HEAD, head, self._state is _State.HEAD)

    def _may_be_head(self, data: bytes) -> bool:
        return len(data) < LONGEST_HEAD and METHOD.match(data) is not None

    def _is_head(self, head: bytes) -> bool:
        return REQUEST_LINE.match(head) is not None

    def _frame(self, head: bytes) -> None:
        """Tell from a head what follows it."""
        self.methods.append(head.split(b" ", 1)[0])
        self._frame_by_headers(head, otherwise=_State.HEAD)

    def _frame_by_headers(self, head: bytes, otherwise: _State) -> None:
        length = header(head, "content-length")
        if "chunked" in (header(head, "transfer-encoding") or "").lower():
            self._state = _State.CHUNK_SIZE
        elif length is None:
            self._state = otherwise
        else:
            self._left = int(length)
            self._state = _State.LENGTH if self._left else _State.HEAD

    def _body(self, data: bytes) -> Segment:
        piece = data[: self._left]
        self._left -= len(piece)
        if self._left:
            return Segment(Part.BODY, piece)
        is_last = self._state is _State.LENGTH
        self._state = _State.HEAD if is_last else _State.CHUNK_END
        return Segment(Part.BODY, piece, is_last)

    def _line(self, data: bytes) -> Optional[Segment]:
        """Read a line of the framing of chunks."""
        end = data.find(b"\r\n")
        if end < 0:
            return None
        line = data[: end + 2]
        if self._state is _State.CHUNK_END:
            self._state = _State.CHUNK_SIZE
        elif self._state is _State.CHUNK_SIZE:
            self._left = int(line.split(b";")[0], 16)
            self._state = _State.CHUNK if self._left else _State.TRAILER
        elif line == b"\r\n":
            self._state = _State.HEAD
            return Segment(Part.FRAME, line, ends=True)
        return Segment(Part.FRAME, line)


class AnswerReader(RequestReader):
    """The answers of one connection.

    Args:
        requests: What reads the requests of the same connection; an answer to HEAD has no body.
    """

    def __init__(self, requests: RequestReader) -> None:
        super().__init__()
        self._requests = requests

    def _may_be_head(self, data: bytes) -> bool:
        return bool(self._requests.methods) and data.startswith(b"HTTP/1."[: len(data)])

    def _is_head(self, head: bytes) -> bool:
        return head.startswith(b"HTTP/1.") and bool(self._requests.methods)

    def _frame(self, head: bytes) -> None:
        code = status(head)
        if 100 <= code < 200:
            return
        method = self._requests.methods.popleft()
        if method == b"HEAD" or code in NO_BODY:
            self._state = _State.HEAD
        else:
            self._frame_by_headers(head, otherwise=_State.OPAQUE)

    def _next(self, data: bytes) -> Optional[Segment]:
        segment = super()._next(data)
        if segment is not None and segment.part is Part.HEAD and status(segment.data) < 200:
            return Segment(Part.FRAME, segment.data)
        return segment


def status(head: bytes) -> int:
    """Return the status code of an answer's head."""
    return int(head.split(b" ", 2)[1])


def header(head: bytes, name: str) -> Optional[str]:
    """Return the value of the first header of this name, in lower case; None if there is none."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name.encode("ascii"):
            return value.strip().decode("latin-1")
    return None
