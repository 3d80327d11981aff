"""A stream whose peer is a list."""

from __future__ import annotations

from typing import Union

from atxfer.waiting import Deadline


class ScriptedStream:
    """A stream that reads what it was given, in these pieces, and then the end.

    Args:
        script: What each read returns, or raises.

    Attributes:
        written: What was written.
        write_error: Raised by the next writes.
        readable: What ``is_readable`` answers.
        deadlines: The deadline of each call.
        calls: ``abort``, ``close`` and ``drop``, as they came.
    """

    def __init__(self, *script: Union[bytes, Exception]) -> None:
        self._script = list(script)
        self.written: list[bytes] = []
        self.write_error: Union[Exception, None] = None
        self.readable = False
        self.deadlines: list[Deadline] = []
        self.calls: list[str] = []

    def read(self, max_bytes: int, deadline: Deadline) -> bytes:
        """Return or raise the script's next."""
        self.deadlines.append(deadline)
        if not self._script:
            return b""
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        assert len(step) <= max_bytes
        return step

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Keep what is written."""
        self.deadlines.append(deadline)
        if self.write_error is not None:
            raise self.write_error
        self.written.append(data)

    def abort(self) -> None:
        """Note it."""
        self.calls.append("abort")

    def close(self) -> None:
        """Note it."""
        self.calls.append("close")

    def drop(self) -> None:
        """Note it."""
        self.calls.append("drop")

    def is_readable(self) -> bool:
        """Answer as told."""
        return self.readable
