"""TLS connections over real sockets: verified, bounded in time, woken by an abort."""

from __future__ import annotations

import contextlib
import datetime as dt
import queue
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import trustme

from atxfer._net.address import Address
from atxfer._net.stream import SocketStream, Stream, connect, interruptible, tls_context
from atxfer.errors import (
    Cancelled,
    CertificateRejected,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    NetworkError,
    ProxyRefused,
    RequestTimeout,
)
from atxfer.waiting import Deadline, Wait
from tests.support.clock import FakeClock
from tests.support.peers import ConnectProxy, Conversation, Peer

NEVER = Deadline()
PATIENCE = 30.0  # seconds; nothing here takes so long unless it hangs


def silence(sock: socket.socket) -> None:
    """Say nothing until the client goes away."""
    while sock.recv(65536):
        pass


def echo(sock: socket.socket) -> None:
    """Send back what comes."""
    while data := sock.recv(65536):
        sock.sendall(data)


class Announced(Deadline):
    """A deadline that says when somebody asks what is left of it: right before blocking."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()

    def remaining(self) -> None:
        """Never ends."""
        self.asked.set()


Talk = Callable[[Conversation], "contextlib.AbstractContextManager[Stream]"]


@pytest.fixture
def talk(server_context: ssl.SSLContext, context: ssl.SSLContext) -> Talk:
    """Return how to connect to a server that holds the conversation that is given."""

    @contextlib.contextmanager
    def talk(conversation: Conversation) -> Iterator[Stream]:
        with Peer(conversation, server_context) as peer, connected(peer, context) as stream:
            yield stream

    return talk


@contextlib.contextmanager
def connected(peer: Peer, context: ssl.SSLContext) -> Iterator[Stream]:
    """Connect to the peer, and close at the end."""
    stream = connect(peer.address, context, wait=Wait(), timeout=PATIENCE)
    try:
        yield stream
    finally:
        stream.close()


def in_thread(call: Any) -> queue.SimpleQueue[Any]:
    """Run a call on a thread; its result or its error comes by the queue."""
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put(call())
        except NetworkError as error:
            outcome.put(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome


def is_over(stream: Stream, deadline: Deadline) -> bool:
    """Whether a read tells that nothing will come any more."""
    try:
        return stream.read(1, deadline) == b""
    except ConnectionLost:
        return True


# --- bytes


def test_moves_bytes(talk: Talk) -> None:
    """A megabyte goes and comes back, in as many reads as it takes."""
    sent = bytes(range(256)) * 4096

    def hear_out(sock: socket.socket) -> None:
        heard = b""
        while len(heard) < len(sent):
            heard += sock.recv(65536)
        sock.sendall(heard)

    # Not both at a time: two threads in one TLS connection crash Python 3.9.
    with talk(hear_out) as stream:
        stream.write(sent, NEVER)
        received = b""
        while len(received) < len(sent):
            received += stream.read(256 * 1024, NEVER)
    assert received == sent


def test_end_of_connection(talk: Talk) -> None:
    """When the peer ends the connection in the middle of an answer, a read returns nothing."""
    with talk(lambda sock: sock.sendall(b"data:hal")) as stream:
        received = stream.read(8, NEVER)
        while data := stream.read(8, NEVER):
            received += data
    assert received == b"data:hal"


def test_reset(talk: Talk) -> None:
    """A connection that the peer resets is over (ssl tells it as an end or as an error)."""

    def reset(sock: socket.socket) -> None:
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with talk(reset) as stream:
        stream.write(b"x", NEVER)
        assert is_over(stream, NEVER)


def test_options(talk: Talk) -> None:
    """Small writes are not held back, and a silent connection is probed."""
    with talk(silence) as stream:
        sock: socket.socket = vars(stream)["_socket"]
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_readable(talk: Talk) -> None:
    """A silent connection isn't readable; one with data is, also where TLS has read it already."""
    with talk(echo) as stream:
        stream.write(b"xyz", NEVER)
        assert stream.read(1, NEVER) == b"x"
        assert stream.is_readable()
        assert stream.read(9, NEVER) == b"yz"


