"""The requests of one connection, in turn: counted, hit by faults, given their time, settled.

Rules of this file:

1. Requests are served one after another, in the order they came, also where a client did not wait
   for the answer to the last.
2. A request is known by its verb for counters and faults before it is read: faults hit nonsense as
   well.
3. What was done stays done: a fault after the work loses the answer alone.
4. Every request is settled exactly once: when its answer has left, when there will be none, or when
   the connection is gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Generic, Optional, Protocol, TypeVar

from atxfer.devserver.activity import Activity
from atxfer.devserver.call import Host
from atxfer.devserver.costs import Work
from atxfer.devserver.wire import Wire

T = TypeVar("T")

# Verbs of a login, and the one that is never answered: no requests (counters.py).
_NO_REQUEST = frozenset({"from", "pkam", "cram", "monitor"})


class House(Host, Protocol):
    """What a connection needs of its server beyond what the verbs do."""

    @property
    def activity(self) -> Activity:
        """Where to count what is under way."""
        ...

    def seconds_for(self, work: Work, began: float) -> float:
        """Return how long from now the real server would take, had it begun at this loop time."""
        ...


@dataclass(eq=False)
class Turn(Generic[T]):
    """One request that came.

    Attributes:
        what: The request.
        verb: What kind it is.
        size: Its bytes.
        waited: Whether it came before the request before it was answered.
        settled: Whether it needs no more attention (rule 4).
    """

    what: T
    verb: str
    size: int
    waited: bool
    settled: bool = False


@dataclass(frozen=True)
class Reply:
    """What comes back.

    Attributes:
        data: The bytes; None for no answer.
        work: What it asked of the server.
        closes: Whether the connection ends after it.
    """

    data: Optional[bytes]
    work: Work
    closes: bool = False


class Speaker(Protocol[T]):
    """The side of a connection that knows its protocol."""

    async def reply(self, turn: Turn[T], fault: str) -> Reply:
        """Do what a request asks, under a word of the fault plan."""
        ...

    def hang_up(self) -> None:
        """Close the connection after what was written."""
        ...

    def cut(self) -> None:
        """Break the connection."""
        ...


class Turns(Generic[T]):
    """The requests of one connection.

    Threads: belongs to the event loop's thread.

    Args:
        server: Whose connection it is.
        wire: The connection.
        speaker: Who answers.

    Attributes:
        closed: Whether nothing more is served; set by the speaker.
    """

    def __init__(self, server: House, wire: Wire, speaker: Speaker[T]) -> None:
        self.closed = False
        self._server = server
        self._wire = wire
        self._speaker = speaker
        self._waiting: deque[Turn[T]] = deque()
        self._unsettled: list[Turn[T]] = []
        self._working = False
        self._first_byte: Optional[float] = None
        self._bytes = 0

    def heard(self, size: int, arrived: float) -> None:
        """Bytes came, of a request that may not be whole yet."""
        if self._first_byte is None:
            self._first_byte = arrived
        self._bytes += size

    def add(self, what: T, verb: str) -> None:
        """A request is whole."""
        turn = Turn(what, verb, self._bytes, waited=bool(self._waiting) or self._working)
        self._server.tally.command(verb)
        if verb not in _NO_REQUEST:
            self._server.tally.request_began(self._first_byte or 0.0)
        self._first_byte, self._bytes = None, 0
        self._unsettled.append(turn)
        self._waiting.append(turn)
        if not self._working:
            self._working = True
            self._server.activity.spawn(self._work())

    def ended(self) -> None:
        """The connection is gone; what is being served is served to its end."""
        self.closed = True
        for turn in list(self._unsettled):
            self._settle(turn)

    def _settle(self, turn: Turn[T], at: Optional[float] = None) -> None:
        """Count a request as done with (rule 4)."""
        if turn.settled:
            return
        turn.settled = True
        self._unsettled.remove(turn)
        if turn.verb not in _NO_REQUEST:
            now = asyncio.get_running_loop().time()
            self._server.tally.request_ended(now if at is None else at)

    # --- one after another

    async def _work(self) -> None:
        try:
            while self._waiting and not self.closed:
                await self._serve(self._waiting.popleft())
        finally:
            self._working = False

    async def _serve(self, turn: Turn[T]) -> None:
        began = asyncio.get_running_loop().time()
        plan, atsign = self._server.world.faults, self._server.atsign
        fault = plan.decide(turn.verb, atsign)
        if turn.waited and plan.happens("unheard", turn.verb, atsign):
            fault = "unheard"
        if fault == "drop-before":
            self._speaker.cut()
            return
        if fault == "unheard":
            self._settle(turn)
            return
        reply = await self._speaker.reply(turn, fault)
        await self.take_time(reply.work, began)
        await self._send(turn, fault, reply)

    async def _send(self, turn: Turn[T], fault: str, reply: Reply) -> None:
        """Answer, as the fault of the request lets it."""
        if fault == "hang":
            return
        if fault == "drop-after":
            self._speaker.cut()
            return
        if fault == "pause":
            world = self._server.world
            await world.clock.sleep(world.faults.pause_seconds)
        if reply.data is not None:
            self._wire.write(reply.data, lambda at: self._settle(turn, at))
        elif not reply.closes:
            self._settle(turn)
        if reply.closes:
            self._speaker.hang_up()

    async def take_time(self, work: Work, began: float) -> None:
        """Wait out what the real server would take, our own work since ``began`` included."""
        seconds = self._server.seconds_for(work, began)
        if seconds > 0:
            await asyncio.sleep(seconds)
