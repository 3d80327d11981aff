"""Metrics of a client for Prometheus. Needs ``pip install 'atxfer[metrics]'``.

::

    from prometheus_client import REGISTRY
    from atxfer.prometheus import Collector

    REGISTRY.register(Collector(client.metrics))
"""

from __future__ import annotations

from atxfer._observe.prometheus import Collector

__all__ = ["Collector"]
