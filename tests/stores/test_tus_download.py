"""What lies in a tus server: described, read, removed, and by whom."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional

import pytest

from atxfer._policy.sizing import choose_chunk_size, chunks_per_request
from atxfer.config import TransferConfig
from atxfer.errors import (
    ChunkCorrupt,
    ChunkMissing,
    ConnectionLost,
    FileExpired,
    FileNotFound,
    LoginRefused,
    NotSupported,
    ProtocolViolation,
    RequestRejected,
    TransferError,
)
from atxfer.model import chunk_count
from atxfer.stores.base import Capabilities, Leftover, ObjectInfo, StoredFile
from atxfer.stores.http import HttpTransport, https_context
from atxfer.stores.tus import TusStore
from atxfer.waiting import Wait
from tests.support.tusbench import TusBench, tus_bench
from tests.support.tuspeer import ALL, PLAIN, TusPeer, said
from tests.support.web import Last, answer
from tests.support.worlds import content

CHUNK = 1000
DATA = content(3 * CHUNK + 500)


@pytest.fixture
def peer() -> Iterator[TusPeer]:
    """Return a server."""
    with TusPeer(PLAIN) as peer:
        yield peer


@pytest.fixture
def bench(peer: TusPeer) -> Iterator[TusBench]:
    """Return a client of the server, with chunks of a thousand bytes."""
    with tus_bench(peer.creation, chunk_size=CHUNK) as bench:
        yield bench


@pytest.fixture
def address(bench: TusBench) -> str:
    """Return the address of a file of four chunks."""
    return bench.upload(DATA, "a.bin").file_id


# --- what is known of a file


def test_a_file_is_described_by_the_server(peer: TusPeer, bench: TusBench, address: str) -> None:
    """Its name and its length, and more where the server says more."""
    assert bench.store.stat(address, Wait()) == ObjectInfo(address, "a.bin", len(DATA))
    peer.say(
        "HEAD",
        said(
            200,
            Upload_Offset="5",
            Upload_Length="5",
            ETag='"v1"',
            Last_Modified="Wed, 25 Jun 2014 16:00:00 GMT",
            Upload_Expires="Wed, 25 Jun 2014 17:00:00 GMT",
        ),
    )
    assert bench.store.stat(address, Wait()) == ObjectInfo(
        address, "", 5, '"v1"', 1_403_712_000.0, 1_403_715_600.0
    )


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\nb", "🙂" * 100])
def test_a_hostile_name_is_passed_on_as_it_is(
    peer: TusPeer, bench: TusBench, address: str, name: str
) -> None:
    """Whoever writes a file by it has to see to it (R24)."""
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    peer.say("HEAD", said(200, Upload_Offset="5", Upload_Length="5", Upload_Metadata=metadata))
    assert bench.store.stat(address, Wait()).name == name


def test_a_weak_version_is_none(peer: TusPeer, bench: TusBench, address: str) -> None:
    """It does not promise the same bytes."""
    peer.say("HEAD", said(200, Upload_Offset="5", Upload_Length="5", ETag='W/"v1"'))
    assert bench.store.stat(address, Wait()).version == ""


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (said(404), FileNotFound),
        (said(410), FileExpired),
        (said(200, Upload_Offset="4", Upload_Length="5"), FileNotFound),
        (said(200, Upload_Length="5"), FileNotFound),
        (said(204), ProtocolViolation),
        (said(200, Upload_Offset="x"), ProtocolViolation),
    ],
)
def test_what_is_no_file_says_why(
    peer: TusPeer, bench: TusBench, address: str, reply: bytes, error: type[TransferError]
) -> None:
    """Gone, expired, not ended, or no upload at all."""
    peer.say("HEAD", reply)
    with pytest.raises(error):
        bench.store.stat(address, Wait())


def test_a_file_elsewhere_is_not_asked_for(bench: TusBench, address: str) -> None:
    """Credentials for one server go to no other (R24)."""
    asks: list[Callable[[str], object]] = [
        lambda url: bench.store.stat(url, Wait()),
        lambda url: bench.store.read(ObjectInfo(url, "", 5), 0, 5, Wait()),
        lambda url: bench.store.url(ObjectInfo(url, "", 5), None, Wait()),
        lambda url: bench.store.open_download(stored(url), Wait()),
        lambda url: bench.store.delete(stored(url), range(1), Wait()),
        lambda url: bench.store.drop(Leftover(url, token(url)), Wait()),
    ]
    for url in ("https://evil.example/1", address.replace("http:", "https:"), "nonsense"):
        for ask in asks:
            with pytest.raises(ValueError, match="expected the URL of a file at localhost"):
                ask(url)


def stored(url: str) -> StoredFile:
    """Return a file at an address."""
    return StoredFile("id", "", 1, {"address": url, "name": "", "size": 5}, 5, 5)


def token(url: str) -> bytes:
    """Return a token for what is to be removed."""
    return b'{"version":1,"urls":["%s"]}' % url.encode()


# --- reading


def read(bench: TusBench, address: str, start: int, stop: int, version: str = "") -> bytes:
    """Read a part of the file."""
    return bench.store.read(ObjectInfo(address, "", len(DATA), version), start, stop, Wait())


@pytest.mark.parametrize("gives_parts", [True, False])
@pytest.mark.parametrize(("start", "stop"), [(0, 3500), (0, 1), (3499, 3500), (7, 7), (10, 2000)])
def test_a_part_is_read(
    peer: TusPeer, bench: TusBench, address: str, start: int, stop: int, *, gives_parts: bool
) -> None:
    """Exactly these bytes, whether the server gives them alone or with all others."""
    peer.gives_parts = gives_parts
    assert read(bench, address, start, stop) == DATA[start:stop]
    assert peer.count("GET") == (start < stop)


def partial(body: bytes, range_: str, **headers: str) -> bytes:
    """Return a 206."""
    return answer(body, 206, Content_Range=range_, **headers)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (partial(DATA[:10], "bytes 1-10/3500"), ProtocolViolation),
        (partial(DATA[:9], "bytes 0-8/3500"), ProtocolViolation),
        (answer(DATA[:10], 206), ProtocolViolation),
        (partial(DATA[:10], "bytes 0-9/3501"), ChunkCorrupt),
        (partial(DATA[:10], "bytes 0-9/3500", ETag='"v2"'), ChunkCorrupt),
        (partial(DATA[:10], "bytes 0-9/3500", Content_Encoding="gzip"), ProtocolViolation),
        (Last(partial(DATA[:10], "bytes 0-9/3500")[:-1]), ConnectionLost),
        (partial(DATA[:9], "bytes 0-9/3500"), ConnectionLost),
        (answer(DATA[:-1]), ChunkCorrupt),
        (Last(answer(DATA)[:-3495]), ConnectionLost),
        (answer(b"", 412), ChunkCorrupt),
        (answer(b"", 416, Content_Range="bytes */5"), ChunkCorrupt),
        (answer(b"who?", 404), ChunkMissing),
        (answer(b"", 410), ChunkMissing),
    ],
)
def test_what_was_not_asked_for_is_not_taken(
    peer: TusPeer, bench: TusBench, address: str, reply: bytes, error: type[TransferError]
) -> None:
    """Another part, another file, or no file (scenario 15, R22)."""
    peer.say("GET", reply)
    with pytest.raises(error):
        read(bench, address, 0, 10, version='"v1"')


def test_a_version_is_insisted_on(peer: TusPeer, bench: TusBench, address: str) -> None:
    """The server compares it, too."""
    assert read(bench, address, 0, 10, version='"v1"') == DATA[:10]
    assert read(bench, address, 0, 10) == DATA[:10]
    first, second = (h.headers for h in peer.heard if h.line.startswith("GET"))
    assert first["if-match"] == '"v1"'
    assert "if-match" not in second


# --- whole files


def gets(peer: TusPeer) -> list[str]:
    """Return what parts were asked for."""
    return [h.headers.get("range", "all") for h in peer.heard if h.line.startswith("GET")]


def test_a_file_comes_in_parts(peer: TusPeer, bench: TusBench, address: str) -> None:
    """The first one shows that the server gives them, and the others come side by side."""
    assert bench.download(address) == DATA
    assert gets(peer)[0] == "bytes=0-999"
    assert sorted(gets(peer)) == [
        "bytes=0-999",
        "bytes=1000-1999",
        "bytes=2000-2999",
        "bytes=3000-3499",
    ]


def test_a_server_that_gives_all_gives_it_once(
    peer: TusPeer, bench: TusBench, address: str
) -> None:
    """One answer serves all chunks, in order, and is read to its end (R22)."""
    peer.gives_parts = False
    for _ in range(2):
        assert bench.download(address) == DATA
    assert gets(peer) == ["bytes=0-999", "all"]
    assert peer.connections == 1


def test_an_answer_that_breaks_off_is_asked_for_again(
    peer: TusPeer, bench: TusBench, address: str
) -> None:
    """From its beginning, as there is no other way; what was written stays."""
    peer.gives_parts = False
    peer.say("GET", Last(answer(DATA)[:-1400]))
    assert bench.download(address) == DATA
    assert gets(peer) == ["bytes=0-999", "all"]


@pytest.mark.parametrize("gives_parts", [True, False])
def test_a_sealed_file_is_read_by_its_end(peer: TusPeer, *, gives_parts: bool) -> None:
    """Where its manifest is; then chunk by chunk."""
    peer.gives_parts = gives_parts
    with tus_bench(peer.creation, chunk_size=CHUNK, encrypt=True) as bench:
        link = bench.upload(DATA, "a.bin").link
        assert bench.download(link or "") == DATA


def test_an_empty_file_is_not_asked_for(peer: TusPeer, bench: TusBench) -> None:
    """There is nothing to read."""
    assert bench.download(bench.upload(b"").file_id) == b""
    assert peer.count("GET") == 0


# --- removing, and what can't be done


def test_a_file_is_removed_there_or_not(peer: TusPeer, bench: TusBench, address: str) -> None:
    """In one request."""
    for _ in range(2):
        bench.store.delete(stored(address), range(4), Wait())
    assert (peer.uploads, peer.count("DELETE")) == ({}, 2)


@pytest.mark.parametrize("status", [405, 501])
def test_a_server_may_not_let_us_remove(
    peer: TusPeer, bench: TusBench, address: str, status: int
) -> None:
    """That is told, whatever it had said before."""
    peer.say("DELETE", said(status))
    with pytest.raises(NotSupported, match="lets nobody remove"):
        bench.store.delete(stored(address), range(1), Wait())


def test_what_a_server_does_not_offer_is_not_asked_for() -> None:
    """Without termination no DELETE is sent."""
    with TusPeer("creation") as peer, tus_bench(peer.creation) as bench:
        address = bench.upload(b"abc").file_id
        with pytest.raises(NotSupported, match="lets nobody remove"):
            bench.store.delete(stored(address), range(1), Wait())
        assert peer.count("DELETE") == 0


def test_a_server_that_said_nothing_is_tried(peer: TusPeer, bench: TusBench) -> None:
    """It may be able to, though it does not tell."""
    peer.say("OPTIONS", said(404))
    bench.store.delete(stored(bench.upload(b"abc").file_id), range(1), Wait())
    assert peer.uploads == {}


def test_there_are_no_lists(bench: TusBench) -> None:
    """The protocol has none; the error says what to do instead."""
    for ask in (bench.store.objects, bench.store.leftovers):
        with pytest.raises(NotSupported, match="does not list") as caught:
            ask(Wait())
        assert caught.value.remedy


def test_an_address_is_its_own_link(bench: TusBench, address: str) -> None:
    """It does not end by itself, and can't be made to."""
    info = bench.store.stat(address, Wait())
    assert bench.store.url(info, None, Wait()) == (address, None)
    with pytest.raises(ValueError, match="no URLs that end"):
        bench.store.url(info, 60.0, Wait())


