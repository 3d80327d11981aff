"""The two ways of a proxied connection, and the ledger of what passed on them.

All of it runs on one event loop; :mod:`tests.support.delayproxy` is what tests use.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Optional, Union

from tests.support.httpmessages import (
    AnswerReader,
    Part,
    RequestReader,
    Segment,
    header,
    status,
)

HOST = "127.0.0.1"
WINDOW = 16 * 1024 * 1024  # bytes on the way before the sender has to wait
RESET = struct.pack("ii", 1, 0)


class Direction(Enum):
    """Which way bytes go."""

    UP = "to the server"
    DOWN = "to the client"


UP, DOWN = Direction.UP, Direction.DOWN


@dataclass
class Counts:
    """What has passed. Of what is not HTTP/1.1, each connection is one request in flight."""

    connections: int = 0
    open: int = 0
    peak_open: int = 0
    requests: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


@dataclass
class Exchange:
    """One request and the head of its answer, which is empty as long as there is none."""

    connection: int
    head: bytes
    answer: bytes = b""

    @property
    def line(self) -> str:
        """The request line without the version, as ``PATCH /files/1``."""
        return self.head.split(b" HTTP/", 1)[0].decode("latin-1")

    @property
    def status(self) -> Optional[int]:
        """The code of the answer; None as long as there is none."""
        return status(self.answer) if self.answer else None

    def header(self, name: str) -> Optional[str]:
        """Return a header of the request, by its name in lower case."""
        return header(self.head, name)


@dataclass
class Fault:
    """One thing to break, once.

    Args:
        action: ``cut`` ends the connection, ``corrupt`` turns one bit of the byte.
        direction: Which messages it is for.
        left: Bytes of bodies that pass before it happens, on whichever connections; a ``cut``
            with 0 left takes the head as well.
        only: What a request line must match for its bodies to count.
    """

    action: str
    direction: Direction
    left: int
    only: re.Pattern[str]

    def is_for(self, direction: Direction, exchange: Optional[Exchange]) -> bool:
        """Whether a message is one that it counts."""
        line = exchange.line if exchange is not None else ""
        return direction is self.direction and self.only.search(line) is not None


@dataclass
class Ledger:
    """What all connections of a proxy share: the delay, the counts, and what is to be broken."""

    delay: float
    counts: Counts = field(default_factory=Counts)
    exchanges: list[Exchange] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    held: frozenset[Direction] = frozenset()
    links: set[Link] = field(default_factory=set)

    def opened(self) -> int:
        """Count a connection, and return its number."""
        self.counts.connections += 1
        self.counts.open += 1
        self.counts.peak_open = max(self.counts.peak_open, self.counts.open)
        return self.counts.connections

    def begun(self) -> None:
        """Count a request that is in flight from here on."""
        self.counts.in_flight += 1
        self.counts.peak_in_flight = max(self.counts.peak_in_flight, self.counts.in_flight)


class End(Enum):
    """How a lane ends."""

    FINISHED = "the sender has finished"
    BROKEN = "the sender's connection broke"
    CUT = "a fault cut it"


@dataclass
class _Item:
    due: float
    what: Union[bytes, End]
    ends_answer: bool = False


class Lane:
    """One direction of a connection: bytes in now, out half a round trip later."""

    def __init__(self, link: Link, direction: Direction, reader: RequestReader) -> None:
        self._link = link
        self._ledger = link.ledger
        self._direction = direction
        self._reader = reader
        self._queue: deque[_Item] = deque()
        self._on_the_way = 0
        self._timer: Optional[asyncio.TimerHandle] = None
        self._is_cut = False
        self._loop = asyncio.get_running_loop()
        self.source: Optional[asyncio.Transport] = None
        self.sink: Optional[asyncio.Transport] = None

    def feed(self, data: bytes) -> None:
        """Take bytes from the source."""
        if self._is_cut:
            return
        if self._direction is UP and self._reader.is_between_messages:
            self._link.begin()
        for segment in self._reader.feed(data):
            exchange = self._note(segment)
            for what in self._spoilt(segment, exchange):
                self._put(what, segment.ends and self._direction is DOWN)
                if what is End.CUT:
                    self._is_cut = True
                    return
        self.flush()

    def end(self, how: End) -> None:
        """Let the lane end after what is on the way."""
        self._put(how)

    def _note(self, segment: Segment) -> Optional[Exchange]:
        """Write into the ledger what a segment tells; return the exchange that it belongs to."""
        link = self._link
        if self._direction is UP:
            self._ledger.counts.bytes_up += len(segment.data)
            if segment.part is Part.HEAD:
                link.asked(segment.data)
            return link.asking
        self._ledger.counts.bytes_down += len(segment.data)
        if segment.part is Part.HEAD:
            link.answered(segment.data)
        return link.answering

    def _spoilt(
        self, segment: Segment, exchange: Optional[Exchange]
    ) -> Iterator[Union[bytes, End]]:
        """Yield what becomes of a segment under the faults that are due in it."""
        data = segment.data
        if segment.part is Part.FRAME:
            yield data
            return
        for fault in [f for f in self._ledger.faults if f.is_for(self._direction, exchange)]:
            size = len(data) if segment.part is Part.BODY else 0
            is_due = fault.left < size or (fault.action == "cut" and fault.left == 0)
            if not is_due:
                fault.left -= size
                continue
            self._ledger.faults.remove(fault)
            at = fault.left
            if fault.action == "cut":
                yield data[:at] if size else b""
                yield End.CUT
                return
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        yield data

    def _put(self, what: Union[bytes, End], ends_answer: bool = False) -> None:
        now = self._loop.time()
        due = max(now, self._link.established) + self._ledger.delay / 2
        self._queue.append(_Item(due, what, ends_answer))
        if isinstance(what, bytes):
            self._on_the_way += len(what)
            self.throttle()
        else:
            self.flush()

    def flush(self) -> None:
        """Deliver what is due, and come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue and self.sink is not None and self._direction not in self._ledger.held:
            if self._queue[0].due > self._loop.time():
                self._timer = self._loop.call_at(self._queue[0].due, self.flush)
                return
            self._deliver(self._queue.popleft())

    def _deliver(self, item: _Item) -> None:
        assert self.sink is not None
        if isinstance(item.what, End):
            self._link.ended(self, item.what)
            return
        if item.ends_answer:  # before the client can know of it, and send the next
            self._link.finish()
        self._on_the_way -= len(item.what)
        if not self.sink.is_closing():
            self.sink.write(item.what)
        self.throttle()

    def throttle(self) -> None:
        """Let the source wait while too much is on the way."""
        if self.source is None or self.source.is_closing():
            return
        waiting = self._on_the_way
        if self.sink is not None:
            waiting += self.sink.get_write_buffer_size()
        if waiting > WINDOW:
            self.source.pause_reading()
        else:
            self.source.resume_reading()


