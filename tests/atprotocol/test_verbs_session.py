"""Verbs about the connection and the server."""

from __future__ import annotations

import pytest

from atxfer.atprotocol.errors import (
    AtError,
    IllegalArgument,
    InvalidSyntax,
    UnexpectedException,
    UnknownVerb,
)
from atxfer.atprotocol.verbs import (
    Config,
    Cram,
    Exit,
    From,
    Info,
    Noop,
    Other,
    Pkam,
    Stats,
    SyncFrom,
    Verb,
    parse,
)

BOTH_WAYS = [
    (From("@alice"), "from:@alice"),
    (From("@alice", "3.0.60"), 'from:@alice:clientConfig:{"version":"3.0.60"}'),
    (Pkam("c2ln"), "pkam:c2ln"),
    (Pkam("c2ln", "5093-f2"), "pkam:enrollmentId:5093-f2:c2ln"),
    (
        Pkam("c2ln", signing_algo="rsa2048", hashing_algo="sha256"),
        "pkam:signingAlgo:rsa2048:hashingAlgo:sha256:c2ln",
    ),
    (Cram("00ff"), "cram:00ff"),
    (Noop(1000), "noop:1000"),
    (Info(), "info"),
    (Info(brief=True), "info:brief"),
    (Stats(), "stats"),
    (Stats((1, 3)), "stats:1,3"),
    (Stats((3,), "wavi"), "stats:3:wavi"),
    (Config("block:show"), "config:block:show"),
    (Config("block:add", "@mallory @eve"), "config:block:add:@mallory @eve"),
    (Config("set", "maxNotificationRetries=1"), "config:set:maxNotificationRetries=1"),
    (SyncFrom(0, 2), "sync:from:0:limit:2"),
    (SyncFrom(-1, 2, ".wavi"), "sync:from:-1:limit:2:.wavi"),
    (Other("pol"), "pol"),
    (Other("notify:fetch:5"), "notify:fetch:5"),
    (Exit(), "@exit"),
]


@pytest.mark.parametrize(("verb", "line"), BOTH_WAYS, ids=[line for _, line in BOTH_WAYS])
def test_a_verb_is_its_line_and_the_line_is_the_verb(verb: Verb, line: str) -> None:
    """What one end encodes the other end reads as the same value."""
    assert verb.encode() == line
    assert parse(line) == verb


def test_what_logs_in_is_in_no_repr() -> None:
    """Signatures, digests and whole lines stay out of logs."""
    for verb in (Pkam("c2VjcmV0"), Cram("c2VjcmV0"), Other("c2VjcmV0")):
        assert "c2VjcmV0" not in repr(verb)


@pytest.mark.parametrize(
    "make",
    [
        lambda: From("alice"),
        lambda: Pkam(""),
        lambda: Pkam("a\nb"),
        lambda: Pkam("sig", enrollment_id="a:b"),
        lambda: Cram("x "),
        lambda: Noop(5001),
        lambda: Noop(-1),
        lambda: Stats((0,)),
        lambda: Stats((1,), "x"),
        lambda: Config("block:add"),
        lambda: Config("block:add", "mallory"),
        lambda: Config("nonsense", "x"),
        lambda: SyncFrom(-2, 1),
        lambda: Other(""),
    ],
)
def test_what_the_server_refuses_cannot_be_made(make: object) -> None:
    """A ValueError at the place of the mistake, not an answer from afar."""
    with pytest.raises(ValueError, match=r".+"):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("from:", InvalidSyntax, "Invalid syntax. syntax from:@<atSign> \n e.g from:@alice"),
        ("from:a:b", InvalidSyntax, "Invalid syntax."),
        ("from:a!b", UnexpectedException, "invalid @sign: Cannot contain"),
        (
            "from:@alice:clientConfig:{x}",
            UnexpectedException,
            "FormatException: Unexpected character (at character 2)\n{x}\n ^\n",
        ),
        ("pkam:", InvalidSyntax, "pkam:<signature>"),
        ("noop:5001", IllegalArgument, "the duration maximum is 5000 milliseconds"),
        ("noop:x", InvalidSyntax, "noop:<durationInMillis>"),
        ("info:long", UnknownVerb, "invalid command"),
        ("stats:0", InvalidSyntax, "stats:1,2,3"),
        ("stats:" + "9" * 5000, InvalidSyntax, "stats:1,2,3"),
        ("config:block:add", InvalidSyntax, "configure block syntax"),
        ("sync:stats", UnknownVerb, "invalid command"),
        ("sync:from:x", InvalidSyntax, "sync:from:1:limit:10"),
    ],
)
def test_a_server_refuses_as_the_original_does(line: str, kind: type[AtError], words: str) -> None:
    """The code is exact; the words are the original's where the transcript has them."""
    with pytest.raises(kind) as caught:
        parse(line)
    assert words in caught.value.message


def test_bad_json_of_a_client_closes_its_connection() -> None:
    """What the original did not foresee it answers with AT0011, and closes (facts §3)."""
    with pytest.raises(UnexpectedException) as caught:
        parse("from:@alice:clientConfig:{x}")
    assert caught.value.closes_connection


def test_of_a_client_configuration_the_version_counts() -> None:
    """Other fields, and versions that are no text, are left out."""
    assert parse('from:alice:clientConfig:{"appName":"x"}') == From("@alice")
    assert parse('from:alice:clientConfig:{"version":3}') == From("@alice")


def test_atsigns_of_a_block_list_can_be_told() -> None:
    """They stand behind the operation, parted by spaces."""
    assert Config("block:add", "@mallory @eve").atsigns == ("@mallory", "@eve")
    assert Config("set", "a=b").atsigns == ()
