"""How the two tus servers answer, as docs/http-facts.md has it, asked without a client of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
import requests

from tests.fix_servers import ServerFactory
from tests.servers.tus import Tusd, TusNode, TusServer
from tests.support.delayproxy import UP, DelayProxy
from tests.support.peers import read_until
from tests.support.tus import TusRequests, begin_patch, metadata
from tests.support.until import until

pytestmark = pytest.mark.interop

MakeProxy = Callable[..., DelayProxy]
Answer = requests.Response
Ask = Callable[[TusRequests], Answer]

QUICK_LOCKS = ("-filelock-acquirer-poll-interval=10ms", "-filelock-holder-poll-interval=10ms")


@pytest.fixture
def client(tus: TusServer) -> Iterator[TusRequests]:
    """Send requests to each server in turn."""
    with TusRequests(tus.url) as client:
        yield client


def test_what_they_can(tus: TusServer) -> None:
    """OPTIONS names the version and the extensions, and a server's limit where it has one."""
    answer = requests.options(tus.url, timeout=5)
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert set(answer.headers["Tus-Extension"].split(",")) == tus.extensions
    assert "Tus-Max-Size" not in answer.headers


def test_a_life(client: TusRequests) -> None:
    """An upload is created, grows, is whole, is read back, and is terminated."""
    answer = client.create(10, Upload_Metadata=metadata(filename="a.txt"))
    assert (answer.status_code, answer.content) == (201, b"")
    url = answer.headers["Location"]
    first, second = client.patch(url, 0, b"01234"), client.patch(url, 5, b"56789")
    assert [first.status_code, second.status_code] == [204, 204]
    assert [a.headers["Upload-Offset"] for a in (first, second)] == ["5", "10"]
    state = client.head(url)
    assert (state.status_code, state.headers["Upload-Length"]) == (200, "10")
    assert state.headers["Upload-Metadata"] == metadata(filename="a.txt")
    assert state.headers["Cache-Control"] == "no-store"
    assert client.get(url).content == b"0123456789"
    assert client.send("DELETE", url).status_code == 204
    assert client.head(url).status_code == 404


REFUSED: list[tuple[str, Ask, int, int]] = [
    ("wrong offset", lambda c: c.patch(c.new(10), 3, b"x"), 409, 409),
    ("finished already", lambda c: c.patch(c.new(1, b"x"), 0, b"x"), 409, 409),
    ("more than its length", lambda c: c.patch(c.new(1), 0, b"xx"), 413, 413),
    ("more with its creation", lambda c: c.create(1, b"xx"), 413, 413),
    ("unknown", lambda c: c.patch(f"{c.url}none", 0, b"x"), 404, 404),
    ("terminate unknown", lambda c: c.send("DELETE", f"{c.url}none"), 404, 404),
    ("no version", lambda c: c.patch(c.new(1), 0, b"x", {"Tus-Resumable": None}), 412, 412),
    ("other version", lambda c: c.patch(c.new(1), 0, b"x", {"Tus-Resumable": "0.2.2"}), 412, 400),
    ("no type", lambda c: c.patch(c.new(1), 0, b"x", {"Content-Type": None}), 400, 403),
    ("other type", lambda c: c.patch(c.new(1), 0, b"x", {"Content-Type": "text/css"}), 400, 400),
    ("no offset", lambda c: c.patch(c.new(1), 0, b"x", {"Upload-Offset": None}), 400, 403),
    ("offset no number", lambda c: c.patch(c.new(1), "x", b"x"), 400, 400),
    ("no length", lambda c: c.create(None), 400, 400),
    ("negative length", lambda c: c.create(-1), 400, 400),
    ("length of 64 bits", lambda c: c.create(1 << 63), 400, 400),
    ("empty metadata", lambda c: c.create(1, Upload_Metadata=""), 201, 400),
    ("no base64", lambda c: c.create(1, Upload_Metadata="key !"), 201, 400),
    ("space after comma", lambda c: c.create(1, Upload_Metadata="a YQ==, b Yg=="), 201, 400),
    (
        "a checksum",
        lambda c: c.patch(c.new(1), 0, b"x", {"Upload-Checksum": "sha1 AA=="}),
        204,
        204,
    ),
    ("empty request", lambda c: c.patch(c.new(1), 0, b""), 204, 204),
]


@pytest.mark.parametrize(("what", "ask", "tusd_says", "node_says"), REFUSED)
def test_answers(
    tus: TusServer, client: TusRequests, what: str, ask: Ask, tusd_says: int, node_says: int
) -> None:
    """The two agree on what matters, and differ in how they refuse what no client should send."""
    assert ask(client).status_code == (tusd_says if isinstance(tus, Tusd) else node_says)


