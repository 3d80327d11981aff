"""Reading another's server without a login: over HTTPS where it answers that, else line by line."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from atxfer._net.address import Address
from atxfer._net.directory import Directory
from atxfer._net.pool import ConnectionPool
from atxfer._net.stream import tls_context
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.config import TransferConfig
from atxfer.devserver import DevServer
from atxfer.errors import (
    AtSignNotFound,
    Cancelled,
    CertificateRejected,
    ChunkCorrupt,
    ChunkMissing,
    ConnectFailed,
    ConnectionLost,
    FileExpired,
    Overloaded,
    RequestTimeout,
    ServerFault,
    Throttled,
    TransferError,
)
from atxfer.model import Chunk
from atxfer.stores.atpublic import PublicAtServerStore
from atxfer.stores.atserver import AtServerStore
from atxfer.stores.base import StoredFile
from atxfer.waiting import Wait
from tests.support.lines import owner
from tests.support.peers import Peer
from tests.support.pools import FakePool
from tests.support.until import until
from tests.support.web import Heard, WebServer, answer

ID = "ucq2fi5euwtkpkfjvkv2zlnov4"
STORED = StoredFile(ID, "@alice", 3)
NOTE = AtKey.public("note", "@alice")
BOTH = ("http", "lines")


class Reader:
    """A store with all that belongs to it."""

    def __init__(self, world: DevServer, atsign: str = "@alice", **changes: Any) -> None:
        context = tls_context(world.ca_file)
        self.directory = Directory(Address(world.root_host, world.root_port), context, timeout=10.0)
        config = TransferConfig().but(**changes)
        self.pool = ConnectionPool(
            self.directory, atsign, login=None, context=context, config=config
        )
        self.store = PublicAtServerStore(
            atsign, self.pool, config, directory=self.directory, ca_file=world.ca_file
        )

    def close(self) -> None:
        """End all connections."""
        self.store.close()
        self.pool.close()

    def value(self, key: AtKey = NOTE, wait: Optional[Wait] = None) -> str:
        """Read a record."""
        return self.store.value(key, wait or Wait())

    def chunk(self, index: int = 0) -> Chunk:
        """Read one chunk."""
        (chunk,) = self.store.open_download(STORED, Wait()).get([index], Wait())
        return chunk


Made = Callable[..., Reader]


@pytest.fixture
def world(atserver: DevServer) -> DevServer:
    """Run @alice's server, with a note and three chunks in it."""
    put(atserver, NOTE, "hello")
    for index in range(3):
        put(atserver, chunk_key(index), base64.b64encode(b"sealed %d" % index).decode())
    atserver.counters.reset()
    return atserver


@pytest.fixture
def make(world: DevServer) -> Iterator[Made]:
    """Return how to make a reader; all are closed at the end."""
    readers: list[Reader] = []

    def make(**changes: Any) -> Reader:
        readers.append(Reader(world, **changes))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


@pytest.fixture(params=BOTH)
def way(request: pytest.FixtureRequest, world: DevServer) -> str:
    """Let the server speak HTTP, or be an old one: each such test holds for both."""
    world.http = request.param == "http"
    return str(request.param)


@pytest.fixture
def reader(make: Made, way: str) -> Reader:
    """Return one reader."""
    return make()


def chunk_key(index: int) -> AtKey:
    """Return the key of one of the chunks."""
    return AtKey.public(f"_{index}.{ID}", "@alice")


def put(world: DevServer, key: AtKey, value: str) -> None:
    """Store a record."""
    with owner(world, key.owner) as line:
        assert line.ask(f"update:{key} {value}").startswith("data:")


def verb_of(way: str) -> str:
    """Return what the server counts a request as."""
    return "get" if way == "http" else "lookup"


# --- what is there


def test_records_and_chunks_are_read(world: DevServer, reader: Reader, way: str) -> None:
    """Both ways give the same, and the server is asked by the one that it speaks, alone."""
    assert reader.value() == "hello"
    assert [reader.chunk(index).data for index in (2, 0)] == [b"sealed 2", b"sealed 0"]
    assert world.counters["@alice"]["commands"] == {verb_of(way): 3}


@pytest.mark.parametrize("text", ["a b", "ünï \U0001f600 code", "data:,hello", "error:none", "{}"])
def test_any_text_may_be_a_value(world: DevServer, reader: Reader, way: str, text: str) -> None:
    """Also one that looks like an answer of the line protocol."""
    put(world, NOTE, text)
    assert reader.value() == text