def test_how_long_a_file_lives_is_the_servers_decision(
    peer: TusPeer, bench: TusBench, address: str
) -> None:
    """One without an end lives long enough; one with an end can't be helped."""
    bench.store.extend(stored(address), range(1), 60.0, Wait())
    expires = {"Upload_Expires": "Wed, 25 Jun 2064 16:00:00 GMT"}
    peer.say("HEAD", said(200, Upload_Offset="5", Upload_Length="5", **expires), said(410))
    with pytest.raises(NotSupported, match="decides itself"):
        bench.store.extend(stored(address), range(1), 60.0, Wait())
    with pytest.raises(ChunkMissing):
        bench.store.extend(stored(address), range(1), 60.0, Wait())


# --- credentials, redirects


def test_credentials_go_with_each_request(peer: TusPeer) -> None:
    """And the headers of the protocol stay what they are."""
    headers = {"X-Team": "red", "Tus-Resumable": "9", "content-type": "x/y"}
    with tus_bench(peer.creation, chunk_size=CHUNK, headers=headers, auth=("me", "pw")) as bench:
        address = bench.upload(DATA).file_id
        bench.download(address)
        bench.delete(address)
    assert set(peer.asked) == {"OPTIONS", "POST", "PATCH", "HEAD", "GET", "DELETE"}
    for heard in peer.heard:
        assert (heard.headers["x-team"], heard.headers["authorization"]) == (
            "red",
            "Basic bWU6cHc=",
        )
        if heard.body:
            assert heard.headers["content-type"] == "application/offset+octet-stream"
            assert heard.headers["tus-resumable"] == "1.0.0"