def test_readable_at_end(talk: Talk) -> None:
    """A connection that the server has ended is readable, and so is one that we closed."""
    with talk(lambda sock: None) as stream:
        assert stream.read(1, NEVER) == b""
        assert stream.is_readable()
        stream.close()
        assert stream.is_readable()


# --- goodbye


def test_close_says_goodbye(server_context: ssl.SSLContext, context: ssl.SSLContext) -> None:
    """Closing tells the peer by TLS that nothing was cut off."""
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        sock.suppress_ragged_eofs = False  # a connection cut off would raise
        heard.put(sock.recv(1))

    with Peer(listen, server_context) as peer:
        with connected(peer, context):
            pass
        assert heard.get(timeout=PATIENCE) == b""


def test_close_twice(talk: Talk) -> None:
    """Closing, dropping and aborting are safe in any order, and end reading and writing."""
    with talk(silence) as stream:
        stream.abort()
        for end in (stream.close, stream.abort, stream.drop, stream.close):
            end()
        with pytest.raises(ConnectionLost):
            stream.read(1, NEVER)
        with pytest.raises(ConnectionLost):
            stream.write(b"x", NEVER)


def test_drop_leaves_the_connection(talk: Talk) -> None:
    """What a forked child drops goes on in the parent."""
    with talk(echo) as stream:
        sock: ssl.SSLSocket = vars(stream)["_socket"]
        with socket.socket(fileno=socket.dup(sock.fileno())) as parents:
            stream.drop()
            parents.send(b"\x15")  # neither shut down nor reset
            assert sock.fileno() == -1


# --- time


def test_slow_answer(talk: Talk) -> None:
    """An answer that doesn't come in time is a timeout that names the server."""
    slow = pytest.raises(RequestTimeout, match=r"localhost:\d+ did not answer in time")
    with talk(silence) as stream, slow:
        stream.read(1, Deadline.after(0.02))


def test_slow_reader(talk: Talk) -> None:
    """A peer that takes some of what we send, then no more, is timed out as well."""
    done = threading.Event()

    def taste(sock: socket.socket) -> None:
        sock.recv(1)
        done.wait(PATIENCE)

    with talk(taste) as stream:
        with pytest.raises(RequestTimeout):
            stream.write(bytes(32 << 20), Deadline.after(0.05))
        done.set()


def test_no_time_left(talk: Talk) -> None:
    """A deadline that has passed is a timeout, even if there is something to read."""
    clock = FakeClock()
    deadline = Deadline.after(5.0, clock)
    with talk(echo) as stream:
        stream.write(b"x", deadline)
        clock.now += 5.0
        with pytest.raises(RequestTimeout):
            stream.read(1, deadline)
        with pytest.raises(RequestTimeout):
            stream.write(b"x", deadline)


# --- abort


@pytest.mark.parametrize("moment", ["before", "while"])
def test_abort_wakes_a_read(talk: Talk, moment: str) -> None:
    """An abort ends a read that nothing else would end, and never lets it read in the clear."""
    deadline = Announced()
    with talk(silence) as stream:
        if moment == "before":
            stream.abort()
        reading = in_thread(lambda: is_over(stream, deadline))
        assert deadline.asked.wait(PATIENCE)
        if moment == "while":
            stream.abort()
        assert reading.get(timeout=PATIENCE) is True


def test_abort_wakes_a_write(talk: Talk) -> None:
    """An abort ends a write that the peer doesn't read."""
    deadline = Announced()
    done = threading.Event()

    def ignore(sock: socket.socket) -> None:
        done.wait(PATIENCE)

    with talk(ignore) as stream:
        writing = in_thread(lambda: stream.write(bytes(32 << 20), deadline))
        assert deadline.asked.wait(PATIENCE)
        stream.abort()
        assert isinstance(writing.get(timeout=PATIENCE), ConnectionLost)
        done.set()


def test_cancel_is_told_as_such(talk: Talk) -> None:
    """Cancellation wakes an interruptible block, which tells it from a lost connection."""
    wait, asking = Wait(), Announced()

    def cancel() -> None:
        assert asking.asked.wait(PATIENCE)
        wait.cancel("no longer wanted")

    def read_all(stream: Stream, wait: Wait, deadline: Deadline) -> None:
        with interruptible(stream, wait):
            while stream.read(1, deadline):
                pass
            raise ConnectionLost("ended")

    with talk(silence) as stream:
        in_thread(cancel)
        with pytest.raises(Cancelled, match="no longer wanted"):
            read_all(stream, wait, asking)


