"""Requests by HTTP: bounded as a whole, woken by cancellation, verified, and told in our errors."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import trustme

from atxfer._net.address import Address
from atxfer._net.stream import connect
from atxfer.config import MIB, TransferConfig
from atxfer.errors import (
    Cancelled,
    CertificateRejected,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    LoginRefused,
    NotAuthorized,
    NotFound,
    Overloaded,
    ProtocolViolation,
    ProxyRefused,
    RequestRejected,
    RequestTimeout,
    RequestTooLarge,
    ServerFault,
    StorageFull,
    Throttled,
    TransferError,
)
from atxfer.stores.http import HttpTransport, Response, error_for_status, https_context
from atxfer.stores.http.statuses import retry_after
from atxfer.waiting import Deadline, Wait
from tests.support.peers import ConnectProxy, Peer, read_until
from tests.support.streams import ScriptedStream
from tests.support.until import until
from tests.support.web import Heard, WebServer, answer, chunked

PATIENCE = 30.0  # seconds; nothing here takes so long unless it hangs


def echo(heard: Heard) -> bytes:
    """Answer with what came."""
    return answer(heard.body)


@pytest.fixture
def server(server_context: ssl.SSLContext) -> Iterator[WebServer]:
    """Run an HTTPS server that echoes."""
    with WebServer(echo, server_context) as server:
        yield server


Made = Callable[..., HttpTransport]


@pytest.fixture
def make(ca_file: Path) -> Iterator[Made]:
    """Return how to make a transport; all are closed at the end."""
    with contextlib.ExitStack() as stack:

        def make(width: int = 3, **changes: Any) -> HttpTransport:
            config = TransferConfig().but(**changes)
            transport = HttpTransport(https_context(ca_file), config, width=width)
            stack.callback(transport.close)
            return transport

        yield make


@pytest.fixture
def transport(make: Made) -> HttpTransport:
    """Return one transport."""
    return make()


def get(transport: HttpTransport, url: str, wait: Optional[Wait] = None, **how: Any) -> Response:
    """Ask for a resource."""
    return transport.request("GET", url, wait=wait or Wait(), **how)


def put(transport: HttpTransport, peer: Peer, body: bytes, wait: Optional[Wait] = None) -> Response:
    """Send a body."""
    url = f"https://localhost:{peer.port}/"
    return transport.request("PUT", url, wait=wait or Wait(), body=body)


def soon(event: threading.Event, act: Callable[[], object]) -> None:
    """Act on another thread once it has come to something."""

    def run() -> None:
        assert event.wait(PATIENCE)
        act()

    threading.Thread(target=run, daemon=True).start()


@contextlib.contextmanager
def ending(event: threading.Event) -> Iterator[None]:
    """Set an event at the end of a block, so that a server stops waiting."""
    try:
        yield
    finally:
        event.set()


@contextlib.contextmanager
def silent(server: WebServer) -> Iterator[None]:
    """Let a server answer nothing until the end of the block."""
    stop = threading.Event()
    server.reply = lambda heard: answer() if stop.wait(PATIENCE) else None
    with ending(stop):
        yield


# --- requests and answers


def test_a_request_and_its_answer(server: WebServer, transport: HttpTransport) -> None:
    """Method, path and body go up as they are; status, headers and content come down."""
    server.reply = lambda heard: answer(heard.body[::-1], 201, X_Kind="test")
    response = transport.request(
        "PUT", server.url("/a%2Fb?c=d"), wait=Wait(), body=b"abc", expect=(201,)
    )
    assert (response.status, response.headers["x-kind"], response.content) == (201, "test", b"cba")
    assert server.heard[0].line == "PUT /a%2Fb?c=d HTTP/1.1"
    assert "content" not in repr(response)


def test_a_request_says_little_of_us(server: WebServer, transport: HttpTransport) -> None:
    """No compression, no cookies, no Expect; and what is ours can be replaced."""
    server.reply = lambda heard: answer(Set_Cookie="a=b")
    for _ in range(2):
        transport.request("POST", server.url(), wait=Wait(), headers={"Accept": "x/y"}, body=b"abc")
    headers = dict(server.heard[1].headers)
    assert headers.pop("user-agent").startswith("atxfer/")
    assert headers == {
        "host": f"localhost:{server.port}",
        "accept-encoding": "identity",
        "accept": "x/y",
        "content-length": "3",
    }


@pytest.mark.parametrize("body", [b"", b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4]])
def test_a_body_may_be_any_buffer(server: WebServer, transport: HttpTransport, body: bytes) -> None:
    """It is sent with its length, uncopied."""
    assert transport.request("PUT", server.url(), wait=Wait(), body=body).content == bytes(body)


def test_megabytes_go_both_ways(server: WebServer, transport: HttpTransport) -> None:
    """A part of a large object is one request."""
    data = os.urandom(3 * MIB)
    got = transport.request("PUT", server.url(), wait=Wait(), body=data, max_bytes=3 * MIB)
    assert got.content == data


def test_chunks_are_put_together(server: WebServer, transport: HttpTransport) -> None:
    """An answer need not say its length."""
    server.reply = lambda heard: chunked(b"ab", b"c" * 100_000)
    assert get(transport, server.url()).content == b"ab" + b"c" * 100_000
    get(transport, server.url())
    assert transport.opened == 1


def test_the_end_may_be_the_end_of_the_connection(
    server: WebServer, transport: HttpTransport
) -> None:
    """An answer that closes the connection is read to its end."""
    server.reply = lambda heard: answer(b"abc", Connection="close")
    assert get(transport, server.url()).content == b"abc"
    assert get(transport, server.url()).content == b"abc"
    assert transport.opened == 2


def test_nothing_is_decompressed(server: WebServer, transport: HttpTransport) -> None:
    """What claims to be compressed comes as it is."""
    server.reply = lambda heard: answer(b"\x1f\x8b", Content_Encoding="gzip")
    assert get(transport, server.url()).content == b"\x1f\x8b"


def test_a_head_has_no_body(server: WebServer, transport: HttpTransport) -> None:
    """Its Content-Length is what a GET would bring."""
    server.reply = lambda heard: answer(Content_Length="5000000")
    response = transport.request("HEAD", server.url(), wait=Wait(), max_bytes=5_000_000)
    assert (response.content, response.headers["content-length"]) == (b"", "5000000")


def test_a_plain_server_is_spoken_to_in_the_clear(transport: HttpTransport) -> None:
    """An address of http:// needs no certificate."""
    with WebServer(echo) as server:
        assert get(transport, server.url()).status == 200


