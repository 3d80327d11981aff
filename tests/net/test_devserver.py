"""The pool and the directory against the development server, which answers as real ones do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from atxfer._crypto.atkeys import AtKeys, find
from atxfer._net.address import Address
from atxfer._net.connection import Login
from atxfer._net.directory import Directory
from atxfer._net.pool import ConnectionPool
from atxfer._net.stream import tls_context
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import (
    EnrollmentPending,
    EnrollmentRevoked,
    InboundLimit,
    KeyNotFound,
    ServerPaused,
    Unauthenticated,
)
from atxfer.atprotocol.verbs import (
    Batch,
    EnrollApprove,
    EnrollRequest,
    EnrollRevoke,
    Llookup,
    Lookup,
    Noop,
    OtpGet,
    Update,
)
from atxfer.config import TransferConfig
from atxfer.devserver import DevServer, FaultPlan
from atxfer.errors import (
    AtSignNotFound,
    CertificateRejected,
    ConnectionLost,
    DirectoryUnavailable,
    ProtocolViolation,
    RequestTimeout,
)
from atxfer.waiting import Wait

PUBLIC = AtKey.public("net", "@alice")
OWN = AtKey.self_("net", "@alice")


@pytest.fixture(scope="module")
def running() -> Iterator[DevServer]:
    """Run @alice's and @bob's servers, for all tests of this module."""
    with DevServer(["alice", "bob"]) as world:
        yield world
        assert world.failures == []


@pytest.fixture
def world(running: DevServer) -> DevServer:
    """Return it as it was at the start."""
    running.reset()
    return running


@pytest.fixture(scope="module")
def alice(running: DevServer) -> AtKeys:
    """Return the keys of @alice."""
    return AtKeys.read(find("@alice", Path(running.keys_dir)), "@alice")


Made = Callable[..., ConnectionPool]


@pytest.fixture
def make(world: DevServer) -> Iterator[Made]:
    """Return how to make a pool; all are closed at the end."""
    pools: list[ConnectionPool] = []
    context = tls_context(world.ca_file)

    def make(login: Optional[Login], atsign: str = "@alice", **changes: Any) -> ConnectionPool:
        root = Directory(Address(world.root_host, world.root_port), context, timeout=10.0)
        config = TransferConfig(**changes)
        pools.append(ConnectionPool(root, atsign, login=login, context=context, config=config))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def test_owner_and_reader(make: Made, alice: AtKeys) -> None:
    """What the owner writes after login, anybody reads without one."""
    owner, reader = make(alice), make(None)
    owner.ask(Update(PUBLIC, "hello"), Wait())
    assert owner.ask(Llookup(PUBLIC), Wait()).data == "hello"
    assert reader.ask(Lookup(PUBLIC), Wait()).data == "hello"
    assert (owner.logins, owner.reused, reader.logins) == (1, 1, 0)


def test_largest_usual_request(make: Made, alice: AtKeys) -> None:
    """A request of 180 KB goes up, and its answer comes down, whole."""
    pool = make(alice)
    value = "x" * 10_900
    keys = [AtKey.public(f"_{number}.net", "@alice") for number in range(16)]
    answers = Batch.read(pool.ask(Batch(tuple(Update(key, value) for key in keys)), Wait()).data)
    assert len(answers) == 16
    answers = Batch.read(pool.ask(Batch(tuple(Llookup(key) for key in keys)), Wait()).data)
    assert {getattr(answer, "data", None) for answer in answers.values()} == {value}


def test_side_by_side(world: DevServer, make: Made, alice: AtKeys) -> None:
    """Three connections are logged in side by side, each once, and kept for all that comes."""
    pool = make(alice, max_concurrent_uploads=3)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: pool.prepare(Wait(), 9), range(3)))
        list(threads.map(lambda _: pool.ask(Noop(), Wait()), range(30)))
    felt = world.counters["@alice"]
    assert (felt["connections"], felt["logins"], felt["commands"]["noop"]) == (3, 3, 30)
    assert (pool.opened, pool.logins, pool.reused) == (3, 3, 30)


def test_typed_failure(make: Made, alice: AtKeys) -> None:
    """An error answer is typed by its code, and the connection is kept."""
    pool = make(alice)
    for _ in range(2):
        with pytest.raises(KeyNotFound):
            pool.ask(Llookup(OWN), Wait())
    assert pool.opened == 1


# --- login


def test_wrong_keys(make: Made, alice: AtKeys) -> None:
    """A signature by other keys is a refused login."""
    forged = replace(alice, pkam_private=alice.encryption_private)
    with pytest.raises(Unauthenticated):
        make(forged).ask(Noop(), Wait())


def test_enrolment(make: Made, alice: AtKeys) -> None:
    """Keys of an enrolment log in once it is approved, and not after it is revoked (facts §9)."""
    owner, device = make(alice), make(None)
    device_key = AtKeys.generate("@alice")
    request = EnrollRequest(
        app_name="atxfer",
        device_name="test",
        apkam_public_key=device_key.pkam_public,
        namespaces={"atxfer": "rw"},
        otp=owner.ask(OtpGet(), Wait()).data,
        encrypted_apkam_symmetric_key="a2V5",
    )
    number = json.loads(device.ask(request, Wait()).data)["enrollmentId"]
    enrolled = replace(alice, pkam_private=device_key.pkam_private, enrollment_id=number)
    with pytest.raises(EnrollmentPending):
        make(enrolled).ask(Noop(), Wait())
    owner.ask(EnrollApprove(number, "a2V5", "a2V5"), Wait())
    pool = make(enrolled)
    pool.ask(Update(OWN, "by the device"), Wait())
    assert owner.ask(Llookup(OWN), Wait()).data == "by the device"
    owner.ask(EnrollRevoke(number), Wait())
    with pytest.raises(EnrollmentRevoked):
        pool.ask(Llookup(OWN), Wait())


# --- servers that fail


def test_too_many_connections(world: DevServer, make: Made, alice: AtKeys) -> None:
    """The server's limit is told as overload, and its refusal leaves nothing behind."""
    world.faults.max_connections = 1
    first, second = make(alice), make(alice)
    first.ask(Noop(), Wait())
    with pytest.raises(InboundLimit):
        second.ask(Noop(), Wait())
    first.close()
    world.idle()
    world.faults.max_connections = None
    assert second.ask(Noop(), Wait()).data == "ok"


