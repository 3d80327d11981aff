"""Connections made when needed, logged in once, kept, replaced, closed."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest

from atxfer._net.address import Address
from atxfer._net.directory import Directory
from atxfer._net.pool import ConnectionPool
from atxfer._net.stream import connect
from atxfer.atprotocol.errors import InboundLimit, Unauthenticated
from atxfer.atprotocol.verbs import Noop
from atxfer.config import TransferConfig
from atxfer.errors import (
    Cancelled,
    ConnectFailed,
    ConnectionLost,
    LoginRefused,
    TransferError,
)
from atxfer.waiting import Wait
from tests.support.clock import FakeClock
from tests.support.logins import FakeLogin
from tests.support.peers import Peer, read_until
from tests.support.until import until

PATIENCE = 30.0
ALICE = FakeLogin()
FORGOTTEN = b"error:AT0401-Exception: Command cannot be executed without auth\n"


class AtServer(Peer):
    """A server of @alice that logs everybody in and answers everything else as it is told.

    Attributes:
        connections: The sockets, as they came.
        ended: Those that the client has closed.
        logins: How many logins succeeded.
        busy: Set when a command has come.
        reply: What it answers to commands; None to hang up.
        gate: It answers commands when this is set.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(self._serve_lines, context)
        self.connections: list[socket.socket] = []
        self.ended: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self.logins = 0
        self.reply: Callable[[], Optional[bytes]] = lambda: b"data:ok\n"
        self.busy = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def _serve_lines(self, sock: socket.socket) -> None:
        self.connections.append(sock)
        prompt = b"@"
        sock.sendall(prompt)
        while line := read_until(sock, b"\n"):
            reply: Optional[bytes] = b"data:success\n"
            if line.startswith(b"from:"):
                reply = b"data:_1@alice:2\n"
            elif line.startswith(b"pkam:"):
                self.logins += 1
                prompt = b"@alice@"
            else:
                self.busy.set()
                self.gate.wait(PATIENCE)
                reply = self.reply()
            if reply is None:
                return
            sock.sendall(reply + prompt)
        self.ended.put(sock)


class Told(Directory):
    """A directory that knows without asking.

    Attributes:
        addresses: The answers to come; the last one stays.
        asked: How often it had to be asked.
    """

    def __init__(self, *addresses: Address) -> None:
        self.addresses = list(addresses)
        self.asked = 0
        self._known: Optional[Address] = None

    def resolve(self, atsign: str, wait: Wait) -> Address:
        """Return the next address."""
        if self._known is None:
            self.asked += 1
            self._known = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        return self._known

    def forget(self, atsign: str) -> None:
        """Ask again next time."""
        self._known = None

    def drop(self) -> None:
        """Forget all."""
        self._known = None


@pytest.fixture
def server(server_context: ssl.SSLContext) -> Iterator[AtServer]:
    """Run a server of @alice."""
    with AtServer(server_context) as server:
        yield server


Made = Callable[..., ConnectionPool]


@pytest.fixture
def make(server: AtServer, context: ssl.SSLContext) -> Iterator[Made]:
    """Return how to make a pool; all are closed at the end."""
    with contextlib.ExitStack() as stack:

        def make(
            *addresses: Address, login: Optional[FakeLogin] = ALICE, **changes: Any
        ) -> ConnectionPool:
            clock = changes.pop("clock", FakeClock())
            pool = ConnectionPool(
                Told(*(addresses or (server.address,))),
                "@Alice",
                login=login,
                context=context,
                config=TransferConfig(**changes),
                clock=clock,
            )
            stack.callback(pool.close)
            return pool

        yield make


def ask(pool: ConnectionPool) -> str:
    """Ask something."""
    return pool.ask(Noop(), Wait()).data


def in_threads(count: int, call: Callable[[], object]) -> list[Any]:
    """Call at the same time from several threads; return results and errors."""
    outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait(PATIENCE)
        try:
            outcomes.put(call())
        except TransferError as error:
            outcomes.put(error)

    for _ in range(count):
        threading.Thread(target=run, daemon=True).start()
    return [outcomes.get(timeout=PATIENCE) for _ in range(count)]


