"""The requests of one transfer that are under way, from the view of its driver.

The driver is the thread that called; it hands tasks out, collects what became of them, and never
leaves before all have ended (peers.md R4).
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Generic, Optional, TypeVar, Union

from atxfer._engine.workers import Workers
from atxfer.errors import DeadlineExceeded, TransferError
from atxfer.waiting import Deadline, Wait

__all__ = ["DRAIN", "Flight", "Landed", "flight"]

T = TypeVar("T")

# How long a driver that was told to stop waits for its workers, in seconds. Their sockets are shut
# down, which wakes them in milliseconds (peers.md M6b); this is for a store that doesn't listen,
# and leaves room for two flights to be drained within the second of design §6.4.
DRAIN = 0.4


@dataclass(frozen=True)
class Landed(Generic[T]):
    """How one task ended.

    Attributes:
        tag: What the driver gave it to know it by.
        value: What it returned.
        error: The failure of a request that it raised.
    """

    tag: T
    value: Any = None
    error: Optional[TransferError] = None


class Flight(Generic[T]):
    """Tasks handed out, and not yet collected. Made by :func:`flight`.

    Attributes:
        pauses: What tasks wait by before and between their requests. It ends with the transfer,
            or earlier, when one request has failed for good and no other need be begun.
        outstanding: How many tasks have not been collected.

    Threads: everything here belongs to the driver.
    """

    def __init__(self, workers: Workers, wait: Wait) -> None:
        self._workers = workers
        self._wait = wait
        self._landed: queue.SimpleQueue[Union[Landed[T], BaseException]] = queue.SimpleQueue()
        self.pauses = Wait(wait.deadline, clock=wait.clock)
        self.outstanding = 0

    def submit(self, tag: T, task: Callable[[], Any]) -> None:
        """Hand a task out. It may run at once, in this thread."""

        def run() -> None:
            end: Union[Landed[T], BaseException]
            try:
                self.pauses.check()
                end = Landed(tag, task())
            except TransferError as error:
                end = Landed(tag, error=error)
            except BaseException as error:  # noqa: BLE001  # a defect, or Ctrl-C: the driver raises
                end = error
            self._landed.put(end)

        self.outstanding += 1
        self._workers.run(run)

    @property
    def has_landed(self) -> bool:
        """Whether there is a task to be collected."""
        return not self._landed.empty()

    def collect(self) -> Landed[T]:
        """Return the next task that has ended, waiting for it.

        Raises:
            Cancelled: The transfer was cancelled.
            DeadlineExceeded: Its deadline passed.
            BaseException: What a task raised that is no failure of a request, as Ctrl-C.
        """
        end = self._wait.take(self._landed)
        self.outstanding -= 1
        if isinstance(end, BaseException):
            raise end
        return end

    def halt(self) -> None:
        """Begin nothing more; what is at the server may finish, what sleeps wakes and ends."""
        self.pauses.cancel()

    def drain(self) -> None:
        """Wait until all tasks have ended, but only for a moment."""
        patience = Wait(Deadline.after(DRAIN))
        while self.outstanding:
            try:
                patience.take(self._landed)
            except DeadlineExceeded:
                return
            self.outstanding -= 1


@contextmanager
def flight(workers: Workers, wait: Wait) -> Iterator[Flight[Any]]:
    """Yield a flight that has landed, all of it, when the block is left.

    Args:
        workers: Whose threads run the tasks.
        wait: The transfer's.
    """
    started: Flight[Any] = Flight(workers, wait)
    with wait.abortable(started.pauses.cancel):
        try:
            yield started
        finally:
            started.halt()
            started.drain()
