"""How a server tells which verb a line is."""

from __future__ import annotations

from typing import Union

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atxfer.atprotocol.errors import AtError, InvalidSyntax, Unauthenticated, UnknownVerb
from atxfer.atprotocol.verb import Verb
from atxfer.atprotocol.verbs import Exit, Info, Noop, Scan, parse


@pytest.mark.parametrize(
    "line", ["", "garbage", "update", "UPDATE", "noop", "@EXIT", "batch", "update:metadata@a v"]
)
def test_a_line_that_opens_with_no_verb_is_an_invalid_command(line: str) -> None:
    """Even one that opens like update:meta (update_verb_handler.dart)."""
    with pytest.raises(UnknownVerb, match="invalid command"):
        parse(line)


def test_a_verb_may_have_capitals_and_spaces() -> None:
    """The original folds all in front of the first colon."""
    assert parse("NoOp:5") == Noop(5)
    assert parse("no op :5") == Noop(5)
    assert parse("INFO") == Info()
    assert parse("SCAN K1") == Scan("k1")


def test_a_colon_makes_the_expression_of_a_scan_a_part_of_the_verb() -> None:
    """So the original refuses it, and so do we."""
    with pytest.raises(InvalidSyntax, match="scan"):
        parse("scan ^public:")


@pytest.mark.parametrize(
    "line",
    [
        "update:x",
        "update:meta:x",
        "llookup:x",
        "plookup:x",
        "delete:",
        "batch:not json",
        "monitor::",
        "stats:x",
        "config:x",
        "sync:from",
        "otp:x",
        "keys:get",
        "notify:remove:5",
        "enroll:list",
        "enroll:approve:{}",
    ],
)
def test_login_is_asked_for_before_the_syntax_is_looked_at(line: str) -> None:
    """AT0401, however wrong the rest is (transcript)."""
    with pytest.raises(Unauthenticated, match="Command cannot be executed without auth"):
        parse(line, logged_in=False)


@pytest.mark.parametrize(
    "line",
    [
        "from:@alice",
        "pkam:x",
        "cram:x",
        "scan",
        "lookup:ab@alice",
        "info",
        "noop:0",
        "notify:list",
        "notify:status:5",
        'enroll:request:{"appName":"a","deviceName":"b","apkamPublicKey":"c"}',
        "pol",
    ],
)
def test_some_verbs_need_no_login(line: str) -> None:
    """What a stranger may ask."""
    assert parse(line, logged_in=False).encode() == line


def test_exit_is_known_by_its_exact_line() -> None:
    """The original compares before it folds."""
    assert parse("@exit", logged_in=False) == Exit()


OPENINGS = [
    "",
    "update:",
    "update:meta:",
    "update:ttl:",
    "llookup:",
    "lookup:",
    "plookup:",
    "delete:",
    "scan",
    "notify:",
    "notify:all:",
    "notify:list",
    "monitor",
    "batch:",
    "enroll:request:",
    "enroll:list:",
    "from:",
    "pkam:",
    "stats:",
    "config:",
    "sync:from:",
    "otp:put:",
    "keys:get:",
    "noop:",
]
PIECES = st.sampled_from([":", "@", " ", "public:", "k.atxfer", "@alice", "ttl:5", "{}", "-1", "é"])


@given(
    opening=st.sampled_from(OPENINGS),
    rest=st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=9).map("".join)),
    in_batch=st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_any_line_is_a_verb_or_an_error_of_the_protocol(
    opening: str, rest: str, in_batch: bool
) -> None:
    """A server never stumbles over what a client sends."""
    outcome: Union[Verb, AtError]
    try:
        outcome = parse(opening + rest, in_batch=in_batch)
    except AtError as error:
        outcome = error
    assert isinstance(outcome, Verb) or outcome.code in AtError.by_code
