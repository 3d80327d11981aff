"""The byte budget."""

from __future__ import annotations

import threading
from typing import Callable

import pytest

from atxfer._engine.window import Window
from atxfer.errors import Cancelled
from atxfer.waiting import Wait
from tests.support.until import until


def started(target: Callable[[], None]) -> threading.Thread:
    """Return a thread that is running."""
    thread = threading.Thread(target=target)
    thread.start()
    return thread


def queued(window: Window, number: int) -> None:
    """Return when so many takers wait."""
    until(lambda: len(window._queue) == number)


def test_bytes_are_held_until_given_back() -> None:
    """What is taken is missing, what is given back is there again."""
    window = Window(100)
    assert window.try_take(60)
    assert not window.try_take(60)
    window.give(60)
    assert window.try_take(60)
    assert window.held == 60


def test_a_request_larger_than_all_is_admitted_alone() -> None:
    """It would wait for ever otherwise."""
    window = Window(100)
    assert window.try_take(500)
    assert not window.try_take(1)
    window.give(500)
    assert window.held == 0


def test_a_taker_waits_for_room() -> None:
    """It goes on when another one gives back."""
    window = Window(100)
    window.take(80, Wait())
    thread = started(lambda: window.take(50, Wait()))
    queued(window, 1)
    assert window.held == 80
    window.give(80)
    thread.join()
    assert window.held == 50


def test_first_come_first_served() -> None:
    """A large request is not overtaken by small ones that would fit."""
    window, order = Window(100), []

    def take(size: int) -> None:
        window.take(size, Wait())
        order.append(size)

    window.take(80, Wait())
    large = started(lambda: take(90))
    queued(window, 1)
    small = started(lambda: take(10))
    queued(window, 2)
    assert not window.try_take(5)
    window.give(80)
    large.join()
    small.join()
    assert order == [90, 10]


def test_a_taker_that_gives_up_leaves_the_queue() -> None:
    """Those behind it go on."""
    window, wait = Window(100), Wait()
    window.take(80, Wait())

    def take() -> None:
        with pytest.raises(Cancelled):
            window.take(100, wait)

    first = started(take)
    queued(window, 1)
    second = started(lambda: window.take(20, Wait()))
    queued(window, 2)
    wait.cancel()
    first.join()
    second.join()
    assert window.held == 100


def test_after_a_fork_nothing_is_held() -> None:
    """A reset window is as new."""
    window = Window(100)
    window.take(100, Wait())
    window.reset()
    assert window.try_take(100)
