"""How the thread that called moves many requests: charge, hand out, collect, until all is done.

Uploads, downloads and lists of independent requests differ in what a request carries; the order of
events, the bounds on what is out, and the end after a failure are the same, and are here.

Rules of this file:

1. At most as many tasks are out as there are threads for them: the permits, and as many again that
   may be waiting to be tried again (peers.md R5).
2. Bytes are charged before a task is loaded, and given back when it has landed and nothing of it is
   kept, or when the driver leaves for whatever reason. What is kept of a task may wait for earlier
   ones alone: those have their bytes already, so that nobody waits for ever.
3. When a task fails for good, nothing more is loaded, what is at the server finishes, what sleeps
   is woken; then that first error is raised.
4. Everything else that ends the loop, Ctrl-C and a changed source included, ends the transfer's
   Wait: that shuts the sockets down, and the tasks end within milliseconds (M6b).
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any, Generic, Optional, TypeVar

from atxfer._engine.context import Context
from atxfer._engine.destination import Destination
from atxfer._engine.flight import Flight, flight
from atxfer._engine.transfer import Transfer
from atxfer.errors import TransferError
from atxfer.waiting import Wait

__all__ = ["Driver"]

P = TypeVar("P")  # what a task is planned from: a range of chunks, an item of a list
G = TypeVar("G")  # a task that is loaded and handed out


class Driver(abc.ABC, Generic[P, G]):
    """Moves tasks through the workers of a destination. Belongs to the thread that called.

    Args:
        context: What all drivers share.
        destination: Whose threads do the tasks.
        transfer: For whom.
        most: How many tasks may be out, if that is fewer than there are threads.
    """

    def __init__(
        self,
        context: Context,
        destination: Destination,
        transfer: Transfer,
        most: Optional[int] = None,
    ) -> None:
        self.context = context
        self.destination = destination
        self.transfer = transfer
        width = destination.workers.width
        self._most = width if most is None else min(width, most)
        self._held = 0
        self._failure: Optional[TransferError] = None

    @abc.abstractmethod
    def cost(self, plan: P) -> int:
        """Return the bytes that a task will hold."""

    @abc.abstractmethod
    def load(self, plan: P) -> G:
        """Make a task ready, in the driver's thread; its bytes are charged already."""

    def idle(self) -> None:
        """Do what can be done while all tasks that may be out are, in the driver's thread."""

    @abc.abstractmethod
    def work(self, task: G, pauses: Wait) -> Any:
        """Do a task, on a worker's thread."""

    @abc.abstractmethod
    def landed(self, task: G, error: Optional[TransferError]) -> None:
        """Take note of what became of a task, in the driver's thread."""

    def let_go(self, task: G, size: int) -> int:
        """Return how many bytes are held no more, now that this task of so many has landed."""
        return size

    def move(self, plans: Iterator[P]) -> None:
        """Do all tasks.

        Raises:
            TransferError: What the first task failed with that failed for good.
        """
        try:
            with flight(self.destination.workers, self.transfer.wait) as tasks:
                try:
                    self._move(plans, tasks)
                except BaseException:
                    self.transfer.wait.cancel()  # before the flight is drained
                    raise
        finally:
            self._give(self._held)
        if self._failure is not None:
            raise self._failure

    def _move(self, plans: Iterator[P], tasks: Flight[tuple[G, int]]) -> None:
        plan = next(plans, None)
        while plan is not None or tasks.outstanding:
            while plan is not None and self._may_load(plan, tasks):
                self._hand_out(self.load(plan), self.cost(plan), tasks)
                plan = next(plans, None)
            if not tasks.has_landed:
                self.idle()
            if tasks.outstanding:
                self._settle(tasks)
            if self._failure is not None:
                plan = None

    def _may_load(self, plan: P, tasks: Flight[Any]) -> bool:
        """Charge the next task, if it may be handed out now."""
        if tasks.outstanding >= self._most:
            return False
        size = self.cost(plan)
        window = self.context.window
        if tasks.outstanding:
            # Others may hold the bytes we want, and wait for those that we hold: collect first.
            if not window.try_take(size):
                return False
        else:
            window.take(size, self.transfer.wait)
        self._held += size
        return True

    def _hand_out(self, task: G, size: int, tasks: Flight[tuple[G, int]]) -> None:
        tasks.submit((task, size), lambda: self.work(task, tasks.pauses))

    def _settle(self, tasks: Flight[tuple[G, int]]) -> None:
        end = tasks.collect()
        task, size = end.tag
        if end.error is not None:
            self.transfer.wait.check()  # ended by us: then it is not the request that failed
        self.landed(task, end.error)
        self._give(self.let_go(task, size))
        if end.error is not None and self._failure is None:
            self._failure = end.error
            tasks.halt()

    def _give(self, size: int) -> None:
        self._held -= size
        self.context.window.give(size)
