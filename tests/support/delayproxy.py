"""A TCP proxy that makes a server seem far away, counts what passes, and breaks it on demand.

Each direction takes half of the delay, and a new connection one round trip more, as a handshake
would. There is no loss and no limit of bandwidth. Counts are those of the client's end of the way:
a request is in flight from its first byte until the last byte of its answer is handed to the
client, or the client hangs up, so that a client that keeps to a cap is never seen above it.

:class:`DelayProxy` runs on a thread, for tests; :class:`FarProxy` in a process of its own, for
benchmarks, which is ``python -m tests.support.delayproxy``.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import re
import subprocess
import sys
import threading
from typing import Any, Callable, Optional

from tests.support.lanes import DOWN, HOST, UP, Counts, Direction, Exchange, Fault, Ledger, Link

__all__ = ["DOWN", "UP", "Counts", "DelayProxy", "Direction", "Exchange", "FarProxy"]


class DelayProxy:
    """A proxy in front of a port of this machine, for the time of a ``with`` block.

    A server that is down shows as a connection that is accepted and reset.

    Args:
        port: The server's port on loopback.
        delay: Seconds that a round trip takes.

    Threads:
        Any may call. What is called is carried out on the proxy's own thread, and has happened
        when the call returns.
    """

    def __init__(self, port: int, delay: float = 0.0) -> None:
        self._server_port = port
        self._ledger = Ledger(delay)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._listener: Optional[asyncio.AbstractServer] = None
        self._failures: list[BaseException] = []
        self.port = 0

    def __enter__(self) -> DelayProxy:
        self._loop.set_exception_handler(self._failed)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._failures and error is None:
            raise self._failures[0]

    async def _listen(self) -> None:
        self._listener = await self._loop.create_server(
            lambda: Link(self._ledger, self._server_port).client_side(), HOST, 0, backlog=512
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        while self._ledger.links:
            for link in list(self._ledger.links):
                link.close()
            await asyncio.sleep(0)  # transports close in the loop's next round

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._failures.append(context.get("exception") or RuntimeError(context["message"]))

    def _call(self, function: Callable[[], Any]) -> Any:
        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    @property
    def origin(self) -> str:
        """Scheme, host and port, without a slash."""
        return f"http://{HOST}:{self.port}"

    def through(self, url: str) -> str:
        """Return the URL of a server with this proxy's port for its own."""
        return url.replace(f"{HOST}:{self._server_port}", f"{HOST}:{self.port}")

    @property
    def counts(self) -> Counts:
        """What has passed until now."""
        counts: Counts = self._call(lambda: dataclasses.replace(self._ledger.counts))
        return counts

    @property
    def exchanges(self) -> list[Exchange]:
        """All requests until now, in the order of their heads."""
        exchanges: list[Exchange] = self._call(lambda: list(self._ledger.exchanges))
        return exchanges

    def forget(self) -> None:
        """Count from nought: what is open and in flight goes on being so."""

        def forget() -> None:
            counts = self._ledger.counts
            self._ledger.exchanges.clear()
            self._ledger.counts = Counts(
                open=counts.open,
                peak_open=counts.open,
                in_flight=counts.in_flight,
                peak_in_flight=counts.in_flight,
            )

        self._call(forget)

    def cut(self, direction: Direction, after: int = 0, only: str = "") -> None:
        """End a connection once, after so many bytes of bodies in a direction from now on.

        Args:
            direction: ``UP`` with 0 loses a request before the server sees it, ``DOWN`` with 0 its
                answer when the work is done.
            after: Bytes of bodies that pass before, on whichever connections.
            only: A pattern that a request line, as ``PATCH /files/1``, must match to count.
        """
        self._break("cut", direction, after, only)

    def corrupt(self, direction: Direction, after: int = 0, only: str = "") -> None:
        """Turn one bit once, in the byte of bodies that comes after so many in a direction.

        Args: as those of :meth:`cut`.
        """
        self._break("corrupt", direction, after, only)

    def _break(self, action: str, direction: Direction, after: int, only: str) -> None:
        fault = Fault(action, direction, after, re.compile(only))
        self._call(lambda: self._ledger.faults.append(fault))

    @property
    def faults_left(self) -> int:
        """How many faults have not happened yet."""
        left: int = self._call(lambda: len(self._ledger.faults))
        return left

    def hold(self, *directions: Direction) -> None:
        """Let nothing pass, or nothing in a direction, as a black hole does, until ``heal()``."""
        self._call(lambda: setattr(self._ledger, "held", frozenset(directions or Direction)))

    def heal(self) -> None:
        """Let pass what was held, as after an outage of the network, and all that follows."""

        def heal() -> None:
            self._ledger.held = frozenset()
            for link in list(self._ledger.links):
                link.up.flush()
                link.down.flush()

        self._call(heal)


class FarProxy:
    """The same in a process of its own, for the time of a ``with`` block; it counts, no more.

    Args:
        port: The server's port on loopback.
        delay: Seconds that a round trip takes.
    """

    def __init__(self, port: int, delay: float) -> None:
        self._command = [sys.executable, "-m", __name__, str(port), str(delay)]
        self._server_port = port
        self.port = 0

    def __enter__(self) -> FarProxy:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = self._answer()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()  # closes its input, which ends it

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def through(self, url: str) -> str:
        """Return the URL of a server with this proxy's port for its own."""
        return url.replace(f"{HOST}:{self._server_port}", f"{HOST}:{self.port}")

    def take_counts(self) -> Counts:
        """Return what has passed, and count from nought."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Counts(**self._answer())


def main() -> None:
    """Run a proxy: print its port, and its counts at each line of input, until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.delayproxy", description=__doc__)
    parser.add_argument("port", type=int, help="the server's port on loopback")
    parser.add_argument("delay", type=float, help="seconds that a round trip takes")
    arguments = parser.parse_args()
    with DelayProxy(arguments.port, arguments.delay) as proxy:
        print(proxy.port, flush=True)
        for _ in sys.stdin:
            counts = dataclasses.asdict(proxy.counts)
            proxy.forget()  # before the answer, on which the next measurement begins
            print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main()
