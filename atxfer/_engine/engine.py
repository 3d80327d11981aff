"""The engine: destinations, transfers, and their life from the first call to close().

Life cycle (peers.md R25, R27, R28): threads are made when first needed; at the end of the
interpreter, when none can be made, everything runs in the calling thread; the child of a fork
starts with fresh locks, permits and threads, and no transfer; :meth:`Engine.close` ends what runs.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from random import Random
from typing import Any, Callable, Optional, TypeVar, Union

from atxfer._engine.attempt import Attempter, Request
from atxfer._engine.context import Context
from atxfer._engine.destination import Destination
from atxfer._engine.download import DownloadDriver
from atxfer._engine.driver import Driver
from atxfer._engine.earlier import Outdated
from atxfer._engine.flight import DRAIN
from atxfer._engine.jobs import DownloadJob, DownloadSummary, UploadJob, UploadSummary
from atxfer._engine.transfer import Transfer
from atxfer._engine.upload import UploadDriver
from atxfer._engine.window import Window
from atxfer._observe.events import (
    Bus,
    TransferCancelled,
    TransferCompleted,
    TransferFailed,
    TransferStarted,
)
from atxfer._observe.logs import log_event
from atxfer._observe.metrics import Metrics, resident_bytes
from atxfer._observe.progress import Dispatcher
from atxfer._policy.retry import Limits, RetryBudget
from atxfer.config import TransferConfig
from atxfer.errors import Cancelled, TransferError
from atxfer.waiting import SYSTEM_CLOCK, Clock, Deadline, Wait

__all__ = ["Engine"]

T = TypeVar("T")
R = TypeVar("R")

# Seconds that close() gives to what is left to do: at a server that answers, it takes one or two
# round trips.
_CHORES = 5.0


def _nothing_more(transfer: Transfer) -> None:
    """Take no note of the end."""


class Engine:
    """Moves files and sends requests, never more at a time than a destination has permits.

    Args:
        config: How fast, how patient, how large.
        clock: The seam for fake time.
        rng: Where jitter comes from.

    Threads: every method may be called from any thread.
    """

    def __init__(
        self,
        config: TransferConfig,
        *,
        clock: Clock = SYSTEM_CLOCK,
        rng: Optional[Random] = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._rng = rng if rng is not None else Random()  # noqa: S311  # jitter is no secret
        self._metrics = Metrics()
        self._bus = Bus(self._metrics, log_event)
        self._window = Window(config.memory_budget)
        self._dispatcher = Dispatcher(interval=config.progress_interval, clock=clock, bus=self._bus)
        limits = Limits(
            config.max_attempts,
            config.backoff_initial,
            config.backoff_max,
            config.backoff_jitter,
            config.retry_after_cap,
        )
        self._attempter = Attempter(limits, self._rng, self._bus)
        self._context = Context(config, self._bus, self._attempter, self._window, self._dispatcher)
        self._lock = threading.Lock()  # guards everything below
        self._destinations: dict[str, Destination] = {}
        self._active: dict[Transfer, threading.Thread] = {}  # and who drives it
        self._chores: set[Transfer] = set()  # those of them that nobody waits for
        self._closed = False
        _ENGINES.add(self)

    def destination(self, key: str, cap: int) -> Destination:
        """Return what all requests to one server share; the same key gives the same object.

        Args:
            key: What tells the server from others.
            cap: Requests in flight to it, at most.

        Raises:
            ValueError: It is known with another cap.
        """
        with self._lock:
            known = self._destinations.get(key)
            if known is None:
                budget = RetryBudget.full(self._config.retry_budget, self._config.retry_burst)
                known = Destination(key, cap, budget, self._clock)
                self._destinations[key] = known
        if known.cap != cap:
            raise ValueError(f"{key} has {known.cap} permits already, not {cap}")
        return known

    # --- transfers

    def run(self, body: Callable[[Transfer], T], name: str) -> T:
        """Run a transfer in the calling thread, and return what ``body`` returns.

        Args:
            body: Does it, by :meth:`call`, :meth:`for_each`, :meth:`upload`, :meth:`download`.
            name: What it is called.

        Raises:
            ValueError: The engine is closed.
            TransferError: What ``body`` failed with.
        """
        transfer = self._admit(name, threading.current_thread())
        try:
            return transfer.drive(body)
        finally:
            self._dismiss(transfer)

    def submit(
        self,
        body: Callable[[Transfer], object],
        name: str,
        on_end: Callable[[Transfer], object] = _nothing_more,
    ) -> Transfer:
        """Run a transfer in a thread of its own, and return its handle at once.

        Where no thread can be started any more, it is run before this returns.

        Args:
            body: Does it, as for :meth:`run`.
            name: What it is called.
            on_end: Told once that it has ended, however that was, in the transfer's thread.

        Raises:
            ValueError: The engine is closed.
        """

        def drive() -> None:
            try:
                # Whatever it fails with is kept in the handle, and raised by its result().
                with contextlib.suppress(Exception):
                    transfer.drive(body)
            finally:
                self._dismiss(transfer)
                on_end(transfer)

        thread = _OwnThread(target=drive, name=f"atxfer-{name}")
        transfer = self._admit(name, thread)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending
            drive()
        return transfer

    def afterwards(self, body: Callable[[Transfer], object], name: str) -> None:
        """Do what is left when all is there, while whoever asked for that goes on.

        :meth:`close` lets it finish, for some seconds; what it fails with is told to nobody.

        Args:
            body: Does it, as for :meth:`run`.
            name: What it is called.
        """
        with contextlib.suppress(ValueError):  # closed meanwhile
            chore = self.submit(body, name)
            with self._lock:
                if chore in self._active:
                    self._chores.add(chore)

    def _admit(self, name: str, driver: threading.Thread) -> Transfer:
        deadline = Deadline.after(self._config.deadline, self._clock)
        transfer = Transfer(name, Wait(deadline, clock=self._clock))
        with self._lock:
            if self._closed:
                raise ValueError("the client is closed")
            self._active[transfer] = driver
        return transfer

    def _dismiss(self, transfer: Transfer) -> None:
        with self._lock:
            self._active.pop(transfer, None)
            self._chores.discard(transfer)

    # --- what a transfer is made of

    def call(
        self,
        destination: Destination,
        name: str,
        ask: Callable[[Wait], T],
        transfer: Transfer,
    ) -> T:
        """Send one request, from the calling thread, again where that makes sense.

        Args:
            destination: Where to.
            name: What it is, for logs.
            ask: Does it; is called once per attempt, with a permit held.
            transfer: For whom.

        Raises:
            TransferError: The last failure.
        """
        return self._attempter.send(Request(name, ask), destination, transfer)

    def for_each(
        self,
        destination: Destination,
        items: Iterable[T],
        ask: Callable[[T, Wait], R],
        transfer: Transfer,
        *,
        name: str = "request",
        at: Optional[Callable[[T], Destination]] = None,
    ) -> list[R]:
        """Send one request an item, several at a time, and return the answers in order.

        Args:
            destination: Whose threads do it, and where to.
            items: What to ask for.
            ask: Asks for one; is called once per attempt, with a permit held.
            transfer: For whom.
            name: What a request is called, for logs.
            at: Where the request of an item goes, if not to ``destination``.

        Raises:
            TransferError: What the first one failed with that failed for good; those under way
                have finished then, and the rest was not begun.
        """
        driver = _Each(self._context, destination, transfer, ask, name, at)
        driver.move(enumerate(items))
        return [driver.answers[place] for place in sorted(driver.answers)]

    def outcomes(
        self,
        destination: Destination,
        items: Iterable[T],
        ask: Callable[[T, Wait], R],
        transfer: Transfer,
        *,
        name: str = "request",
        at: Optional[Callable[[T], Destination]] = None,
    ) -> list[Union[R, TransferError]]:
        """Do the same, but let none that fails disturb the others; its error is its answer.

        Raises:
            Cancelled, DeadlineExceeded: The transfer has ended.
        """
        driver = _Lenient(self._context, destination, transfer, ask, name, at)
        driver.move(enumerate(items))
        return [driver.answers[place] for place in sorted(driver.answers)]

    def upload(self, job: UploadJob, transfer: Transfer) -> UploadSummary:
        """Send a file, and return when it is safely there.

        Raises:
            Outdated: It could not be resumed; nothing was committed, and it is to be begun anew.
            TransferError: It is not; nothing was committed.
            OSError: The source can't be read.
        """
        plan = job.plan
        started = TransferStarted("up", job.name, plan.size, plan.chunks)
        with (
            self._told(started, transfer),
            self._dispatcher.report(job.name, job.progress) as report,
        ):
            return UploadDriver(self._context, job, transfer, report).run()

    def download(self, job: DownloadJob, transfer: Transfer) -> DownloadSummary:
        """Fetch a file, and return when it lies whole and verified at its target.

        Raises:
            TransferError: It does not; a target that was there before is as it was.
            OSError: The target can't be written.
            ValueError: The target is something that a file can't replace.
        """
        file = job.file
        started = TransferStarted("down", file.name, file.size, file.chunks)
        with (
            self._told(started, transfer),
            self._dispatcher.report(file.name, job.progress) as report,
        ):
            return DownloadDriver(self._context, job, transfer, report).run()

    @contextlib.contextmanager
    def _told(self, started: TransferStarted, transfer: Transfer) -> Iterator[None]:
        """Tell that a file moves, and how that ended."""
        direction, file = started.direction, started.file
        tally = transfer.tally
        self._bus.emit(started)
        try:
            yield
        except Outdated:  # no end: it is begun anew at once
            raise
        except (Cancelled, KeyboardInterrupt):
            self._bus.emit(TransferCancelled(direction, file, tally.seconds))
            raise
        except BaseException as error:
            cause = type(error).__name__
            self._bus.emit(TransferFailed(direction, file, cause, tally.seconds))
            raise
        sums = tally.statistics()
        self._bus.emit(
            TransferCompleted(
                direction,
                file,
                started.size,
                sums.seconds,
                sums.requests,
                sum(sums.retries.values()),
                sums.peak_in_flight,
            )
        )

    # --- watching, and the end

    def metrics(self) -> dict[str, Any]:
        """Return a snapshot of everything done so far, as plain values ready for JSON."""
        with self._lock:
            destinations = list(self._destinations.values())
            active = len(self._active) - len(self._chores)
        return {
            **self._metrics.snapshot(),
            "requests_in_flight": sum(d.permits.in_flight for d in destinations),
            "peak_in_flight": max((d.permits.peak for d in destinations), default=0),
            "transfers_active": active,
            "destinations": {d.key: d.snapshot() for d in destinations},
            "memory": {"resident_bytes": resident_bytes(), "held_bytes": self._window.held},
        }

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called."""
        with self._lock:
            return self._closed

    def close(self) -> None:
        """Cancel what runs, within a second, and let all threads end. May be called twice.

        What transfers that are done have left to do gets some seconds more.
        """
        with self._lock:
            self._closed = True
            active = dict(self._active)
            chores = set(self._chores)
            destinations = list(self._destinations.values())
        for transfer in active.keys() - chores:
            transfer.wait.cancel("the client was closed")
        try:
            enough = Deadline.after(_CHORES)
            for chore in chores:
                chore.has_ended_by(enough)
        finally:
            for chore in chores:
                chore.cancel()
            self._join(active)
        for destination in destinations:
            destination.workers.close()

    def _join(self, active: Mapping[Transfer, threading.Thread]) -> None:
        """Wait until these transfers have ended, but only for a moment."""
        patience = Deadline.after(2 * DRAIN)
        for transfer, thread in active.items():
            if thread is threading.current_thread():
                continue  # a transfer that closes its own client can't wait for itself
            if transfer.has_ended_by(patience) and isinstance(thread, _OwnThread):
                thread.join(patience.remaining())

    def reset(self) -> None:
        """Begin anew in the child of a fork, where no other thread and no lock has survived."""
        self._lock = threading.Lock()
        self._active, self._chores = {}, set()
        self._rng.seed()  # or parent and child would draw the same jitter
        self._metrics.reset()
        self._window.reset()
        self._dispatcher.reset()
        for destination in self._destinations.values():
            destination.reset()


