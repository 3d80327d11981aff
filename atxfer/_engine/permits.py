"""The cap on requests in flight to one destination.

A permit is taken inside the retried function, once per attempt, and given back before any wait
(peers.md R1). The server never sees more requests than there are permits.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from atxfer.waiting import Wait

__all__ = ["Permits"]


class Permits:
    """As many permits as there may be requests in flight.

    Args:
        cap: How many.
    """

    def __init__(self, cap: int) -> None:
        self.cap = cap
        # Bounded: a permit given back twice is a ValueError, our alarm; nobody swallows it (R3).
        self._semaphore = threading.BoundedSemaphore(cap)
        self._lock = threading.Lock()  # guards _in_flight, _peak
        self._in_flight = 0
        self._peak = 0

    @property
    def in_flight(self) -> int:
        """Requests in flight now."""
        with self._lock:
            return self._in_flight

    @property
    def peak(self) -> int:
        """The most requests that were ever in flight at one moment."""
        with self._lock:
            return self._peak

    @contextmanager
    def hold(self, wait: Wait) -> Iterator[None]:
        """Wait for a permit, and hold it for the block.

        Raises:
            Cancelled: The transfer was cancelled before a permit was free.
            DeadlineExceeded: Its deadline passed.
        """
        wait.acquire(lambda seconds: self._semaphore.acquire(timeout=seconds))
        try:
            self._count(1)
            try:
                yield
            finally:
                self._count(-1)
        finally:
            self._semaphore.release()

    def _count(self, change: int) -> None:
        with self._lock:
            self._in_flight += change
            self._peak = max(self._peak, self._in_flight)
