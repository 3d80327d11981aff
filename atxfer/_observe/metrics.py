"""Counters and distributions of everything an engine did, as one snapshot."""

from __future__ import annotations

import math
import os
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, Optional

from atxfer._observe.events import (
    ChunkFetched,
    ChunkStored,
    Event,
    RequestAnswered,
    RequestFailed,
    RequestRetried,
    TransferCancelled,
    TransferCompleted,
    TransferFailed,
)

__all__ = ["Histogram", "Metrics", "resident_bytes"]

# Neighbouring buckets differ by 5 %, so that a percentile is off by at most half of that, and a
# nanosecond to a day takes 700 buckets at most, however many values there are.
_GROWTH = math.log(1.05)


class Histogram:
    """The distribution of durations, in constant memory. Not locked: its owner guards it."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.least = math.inf
        self.most = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count one value."""
        self.count += 1
        self.total += seconds
        self.least = min(self.least, seconds)
        self.most = max(self.most, seconds)
        self._buckets[round(math.log(max(seconds, 1e-9)) / _GROWTH)] += 1

    def percentile(self, part: float) -> float:
        """Return the value below which this part of all values lies; 0.0 if there are none."""
        if not self.count:
            return 0.0
        rank = max(1, math.ceil(part * self.count))
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return min(max(math.exp(bucket * _GROWTH), self.least), self.most)
        return self.most

    def summary(self) -> dict[str, float]:
        """Return count, mean, percentiles and maximum as plain values."""
        return {
            "count": self.count,
            "mean": self.total / self.count if self.count else 0.0,
            "p50": self.percentile(0.50),
            "p95": self.percentile(0.95),
            "p99": self.percentile(0.99),
            "max": self.most,
        }


def resident_bytes() -> Optional[int]:
    """Return the memory of this process that is in RAM, or None where the system doesn't say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


class Metrics:
    """Listens to events and counts.

    Threads: events may come from any thread; the lock is held for single additions only.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, from zero: in the child of a fork no lock can be trusted."""
        self._lock = threading.Lock()  # guards everything below
        self._counts: Counter[str] = Counter()
        self._retries: Counter[str] = Counter()
        self._files: Counter[str] = Counter()
        self._response = Histogram()
        self._upload = Histogram()
        self._download = Histogram()

    def __call__(self, event: Event) -> None:
        """Count one event; those that say nothing countable are passed over."""
        count = _COUNTERS.get(type(event))
        if count is not None:
            with self._lock:
                count(self, event)

    def snapshot(self) -> dict[str, Any]:
        """Return all counts, as plain values ready for JSON. Durations in seconds."""
        with self._lock:
            requests, errors = self._counts["requests"], self._counts["errors"]
            return {
                "requests": requests,
                "errors": errors,
                "error_rate": errors / requests if requests else 0.0,
                "retries": dict(self._retries),
                "bytes_up": self._counts["bytes_up"],
                "bytes_down": self._counts["bytes_down"],
                "files": {name: self._files[name] for name in _OUTCOMES},
                "upload_seconds": self._upload.summary(),
                "download_seconds": self._download.summary(),
                "response_seconds": self._response.summary(),
            }

    def _answered(self, event: RequestAnswered) -> None:
        self._counts["requests"] += 1
        self._response.add(event.seconds)

    def _failed(self, event: RequestFailed) -> None:
        self._counts["requests"] += 1
        self._counts["errors"] += 1
        if event.answered:
            self._response.add(event.seconds)

    def _retried(self, event: RequestRetried) -> None:
        self._retries[event.error] += 1

    def _stored(self, event: ChunkStored) -> None:
        self._counts["bytes_up"] += event.size

    def _fetched(self, event: ChunkFetched) -> None:
        self._counts["bytes_down"] += event.size

    def _completed(self, event: TransferCompleted) -> None:
        up = event.direction == "up"
        self._files["uploaded" if up else "downloaded"] += 1
        (self._upload if up else self._download).add(event.seconds)

    def _file_failed(self, event: TransferFailed) -> None:
        self._files["failed"] += 1

    def _file_cancelled(self, event: TransferCancelled) -> None:
        self._files["cancelled"] += 1


_OUTCOMES = ("uploaded", "downloaded", "failed", "cancelled")
_COUNTERS: Mapping[type[Event], Callable[[Metrics, Any], None]] = {
    RequestAnswered: Metrics._answered,
    RequestFailed: Metrics._failed,
    RequestRetried: Metrics._retried,
    ChunkStored: Metrics._stored,
    ChunkFetched: Metrics._fetched,
    TransferCompleted: Metrics._completed,
    TransferFailed: Metrics._file_failed,
    TransferCancelled: Metrics._file_cancelled,
}
