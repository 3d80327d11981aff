"""The threads that requests to one destination run on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

__all__ = ["Workers", "threads_for"]


def threads_for(cap: int) -> int:
    """Return how many threads keep all permits of a cap in use.

    With no more than there are permits, those that sleep before another attempt, or make something
    ready to be sent, would leave permits unused (peers.md R1).
    """
    return 1 if cap == 1 else 2 * cap


class Workers:
    """A ThreadPoolExecutor for a cap of requests in flight.

    The true cap is the semaphore's. There are as many threads again, so that requests that sleep
    before they are tried again hold neither a permit nor the last thread. Threads are made when
    they are first needed.

    With a cap of 1 there is no thread at all: everything runs in the calling thread. So it does
    when the interpreter is ending and no thread can be started any more (R27).

    Args:
        cap: Requests in flight, at most.
        name: What the threads are called.
    """

    def __init__(self, cap: int, name: str) -> None:
        self.width = threads_for(cap)
        self._executor = (
            ThreadPoolExecutor(self.width, thread_name_prefix=name) if cap > 1 else None
        )
        self._lock = threading.Lock()  # guards _busy
        self._busy = 0

    def run(self, task: Callable[[], None]) -> None:
        """Run a task that does not raise: on a thread, or here and now if there is none."""
        if self._executor is None:
            task()
            return
        once = _Once(lambda: self._count(task))
        try:
            self._executor.submit(once)
        except RuntimeError:
            # Shut down with the interpreter, or the system has no thread left. In the latter
            # case the task is queued already, and an older thread may take it as well.
            once()

    def close(self) -> None:
        """Let the threads end, and wait for them, unless one hangs in a call that nothing wakes."""
        with self._lock:
            idle = self._busy == 0
        if self._executor is not None:
            self._executor.shutdown(wait=idle)

    def _count(self, task: Callable[[], None]) -> None:
        with self._lock:
            self._busy += 1
        try:
            task()
        finally:
            with self._lock:
                self._busy -= 1


class _Once:
    """A task that is run by whoever comes first."""

    def __init__(self, task: Callable[[], None]) -> None:
        self._task = task
        self._claim = threading.Lock()  # taken by the one who runs the task, and never given back

    def __call__(self) -> None:
        if self._claim.acquire(blocking=False):
            self._task()