def test_a_login_may_stand_in_the_address(peer: TusPeer) -> None:
    """It is sent, and shown nowhere."""
    with tus_bench(peer.creation.replace("//", "//me:pw@")) as bench:
        address = bench.upload(b"abc").file_id
        assert bench.store.address == peer.creation
        assert "pw" not in f"{bench.store!r} {address}"
        assert bench.download(address.replace("//", "//me:pw@")) == b"abc"
    assert {h.headers["authorization"] for h in peer.heard} == {"Basic bWU6cHc="}


def test_a_token_that_is_refused_is_renewed_once(peer: TusPeer) -> None:
    """The caller is asked for another; one that is refused as well is the end (R8)."""
    tokens = iter(["Bearer 1", "Bearer 2", "Bearer 2", "Bearer 3"])
    peer.say("OPTIONS", said(401))
    peer.say("POST", said(401), said(401))
    with (
        tus_bench(peer.creation, auth=lambda: next(tokens)) as bench,
        pytest.raises(LoginRefused),
    ):
        bench.upload(b"abc")
    sent = [(h.line.split(" ")[0], h.headers["authorization"]) for h in peer.heard]
    assert sent == [
        ("OPTIONS", "Bearer 1"),
        ("OPTIONS", "Bearer 2"),
        ("POST", "Bearer 2"),
        ("POST", "Bearer 3"),
    ]


