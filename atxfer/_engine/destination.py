"""What all requests to one server share: permits, gate, retry budget, latencies, threads."""

from __future__ import annotations

import threading

from atxfer._engine.gate import Gate
from atxfer._engine.permits import Permits
from atxfer._engine.workers import Workers
from atxfer._observe.metrics import Histogram
from atxfer._policy.retry import RetryBudget
from atxfer.waiting import Clock

__all__ = ["Destination"]


class Destination:
    """One server, as far as load on it is concerned.

    Args:
        key: What tells it from others, as ``atserver:@alice``.
        cap: Requests in flight, at most.
        budget: The retries it grants before anything has succeeded.
        clock: The clock of its gate.

    Threads: every method may be called from any thread.
    """

    def __init__(self, key: str, cap: int, budget: RetryBudget, clock: Clock) -> None:
        self.key = key
        self.cap = cap
        self._first_budget = budget
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Begin anew, with nothing in flight: in the child of a fork no lock can be trusted."""
        self.permits = Permits(self.cap)
        self.gate = Gate(self.cap, self._clock)
        self.workers = Workers(self.cap, f"atxfer-{self.key}")
        self._lock = threading.Lock()  # guards _budget, _latency
        self._budget = self._first_budget
        self._latency = Histogram()

    def spacing(self) -> float:
        """Return the seconds between two requests after the gate reopens: a round trip, shared."""
        with self._lock:
            return self._latency.percentile(0.5) / self.cap

    def note_latency(self, seconds: float) -> None:
        """Count how long the server took to answer."""
        with self._lock:
            self._latency.add(seconds)

    def note_success(self, part: float = 1.0) -> None:
        """Count a request, or a part of one, that succeeded."""
        with self._lock:
            self._budget = self._budget.earned(part)

    def grants_retry(self, part: float = 1.0) -> bool:
        """Whether the retry budget allows one more, which is then counted."""
        with self._lock:
            after = self._budget.spent(part)
            if after is not None:
                self._budget = after
            return after is not None

    def snapshot(self) -> dict[str, float]:
        """Return what is in flight and how fast the server answers, as plain values."""
        with self._lock:
            p50, p95 = self._latency.percentile(0.5), self._latency.percentile(0.95)
        return {
            "cap": self.cap,
            "in_flight": self.permits.in_flight,
            "peak_in_flight": self.permits.peak,
            "response_p50": p50,
            "response_p95": p95,
        }