@pytest.mark.parametrize("url", ["nowhere", "http://", "http://[::1"])
def test_an_impossible_address_is_misuse(transport: HttpTransport, url: str) -> None:
    """It is told before anything is sent."""
    with pytest.raises(ValueError):  # noqa: PT011  # requests has several, with texts of its own
        get(transport, url)


# --- connections


def test_a_connection_is_kept(server: WebServer, transport: HttpTransport) -> None:
    """One after another, all requests take the same connection, errors included."""
    for status in (200, 404, 200, 503, 200):
        server.reply = lambda heard, status=status: answer(b"x", status)  # type: ignore[misc]
        with contextlib.suppress(TransferError):
            get(transport, server.url())
    assert (server.connections, transport.opened) == (1, 1)


def test_each_worker_has_its_own(server: WebServer, make: Made) -> None:
    """Side by side there are as many connections as requests, and no more are made later."""
    together = threading.Barrier(4)

    def reply(heard: Heard) -> bytes:
        together.wait(PATIENCE)
        return answer(b"x")

    server.reply = reply
    transport = make(width=4)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: get(transport, server.url()), range(40)))
    assert (server.connections, transport.opened) == (4, 4)


def test_a_stale_connection_is_replaced(server: WebServer, transport: HttpTransport) -> None:
    """What the server closed while it was idle is noticed before it is used."""

    def hang_up_after(heard: Heard) -> bytes:
        threads.append(threading.current_thread())
        return answer(b"x")

    threads: list[threading.Thread] = []
    server.reply = hang_up_after
    get(transport, server.url())
    server.hang_up()
    threads[0].join(PATIENCE)
    get(transport, server.url())
    assert (server.connections, len(server.heard)) == (2, 2)


