"""A network of so many seconds a round trip, modelled below TLS.

Rules of this file:

1. Half a round trip each way, on every byte; order is kept, and what is under way does not hold up
   what follows: throughput is not limited by delay, only by ``bandwidth`` where one is named.
2. The kernel accepts a connection at once, where a far host takes a round trip: so the first bytes
   of a connection wait for one round trip more (the rig of peers.md §5). A TLS handshake then costs
   its own round trips, because its bytes pass through here like any others.
3. The end of a connection travels like data.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Callable, Optional, Protocol, cast

from atxfer.devserver.loop import LoopThread

# Bytes under way in one direction before the sender is asked to stop: more than any line of ours at
# any delay, so that it bounds memory and not speed.
HIGH_WATER = 16 << 20


class Distance(Protocol):
    """How far away a server is; looked at anew for each piece of data, so it may change."""

    @property
    def round_trip(self) -> float:
        """Seconds there and back."""
        ...

    @property
    def jitter(self) -> float:
        """Up to so many seconds more each way, at random; order is kept."""
        ...

    @property
    def bandwidth(self) -> Optional[float]:
        """Bytes a second each way of each connection, or None."""
        ...

    @property
    def rng(self) -> random.Random:
        """Where the jitter comes from."""
        ...


@dataclass
class Network:
    """A distance of plain values."""

    round_trip: float = 0.0
    jitter: float = 0.0
    bandwidth: Optional[float] = None
    rng: random.Random = field(default_factory=random.Random, repr=False)


class DelayLine:
    """One direction of one connection: what goes in comes out later, in order.

    Threads: belongs to the event loop's thread.

    Args:
        loop: The running loop.
        network: How far the other end is.
        not_before: Loop time before which nothing may set out (rule 2).
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, network: Distance, not_before: float = 0.0
    ) -> None:
        self._loop = loop
        self._network = network
        self._free_at = not_before
        self._last_due = 0.0
        self._queue: deque[tuple[float, int, Callable[[], None]]] = deque()
        self._timer: Optional[asyncio.TimerHandle] = None
        self.under_way = 0

    def send(self, size: int, arrive: Callable[[], None]) -> None:
        """Call ``arrive`` when so many bytes have crossed the network."""
        now = self._loop.time()
        if now >= self._free_at and not self._queue and _is_here(self._network):
            arrive()
            return
        due = self._due(now, size)
        self._queue.append((due, size, arrive))
        self.under_way += size
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._arrived)

    def _due(self, now: float, size: int) -> float:
        network = self._network
        depart = max(now, self._free_at)
        if network.bandwidth:
            depart += size / network.bandwidth
            self._free_at = depart
        due = depart + network.round_trip / 2
        if network.jitter:
            due += network.rng.uniform(0, network.jitter)
        self._last_due = max(self._last_due, due)
        return self._last_due

    def _arrived(self) -> None:
        self._timer = None
        # The loop calls timers up to its resolution early.
        now = self._loop.time() + 0.0005
        while self._queue and self._queue[0][0] <= now:
            _, size, arrive = self._queue.popleft()
            self.under_way -= size
            arrive()
        if self._queue and self._timer is None:
            self._timer = self._loop.call_at(self._queue[0][0], self._arrived)

    def discard(self) -> None:
        """Drop what is under way; the connection is no more."""
        self._queue.clear()
        self.under_way = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _is_here(network: Distance) -> bool:
    return not (network.round_trip or network.jitter or network.bandwidth)


class _Side(asyncio.Protocol):
    """One end of a proxied connection: what arrives here goes to the other end's transport."""

    def __init__(self, proxy: DelayProxy, line: DelayLine, peer: Optional[_Side] = None) -> None:
        self._proxy = proxy
        self._line = line
        self._peer = peer
        self._transport: Optional[asyncio.Transport] = None
        self._waiting: list[Callable[[], None]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._proxy._sides.add(self)
        if self._peer is None:
            loop = asyncio.get_running_loop()
            self._proxy._tasks.add(task := loop.create_task(self._join()))
            task.add_done_callback(self._proxy._tasks.discard)
        else:
            self._peer._joined(self)

    async def _join(self) -> None:
        """Connect to the target, for a client that has just come."""
        loop = asyncio.get_running_loop()
        line = DelayLine(loop, self._proxy.network)
        try:
            await loop.create_connection(
                lambda: _Side(self._proxy, line, self), *self._proxy.target
            )
        except OSError:
            self.abort()

    def _joined(self, peer: _Side) -> None:
        self._peer = peer
        for action in self._waiting:
            action()
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        self._pass(len(data), lambda: self._write_to_peer(data))

    def eof_received(self) -> bool:
        self._pass(0, self._end_peer)
        return True  # the other direction goes on

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._proxy._sides.discard(self)
        self._pass(0, self._close_peer if exc is None else self._abort_peer)

    def _pass(self, size: int, arrive: Callable[[], None]) -> None:
        self._line.send(size, lambda: self._when_joined(arrive))
        if self._line.under_way > HIGH_WATER and self._transport is not None:
            self._transport.pause_reading()
            self._line.send(0, self._transport.resume_reading)

    def _when_joined(self, action: Callable[[], None]) -> None:
        if self._peer is None:
            self._waiting.append(action)
        else:
            action()

    def _write_to_peer(self, data: bytes) -> None:
        if self._peer is not None and self._peer._transport is not None:
            self._peer._transport.write(data)

    def _end_peer(self) -> None:
        if self._peer is not None and self._peer._transport is not None:
            self._peer._transport.write_eof()

    def _close_peer(self) -> None:
        if self._peer is not None and self._peer._transport is not None:
            self._peer._transport.close()

    def _abort_peer(self) -> None:
        if self._peer is not None:
            self._peer.abort()

    def pause_writing(self) -> None:
        if self._peer is not None and self._peer._transport is not None:
            self._peer._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._peer is not None and self._peer._transport is not None:
            self._peer._transport.resume_reading()

    def abort(self) -> None:
        """End this side at once."""
        if self._transport is not None:
            self._transport.abort()


class DelayProxy:
    """A TCP proxy that makes any server look as far away as one wants.

    Usable on its own, for servers that others wrote::

        with DelayProxy("127.0.0.1", 6464, round_trip=0.1) as proxy:
            connect("127.0.0.1", proxy.port)

    Args:
        target_host: Where the real server listens.
        target_port: Its port.
        round_trip: Seconds there and back.
        port: Where to listen on 127.0.0.1; 0 chooses one.

    Attributes:
        network: The delay; may be changed while running.
    """

    def __init__(
        self, target_host: str, target_port: int, round_trip: float, *, port: int = 0
    ) -> None:
        self.target = (target_host, target_port)
        self.network = Network(round_trip)
        self.port = port
        self._sides: set[_Side] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = LoopThread("atxfer-delay-proxy")
        self._server: Optional[asyncio.AbstractServer] = None

    def _accept(self) -> _Side:
        loop = asyncio.get_running_loop()
        line = DelayLine(loop, self.network, loop.time() + self.network.round_trip)
        return _Side(self, line)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def start(self) -> DelayProxy:
        """Begin to listen."""
        self._thread.start()
        self._thread.run(self._listen())
        return self

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for side in list(self._sides):
            side.abort()

    def stop(self) -> None:
        """Stop listening and cut what is connected."""
        self._thread.call(self._close)
        self._thread.stop()

    def __enter__(self) -> DelayProxy:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
