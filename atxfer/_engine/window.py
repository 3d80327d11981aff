"""How many bytes of file content an engine holds in memory, over all its transfers.

Rules of this file (peers.md R2, R5):

1. Bytes are charged before they are read, and given back once they are stored or written.
2. Budget first, permit second: nobody waits for bytes while holding a permit.
3. A driver that has requests under way never blocks here, because it is the one that gives bytes
   back: it asks with :meth:`Window.try_take`, and goes on to collect answers when refused.
4. First come, first served, so that a large request is not overtaken for ever. One that is larger
   than the whole budget is admitted alone.
"""

from __future__ import annotations

import threading
from collections import deque

from atxfer.waiting import Wait

__all__ = ["Window"]


class Window:
    """A budget of bytes.

    Args:
        budget: How many may be held.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self.reset()

    def reset(self) -> None:
        """Begin anew, with nothing held: in the child of a fork no lock can be trusted."""
        self._changed = threading.Condition()  # guards _held, _queue
        self._held = 0
        self._queue: deque[object] = deque()

    @property
    def held(self) -> int:
        """Bytes held now."""
        with self._changed:
            return self._held

    def try_take(self, size: int) -> bool:
        """Take so many bytes if that is possible at once, and nobody waits already."""
        with self._changed:
            if self._queue or not self._has_room(size):
                return False
            self._held += size
            return True

    def take(self, size: int, wait: Wait) -> None:
        """Take so many bytes, waiting for them.

        Raises:
            Cancelled: The transfer was cancelled meanwhile.
            DeadlineExceeded: Its deadline passed.
        """
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
        try:
            wait.acquire(lambda seconds: self._take_turn(ticket, size, seconds))
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def give(self, size: int) -> None:
        """Give so many bytes back."""
        with self._changed:
            self._held -= size
            self._changed.notify_all()

    def _take_turn(self, ticket: object, size: int, seconds: float) -> bool:
        def ready() -> bool:
            return self._queue[0] is ticket and self._has_room(size)

        with self._changed:
            if not self._changed.wait_for(ready, seconds):
                return False
            self._held += size
            return True

    def _has_room(self, size: int) -> bool:
        return self._held == 0 or self._held + size <= self._budget