def test_the_platform_s_own_keys_are_read(world: DevServer, reader: Reader) -> None:
    """The public key, which has no namespace."""
    key = AtKey.public("publickey", "@alice", "")
    assert reader.value(key) == world.server("@alice").value("public:publickey@alice")


def test_a_name_may_have_any_letters(atserver_factory: Callable[..., DevServer]) -> None:
    """A key is percent-encoded on its way."""
    world = atserver_factory(["\U0001f984"], http=True)
    key = AtKey.public("it's*fine", "@\U0001f984")
    put(world, key, "hello")
    reader = Reader(world, "@\U0001f984")
    assert reader.value(key) == "hello"
    assert world.counters["@\U0001f984"]["commands"]["get"] == 1
    reader.close()


def test_the_largest_chunk_is_read(world: DevServer, reader: Reader) -> None:
    """A chunk of 7 MiB is 9.8 MB of base64, just within the servers' buffer."""
    data = os.urandom(7 << 20)
    put(world, chunk_key(0), base64.b64encode(data).decode())
    assert reader.chunk().data == data


# --- what is not


def test_what_is_missing_says_so(reader: Reader) -> None:
    """A record is not found, a chunk is missing, and the chunk is named."""
    with pytest.raises(KeyNotFound):
        reader.value(AtKey.public("nothing", "@alice"))
    with pytest.raises(ChunkMissing) as caught:
        reader.chunk(7)
    assert caught.value.chunk == 7


def test_what_is_expired_says_so(world: DevServer, reader: Reader, way: str) -> None:
    """A record whose value reads null is over, whichever way it came."""
    world.server("@alice").alter(str(chunk_key(0)), "null")
    world.server("@alice").alter(str(NOTE), "null")
    with pytest.raises(FileExpired):
        reader.value()
    with pytest.raises(FileExpired) as caught:
        reader.chunk()
    assert caught.value.chunk == 0


def test_between_expiry_and_sweep_http_still_gives_a_record(
    world: DevServer, reader: Reader, way: str
) -> None:
    """Real servers don't look at the time by HTTP; after the sweep both ways find nothing."""
    view = world.server("@alice")
    view.expire(str(NOTE))
    if way == "http":
        assert reader.value() == "hello"
    else:
        with pytest.raises(FileExpired):
            reader.value()
    view.sweep()
    with pytest.raises(KeyNotFound):
        reader.value()


def test_what_is_no_chunk_says_so(world: DevServer, reader: Reader) -> None:
    """Text that is not base64 was never a chunk."""
    world.server("@alice").alter(str(chunk_key(0)), "no base64!")
    with pytest.raises(ChunkCorrupt) as caught:
        reader.chunk()
    assert caught.value.chunk == 0


def test_a_record_without_a_value_is_expired(world: DevServer, reader: Reader) -> None:
    """By HTTP it looks like a failure, so the line protocol is asked what it is."""
    with owner(world) as alice:
        alice.ask("update:meta:public:empty.atxfer@alice:ttl:100000")
    with pytest.raises(FileExpired):
        reader.value(AtKey.public("empty", "@alice"))
    assert reader.value() == "hello"


@pytest.mark.parametrize(
    "key", [AtKey.public("note", "@bob"), AtKey.self_("note", "@alice")], ids=str
)
def test_other_keys_are_misuse(reader: Reader, key: AtKey) -> None:
    """Neither another's records nor what isn't public can be asked for here."""
    with pytest.raises(ValueError, match="is no public key of @alice"):
        reader.value(key)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("AT0028", Throttled),
        ("AT0024", Overloaded),
        ("AT0011", ServerFault),
        ("drop-before", ConnectionLost),
        ("drop-after", ConnectionLost),
        ("hang", RequestTimeout),
    ],
)
def test_a_failure_that_passes_is_told_alike(
    world: DevServer, make: Made, way: str, word: str, kind: type[TransferError]
) -> None:
    """It is typed by its cause, may be tried again, and changes nothing about the way."""
    reader = make(request_timeout=0.3)
    world.faults.play(f"ok {word}", verbs={verb_of(way)})
    assert reader.value() == "hello"
    with pytest.raises(kind) as caught:
        reader.value()
    assert caught.value.retryable
    assert reader.value() == "hello"
    assert world.counters["@alice"]["commands"] == {verb_of(way): 3}


def test_a_wrong_certificate_is_refused(world: DevServer, reader: Reader) -> None:
    """Nothing is read from a server that can't prove who it is."""
    reader.directory.resolve("@alice", Wait())
    world.faults.wrong_certificate = True
    with pytest.raises(CertificateRejected):
        reader.value()


