"""Public records by HTTP GET, as the newest atServers answer it (facts §12)."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Iterator
from http.client import HTTPResponse, HTTPSConnection
from typing import Callable, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atxfer.devserver import DevServer
from atxfer.devserver.costs import Work, core_seconds
from atxfer.devserver.http import Malformed, Reader, Request, encode, lookup_key
from tests.support.lines import LineClient, owner
from tests.support.until import until

CHUNK = "public:_0.abc.atxfer@alice"


@pytest.fixture
def world(atserver: DevServer) -> DevServer:
    """Run servers that speak both protocols, with one record in @alice's."""
    atserver.http = True
    store(atserver, CHUNK, "c2VhbGVk")
    return atserver


def store(world: DevServer, key: str, value: str, options: str = "") -> None:
    """Store a record by the line protocol."""
    with owner(world) as alice:
        assert alice.ask(f"update:{options}{key} {value}").startswith("data:")


class WebClient(HTTPSConnection):
    """The standard library's client, which speaks HTTP whatever ALPN says."""

    def __init__(self, world: DevServer, offer: Optional[list[str]] = None) -> None:
        context = ssl.create_default_context(cafile=world.ca_file)
        context.set_alpn_protocols(["http/1.1"] if offer is None else offer)
        super().__init__("localhost", world.servers["@alice"], context=context, timeout=20)
        self.connect()

    def __enter__(self) -> WebClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def protocol(self) -> Optional[str]:
        """What the server chose."""
        return self.sock.selected_alpn_protocol()

    def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """Ask, and return status and content."""
        answer = self.ask(path, method)
        return answer.status, answer.read()

    def ask(self, path: str, method: str = "GET") -> HTTPResponse:
        """Ask, and return the answer unread."""
        self.request(method, path)
        return self.getresponse()


@pytest.fixture
def web(world: DevServer) -> Iterator[WebClient]:
    """Connect to @alice's server."""
    with WebClient(world) as client:
        yield client


# --- which protocol


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["http/1.1"], "http/1.1"),
        (["http/1.1", "atProtocol/1.0"], "atProtocol/1.0"),
        (["h2", "http/1.1"], "http/1.1"),
        (["h2"], None),
    ],
)
def test_the_server_chooses_the_line_protocol_where_it_may(
    world: DevServer, offered: list[str], chosen: Optional[str]
) -> None:
    """Its own order decides; without a match the handshake goes on without a protocol."""
    with WebClient(world, offered) as client:
        assert client.protocol == chosen
        if chosen != "http/1.1":
            assert client.sock.recv(1) == b"@"


def test_without_an_offer_the_line_protocol_is_spoken(world: DevServer) -> None:
    """Clients that know no ALPN notice nothing."""
    with LineClient(world) as client:
        assert client.ask("lookup:_0.abc.atxfer@alice") == "data:c2VhbGVk"


def test_by_default_there_is_no_http(atserver: DevServer) -> None:
    """The server is a 3.0.52, which greets whoever offers HTTP by a prompt."""
    with WebClient(atserver) as client:
        assert client.protocol is None
        assert client.sock.recv(1) == b"@"


def test_the_directory_speaks_no_http(world: DevServer) -> None:
    """Only atServers do."""
    context = ssl.create_default_context(cafile=world.ca_file)
    context.set_alpn_protocols(["http/1.1"])
    client = HTTPSConnection("localhost", world.root_port, context=context, timeout=20)
    with contextlib.closing(client):
        client.connect()
        assert client.sock.selected_alpn_protocol() is None


def test_reset_makes_the_server_what_it_was(world: DevServer) -> None:
    """What one test sets, the next one doesn't meet."""
    world.reset()
    assert not world.http


# --- what is answered


@pytest.mark.parametrize(
    "path",
    [
        "/public:_0.abc.atxfer@alice",
        "/_0.abc.atxfer@alice",
        "/_0.abc.atxfer",
        "/public:_0.abc.atxfer",
        "/atxfer/abc/_0",
        "/@alice/atxfer/_0.abc",
        "/%5f0.abc.atxfer%40alice",
    ],
)
def test_a_key_may_be_written_in_many_ways(web: WebClient, path: str) -> None:
    """With or without its ends, or as folders; hidden keys like any other."""
    assert web.get(path) == (200, b"c2VhbGVk")


def test_the_headers_are_those_of_dart(web: WebClient) -> None:
    """Chunked plain text, no date, no name of the server."""
    answer = web.ask("/_0.abc.atxfer")
    assert dict(answer.getheaders()) == {
        "x-frame-options": "SAMEORIGIN",
        "x-xss-protection": "1; mode=block",
        "x-content-type-options": "nosniff",
        "content-type": "text/plain; charset=utf-8",
        "transfer-encoding": "chunked",
    }
    assert answer.read() == b"c2VhbGVk"


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/_1.abc.atxfer@alice", 404, b"404 Not Found"),
        ("GET", "/@bob:secret.atxfer@alice", 404, b"404 Not Found"),
        ("GET", "/" + "x" * 1000, 400, b""),
        ("GET", "/ws", 400, b""),
        ("GET", "/%ff", 200, b""),
        ("HEAD", "/_0.abc.atxfer@alice", 405, b""),
        ("DELETE", "/_0.abc.atxfer@alice", 405, b""),
    ],
)
def test_what_is_no_record_has_its_status(
    web: WebClient, method: str, path: str, status: int, body: bytes
) -> None:
    """Missing 404, too long 400, no GET 405; and a failure inside an empty 200."""
    assert web.get(path, method) == (status, body)


