"""What a server still has to do: so that tests wait for the end of it instead of for seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Activity:
    """Work under way: commands, greetings, notifications between servers.

    Threads: belongs to the event loop's thread.
    """

    def __init__(self) -> None:
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: list[asyncio.Future[None]] = []

    def begin(self) -> None:
        """Something is to be done."""
        self._under_way += 1

    def end(self) -> None:
        """It is done."""
        self._under_way -= 1
        if self._under_way == 0:
            for waiter in self._waiting:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiting.clear()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside; it counts until it is done."""
        self.begin()
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.end()
        if not task.cancelled() and (error := task.exception()) is not None:
            loop = task.get_loop()
            loop.call_exception_handler(
                {"message": "a task of the development server failed", "exception": error}
            )

    async def idle(self) -> None:
        """Return when nothing is under way."""
        if self._under_way:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
