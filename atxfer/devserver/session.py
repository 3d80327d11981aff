"""One connection to an atServer by the line protocol: framing, login state, answers, pushes.

What happens to a line before and after it is answered is in :mod:`atxfer.devserver.turns`.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Optional, Protocol

from atxfer.atprotocol import errors
from atxfer.atprotocol.codec import Connection, Role
from atxfer.atprotocol.events import NEED_DATA, Command, Oversized
from atxfer.devserver import service
from atxfer.devserver.call import Call
from atxfer.devserver.costs import Work
from atxfer.devserver.notices import Notice
from atxfer.devserver.reading import compact
from atxfer.devserver.turns import House, Reply, Turn, Turns
from atxfer.devserver.wire import Wire
from atxfer.devserver.writing import NO_SPACE

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


class Home(House, Protocol):
    """What a session needs of its server."""

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
        self._turns: Turns[str] = Turns(server, wire, self)

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
        await self._turns.take_time(Work(login="tls"), asyncio.get_running_loop().time())
        self._wire.write(self._codec.prompt)

    def received(self, data: bytes, arrived: float) -> None:
        """Take in one packet."""
        if self._turns.closed:
            return
        self._turns.heard(len(data), arrived)
        self._codec.receive_data(data)
        while (event := self._codec.next_event()) is not NEED_DATA:
            if isinstance(event, Oversized):
                self._wire.write(self._codec.answer(self._told(errors.BufferOverflow(_OVERFLOW))))
                self.hang_up()
                return
            if isinstance(event, Command):
                self._turns.add(event.line, service.first_word(event.line))

    def ended(self) -> None:
        """Forget the connection."""
        self._server.dismiss(self)
        self._turns.ended()

    # --- one line

    async def reply(self, turn: Turn[str], fault: str) -> Reply:
        """Do what a line asks."""
        call = Call(self._server, self, fault)
        failure: Optional[errors.AtError] = None
        try:
            answer = await self._perform(call, turn)
        except errors.AtError as error:
            answer, failure = self._told(error), error
        work = call.work(turn.size, len(answer or ""))
        if answer is None:
            return Reply(None, work)
        if answer == service.GOODBYE:
            return Reply(None, work, closes=True)
        closes = failure is not None and failure.closes_connection
        return Reply(self._text(answer, fault, failure), work, closes)

    async def _perform(self, call: Call, turn: Turn[str]) -> Optional[str]:
        if self._server.paused:
            raise errors.ServerPaused("Server is temporarily paused")
        if call.fault in errors.AtError.by_code:
            raise errors.AtError.by_code[call.fault]("asked for by the fault plan")
        if call.fault == "full" and turn.verb in ("update", "batch"):
            raise errors.StoreFull(NO_SPACE)
        return await service.perform(call, turn.what)

    def _told(self, error: errors.AtError) -> str:
        self._server.tally.error(error.code)
        if isinstance(error, _WITH_COLON):
            return f"error:{error.code}:{error.message}"
        return errors.encode_error(error, logged_in=self.logged_in, as_json=self.json_errors)

    def _text(self, answer: str, fault: str, failure: Optional[errors.AtError]) -> bytes:
        if isinstance(failure, errors.InboundLimit):
            return _TOO_MANY
        return self._codec.answer(_GIBBERISH if fault == "garbage" else answer)

    # --- what others ask of it

    def hang_up(self) -> None:
        """Close the connection after what was written."""
        self._turns.closed = True
        self._server.dismiss(self)
        self._wire.close()

    def cut(self) -> None:
        """Break the connection, as a crash or a bad network does."""
        self._turns.closed = True
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
        if not self._turns.closed:
            self._wire.write(self._codec.answer(f"notification: {compact(values)}", prompt=False))
