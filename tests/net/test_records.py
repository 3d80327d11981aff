"""Several records in one request, on servers with and without ``batch:``."""

from __future__ import annotations

import pytest

from atxfer._net.records import Records, ttl_ms
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.verbs import Llookup, Verb
from atxfer.waiting import Wait
from tests.support.pools import FakePool, missing


def _verbs(count: int) -> list[Verb]:
    return [Llookup(AtKey.self_(f"k{number}", "@alice")) for number in range(count)]


def test_several_share_one_request() -> None:
    """Three commands are one batch, and the answers come by position."""
    pool = FakePool(lambda line: line)
    answers = Records(pool).ask(_verbs(3), Wait())  # type: ignore[arg-type]
    assert len(pool.requests) == 1
    assert [answers[place] for place in range(3)] == [Answer(v.encode()) for v in _verbs(3)]


def test_one_alone_needs_no_batch() -> None:
    """A single command goes as itself."""
    pool = FakePool()
    Records(pool).ask(_verbs(1), Wait())  # type: ignore[arg-type]
    assert pool.requests == ["llookup:k0.atxfer@alice"]


def test_a_server_without_batch_is_asked_one_by_one_from_then_on() -> None:
    """The first refusal is remembered: no second batch is tried."""
    pool = FakePool(knows_batch=False)
    records = Records(pool)  # type: ignore[arg-type]
    assert len(records.ask(_verbs(2), Wait())) == 2
    assert len(records.ask(_verbs(2), Wait())) == 2
    assert [line.split(":")[0] for line in pool.requests] == ["batch", *["llookup"] * 4]


@pytest.mark.parametrize("knows_batch", [True, False])
def test_a_missing_key_is_an_answer_like_others(knows_batch: bool) -> None:
    """One key that is not there doesn't hide the others, with and without batch."""
    pool = FakePool(lambda line: missing() if "k1" in line else "v", knows_batch=knows_batch)
    answers = Records(pool).ask(_verbs(3), Wait())  # type: ignore[arg-type]
    assert isinstance(answers[1], KeyNotFound)
    assert answers[0] == answers[2] == Answer("v")


def test_what_the_server_left_out_has_no_answer() -> None:
    """An id that is missing from a batch is missing here as well."""
    pool = FakePool(left_out=(2,))
    assert sorted(Records(pool).ask(_verbs(3), Wait())) == [0, 2]  # type: ignore[arg-type]


@pytest.mark.parametrize(("ttl", "wire"), [(None, 0), (1.5, 1500), (86_400.0, 86_400_000)])
def test_a_time_to_live_is_always_named(ttl: float | None, wire: int) -> None:
    """No end is named as 0, or an earlier record's end would stay (facts §5)."""
    assert ttl_ms(ttl) == wire
