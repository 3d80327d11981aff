"""The handle of one transfer: its state, its result, its end."""

from __future__ import annotations

import contextlib
import enum
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional, TypeVar

from atxfer._engine.tally import Tally
from atxfer.errors import Cancelled, DeadlineExceeded
from atxfer.model import Progress
from atxfer.waiting import Deadline, Wait

__all__ = ["Note", "State", "Transfer"]

T = TypeVar("T")


class State(enum.Enum):
    """Where a transfer stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_MOVES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.RUNNING}),
    State.RUNNING: frozenset({State.COMPLETED, State.FAILED, State.CANCELLED}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


class Note:
    """What one worker of a transfer is doing right now, for :meth:`Transfer.dump`."""

    def __init__(self, request: str) -> None:
        self._request = request
        self._doing = "begins"

    def __call__(self, doing: str) -> None:
        """Say what is being done, or waited for, from now on."""
        self._doing = doing  # one assignment: atomic, and only shown

    def __str__(self) -> str:
        return f"{self._request}: {self._doing}"


class Transfer:
    """One file on its way, as ``submit_upload`` and ``submit_download`` return it.

    Threads: every method may be called from any thread.
    """

    def __init__(self, name: str, wait: Wait) -> None:
        self.name = name
        self.wait = wait
        self.tally = Tally(wait.clock)
        self._ended = threading.Event()
        self._lock = threading.Lock()  # guards _state, _value, _error, _notes
        self._state = State.PENDING
        self._value: Any = None
        self._error: Optional[BaseException] = None
        self._notes: dict[Note, None] = {}  # in the order they were made

    @property
    def state(self) -> State:
        """Where the transfer stands."""
        with self._lock:
            return self._state

    @property
    def progress(self) -> Optional[Progress]:
        """How far it is; None while the size of the file is not known yet."""
        return self.tally.progress

    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """End the transfer within a second; :meth:`result` then raises Cancelled.

        One that has ended already is left as it is.
        """
        self.wait.cancel()

    def result(self, timeout: Optional[float] = None) -> Any:
        """Wait for the end, and return the receipt or the result.

        Args:
            timeout: Seconds to wait, or None for as long as it takes.

        Raises:
            TimeoutError: It has not ended yet; it goes on.
            TransferError: What it failed with.
        """
        if not self.has_ended_by(Deadline.after(timeout)):
            raise TimeoutError(f"{self.name} is still {self.state.value}")
        if self._error is not None:
            raise self._error
        return self._value

    def has_ended_by(self, deadline: Deadline) -> bool:
        """Wait for the end, but only so long; return whether it has come."""
        with contextlib.suppress(DeadlineExceeded):
            Wait(deadline).acquire(self._ended.wait)
        return self.done()

    def dump(self) -> str:
        """Return what every worker does or waits for right now, for a report of a hang."""
        with self._lock:
            lines = [f"{self.name}: {self._state.value}, {self.tally.seconds:.1f} s"]
            lines += [f"  {note}" for note in self._notes]
        progress = self.progress
        if progress is not None:
            lines.insert(1, f"  {progress.chunks} of {progress.chunks_total} chunks confirmed")
        return "\n".join(lines)

    @contextlib.contextmanager
    def note(self, request: str) -> Iterator[Note]:
        """Show a request in :meth:`dump` for the time of the block."""
        note = Note(request)
        with self._lock:
            self._notes[note] = None
        try:
            yield note
        finally:
            with self._lock:
                del self._notes[note]

    def drive(self, body: Callable[[Transfer], T]) -> T:
        """Run the transfer in this thread, and keep how it ended."""
        self._move(State.RUNNING)
        try:
            self.wait.check()
            value = body(self)
        except BaseException as error:
            ended_by_us = isinstance(error, (Cancelled, KeyboardInterrupt))
            self._finish(State.CANCELLED if ended_by_us else State.FAILED, error=error)
            raise
        self._finish(State.COMPLETED, value=value)
        return value

    def _finish(
        self, state: State, *, value: Any = None, error: Optional[BaseException] = None
    ) -> None:
        with self._lock:
            self._value, self._error = value, error
        self._move(state)
        self._ended.set()

    def _move(self, state: State) -> None:
        with self._lock:
            if state not in _MOVES[self._state]:
                raise ValueError(f"a transfer that is {self._state.value} can't be {state.value}")
            self._state = state

    def __repr__(self) -> str:
        return f"<Transfer {self.name!r} {self.state.value}>"
