"""The proxy that tests of HTTP stores rest on: what it counts, and what it breaks."""

from __future__ import annotations

import http.client
import http.server
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest
import requests

from tests.support.delayproxy import DOWN, UP, DelayProxy, FarProxy
from tests.support.peers import Peer, read_until
from tests.support.until import until

MakeProxy = Callable[..., DelayProxy]


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the body of the request; to GET in chunks, to HEAD with a length alone."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    gate = threading.Event()

    def do_PUT(self) -> None:  # http.server's name
        """Answer with the same bytes."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.gate.wait()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Answer in chunks."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nTrailer: t\r\n\r\n")

    def do_HEAD(self) -> None:
        """Answer with a length and no body."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class EchoServer(http.server.ThreadingHTTPServer):
    """A server that takes clients that go away as they come."""

    def handle_error(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    """Run a server that answers at once."""
    Echo.gate.set()
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        Echo.gate.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo: EchoServer, delay_proxy: MakeProxy) -> DelayProxy:
    """Put a proxy without delay in front of it."""
    return delay_proxy(echo.server_port)


def test_kept_connections_are_one(proxy: DelayProxy) -> None:
    """Requests of every framing on one connection are told apart and counted."""
    with requests.Session() as session:
        assert session.put(proxy.origin, data=b"x" * 300_000).content == b"x" * 300_000
        assert session.head(proxy.origin).headers["Content-Length"] == "1000"
        assert session.get(proxy.origin).content == b"hello!"
        assert session.put(proxy.origin, data=b"").content == b""
        counts = proxy.counts
    assert (counts.connections, counts.peak_open, counts.requests) == (1, 1, 4)
    assert (counts.in_flight, counts.peak_in_flight) == (0, 1)
    assert counts.bytes_up > 300_000 < counts.bytes_down


def test_exchanges_are_noted(proxy: DelayProxy) -> None:
    """Each request can be looked up with its headers and the code of its answer."""
    requests.put(f"{proxy.origin}/a", data=b"1", headers={"X-Mine": "yes"}, timeout=5)
    requests.delete(f"{proxy.origin}/b", timeout=5)
    first, second = proxy.exchanges
    assert (first.line, first.status, first.header("x-mine")) == ("PUT /a", 200, "yes")
    assert (second.line, second.status, second.header("x-mine")) == ("DELETE /b", 501, None)
    assert (first.connection, second.connection) == (1, 2)


def test_requests_in_flight_at_once(proxy: DelayProxy) -> None:
    """The peak is that of requests without an answer, on however many connections."""
    Echo.gate.clear()
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(requests.put, proxy.origin, data=b"1") for _ in range(5)]
        until(lambda: proxy.counts.in_flight == 5)
        Echo.gate.set()
        assert [answer.result().status_code for answer in answers] == [200] * 5
    counts = proxy.counts
    assert (counts.peak_in_flight, counts.peak_open, counts.in_flight) == (5, 5, 0)
    proxy.forget()
    assert (proxy.counts.requests, proxy.counts.peak_in_flight) == (0, 0)


def test_one_after_another_is_never_two(echo: EchoServer, delay_proxy: MakeProxy) -> None:
    """However quickly the next request follows an answer, the peak is the client's width."""
    proxy = delay_proxy(echo.server_port, 0.002)

    def work() -> None:
        with requests.Session() as session:
            for _ in range(40):
                session.put(proxy.origin, data=b"1")

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(work) for _ in range(3)]:
            done.result()
    assert (proxy.counts.requests, proxy.counts.peak_in_flight) == (120, 3)


def test_who_hangs_up_has_nothing_in_flight(proxy: DelayProxy) -> None:
    """A request whose client has gone is in flight no more, answered or not."""
    Echo.gate.clear()
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
        until(lambda: proxy.counts.in_flight == 1)
    until(lambda: proxy.counts.in_flight == 0)
    assert proxy.counts.open == 0


