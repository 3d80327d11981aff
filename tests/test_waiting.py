"""Time, deadlines and cancellation: the one place that blocks."""

from __future__ import annotations

import queue
import threading

import pytest

from atxfer.errors import Cancelled, DeadlineExceeded
from atxfer.waiting import SLICE, Deadline, Wait
from tests.support.clock import FakeClock


def test_a_deadline_counts_down_and_never_goes_negative() -> None:
    """Remaining time shrinks with the clock and stops at zero."""
    clock = FakeClock()
    deadline = Deadline.after(5.0, clock)
    clock.now += 3.0
    assert deadline.remaining() == pytest.approx(2.0)
    assert not deadline.expired
    clock.now += 3.0
    assert deadline.remaining() == 0.0
    assert deadline.expired


def test_no_deadline_never_expires() -> None:
    """None means for ever."""
    deadline = Deadline.after(None, FakeClock())
    assert deadline.remaining() is None
    assert not deadline.expired


@pytest.mark.parametrize(
    ("own", "cap", "expected"),
    [(5.0, 3.0, 3.0), (3.0, 5.0, 3.0), (None, 3.0, 3.0), (3.0, None, 3.0), (None, None, None)],
)
def test_a_capped_deadline_is_the_earlier_one(
    own: float | None, cap: float | None, expected: float | None
) -> None:
    """A request may not outlast its transfer, nor the transfer's deadline lengthen a request."""
    clock = FakeClock()
    assert Deadline.after(own, clock).capped(cap).remaining() == expected


def test_sleep_lasts_as_long_as_asked() -> None:
    """Without an end in sight a sleep is one wait of its full length."""
    clock = FakeClock()
    Wait(clock=clock).sleep(30.0)
    assert clock.waits == [30.0]


def test_sleep_ends_at_the_deadline() -> None:
    """A sleep that would outlast the deadline ends there with DeadlineExceeded."""
    clock = FakeClock()
    wait = Wait(Deadline.after(10.0, clock), clock=clock)
    with pytest.raises(DeadlineExceeded):
        wait.sleep(30.0)
    assert sum(clock.waits) == pytest.approx(10.0)


def test_cancel_wakes_a_sleeper() -> None:
    """A sleeping thread is woken by cancel, however long it meant to sleep."""
    wait = Wait()
    asleep = threading.Event()
    ended: list[BaseException] = []

    def sleeper() -> None:
        asleep.set()
        try:
            wait.sleep(3600.0)
        except Cancelled as error:
            ended.append(error)

    thread = threading.Thread(target=sleeper)
    thread.start()
    asleep.wait(10)
    wait.cancel("stop")
    thread.join(10)
    assert not thread.is_alive()
    assert [str(error) for error in ended] == ["stop"]


def test_cancel_keeps_its_first_reason() -> None:
    """Later cancellations don't rewrite why it ended."""
    wait = Wait()
    wait.cancel("first")
    wait.cancel("second")
    with pytest.raises(Cancelled, match="first"):
        wait.check()


def test_an_abort_is_called_once_by_cancel() -> None:
    """What is blocked in I/O is woken through its abort, once."""
    wait = Wait()
    calls: list[str] = []
    with wait.abortable(lambda: calls.append("abort")):
        wait.cancel()
        wait.cancel()
    assert calls == ["abort"]


def test_an_abort_is_forgotten_after_its_block() -> None:
    """A connection that went back to the pool is not shut by a later cancellation."""
    wait = Wait()
    calls: list[str] = []
    with wait.abortable(lambda: calls.append("abort")):
        pass
    wait.cancel()
    assert calls == []


def test_nothing_begins_after_cancel() -> None:
    """A block that would register after the cancellation does not run."""
    wait = Wait()
    wait.cancel()
    with pytest.raises(Cancelled), wait.abortable(lambda: None):
        pytest.fail("the block ran")


def test_an_abort_may_ask_the_wait() -> None:
    """Aborts run outside the lock, so they may use the wait themselves."""
    wait = Wait()
    seen: list[bool] = []
    with wait.abortable(lambda: seen.append(wait.cancelled)):
        wait.cancel()
    assert seen == [True]


def test_acquire_asks_in_short_slices_until_it_has_it() -> None:
    """A semaphore is waited for in slices, so that cancellation is seen."""
    answers = iter([False, False, True])
    asked: list[float] = []

    def acquire(seconds: float) -> bool:
        asked.append(seconds)
        return next(answers)

    Wait().acquire(acquire)
    assert asked == [SLICE] * 3


def test_acquire_gives_up_when_cancelled() -> None:
    """A cancelled transfer does not take a permit."""
    wait = Wait()

    def acquire(seconds: float) -> bool:
        wait.cancel()
        return False

    with pytest.raises(Cancelled):
        wait.acquire(acquire)


def test_take_returns_what_is_queued() -> None:
    """The next item comes out in order."""
    items: queue.SimpleQueue[int] = queue.SimpleQueue()
    items.put(1)
    items.put(2)
    wait = Wait()
    assert [wait.take(items), wait.take(items)] == [1, 2]


def test_take_gives_up_when_cancelled() -> None:
    """A cancelled driver does not wait for its workers' results."""
    wait = Wait()
    wait.cancel()
    with pytest.raises(Cancelled):
        wait.take(queue.SimpleQueue())
