"""The snapshot as Prometheus metrics."""

from __future__ import annotations

import pytest

from atxfer._observe.prometheus import Collector
from tests.engine.world import world

prometheus_client = pytest.importorskip("prometheus_client")


def test_a_registry_reads_the_metrics_of_an_engine() -> None:
    """Each time anew; counters, gauges, durations and labels."""
    registry = prometheus_client.CollectorRegistry()
    with world("ok 503 ok", cap=1) as w:
        registry.register(Collector(w.engine.metrics))
        assert registry.get_sample_value("atxfer_requests_total") == 0
        w.upload(bytes(100))
        value = registry.get_sample_value
        assert value("atxfer_requests_total") == 7
        assert value("atxfer_errors_total") == 1
        assert value("atxfer_bytes_up_total") == 100
        assert value("atxfer_retries_total", {"cause": "Overloaded"}) == 1
        assert value("atxfer_files_total", {"outcome": "uploaded"}) == 1
        assert value("atxfer_peak_in_flight") == 1
        assert value("atxfer_upload_seconds_count") == 1
        assert value("atxfer_held_bytes") == 0


def test_all_metrics_have_a_text() -> None:
    """What Prometheus shows beside them."""
    with world() as w:
        families = list(Collector(w.engine.metrics).collect())
    assert len(families) == 13
    assert all(family.documentation for family in families)
