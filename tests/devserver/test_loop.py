"""The event loop's thread, and what says when it has nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from atxfer.devserver.activity import Activity
from atxfer.devserver.loop import LoopThread


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    """Run a loop."""
    thread = LoopThread("test")
    thread.start()
    yield thread
    thread.stop()


async def never() -> None:
    """Wait for what does not come."""
    await asyncio.get_running_loop().create_future()


async def fail() -> None:
    """Fail as no server should."""
    raise LookupError("a defect")


def test_work_is_done_on_the_loop(thread: LoopThread) -> None:
    """And its result or error comes back."""
    assert thread.call(lambda a, b: a + b, 1, 2) == 3
    with pytest.raises(LookupError):
        thread.run(fail())


def test_work_that_takes_too_long_is_ended(thread: LoopThread) -> None:
    """The caller is not kept for ever."""
    with pytest.raises(TimeoutError):
        thread.run(never(), timeout=0.01)


def test_a_stopped_loop_ends_its_tasks() -> None:
    """None is left pending, and stopping again does nothing."""
    thread = LoopThread("test")
    thread.start()
    activity = Activity()
    thread.call(lambda: activity.spawn(never()))
    thread.stop()
    thread.stop()
    assert not thread.running
    with pytest.raises(RuntimeError, match="not started"):
        _ = thread.loop


def test_defects_come_to_light(thread: LoopThread, caplog: pytest.LogCaptureFixture) -> None:
    """A task that fails unseen is kept for the test to find."""
    activity = Activity()
    thread.call(lambda: activity.spawn(fail()))
    thread.run(activity.idle())
    assert [str(failure) for failure in thread.failures] == ["a defect"]
    assert "devserver.defect" in caplog.text


def test_idle_waits_for_the_last(thread: LoopThread) -> None:
    """Whatever began must have ended."""
    activity = Activity()
    thread.call(activity.begin)
    with pytest.raises(TimeoutError):
        thread.run(activity.idle(), timeout=0.01)
    thread.call(activity.end)
    thread.run(activity.idle())
