"""Waiting for another thread to reach a point that it does not tell of."""

from __future__ import annotations

import threading
from typing import Callable


def until(reached: Callable[[], bool]) -> None:
    """Return when it is so; the time limit of the test run ends a wait for what never comes."""
    never = threading.Event()
    while not reached():
        never.wait(0.002)
