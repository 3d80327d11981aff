"""One connection to an atServer: a stream, a codec, and a login; one question at a time.

No pipelining: of lines that are sent before an answer, some are never answered (facts §2).
"""

from __future__ import annotations

import ssl
from typing import Callable, Optional, Protocol, Union

from atxfer._net.address import Address
from atxfer._net.stream import READ_SIZE, Stream, connect, interruptible
from atxfer.atprotocol.codec import Connection, Role
from atxfer.atprotocol.errors import RemoteProtocolError, Unauthenticated, error_for
from atxfer.atprotocol.events import Answer, Closed, Event, Failure, NeedData, Notification
from atxfer.atprotocol.verbs import From, Pkam, Verb
from atxfer.errors import ConnectFailed, ConnectionLost, LoginRefused, RequestTimeout
from atxfer.waiting import Deadline, Wait

__all__ = ["AtConnection", "Login"]


class Login(Protocol):
    """What proves who we are; the keys of an atSign do."""

    @property
    def atsign(self) -> str:
        """Whose keys these are, with ``@`` and in lower case."""
        ...

    @property
    def enrollment_id(self) -> Optional[str]:
        """The enrolment they belong to; None if they are the atSign's first keys."""
        ...

    def sign(self, challenge: str) -> str:
        """Return the base64 signature of a challenge: RSASSA-PKCS1-v1_5 with SHA-256 (facts §4)."""
        ...


