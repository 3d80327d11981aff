"""The wall clock of the development server, which tests can move."""

from __future__ import annotations

import asyncio
import time
from typing import Callable


class ServerClock:
    """Wall time in milliseconds, with an offset that tests move instead of waiting.

    Threads: everything but the constructor belongs to the event loop's thread.

    Args:
        now: Epoch seconds; the seam for tests.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._offset = 0.0
        self._sleepers: dict[asyncio.Future[None], float] = {}
        self._watchers: list[asyncio.Future[None]] = []

    def now(self) -> float:
        """Return epoch seconds."""
        return self._now() + self._offset

    def now_ms(self) -> int:
        """Return epoch milliseconds."""
        return int(self.now() * 1000)

    def advance(self, seconds: float) -> None:
        """Move the time on, and wake whoever slept until then."""
        self._offset += seconds
        due = self.now()
        for sleeper, until in list(self._sleepers.items()):
            if until <= due and not sleeper.done():
                sleeper.set_result(None)

    def reset(self) -> None:
        """Go back to the true time."""
        self._offset = 0.0

    async def sleep(self, seconds: float) -> None:
        """Return when so many seconds of this clock have passed, moved on or waited."""
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers[sleeper] = self.now() + seconds
        self._tell_watchers()
        try:
            await asyncio.wait([sleeper], timeout=seconds)
        finally:
            del self._sleepers[sleeper]

    def _tell_watchers(self) -> None:
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)
        self._watchers.clear()

    async def until_asleep(self, count: int) -> None:
        """Return when so many sleep, so that :meth:`advance` will wake them."""
        while len(self._sleepers) < count:
            watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watchers.append(watcher)
            await watcher


def timestamp(epoch_ms: int) -> str:
    """Return a time as the servers write it: ``2026-11-24 07:09:22.919Z``."""
    seconds, ms = divmod(epoch_ms, 1000)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(seconds))}.{ms:03d}Z"
