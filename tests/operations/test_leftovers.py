"""Uploads to a store that did not end: which are removed, and what is told of it."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from typing import Optional

import pytest

from atxfer._engine.engine import Engine
from atxfer._engine.journals import Journals
from atxfer._operations.leftovers import Leftovers, Terms
from atxfer.config import TransferConfig
from atxfer.errors import CleaningFailed, LoginRefused, NotSupported
from atxfer.model import AbandonedUpload
from atxfer.stores.base import Leftover
from tests.support.objects import FakeObjects

TERMS = Terms(until=1000.0)
QUICK = TransferConfig(backoff_initial=0.0, backoff_max=0.0)


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Give an engine."""
    made = Engine(QUICK)
    yield made
    made.close()


def left(
    name: str, begun_at: Optional[float] = 500.0, stopped_at: Optional[float] = 900.0
) -> Leftover:
    """Return an upload that did not end; its token is its name."""
    return Leftover(f"mem://p/{name}", name.encode(), begun_at, stopped_at, stored=7)


def clean(
    engine: Engine, store: FakeObjects, terms: Terms = TERMS, *, dry_run: bool = False
) -> list[AbandonedUpload]:
    """Remove what is old in a store."""
    leftovers = Leftovers(engine, store, engine.destination("mem", 3))
    return list(engine.run(lambda t: leftovers.clean(terms, t, dry_run=dry_run), "clean"))


def store_of(*lefts: Leftover, script: str = "") -> FakeObjects:
    """Return a store in which these lie."""
    store = FakeObjects(script)
    store.lefts = list(lefts)
    return store


def test_the_oldest_is_told_first(engine: Engine) -> None:
    """With all that is known of each."""
    store = store_of(left("b"), left("a", 600.0, 800.0))
    assert clean(engine, store) == [
        AbandonedUpload("mem://p/a", "a", None, 7, 600.0, 800.0),
        AbandonedUpload("mem://p/b", "b", None, 7, 500.0, 900.0),
    ]
    assert store.lefts == []


@pytest.mark.parametrize(
    "kept",
    [
        left("begun later", begun_at=1000.5),
        left("gone on with later", stopped_at=1000.5),
        left("begun who knows when", begun_at=None),
        left("stopped who knows when", stopped_at=None),
    ],
    ids=lambda kept: kept.token.decode(),
)
def test_what_is_young_or_of_unknown_age_stays(engine: Engine, kept: Leftover) -> None:
    """What is younger than that is not even looked at."""
    store = store_of(kept, left("old"))
    assert [upload.name for upload in clean(engine, store)] == ["old"]
    assert store.lefts == [kept]


def test_the_very_second_counts(engine: Engine) -> None:
    """As old as that is old enough."""
    assert len(clean(engine, store_of(left("a", 1000.0, 1000.0)))) == 1


def test_only_what_is_old_enough_is_looked_at(engine: Engine) -> None:
    """One request each, and none for those that were begun too late, or are under way."""
    store = store_of(left("old"), left("young", 1001.0, 1001.0), left("mine"))
    terms = Terms(1000.0, tokens=frozenset([b"mine"]))
    clean(engine, store, terms, dry_run=True)
    assert store.requests == ["leftovers", "examine old"]
    assert len(store.lefts or ()) == 3


def test_one_that_ends_meanwhile_is_none(engine: Engine) -> None:
    """It was completed, or removed by somebody else."""
    store = store_of(left("a"))

    def vanish(name: str, now: int) -> None:
        if name.startswith("examine"):
            store.lefts = []

    store.before = vanish
    assert clean(engine, store) == []


def test_a_request_is_tried_again(engine: Engine) -> None:
    """Like any other; to drop what is gone is no failure."""
    store = store_of(left("a"), script="500 ok 503 ok dropped ok")
    assert [upload.name for upload in clean(engine, store)] == ["a"]
    assert store.requests == ["leftovers"] * 2 + ["examine a"] * 2 + ["drop a"] * 2


@pytest.mark.parametrize("kind", ["examine", "drop"])
def test_what_can_not_be_removed_disturbs_no_other(engine: Engine, kind: str) -> None:
    """The error has both, and the exit code of the cause; it may cross processes."""
    store = store_of(left("a"), left("b"), left("c"))

    def refuse(name: str, now: int) -> None:
        if name == f"{kind} b":
            raise LoginRefused("not by you")

    store.before = refuse
    with pytest.raises(CleaningFailed, match="removed: not by you") as caught:
        clean(engine, store)
    error = caught.value
    assert [upload.name for upload in error.removed] == ["a", "c"]
    assert [(upload.name, cause.message) for upload, cause in error.failures] == [
        ("b", "not by you")
    ]
    assert (error.exit_code, error.file) == (LoginRefused.exit_code, "b")
    assert [each.token for each in store.lefts or ()] == [b"b"]
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own pickle
    assert (again.removed, again.exit_code) == (error.removed, error.exit_code)


def test_several_that_can_not_be_removed_are_counted(engine: Engine) -> None:
    """Even if that is all of them."""
    store = store_of(left("a"), left("b"))
    store.always = {"drop": "refused"}
    with pytest.raises(CleaningFailed, match="and 1 more") as caught:
        clean(engine, store)
    assert caught.value.removed == []


def test_a_store_that_lists_none_says_so(engine: Engine) -> None:
    """Nothing was done, so it is no partial failure."""
    with pytest.raises(NotSupported, match="lists none"):
        clean(engine, FakeObjects())


def test_how_old_is_a_difference_of_two_clocks() -> None:
    """Of this machine's and the server's; with 0 neither counts."""
    before = time.time()
    until = Terms.of(60.0, Journals(None)).until
    assert before - 60 <= until <= time.time() - 60
    assert Terms.of(0, Journals(None)).are_met_by(time.time() + 1e9)
    assert not Terms.of(0, Journals(None)).are_met_by(None)
    assert not Terms.of(0, Journals(None)).are_met_by(float("inf"))
    assert not Terms.of(float("inf"), Journals(None)).are_met_by(0.0)
