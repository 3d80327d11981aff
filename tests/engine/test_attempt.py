"""The one retried function."""

from __future__ import annotations

import logging
from random import Random
from typing import Callable, Optional

import pytest

from atxfer._engine.attempt import Attempter, Request
from atxfer._engine.destination import Destination
from atxfer._engine.transfer import Transfer
from atxfer._observe.events import Bus, Event, GateClosed, RequestRetried, RetryRefused
from atxfer._policy.retry import Limits, RetryBudget
from atxfer.errors import (
    Cancelled,
    ChunkCorrupt,
    ConnectionLost,
    DeadlineExceeded,
    LoginRefused,
    Overloaded,
    RetryAfterTooLong,
    ServerFault,
    TransferError,
)
from atxfer.waiting import Deadline, Wait
from tests.support.clock import FakeClock


class Desk:
    """A place from which requests are sent, with all its parts in view."""

    def __init__(
        self, *, cap: int = 2, burst: float = 20, deadline: Optional[float] = None
    ) -> None:
        self.clock = FakeClock()
        self.events: list[Event] = []
        limits = Limits(4, initial=1.0, maximum=8.0, jitter=False, retry_after_cap=60.0)
        rng = Random(7)  # noqa: S311
        self.attempter = Attempter(limits, rng, Bus(self.events.append))
        budget = RetryBudget.full(0.1, burst)
        self.destination = Destination("fake", cap, budget, self.clock)
        until = Deadline.after(deadline, self.clock)
        self.transfer = Transfer("t", Wait(until, clock=self.clock))
        self.calls = 0

    def send(self, *failures: Optional[BaseException], answer: str = "answer") -> str:
        """Send a request that fails in these ways, one after the other, then succeeds."""
        return self.ask(Request("r", self.failing(*failures, answer=answer)))

    def ask(self, request: Request[str], pauses: Optional[Wait] = None) -> str:
        """Send a request."""
        return self.attempter.send(request, self.destination, self.transfer, pauses)

    def failing(
        self, *failures: Optional[BaseException], answer: str = "answer"
    ) -> Callable[[Wait], str]:
        """Return what a request does."""
        script = iter(failures)

        def call(wait: Wait) -> str:
            self.calls += 1
            assert self.destination.permits.in_flight == 1
            self.clock.now += 0.5
            failure = next(script, None)
            if failure is not None:
                raise failure
            return answer

        return call

    def told(self, kind: type[Event]) -> list[Event]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def test_a_request_that_succeeds_is_sent_once() -> None:
    """One attempt, one permit, nothing waited for."""
    desk = Desk()
    assert desk.send() == "answer"
    assert (desk.calls, desk.clock.waits) == (1, [])
    assert desk.destination.permits.in_flight == 0


def test_a_failure_that_may_pass_is_tried_again_after_a_wait() -> None:
    """The waits double, and the answer is that of the attempt that succeeded."""
    desk = Desk()
    assert desk.send(ConnectionLost("x"), ServerFault("x")) == "answer"
    assert desk.calls == 3
    assert desk.clock.waits == [1.0, 2.0]


def test_no_permit_is_held_while_waiting() -> None:
    """A request that waits to be tried again holds no slot (R1)."""
    desk = Desk()
    held = []
    desk.clock.on_wait = lambda _: held.append(desk.destination.permits.in_flight)
    desk.send(ConnectionLost("x"), Overloaded("x"))
    assert held == [0, 0]


def test_a_final_failure_is_raised_at_once() -> None:
    """A refused login is tried once."""
    desk = Desk()
    with pytest.raises(LoginRefused):
        desk.send(LoginRefused("x"))
    assert desk.calls == 1


def test_the_last_real_error_is_raised_with_the_number_of_attempts() -> None:
    """The caller sees what happened last, not that something gave up."""
    desk = Desk()
    last = ConnectionLost("the last")
    with pytest.raises(ConnectionLost, match="the last") as caught:
        desk.send(ServerFault("x"), ServerFault("x"), ServerFault("x"), last)
    assert caught.value is last
    assert caught.value.attempts == desk.calls == 4


def test_what_is_no_transfer_error_is_not_retried() -> None:
    """A defect is not hidden behind attempts."""
    desk = Desk()
    with pytest.raises(ZeroDivisionError):
        desk.send(ZeroDivisionError())
    assert desk.calls == 1
    assert desk.destination.permits.in_flight == 0


def test_retry_after_is_waited_out() -> None:
    """Not a moment less than the server asked for."""
    desk = Desk()
    desk.send(Overloaded("x", retry_after=30.0))
    assert sum(desk.clock.waits) >= 30.0


def test_a_long_retry_after_is_raised_with_its_cause() -> None:
    """The typed error says how long; the server's own answer is its cause."""
    desk = Desk()
    answer = Overloaded("x", retry_after=86_400.0)
    with pytest.raises(RetryAfterTooLong) as caught:
        desk.send(answer)
    assert caught.value.retry_after == 86_400.0
    assert caught.value.__cause__ is answer
    assert desk.clock.waits == []


def test_overload_shuts_the_gate_for_everybody() -> None:
    """Another request to the same destination waits as well (R14)."""
    desk = Desk()
    with pytest.raises(LoginRefused):
        desk.send(Overloaded("x", retry_after=20.0), LoginRefused("x"))
    desk.destination.gate.shut(5.0)
    desk.clock.waits.clear()
    desk.send()
    assert desk.clock.waits == [5.0]
    assert desk.told(GateClosed)


