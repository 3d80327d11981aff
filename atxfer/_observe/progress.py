"""Progress callbacks: one thread calls them, few of them, in order, and none can do harm.

1. Callbacks of one engine run on one dispatcher thread, never on a thread that moves bytes
   (peers.md R26). It lives while a transfer with a callback is under way.
2. Each transfer calls at most once in ``progress_interval``; a newer state replaces one that has
   not been delivered yet. The last state is delivered before the transfer returns.
3. A callback that raises is told of in ``Statistics.callback_errors``; the transfer goes on.
4. A callback that never comes back delays the end of its transfer by ``PATIENCE`` at most. Then
   the transfer ends without it, with a line in ``callback_errors``. A transfer that fails or is
   cancelled does not wait for callbacks, and none is begun after its end.
5. Where no thread can be started, as at the end of the interpreter, and within a callback that
   itself transfers a file, callbacks run in the thread of the transfer.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable, Optional

from atxfer._observe.events import Bus, CallbackFailed
from atxfer.errors import DeadlineExceeded
from atxfer.model import Progress
from atxfer.waiting import Clock, Deadline, Wait

__all__ = ["PATIENCE", "Callback", "Dispatcher", "Report"]

Callback = Callable[[Progress], object]

# How long the end of a transfer waits for its last callback, in seconds. A drawing of a progress
# bar takes milliseconds; a callback that writes to a slow terminal or data base gets this much.
PATIENCE = 5.0


class Report:
    """The callback of one transfer, and what it has still to be told.

    Threads: :meth:`update` and :meth:`finish` belong to the thread that drives the transfer,
    :meth:`deliver` to the dispatcher.
    """

    def __init__(
        self, file: str, callback: Optional[Callback], *, interval: float, clock: Clock, bus: Bus
    ) -> None:
        self._file = file
        self._callback = callback
        self._interval = interval
        self._clock = clock
        self._bus = bus
        self._lane: Optional[_Lane] = None
        self._last_sent: Optional[float] = None
        self._lock = threading.Lock()  # guards _pending, _errors
        self._pending: Optional[Progress] = None
        self._errors: list[str] = []

    @property
    def errors(self) -> tuple[str, ...]:
        """What the callback raised so far."""
        with self._lock:
            return tuple(self._errors)

    def attach(self, lane: Optional[_Lane]) -> None:
        """Deliver by this lane from now on, or in the calling thread if it is None."""
        self._lane = lane

    def update(self, progress: Progress) -> None:
        """Tell a new state, unless the last one was told a moment ago."""
        if self._callback is None:
            return
        now = self._clock.monotonic()
        if self._last_sent is not None and now - self._last_sent < self._interval:
            return
        self._last_sent = now
        self._offer(progress)

    def finish(self, progress: Progress) -> None:
        """Tell the last state, and return when the callback has taken it, or patience is over."""
        if self._callback is None:
            return
        self._offer(progress)
        if self._lane is not None and not self._lane.drained(PATIENCE):
            self.note_failure(f"the callback did not come back within {PATIENCE:g} s")

    def _offer(self, progress: Progress) -> None:
        with self._lock:
            waiting, self._pending = self._pending is not None, progress
        if self._lane is None:
            self.deliver()
        elif not waiting:
            self._lane.put(self.deliver)

    def deliver(self) -> None:
        """Call back with the newest state."""
        with self._lock:
            progress, self._pending = self._pending, None
        callback = self._callback
        if progress is None or callback is None:
            return
        try:
            callback(progress)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # rule 3
            self.note_failure(f"{type(error).__name__}: {error}")

    def silence(self) -> None:
        """Call back no more: the transfer has ended."""
        self._callback = None

    def note_failure(self, text: str) -> None:
        """Keep what went wrong for the result of the transfer, each kind once."""
        with self._lock:
            known = text in self._errors
            if not known:
                self._errors.append(text)
        if not known:
            self._bus.emit(CallbackFailed(self._file, text))


class _Lane:
    """A dispatcher thread and its queue."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Optional[Callable[[], None]]] = queue.SimpleQueue()
        # A daemon: a callback that hangs for ever must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="atxfer-progress", daemon=True)
        self._thread.start()

    def is_current(self) -> bool:
        """Whether the caller runs on this lane's thread."""
        return threading.current_thread() is self._thread

    def put(self, call: Callable[[], None]) -> None:
        """Let the thread make a call, after those put before."""
        self._queue.put(call)

    def drained(self, seconds: float) -> bool:
        """Wait until all calls put so far are made; return whether they were, in that time."""
        reached: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._queue.put(lambda: reached.put(None))
        try:
            Wait(Deadline.after(seconds)).take(reached)
        except DeadlineExceeded:
            return False
        return True

    def stop(self) -> None:
        """End the thread, once its calls are made."""
        self._queue.put(None)

    def _run(self) -> None:
        while (call := self._queue.get()) is not None:
            call()


class Dispatcher:
    """The one thread of an engine that calls progress callbacks."""

    def __init__(self, *, interval: float, clock: Clock, bus: Bus) -> None:
        self._interval = interval
        self._clock = clock
        self._bus = bus
        self.reset()

    def reset(self) -> None:
        """Begin anew, without a thread: in the child of a fork no other thread has survived."""
        self._lock = threading.Lock()  # guards _lane, _reports
        self._lane: Optional[_Lane] = None
        self._reports = 0

    @contextmanager
    def report(self, file: str, callback: Optional[Callback]) -> Iterator[Report]:
        """Yield the report of one transfer; without a callback it does nothing."""
        report = Report(file, callback, interval=self._interval, clock=self._clock, bus=self._bus)
        if callback is None:
            yield report
            return
        lane = self._enter()
        report.attach(None if lane is None or lane.is_current() else lane)
        try:
            yield report
        finally:
            report.silence()
            self._leave(lane)

    def _enter(self) -> Optional[_Lane]:
        with self._lock:
            if self._lane is None:
                try:
                    self._lane = _Lane()
                except RuntimeError:  # no thread can be started any more: rule 5
                    return None
            self._reports += 1
            return self._lane

    def _leave(self, lane: Optional[_Lane]) -> None:
        if lane is None:
            return
        with self._lock:
            if lane is self._lane:  # else it is from before a fork
                self._reports -= 1
                if self._reports:
                    return
                self._lane = None
        lane.stop()
