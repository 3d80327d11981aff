"""The cap on requests in flight."""

from __future__ import annotations

import threading

import pytest

from atxfer._engine.permits import Permits
from atxfer.errors import Cancelled, DeadlineExceeded
from atxfer.waiting import Deadline, Wait
from tests.support.clock import FakeClock


def test_a_permit_is_given_back_whatever_happens() -> None:
    """An error in the block gives the permit back like a good end."""
    permits = Permits(1)

    def interrupted() -> None:
        with permits.hold(Wait()):
            assert permits.in_flight == 1
            raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    assert permits.in_flight == 0


def test_the_peak_is_kept() -> None:
    """The most that were ever held at one moment, not those held now."""
    permits = Permits(3)
    with permits.hold(Wait()), permits.hold(Wait()):
        pass
    with permits.hold(Wait()):
        assert (permits.in_flight, permits.peak) == (1, 2)


def test_more_than_the_cap_wait() -> None:
    """A further holder gets its permit only when one is given back."""
    permits, wait = Permits(1), Wait()
    got = threading.Event()

    def hold() -> None:
        with permits.hold(wait):
            got.set()

    with permits.hold(wait):
        thread = threading.Thread(target=hold)
        thread.start()
        assert not got.wait(0.01)
    thread.join()
    assert got.is_set()
    assert permits.peak == 1


def test_waiting_for_a_permit_ends_with_the_transfer() -> None:
    """Cancellation and deadline reach those who queue."""
    permits, clock = Permits(1), FakeClock()
    cancelled, late = Wait(), Wait(Deadline.after(0.0, clock), clock=clock)
    cancelled.cancel()
    with permits.hold(Wait()):
        with pytest.raises(Cancelled), permits.hold(cancelled):
            pass
        with pytest.raises(DeadlineExceeded), permits.hold(late):
            pass
    assert permits.in_flight == 0


def test_a_permit_given_back_twice_is_an_alarm() -> None:
    """A double release is an error of ours that nobody swallows (peers.md R3)."""
    permits = Permits(1)
    with pytest.raises(ValueError, match="released too many times"), permits.hold(Wait()):
        permits._semaphore.release()