def test_restart(world: DevServer, make: Made, alice: AtKeys) -> None:
    """After a restart the idle connections are replaced, and records are there."""
    pool = make(alice)
    pool.ask(Update(OWN, "kept"), Wait())
    world.server("@alice").restart()
    assert pool.ask(Llookup(OWN), Wait()).data == "kept"
    assert (pool.opened, pool.reused) == (2, 0)


def test_restart_elsewhere(world: DevServer, make: Made, alice: AtKeys) -> None:
    """A server that comes back at another port is found by the directory (facts §11)."""
    pool = make(alice)
    pool.ask(Update(OWN, "kept"), Wait())
    view = world.server("@alice")
    before = view.port
    view.stop()
    vars(view)["_server"].port = 0  # whichever is free
    view.start()
    assert view.port != before
    assert pool.ask(Llookup(OWN), Wait()).data == "kept"


def test_paused(world: DevServer, make: Made, alice: AtKeys) -> None:
    """A server that is about to restart says so, and ends the connection."""
    pool = make(alice)
    pool.ask(Noop(), Wait())
    world.server("@alice").pause()
    with pytest.raises(ServerPaused):
        pool.ask(Llookup(OWN), Wait())
    assert repr(pool) == "<ConnectionPool @alice 0 idle, 0 busy, 0 in all>"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("drop-before", ConnectionLost),
        ("drop-after", ConnectionLost),
        ("garbage", ProtocolViolation),
        ("hang", RequestTimeout),
    ],
)
def test_no_answer(
    world: DevServer, make: Made, alice: AtKeys, fault: str, kind: type[Exception]
) -> None:
    """Each way to lose an answer has its error, and costs the connection, once."""
    pool = make(alice, request_timeout=1.0)
    world.faults = FaultPlan.script(fault, verbs={"noop"})
    with pytest.raises(kind):
        pool.ask(Noop(), Wait())
    assert pool.ask(Noop(), Wait()).data == "ok"
    assert (pool.opened, world.counters["@alice"]["commands"]["noop"]) == (2, 2)


# --- finding it


def test_unknown_atsign(make: Made) -> None:
    """An atSign that nobody has is not found."""
    with pytest.raises(AtSignNotFound, match="doesn't know @nobody"):
        make(None, "@nobody").ask(Noop(), Wait())


def test_directory_down(world: DevServer, make: Made, alice: AtKeys) -> None:
    """A directory that hangs up is unavailable."""
    world.faults.directory_down = True
    with pytest.raises(DirectoryUnavailable):
        make(alice).ask(Noop(), Wait())


def test_wrong_certificate(world: DevServer, make: Made, alice: AtKeys) -> None:
    """A certificate of another authority is refused; trying again wouldn't help."""
    world.faults.wrong_certificate = True
    with pytest.raises(CertificateRejected):
        make(alice).ask(Noop(), Wait())