def test_a_connection_may_come_from_elsewhere(
    server: WebServer, transport: HttpTransport, ca_file: Path
) -> None:
    """One that was made to find out something is used for the next request to that server."""
    for name in ("localhost", "LocalHost"):
        stream = connect(server.address, https_context(ca_file), wait=Wait(), timeout=PATIENCE)
        transport.adopt(stream, Address(name, server.port))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: get(transport, server.url()), range(4)))
    assert server.connections <= 2


@pytest.mark.parametrize("secure", [True, False])
def test_connections_are_made_beforehand_but_not_more_than_are_kept(
    server_context: ssl.SSLContext, make: Made, secure: bool
) -> None:
    """Requests use those that are there; none is made where enough are."""
    with WebServer(echo, server_context if secure else None) as server:
        transport = make(width=3)
        get(transport, server.url())
        made = [transport.prepare(server.url(), Wait(), enough) for enough in (1, 2, 2, 9, 9)]
        assert made == [False, True, False, True, False]
        until(lambda: len(vars(server)["_sockets"]) == 3)
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(lambda _: get(transport, server.url()), range(9)))
        transport.prepare(server.url(), Wait(), 9)
        assert len(vars(server)["_sockets"]) == 3
    with pytest.raises(ConnectFailed):
        make().prepare(server.url(), Wait(), 9)


def test_what_was_made_beforehand_is_not_used_for_ever(
    server: WebServer, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may have ended a connection that nobody used, and that would not show."""
    monkeypatch.setattr("atxfer.stores.http.transport._FRESH", 0.0)
    transport.prepare(server.url(), Wait(), 9)
    get(transport, server.url())
    assert len(vars(server)["_sockets"]) == 2


# --- time and cancellation


def test_a_silent_server_is_timed_out(server: WebServer, make: Made) -> None:
    """An answer that doesn't come is a RequestTimeout, and costs the connection."""
    with silent(server), pytest.raises(RequestTimeout):
        get(make(request_timeout=0.05), server.url())


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 OK\r\n", answer(b"x" * 1000)[:-900], chunked(b"x" * 50)[:60]]
)
def test_a_dribbling_server_is_timed_out_as_a_whole(
    make: Made, server_context: ssl.SSLContext, said: bytes
) -> None:
    """Bytes that come now and then, in the head or in the body, don't prolong the time."""
    stop = threading.Event()

    def dribble(sock: socket.socket) -> None:
        read_until(sock, b"\r\n\r\n")
        sock.sendall(said)
        while not stop.wait(0.01):
            sock.sendall(b"x")

    with Peer(dribble, server_context) as peer, ending(stop), pytest.raises(RequestTimeout):
        get(make(request_timeout=0.2), f"https://localhost:{peer.port}/")


def test_a_request_may_have_a_limit_of_its_own(server: WebServer, transport: HttpTransport) -> None:
    """``timeout`` replaces the configuration's."""
    with silent(server), pytest.raises(RequestTimeout):
        get(transport, server.url(), timeout=0.05)


def test_the_deadline_of_the_transfer_is_told_as_such(
    server: WebServer, transport: HttpTransport
) -> None:
    """It is not the server's fault."""
    with silent(server), pytest.raises(DeadlineExceeded):
        get(transport, server.url(), Wait(Deadline.after(0.05)))


@pytest.mark.parametrize("said", [b"", answer(b"x" * 100)[:-50], chunked(b"x" * 50)[:60]])
def test_cancellation_wakes_a_request(
    transport: HttpTransport, server_context: ssl.SSLContext, said: bytes
) -> None:
    """Before the answer or in the middle of it, the one who waits hears at once."""
    waiting, wait = threading.Event(), Wait()

    def hang(sock: socket.socket) -> None:
        read_until(sock, b"\r\n\r\n")
        sock.sendall(said)
        waiting.set()
        sock.recv(1)

    with Peer(hang, server_context) as peer:
        soon(waiting, lambda: wait.cancel("no longer wanted"))
        with pytest.raises(Cancelled, match="no longer wanted"):
            get(transport, f"https://localhost:{peer.port}/", wait)


