"""Many transfers, a few at a time, each told of as it ends."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Callable, Generic, Optional, TypeVar

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
    ended: queue.SimpleQueue[Transfer] = queue.SimpleQueue()
    active: dict[Transfer, T] = {}
    try:
        for item in items:
            active[engine.submit(body(item), name(item), ended.put)] = item
            if len(active) >= width:
                yield _end(active, ended)
        while active:
            yield _end(active, ended)
    finally:
        for transfer in active:
            transfer.cancel()


def _end(active: dict[Transfer, T], ended: queue.SimpleQueue[Transfer]) -> End[T, Any]:
    """Wait for the next transfer that ends, and say how it did."""
    transfer = Wait().take(ended)
    item = active.pop(transfer)
    try:
        return End(item, value=transfer.result())
    except Exception as error:  # noqa: BLE001  # it is the end of this item, and told as such
        return End(item, error=error)
