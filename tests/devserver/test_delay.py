"""The simulated network: reckoned on a loop whose time stands still, and a proxy on sockets."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional, cast

import pytest

from atxfer.devserver import DelayProxy
from atxfer.devserver.delay import DelayLine, Network


class FakeLoop:
    """The part of an event loop that a delay line uses."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[FakeTimer] = []

    def time(self) -> float:
        """Return the fake time."""
        return self.now

    def call_at(self, when: float, work: Callable[[], None]) -> FakeTimer:
        """Remember a timer."""
        timer = FakeTimer(when, work)
        self._timers.append(timer)
        return timer

    def run(self) -> None:
        """Let time pass until no timer is left."""
        while pending := [timer for timer in self._timers if timer.work is not None]:
            timer = min(pending, key=lambda t: t.when)
            self.now = max(self.now, timer.when)
            work, timer.work = timer.work, None
            assert work is not None
            work()


class FakeTimer:
    """A timer that can be cancelled."""

    def __init__(self, when: float, work: Callable[[], None]) -> None:
        self.when = when
        self.work: Optional[Callable[[], None]] = work

    def cancel(self) -> None:
        """Never call it."""
        self.work = None


class Line:
    """A delay line that notes when what arrives."""

    def __init__(self, network: Network, not_before: float = 0.0) -> None:
        self.loop = FakeLoop()
        self.arrivals: list[tuple[str, float]] = []
        self.line = DelayLine(cast(Any, self.loop), network, not_before)

    def send(self, name: str, size: int = 1) -> None:
        """Send something."""
        self.line.send(size, lambda: self.arrivals.append((name, round(self.loop.now - 1000.0, 4))))


def test_no_distance_is_no_detour() -> None:
    """What goes in is out at once, without a timer."""
    line = Line(Network())
    line.send("a")
    assert line.arrivals == [("a", 0.0)]


def test_each_way_is_half_a_round_trip() -> None:
    """Throughput is not limited: all that sets out together arrives together."""
    line = Line(Network(round_trip=0.1))
    for name in "abc":
        line.send(name, 1 << 20)
    assert line.line.under_way == 3 << 20
    line.loop.run()
    assert line.arrivals == [("a", 0.05), ("b", 0.05), ("c", 0.05)]
    assert line.line.under_way == 0


def test_a_new_connection_costs_a_round_trip_more() -> None:
    """The kernel accepts at once, a far host does not."""
    line = Line(Network(round_trip=0.1), not_before=1000.1)
    line.send("hello")
    line.loop.run()
    assert line.arrivals == [("hello", 0.15)]


def test_bandwidth_makes_bytes_follow_each_other() -> None:
    """A thousand bytes at ten thousand a second set out a tenth of a second later."""
    line = Line(Network(round_trip=0.1, bandwidth=10_000))
    line.send("a", 1000)
    line.send("b", 1000)
    line.loop.run()
    assert line.arrivals == [("a", 0.15), ("b", 0.25)]


def test_jitter_never_changes_the_order() -> None:
    """What set out first arrives first, each as late as it may be."""
    line = Line(Network(round_trip=0.1, jitter=0.5, rng=random.Random(1)))  # noqa: S311
    for number in range(50):
        line.send(f"{number}")
    line.loop.run()
    times = [at for _, at in line.arrivals]
    assert [name for name, _ in line.arrivals] == [f"{n}" for n in range(50)]
    assert times == sorted(times)
    assert 0.05 < times[-1] <= 0.551


def test_a_change_of_distance_keeps_the_order() -> None:
    """What sets out later does not overtake when the network gets quicker."""
    network = Network(round_trip=1.0)
    line = Line(network)
    line.send("slow")
    network.round_trip = 0.0
    line.send("quick")
    line.loop.run()
    assert [name for name, _ in line.arrivals] == ["slow", "quick"]


def test_what_is_discarded_never_arrives() -> None:
    """The connection is gone."""
    line = Line(Network(round_trip=1.0))
    line.send("lost", 100)
    line.line.discard()
    line.loop.run()
    assert line.arrivals == []
    assert line.line.under_way == 0


# --- the proxy


class Echo:
    """A TCP server that sends back what it gets, and then says how much that was."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client:
            count = 0
            while data := client.recv(1 << 16):
                count += len(data)
                client.sendall(data)
            client.sendall(b"%d" % count)

    def close(self) -> None:
        """End it."""
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def echo() -> Iterator[Echo]:
    """Run an echo server."""
    server = Echo()
    yield server
    server.close()


def connected(proxy: DelayProxy) -> socket.socket:
    """Return a connection to a proxy."""
    return socket.create_connection(("127.0.0.1", proxy.port), 20)


def is_gone(client: socket.socket) -> bool:
    """Whether the other side has ended the connection, in one way or the other."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def test_the_proxy_changes_nothing_but_time(echo: Echo) -> None:
    """Every byte both ways, and the end of one direction before the other's."""
    content = random.Random(1).randbytes(3_000_000)  # noqa: S311
    with DelayProxy("127.0.0.1", echo.port, round_trip=0.001) as proxy, connected(proxy) as client:

        def send() -> None:
            client.sendall(content)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        back = b"".join(iter(lambda: client.recv(1 << 16), b""))
        sender.join()
    assert back == content + b"3000000"


def test_the_proxy_hangs_up_where_nobody_listens() -> None:
    """A target that refuses looks like a server that goes away."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with DelayProxy("127.0.0.1", port, round_trip=0.0) as proxy, connected(proxy) as client:
        assert is_gone(client)


def test_a_stopped_proxy_cuts_its_connections(echo: Echo) -> None:
    """Nothing is left open."""
    proxy = DelayProxy("127.0.0.1", echo.port, round_trip=0.0).start()
    with connected(proxy) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        proxy.stop()
        assert is_gone(client)