def test_creation_with_upload(client: TusRequests) -> None:
    """The first bytes, or all, can come with the creation; the answer tells how many came."""
    whole, part = client.create(5, b"hello"), client.create(5, b"hel")
    assert [a.headers["Upload-Offset"] for a in (whole, part)] == ["5", "3"]
    assert client.get(whole.headers["Location"]).content == b"hello"
    assert client.offset(part.headers["Location"]) == 3


def test_deferred_length(client: TusRequests) -> None:
    """The length may be told with any later request."""
    url = client.create(None, Upload_Defer_Length="1").headers["Location"]
    assert client.head(url).headers["Upload-Defer-Length"] == "1"
    assert client.patch(url, 0, b"abc").status_code == 204
    assert client.patch(url, 3, b"de", {"Upload-Length": "5"}).status_code == 204
    assert client.get(url).content == b"abcde"


def test_an_empty_file(client: TusRequests) -> None:
    """An upload of no bytes is whole when it is created."""
    url = client.new(0)
    assert (client.offset(url), client.get(url).content) == (0, b"")


@pytest.mark.parametrize(("kind", "deferred"), [(Tusd, 204), (TusNode, 413)])
def test_the_limit(reference_server: ServerFactory, kind: type[TusServer], deferred: int) -> None:
    """A larger length is refused at creation; tusd takes more than its limit without a length."""
    server = reference_server(kind, max_size=1000)
    assert requests.options(server.url, timeout=5).headers["Tus-Max-Size"] == "1000"
    with TusRequests(server.url) as client:
        assert [client.create(n).status_code for n in (1000, 1001)] == [201, 413]
        url = client.create(None, Upload_Defer_Length="1").headers["Location"]
        assert client.patch(url, 0, b"x" * 1001).status_code == deferred


def test_concatenation(tusd: Tusd) -> None:
    """Finished partial uploads become one, whose bytes are those of the parts in order."""
    with TusRequests(tusd.url) as client:
        parts = [client.new(6, Upload_Concat="partial") for _ in range(2)]
        client.patch(parts[1], 0, b"world!")
        final = f"final;{parts[0]} {parts[1]}"
        too_early = client.create(None, Upload_Concat=final)
        client.patch(parts[0], 0, b"Hello ")
        url = client.create(None, Upload_Concat=final).headers["Location"]
        assert too_early.status_code == 400
        assert client.get(url).content == b"Hello world!"
        assert client.head(url).headers["Upload-Concat"] == final
        assert client.head(parts[0]).headers["Upload-Concat"] == "partial"
        assert client.patch(url, 12, b"").status_code == 403
        unknown = client.create(None, Upload_Concat=f"final;{tusd.url}none")
        assert unknown.status_code == 404
        # The parts are not needed any more, and go only when they are terminated.
        assert [client.send("DELETE", part).status_code for part in parts] == [204, 204]
        assert client.get(url).content == b"Hello world!"


def test_no_concatenation(tus_node: TusNode) -> None:
    """A server without it says so by 501."""
    with TusRequests(tus_node.url) as client:
        assert client.create(1, Upload_Concat="partial").status_code == 501


def test_ranges(tus: TusServer, client: TusRequests) -> None:
    """Ranges are served by tusd, with no tag to hold them to; @tus/server answers with all."""
    url = client.new(10, b"0123456789")
    answer = client.get(url, Range="bytes=2-4")
    assert "ETag" not in answer.headers
    if isinstance(tus, Tusd):
        assert (answer.status_code, answer.content) == (206, b"234")
        assert answer.headers["Content-Range"] == "bytes 2-4/10"
        assert client.get(url, Range="bytes=10-").status_code == 416
    else:
        assert (answer.status_code, answer.content) == (200, b"0123456789")


def test_reading_what_is_not_finished(tus: TusServer, client: TusRequests) -> None:
    """What has come is served by tusd as if that were all; @tus/server serves what is whole."""
    answer = client.get(client.new(10, b"01234"))
    if isinstance(tus, Tusd):
        assert (answer.status_code, answer.content) == (200, b"01234")
    else:
        assert answer.status_code == 404


def test_kept_connections(client: TusRequests, tus: TusServer, delay_proxy: MakeProxy) -> None:
    """All requests of an upload go over one connection, until @tus/server refuses one."""
    proxy = delay_proxy(tus)
    with TusRequests(proxy.through(client.url)) as far:
        url = far.new(100)  # the address that the client used, and so the proxy's
        assert url.startswith(proxy.origin)
        for offset in range(0, 100, 10):
            assert far.patch(url, offset, b"x" * 10).status_code == 204
        assert (proxy.counts.connections, proxy.counts.requests) == (1, 11)
        assert far.patch(url, 5, b"x").status_code == 409
        assert far.offset(url) == 100
        assert proxy.counts.connections == (1 if isinstance(tus, Tusd) else 2)


