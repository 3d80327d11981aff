"""What a server pushes: read whatever way it comes, and a silence noticed."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any, Optional, Union

import pytest

from atxfer._net.address import Address
from atxfer._net.connection import AtConnection
from atxfer._net.monitor import SILENCE, Monitor, Notice
from atxfer._net.pool import ConnectionPool
from atxfer.atprotocol.errors import InvalidSyntax, RemoteProtocolError
from atxfer.atprotocol.verbs import Monitor as MonitorVerb
from atxfer.config import TransferConfig
from atxfer.errors import Cancelled, ConnectionLost, RequestTimeout
from atxfer.waiting import Deadline, Wait
from tests.net.test_pool import Told
from tests.support.clock import FakeClock
from tests.support.logins import FakeLogin
from tests.support.peers import Peer, read_until
from tests.support.streams import ScriptedStream
from tests.support.until import until

REGEX = r"\.files\.atxfer@"
PATIENCE = 30.0


def line(key: str = "@bob:x.files.atxfer@alice", **values: Any) -> bytes:
    """Return a notification as it is on the wire."""
    told = {"id": "1", "key": key, "value": "v", "operation": "update", "epochMillis": 5, **values}
    return f"notification: {json.dumps(told)}\n".encode()


def notice(key: str = "@bob:x.files.atxfer@alice") -> Notice:
    """Return what is read of it."""
    return Notice(key, "update", "v", 5)


class Slow(ScriptedStream):
    """A stream whose empty steps let all of a read's time pass."""

    def __init__(self, clock: FakeClock, *script: Union[bytes, Exception]) -> None:
        super().__init__(*script)
        self._clock = clock

    def read(self, max_bytes: int, deadline: Deadline) -> bytes:
        """Return the script's next; for nothing, time passes."""
        data = super().read(max_bytes, deadline)
        if data == b"-":
            self._clock.now += deadline.remaining() or 0.0
            raise RequestTimeout("nothing")
        return data


class Taken:
    """A pool that has lent one connection."""

    def __init__(self) -> None:
        self.ended: list[AtConnection] = []

    def end(self, connection: AtConnection) -> None:
        """Take it back."""
        self.ended.append(connection)


def monitor_on(stream: ScriptedStream) -> Monitor:
    """Return a monitor whose request has been sent."""
    connection = AtConnection(stream, Address("localhost", 1), "@bob")
    connection.watch(MonitorVerb(), Wait(), None)
    return Monitor(Taken(), connection)  # type: ignore[arg-type]


# --- reading


def test_a_notification_is_read() -> None:
    """Key, operation, value and time."""
    told = line(operation="delete", value=None)
    (heard,) = monitor_on(ScriptedStream(b"@" + told)).hear(Wait(), 1.0)
    assert heard == Notice("@bob:x.files.atxfer@alice", "delete", None, 5)
    assert not heard.is_of_the_server


def test_the_server_tells_of_itself() -> None:
    """Its value is the number of the last change."""
    told = line("statsNotification.@bob", value="42", metadata=None)
    (heard,) = monitor_on(ScriptedStream(b"@" + told)).hear(Wait(), 1.0)
    assert heard.is_of_the_server
    assert heard.value == "42"


def test_byte_by_byte() -> None:
    """However the network cuts it."""
    told = b"@" + line("a") + line("b")
    stream = ScriptedStream(*(bytes([byte]) for byte in told))
    assert monitor_on(stream).hear(Wait(), 1.0) == [notice("a"), notice("b")]


def test_what_is_there_comes_at_once() -> None:
    """Several in one packet, and what is readable behind it."""
    stream = ScriptedStream(b"@" + line("a") + line("b"), line("c") + line("d")[:9], line("d")[9:])
    stream.readable = True
    monitor = monitor_on(stream)
    assert monitor.has_news
    heard = monitor.hear(Wait(), 1.0)
    assert [n.key for n in heard] == ["a", "b", "c", "d"]
    with pytest.raises(ConnectionLost):
        monitor.hear(Wait(), 1.0)


def test_a_great_many_are_handed_over_in_parts() -> None:
    """Memory is bounded, and nothing lost."""
    keys = [str(number) for number in range(1001)]
    monitor = monitor_on(ScriptedStream(b"@" + b"".join(line(key) for key in keys)))
    first = monitor.hear(Wait(), 1.0)
    assert len(first) == 1000
    assert monitor.has_news
    assert [n.key for n in (*first, *monitor.hear(Wait(), 1.0))] == keys


@pytest.mark.parametrize(
    "text",
    [b"no json", b"[]", b"{}", b'{"key":5}', b'{"key":"k","value":5}', b'"text"'],
)
def test_what_can_t_be_read_is_left_out(text: bytes) -> None:
    """Other programs may send notifications of any form."""
    stream = ScriptedStream(b"@notification: " + text + b"\n" + line("a"))
    assert monitor_on(stream).hear(Wait(), 1.0) == [notice("a")]


def test_a_refusal_is_typed() -> None:
    """The server's words become an error as after any request."""
    stream = ScriptedStream(b"@", b"error:AT0003-Invalid syntax\n@")
    with pytest.raises(InvalidSyntax):
        monitor_on(stream).hear(Wait(), 1.0)


def test_an_answer_is_out_of_turn() -> None:
    """Nothing was asked that has one."""
    with pytest.raises(RemoteProtocolError):
        monitor_on(ScriptedStream(b"@data:ok\n@")).hear(Wait(), 1.0)


# --- silence


