"""Many transfers, a few at a time, each told of as it ends."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Callable, Generic, Optional, TypeVar

from atxfer._engine.engine import Engine
from atxfer._engine.transfer import Transfer
from atxfer.waiting import Wait

__all__ = ["End", "each_as_it_ends"]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class End(Generic[T, R]):
    """How the transfer of one item ended: with a value, or with an error."""

    item: T
    value: Optional[R] = None
    error: Optional[Exception] = None


def each_as_it_ends(
    engine: Engine,
    items: Iterable[T],
    body: Callable[[T], Callable[[Transfer], R]],
    *,
    name: Callable[[T], str],
    width: int,
) -> Iterator[End[T, R]]:
    """Run one transfer an item, ``width`` at a time, each in a thread of its own.

    Args:
        engine: What runs them.
        items: Read no faster than they are transferred.
        body: Makes the transfer of an item; what it raises is the end of that item alone.
        name: What a transfer is called.
        width: How many are under way at most.

    Leaving the loop early, by an exception too, cancels those that are under way.
    """
    ended: queue.SimpleQueue[End[T, R]] = queue.SimpleQueue()
    active: list[Transfer] = []
    outstanding = 0
    try:
        for item in items:
            active = [transfer for transfer in active if not transfer.done()]
            active.append(engine.submit(_reporting(item, body, ended), name(item)))
            outstanding += 1
            if outstanding >= width:
                yield Wait().take(ended)
                outstanding -= 1
        for _ in range(outstanding):
            yield Wait().take(ended)
    finally:
        for transfer in active:
            transfer.cancel()


def _reporting(
    item: T, body: Callable[[T], Callable[[Transfer], R]], ended: queue.SimpleQueue[End[T, R]]
) -> Callable[[Transfer], None]:
    def report(transfer: Transfer) -> None:
        try:
            ended.put(End(item, value=body(item)(transfer)))
        except Exception as error:
            ended.put(End(item, error=error))
            raise

    return report
