"""Time that passes only when somebody waits."""

from __future__ import annotations

import threading
from typing import Callable, Optional


class FakeClock:
    """A clock whose waits return at once, having moved the time on.

    Args:
        on_wait: Called with the seconds of each wait before it, for instance to cancel in the
            middle of it.
    """

    def __init__(self, on_wait: Optional[Callable[[float], None]] = None) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.on_wait = on_wait

    def monotonic(self) -> float:
        """Return the fake time."""
        return self.now

    def wait(self, event: threading.Event, seconds: Optional[float]) -> bool:
        """Move the time on instead of waiting."""
        duration = seconds or 0.0
        self.waits.append(duration)
        if self.on_wait is not None:
            self.on_wait(duration)
        if not event.is_set():
            self.now += duration
        return event.is_set()
