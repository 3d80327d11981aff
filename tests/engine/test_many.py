"""Many transfers, a few at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Callable

from atxfer._engine.many import End, each_as_it_ends
from atxfer._engine.transfer import Transfer
from atxfer.errors import ServerFault
from tests.engine.world import World, world
from tests.support.until import until


def squares(w: World, numbers: list[int], width: int) -> list[End[int, int]]:
    """Square numbers, one transfer each; 3 fails."""

    def body(number: int) -> Callable[[Transfer], int]:
        def square(transfer: Transfer) -> int:
            if number == 3:
                raise ServerFault("three")
            return number * number

        return square

    return list(each_as_it_ends(w.engine, numbers, body, name=str, width=width))


def test_every_item_ends_once() -> None:
    """With its value, or with its own error, which disturbs no other."""
    with world() as w:
        for width in (1, 4):
            ends = {end.item: end for end in squares(w, list(range(10)), width)}
            assert {n: end.value for n, end in ends.items() if n != 3} == {
                n: n * n for n in range(10) if n != 3
            }
            assert isinstance(ends[3].error, ServerFault)


def test_no_items_no_ends() -> None:
    """And no thread."""
    with world() as w:
        assert squares(w, [], 4) == []


def test_items_are_read_no_faster_than_they_are_transferred() -> None:
    """A generator of a million names does not become a list."""
    read: list[int] = []
    go_on = threading.Event()

    def items() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    with world() as w:
        ends = each_as_it_ends(
            w.engine, items(), lambda number: lambda transfer: go_on.wait(), name=str, width=3
        )
        taker = threading.Thread(target=lambda: next(ends))
        taker.start()
        until(lambda: len(w.engine._active) == 3)
        assert len(read) == 3
        go_on.set()
        taker.join()
        ends.close()


def test_leaving_early_cancels_what_is_under_way() -> None:
    """A caller that breaks out of the loop does not leave uploads behind."""
    begun: list[Transfer] = []

    def body(number: int) -> Callable[[Transfer], None]:
        def wait_long(transfer: Transfer) -> None:
            begun.append(transfer)
            if number:
                transfer.wait.sleep(1e6)

        return wait_long

    with world() as w:
        ends = each_as_it_ends(w.engine, range(3), body, name=str, width=3)
        assert next(ends).item == 0
        ends.close()
        until(lambda: not w.engine._active)
    states = sorted(transfer.state.value for transfer in begun)
    assert states[-1] == "completed"
    assert set(states[:-1]) <= {"cancelled"}