def test_cancellation_wakes_an_upload(
    transport: HttpTransport, server_context: ssl.SSLContext
) -> None:
    """The same where the server doesn't read what is sent."""
    waiting, wait = threading.Event(), Wait()

    def hang(sock: socket.socket) -> None:
        read_until(sock, b"\r\n\r\n")
        waiting.set()
        never.wait(PATIENCE)

    never = threading.Event()
    soon(waiting, wait.cancel)
    with Peer(hang, server_context) as peer, ending(never), pytest.raises(Cancelled):
        put(transport, peer, bytes(64 * MIB), wait)


def test_a_cancelled_transfer_sends_nothing(server: WebServer, transport: HttpTransport) -> None:
    """It is looked at before a connection is taken."""
    wait = Wait()
    wait.cancel()
    with pytest.raises(Cancelled):
        get(transport, server.url(), wait)
    assert server.heard == []


# --- answers that are none


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"@", ConnectionLost),
        (b"@error:AT0003-Exception: Invalid syntax\n@", ProtocolViolation),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ProtocolViolation),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", ConnectionLost),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", ConnectionLost),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n", ProtocolViolation),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, ProtocolViolation),
        (b"", ConnectionLost),
    ],
)
def test_what_is_no_answer_is_told_as_such(
    transport: HttpTransport, server_context: ssl.SSLContext, said: bytes, kind: type[Exception]
) -> None:
    """An end in the middle may pass; nonsense doesn't."""

    def speak(sock: socket.socket) -> None:
        read_until(sock, b"\r\n\r\n")
        sock.sendall(said)
        if kind is ProtocolViolation:
            sock.recv(1)

    with Peer(speak, server_context) as peer, pytest.raises(kind) as caught:
        get(transport, f"https://localhost:{peer.port}/?secret=1")
    assert type(caught.value) is kind
    assert f"localhost:{peer.port}" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("said", [answer(b"x" * 101), chunked(b"x" * 101)])
def test_an_answer_has_a_largest_size(
    server: WebServer, transport: HttpTransport, said: bytes
) -> None:
    """More than the caller has room for is not taken."""
    server.reply = lambda heard: said
    with pytest.raises(ProtocolViolation, match="100 bytes"):
        get(transport, server.url(), max_bytes=100)
    assert len(get(transport, server.url(), max_bytes=101).content) == 101


def test_an_answer_before_the_end_of_the_body_is_heard(
    transport: HttpTransport, server_context: ssl.SSLContext
) -> None:
    """A server that refuses a body may hang up on the rest of it."""
    over = threading.Event()

    def refuse(sock: socket.socket) -> None:
        read_until(sock, b"\r\n\r\n")
        sock.sendall(answer(b"no", 413, Connection="close"))
        while not over.is_set() and sock.recv(65_536):
            pass

    with Peer(refuse, server_context) as peer, ending(over), pytest.raises(RequestTooLarge):
        put(transport, peer, bytes(MIB))


@pytest.mark.parametrize(
    ("said", "kind"),
    [([answer(b"no", 413, Connection="close")], RequestTooLarge), ([], ConnectionLost)],
)
def test_where_sending_fails_the_answer_is_heard_all_the_same(
    transport: HttpTransport, said: list[bytes], kind: type[TransferError]
) -> None:
    """A connection that breaks while we send may hold the reason; without one it was lost."""
    stream = Broken(*said)
    stream.write_error = ConnectionLost("reset")
    transport.adopt(stream, Address("localhost", 1))  # type: ignore[arg-type]  # a scripted one
    with pytest.raises(kind):
        transport.request("PUT", "https://localhost:1/", wait=Wait(), body=b"abc")


class Broken(ScriptedStream):
    """A stream that urllib3 may poll."""

    def fileno(self) -> int:
        """Return that there is none."""
        return -1


