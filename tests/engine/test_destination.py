"""What requests to one server share."""

from __future__ import annotations

from atxfer._engine.destination import Destination
from atxfer._policy.retry import RetryBudget
from atxfer.waiting import Wait
from tests.support.clock import FakeClock


def destination(cap: int = 4, burst: int = 1) -> Destination:
    """Return a destination of which nothing was asked yet."""
    return Destination("fake", cap, RetryBudget.full(0.5, burst), FakeClock())


def test_spacing_is_a_round_trip_over_the_cap() -> None:
    """The median latency, shared by the workers; nothing while none is known (R14)."""
    place = destination(cap=4)
    assert place.spacing() == 0.0
    for seconds in (0.2, 0.2, 9.0):
        place.note_latency(seconds)
    assert abs(place.spacing() - 0.05) < 0.002


def test_retries_are_granted_from_the_budget() -> None:
    """The burst, then what successes have earned."""
    place = destination(burst=1)
    assert place.grants_retry()
    assert not place.grants_retry()
    place.note_success()
    place.note_success()
    assert place.grants_retry()


def test_a_snapshot_tells_load_and_speed() -> None:
    """What metrics() shows of a destination."""
    place = destination(cap=4)
    place.note_latency(0.5)
    with place.permits.hold(Wait()):
        assert place.snapshot() == {
            "cap": 4,
            "in_flight": 1,
            "peak_in_flight": 1,
            "response_p50": 0.5,
            "response_p95": 0.5,
        }


def test_after_a_fork_it_is_as_new() -> None:
    """A permit that another thread of the parent held is free in the child."""
    place = destination(cap=1)
    with place.permits.hold(Wait()):
        place.reset()
        with place.permits.hold(Wait()):
            assert place.permits.in_flight == 1
