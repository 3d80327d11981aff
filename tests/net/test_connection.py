"""One question at a time: answers, failures, logins, and when a connection is over."""

from __future__ import annotations

import socket
import ssl
from typing import Optional, Union

import pytest

from atxfer._net.address import Address
from atxfer._net.connection import AtConnection
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import (
    BufferOverflow,
    EnrollmentPending,
    EnrollmentRevoked,
    InboundLimit,
    KeyNotFound,
    NotActivated,
    Unauthenticated,
)
from atxfer.atprotocol.verbs import Llookup, Noop, Update
from atxfer.errors import (
    Cancelled,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    LoginRefused,
    ProtocolViolation,
    RequestTimeout,
    RequestTooLarge,
)
from atxfer.waiting import Deadline, Wait
from tests.support.clock import FakeClock
from tests.support.logins import FakeLogin
from tests.support.peers import Peer, read_until
from tests.support.streams import ScriptedStream

ADDRESS = Address("alice.example", 6464)
KEY = AtKey.self_("x", "@alice")
CHALLENGE = b"@data:_5b52@alice:886b\n@"
SUCCESS = b"data:success\n@alice@"
PATIENCE = 30.0


def over(*script: Union[bytes, Exception]) -> tuple[AtConnection, ScriptedStream]:
    """Return a connection that will read these bytes, and its stream."""
    stream = ScriptedStream(*script)
    return AtConnection(stream, ADDRESS, "@alice"), stream


def logged_in(
    *script: Union[bytes, Exception], login: Optional[FakeLogin] = None
) -> tuple[AtConnection, ScriptedStream]:
    """Return a connection that has read a login's answers."""
    connection, stream = over(CHALLENGE, SUCCESS, *script)
    connection.log_in(login or FakeLogin(), Wait(), None)
    return connection, stream


def ask(connection: AtConnection) -> str:
    """Ask for a record."""
    return connection.ask(Llookup(KEY), Wait(), None).data


# --- answers


def test_answer() -> None:
    """An answer may come in any pieces; the connection can be asked again."""
    connection, stream = over(b"@da", b"ta:ok", b"\n", b"@", b"data:again\n@")
    assert connection.ask(Noop(), Wait(), None).data == "ok"
    assert connection.ask(Noop(), Wait(), None).data == "again"
    assert stream.written == [b"noop:0\n", b"noop:0\n"]
    assert connection.usable


def test_failure_leaves_it_open() -> None:
    """A failure that the server goes on after is a typed error, and no more."""
    connection, _ = logged_in(
        b"error:AT0015-key not found : x.atxfer@alice does not exist in keystore\n@alice@",
        b"data:v\n@alice@",
    )
    with pytest.raises(KeyNotFound, match="AT0015"):
        ask(connection)
    assert connection.usable
    assert ask(connection) == "v"


@pytest.mark.parametrize("end", [b"", ConnectionLost("reset")])
def test_failure_that_closes(end: Union[bytes, Exception]) -> None:
    """After a code that the server closes with, by whatever end, the connection is of no use."""
    connection, _ = over(b"error:AT0012-Inbound connection limit exceeded\n", end)
    with pytest.raises(InboundLimit):
        connection.ask(Noop(), Wait(), None)
    assert not connection.usable


def test_failure_at_the_end() -> None:
    """Nor is it where a failure of any other code came with the end."""
    connection, _ = over(b"@error:AT0001-Server exception\n", b"")
    with pytest.raises(Exception, match="AT0001"):
        connection.ask(Noop(), Wait(), None)
    assert not connection.usable


def test_last_words() -> None:
    """When the server hangs up while we write, what it said before is what counts."""
    connection, stream = over(b"@error:AT0005-Buffer limit exceeded\n", b"")
    stream.write_error = ConnectionLost("broken pipe")
    with pytest.raises(BufferOverflow):
        connection.ask(Noop(), Wait(), None)


def test_no_last_words() -> None:
    """When it said nothing, the connection was lost."""
    connection, stream = over()
    stream.write_error = ConnectionLost("broken pipe")
    with pytest.raises(ConnectionLost, match="broken pipe"):
        connection.ask(Noop(), Wait(), None)


# --- the end of a connection


@pytest.mark.parametrize("script", [(), (b"@",), (b"@data:hal",), (b"@data:v\n",)])
def test_ends_before_the_answer(script: tuple[bytes, ...]) -> None:
    """A connection that ends before the whole answer, prompt included, is lost."""
    connection, _ = over(*script)
    with pytest.raises(ConnectionLost, match=r"alice\.example:6464 ended"):
        connection.ask(Noop(), Wait(), None)
    assert not connection.usable


