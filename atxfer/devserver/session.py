"""One connection to an atServer: framing, login state, faults, and the order of answers.

Rules of this file:

1. Lines are served one after another, in the order they came, also where a client did not wait for
   the answer to the last.
2. A line is known by its first word for counters and faults before it is read: faults hit nonsense
   as well.
3. What was done stays done: a fault after the work loses the answer alone.
4. Every line is settled exactly once: when its answer has left, when there will be none, or when
   the connection is gone.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import deque
from dataclasses import dataclass
from typing import Optional, Protocol

from atxfer.atprotocol import errors
from atxfer.atprotocol.codec import Connection, Role
from atxfer.atprotocol.events import NEED_DATA, Command, Oversized
from atxfer.devserver import service
from atxfer.devserver.activity import Activity
from atxfer.devserver.call import Call, Host
from atxfer.devserver.costs import Work
from atxfer.devserver.notices import Notice
from atxfer.devserver.reading import compact
from atxfer.devserver.wire import Wire
from atxfer.devserver.writing import NO_SPACE

# Verbs of a login, and the one that is never answered: no requests (counters.py).
_NO_REQUEST = frozenset({"from", "pkam", "cram", "monitor"})

_TOO_MANY = b"error:AT0012-Inbound connection limit exceeded\n"
_OVERFLOW = (
    "InboundBuffer overflow: server received request which exceeded the buffer size limit."
    " Terminating the connection."
)
_GIBBERISH = "gibberish, of no protocol"

# Errors about an enrolment, which stand behind a colon (transcript).
_WITH_COLON = (
    errors.EnrollmentDenied,
    errors.EnrollmentPending,
    errors.EnrollmentRevoked,
    errors.EnrollmentExpired,
)


class Home(Host, Protocol):
    """What a session needs of its server beyond what the verbs do."""

    @property
    def activity(self) -> Activity:
        """Where to count what is under way."""
        ...

    @property
    def paused(self) -> bool:
        """Whether it refuses commands because it is about to restart."""
        ...

    def admit(self, session: Session) -> bool:
        """Take a connection in, or return that there is no room."""
        ...

    def dismiss(self, session: Session) -> None:
        """Forget a connection."""
        ...

    def seconds_for(self, work: Work, began: float) -> float:
        """Return how long from now the real server would take, had it begun at this loop time."""
        ...


@dataclass(eq=False)
class _Line:
    """One line that came.

    Attributes:
        text: The line.
        verb: Its first word.
        size: Its bytes.
        waited: Whether it came before the line before it was answered.
        settled: Whether it needs no more attention (rule 4).
    """

    text: str
    verb: str
    size: int
    waited: bool
    settled: bool = False


class Session:
    """The server's side of one connection.

    Threads: belongs to the event loop's thread.

    Args:
        server: Whose it is.
        wire: The connection.

    Attributes:
        id: Names the session in challenges.
        challenge: What a login must sign, once asked for.
        enrollment_id: The enrolment it logged in with, if any.
        json_errors: Whether errors are answered as JSON.
        enrol_requests: How often it asked for an enrolment.
    """

    def __init__(self, server: Home, wire: Wire) -> None:
        self.id = f"_{uuid.uuid4()}"
        self.challenge: Optional[str] = None
        self.enrollment_id: Optional[str] = None
        self.json_errors = False
        self.enrol_requests = 0
        self._server = server
        self._wire = wire
        self._codec = Connection(Role.SERVER, atsign=server.atsign)
        self._pattern: Optional[re.Pattern[str]] = None  # what a monitor listens to
        self._hears_own = False
        self._waiting: deque[_Line] = deque()
        self._unsettled: list[_Line] = []
        self._working = False
        self._first_byte: Optional[float] = None
        self._bytes = 0
        self._closed = False

    @property
    def logged_in(self) -> bool:
        """Whether a login succeeded."""
        return self._codec.logged_in

    def log_in(self) -> None:
        """A login succeeded: the prompt changes."""
        self._codec.logged_in = True
        self._server.tally.logged_in()

    # --- what the wire calls

    def opened(self) -> None:
        """Greet, or refuse for want of room."""
        if self._server.admit(self):
            self._server.activity.spawn(self._greet())
        else:
            self._wire.write(_TOO_MANY)
            self.hang_up()

    async def _greet(self) -> None:
        await self._take_time(Work(login="tls"), asyncio.get_running_loop().time())
        self._wire.write(self._codec.prompt)

    def received(self, data: bytes, arrived: float) -> None:
        """Take in one packet."""
        if self._closed:
            return
        if self._first_byte is None:
            self._first_byte = arrived
        self._bytes += len(data)
        self._codec.receive_data(data)
        while (event := self._codec.next_event()) is not NEED_DATA:
            if isinstance(event, Oversized):
                self._wire.write(self._codec.answer(self._told(errors.BufferOverflow(_OVERFLOW))))
                self.hang_up()
                return
            if isinstance(event, Command):
                self._enqueue(event.line)

    def _enqueue(self, text: str) -> None:
        verb = service.first_word(text)
        line = _Line(text, verb, self._bytes, waited=bool(self._waiting) or self._working)
        self._server.tally.command(verb)
        if verb not in _NO_REQUEST:
            self._server.tally.request_began(self._first_byte or 0.0)
        self._first_byte, self._bytes = None, 0
        self._unsettled.append(line)
        self._waiting.append(line)
        if not self._working:
            self._working = True
            self._server.activity.spawn(self._work())

    def ended(self) -> None:
        """Forget the connection; what is being served is served to its end."""
        self._closed = True
        self._server.dismiss(self)
        for line in list(self._unsettled):
            self._settle(line)

    def _settle(self, line: _Line, at: Optional[float] = None) -> None:
        """Count a line as done with (rule 4)."""
        if line.settled:
            return
        line.settled = True
        self._unsettled.remove(line)
        if line.verb not in _NO_REQUEST:
            now = asyncio.get_running_loop().time()
            self._server.tally.request_ended(now if at is None else at)

    # --- one line after another

    async def _work(self) -> None:
        try:
            while self._waiting and not self._closed:
                await self._serve(self._waiting.popleft())
        finally:
            self._working = False

    async def _serve(self, line: _Line) -> None:
        began = asyncio.get_running_loop().time()
        plan, atsign = self._server.world.faults, self._server.atsign
        fault = plan.decide(line.verb, atsign)
        if line.waited and plan.happens("unheard", line.verb, atsign):
            fault = "unheard"
        if fault == "drop-before":
            self.cut()
            return
        if fault == "unheard":
            self._settle(line)
            return
        call = Call(self._server, self, fault)
        failure: Optional[errors.AtError] = None
        try:
            answer = await self._perform(call, line)
        except errors.AtError as error:
            answer, failure = self._told(error), error
        await self._take_time(call.work(line.size, len(answer or "")), began)
        await self._reply(line, fault, answer, failure)

    async def _perform(self, call: Call, line: _Line) -> Optional[str]:
        if self._server.paused:
            raise errors.ServerPaused("Server is temporarily paused")
        if call.fault in errors.AtError.by_code:
            raise errors.AtError.by_code[call.fault]("asked for by the fault plan")
        if call.fault == "full" and line.verb in ("update", "batch"):
            raise errors.StoreFull(NO_SPACE)
        return await service.perform(call, line.text)

    def _told(self, error: errors.AtError) -> str:
        self._server.tally.error(error.code)
        if isinstance(error, _WITH_COLON):
            return f"error:{error.code}:{error.message}"
        return errors.encode_error(error, logged_in=self.logged_in, as_json=self.json_errors)

    async def _reply(
        self, line: _Line, fault: str, answer: Optional[str], failure: Optional[errors.AtError]
    ) -> None:
        """Answer, as the fault of the line lets it."""
        if fault == "hang":
            return
        if fault == "drop-after":
            self.cut()
            return
        if fault == "pause":
            world = self._server.world
            await world.clock.sleep(world.faults.pause_seconds)
        if answer is None:
            self._settle(line)
            return
        if answer != service.GOODBYE:
            text = self._text(answer, fault, failure)
            self._wire.write(text, lambda at: self._settle(line, at))
        if answer == service.GOODBYE or (failure is not None and failure.closes_connection):
            self.hang_up()

    def _text(self, answer: str, fault: str, failure: Optional[errors.AtError]) -> bytes:
        if isinstance(failure, errors.InboundLimit):
            return _TOO_MANY
        return self._codec.answer(_GIBBERISH if fault == "garbage" else answer)

    async def _take_time(self, work: Work, began: float) -> None:
        """Wait out what the real server would take, our own work since ``began`` included."""
        seconds = self._server.seconds_for(work, began)
        if seconds > 0:
            await asyncio.sleep(seconds)

    # --- what others ask of it

    def hang_up(self) -> None:
        """Close the connection after what was written."""
        self._closed = True
        self._server.dismiss(self)
        self._wire.close()

    def cut(self) -> None:
        """Break the connection, as a crash or a bad network does."""
        self._closed = True
        self._server.dismiss(self)
        self._wire.abort()

    def listen(self, pattern: re.Pattern[str], older: list[Notice], *, own: bool) -> None:
        """Push notifications from now on, and these first."""
        self._pattern = pattern
        self._hears_own = own
        for notice in older:
            if self._wants(notice.key, notice.sender):
                self._push(notice.as_stored())

    def push(self, notice: Notice) -> None:
        """Send a monitor what it listens to."""
        if notice.kind == "self" and not self._hears_own:
            return
        if self._wants(notice.key, notice.sender):
            self._push(notice.as_live())

    def push_statistics(self, values: dict[str, object]) -> None:
        """Send a monitor the server's own notice, if its expression lets it through."""
        if self._wants(str(values["key"]), ""):
            self._push(values)

    def _wants(self, key: str, sender: str) -> bool:
        pattern = self._pattern
        return pattern is not None and bool(
            pattern.search(key) or (sender and pattern.search(sender.lstrip("@")))
        )

    def _push(self, values: dict[str, object]) -> None:
        if not self._closed:
            self._wire.write(self._codec.answer(f"notification: {compact(values)}", prompt=False))