def test_nothing_for_the_time_asked_for() -> None:
    """The answer is an empty list; the connection goes on."""
    clock = FakeClock()
    monitor = monitor_on(Slow(clock, b"@", b"-", b"-", line("a")))
    wait = Wait(clock=clock)
    assert monitor.hear(wait, 10.0) == []
    assert monitor.hear(wait, 10.0) == []
    assert monitor.hear(wait, 10.0) == [notice("a")]


def test_a_silent_server_is_lost() -> None:
    """Three of its own notices have not come; a word in between begins the count anew."""
    clock = FakeClock()
    steps = [b"-", b"-", line("a"), b"-", b"-", b"-"]
    monitor = monitor_on(Slow(clock, b"@", *steps))
    wait = Wait(clock=clock)
    for _ in range(5):
        monitor.hear(wait, SILENCE / 3)
    with pytest.raises(ConnectionLost):
        monitor.hear(wait, SILENCE / 3)


def test_time_spent_elsewhere_is_no_silence() -> None:
    """What came while the loop's body ran waits in the socket."""
    clock = FakeClock()
    monitor = monitor_on(Slow(clock, b"@", b"-", b"-"))
    wait = Wait(clock=clock)
    monitor.hear(wait, 1.0)
    clock.now += 1000.0
    assert monitor.hear(wait, 1.0) == []


# --- the connection


class Pushing(Peer):
    """A server of @bob that tells a monitor what it is given to tell.

    Attributes:
        asked: Lines that came, without logins.
        logins: How many logins there were.
        gone: Set when a client that asked for a monitor has gone.
    """

    def __init__(self, context: ssl.SSLContext, *told: bytes) -> None:
        super().__init__(self._serve_lines, context)
        self.told = told
        self.asked: list[str] = []
        self.logins = 0
        self.gone = threading.Event()

    def _serve_lines(self, sock: socket.socket) -> None:
        sock.sendall(b"@")
        while text := read_until(sock, b"\n").decode():
            if text.startswith("from:"):
                sock.sendall(b"data:_1@bob:2\n@")
            elif text.startswith("pkam:"):
                self.logins += 1
                sock.sendall(b"data:success\n@bob@")
            else:
                self.asked.append(text.rstrip("\n"))
                for told in self.told:
                    sock.sendall(told)
        self.gone.set()


@pytest.fixture
def server(server_context: ssl.SSLContext) -> Iterator[Pushing]:
    """Run a server of @bob."""
    with Pushing(server_context, line("a")) as server:
        yield server


@pytest.fixture
def pool(server: Pushing, context: ssl.SSLContext) -> Iterator[ConnectionPool]:
    """Return connections to it."""
    pool = ConnectionPool(
        Told(server.address),
        "@bob",
        login=FakeLogin("@bob"),
        context=context,
        config=TransferConfig(max_concurrent_uploads=1),
    )
    yield pool
    pool.close()


def opened(pool: ConnectionPool, since_ms: Optional[int] = None) -> Monitor:
    """Return a monitor on a pool's server."""
    return Monitor.open(pool, REGEX, since_ms, Wait(), PATIENCE)


def test_it_asks_for_keys_and_for_signs_of_life(pool: ConnectionPool, server: Pushing) -> None:
    """Without colon or capital, which the server would fold; logged in once."""
    monitor = opened(pool)
    assert monitor.hear(Wait(), PATIENCE) == [notice("a")]
    assert server.asked == [r"monitor \.files\.atxfer@|^stats.otification\."]
    assert server.logins == 1
    monitor.close()
    server.gone.wait(PATIENCE)


def test_it_asks_for_what_came_since(pool: ConnectionPool, server: Pushing) -> None:
    """As the server's clock has it."""
    with contextlib.closing(opened(pool, 1234)) as monitor:
        monitor.hear(Wait(), PATIENCE)
    assert server.asked[0].startswith("monitor:1234 ")


def test_it_is_no_slot_for_requests(pool: ConnectionPool, server: Pushing) -> None:
    """The pool makes as many connections ready as without it, and gives this one to nobody."""
    monitor = opened(pool)
    pool.prepare(Wait(), 9)
    assert server.logins == 2
    monitor.close()
    monitor.close()  # may be called twice
    pool.prepare(Wait(), 9)
    assert server.logins == 2
    assert repr(pool) == "<ConnectionPool @bob 1 idle, 0 busy, 1 in all>"


def test_cancelling_wakes_it(pool: ConnectionPool, server: Pushing) -> None:
    """Whatever it waits for."""
    wait = Wait()
    with contextlib.closing(opened(pool)) as monitor:
        monitor.hear(wait, PATIENCE)
        threading.Timer(0.05, wait.cancel, ("closed",)).start()
        with pytest.raises(Cancelled, match="closed"):
            monitor.hear(wait, PATIENCE)


def test_closing_the_pool_ends_it(pool: ConnectionPool, server: Pushing) -> None:
    """No connection is left behind."""
    monitor = opened(pool)
    monitor.hear(Wait(), PATIENCE)
    pool.close()
    with pytest.raises(ConnectionLost):
        monitor.hear(Wait(), PATIENCE)
    monitor.close()
    until(server.gone.is_set)


def test_a_forked_child_leaves_it_to_the_parent(pool: ConnectionPool, server: Pushing) -> None:
    """Nothing is said on it, and it is no connection of the child's."""
    monitor = opened(pool)
    monitor.hear(Wait(), PATIENCE)
    pool.drop()
    with pytest.raises(ConnectionLost):
        monitor.hear(Wait(), PATIENCE)
    monitor.close()
    assert repr(pool) == "<ConnectionPool @bob 0 idle, 0 busy, 0 in all>"