def test_a_request_begins_with_its_first_byte(proxy: DelayProxy) -> None:
    """Half a head is in flight, and is not shown to the server."""
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.sendall(b"PUT / HT")
        until(lambda: proxy.counts.in_flight == 1)
        assert proxy.counts.requests == 0
        client.sendall(b"TP/1.1\r\nContent-Length: 0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_a_lost_request(proxy: DelayProxy, echo: EchoServer) -> None:
    """A cut before the first byte of a request: the server never hears of it."""
    proxy.cut(UP, only="^PUT /lost")
    assert requests.put(f"{proxy.origin}/kept", data=b"1", timeout=5).ok
    with pytest.raises(requests.ConnectionError):
        requests.put(f"{proxy.origin}/lost", data=b"1", timeout=5)
    assert requests.put(f"{proxy.origin}/lost", data=b"1", timeout=5).ok
    assert [e.status for e in proxy.exchanges] == [200, None, 200]
    assert proxy.faults_left == 0


def test_a_lost_answer(proxy: DelayProxy) -> None:
    """A cut before the first byte of an answer: the server has done the work."""
    proxy.cut(DOWN)
    with pytest.raises(requests.ConnectionError):
        requests.put(proxy.origin, data=b"1", timeout=5)
    assert [e.status for e in proxy.exchanges] == [200]


def test_a_cut_within_a_body(delay_proxy: MakeProxy) -> None:
    """The server gets what comes before the cut, and then the end; the client is refused."""
    got: list[bytes] = []

    def read_all(sock: socket.socket) -> None:
        while data := sock.recv(65_536):
            got.append(data)

    with Peer(read_all) as server:
        proxy = delay_proxy(server.port)
        proxy.cut(UP, after=150_000)
        with pytest.raises(requests.ConnectionError):
            requests.put(proxy.origin, data=b"x" * 400_000, timeout=5)
        until(lambda: b"".join(got).count(b"x") == 150_000)


def test_an_answer_before_the_end_of_the_body(delay_proxy: MakeProxy) -> None:
    """A server that answers and closes without reading all is heard through the proxy as well."""

    def refuse(sock: socket.socket) -> None:
        read_until(sock, b"\r\n\r\n")
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

    with Peer(refuse) as server:
        for delay in (0.0, 0.01):
            proxy = delay_proxy(server.port, delay)
            answer = requests.put(proxy.origin, data=b"x" * 8_000_000, timeout=5)
            assert (answer.status_code, proxy.counts.in_flight) == (413, 0)


def test_a_cut_within_an_answer(proxy: DelayProxy) -> None:
    """The client gets what comes before the cut, and then the end."""
    proxy.cut(DOWN, after=10)
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    connection.request("PUT", "/", body=b"x" * 100)
    with pytest.raises(http.client.IncompleteRead) as caught:
        connection.getresponse().read()
    connection.close()
    assert caught.value.partial == b"x" * 10


def test_corruption(proxy: DelayProxy) -> None:
    """One bit of one byte of a body is turned, once, counted over all requests."""
    proxy.corrupt(UP, after=12)
    first, second, third = (
        requests.put(proxy.origin, data=b"0" * 8, timeout=5).content for _ in range(3)
    )
    assert (first, second, third) == (b"00000000", b"00001000", b"00000000")


def test_held_and_healed(proxy: DelayProxy) -> None:
    """What is held back arrives when the way is free again; until then nothing does."""
    with requests.Session() as session, ThreadPoolExecutor(1) as pool:
        session.get(proxy.origin)
        proxy.hold(DOWN)
        answer = pool.submit(session.put, proxy.origin, data=b"1")
        until(lambda: proxy.exchanges[-1].status == 200)
        assert not answer.done()
        proxy.heal()
        assert answer.result().content == b"1"
        proxy.hold()
        with pytest.raises(requests.ReadTimeout):
            requests.get(proxy.origin, timeout=0.05)
        assert len(proxy.exchanges) == 3  # the proxy has it, the server never will
        proxy.heal()


def test_a_server_that_is_down(delay_proxy: MakeProxy) -> None:
    """A connection to nobody is reset."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(requests.ConnectionError):
        requests.get(delay_proxy(port).origin, timeout=5)


def test_what_is_not_http_passes(delay_proxy: MakeProxy) -> None:
    """Bytes of another protocol go through as they come, in both directions."""

    def talk(sock: socket.socket) -> None:
        sock.sendall(b"@")
        while line := sock.recv(100):
            sock.sendall(line.upper())

    with Peer(talk) as server:
        proxy = delay_proxy(server.port)
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
            assert client.recv(10) == b"@"
            for line in (b"from:@alice\n", b"GET it\n", b"\x16\x03\x01"):
                client.sendall(line)
                assert client.recv(100) == line.upper()
        assert (proxy.counts.connections, proxy.counts.requests) == (1, 0)


def test_a_process_of_its_own(echo: EchoServer) -> None:
    """The proxy for benchmarks tells its counts, and starts anew each time."""
    with FarProxy(echo.server_port, 0.0) as proxy:
        url = proxy.through(f"http://127.0.0.1:{echo.server_port}/")
        assert requests.get(url, timeout=5).content == b"hello!"
        assert proxy.take_counts().requests == 1
        assert proxy.take_counts().requests == 0