def test_an_atsign_that_nobody_has(world: DevServer) -> None:
    """It is told as such."""
    reader = Reader(world, "@nobody")
    with pytest.raises(AtSignNotFound):
        reader.value(AtKey.public("note", "@nobody"))
    reader.close()


# --- connections


def test_one_handshake_decides_and_serves(world: DevServer, reader: Reader, way: str) -> None:
    """Whatever the server speaks, the connection that found it out is used: there is one."""
    for _ in range(5):
        reader.value()
    counts = world.counters["@alice"]
    assert (counts["connections"], counts["commands"]) == (1, {verb_of(way): 5})
    assert counts["logins"] == 0


def test_workers_have_a_connection_each_and_keep_it(
    world: DevServer, reader: Reader, way: str
) -> None:
    """Six at a time from the first moment: six requests in flight, six connections in all."""
    world.latency = 0.02
    together = threading.Barrier(6)

    def work(number: int) -> None:
        together.wait(30)
        for index in range(10):
            reader.chunk((number + index) % 3)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    counts = world.counters["@alice"]
    assert counts["commands"] == {verb_of(way): 60}
    assert counts["connections"] <= 6
    assert counts["peak_in_flight"] == 6
    world.latency = 0.0


@pytest.mark.parametrize("moment", ["deciding", "deaf", "asking"])
def test_cancellation_wakes_whoever_waits(
    world: DevServer, reader: Reader, way: str, moment: str
) -> None:
    """In the handshake, before another's handshake is over, or for an answer: at once."""
    waits = [Wait(), Wait()]
    if moment == "asking":
        world.faults.play("hang hang", verbs={verb_of(way)})
    else:
        world.faults.deaf = 1.0
    with ThreadPoolExecutor(2) as threads:
        ends = [
            threads.submit(reader.value, NOTE, wait) for wait in waits[: 1 + (moment != "deaf")]
        ]
        counts = world.counters
        if moment == "asking":
            until(lambda: counts["@alice"]["in_flight"] == 2)
        else:
            until(lambda: counts["@alice"]["connections_now"] == 1)
        for wait in reversed(waits):
            wait.cancel("no longer wanted")
        for end in ends:
            with pytest.raises(Cancelled, match="no longer wanted"):
                end.result(30)


def test_a_closed_store_takes_no_requests(reader: Reader) -> None:
    """It says why, whether it had been used or not."""
    reader.value()
    reader.close()
    with pytest.raises(Cancelled, match="the client was closed"):
        reader.value()


