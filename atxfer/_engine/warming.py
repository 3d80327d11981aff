"""Connections that are made ready beside what comes before the requests that will use them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Callable

from atxfer._engine.destination import Destination
from atxfer._engine.flight import flight
from atxfer._engine.transfer import Transfer
from atxfer.waiting import Wait

__all__ = ["warming"]


@contextlib.contextmanager
def warming(
    destination: Destination, transfer: Transfer, prepare: Callable[[Wait], None], width: int
) -> Iterator[None]:
    """Make connections ready during the block, and no longer.

    Each is tried once, under a permit because that is load too, and nobody asks what became of it:
    a request that finds no connection makes one.

    Args:
        destination: Where to, and whose threads do it.
        transfer: For whom.
        prepare: Makes one ready.
        width: How many requests there will be at a time; the block itself has a connection.
    """

    def attempt() -> None:
        with transfer.note("connection") as note:
            destination.gate.pass_through(helpers.pauses, destination.spacing)
            with destination.permits.hold(helpers.pauses):
                note("logs in")
                prepare(helpers.pauses)

    with flight(destination.workers, transfer.wait) as helpers:
        for _ in range(1, min(destination.cap, width)):
            helpers.submit(None, attempt)
        yield