def test_the_gate_is_looked_at_again_with_the_permit_in_hand() -> None:
    """Overload that came while a request queued for its permit holds it back too."""
    desk = Desk()
    permits = desk.destination.permits
    original = permits._semaphore.acquire
    shut = []

    def acquire(blocking: bool = True, timeout: Optional[float] = None) -> bool:
        if not shut:
            desk.destination.gate.shut(7.0)
            shut.append(True)
        return original(blocking, timeout)

    permits._semaphore.acquire = acquire  # type: ignore[method-assign]
    desk.send()
    assert desk.clock.waits == [7.0]


def test_a_refused_retry_surfaces_the_real_error() -> None:
    """When too much of the traffic is retries, the failure itself is raised (R12)."""
    desk = Desk(burst=1)
    error = ServerFault("the second")
    with pytest.raises(ServerFault, match="the second"):
        desk.send(ServerFault("x"), error)
    assert desk.calls == 2
    assert len(desk.told(RetryRefused)) == 1


def test_a_destination_that_always_fails_gets_few_requests() -> None:
    """1,000 requests to it are at most 1,150 attempts (scenario 5)."""
    desk = Desk(burst=20)
    for _ in range(1000):
        with pytest.raises(Overloaded):
            desk.send(*[Overloaded("x") for _ in range(4)])
    assert 1000 < desk.calls <= 1150


def test_what_got_through_of_a_request_counts_as_success() -> None:
    """Repeating a tenth of a request costs a tenth of a retry."""
    desk = Desk(burst=1)
    left = [1.0]
    call = desk.failing(*[ServerFault("x")] * 3)

    def partly(wait: Wait) -> str:
        left[0] = 0.1
        return call(wait)

    assert desk.ask(Request("r", partly, left=lambda: left[0])) == "answer"
    assert desk.calls == 4


def test_an_answer_that_is_not_accepted_is_asked_for_again() -> None:
    """The answer is looked at without a permit; a corrupt chunk is fetched once more."""
    desk = Desk()
    corrupt = [ChunkCorrupt("x")]

    def accept(answer: str) -> None:
        assert desk.destination.permits.in_flight == 0
        if corrupt:
            raise corrupt.pop()

    assert desk.ask(Request("r", desk.failing(), accept)) == "answer"
    assert desk.calls == 2


def test_cancelling_ends_the_wait_before_a_retry() -> None:
    """A wait of 30 s is over with cancel() (scenario 3)."""
    desk = Desk()
    desk.clock.on_wait = lambda _: desk.transfer.cancel()
    with pytest.raises(Cancelled):
        desk.send(Overloaded("x", retry_after=30.0))
    assert desk.calls == 1


def test_a_socket_that_we_shut_down_is_no_lost_connection() -> None:
    """What an aborted request raises is told as what it is: cancelled."""
    desk = Desk()

    def aborted(wait: Wait) -> str:
        wait.cancel("the client was closed")
        raise ConnectionLost("shut down")

    with pytest.raises(Cancelled, match="the client was closed"):
        desk.ask(Request("r", aborted))
    assert desk.told(RequestRetried) == []


def test_the_deadline_ends_a_wait() -> None:
    """Nobody sleeps beyond the deadline of the transfer (R29)."""
    desk = Desk(deadline=10.0)
    with pytest.raises(DeadlineExceeded):
        desk.send(Overloaded("x", retry_after=30.0))
    assert desk.clock.now == pytest.approx(1010.0)


def test_pauses_may_end_before_the_transfer_does() -> None:
    """When the transfer has failed elsewhere, a request that waits for a retry ends."""
    desk, pauses = Desk(), Wait()
    call = desk.failing(ConnectionLost("x"))

    def failing(wait: Wait) -> str:
        pauses.cancel()
        return call(wait)

    with pytest.raises(Cancelled):
        desk.ask(Request("r", failing), pauses)
    assert not desk.transfer.wait.cancelled


def test_latency_is_measured_from_permit_to_answer() -> None:
    """Neither waiting nor failures without an answer count."""
    desk = Desk()
    desk.send(ConnectionLost("x"), ServerFault("x"))
    statistics = desk.transfer.tally.statistics()
    assert statistics.requests == 3
    assert statistics.latency_max == statistics.latency_p50 == 0.5
    assert statistics.retries == {"ConnectionLost": 1, "ServerFault": 1}
    assert statistics.peak_in_flight == 1


def test_nothing_of_a_request_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """The package has no logger from us: its details would hold chunks and tokens (R16)."""
    caplog.set_level(logging.DEBUG)
    desk = Desk()
    with pytest.raises(TransferError):
        desk.send(*[ServerFault("x")] * 4)
    assert [record for record in caplog.records if record.name.startswith("backoff")] == []


def test_the_dump_tells_what_a_request_waits_for() -> None:
    """While it sleeps, while it is at the server; and nothing when it has ended."""
    desk = Desk()
    seen = []
    desk.clock.on_wait = lambda _: seen.append(desk.transfer.dump())
    call = desk.failing(ServerFault("x"))

    def looking(wait: Wait) -> str:
        seen.append(desk.transfer.dump())
        return call(wait)

    desk.ask(Request("chunks 0-3", looking))
    assert "chunks 0-3: waits for the answer" in seen[0]
    assert "chunks 0-3: waits 1.0 s before attempt 2, after ServerFault" in seen[1]
    assert "chunks" not in desk.transfer.dump()
