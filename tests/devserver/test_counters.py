"""What the servers felt."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from atxfer.devserver.counters import Counters, Overlap

INTERVALS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 50)).map(lambda pair: (pair[0], sum(pair))),
    max_size=30,
)


def at_once(intervals: list[tuple[int, int]]) -> int:
    """Return the most that cover one moment, by trying every beginning."""
    starts = [start for start, _ in intervals]
    return max((sum(a <= at < b for a, b in intervals) for at in starts), default=0)


@settings(max_examples=100)
@given(INTERVALS, st.randoms(use_true_random=False))
def test_the_peak_whatever_the_order_of_reports(
    intervals: list[tuple[int, int]], rng: object
) -> None:
    """With latency a beginning is reported after later ends."""
    overlap = Overlap()
    for begin, end in sorted(intervals, key=lambda _: rng.random()):  # type: ignore[attr-defined]
        overlap.begin(float(begin))
        overlap.end(float(end))
    assert overlap.peak == at_once(intervals)
    assert overlap.now == 0


def test_what_is_settled_is_folded() -> None:
    """Neither the count nor the peak changes when old times are forgotten."""
    overlap = Overlap()
    for second in range(20_000):
        overlap.begin(second + 0.0)
        overlap.begin(second + 0.1)
        overlap.end(second + 0.2)
        overlap.end(second + 0.3)
    overlap.begin(20_000.0)
    assert (overlap.peak, overlap.now) == (2, 1)
    assert len(overlap._edges) < 10_000


def test_an_end_and_a_beginning_at_one_time_do_not_overlap() -> None:
    """A client that waits for the answer has one in flight."""
    overlap = Overlap()
    for second in range(3):
        overlap.begin(float(second))
        overlap.end(float(second + 1))
    assert overlap.peak == 1


def test_the_total_counts_all_servers() -> None:
    """What two atServers felt at once, the whole felt together."""
    counters = Counters()
    for atsign in ("@alice", "@bob"):
        tally = counters.tally(atsign)
        tally.connection_opened(0.0)
        tally.command("batch")
        tally.command("update", batched=True)
        tally.request_began(1.0)
        tally.error("AT0015")
        tally.logged_in()
        tally.traffic(bytes_in=10, bytes_out=1)
    snapshot = counters.snapshot()
    assert snapshot["@alice"]["peak_in_flight"] == 1
    assert snapshot["total"] == {
        "connections": 2,
        "connections_now": 2,
        "connections_peak": 2,
        "logins": 2,
        "commands": {"batch": 2},
        "batched": {"update": 2},
        "errors": {"AT0015": 2},
        "in_flight": 2,
        "peak_in_flight": 2,
        "bytes_in": 20,
        "bytes_out": 2,
    }


def test_a_reset_keeps_what_is_open() -> None:
    """The next peak begins with the connections that are there."""
    counters = Counters()
    tally = counters.tally("@alice")
    for _ in range(3):
        tally.connection_opened(0.0)
    tally.connection_closed(1.0)
    tally.command("scan")
    counters.reset()
    after = counters["@alice"]
    assert (after["connections"], after["connections_now"], after["connections_peak"]) == (0, 2, 2)
    assert after["commands"] == {}


def test_snapshots_are_plain() -> None:
    """They go into reports as they are."""
    counters = Counters()
    counters.tally("@alice").command("scan")
    assert json.loads(json.dumps(counters.snapshot())) == counters.snapshot()