@pytest.mark.parametrize("error", [ConnectionLost("reset"), RequestTimeout("late")])
def test_broken(error: Exception) -> None:
    """A lost or late answer ends the connection: what came later would be out of turn."""
    connection, _ = over(b"@", error)
    with pytest.raises(type(error)):
        connection.ask(Noop(), Wait(), None)
    with pytest.raises(ConnectionLost, match="has ended"):
        connection.ask(Noop(), Wait(), None)


@pytest.mark.parametrize(
    "junk", [b"HTTP/1.1 400 Bad Request\r\n", b"@data:v\nmore", b"@notification: {}\n", b"@\xff\n"]
)
def test_no_answer(junk: bytes) -> None:
    """What is no answer ends the connection."""
    connection, _ = over(junk)
    with pytest.raises(ProtocolViolation):
        connection.ask(Noop(), Wait(), None)
    assert not connection.usable


def test_stale() -> None:
    """An idle connection with something to read is stale; so is one that was closed."""
    connection, stream = logged_in()
    assert not connection.is_stale
    stream.readable = True
    assert connection.is_stale
    stream.readable = False
    connection.close()
    assert connection.is_stale
    assert stream.calls == ["close"]


def test_drop() -> None:
    """In a forked child the socket is released, and nothing is said to the server."""
    connection, stream = logged_in()
    connection.drop()
    assert not connection.usable
    assert stream.calls == ["drop"]


def test_too_large_for_the_server() -> None:
    """A line that the server's buffer can't hold isn't sent, and harms nothing."""
    connection, stream = logged_in(b"data:v\n@alice@")
    with pytest.raises(RequestTooLarge):
        connection.ask(Update(KEY, "x" * 10_240_000), Wait(), None)
    assert len(stream.written) == 2
    assert ask(connection) == "v"


def test_shows_no_content() -> None:
    """A connection shows where it leads and its state."""
    connection, _ = logged_in()
    assert repr(connection) == "<AtConnection alice.example:6464 logged in>"


# --- time and cancellation


def test_one_deadline() -> None:
    """All pieces of an answer share one deadline: the request's, if the transfer's is later."""
    clock = FakeClock()
    wait = Wait(Deadline.after(60.0, clock), clock=clock)
    connection, stream = over(b"@da", b"ta:ok", b"\n@")
    connection.ask(Noop(), wait, 30.0)
    assert [deadline.at for deadline in stream.deadlines] == [clock.now + 30.0] * 4


def test_cancelled_before() -> None:
    """A cancelled transfer asks nothing more."""
    connection, stream = over(b"@data:ok\n@")
    wait = Wait()
    wait.cancel()
    with pytest.raises(Cancelled):
        connection.ask(Noop(), wait, None)
    assert stream.written == []
    assert not connection.usable


def test_cancelled_while_waiting() -> None:
    """Cancellation aborts the stream, and what that looks like is told as cancellation."""
    wait = Wait()

    class Hanging(ScriptedStream):
        def read(self, max_bytes: int, deadline: Deadline) -> bytes:
            wait.cancel("enough")
            return b""

    stream = Hanging()
    with pytest.raises(Cancelled, match="enough"):
        AtConnection(stream, ADDRESS, "@alice").ask(Noop(), wait, None)
    assert stream.calls == ["abort"]


def test_transfer_deadline() -> None:
    """The transfer's deadline is told as such."""
    clock = FakeClock()
    wait = Wait(Deadline.after(5.0, clock), clock=clock)

    class Slow(ScriptedStream):
        def read(self, max_bytes: int, deadline: Deadline) -> bytes:
            clock.now += 5.0
            raise RequestTimeout("late")

    with pytest.raises(DeadlineExceeded):
        AtConnection(Slow(), ADDRESS, "@alice").ask(Noop(), wait, None)


# --- login


def test_login() -> None:
    """The challenge is what follows data:, and the algorithms are named (facts §4)."""
    connection, stream = logged_in()
    assert stream.written == [
        b"from:@alice\n",
        b"pkam:signingAlgo:rsa2048:hashingAlgo:sha256:signed-_5b52@alice:886b\n",
    ]
    assert connection.logged_in


def test_login_by_enrolment() -> None:
    """The enrolment is named, if the keys have one."""
    _, stream = logged_in(login=FakeLogin(enrollment_id="5093f246-4ea3"))
    assert b":hashingAlgo:sha256:enrollmentId:5093f246-4ea3:signed-" in stream.written[1]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"error:AT0401-Exception: pkam authentication failed\n@", Unauthenticated),
        (b"error:AT0026:enrollment_id: 5093 is pending\n@", EnrollmentPending),
        (b"error:AT0027:enrollment_id: 5093 is revoked\n@", EnrollmentRevoked),
        (
            b"error:AT0015-Exception: privatekey:at_pkam_publickey does not exist in keystore\n@",
            NotActivated,
        ),
    ],
)
def test_login_refused(answer: bytes, kind: type[LoginRefused]) -> None:
    """A refused login is typed by its code, and tells what to do."""
    connection, _ = over(CHALLENGE, answer)
    with pytest.raises(kind) as caught:
        connection.log_in(FakeLogin(), Wait(), None)
    assert isinstance(caught.value, LoginRefused)
    assert caught.value.remedy
    assert not connection.logged_in


