"""One command on its way through a server, and what the verbs may touch on that way.

The verbs know connection, server and surroundings only by the faces below, so that they can be
read, and tested, without sockets.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Optional, Protocol

from atxfer.atprotocol.atkey import AtKey
from atxfer.devserver.clock import ServerClock
from atxfer.devserver.costs import Work
from atxfer.devserver.counters import Tally
from atxfer.devserver.enrolment import Enrolments
from atxfer.devserver.faults import FaultPlan
from atxfer.devserver.keystore import KeyStore
from atxfer.devserver.notices import Notice, NoticeBook
from atxfer.devserver.records import Record


class Caller(Protocol):
    """The connection that a command came by.

    Attributes:
        id: Names the session in challenges.
        challenge: What a login must sign, once asked for.
        enrollment_id: The enrolment it logged in with, if any.
        json_errors: Whether errors are answered as JSON.
        enrol_requests: How often it asked for an enrolment.
    """

    id: str
    challenge: Optional[str]
    enrollment_id: Optional[str]
    json_errors: bool
    enrol_requests: int

    @property
    def logged_in(self) -> bool:
        """Whether a login succeeded."""
        ...

    def log_in(self) -> None:
        """A login succeeded: the prompt changes."""
        ...

    def listen(self, pattern: re.Pattern[str], older: list[Notice], *, own: bool) -> None:
        """Push notifications from now on, and these first."""
        ...

    def hang_up(self) -> None:
        """Close the connection."""
        ...


class Host(Protocol):
    """The atServer that a command came to.

    Attributes:
        atsign: Whose it is.
        keys: Its records.
        notices: Its notifications.
        enrolments: Its enrolments.
        tally: Its counters.
        contacts: The servers it has met: atSign, and whether with a handshake.
    """

    atsign: str
    keys: KeyStore
    notices: NoticeBook
    enrolments: Enrolments
    tally: Tally
    contacts: set[tuple[str, bool]]

    @property
    def world(self) -> Surroundings:
        """What it shares with other servers."""
        ...

    @property
    def running(self) -> bool:
        """Whether it can be reached."""
        ...

    @property
    def blocked(self) -> frozenset[str]:
        """The atSigns that its owner blocks."""
        ...

    @property
    def uptime_ms(self) -> int:
        """Milliseconds since its start."""
        ...

    @property
    def sessions(self) -> Collection[Caller]:
        """Its open connections."""
        ...

    def block(self, atsigns: frozenset[str]) -> None:
        """Block these atSigns, and no others."""
        ...

    def tell(self, key: AtKey, value: Optional[str]) -> None:
        """Notify the recipient of an update; with None, of its metadata alone."""
        ...

    def tell_deleted(self, key: AtKey) -> None:
        """Notify the recipient that a record is gone."""
        ...

    def send(self, notice: Notice) -> None:
        """Send a notification."""
        ...

    def receive(self, notice: Notice) -> None:
        """Take in a notification of another server."""
        ...


class Surroundings(Protocol):
    """What all servers of one development server share."""

    clock: ServerClock
    rng: random.Random

    @property
    def faults(self) -> FaultPlan:
        """What goes wrong."""
        ...

    def find(self, atsign: str) -> Host:
        """Return an atSign's server, running or not.

        Raises:
            SecondaryNotFound: The atDirectory doesn't know the atSign.
        """
        ...

    def mixed_up(self, call: Call, owner: Host, record: Record) -> Record:
        """Return the record that a look-up through another server gets: mostly the right one."""
        ...


@dataclass
class Call:
    """One line, with all commands of a batch.

    Attributes:
        server: Whose server it came to.
        session: The connection it came by.
        fault: The word of the fault plan for it.
        values: Sizes of the values it stored.
        reads: How many records it read.
        deletes: How many it removed.
        scanned: How many keys it went through.
        login: ``from``, ``pkam`` or ``cram``, if it was one.
        first_contact: Whether another server had to be contacted for the first time.
    """

    server: Host
    session: Caller
    fault: str = "ok"
    values: list[int] = field(default_factory=list)
    reads: int = 0
    deletes: int = 0
    scanned: int = 0
    login: str = ""
    first_contact: bool = False

    def work(self, request_bytes: int, answer_bytes: int) -> Work:
        """Return what it asked of the server."""
        return Work(
            request_bytes=request_bytes,
            answer_bytes=answer_bytes,
            values=tuple(self.values),
            reads=self.reads,
            deletes=self.deletes,
            scanned=self.scanned,
            login=self.login,
            first_contact=self.first_contact,
        )
