"""The gate of a destination: shut by an overload answer, reopened one request at a time."""

from __future__ import annotations

import threading
from typing import Callable

from atxfer._policy.pacing import Opening
from atxfer.waiting import Clock, Wait

__all__ = ["Gate"]


class Gate:
    """What all requests to a destination pass before they ask for a permit.

    Args:
        workers: How many requests are let through one by one after it reopens.
        clock: The clock that its times are of.
    """

    def __init__(self, workers: int, clock: Clock) -> None:
        self._workers = workers
        self._clock = clock
        self._lock = threading.Lock()  # guards _opening, _closures
        self._opening = Opening()
        self._closures = 0

    @property
    def is_shut(self) -> bool:
        """Whether nothing may pass now."""
        with self._lock:
            return self._opening.is_shut(self._clock.monotonic())

    def shut(self, seconds: float) -> None:
        """Let nothing pass for so long, or longer if it is shut for longer already."""
        with self._lock:
            now = self._clock.monotonic()
            self._opening = self._opening.shut(now, seconds, self._workers)
            self._closures += 1

    def pass_through(self, wait: Wait, spacing: Callable[[], float]) -> None:
        """Wait until the gate is open and it is our turn.

        Args:
            wait: What to wait by.
            spacing: Tells the seconds between two requests just after reopening; asked only then.

        Raises:
            Cancelled: The transfer was cancelled meanwhile.
            DeadlineExceeded: Its deadline passed.
        """
        while True:
            seconds, closures = self._queue_up(spacing() if self._is_spaced() else 0.0)
            if seconds <= 0.0:
                return
            wait.sleep(seconds)
            with self._lock:
                if closures == self._closures:  # not shut again while we slept
                    return

    def _is_spaced(self) -> bool:
        with self._lock:
            return self._opening.spaced > 0

    def _queue_up(self, spacing: float) -> tuple[float, int]:
        with self._lock:
            self._opening, seconds = self._opening.slot(self._clock.monotonic(), spacing)
            return seconds, self._closures
