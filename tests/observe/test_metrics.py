"""Counters and distributions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atxfer._observe.events import (
    ChunkFetched,
    ChunkStored,
    Event,
    GateClosed,
    RequestAnswered,
    RequestFailed,
    RequestRetried,
    TransferCancelled,
    TransferCompleted,
    TransferFailed,
)
from atxfer._observe.metrics import Histogram, Metrics, resident_bytes


def counted(*events: Event) -> dict[str, Any]:
    """Return the snapshot after these events."""
    metrics = Metrics()
    for event in events:
        metrics(event)
    return metrics.snapshot()


def test_an_empty_histogram_is_all_zeros() -> None:
    """No value, no percentile, no error."""
    assert Histogram().summary() == {
        "count": 0,
        "mean": 0.0,
        "p50": 0.0,
        "p95": 0.0,
        "p99": 0.0,
        "max": 0.0,
    }


def test_percentiles_of_a_hundred_values() -> None:
    """Within the 5 % that a bucket is wide; the maximum is exact."""
    histogram = Histogram()
    for hundredths in range(1, 101):
        histogram.add(hundredths / 100)
    assert histogram.percentile(0.50) == pytest.approx(0.50, rel=0.05)
    assert histogram.percentile(0.95) == pytest.approx(0.95, rel=0.05)
    assert histogram.summary()["max"] == 1.0
    assert histogram.summary()["mean"] == pytest.approx(0.505)


@given(st.lists(st.floats(0.0, 1e5), min_size=1, max_size=50), st.floats(0.0, 1.0))
def test_a_percentile_is_near_a_value_of_that_rank(values: list[float], part: float) -> None:
    """Whatever the distribution; never outside of what was seen."""
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    rank = max(1, -int(-part * len(values) // 1))
    exact = sorted(values)[rank - 1]
    assert histogram.percentile(part) == pytest.approx(exact, rel=0.03, abs=2e-9)
    assert min(values) <= histogram.percentile(part) <= max(values)


def test_requests_and_errors_make_a_rate() -> None:
    """Every attempt counts, also those that are tried again."""
    now = counted(
        RequestAnswered("a", "r", 0.1),
        RequestFailed("a", "r", "Overloaded", 0.2, True),
        RequestRetried("a", "r", "Overloaded", 2, 1.0),
        RequestFailed("a", "r", "ConnectionLost", 9.0, False),
        RequestAnswered("a", "r", 0.1),
    )
    assert (now["requests"], now["errors"], now["error_rate"]) == (4, 2, 0.5)
    assert now["retries"] == {"Overloaded": 1}


def test_response_times_are_of_answers() -> None:
    """An error answer is one; a lost connection is none."""
    now = counted(
        RequestAnswered("a", "r", 0.1),
        RequestFailed("a", "r", "Overloaded", 0.2, True),
        RequestFailed("a", "r", "ConnectionLost", 9.0, False),
    )
    assert (now["response_seconds"]["count"], now["response_seconds"]["max"]) == (2, 0.2)


def test_bytes_count_when_they_are_confirmed() -> None:
    """In both directions."""
    now = counted(ChunkStored("f", 0, 100), ChunkStored("f", 1, 50), ChunkFetched("f", 0, 7))
    assert (now["bytes_up"], now["bytes_down"]) == (150, 7)


def test_files_count_by_how_they_ended() -> None:
    """And the time of those that arrived."""
    now = counted(
        TransferCompleted("up", "f", 1, 2.0, 3, 0, 1),
        TransferCompleted("down", "f", 1, 4.0, 3, 0, 1),
        TransferFailed("up", "f", "Overloaded", 1.0),
        TransferCancelled("down", "f", 1.0),
    )
    assert now["files"] == {"uploaded": 1, "downloaded": 1, "failed": 1, "cancelled": 1}
    assert now["upload_seconds"]["max"] == 2.0
    assert now["download_seconds"]["max"] == 4.0


def test_events_that_count_nothing_are_passed_over() -> None:
    """A listener hears all events."""
    assert counted(GateClosed("a", "Overloaded", 1.0)) == counted()


def test_a_snapshot_is_ready_for_json() -> None:
    """Plain values only, and none of it changes afterwards."""
    metrics = Metrics()
    before = metrics.snapshot()
    metrics(RequestRetried("a", "r", "Overloaded", 2, 1.0))
    assert before["retries"] == {}
    json.dumps(metrics.snapshot())


def test_a_reset_begins_from_zero() -> None:
    """For the child of a fork."""
    metrics = Metrics()
    metrics(ChunkStored("f", 0, 100))
    metrics.reset()
    assert metrics.snapshot() == counted()


def test_the_memory_of_the_process_is_told() -> None:
    """An interpreter takes megabytes, not gigabytes."""
    size = resident_bytes()
    assert size is not None
    assert 1 << 20 < size < 1 << 32


def test_a_system_that_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every system has /proc."""

    def missing(self: Path, encoding: str) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert resident_bytes() is None
