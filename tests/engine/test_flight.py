"""Tasks handed out by a driver."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from atxfer._engine.flight import flight
from atxfer._engine.workers import Workers
from atxfer.errors import Cancelled, ServerFault
from atxfer.waiting import Wait


@pytest.fixture(params=[1, 3], ids=["inline", "threads"])
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    """Yield workers with threads, and without."""
    made = Workers(request.param, "w")
    yield made
    made.close()


def test_what_tasks_return_and_raise_is_collected(workers: Workers) -> None:
    """By the tag the driver gave them."""

    def fail() -> None:
        raise ServerFault("x")

    with flight(workers, Wait()) as tasks:
        tasks.submit("good", lambda: 5)
        tasks.submit("bad", fail)
        ends = {end.tag: end for end in (tasks.collect(), tasks.collect())}
    assert ends["good"].value == 5
    assert isinstance(ends["bad"].error, ServerFault)
    assert tasks.outstanding == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_is_no_failure_of_a_request_is_raised(
    workers: Workers, error: type[BaseException]
) -> None:
    """Ctrl-C and defects end the transfer, wherever they happened."""

    def fail() -> None:
        raise error

    with flight(workers, Wait()) as tasks:
        tasks.submit(1, fail)
        with pytest.raises(error):
            tasks.collect()


def test_leaving_wakes_what_pauses_and_waits_for_it() -> None:
    """No task outlives its flight."""
    workers = Workers(3, "w")
    asleep = threading.Barrier(4)

    def sleep() -> None:
        asleep.wait()
        tasks.pauses.sleep(1e6)

    with flight(workers, Wait()) as tasks:
        for number in range(3):
            tasks.submit(number, sleep)
        asleep.wait()
        assert tasks.outstanding == 3
    assert tasks.outstanding == 0
    workers.close()


def test_after_halt_nothing_is_begun(workers: Workers) -> None:
    """A task that is handed out later ends without being run."""
    with flight(workers, Wait()) as tasks:
        tasks.halt()
        tasks.submit(1, lambda: pytest.fail("it was run"))
        assert isinstance(tasks.collect().error, Cancelled)


def test_the_end_of_the_transfer_ends_the_pauses() -> None:
    """And the driver's own waiting."""
    wait = Wait()
    with flight(Workers(3, "w"), wait) as tasks:
        wait.cancel("the client was closed")
        assert tasks.pauses.cancelled
        with pytest.raises(Cancelled, match="the client was closed"):
            tasks.collect()


def test_a_task_that_nothing_wakes_is_left_behind() -> None:
    """A store that ignores its abort does not hold the driver for ever."""
    workers, free = Workers(3, "w"), threading.Event()
    with flight(workers, Wait()) as tasks:
        tasks.submit(1, free.wait)
    assert tasks.outstanding == 1
    free.set()
    workers.close()