def test_a_token_that_is_refused_is_not_sent_again(peer: TusPeer) -> None:
    """Where the caller has no other."""
    peer.say("OPTIONS", said(401))
    with (
        tus_bench(peer.creation, auth=lambda: "Bearer 1") as bench,
        pytest.raises(LoginRefused, match="answered 401"),
    ):
        bench.upload(b"abc")
    assert peer.asked == ["OPTIONS"]


def there_and_back(bench: TusBench) -> None:
    """Do all that can be done with a file."""
    address = bench.upload(DATA).file_id
    bench.download(address)
    bench.delete(address)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["OPTIONS", "POST", "PATCH", "HEAD", "GET", "DELETE"])
def test_no_redirect_is_followed(peer: TusPeer, method: str, status: int) -> None:
    """The error says where it leads to, without the secrets of that address (scenario 25)."""
    with TusPeer(PLAIN) as other, tus_bench(peer.creation, chunk_size=CHUNK) as bench:
        peer.say(method, said(status, Location=other.url("/files/1?key=secret")))
        with pytest.raises(RequestRejected) as caught:
            there_and_back(bench)
        assert f"redirects to {other.url('/files/1')}" in str(caught.value)
        assert "secret" not in str(caught.value)
        assert other.heard == []


def test_an_upload_elsewhere_gets_nothing(peer: TusPeer) -> None:
    """Neither bytes nor credentials (R24)."""
    with TusPeer(PLAIN) as other, tus_bench(peer.creation, auth=("me", "pw")) as bench:
        peer.say("POST", said(201, Location=other.url("/files/1")))
        with pytest.raises(ProtocolViolation, match="another server") as caught:
            bench.upload(b"abc")
        assert "Nothing was sent there" in caught.value.remedy
        assert other.heard == []


