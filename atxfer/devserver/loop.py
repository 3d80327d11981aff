"""An asyncio event loop in a background thread, asked from other threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Coroutine
from typing import Any, Callable, Optional, TypeVar

T = TypeVar("T")

logger = logging.getLogger("atxfer.devserver")


async def _gone(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


class LoopThread:
    """One event loop in one daemon thread.

    Threads: all methods may be called from any thread but the loop's own; what they are given runs
    on the loop's thread.

    Attributes:
        failures: Exceptions that nothing caught: defects of the development server itself, so tests
            assert that there are none.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: Optional[threading.Thread] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self.failures: list[BaseException] = []

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        if self._loop is None:
            raise RuntimeError("not started")
        return self._loop

    @property
    def running(self) -> bool:
        """Whether the thread is running."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread."""
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._work, args=(ready,), name=self._name, daemon=True
        )
        self._thread.start()
        ready.wait()

    def _work(self, ready: threading.Event) -> None:
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(self._failed)
        self._loop = loop
        loop.call_soon(ready.set)
        try:
            loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(_gone(tasks))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(context.get("message", ""))
        self.failures.append(error)
        logger.error("devserver.defect %s", context.get("message"), exc_info=error)

    def run(self, work: Coroutine[Any, Any, T], timeout: Optional[float] = 30.0) -> T:
        """Run a coroutine on the loop and return what it returns.

        Raises:
            TimeoutError: It takes longer than so many seconds; it is ended.
        """
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError as error:
            future.cancel()
            raise TimeoutError(f"not done after {timeout} s") from error

    def call(self, work: Callable[..., T], *args: Any) -> T:
        """Call a function on the loop's thread and return what it returns."""

        async def wrapped() -> T:
            return work(*args)

        return self.run(wrapped())

    def stop(self) -> None:
        """End the loop and wait for its thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self.loop.call_soon_threadsafe(self.loop.stop)
        thread.join()
        self._loop = None
