"""The order in which a gate lets requests through."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atxfer._policy.pacing import Opening


def test_an_open_gate_is_passed_at_once() -> None:
    """Nobody waits, and nobody is spaced, before the gate was ever shut."""
    gate = Opening()
    assert not gate.is_shut(0.0)
    assert gate.slot(0.0, 5.0) == (gate, 0.0)


def test_it_opens_after_its_time() -> None:
    """Shut before the moment, open from it on."""
    gate = Opening().shut(now=10.0, seconds=2.0, workers=3)
    assert gate.is_shut(11.9)
    assert not gate.is_shut(12.0)


def test_the_first_ones_pass_one_by_one_then_everybody() -> None:
    """As many as there are workers are spaced over a round trip; later ones pass freely."""
    gate = Opening().shut(now=10.0, seconds=2.0, workers=3)
    waits = []
    for _ in range(4):
        gate, wait = gate.slot(10.0, 0.1)
        waits.append(round(wait, 3))
    assert waits == [2.0, 2.1, 2.2, 2.0]
    assert gate.slot(12.5, 0.1)[1] == 0.0


def test_a_shorter_closure_does_not_open_it_earlier() -> None:
    """A later answer with a shorter wait doesn't take back a longer one."""
    gate = Opening().shut(now=0.0, seconds=60.0, workers=3).shut(now=1.0, seconds=2.0, workers=3)
    assert gate.at == 60.0


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=20), st.floats(0.01, 1.0))
def test_nobody_passes_before_it_opens(arrivals: list[float], spacing: float) -> None:
    """Whenever they arrive, requests pass at the opening or later, the spaced ones apart."""
    gate = Opening().shut(now=0.0, seconds=5.0, workers=8)
    moments = []
    for now in sorted(arrivals):
        gate, wait = gate.slot(now, spacing)
        moments.append(now + wait)
    assert all(moment >= 5.0 for moment in moments)
    spaced = moments[:8]
    assert all(b - a >= spacing - 1e-9 for a, b in zip(spaced, spaced[1:]))