class AtConnection:
    """A connection to one atServer.

    Make one with :meth:`open`. An answer is either there as a whole or the connection is of no use
    any more: after a lost answer, nobody could tell what the next bytes belong to.

    Args:
        stream: A fresh one; it is closed with the connection.
        address: Where it leads, for errors.
        atsign: Whose server it is.

    Threads: one at a time asks; ``abort`` may come from any other.
    """

    def __init__(self, stream: Stream, address: Address, atsign: str) -> None:
        self.address = address
        self.atsign = atsign
        self._stream = stream
        self._codec = Connection(Role.CLIENT, atsign=atsign)
        self._usable = True
        self._heard = False
        self._at_end = False

    @classmethod
    def open(
        cls,
        address: Address,
        context: ssl.SSLContext,
        *,
        atsign: str,
        login: Optional[Login],
        wait: Wait,
        connect_timeout: Optional[float],
        request_timeout: Optional[float],
    ) -> AtConnection:
        """Connect to an atServer, and log in if there are keys: four round trips.

        Args:
            address: As the directory told it.
            context: From :func:`atxfer._net.stream.tls_context`.
            atsign: Whose server it is.
            login: Its keys; None to read what is public.
            wait: Cancellation and deadline of the transfer this is for.
            connect_timeout: Seconds for name look-up, TCP, proxy and TLS.
            request_timeout: Seconds for each of the two requests of a login.

        Raises:
            ConnectFailed, CertificateRejected, ProxyRefused: As :func:`connect` does.
            LoginRefused: The server doesn't accept the keys, or they are another atSign's.
            TransferError: As :meth:`ask` does.
        """
        if login is not None and login.atsign != atsign:
            raise LoginRefused(f"the keys of {login.atsign} don't open the server of {atsign}")
        stream = connect(address, context, wait=wait, timeout=connect_timeout)
        connection = cls(stream, address, atsign)
        try:
            if login is not None:
                connection.log_in(login, wait, request_timeout)
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def logged_in(self) -> bool:
        """Whether the server knows who we are."""
        return self._codec.logged_in

    @property
    def usable(self) -> bool:
        """Whether it may be asked (again)."""
        return self._usable

    @property
    def is_stale(self) -> bool:
        """Whether it can't be used again; to be asked while it is idle.

        The server says nothing on its own but its greeting: after that, what there is to read is
        the end, or out of turn.
        """
        return not self._usable or (self._heard and self._stream.is_readable())

    def ask(self, verb: Verb, wait: Wait, timeout: Optional[float]) -> Answer:
        """Send one request and return its answer.

        Args:
            verb: What to ask.
            wait: Cancellation and deadline of the transfer this is for.
            timeout: Seconds until the whole answer must be there. None waits on.

        Raises:
            AtError: The server refused or failed, as its code says.
            RequestTimeout: The answer was not there in time.
            ConnectionLost: The connection ended before the answer.
            ProtocolViolation: What came is no answer.
            Cancelled, DeadlineExceeded: As :meth:`Wait.check` does.
        """
        if not self._usable:
            raise ConnectionLost(f"the connection to {self.address} has ended")
        line = self._codec.send(verb)
        self._usable = False  # until the answer is there
        with interruptible(self._stream, wait):
            event = self._exchange(line, wait.deadline.capped(timeout))
        if isinstance(event, Failure):
            error = error_for(event.code, event.message)
            self._usable = not (error.closes_connection or self._at_end)
            raise error
        if not isinstance(event, Answer):
            raise RemoteProtocolError(f"{self.address} answered out of turn")
        self._usable = not self._at_end
        return event

    # --- what the server says on its own

    def watch(self, verb: Verb, wait: Wait, timeout: Optional[float]) -> None:
        """Send a request that no answer follows, but what the server pushes: see :meth:`heard`.

        From then on the connection serves nothing else.

        Args:
            verb: ``monitor``.
            wait: Cancellation and deadline of the transfer this is for.
            timeout: Seconds until the line must be sent. None waits on.

        Raises:
            RequestTimeout, ConnectionLost, Cancelled, DeadlineExceeded: As :meth:`ask` does.
        """
        line = self._codec.send(verb)
        self._usable = False
        with interruptible(self._stream, wait):
            self._stream.write(line, wait.deadline.capped(timeout))

    def heard(self, wait: Wait, seconds: float) -> Optional[Notification]:
        """Return the next thing the server pushes; None if none has come after so many seconds.

        Raises:
            AtError: The server refused to push, or says why it ends the connection.
            ConnectionLost: The connection ended.
            ProtocolViolation: What came is no notification.
            Cancelled, DeadlineExceeded: As :meth:`Wait.check` does.
        """
        deadline = wait.deadline.capped(seconds)
        event = self._codec.next_event()
        with interruptible(self._stream, wait):
            while isinstance(event, NeedData):
                try:
                    data = self._stream.read(READ_SIZE, deadline)
                except RequestTimeout:
                    wait.check()
                    return None
                event = self._told_by(data)
            if isinstance(event, Closed):
                raise ConnectionLost(f"{self.address} ended the connection")
        if isinstance(event, Failure):
            raise error_for(event.code, event.message)
        if not isinstance(event, Notification):
            raise RemoteProtocolError(f"{self.address} answered out of turn")
        return event

    @property
    def is_readable(self) -> bool:
        """Whether :meth:`heard` has something to read at once, be it the end."""
        return self._stream.is_readable()

    def log_in(self, login: Login, wait: Wait, timeout: Optional[float]) -> None:
        """Prove who we are (facts §4).

        Raises:
            LoginRefused: The server doesn't accept the keys; the classes of
                :mod:`atxfer.atprotocol.errors` say why.
            ConnectFailed: It is another atSign's server.
            TransferError: As :meth:`ask` does.
        """

        def signed(challenge: str) -> Pkam:
            return Pkam(
                login.sign(challenge),
                enrollment_id=login.enrollment_id,
                signing_algo="rsa2048",
                hashing_algo="sha256",
            )

        self.prove(signed, wait, timeout)

    def prove(self, proof: Callable[[str], Verb], wait: Wait, timeout: Optional[float]) -> None:
        """Prove who we are by whatever verb answers the server's challenge.

        Raises:
            TransferError: As :meth:`log_in` does.
        """
        self.ask(proof(self._challenge(wait, timeout)), wait, timeout)
        if not self.logged_in:
            self._usable = False
            raise RemoteProtocolError(f"{self.address} answered a login with something else")

    def _challenge(self, wait: Wait, timeout: Optional[float]) -> str:
        """Return what is to be signed.

        Another atSign's server takes us for a server: it asks for our certificate, or for a proof
        under our own address. Then the port has changed hands.
        """
        try:
            challenge = self.ask(From(self.atsign), wait, timeout).data
        except Unauthenticated as error:
            raise self._is_another_server() from error
        if challenge.startswith("proof:"):
            raise self._is_another_server()
        return challenge

    def _is_another_server(self) -> ConnectFailed:
        return ConnectFailed(
            f"the server at {self.address} is not that of {self.atsign}",
            remedy="It may be moving: try again; `atxfer doctor` shows what the directory tells.",
        )

    def await_greeting(self, wait: Wait, timeout: Optional[float]) -> None:
        """Wait for the server's first prompt.

        Not needed before :meth:`ask`, but to keep a connection idle: it must have nothing to read.

        Raises:
            TransferError: As :meth:`ask` does.
        """
        self._usable = False
        with interruptible(self._stream, wait):
            event = self._told_by(self._stream.read(READ_SIZE, wait.deadline.capped(timeout)))
        if isinstance(event, Failure):
            raise error_for(event.code, event.message)
        if isinstance(event, Closed):
            raise self._ended()
        self._usable = True

    def abort(self) -> None:
        """Wake whoever waits for an answer, by ending the connection. Never raises."""
        self._stream.abort()

    def close(self) -> None:
        """End the connection, without waiting for anything. Never raises."""
        self._usable = False
        self._stream.close()

    def drop(self) -> None:
        """Release the socket in a forked child; the parent's connection goes on."""
        self._usable = False
        self._stream.drop()

    def _exchange(self, line: bytes, deadline: Deadline) -> Event:
        """Send a line and return what comes back.

        A server that hangs up may say why before it does (AT0005, AT0012, AT0024), and a reset that
        our own line provokes may follow. So what was said is read to its end, whatever fails.
        """
        lost: Optional[ConnectionLost] = None
        try:
            self._stream.write(line, deadline)
        except ConnectionLost as error:
            lost = error
        while True:
            try:
                data = self._stream.read(READ_SIZE, deadline)
            except ConnectionLost as error:
                lost, data = lost or error, b""
            event = self._told_by(data)
            if isinstance(event, Closed):
                raise lost or self._ended()
            if not isinstance(event, NeedData):
                return event

    def _told_by(self, data: bytes) -> Union[Event, NeedData]:
        """Return what the codec makes of the bytes of one read."""
        self._heard = True
        self._at_end = not data
        self._codec.receive_data(data)
        return self._codec.next_event()

    def _ended(self) -> ConnectionLost:
        return ConnectionLost(f"{self.address} ended the connection instead of answering")

    def __repr__(self) -> str:
        state = "logged in" if self.logged_in else "open"
        return f"<AtConnection {self.address} {state if self._usable else 'ended'}>"