def nowhere() -> Address:
    """Return an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return Address("localhost", taken.getsockname()[1])


# --- reuse


def test_one_login_for_many_requests(server: AtServer, make: Made) -> None:
    """A connection is logged in once and kept."""
    pool = make()
    assert [ask(pool) for _ in range(5)] == ["ok"] * 5
    assert (pool.opened, pool.logins, pool.reused) == (1, 1, 4)
    assert (len(server.connections), server.logins) == (1, 1)
    assert repr(pool) == "<ConnectionPool @alice 1 idle, 0 busy, 1 in all>"


def test_as_many_as_there_are_requests(server: AtServer, make: Made) -> None:
    """Requests at the same time have a connection each, logged in side by side, each once."""
    pool = make()
    together = threading.Barrier(3)

    def reply() -> bytes:
        together.wait(PATIENCE)
        return b"data:ok\n"

    server.reply = reply
    assert in_threads(3, lambda: ask(pool)) == ["ok"] * 3
    assert (pool.opened, pool.logins, server.logins) == (3, 3, 3)


def test_last_in_first_out(server: AtServer, make: Made) -> None:
    """The connection that was used last is used next: the others may grow old."""
    clock = FakeClock()
    pool = make(clock=clock, idle_timeout=300.0)
    in_threads(2, lambda: pool.prepare(Wait(), 9))
    clock.now += 200.0
    ask(pool)
    clock.now += 200.0
    ask(pool)  # the other one is 400 s old, and goes
    assert repr(pool) == "<ConnectionPool @alice 1 idle, 0 busy, 1 in all>"
    assert (pool.opened, pool.reused) == (2, 2)


def test_idle_for_too_long(server: AtServer, make: Made) -> None:
    """After idle_timeout a connection isn't used any more."""
    clock = FakeClock()
    pool = make(clock=clock, idle_timeout=300.0)
    ask(pool)
    clock.now += 300.0
    ask(pool)
    assert (pool.opened, pool.reused) == (2, 0)


def test_closed_by_the_server(server: AtServer, make: Made) -> None:
    """An idle connection that the server closed is replaced before it is used."""
    pool = make()
    ask(pool)
    raw = server.connections[0]
    socket.socket.shutdown(raw, socket.SHUT_RDWR)
    ask(pool)
    assert (pool.opened, pool.reused) == (2, 0)


def test_lost_request_is_not_repeated(server: AtServer, make: Made) -> None:
    """A request that was lost is the engine's to repeat (R11); the connection is replaced."""
    pool = make()
    ask(pool)
    replies = iter([None, b"data:ok\n"])
    server.reply = lambda: next(replies)
    with pytest.raises(ConnectionLost):
        ask(pool)
    assert ask(pool) == "ok"
    assert (pool.opened, pool.reused) == (2, 1)


def test_failure_that_closes(server: AtServer, make: Made) -> None:
    """A connection that the server closes after an error isn't kept."""
    pool = make()
    server.reply = lambda: b"error:AT0012-Inbound connection limit exceeded\n"
    with pytest.raises(InboundLimit):
        ask(pool)
    assert repr(pool) == "<ConnectionPool @alice 0 idle, 0 busy, 0 in all>"


# --- login


def test_forgotten_login(server: AtServer, make: Made) -> None:
    """A server that has forgotten a login is told again, and the request repeated (facts §3)."""
    pool = make()
    replies = iter([FORGOTTEN, b"data:ok\n"])
    server.reply = lambda: next(replies)
    assert ask(pool) == "ok"
    assert (pool.opened, pool.logins) == (2, 2)


def test_forgotten_login_again(server: AtServer, make: Made) -> None:
    """Once: a server that goes on forgetting is believed."""
    pool = make()
    server.reply = lambda: FORGOTTEN
    with pytest.raises(LoginRefused):
        ask(pool)
    assert pool.logins == 2


def test_without_login(server: AtServer, make: Made) -> None:
    """Without keys nobody logs in, and what needs a login is refused as such."""
    pool = make(login=None)
    assert ask(pool) == "ok"
    server.reply = lambda: FORGOTTEN
    with pytest.raises(Unauthenticated):
        ask(pool)
    assert (pool.opened, pool.logins, server.logins) == (1, 0, 0)


def test_keys_of_another(make: Made) -> None:
    """Keys of another atSign are a refused login."""
    with pytest.raises(LoginRefused, match="keys of @bob"):
        ask(make(login=FakeLogin("@bob")))


# --- prepare


def test_prepares(server: AtServer, make: Made) -> None:
    """Connections are made beforehand, side by side, and no more than can be in flight."""
    pool = make(max_concurrent_uploads=3)
    assert sorted(in_threads(5, lambda: pool.prepare(Wait(), 9))) == [False] * 2 + [True] * 3
    assert (pool.opened, pool.logins) == (3, 3)
    ask(pool)
    pool.prepare(Wait(), 9)
    assert (pool.opened, pool.reused) == (3, 1)


def test_prepares_without_login(server: AtServer, make: Made) -> None:
    """Without keys as many as may be read side by side; they are greeted, and not stale."""
    pool = make(login=None, max_concurrent_downloads=2)
    assert sorted(in_threads(3, lambda: pool.prepare(Wait(), 9))) == [False, True, True]
    ask(pool)
    assert (pool.opened, pool.reused) == (2, 1)


