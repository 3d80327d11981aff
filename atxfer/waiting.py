"""The only code that blocks on time, and the place where cancellation enters.

Rules of this file:

1. Time is monotonic; nothing here or above reads the wall clock to measure (peers.md R15).
2. Every wait ends early when its transfer is cancelled or its deadline passes (R25, R29).
3. Aborts are called outside the lock, each at most once per registration.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from typing import Callable, Optional, Protocol, TypeVar

from atxfer.errors import Cancelled, DeadlineExceeded

T = TypeVar("T")

# The longest uninterrupted wait on something that cancellation can't wake, in seconds. Ctrl-C and
# cancel() are to end a transfer within one second (design §6.4); a tenth leaves room for the rest.
SLICE = 0.1


class Clock(Protocol):
    """The seam for fake time in tests."""

    def monotonic(self) -> float:
        """Return seconds from an arbitrary, fixed point."""
        ...

    def wait(self, event: threading.Event, seconds: Optional[float]) -> bool:
        """Wait for the event, at most so long; return whether it is set."""
        ...


class SystemClock:
    """The clock of the operating system."""

    def monotonic(self) -> float:
        """Return seconds of the system's monotonic clock."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: Optional[float]) -> bool:
        """Wait on the event itself, so that setting it wakes the waiter at once."""
        return event.wait(seconds)


SYSTEM_CLOCK: Clock = SystemClock()


class Deadline:
    """A point on the monotonic clock after which nothing waits any longer. Immutable."""

    __slots__ = ("at", "clock")

    def __init__(self, at: Optional[float] = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.at = at
        self.clock = clock

    @classmethod
    def after(cls, seconds: Optional[float], clock: Clock = SYSTEM_CLOCK) -> Deadline:
        """Return the deadline so many seconds from now; None means never."""
        return cls(None if seconds is None else clock.monotonic() + seconds, clock)

    def remaining(self) -> Optional[float]:
        """Return the seconds left, never negative; None if there is no end."""
        return None if self.at is None else max(0.0, self.at - self.clock.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the point has passed."""
        return self.at is not None and self.clock.monotonic() >= self.at

    def capped(self, seconds: Optional[float]) -> Deadline:
        """Return the earlier of this deadline and so many seconds from now."""
        other = Deadline.after(seconds, self.clock)
        if self.at is None or (other.at is not None and other.at < self.at):
            return other
        return self

    def __repr__(self) -> str:
        left = self.remaining()
        return "<Deadline never>" if left is None else f"<Deadline in {left:.3f} s>"


class Wait:
    """What one transfer waits by: its deadline, its cancellation, its clock.

    Handed down to everything that blocks. Threads: every method may be called from any thread.
    """

    def __init__(self, deadline: Optional[Deadline] = None, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.deadline = deadline if deadline is not None else Deadline(clock=clock)
        self.clock = clock
        self._ended = threading.Event()
        self._reason = ""
        self._aborts: dict[object, Callable[[], None]] = {}
        self._lock = threading.Lock()  # guards _reason, _aborts and the moment of _ended.set()

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._ended.is_set()

    def cancel(self, reason: str = "cancelled") -> None:
        """End everything that waits here, now and later. The first reason is kept."""
        with self._lock:
            if self._ended.is_set():
                return
            self._reason = reason
            self._ended.set()
            aborts = list(self._aborts.values())
        for abort in aborts:
            abort()

    def check(self) -> None:
        """Return if work may go on.

        Raises:
            Cancelled: :meth:`cancel` was called.
            DeadlineExceeded: The transfer's deadline passed.
        """
        if self._ended.is_set():
            raise Cancelled(self._reason)
        if self.deadline.expired:
            raise DeadlineExceeded("the transfer's deadline passed")

    def sleep(self, seconds: float) -> None:
        """Wait so long, or raise as :meth:`check` does as soon as there is reason to."""
        until = Deadline.after(seconds, self.clock)
        while True:
            self.check()
            left = until.remaining() or 0.0
            if left <= 0.0:
                return
            own = self.deadline.remaining()
            self.clock.wait(self._ended, left if own is None else min(left, own))

    def acquire(self, acquire: Callable[[float], bool]) -> None:
        """Call ``acquire(timeout)`` of a lock or semaphore until it is true, or raise as check."""
        self.check()
        while not acquire(SLICE):
            self.check()

    @contextlib.contextmanager
    def turn(self, lock: threading.Lock) -> Iterator[None]:
        """Hold a lock that others may hold for long, or raise as :meth:`check` does."""
        self.acquire(lambda seconds: lock.acquire(timeout=seconds))
        try:
            yield
        finally:
            lock.release()

    def take(self, source: queue.SimpleQueue[T]) -> T:
        """Return the next item of a queue, or raise as :meth:`check` does."""
        while True:
            self.check()
            try:
                return source.get(timeout=SLICE)
            except queue.Empty:
                continue

    @contextlib.contextmanager
    def abortable(self, abort: Callable[[], None]) -> Iterator[None]:
        """Call ``abort`` from the cancelling thread if cancellation comes within the block.

        ``abort`` must wake whatever the block is blocked in, must not raise, and may be called
        from any thread, also when the block has just ended.
        """
        ticket = object()
        with self._lock:
            ended = self._ended.is_set()
            if not ended:
                self._aborts[ticket] = abort
        if ended:
            self.check()
        try:
            yield
        finally:
            with self._lock:
                self._aborts.pop(ticket, None)