def test_transfer_deadline_is_told_as_such(talk: Talk) -> None:
    """The transfer's own deadline isn't blamed on the server."""
    with talk(silence) as stream:
        wait = Wait(Deadline.after(0.02))
        with pytest.raises(DeadlineExceeded), interruptible(stream, wait):
            stream.read(1, wait.deadline)


# --- connecting


def test_nobody_listens(context: ssl.SSLContext) -> None:
    """A port without a server is a failed connection that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectFailed, match=f"127.0.0.1:{port} can't be reached: Conn"):
        connect(Address("127.0.0.1", port), context, wait=Wait(), timeout=PATIENCE)


def test_no_tls(context: ssl.SSLContext) -> None:
    """A server that speaks no TLS is a failed connection."""

    def greet(sock: socket.socket) -> None:
        sock.sendall(b"220 mail.example\r\n")
        silence(sock)

    with Peer(greet) as peer, pytest.raises(ConnectFailed, match="TLS failed"):
        connect(peer.address, context, wait=Wait(), timeout=PATIENCE)


def test_slow_handshake(context: ssl.SSLContext) -> None:
    """A server that begins a handshake and doesn't end it is timed out."""

    def begin(sock: socket.socket) -> None:
        sock.sendall(b"\x16\x03\x03\x40\x00\x02")
        silence(sock)

    with Peer(begin) as peer, pytest.raises(ConnectFailed, match="no answer in time"):
        connect(peer.address, context, wait=Wait(), timeout=0.1)


def test_cancelled_in_handshake(context: ssl.SSLContext) -> None:
    """Cancellation ends a handshake."""
    wait = Wait()

    def hang(sock: socket.socket) -> None:
        assert sock.recv(1)  # the client's first word: it is waiting for ours
        wait.cancel()
        silence(sock)

    with Peer(hang) as peer, pytest.raises(Cancelled):
        connect(peer.address, context, wait=wait, timeout=PATIENCE)


@pytest.fixture
def black_hole() -> Iterator[Address]:
    """Return an address that answers no connection attempt, not even by refusing it."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # Linux takes one more than the backlog, then drops what comes
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield Address("127.0.0.1", full.getsockname()[1])


def test_black_hole(black_hole: Address, context: ssl.SSLContext) -> None:
    """A connection attempt that nobody answers ends in time."""
    with pytest.raises(ConnectFailed, match=f"{black_hole} can't be reached: no answer in time"):
        connect(black_hole, context, wait=Wait(), timeout=0.05)


def test_cancelled_in_black_hole(black_hole: Address, context: ssl.SSLContext) -> None:
    """Cancellation ends a connection attempt that nobody answers."""
    wait = Wait()
    attempt = in_thread(lambda: _outcome(lambda: _connect(black_hole, context, wait)))
    wait.cancel()
    assert isinstance(attempt.get(timeout=PATIENCE), Cancelled)


def test_deadline_in_black_hole(black_hole: Address, context: ssl.SSLContext) -> None:
    """The transfer's deadline ends it too, and is told as such."""
    with pytest.raises(DeadlineExceeded):
        _connect(black_hole, context, Wait(Deadline.after(0.05)))


def _connect(address: Address, context: ssl.SSLContext, wait: Wait) -> Stream:
    return connect(address, context, wait=wait, timeout=PATIENCE)


def _outcome(call: Any) -> Any:
    try:
        return call()
    except Cancelled as error:
        return error


# --- names


def test_unknown_name(context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that doesn't resolve is a failed connection that names it."""

    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectFailed, match=r"nowhere\.invalid:64 can't be reached: Name or"):
        _connect(Address("nowhere.invalid", 64), context, Wait())


def test_impossible_name(context: ssl.SSLContext) -> None:
    """So is a name that can't be one."""
    with pytest.raises(ConnectFailed, match="can't be reached"):
        _connect(Address("x" * 70 + ".example", 64), context, Wait())