def test_a_connection_cut_within_a_request(
    client: TusRequests, tus: TusServer, delay_proxy: MakeProxy
) -> None:
    """What came before the cut is gone on from; 409 as long as it is still being written."""
    url, proxy = client.new(1_000_000), delay_proxy(tus)
    proxy.cut(UP, after=300_000)
    with TusRequests(tus.url) as far, pytest.raises(requests.ConnectionError):
        far.patch(proxy.through(url), 0, b"x" * 1_000_000)
    started: list[int] = []

    def goes_on() -> bool:
        started.append(client.offset(url))
        answer = client.patch(url, started[-1], b"x" * (1_000_000 - started[-1]))
        assert answer.status_code in (204, 409)
        return answer.status_code == 204

    until(goes_on)
    assert started == sorted(started)
    assert started[-1] <= 300_000
    assert client.get(url).content == b"x" * 1_000_000


@pytest.mark.parametrize("kind", [Tusd, TusNode])
def test_a_server_killed_within_a_request(
    reference_server: ServerFactory, kind: type[TusServer]
) -> None:
    """What reached the disk is kept over kill -9."""
    server = reference_server(kind)
    with TusRequests(server.url) as client:
        url = client.new(1_000_000)
        file = server.data / Path(url).name
        with begin_patch(url, 1_000_000, b"x" * 300_000):
            until(lambda: file.stat().st_size == 300_000)
            server.restart()
        assert client.offset(url) == 300_000


def test_the_lock_of_tusd(reference_server: ServerFactory) -> None:
    """A second request interrupts the first, which is told so by 400; what came is kept."""
    server = reference_server(Tusd, options=QUICK_LOCKS)
    with TusRequests(server.url) as client:
        url = client.new(1_000_000)
        file = server.data / Path(url).name
        with begin_patch(url, 1_000_000, b"x" * 300_000) as first:
            until(lambda: file.stat().st_size == 300_000)
            assert client.offset(url) == 300_000
            answer = read_until(first, b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400")
            assert first.recv(1000).startswith(b"ERR_UPLOAD_INTERRUPTED")


def test_a_lock_that_nobody_lets_go_of(reference_server: ServerFactory) -> None:
    """Who waits for the lock of tusd in vain is told so by 500, not by 423."""
    options = ("-filelock-holder-poll-interval=1h", "-acquire-lock-timeout=10ms")
    server = reference_server(Tusd, options=options)
    with TusRequests(server.url) as client:
        url = client.new(1_000_000)
        file = server.data / Path(url).name
        with begin_patch(url, 1_000_000, b"x" * 300_000):
            until(lambda: file.stat().st_size == 300_000)
            answer = client.patch(url, 0, b"x")
            assert (answer.status_code, answer.text[:16]) == (500, "ERR_LOCK_TIMEOUT")


def test_the_lock_of_tus_node(reference_server: ServerFactory) -> None:
    """A second request interrupts the first, which is told by 204 that less came than it sent."""
    server = reference_server(TusNode, lock_drain_ms=1)
    with TusRequests(server.url) as client:
        url = client.new(1_000_000)
        file = server.data / Path(url).name
        with begin_patch(url, 1_000_000, b"x" * 300_000) as first:
            until(lambda: file.stat().st_size == 300_000)
            assert client.offset(url) == 300_000
            answer = read_until(first, b"\r\n\r\n").lower()
            assert answer.startswith(b"http/1.1 204")
            assert b"\r\nupload-offset: 300000\r\n" in answer
            assert b"\r\nconnection: close\r\n" in answer


def test_expiration(reference_server: ServerFactory) -> None:
    """@tus/server tells when an upload expires; from then on it is gone, by 410."""
    server = reference_server(TusNode, expiration_ms=1)
    with TusRequests(server.url) as client:
        answer = client.create(10)
        assert answer.headers["Upload-Expires"].endswith(" GMT")
        url = answer.headers["Location"]
        until(lambda: client.head(url).status_code == 410)
        assert client.patch(url, 0, b"x").status_code == 410


def test_only_one_of_them_expires(client: TusRequests, tus: TusServer) -> None:
    """Nothing expires at tusd; @tus/server says when, until the upload is whole."""
    unfinished, whole = client.create(2, b"x"), client.create(1, b"x")
    told = [("Upload-Expires" in answer.headers) for answer in (unfinished, whole)]
    assert told == [isinstance(tus, TusNode), False]
