"""Look-ups in an atDirectory, against a scripted one."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest

from atxfer._net.address import Address
from atxfer._net.directory import Directory
from atxfer.errors import (
    AtSignNotFound,
    Cancelled,
    CertificateRejected,
    DeadlineExceeded,
    DirectoryUnavailable,
    TransferError,
)
from atxfer.waiting import Deadline, Wait
from tests.support.peers import Peer, read_until

PATIENCE = 30.0
ALICE = Address("alice.example", 6464)


class AtDirectory(Peer):
    """A directory that answers as it is told.

    Attributes:
        entries: The answers by name; others get ``null``.
        asked: The lines that it was asked, without line break.
        gate: It answers when this is set.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(self._answer, context)
        self.entries = {b"alice": b"alice.example:6464"}
        self.asked: list[bytes] = []
        self.arrived = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def _answer(self, sock: socket.socket) -> None:
        sock.sendall(b"@")
        while line := read_until(sock, b"\n"):
            self.asked.append(line.rstrip())
            self.arrived.set()
            self.gate.wait(PATIENCE)
            sock.sendall(self.entries.get(line.rstrip(), b"null") + b"\r\n@")


@pytest.fixture
def root(server_context: ssl.SSLContext) -> Iterator[AtDirectory]:
    """Run a directory that knows @alice."""
    with AtDirectory(server_context) as root:
        yield root


@pytest.fixture
def directory(root: AtDirectory, context: ssl.SSLContext) -> Directory:
    """Return a directory that asks it."""
    return Directory(root.address, context, timeout=PATIENCE)


class Queued(Wait):
    """A wait that says when it is about to wait for its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Event()

    def acquire(self, acquire: Callable[[float], bool]) -> None:
        """Say so, then wait."""
        self.waiting.set()
        super().acquire(acquire)


def start(directory: Directory, wait: Wait) -> queue.SimpleQueue[Any]:
    """Resolve @alice on a thread; the address or the error comes by the queue."""
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put(directory.resolve("@alice", wait))
        except TransferError as error:
            outcome.put(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome


def two_at_once(
    root: AtDirectory, directory: Directory, *, cancel: Optional[Wait] = None
) -> list[Any]:
    """Return two outcomes of which the second waited for the first."""
    root.gate.clear()
    first = start(directory, cancel or Wait())
    assert root.arrived.wait(PATIENCE)
    follower = Queued()
    second = start(directory, follower)
    assert follower.waiting.wait(PATIENCE)
    if cancel is not None:
        cancel.cancel()
        outcome = first.get(timeout=PATIENCE)
        root.gate.set()
    else:
        root.gate.set()
        outcome = first.get(timeout=PATIENCE)
    return [outcome, second.get(timeout=PATIENCE)]


def test_resolves(root: AtDirectory, directory: Directory) -> None:
    """The name is asked for without its @, in lower case."""
    assert directory.resolve("@Alice", Wait()) == ALICE
    assert root.asked == [b"alice"]


def test_remembers(root: AtDirectory, directory: Directory) -> None:
    """What was told is not asked again, until it is forgotten."""
    for _ in range(3):
        directory.resolve("@alice", Wait())
    assert len(root.asked) == 1
    root.entries[b"alice"] = b"elsewhere.example:1"
    directory.forget("@ALICE")
    assert directory.resolve("@alice", Wait()) == Address("elsewhere.example", 1)
    assert len(root.asked) == 2


def test_unknown(root: AtDirectory, directory: Directory) -> None:
    """A name that the directory doesn't know is an error that names both, and isn't remembered."""
    with pytest.raises(AtSignNotFound, match=rf"localhost:{root.port} doesn't know @nobody"):
        directory.resolve("@nobody", Wait())
    root.entries[b"nobody"] = b"nobody.example:7"
    assert directory.resolve("@nobody", Wait()) == Address("nobody.example", 7)


def test_no_atsign(directory: Directory) -> None:
    """What can't be an atSign isn't asked for."""
    with pytest.raises(ValueError, match="is no atSign"):
        directory.resolve("@a b\nc", Wait())


@pytest.mark.parametrize(
    "answer", [b"", b"alice.example", b"alice.example:port", b"error:AT0003-no", b"x" * 2000]
)
def test_garbled(root: AtDirectory, directory: Directory, answer: bytes) -> None:
    """Anything but HOST:PORT comes from something that is no directory."""
    root.entries[b"alice"] = answer
    with pytest.raises(DirectoryUnavailable, match="doesn't answer as an atDirectory does"):
        directory.resolve("@alice", Wait())


def test_split_answer(context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
    """An answer may come in pieces, and its prompt later."""

    def dribble(sock: socket.socket) -> None:
        sock.recv(1)
        for byte in b"@alice.example:6464\r\n@":
            sock.sendall(bytes([byte]))

    with Peer(dribble, server_context) as peer:
        directory = Directory(peer.address, context, timeout=PATIENCE)
        assert directory.resolve("@alice", Wait()) == ALICE


def test_hangs_up(context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
    """A directory that ends the connection instead of answering is unavailable."""
    with Peer(lambda sock: sock.sendall(b"@al"), server_context) as peer:
        directory = Directory(peer.address, context, timeout=PATIENCE)
        with pytest.raises(DirectoryUnavailable, match="gives no answer"):
            directory.resolve("@alice", Wait())


def test_down(context: ssl.SSLContext) -> None:
    """A directory that isn't there is unavailable, and may be tried again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
    directory = Directory(address, context, timeout=PATIENCE)
    with pytest.raises(DirectoryUnavailable, match="Connection refused") as caught:
        directory.resolve("@alice", Wait())
    assert caught.value.retryable


