"""Verbs that push, list and watch notifications."""

from __future__ import annotations

import pytest

from atxfer.atprotocol.errors import InvalidSyntax, UnknownVerb
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import (
    Monitor,
    Notify,
    NotifyAll,
    NotifyList,
    NotifyRemove,
    NotifyStatus,
    Verb,
    parse,
)

BOTH_WAYS = [
    (Notify("@bob", "n4.atxfer", "@alice", "V"), "notify:@bob:n4.atxfer@alice:V"),
    (
        Notify("@bob", "n3.atxfer", "@alice", operation="update"),
        "notify:update:@bob:n3.atxfer@alice",
    ),
    (
        Notify("@bob", "n.atxfer", "@alice", "a@b:c", operation="delete"),
        "notify:delete:@bob:n.atxfer@alice:a@b:c",
    ),
    (
        Notify(
            "@bob",
            "n1.atxfer",
            "@alice",
            "VALUE",
            operation="update",
            metadata=Metadata(is_encrypted=True),
            ttln_ms=600000,
            message_type="key",
            notifier="atxfer",
        ),
        (
            "notify:update:messageType:key:notifier:atxfer:ttln:600000:isEncrypted:true"
            ":@bob:n1.atxfer@alice:VALUE"
        ),
    ),
    (
        Notify(
            "@bob",
            "hello there",
            message_type="text",
            priority="high",
            strategy="latest",
            latest_n=2,
            id="5093-f2",
        ),
        (
            "notify:id:5093-f2:messageType:text:priority:high:strategy:latest:latestN:2"
            ":@bob:hello there"
        ),
    ),
    (Notify(None, "n.atxfer", "@alice"), "notify:public:n.atxfer@alice"),
    (
        NotifyAll(("@bob",), "n2.atxfer", "@alice", "V", operation="update"),
        "notify:all:update:@bob:n2.atxfer@alice:V",
    ),
    (
        NotifyAll(("@bob", "@eve"), "n2.atxfer", "@alice", metadata=Metadata(ttl_ms=5, ttr_s=-1)),
        "notify:all:ttl:5:ttr:-1:@bob,@eve:n2.atxfer@alice",
    ),
    (NotifyList(), "notify:list"),
    (NotifyList("s1"), "notify:list:s1"),
    (NotifyList("s1", "2026-11-01", "2026-11-24"), "notify:list:2026-11-01:2026-11-24:s1"),
    (NotifyStatus("5093-f2"), "notify:status:5093-f2"),
    (NotifyRemove("5093-f2"), "notify:remove:5093-f2"),
    (Monitor(), "monitor"),
    (Monitor(regex=r"\.files\.atxfer@"), r"monitor \.files\.atxfer@"),
    (Monitor(1, "s5"), "monitor:1 s5"),
    (
        Monitor(5, r"^@bob:\S+", strict=True, own=True, multiplexed=True),
        r"monitor:strict:selfNotifications:multiplexed:5 ^@bob:\S+",
    ),
]


@pytest.mark.parametrize(("verb", "line"), BOTH_WAYS, ids=[line for _, line in BOTH_WAYS])
def test_a_verb_is_its_line_and_the_line_is_the_verb(verb: Verb, line: str) -> None:
    """What one end encodes the other end reads as the same value."""
    assert verb.encode() == line
    assert parse(line) == verb


@pytest.mark.parametrize(
    "make",
    [
        lambda: Notify("bob", "n.atxfer", "@alice"),
        lambda: Notify("@bob", "n.atxfer", "@alice", "a\nb"),
        lambda: Notify("@bob", "n.atxfer", "@alice", ""),
        lambda: Notify("@bob", "n.atxfer", value="no owner: the server reads it as the name"),
        lambda: Notify("@bob", "n::x", "@alice"),
        lambda: Notify("@bob", "n@x", "@alice"),
        lambda: Notify("@bob", "n.atxfer", "@alice", priority="urgent"),
        lambda: Notify("@bob", "n.atxfer", "@alice", ttln_ms=-1),
        lambda: NotifyAll((), "n.atxfer", "@alice"),
        lambda: NotifyAll(("bob",), "n.atxfer", "@alice"),
        lambda: NotifyAll(("@bob",), "n.atxfer", "@alice", metadata=Metadata(iv_nonce="x")),
        lambda: NotifyList("a:b"),
        lambda: NotifyList(until="2026-11-24"),
        lambda: NotifyStatus("a b"),
        lambda: NotifyRemove(""),
        lambda: Monitor(-1),
        lambda: Monitor(regex=""),
        lambda: Monitor(regex="a\nb"),
        lambda: Monitor(regex="@bob:x"),
        lambda: Monitor(regex=r"\S"),
    ],
)
def test_what_the_server_refuses_or_reads_otherwise_cannot_be_made(make: object) -> None:
    """A ValueError at the place of the mistake, not a notification that says something else."""
    with pytest.raises(ValueError, match=r".+"):
        make()  # type: ignore[operator]


def test_what_notifications_carry_is_in_no_repr() -> None:
    """Neither a value nor a text."""
    assert "secret" not in repr(Notify("@bob", "n.atxfer", "@alice", "secret"))
    assert "secret" not in repr(Notify("@bob", "secret", message_type="text"))
    assert "secret" not in repr(NotifyAll(("@bob",), "n.atxfer", "@alice", "secret"))


def test_a_list_ignores_what_follows_a_space() -> None:
    """3.0.52 answers `notify:list s1` with everything (transcript); a colon makes it filter."""
    assert parse("notify:list s1") == NotifyList()


def test_a_colon_in_a_plain_monitor_is_refused() -> None:
    """The original folds it into the verb."""
    with pytest.raises(InvalidSyntax, match=r"monitor or monitor \.wavi"):
        parse("monitor @bob:x")


@pytest.mark.parametrize("line", ["notify:@bob", "notify:update:@bob", "notify:x@y:z"])
def test_a_server_refuses_as_the_original_does(line: str) -> None:
    """A notification has a recipient and a name."""
    with pytest.raises(InvalidSyntax, match=r"e\.g notify:@colin:key@kevin"):
        parse(line)


def test_a_removal_without_id_is_no_verb() -> None:
    """The original knows the verb by its colon."""
    with pytest.raises(UnknownVerb):
        parse("notify:remove")
