"""What one transfer took so far: the evidence under way."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Optional

from atxfer._observe.metrics import Histogram
from atxfer.model import Progress, Statistics
from atxfer.waiting import Clock

__all__ = ["Tally"]


class Tally:
    """Counts for one transfer; :meth:`statistics` is the sum.

    Threads: every method may be called from any thread.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock.monotonic()
        self._lock = threading.Lock()  # guards everything below
        self._progress: Optional[Progress] = None
        self._requests = 0
        self._retries: Counter[str] = Counter()
        self._latency = Histogram()
        self._peak = 0
        self._wire_bytes = 0
        self._resent_bytes = 0

    @property
    def seconds(self) -> float:
        """Since the transfer was called for."""
        return self._clock.monotonic() - self._start

    @property
    def progress(self) -> Optional[Progress]:
        """How far the file is, or None while its size is not known."""
        with self._lock:
            return self._progress

    @property
    def retries(self) -> int:
        """How many attempts were repetitions."""
        with self._lock:
            return sum(self._retries.values())

    def begin(self, file: str, total: int, chunks: int) -> Progress:
        """Set what is to be moved; nothing is confirmed yet, or not any more."""
        with self._lock:
            self._progress = Progress(file, total, 0, 0, chunks, self.seconds)
            return self._progress

    def confirm(self, size: int, chunks: int, resumed: int = 0) -> Progress:
        """Count bytes the other side has confirmed, and return how far the file is now.

        Args:
            size: How many.
            chunks: Of how many chunks.
            resumed: How many of the bytes an earlier call had moved.
        """
        with self._lock:
            was = self._progress
            assert was is not None  # noqa: S101  # begin() comes first
            self._progress = Progress(
                was.file,
                was.total,
                was.confirmed + size,
                was.chunks + chunks,
                was.chunks_total,
                self.seconds,
                was.resumed + resumed,
            )
            return self._progress

    def note_request(self, latency: Optional[float]) -> None:
        """Count an attempt, and how long its answer took, if one came."""
        with self._lock:
            self._requests += 1
            if latency is not None:
                self._latency.add(latency)

    def note_retry(self, cause: str) -> None:
        """Count a repetition."""
        with self._lock:
            self._retries[cause] += 1

    def note_in_flight(self, number: int) -> None:
        """Keep the largest number of requests in flight."""
        with self._lock:
            self._peak = max(self._peak, number)

    def note_wire(self, size: int, resent: int) -> None:
        """Count sealed bytes handed to the store, and how many of them for a further time."""
        with self._lock:
            self._wire_bytes += size
            self._resent_bytes += resent

    def statistics(self, callback_errors: tuple[str, ...] = ()) -> Statistics:
        """Return the evidence so far."""
        with self._lock:
            progress = self._progress
            return Statistics(
                seconds=self.seconds,
                bytes=progress.confirmed if progress is not None else 0,
                resumed_bytes=progress.resumed if progress is not None else 0,
                wire_bytes=self._wire_bytes,
                resent_bytes=self._resent_bytes,
                chunks=progress.chunks if progress is not None else 0,
                requests=self._requests,
                retries=dict(self._retries),
                peak_in_flight=self._peak,
                latency_p50=self._latency.percentile(0.50),
                latency_p95=self._latency.percentile(0.95),
                latency_max=self._latency.most,
                callback_errors=callback_errors,
            )