def test_slow_name_server(context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up that hangs is left behind: by its timeout, and by cancellation."""
    answered = threading.Event()

    def hang(*args: object, flags: int = 0, **kwargs: object) -> list[object]:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        answered.wait(PATIENCE)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(ConnectFailed, match="no answer in time"):
        connect(Address("slow.example", 64), context, wait=Wait(), timeout=0.02)
    wait = Wait()
    attempt = in_thread(lambda: _outcome(lambda: _connect(Address("s", 64), context, wait)))
    wait.cancel()
    assert isinstance(attempt.get(timeout=PATIENCE), Cancelled)
    answered.set()


@pytest.mark.parametrize("first", ["refuses", "swallows"])
def test_second_address(
    server_context: ssl.SSLContext,
    context: ssl.SSLContext,
    black_hole: Address,
    monkeypatch: pytest.MonkeyPatch,
    first: str,
) -> None:
    """Where a name has two addresses, the second has its share of the time."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()
    dead = closed if first == "refuses" else (black_hole.host, black_hole.port)
    with Peer(echo, server_context) as peer:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", sockaddr)
            for sockaddr in (dead, ("127.0.0.1", peer.port))
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
        stream = connect(peer.address, context, wait=Wait(), timeout=2.0)
        stream.close()


# --- certificates


def served(authority: trustme.CA, *names: str, **times: Any) -> ssl.SSLContext:
    """Return a server's context with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **times).configure_cert(context)
    return context


def rejected(server_context: ssl.SSLContext, context: ssl.SSLContext) -> CertificateRejected:
    """Return why the client doesn't go on."""
    with Peer(silence, server_context) as peer, pytest.raises(CertificateRejected) as caught:
        connect(peer.address, context, wait=Wait(), timeout=PATIENCE)
    assert f"localhost:{peer.port}" in caught.value.message
    assert not caught.value.retryable
    return caught.value


def test_unknown_authority(context: ssl.SSLContext) -> None:
    """A certificate by an authority that we don't know is refused; ca_file is the remedy."""
    error = rejected(served(trustme.CA(), "localhost"), context)
    assert "unknown authority" in error.message
    assert "ca_file" in error.remedy


def test_default_trust(server_context: ssl.SSLContext) -> None:
    """Without a ca_file the system's authorities are trusted, and no other."""
    assert "unknown authority" in rejected(server_context, tls_context(None)).message


def test_wrong_host(authority: trustme.CA, context: ssl.SSLContext) -> None:
    """A certificate for another host is refused."""
    assert "is for another host" in rejected(served(authority, "bob.example"), context).message


@pytest.mark.parametrize(("days", "message"), [(-2, "has expired"), (2, "is not valid yet")])
def test_wrong_time(
    authority: trustme.CA, context: ssl.SSLContext, days: int, message: str
) -> None:
    """A certificate that has expired or isn't valid yet is refused; the clock is a suspect."""
    begin = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days)
    end = begin + dt.timedelta(1)
    error = rejected(served(authority, "localhost", not_before=begin, not_after=end), context)
    assert message in error.message
    assert "clock" in error.remedy


def test_address_in_certificate(authority: trustme.CA, context: ssl.SSLContext) -> None:
    """A server may be named by its number, if its certificate has it."""
    with Peer(echo, served(authority, "127.0.0.1")) as peer:
        _connect(Address("127.0.0.1", peer.port), context, Wait()).close()