def test_the_name_decides_the_type(world: DevServer, web: WebClient) -> None:
    """As a web server does, unless the request names a type."""
    store(world, "public:index.html.notes.app@alice", "<b>hello</b>")
    for path, kind in (
        ("/app/notes/index.html", "text/html; charset=utf-8"),
        ("/app/notes/index.html?at_ct=text/css", "text/css; charset=utf-8"),
    ):
        answer = web.ask(path)
        assert answer.getheader("content-type") == kind
        assert answer.read() == b"<b>hello</b>"


def test_a_binary_value_comes_as_bytes(world: DevServer, web: WebClient) -> None:
    """What was stored as Base2e15 text is decoded."""
    store(world, "public:raw.atxfer@alice", "\u5141", "isBinary:true:")
    answer = web.ask("/raw.atxfer@alice")
    assert answer.getheader("content-type") == "application/octet-stream; charset=utf-8"
    assert isinstance(answer.read(), bytes)


def test_metadata_may_be_asked_for(web: WebClient) -> None:
    """``at_rt=meta`` gives it alone, ``at_rt=all`` with key and value."""
    status, meta = web.get("/_0.abc.atxfer?at_rt=meta")
    _, everything = web.get("/_0.abc.atxfer?at_rt=all")
    assert status == 200
    assert json.loads(everything)["data"] == "c2VhbGVk"
    assert json.loads(everything)["metaData"] == json.loads(meta)


def test_an_expired_record_is_served_until_the_sweep(world: DevServer, web: WebClient) -> None:
    """By HTTP the real server doesn't look at the time to live."""
    view = world.server("@alice")
    view.expire(CHUNK)
    assert web.get("/_0.abc.atxfer") == (200, b"c2VhbGVk")
    view.sweep()
    assert web.get("/_0.abc.atxfer")[0] == 404


def test_neither_a_pause_nor_the_limit_of_connections_matters(world: DevServer) -> None:
    """Dart's HTTP server stands beside what both belong to."""
    world.server("@alice").pause()
    world.faults.max_connections = 0
    with WebClient(world) as client:
        assert client.get("/_0.abc.atxfer")[0] == 200
    world.server("@alice").resume()


# --- one connection


def test_a_connection_is_kept(world: DevServer, web: WebClient) -> None:
    """Many requests, one connection."""
    world.counters.reset()
    for _ in range(5):
        assert web.get("/_0.abc.atxfer")[0] == 200
    counts = world.counters["@alice"]
    assert (counts["connections"], counts["commands"]) == (0, {"get": 5})
    assert counts["peak_in_flight"] == 1


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /_0.abc.atxfer HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /_0.abc.atxfer HTTP/1.0\r\n\r\n",
        b"PUT /_0.abc.atxfer HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"scan\r\n\r\n",
        b"GET /_0.abc.atxfer HTTP/1.1\r\nno header\r\n\r\n",
        b"GET  /_0.abc.atxfer HTTP/1.1\r\n\r\n",
        b"GET /_0.abc.atxfer HTTP/1.1\r\nX: " + b"x" * 70_000,
    ],
)
def test_a_connection_ends_where_it_should(web: WebClient, request_: bytes) -> None:
    """After a wish for that, a body that nobody reads, or nonsense: one answer, then the end."""
    web.sock.sendall(request_)
    with web.sock.makefile("rb") as stream:
        said = stream.read()
    assert said.count(b"HTTP/1.") == 1
    assert b"connection: close" in said


def test_requests_in_one_packet_are_answered_in_turn(web: WebClient) -> None:
    """Dart takes the next request when it has answered the last."""
    web.sock.sendall(
        b"GET /none HTTP/1.1\r\n\r\nGET /_0.abc.atxfer HTTP/1.1\r\nConnection: close\r\n\r\n"
    )
    with web.sock.makefile("rb") as stream:
        said = stream.read()
    assert said.index(b" 404 ") < said.index(b" 200 ")


def test_http_1_0_is_answered_without_chunks(web: WebClient) -> None:
    """The end of the connection is the end of the content."""
    web.sock.sendall(b"GET /_0.abc.atxfer HTTP/1.0\r\n\r\n")
    with web.sock.makefile("rb") as stream:
        said = stream.read()
    assert said.startswith(b"HTTP/1.0 200 OK\r\n")
    assert said.endswith(b"\r\n\r\nc2VhbGVk")


# --- faults


