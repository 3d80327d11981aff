"""The gate that overload closes."""

from __future__ import annotations

import pytest

from atxfer._engine.gate import Gate
from atxfer.errors import Cancelled
from atxfer.waiting import Wait
from tests.support.clock import FakeClock


def no_spacing() -> float:
    """Return that the first ones need not be apart."""
    return 0.0


def test_an_open_gate_makes_nobody_wait() -> None:
    """Nothing sleeps, and the spacing is not even asked for."""
    clock = FakeClock()
    gate = Gate(3, clock)

    def asked() -> float:
        raise AssertionError("asked for the spacing of an open gate")

    gate.pass_through(Wait(clock=clock), asked)
    assert clock.waits == []


def test_a_shut_gate_is_waited_out() -> None:
    """Who comes meanwhile passes when it opens, and not earlier."""
    clock = FakeClock()
    gate = Gate(3, clock)
    gate.shut(2.5)
    assert gate.is_shut
    gate.pass_through(Wait(clock=clock), no_spacing)
    assert clock.waits == [2.5]
    assert not gate.is_shut


def test_the_first_ones_are_spaced() -> None:
    """After reopening requests come one by one, then freely (R14)."""
    clock = FakeClock()
    gate, wait = Gate(2, clock), Wait(clock=clock)
    gate.shut(1.0)
    for _ in range(4):
        gate.pass_through(wait, lambda: 0.25)
    assert clock.waits == [1.0, 0.25]


def test_a_gate_shut_again_is_waited_out_again() -> None:
    """Somebody who slept at the gate looks again before passing."""
    clock = FakeClock()
    gate = Gate(2, clock)
    clock.on_wait = lambda seconds: gate.shut(3.0) if seconds == 1.0 else None
    gate.shut(1.0)
    gate.pass_through(Wait(clock=clock), no_spacing)
    assert clock.waits == [1.0, 2.0]


def test_waiting_at_the_gate_ends_with_the_transfer() -> None:
    """A long Retry-After doesn't hold a cancelled transfer."""
    clock = FakeClock()
    gate, wait = Gate(2, clock), Wait(clock=clock)
    clock.on_wait = lambda _: wait.cancel()
    gate.shut(60.0)
    with pytest.raises(Cancelled):
        gate.pass_through(wait, no_spacing)