def test_what_is_offered(authority: trustme.CA, context: ssl.SSLContext) -> None:
    """The server hears its name, and is offered no ALPN: atServers answer it with HTTP."""
    heard: queue.SimpleQueue[Optional[str]] = queue.SimpleQueue()
    server = served(authority, "localhost")
    server.set_alpn_protocols(["http/1.1"])
    server.sni_callback = lambda sock, name, _: heard.put(name)

    def tell(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        heard.put(sock.selected_alpn_protocol())

    with Peer(tell, server) as peer, connected(peer, context):
        assert heard.get(timeout=PATIENCE) == "localhost"
        assert heard.get(timeout=PATIENCE) is None


@pytest.mark.parametrize(("served_", "chosen"), [((), None), (("b", "a"), "b"), (("other",), None)])
def test_protocol(
    authority: trustme.CA, ca_file: Path, served_: tuple[str, ...], chosen: Optional[str]
) -> None:
    """What is offered by ALPN may be chosen or ignored; the connection stands either way."""
    theirs = served(authority, "localhost")
    if served_:
        theirs.set_alpn_protocols(list(served_))
    ours = tls_context(ca_file, protocols=["a", "b"])
    with Peer(lambda sock: sock.sendall(b"x"), theirs) as peer, connected(peer, ours) as stream:
        assert isinstance(stream, SocketStream)
        assert stream.protocol == chosen
        assert stream.read(1, NEVER) == b"x"


def test_plain() -> None:
    """Without a context nothing is secured."""
    with Peer(lambda sock: sock.sendall(b"x")) as peer:
        stream = connect(peer.address, None, wait=Wait(), timeout=PATIENCE)
        assert stream.read(1, NEVER) == b"x"
        assert stream.protocol is None
        stream.close()


def test_old_tls(context: ssl.SSLContext) -> None:
    """TLS before 1.2 is not spoken."""
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_ca_file_missing(tmp_path: Path) -> None:
    """A ca_file that isn't there is an error at the door, which names it."""
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pem"):
        tls_context(tmp_path / "nowhere.pem")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        tls_context(tmp_path)


def test_ca_file_without_certificate(tmp_path: Path) -> None:
    """So is one that holds no certificate."""
    path = tmp_path / "empty.pem"
    path.write_text("nothing of use")
    with pytest.raises(ValueError, match=r"ca_file .*empty\.pem holds no PEM certificate"):
        tls_context(str(path))


# --- proxies


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectProxy]:
    """Run a proxy, and name it in the environment."""
    with ConnectProxy() as proxy:
        monkeypatch.setenv("https_proxy", f"http://me:secret@localhost:{proxy.port}")
        yield proxy


def test_through_proxy(talk: Talk, through: ConnectProxy) -> None:
    """A proxy is asked for a tunnel, with the credentials of its URL; TLS goes through it."""
    with talk(echo) as stream:
        stream.write(b"hello", NEVER)
        assert stream.read(5, NEVER) == b"hello"
    assert re.match(rb"CONNECT localhost:\d+ HTTP/1.1\r\n", through.requests[0])
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in through.requests[0]


def test_certificate_through_proxy(context: ssl.SSLContext, through: ConnectProxy) -> None:
    """What is verified is the server, not the proxy."""
    error = rejected(served(trustme.CA(), "localhost"), context)
    assert "unknown authority" in error.message


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (b"HTTP/1.1 407 Who are you\r\n\r\n", ProxyRefused, "asks for a login"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", ConnectFailed, "answered 503 Busy"),
        (b"HTTP/1.1 2", ConnectFailed, "ended the connection"),
        (b"x" * 20_000, ProxyRefused, "doesn't answer as an HTTP proxy"),
    ],
)
def test_proxy_refuses(
    context: ssl.SSLContext,
    through: ConnectProxy,
    reply: bytes,
    kind: type[NetworkError],
    message: str,
) -> None:
    """A proxy that doesn't open the tunnel is named, without its password."""
    through.reply = reply
    with pytest.raises(kind, match=message) as caught:
        _connect(Address("alice.example", 6464), context, Wait())
    assert f"localhost:{through.port}" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_proxy_down(context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that can't be reached is named as the problem."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("https_proxy", f"http://localhost:{port}")
    with pytest.raises(ConnectFailed, match=f"the proxy localhost:{port} can't be reached"):
        _connect(Address("alice.example", 6464), context, Wait())


def test_silent_proxy(context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that says nothing is timed out, with the target and the proxy named."""
    with Peer(silence) as proxy:
        monkeypatch.setenv("https_proxy", f"http://localhost:{proxy.port}")
        with pytest.raises(ConnectFailed, match=r"alice\.example:64 .* proxy localhost"):
            connect(Address("alice.example", 64), context, wait=Wait(), timeout=0.1)