@pytest.mark.parametrize(
    "answer",
    [
        b"@data:proof:_5b52@bob:886b\n@",
        b"@error:AT0401-Exception: Certificate Verification Failed\n@",  # as 3.0.52 answers
    ],
)
def test_login_at_another_server(answer: bytes) -> None:
    """A server that takes us for a stranger is another atSign's: the right one has moved."""
    connection, stream = over(answer)
    with pytest.raises(ConnectFailed, match="is not that of @alice"):
        connection.log_in(FakeLogin(), Wait(), None)
    assert len(stream.written) == 1


def test_login_without_success() -> None:
    """An answer to a login that is neither success nor failure is none."""
    connection, _ = over(CHALLENGE, b"data:perhaps\n@")
    with pytest.raises(ProtocolViolation, match="answered a login"):
        connection.log_in(FakeLogin(), Wait(), None)


# --- over sockets


def open_at(peer: Peer, context: ssl.SSLContext, login: Optional[FakeLogin]) -> AtConnection:
    """Open a connection to a scripted server."""
    return AtConnection.open(
        peer.address,
        context,
        atsign="@alice",
        login=login,
        wait=Wait(),
        connect_timeout=PATIENCE,
        request_timeout=PATIENCE,
    )


def test_opens_without_waiting_for_the_prompt(
    server_context: ssl.SSLContext, context: ssl.SSLContext
) -> None:
    """The first line is sent at once, which saves a round trip: a silent server hears it."""

    def late(sock: socket.socket) -> None:
        assert read_until(sock, b"\n") == b"from:@alice\n"
        sock.sendall(CHALLENGE)
        assert read_until(sock, b"\n").startswith(b"pkam:")
        sock.sendall(SUCCESS)

    with Peer(late, server_context) as peer:
        connection = open_at(peer, context, FakeLogin())
        assert connection.logged_in
        connection.close()


def test_keys_of_another(server_context: ssl.SSLContext, context: ssl.SSLContext) -> None:
    """Keys of another atSign are refused before anything is sent."""
    refused = pytest.raises(LoginRefused, match="keys of @bob don't open the server of @alice")
    with Peer(lambda sock: None, server_context) as peer, refused:
        open_at(peer, context, FakeLogin("@bob"))


def test_refused_at_the_door(server_context: ssl.SSLContext, context: ssl.SSLContext) -> None:
    """A server that has too many connections says so without a prompt, and hangs up (facts §2)."""

    def refuse(sock: socket.socket) -> None:
        sock.sendall(b"error:AT0012-Inbound connection limit exceeded\n")

    with Peer(refuse, server_context) as peer, pytest.raises(InboundLimit):
        open_at(peer, context, FakeLogin())


def test_hangs_up_on_a_large_request(
    server_context: ssl.SSLContext, context: ssl.SSLContext
) -> None:
    """A server that answers before it has read all, and hangs up, is heard."""

    def overflow(sock: socket.socket) -> None:
        sock.recv(1)
        sock.sendall(b"@error:AT0005-Buffer limit exceeded\n")

    with Peer(overflow, server_context) as peer:
        connection = open_at(peer, context, None)
        with pytest.raises(BufferOverflow):
            connection.ask(Update(KEY, "x" * 8_000_000), Wait(), PATIENCE)
        connection.close()


def test_greeting(server_context: ssl.SSLContext, context: ssl.SSLContext) -> None:
    """Once the greeting was read, a connection that is kept idle isn't taken for a stale one."""

    def greet(sock: socket.socket) -> None:
        sock.sendall(b"@")
        read_until(sock, b"\n")
        sock.sendall(b"data:ok\n@")

    with Peer(greet, server_context) as peer:
        connection = open_at(peer, context, None)
        connection.await_greeting(Wait(), PATIENCE)
        assert not connection.is_stale
        assert connection.ask(Noop(), Wait(), PATIENCE).data == "ok"
        connection.close()


@pytest.mark.parametrize(
    ("said", "kind"),
    [(b"", ConnectionLost), (b"HTTP/1.1 400 Bad\r\n", ProtocolViolation)],
)
def test_no_greeting(said: bytes, kind: type[Exception]) -> None:
    """What isn't greeted is no connection to keep."""
    connection, _ = over(*([said] if said else []))
    with pytest.raises(kind):
        connection.await_greeting(Wait(), None)
    assert not connection.usable