def test_a_store_that_is_closed_early_stays_closed(reader: Reader) -> None:
    """Nothing is opened later on."""
    reader.close()
    with pytest.raises(Cancelled, match="the client was closed"):
        reader.value()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_parent_and_child_both_read(world: DevServer, reader: Reader) -> None:
    """Each by connections of its own, whatever a thread of the parent was about (R28)."""
    reader.value()
    vars(reader.store)["_deciding"].acquire()
    child = os.fork()
    if child == 0:
        try:
            reader.store.drop()
            reader.pool.drop()
            os._exit(0 if reader.value() == "hello" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert reader.value() == "hello"
    assert world.counters["@alice"]["connections"] == 2


# --- servers that move and change


@pytest.mark.parametrize("then", BOTH)
def test_a_server_that_moves_is_found_and_asked_anew(
    world: DevServer, reader: Reader, way: str, then: str
) -> None:
    """What it speaks at its new address is found out there, by the second request at the latest."""
    assert reader.value() == "hello"
    view = world.server("@alice")
    before = view.port
    view.stop()
    vars(view)["_server"].port = 0  # whichever is free
    world.http = then == "http"
    view.start()
    assert view.port != before
    assert reader.value() == "hello"
    world.counters.reset()
    assert reader.value() == "hello"
    assert world.counters["@alice"]["commands"] == {verb_of(then): 1}


def test_a_server_that_is_gone_says_so(world: DevServer, reader: Reader) -> None:
    """Where the directory still tells the old address, it can't be reached."""
    world.server("@alice").stop()
    with pytest.raises(ConnectFailed):
        reader.value()
    world.server("@alice").start()
    assert reader.value() == "hello"


def test_a_server_that_became_an_older_one_is_asked_by_lines(world: DevServer, make: Made) -> None:
    """It greets instead of answering, which is no HTTP; and is not asked a second time."""
    world.http = True
    reader = make()
    reader.value()
    world.http = False
    world.server("@alice").restart()
    world.counters.reset()
    for _ in range(3):
        assert reader.value() == "hello"
    counts = world.counters["@alice"]
    assert counts["commands"]["lookup"] == 3
    assert counts["connections"] == 2


def test_nonsense_by_http_ends_http(world: DevServer, make: Made) -> None:
    """From then on the line protocol is spoken, and the request itself is answered by it."""
    world.http = True
    reader = make()
    reader.value()
    world.faults.play("garbage", verbs={"get"})
    for _ in range(3):
        assert reader.value() == "hello"
    assert world.counters["@alice"]["commands"] == {"get": 2, "lookup": 3}


class Known(Directory):
    """A directory that knows one address."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def resolve(self, atsign: str, wait: Wait) -> Address:
        """Return it."""
        return self._address

    def forget(self, atsign: str) -> None:
        """Do nothing."""


class LinePool(FakePool):
    """A pool that answers, and notes what it is given."""

    def __init__(self) -> None:
        super().__init__(lambda line: "by line")
        self.adopted = 0

    def adopt(self, stream: Any, address: Address) -> None:
        """Take a connection over."""
        self.adopted += 1
        stream.close()


def asked_of(server: Peer, ca_file: Path, times: int = 2) -> tuple[list[str], LinePool]:
    """Ask a server whose HTTP is as the test has it; return the answers, and who else gave them."""
    pool = LinePool()
    store = PublicAtServerStore(
        "@alice",
        pool,  # type: ignore[arg-type]  # a fake one
        TransferConfig(),
        directory=Known(server.address),
        ca_file=ca_file,
    )
    values = [store.value(NOTE, Wait()) for _ in range(times)]
    store.close()
    return values, pool


@pytest.fixture
def web_context(server_context: ssl.SSLContext) -> Iterator[ssl.SSLContext]:
    """Return a server's context that chooses HTTP."""
    server_context.set_alpn_protocols(["http/1.1"])
    yield server_context
    server_context.set_alpn_protocols([])


def test_the_request_is_what_real_servers_want(web_context: ssl.SSLContext, ca_file: Path) -> None:
    """The whole key as the path, as it stands."""
    with WebServer(lambda heard: answer(b"by http"), web_context) as server:
        values, pool = asked_of(server, ca_file)
    assert (values, pool.requests, pool.adopted) == (["by http"] * 2, [], 0)
    assert server.heard[0].line == "GET /public:note.atxfer@alice HTTP/1.1"
    assert server.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        answer(b"data:by http\n"),
        answer(b"error:no such key public:note.atxfer@alice\n"),
        answer(b"", 301, Location="https://elsewhere.example/"),
        answer(b"<h1>Forbidden</h1>", 403),
        answer(b"<h1>What?</h1>", 400),
        answer(b"<h1>Gone</h1>", 410),
        answer(b"", 204),
        answer(b"\xff\xfe"),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        answer(Content_Length="10240001"),
    ],
)
def test_answers_that_no_server_of_today_gives_end_http(
    web_context: ssl.SSLContext, ca_file: Path, said: bytes
) -> None:
    """Servers before 3.6, and whatever else stands there, are asked by the line protocol."""
    with WebServer(lambda heard: said, web_context) as server:
        values, _ = asked_of(server, ca_file)
    assert values == ["by line"] * 2
    assert len(server.heard) == 1


def test_an_empty_answer_is_asked_for_again_by_the_line_alone(
    web_context: ssl.SSLContext, ca_file: Path
) -> None:
    """It says nothing about the next record."""
    bodies = [b"", b"by http"]

    def reply(heard: Heard) -> bytes:
        return answer(bodies.pop(0))

    with WebServer(reply, web_context) as server:
        values, _ = asked_of(server, ca_file)
    assert values == ["by line", "by http"]


def test_a_server_that_refuses_the_offer_is_asked_by_lines(ca_file: Path) -> None:
    """Strict TLS ends a handshake without a common protocol by an alert."""

    def refuse(sock: socket.socket) -> None:
        sock.recv(65_536)
        sock.sendall(b"\x15\x03\x03\x00\x02\x02\x78")  # fatal: no_application_protocol
        sock.recv(1)

    with Peer(refuse) as server:
        values, pool = asked_of(server, ca_file)
    assert (values, pool.adopted) == (["by line"] * 2, 0)


# --- what it offers


def test_it_offers_what_an_atserver_offers_but_batches(world: DevServer, reader: Reader) -> None:
    """Chunks are as large as the owner's, and read one by one."""
    owners = AtServerStore(None, "@alice", TransferConfig()).capabilities  # type: ignore[arg-type]
    ours = reader.store.capabilities
    assert ours.max_chunks_per_read == 1
    assert (ours.max_chunk_bytes, ours.max_read_bytes) == (
        owners.max_chunk_bytes,
        owners.max_read_bytes,
    )
