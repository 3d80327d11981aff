"""Progress callbacks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from atxfer._observe import progress as module
from atxfer._observe.events import Bus, CallbackFailed, Event
from atxfer._observe.progress import Dispatcher
from atxfer.model import Progress
from tests.support.clock import FakeClock


def state(confirmed: int) -> Progress:
    """Return a state of a file of 100 bytes."""
    return Progress("a.bin", 100, confirmed, confirmed // 10, 10, 1.0)


class Stage:
    """A dispatcher, and what it told."""

    def __init__(self, interval: float = 0.1) -> None:
        self.clock = FakeClock()
        self.events: list[Event] = []
        bus = Bus(self.events.append)
        self.dispatcher = Dispatcher(interval=interval, clock=self.clock, bus=bus)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Yield a dispatcher, and see that its thread has ended with the test."""
    before = set(threading.enumerate())
    yield Stage()
    for thread in set(threading.enumerate()) - before:
        thread.join()


def test_states_closer_than_the_interval_are_left_out(stage: Stage) -> None:
    """At most ten calls a second by default, and the last state always."""
    seen: list[int] = []
    delivered = threading.Semaphore(0)

    def note(progress: Progress) -> None:
        seen.append(progress.confirmed)
        delivered.release()

    with stage.dispatcher.report("a.bin", note) as report:
        for confirmed in range(0, 100, 10):
            report.update(state(confirmed))
            if confirmed % 30 == 0:  # each 0.12 s
                delivered.acquire()
            stage.clock.now += 0.04
        report.finish(state(100))
    assert seen == [0, 30, 60, 90, 100]


def test_the_last_state_is_delivered_before_the_end(stage: Stage) -> None:
    """However short ago the one before was."""
    seen: list[int] = []
    with stage.dispatcher.report("a.bin", lambda p: seen.append(p.confirmed)) as report:
        report.update(state(0))
        report.finish(state(100))
        assert seen[-1] == 100


def test_callbacks_run_on_one_thread_that_ends_with_the_last_transfer(stage: Stage) -> None:
    """Not on those that move bytes; shared by all transfers of an engine."""
    threads: set[threading.Thread] = set()

    def note(progress: Progress) -> None:
        threads.add(threading.current_thread())

    with stage.dispatcher.report("a", note) as a, stage.dispatcher.report("b", note) as b:
        a.finish(state(1))
        b.finish(state(2))
        (thread,) = threads
        assert thread.name == "atxfer-progress"
        assert thread is not threading.current_thread()
    thread.join()


def test_without_a_callback_there_is_no_thread(stage: Stage) -> None:
    """And nothing to do."""
    before = threading.active_count()
    with stage.dispatcher.report("a.bin", None) as report:
        report.update(state(0))
        report.finish(state(100))
        assert threading.active_count() == before
    assert report.errors == ()


@pytest.mark.parametrize("error", [ZeroDivisionError("oh"), SystemExit("oh")])
def test_what_a_callback_raises_is_kept_and_told_once(stage: Stage, error: BaseException) -> None:
    """It is called again all the same; sys.exit() in it does not end the thread."""
    calls: list[int] = []

    def broken(progress: Progress) -> None:
        calls.append(progress.confirmed)
        raise error

    with stage.dispatcher.report("a.bin", broken) as report:
        for confirmed in (0, 50, 100):
            report.finish(state(confirmed))
    assert calls == [0, 50, 100]
    assert report.errors == (f"{type(error).__name__}: oh",)
    assert stage.events == [CallbackFailed("a.bin", f"{type(error).__name__}: oh")]


def test_a_callback_that_never_comes_back_delays_the_end_only_so_long(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transfer ends without it, and its result says so."""
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    free, entered = threading.Event(), threading.Event()

    def block(progress: Progress) -> None:
        entered.set()
        free.wait()

    with stage.dispatcher.report("a.bin", block) as report:
        report.update(state(0))
        entered.wait()
        report.finish(state(100))
        assert report.errors == ("the callback did not come back within 0.05 s",)
    free.set()


def test_a_blocked_thread_does_not_hold_later_transfers(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one gets a thread of its own."""
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    free, seen = threading.Event(), []
    with stage.dispatcher.report("a.bin", lambda p: free.wait()) as report:
        report.finish(state(100))
    monkeypatch.setattr(module, "PATIENCE", 60.0)
    with stage.dispatcher.report("b.bin", seen.append) as report:
        report.finish(state(100))
    assert seen == [state(100)]
    free.set()


def test_a_newer_state_replaces_one_that_waits(stage: Stage) -> None:
    """A slow callback misses states, never their order."""
    free, entered, seen = threading.Event(), threading.Event(), []

    def slow(progress: Progress) -> None:
        entered.set()
        free.wait()
        seen.append(progress.confirmed)

    with stage.dispatcher.report("a.bin", slow) as report:
        report.update(state(0))
        entered.wait()
        for confirmed in (10, 20, 30):
            stage.clock.now += 1.0
            report.update(state(confirmed))
        free.set()
        report.finish(state(100))
    assert seen[0] == 0
    assert seen[-1] == 100
    assert 10 not in seen
    assert 20 not in seen


def test_nothing_is_told_after_the_end(stage: Stage) -> None:
    """A transfer that failed does not call back later."""
    free, entered, seen = threading.Event(), threading.Event(), []

    def slow(progress: Progress) -> None:
        seen.append(progress.confirmed)
        entered.set()
        free.wait()

    def fail() -> None:
        with stage.dispatcher.report("a.bin", slow) as report:
            report.update(state(0))
            entered.wait()
            stage.clock.now += 1.0
            report.update(state(50))
            raise KeyboardInterrupt

    lanes = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        fail()
    free.set()
    for thread in set(threading.enumerate()) - lanes:
        thread.join()
    assert seen == [0]


def test_a_callback_that_reports_itself_does_not_wait_for_itself(stage: Stage) -> None:
    """A transfer within a callback tells its progress in that same thread."""
    inner: list[int] = []

    def nested(progress: Progress) -> None:
        with stage.dispatcher.report("inner", lambda p: inner.append(p.confirmed)) as report:
            report.update(state(1))
            report.finish(state(100))

    with stage.dispatcher.report("outer", nested) as report:
        report.finish(state(100))
    assert inner == [1, 100]


def test_where_no_thread_can_be_started_callbacks_run_in_the_caller(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of the interpreter."""

    def no_thread(self: Any) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    seen: list[threading.Thread] = []
    with stage.dispatcher.report("a", lambda p: seen.append(threading.current_thread())) as report:
        report.update(state(0))
        report.finish(state(100))
    assert seen == [threading.current_thread()] * 2


def test_after_a_fork_there_is_a_new_thread(stage: Stage) -> None:
    """The report of the parent's transfer ends without touching the child's."""
    seen: list[Progress] = []
    with stage.dispatcher.report("parent", seen.append) as parent:
        parent.finish(state(1))
        stage.dispatcher.reset()
        with stage.dispatcher.report("child", seen.append) as child:
            child.finish(state(2))
    assert seen == [state(1), state(2)]
