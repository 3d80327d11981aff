"""Answers that are read piece by piece."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator

import pytest

from atxfer.config import TransferConfig
from atxfer.errors import Cancelled, ConnectionLost, RequestTimeout
from atxfer.stores.http import HttpTransport, Incoming, https_context
from atxfer.waiting import Wait
from tests.support.peers import Peer, read_until
from tests.support.web import WebServer, answer, chunked

CONTENT = bytes(range(256)) * 4096  # a mebibyte


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    """Return a transport that waits a second for an answer."""
    made = HttpTransport(https_context(), TransferConfig().but(request_timeout=1.0), width=3)
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[WebServer]:
    """Return a server that answers with a mebibyte."""
    with WebServer(lambda heard: answer(CONTENT, X_Kind="long")) as server:
        yield server


def opened(transport: HttpTransport, port: int, wait: Wait | None = None) -> Incoming:
    """Ask for something."""
    return transport.open("GET", f"http://localhost:{port}/", wait=wait or Wait())


def test_pieces_make_the_whole(server: WebServer, transport: HttpTransport) -> None:
    """What is passed over and what is read come one behind the other; the connection is kept."""
    with opened(transport, server.port) as incoming:
        assert (incoming.status, incoming.headers["x-kind"]) == (200, "long")
        assert incoming.read(1000) == CONTENT[:1000]
        incoming.skip(500_000)
        assert incoming.position == 501_000
        assert incoming.read(len(CONTENT) - 501_000) == CONTENT[501_000:]
    transport.request("GET", server.url(), wait=Wait(), max_bytes=len(CONTENT))
    assert transport.opened == 1


def test_one_that_is_left_unread_ends_its_connection(
    server: WebServer, transport: HttpTransport
) -> None:
    """Reading all of it could take as long as the file is large."""
    with opened(transport, server.port) as incoming:
        incoming.read(10)
    transport.request("GET", server.url(), wait=Wait(), max_bytes=len(CONTENT))
    assert transport.opened == 2


def test_what_is_forgotten_is_closed(server: WebServer, transport: HttpTransport) -> None:
    """A transfer that fails between two pieces leaves no connection behind (R23)."""
    incoming = opened(transport, server.port)
    channel = next(iter(vars(transport)["_channels"]))
    del incoming
    gc.collect()
    assert channel.fileno() < 0


@pytest.mark.parametrize("way", ["read", "skip"])
@pytest.mark.parametrize("said", [answer(bytes(5000))[:-4000], chunked(bytes(1000))])
def test_content_that_ends_early_is_a_lost_connection(
    transport: HttpTransport, said: bytes, way: str
) -> None:
    """Nobody takes a part for the whole."""

    def converse(sock: socket.socket) -> None:
        read_until(sock, b"\r\n\r\n")
        sock.sendall(said)

    with (
        Peer(converse) as peer,
        opened(transport, peer.port) as incoming,
        pytest.raises(ConnectionLost),
    ):
        getattr(incoming, way)(2000)


def test_each_piece_has_the_time_of_a_request(transport: HttpTransport) -> None:
    """A long answer is not too slow, as long as something comes."""

    def converse(sock: socket.socket) -> None:
        read_until(sock, b"\r\n\r\n")
        sock.sendall(answer(CONTENT)[: -len(CONTENT) + 10])
        read_until(sock, b"never")

    with Peer(converse) as peer, opened(transport, peer.port) as incoming:
        exchange = vars(incoming)["_exchange"]
        before = exchange.deadline.at
        incoming.read(5)
        assert exchange.deadline.at > before
        incoming.skip(5)
        with pytest.raises(RequestTimeout):
            incoming.read(1)


def test_cancelling_wakes_who_reads(transport: HttpTransport) -> None:
    """As it does a request."""
    wait = Wait()

    def converse(sock: socket.socket) -> None:
        read_until(sock, b"\r\n\r\n")
        sock.sendall(answer(CONTENT)[: -len(CONTENT)])
        wait.cancel()
        read_until(sock, b"never")

    with (
        Peer(converse) as peer,
        pytest.raises(Cancelled),
        opened(transport, peer.port, wait) as incoming,
    ):
        incoming.read(1)


def test_closing_the_transport_wakes_who_reads(server: WebServer, transport: HttpTransport) -> None:
    """It is told as the end of the client."""
    with opened(transport, server.port) as incoming:
        transport.close()
        with pytest.raises(Cancelled, match="the client was closed"):
            incoming.read(len(CONTENT))