def test_failed_prepare(make: Made) -> None:
    """A connection that could not be made doesn't count."""
    pool = make(nowhere(), max_concurrent_uploads=1)
    for _ in range(2):
        with pytest.raises(ConnectFailed):
            pool.prepare(Wait(), 9)
    assert repr(pool) == "<ConnectionPool @alice 0 idle, 0 busy, 0 in all>"


# --- a server that moves


def test_moved(server: AtServer, make: Made) -> None:
    """Where the server isn't any more, the directory is asked again before giving up."""
    pool = make(nowhere(), server.address)
    assert ask(pool) == "ok"
    assert pool.opened == 1


def test_moved_and_replaced(server: AtServer, make: Made, server_context: ssl.SSLContext) -> None:
    """The same where another atSign's server listens at its old port."""

    def bob(sock: socket.socket) -> None:
        sock.sendall(b"@")
        read_until(sock, b"\n")
        sock.sendall(b"data:proof:_1@bob:2\n@")
        sock.recv(1)

    with Peer(bob, server_context) as other:
        assert ask(make(other.address, server.address)) == "ok"


def test_gone(make: Made) -> None:
    """A server that the directory still tells at the same place is tried once."""
    gone = nowhere()
    pool = make(gone)
    with pytest.raises(ConnectFailed, match=str(gone)):
        ask(pool)


# --- connections that others made


def test_adopted(server: AtServer, make: Made, context: ssl.SSLContext) -> None:
    """A fresh connection of somebody else's serves the next request, greeted or not yet."""
    pool = make(login=None)
    stream = connect(server.address, context, wait=Wait(), timeout=PATIENCE)
    pool.adopt(stream, server.address)
    until(stream.is_readable)  # the greeting has come, which makes it no stale one
    assert [ask(pool), ask(pool)] == ["ok", "ok"]
    assert (pool.opened, pool.reused, len(server.connections)) == (1, 2, 1)


def test_adopted_too_late(server: AtServer, make: Made, context: ssl.SSLContext) -> None:
    """A closed pool takes nothing over, and leaves nothing open."""
    pool = make(login=None)
    pool.close()
    stream = connect(server.address, context, wait=Wait(), timeout=PATIENCE)
    with pytest.raises(Cancelled, match="the client was closed"):
        pool.adopt(stream, server.address)
    assert stream.fileno() < 0


# --- the end


def test_closed(server: AtServer, make: Made) -> None:
    """A closed pool ends its idle connections and says why it takes no requests."""
    pool = make()
    ask(pool)
    pool.close()
    pool.close()
    assert server.ended.get(timeout=PATIENCE) is server.connections[0]
    for call in (lambda: ask(pool), lambda: pool.prepare(Wait(), 9)):
        with pytest.raises(Cancelled, match="the client was closed"):
            call()
    assert repr(pool) == "<ConnectionPool @alice 0 idle, 0 busy, 0 in all>"


def test_closed_while_busy(server: AtServer, make: Made) -> None:
    """A request that waits for its answer while the pool is closed ends at once, and says why."""
    pool = make()
    server.gate.clear()

    def close() -> None:
        assert server.busy.wait(PATIENCE)
        pool.close()

    threading.Thread(target=close, daemon=True).start()
    with pytest.raises(Cancelled, match="the client was closed"):
        ask(pool)
    server.gate.set()
    assert repr(pool) == "<ConnectionPool @alice 0 idle, 0 busy, 0 in all>"


def test_closed_while_connecting(make: Made) -> None:
    """A connection that is ready only after the pool was closed is closed too."""

    class Closing(FakeLogin):
        def sign(self, challenge: str) -> str:
            pool.close()
            return super().sign(challenge)

    pool = make(login=Closing())
    with pytest.raises(Cancelled, match="the client was closed"):
        ask(pool)
    assert repr(pool) == "<ConnectionPool @alice 0 idle, 0 busy, 0 in all>"


def test_cancelled(server: AtServer, make: Made) -> None:
    """A cancelled request ends at once, and its connection with it."""
    pool, wait = make(), Wait()
    server.gate.clear()

    def cancel() -> None:
        assert server.busy.wait(PATIENCE)
        wait.cancel("no longer wanted")

    threading.Thread(target=cancel, daemon=True).start()
    with pytest.raises(Cancelled, match="no longer wanted"):
        pool.ask(Noop(), wait)
    server.gate.set()
    assert repr(pool) == "<ConnectionPool @alice 0 idle, 0 busy, 0 in all>"


def test_fork(server: AtServer, make: Made) -> None:
    """A forked child leaves the parent's connections alone and makes its own (R28)."""
    pool = make()
    ask(pool)
    vars(pool)["_lock"].acquire()  # as a thread of the parent may do at the moment of the fork
    pool.drop()
    assert ask(pool) == "ok"
    assert (pool.opened, pool.reused) == (2, 0)
    assert len(server.connections) == 2
