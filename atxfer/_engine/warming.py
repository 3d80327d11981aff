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
    destination: Destination, transfer: Transfer, prepare: Callable[[Wait, int], bool], width: int
) -> Iterator[None]:
    """Make connections ready during the block, and no longer.

    Each is tried once, under a permit because that is load too, and nobody asks what became of it:
    a request that finds no connection makes one. The block has one as well, which it makes, or
    takes from those that are ready; then there is one to be made in its place.

    Args:
        destination: Where to, and whose threads do it.
        transfer: For whom.
        prepare: Makes one ready, unless there are as many as it is told, and says whether it did.
        width: How many requests there will be at a time.
    """
    enough = min(destination.cap, width)
    if enough <= 1:  # that of the block
        yield
        return

    def make() -> bool:
        with transfer.note("connection") as note:
            destination.gate.pass_through(helpers.pauses, destination.spacing)
            with destination.permits.hold(helpers.pauses):
                note("logs in")
                return prepare(helpers.pauses, enough)

    def attempt() -> None:
        if make():
            make()  # in the place of one that the block has taken

    with flight(destination.workers, transfer.wait) as helpers:
        for _ in range(1, enough):
            helpers.submit(None, attempt)
        yield