class _OwnThread(threading.Thread):
    """A thread that we made to drive a transfer; those of our callers are not ours to join."""


class _Each(Driver[tuple[int, T], tuple[int, T]]):
    """The thread that called, at work on a list of independent requests."""

    def __init__(
        self,
        context: Context,
        destination: Destination,
        transfer: Transfer,
        ask: Callable[[T, Wait], Any],
        name: str,
        at: Optional[Callable[[T], Destination]] = None,
    ) -> None:
        super().__init__(context, destination, transfer)
        self._ask = ask
        self._name = name
        self._at = at if at is not None else lambda item: destination
        self.answers: dict[int, Any] = {}

    def cost(self, plan: tuple[int, T]) -> int:
        """Return nothing: such requests carry no file content."""
        return 0

    def load(self, plan: tuple[int, T]) -> tuple[int, T]:
        """Return the item and its place."""
        return plan

    def work(self, task: tuple[int, T], pauses: Wait) -> None:
        """Ask for one item."""
        place, item = task
        request = Request(f"{self._name} {place}", lambda wait: self._ask(item, wait))
        self.answers[place] = self.context.attempter.send(
            request, self._at(item), self.transfer, pauses
        )

    def landed(self, task: tuple[int, T], error: Optional[TransferError]) -> None:
        """Nothing more: the answer is kept already."""


class _Lenient(_Each[T]):
    """The same, where a failure is an answer like another."""

    def work(self, task: tuple[int, T], pauses: Wait) -> None:
        """Ask for one item, and keep what that failed with."""
        try:
            super().work(task, pauses)
        except TransferError as error:
            self.transfer.wait.check()  # ended by us: then it is not the request that failed
            self.answers[task[0]] = error


# Engines of this process, for the child of a fork; only as long as somebody else holds them.
_ENGINES: weakref.WeakSet[Engine] = weakref.WeakSet()


def _reset_all() -> None:
    for engine in list(_ENGINES):
        engine.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
