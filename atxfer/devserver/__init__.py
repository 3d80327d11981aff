"""The development server: an atDirectory and atServers that answer as the real ones do.

For demos and tests, **never for production**. It stands in for the original servers in every answer
of the recorded transcript, and adds what tests need: faults on demand, latency, the real server's
costs, counters of what it felt.
"""

from __future__ import annotations

from atxfer.devserver.counters import Counters, Counts
from atxfer.devserver.delay import DelayProxy
from atxfer.devserver.faults import BadFaults, FaultPlan, seconds
from atxfer.devserver.server import WARNING, DevServer
from atxfer.devserver.view import ServerView

__all__ = [
    "WARNING",
    "BadFaults",
    "Counters",
    "Counts",
    "DelayProxy",
    "DevServer",
    "FaultPlan",
    "ServerView",
    "seconds",
]
