"""The servers' time, which tests move."""

from __future__ import annotations

import asyncio

from atxfer.devserver.clock import ServerClock, timestamp


def test_times_are_written_as_the_servers_do() -> None:
    """UTC with milliseconds, and a space between day and hour."""
    assert timestamp(1_795_504_170_004) == "2026-11-24 07:09:30.004Z"


def test_moving_the_clock_wakes_who_sleeps() -> None:
    """Nobody waits for time that a test lets pass."""

    async def scenario() -> float:
        clock = ServerClock(lambda: 100.0)
        sleeper = asyncio.ensure_future(clock.sleep(3600.0))
        await clock.until_asleep(1)
        clock.advance(3599.0)
        assert not sleeper.done()
        clock.advance(1.0)
        await sleeper
        return clock.now()

    assert asyncio.run(scenario()) == 3700.0


def test_sleep_ends_by_itself() -> None:
    """Without anybody who moves the clock, time passes as ever."""
    asyncio.run(ServerClock().sleep(0.0))


def test_reset_goes_back_to_the_true_time() -> None:
    """The next test begins now."""
    clock = ServerClock(lambda: 100.0)
    clock.advance(50.0)
    clock.reset()
    assert clock.now_ms() == 100_000