class _Side(asyncio.Protocol):
    """One of the two sockets of a connection; what it hears, ``lane`` carries to the other."""

    def __init__(self, lane: Lane, other_lane: Lane, link: Link) -> None:
        self._lane = lane
        self._other_lane = other_lane
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lane.source = transport
        self._other_lane.sink = transport
        self._link.gained()
        self._other_lane.flush()

    def data_received(self, data: bytes) -> None:
        self._lane.feed(data)

    def eof_received(self) -> bool:
        self._link.hung_up(self._lane)
        self._lane.end(End.FINISHED)
        return True  # what is on the way to this side may still arrive

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._link.hung_up(self._lane)
        if error is not None:
            self._rescue()
            self._lane.end(End.BROKEN)
        self._link.lost()

    def _rescue(self) -> None:
        """Read what came before the connection broke.

        A server that refuses a large body answers, closes, and so resets what we still write; a
        client that is connected to it reads that answer all the same.
        """
        assert self._lane.source is not None
        number = self._lane.source.get_extra_info("socket").fileno()
        with contextlib.suppress(OSError):
            while data := os.read(number, 65_536):
                self._lane.feed(data)

    def resume_writing(self) -> None:
        self._other_lane.throttle()


class Link:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, ledger: Ledger, server_port: int) -> None:
        self.ledger = ledger
        self._loop = asyncio.get_running_loop()
        self._server_port = server_port
        self._in_flight = 0
        self._open: deque[Exchange] = deque()
        self.established = 0.0
        self.asking: Optional[Exchange] = None
        self.answering: Optional[Exchange] = None
        requests = RequestReader()
        self.up = Lane(self, UP, requests)
        self.down = Lane(self, DOWN, AnswerReader(requests))
        self._number = 0
        self._hung_up = False
        self._sides = 0  # sockets that are not closed
        self._connecting: Optional[asyncio.Task[None]] = None

    def client_side(self) -> asyncio.Protocol:
        """Return the protocol for the socket of a client that has come."""
        self.established = self._loop.time() + self.ledger.delay
        self._number = self.ledger.opened()
        self._connecting = self._loop.create_task(self._connect())
        return _Side(self.up, self.down, self)

    async def _connect(self) -> None:
        try:
            await self._loop.create_connection(
                lambda: _Side(self.down, self.up, self), HOST, self._server_port
            )
        except OSError:
            self.ended(self.down, End.BROKEN)

    def begin(self) -> None:
        """Count the first byte of a request."""
        self._in_flight += 1
        self.ledger.begun()

    def asked(self, head: bytes) -> None:
        """Note a whole head of a request."""
        self.asking = Exchange(self._number, head)
        self.ledger.counts.requests += 1
        self.ledger.exchanges.append(self.asking)
        self._open.append(self.asking)

    def answered(self, head: bytes) -> None:
        """Note the head of a final answer."""
        self.answering = self._open.popleft()
        self.answering.answer = head

    def finish(self) -> None:
        """Count the last byte of an answer."""
        if self._in_flight:
            self._in_flight -= 1
            self.ledger.counts.in_flight -= 1

    def hung_up(self, lane: Lane) -> None:
        """Hear that nothing more comes on a lane. A client that hangs up waits for no answer."""
        if lane is self.up and not self._hung_up:
            self._hung_up = True
            self.ledger.counts.open -= 1
            while self._in_flight:
                self.finish()

    def gained(self) -> None:
        """Hear that a socket is connected."""
        self._sides += 1
        self.ledger.links.add(self)

    def lost(self) -> None:
        """Hear that a socket is closed."""
        self._sides -= 1
        if not self._sides:
            self.ledger.links.discard(self)

    def ended(self, lane: Lane, how: End) -> None:
        """Let the end of one direction take effect on both sockets."""
        if how is End.CUT:
            # Who was to get the bytes gets those before the cut; who sent them is refused.
            _close(lane.sink)
            _reset(lane.source)
        elif how is End.BROKEN:
            _reset(lane.sink)
            _close(lane.source)
        elif lane is self.down:
            _close(lane.sink)
            _close(lane.source)
        elif lane.sink is not None and lane.sink.can_write_eof():
            lane.sink.write_eof()

    def close(self) -> None:
        """End both sockets at once."""
        if self._connecting is not None:
            self._connecting.cancel()
        _reset(self.up.source)
        _reset(self.down.source)


def _close(transport: Optional[asyncio.Transport]) -> None:
    if transport is not None:
        transport.close()


def _reset(transport: Optional[asyncio.Transport]) -> None:
    if transport is None:
        return
    with contextlib.suppress(OSError):  # it may be closed already
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()