def test_too_slow(root: AtDirectory, context: ssl.SSLContext) -> None:
    """A directory that doesn't answer in time is unavailable."""
    root.gate.clear()
    directory = Directory(root.address, context, timeout=0.1)
    with pytest.raises(DirectoryUnavailable, match="in time"):
        directory.resolve("@alice", Wait())
    root.gate.set()


def test_transfer_deadline(root: AtDirectory, directory: Directory) -> None:
    """The transfer's own deadline isn't blamed on the directory."""
    root.gate.clear()
    with pytest.raises(DeadlineExceeded):
        directory.resolve("@alice", Wait(Deadline.after(0.1)))
    root.gate.set()


def test_certificate(server_context: ssl.SSLContext, root: AtDirectory) -> None:
    """A directory that can't be trusted is told as such: waiting wouldn't help."""
    directory = Directory(root.address, ssl.create_default_context(), timeout=PATIENCE)
    with pytest.raises(CertificateRejected):
        directory.resolve("@alice", Wait())


def test_moved_while_directory_is_down(root: AtDirectory, directory: Directory) -> None:
    """While the directory doesn't answer, what it told last still serves."""
    directory.resolve("@alice", Wait())
    root.entries[b"alice"] = b"no address"
    directory.forget("@alice")
    assert directory.resolve("@alice", Wait()) == ALICE
    root.entries[b"alice"] = b"elsewhere.example:1"
    assert directory.resolve("@alice", Wait()) == Address("elsewhere.example", 1)


def test_moved_from(root: AtDirectory, directory: Directory) -> None:
    """Asked for the next address after one that failed, it asks anew, and tells only another."""
    directory.resolve("@alice", Wait())
    assert directory.moved_from("@alice", ALICE, Wait()) is None
    root.entries[b"alice"] = b"elsewhere.example:6465"
    elsewhere = Address("elsewhere.example", 6465)
    assert directory.moved_from("@alice", ALICE, Wait()) == elsewhere
    assert directory.resolve("@alice", Wait()) == elsewhere
    assert root.asked == [b"alice"] * 3


def test_asked_once(root: AtDirectory, directory: Directory) -> None:
    """Two who ask at the same time ask once."""
    assert two_at_once(root, directory) == [ALICE, ALICE]
    assert len(root.asked) == 1


def test_failure_is_shared(root: AtDirectory, directory: Directory) -> None:
    """They share a failure too, each with an error of its own."""
    root.entries.clear()
    first, second = two_at_once(root, directory)
    assert isinstance(first, AtSignNotFound)
    assert isinstance(second, AtSignNotFound)
    assert first is not second
    assert len(root.asked) == 1


def test_cancelled_asker(root: AtDirectory, directory: Directory) -> None:
    """When the one who asks is cancelled, the next asks for itself."""
    first, second = two_at_once(root, directory, cancel=Wait())
    assert isinstance(first, Cancelled)
    assert second == ALICE


def test_drop(root: AtDirectory, directory: Directory) -> None:
    """A forked child waits for no thread of its parent, and asks anew."""
    root.gate.clear()
    parents = start(directory, Wait())
    assert root.arrived.wait(PATIENCE)
    directory.drop()
    root.gate.set()
    assert directory.resolve("@alice", Wait()) == ALICE
    assert parents.get(timeout=PATIENCE) == ALICE
    assert len(root.asked) == 2