def test_nobody_listens(transport: HttpTransport) -> None:
    """A server that isn't there can't be reached."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectFailed):
        get(transport, f"https://localhost:{port}/")


# --- trust


def test_an_unknown_authority_is_refused(transport: HttpTransport) -> None:
    """Certificates are verified; nothing switches that off."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with WebServer(echo, context) as server, pytest.raises(CertificateRejected):
        get(transport, server.url())
    assert server.heard == []


def test_a_certificate_for_another_host_is_refused(
    server: WebServer, transport: HttpTransport
) -> None:
    """The name in the address must be the certificate's."""
    with pytest.raises(CertificateRejected, match="another host"):
        get(transport, f"https://127.0.0.1:{server.port}/")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environment_may_name_whom_to_trust(
    server: WebServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """As with requests, where no ca_file is given."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(ca_file))
    transport = HttpTransport(https_context(), TransferConfig(), width=1)
    assert get(transport, server.url()).status == 200
    transport.close()


def test_a_folder_may_be_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the system's authorities are not trusted beside it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert https_context().cert_store_stats()["x509_ca"] == 0


def test_http_is_offered_by_alpn(ca_file: Path, authority: trustme.CA) -> None:
    """A server that knows several protocols is told which one we speak."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert("localhost").configure_cert(context)
    with WebServer(echo, context) as server:
        stream = connect(server.address, https_context(ca_file), wait=Wait(), timeout=PATIENCE)
        assert stream.protocol == "http/1.1"
        stream.close()


# --- what the environment says


def test_no_credentials_of_netrc_are_sent(
    server: WebServer, transport: HttpTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither from the home folder nor from where NETRC points."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    get(transport, server.url())
    assert "authorization" not in server.heard[0].headers


def test_https_goes_through_the_proxy_by_a_tunnel(
    server: WebServer, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy hears host and port, and nothing else."""
    with ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:pass@localhost:{proxy.port}")
        assert get(transport, server.url("/secret")).status == 200
        transport.close()
    (request,) = proxy.requests
    assert request.startswith(b"CONNECT localhost:%d " % server.port)
    assert b"secret" not in request
    assert "proxy-authorization" not in server.heard[0].headers


def test_plain_http_is_asked_of_the_proxy(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy hears the whole address, and its login."""
    with WebServer(lambda heard: answer(b"by proxy")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:pass@localhost:{proxy.port}")
        assert get(transport, "http://files.example/x?y=z").content == b"by proxy"
    assert proxy.heard[0].target == "http://files.example/x?y=z"
    assert proxy.heard[0].headers["proxy-authorization"] == "Basic bWU6cGFzcw=="


def test_no_proxy_is_obeyed(
    server: WebServer, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is exempt goes straight."""
    monkeypatch.setenv("HTTPS_PROXY", "http://localhost:1")
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert get(transport, server.url()).status == 200


@pytest.mark.parametrize(
    ("variable", "url"),
    [("HTTPS_PROXY", "https://x.example/"), ("HTTP_PROXY", "http://x.example/")],
)
def test_a_proxy_of_another_kind_is_refused(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, variable: str, url: str
) -> None:
    """It is told at once, without the password."""
    monkeypatch.setenv(variable, "socks5://me:secret@localhost:1080")
    with pytest.raises(ProxyRefused) as caught:
        get(transport, url)
    assert "secret" not in str(caught.value)


def test_a_proxy_that_refuses_is_told_as_such(
    server: WebServer, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words are not the server's."""
    with ConnectProxy(b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://localhost:{proxy.port}")
        with pytest.raises(ProxyRefused):
            get(transport, server.url())
    assert server.heard == []


# --- statuses


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (204, ProtocolViolation, False),
        (301, RequestRejected, False),
        (307, RequestRejected, False),
        (400, RequestRejected, False),
        (401, LoginRefused, False),
        (403, NotAuthorized, False),
        (404, NotFound, False),
        (405, RequestRejected, False),
        (407, ProxyRefused, False),
        (408, RequestTimeout, True),
        (409, RequestRejected, False),
        (410, NotFound, False),
        (411, RequestRejected, False),
        (412, RequestRejected, False),
        (413, RequestTooLarge, False),
        (415, RequestRejected, False),
        (423, RequestRejected, False),
        (425, ServerFault, True),
        (429, Throttled, True),
        (460, RequestRejected, False),
        (500, ServerFault, True),
        (501, RequestRejected, False),
        (502, ServerFault, True),
        (503, Overloaded, True),
        (504, ServerFault, True),
        (505, RequestRejected, False),
        (507, StorageFull, False),
        (599, ServerFault, True),
        (799, ProtocolViolation, False),
    ],
)
def test_each_status_has_its_cause(
    server: WebServer, transport: HttpTransport, status: int, kind: type[Exception], retryable: bool
) -> None:
    """By table, not by family (R8); what was expected is returned instead."""
    server.reply = lambda heard: answer(b"", status, Location="https://elsewhere.example/secret")
    with pytest.raises(kind) as caught:
        get(transport, server.url())
    assert isinstance(caught.value, TransferError)
    assert type(caught.value) is kind
    assert caught.value.retryable is retryable
    assert f"localhost:{server.port} answered {status}" in caught.value.message
    assert "secret" not in str(caught.value)
    assert len(server.heard) == 1
    assert get(transport, server.url(), expect=(status,)).status == status


DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
LATER = "Wed, 21 Oct 2026 07:28:30 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "2"}, 2.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "86400"}, 86_400.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "1" * 40}, None),
        ({"Retry-After": LATER, "Date": DATE}, 30.0),
        ({"Retry-After": DATE, "Date": LATER}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"Retry-After": "Wed, 99 Oct 2015 07:28:00 GMT", "Date": DATE}, None),
    ],
)
def test_how_long_to_wait_is_read_with_care(
    headers: dict[str, str], seconds: Optional[float]
) -> None:
    """Seconds, or a date by the server's own clock; nonsense and the past say nothing (R13)."""
    assert retry_after(headers) == seconds


def test_a_date_without_a_clock_is_compared_with_ours() -> None:
    """Then there is nothing better."""
    seconds = retry_after({"Retry-After": "Fri, 31 Dec 2999 23:59:59 GMT"})
    assert seconds is not None
    assert seconds > 1e9


def test_an_overloaded_server_says_for_how_long() -> None:
    """The error carries the wish to the gate (R14)."""
    assert error_for_status(503, {"Retry-After": "7"}, "x:1").retry_after == 7.0


# --- the end, and forks


def test_a_closed_transport_takes_no_requests(
    server: WebServer, transport: HttpTransport, ca_file: Path
) -> None:
    """And takes nothing over."""
    get(transport, server.url())
    transport.close()
    transport.close()
    with pytest.raises(Cancelled, match="the client was closed"):
        get(transport, server.url())
    stream = connect(server.address, https_context(ca_file), wait=Wait(), timeout=PATIENCE)
    with pytest.raises(Cancelled, match="the client was closed"):
        transport.adopt(stream, server.address)
    assert stream.fileno() < 0


def test_closing_ends_what_is_under_way(server: WebServer, transport: HttpTransport) -> None:
    """A request that waits hears at once that the client was closed."""
    soon(server.busy, transport.close)
    with silent(server), pytest.raises(Cancelled, match="the client was closed"):
        get(transport, server.url())


def test_a_child_begins_anew(server: WebServer, transport: HttpTransport) -> None:
    """It makes connections of its own, whatever a thread of the parent held (R28)."""
    get(transport, server.url())
    vars(transport)["_lock"].acquire()
    transport.drop()
    get(transport, server.url())
    assert server.connections == 2


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_parent_and_child_both_go_on(server: WebServer, transport: HttpTransport) -> None:
    """The child's end says nothing on the parent's connection, which serves on."""
    get(transport, server.url())
    child = os.fork()
    if child == 0:
        try:
            transport.drop()
            get(transport, server.url())
            transport.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    get(transport, server.url())
    assert (server.connections, transport.opened) == (2, 1)