# --- the address of a server


def store(address: str, config: Optional[TransferConfig] = None, **how: Any) -> TusStore:
    """Return a store that is not asked for anything."""
    config = config or TransferConfig()
    return TusStore(address, HttpTransport(https_context(), config, width=1), config, **how)


@pytest.mark.parametrize("address", ["host/files", "ftp://h/", "https:///x", "https://h/#a"])
def test_an_address_is_an_url_of_a_server(address: str) -> None:
    """Anything else is misuse."""
    with pytest.raises(ValueError, match=r"expected|no part"):
        store(address)


@pytest.mark.parametrize(
    ("address", "how", "warned"),
    [
        ("http://far.example/", {"auth": ("me", "pw")}, True),
        ("http://far.example/", {"headers": {"X-Token": "pw"}}, True),
        ("http://me:pw@far.example/", {}, True),
        ("http://far.example/", {}, False),
        ("https://far.example/", {"auth": ("me", "pw")}, False),
        ("http://localhost:8080/", {"auth": ("me", "pw")}, False),
        ("http://127.1.2.3/", {"auth": ("me", "pw")}, False),
        ("http://[::1]/", {"auth": ("me", "pw")}, False),
    ],
)
def test_a_login_in_the_clear_is_warned_of(
    caplog: pytest.LogCaptureFixture, address: str, how: dict[str, Any], *, warned: bool
) -> None:
    """But for this machine itself; it is sent all the same, as with requests."""
    with caplog.at_level(logging.WARNING, "atxfer.tus"):
        store(address, **how)
    assert ("https" in caplog.text) == warned
    assert "pw" not in caplog.text


def learnt(extensions: str, **config: Any) -> Capabilities:
    """Return what a store says of a server of these extensions."""
    with TusPeer(extensions) as peer:
        asked = store(peer.creation, TransferConfig().but(**config))
        asked.learn(Wait())
        return asked.capabilities


@pytest.mark.parametrize(
    ("extensions", "sizes"),
    [
        (ALL, ((1, 8), (8, 8), (9, 10), (320, 10), (321, 8), (10_000, 8))),
        (PLAIN, ((1, 8), (8, 8), (9, 8), (320, 8), (10_000, 8))),
    ],
)
def test_chunks_are_of_mebibytes(extensions: str, sizes: Sequence[tuple[int, int]]) -> None:
    """A server of tus is asked in large pieces, and small files are one."""
    capabilities = learnt(extensions)
    mib = 1 << 20
    for size, chunk in sizes:
        assert choose_chunk_size(size * mib, capabilities, overhead=28) == chunk * mib
    assert choose_chunk_size(5 * mib, capabilities, 1000) == 1000
    assert chunks_per_request(1000, capabilities) == 1


@pytest.mark.parametrize(
    ("budget", "cap", "part", "most"),
    [
        *((16, 3, 5, 256), (16, 2, 8, 256), (64, 4, 16, 512), (64, 5, 12, 384)),
        *((1, 3, 5, 256), (16, 1, 8, 0)),
    ],
)
def test_parts_share_the_memory_budget(budget: int, cap: int, part: int, most: int) -> None:
    """As many of them are under way as there are permits, and no fewer for being too large."""
    mib = 1 << 20
    capabilities = learnt(ALL, memory_budget=budget * mib, max_concurrent_uploads=cap)
    assert choose_chunk_size(20 * mib, capabilities) == part * mib
    for size in (most, most + 1):
        chunks = chunk_count(size * mib, choose_chunk_size(size * mib, capabilities))
        assert capabilities.for_chunks(chunks).parallel == (cap > 1 and size == most)
    assert choose_chunk_size(10_000 * mib, capabilities) == 8 * mib
