"""The snapshot of an engine as Prometheus metrics. Needs the extra ``atxfer[metrics]``.

::

    registry.register(Collector(client.metrics))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["Collector"]

_COUNTERS = {
    "requests": "Requests sent, repetitions included.",
    "errors": "Requests that failed.",
    "bytes_up": "Bytes of files stored.",
    "bytes_down": "Bytes of files fetched.",
}
_GAUGES = {
    "requests_in_flight": "Requests at the servers now.",
    "peak_in_flight": "The most requests to one server that were in flight at one moment.",
    "transfers_active": "Transfers under way.",
}
_DURATIONS = {
    "response_seconds": "From permit to answer.",
    "upload_seconds": "Of a whole upload.",
    "download_seconds": "Of a whole download.",
}


class Collector:
    """What a Prometheus registry asks for the metrics of one engine.

    Args:
        snapshot: Returns the current snapshot, as ``Engine.metrics`` does.
    """

    def __init__(self, snapshot: Callable[[], Mapping[str, Any]]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, as they are now."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            SummaryMetricFamily,
        )

        now = self._snapshot()
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"atxfer_{name}", text, value=now[name])
        for name, text in _GAUGES.items():
            yield GaugeMetricFamily(f"atxfer_{name}", text, value=now[name])
        for name, text in _DURATIONS.items():
            summary = now[name]
            total = summary["count"] * summary["mean"]
            yield SummaryMetricFamily(
                f"atxfer_{name}", text, count_value=summary["count"], sum_value=total
            )
        for name, label, text in (
            ("retries", "cause", "Repetitions of requests."),
            ("files", "outcome", "Files by how their transfer ended."),
        ):
            family = CounterMetricFamily(f"atxfer_{name}", text, labels=[label])
            for key, value in now[name].items():
                family.add_metric([key], value)
            yield family
        held = now["memory"]["held_bytes"]
        yield GaugeMetricFamily("atxfer_held_bytes", "File content in memory.", value=held)