@pytest.mark.parametrize(
    ("word", "status"), [("AT0015", 404), ("AT0028", 429), ("AT0024", 503), ("AT0011", 500)]
)
def test_an_error_on_demand_has_a_status(
    world: DevServer, web: WebClient, word: str, status: int
) -> None:
    """Codes of the fault plan are told in HTTP's words, and the connection is kept."""
    world.faults.play(word, verbs={"get"})
    assert web.get("/_0.abc.atxfer")[0] == status
    assert web.get("/_0.abc.atxfer")[0] == 200


@pytest.mark.parametrize("word", ["drop-before", "drop-after"])
def test_a_dropped_connection_answers_nothing(world: DevServer, web: WebClient, word: str) -> None:
    """Before the work or after it, the client sees the end."""
    world.faults.play(word, verbs={"get"})
    with pytest.raises(ConnectionError):
        web.get("/_0.abc.atxfer")


def test_a_hanging_request_is_in_flight_until_the_client_leaves(world: DevServer) -> None:
    """It is counted like a line that is never answered."""
    world.counters.reset()
    world.faults.play("hang", verbs={"get"})
    client = WebClient(world)
    client.request("GET", "/_0.abc.atxfer")
    until(lambda: world.counters["@alice"]["in_flight"] == 1)
    client.close()
    until(lambda: world.counters["@alice"]["in_flight"] == 0)


def test_a_pause_delays_the_answer(world: DevServer, web: WebClient) -> None:
    """It comes when the servers' clock has moved on."""
    world.faults.play("pause", verbs={"get"})
    web.request("GET", "/_0.abc.atxfer")
    world.until_asleep()
    world.advance(1.0)
    assert web.getresponse().read() == b"c2VhbGVk"


def test_a_value_may_be_corrupted_on_its_way(world: DevServer, web: WebClient) -> None:
    """One character is another; the record itself is sound."""
    world.faults.play("corrupt", verbs={"get"})
    assert web.get("/_0.abc.atxfer")[1] != b"c2VhbGVk"
    assert web.get("/_0.abc.atxfer")[1] == b"c2VhbGVk"


def test_garbage_is_no_http(world: DevServer, web: WebClient) -> None:
    """And the connection ends."""
    world.faults.play("garbage", verbs={"get"})
    web.sock.sendall(b"GET /_0.abc.atxfer HTTP/1.1\r\n\r\n")
    with web.sock.makefile("rb") as stream:
        assert not stream.read().startswith(b"HTTP")


def test_a_request_costs_what_a_look_up_does(
    atserver_factory: Callable[..., DevServer],
) -> None:
    """Under the profile, reading by HTTP keeps the one core busy as well."""
    far = atserver_factory(["alice"], profile="atserver", http=True)
    store(far, CHUNK, "x" * 44_000)
    core = vars(far.server("@alice"))["_server"]._core
    with WebClient(far) as client:
        before = core._free_at
        assert client.get("/_0.abc.atxfer")[0] == 200
    assert core._free_at - before >= core_seconds(Work(answer_bytes=44_000, reads=1))


# --- without a server

REQUESTS = (
    b"GET /one HTTP/1.1\r\nHost: x\r\n\r\n"
    b"GET /two?a=b HTTP/1.1\r\nX-Y:  z \r\n\r\n"
    b"HEAD /three HTTP/1.1\r\n\r\n"
)


@given(st.lists(st.integers(0, len(REQUESTS)), max_size=6))
def test_every_split_of_the_bytes_gives_the_same_requests(cuts: list[int]) -> None:
    """A reader knows no packets."""
    reader, places = Reader(), [0, *sorted(cuts), len(REQUESTS)]
    pieces = [REQUESTS[start:end] for start, end in zip(places, places[1:])]
    found = [event for piece in pieces for event in reader.receive(piece)]
    assert found == [
        Request("GET", "/one", {"host": "x"}),
        Request("GET", "/two?a=b", {"x-y": "z"}),
        Request("HEAD", "/three", {}),
    ]


@given(st.binary(max_size=200))
def test_no_bytes_confuse_the_reader(data: bytes) -> None:
    """Whatever comes is requests, or the one end of them."""
    events = list(Reader().receive(data + b"\r\n\r\n"))
    assert all(isinstance(event, (Request, Malformed)) for event in events)
    assert not any(isinstance(event, Malformed) for event in events[:-1])


def test_nothing_is_read_after_nonsense() -> None:
    """What follows could be anything."""
    reader = Reader()
    (event,) = reader.receive(b"nonsense\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    assert isinstance(event, Malformed)
    assert list(reader.receive(b"GET / HTTP/1.1\r\n\r\n")) == []
    assert encode(event, 400).startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/foo", "public:foo@alice"),
        ("///foo@alice", "public:foo@alice"),
        ("/baz/bar/foo/index.html", "public:index.html.foo.bar.baz@alice"),
        ("/bar.baz/index.html.foo", "public:index.html.foo.bar.baz@alice"),
        ("/@alice:foo.bar@alice", "public:@alice:foo.bar@alice"),
        ("/", "public:@alice"),
    ],
)
def test_a_path_is_a_key(path: str, key: str) -> None:
    """The cases of the real server's own tests."""
    assert lookup_key(path, "@alice") == key
