"""What one atServer tells another, and what a monitor hears."""

from __future__ import annotations

import json
from typing import Any

import pytest

from atxfer.devserver import DevServer
from tests.devserver.conftest import Connect

SHARE = "update:ttl:60000:ttr:-1:ccd:true:isEncrypted:true:ivNonce:abcd:@bob:f.atxfer@alice"
COPY = "cached:@bob:f.atxfer@alice"


def listed(client: Any, line: str = "notify:list") -> list[dict[str, Any]]:
    """Return the notifications that a client is told of."""
    answer = client.ask(line)
    return list(json.loads(answer[len("data:") :]) or [])


def test_a_share_leaves_a_notification_and_a_copy(atserver: DevServer, log_in: Connect) -> None:
    """The copy carries what the recipient needs to read it, without the binary flag."""
    log_in().ask(f"{SHARE} v1")
    atserver.idle()
    bob = atserver.server("@bob")
    assert [notice["key"] for notice in bob.notices()] == ["@bob:f.atxfer@alice"]
    metadata = bob.metadata(COPY)
    assert (metadata["ttl"], metadata["ttr"], metadata["ccd"]) == (60_000, -1, True)
    assert metadata["ivNonce"] == "abcd"
    assert "isBinary" not in metadata


def test_without_ttr_there_is_no_copy(atserver: DevServer, log_in: Connect) -> None:
    """Only the notification."""
    log_in().ask("update:@bob:f.atxfer@alice v")
    atserver.idle()
    assert COPY not in atserver.server("@bob")
    assert len(atserver.server("@bob").notices()) == 1


def test_an_update_and_a_deletion_reach_the_copy(atserver: DevServer, log_in: Connect) -> None:
    """It follows the original."""
    alice = log_in()
    alice.ask(f"{SHARE} v1")
    alice.ask(f"{SHARE} v2")
    atserver.idle()
    assert atserver.server("@bob").value(COPY) == "v2"
    alice.ask("delete:@bob:f.atxfer@alice")
    atserver.idle()
    assert COPY not in atserver.server("@bob")


def test_a_copy_without_ccd_outlives_its_original(atserver: DevServer, log_in: Connect) -> None:
    """Cascading deletion is asked for."""
    alice = log_in()
    alice.ask("update:ttr:-1:@bob:f.atxfer@alice v")
    alice.ask("delete:@bob:f.atxfer@alice")
    atserver.idle()
    assert COPY in atserver.server("@bob")


def test_renewing_the_original_renews_the_copy(atserver: DevServer, log_in: Connect) -> None:
    """update:meta tells the recipient's server, and the value stays."""
    alice = log_in()
    alice.ask(f"{SHARE} v1")
    atserver.advance(50.0)
    alice.ask("update:meta:@bob:f.atxfer@alice:ttl:60000")
    atserver.idle()
    atserver.advance(50.0)
    assert COPY in atserver.server("@bob")
    assert atserver.server("@bob").value(COPY) == "v1"


def test_notifications_expire(atserver: DevServer, log_in: Connect) -> None:
    """After a quarter of an hour, or when they say."""
    alice, bob = log_in(), log_in("@bob")
    alice.ask("notify:update:ttln:60000:@bob:n.atxfer@alice:v")
    alice.ask("update:@bob:f.atxfer@alice v")
    atserver.idle()
    assert len(listed(bob)) == 2
    atserver.advance(60.0)
    assert [notice["key"] for notice in listed(bob)] == ["@bob:f.atxfer@alice"]
    atserver.advance(840.0)
    assert bob.ask("notify:list") == "data:null"


def test_a_server_that_was_down_is_told_within_minutes(
    atserver: DevServer, log_in: Connect
) -> None:
    """The sender's status tells of it."""
    alice = log_in()
    atserver.server("@bob").stop()
    id_ = alice.ask("notify:update:@bob:n.atxfer@alice:v")[len("data:") :]
    atserver.idle()
    assert alice.ask(f"notify:status:{id_}") == "data:queued"
    atserver.advance(240.0)
    atserver.server("@bob").start()
    atserver.idle()
    assert alice.ask(f"notify:status:{id_}") == "data:delivered"
    assert len(atserver.server("@bob").notices()) == 1


def test_a_server_that_was_down_too_long_never_hears_of_it(
    atserver: DevServer, log_in: Connect
) -> None:
    """Only a scan of the owner's server finds the share then (facts §8)."""
    alice = log_in()
    atserver.server("@bob").stop()
    id_ = alice.ask("notify:update:@bob:n.atxfer@alice:v")[len("data:") :]
    atserver.idle()
    atserver.advance(301.0)
    atserver.server("@bob").start()
    atserver.idle()
    assert alice.ask(f"notify:status:{id_}") == "data:errored"
    assert atserver.server("@bob").notices() == []


def test_an_unknown_recipient_is_an_error_of_the_notification(
    atserver: DevServer, log_in: Connect
) -> None:
    """The update itself succeeds."""
    alice = log_in()
    assert alice.ask("update:@nobody:f.atxfer@alice v") == "data:3"
    id_ = alice.ask("notify:update:@nobody:n.atxfer@alice:v")[len("data:") :]
    atserver.idle()
    assert alice.ask(f"notify:status:{id_}") == "data:errored"


def test_a_blocked_sender_is_not_heard(atserver: DevServer, log_in: Connect) -> None:
    """Neither notification nor copy arrives."""
    log_in("@bob").ask("config:block:add:@alice")
    log_in().ask(f"{SHARE} v")
    atserver.idle()
    assert atserver.server("@bob").notices() == []
    assert COPY not in atserver.server("@bob")


def test_removing_a_notification(atserver: DevServer, log_in: Connect) -> None:
    """It is gone from the list."""
    log_in().ask("notify:update:@bob:n.atxfer@alice:v")
    atserver.idle()
    bob = log_in("@bob")
    assert bob.ask(f"notify:remove:{listed(bob)[0]['id']}") == "data:success"
    assert bob.ask("notify:list") == "data:null"


def test_a_list_may_be_filtered(atserver: DevServer, log_in: Connect) -> None:
    """By key or sender, with the expression behind a colon."""
    alice, bob = log_in(), log_in("@bob")
    for name in ("n1", "n2"):
        alice.ask(f"notify:update:@bob:{name}.atxfer@alice:v")
    atserver.idle()
    assert len(listed(bob, "notify:list:n1")) == 1
    assert len(listed(bob, "notify:list:alice")) == 2
    assert bob.ask("notify:list:n3") == "data:null"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("notify:update:@bob:nn@carol:v", "AT0009"),
        ("notify:strategy:latest:@bob:nn@alice:v", "AT0003"),
        ("notify:update:public:nn@alice:v", "AT0003"),
    ],
)
def test_notifications_that_are_refused(
    atserver: DevServer, log_in: Connect, line: str, error: str
) -> None:
    """As another atSign, without a notifier, to nobody."""
    assert log_in().ask(line).startswith(f"error:{error}-")


def test_nobody_notifies_without_login(atserver: DevServer, connect: Connect) -> None:
    """The list is empty, sending is refused."""
    client = connect()
    assert client.ask("notify:list") == "data:null"
    assert client.ask("notify:update:@bob:nn@alice:v").startswith("error:AT0401-")
    assert client.ask("notify:all:update:@bob:nn@alice:v").startswith("error:AT0401-")


def test_texts_are_notifications_too(atserver: DevServer, log_in: Connect) -> None:
    """Their key is the text itself, and they say whether they are encrypted."""
    log_in().ask("notify:update:messageType:text:@bob:hello")
    atserver.idle()
    (notice,) = atserver.server("@bob").notices()
    assert (notice["key"], notice["messageType"]) == ("@bob:hello", "MessageType.text")
    assert notice["isEncrypted"] is False


# --- monitors


def heard(client: Any) -> dict[str, Any]:
    """Return the next notification of a monitor."""
    line = client.notification()
    assert line.startswith("notification: ")
    return dict(json.loads(line[len("notification: ") :]))


def test_a_monitor_hears_what_matches(atserver: DevServer, log_in: Connect) -> None:
    """By key or by sender."""
    by_key, by_sender, alice = log_in("@bob"), log_in("@bob"), log_in()
    by_key.write("monitor wanted\n")
    by_sender.write("monitor ^alice$\n")
    atserver.idle()
    for name in ("other", "wanted"):
        alice.ask(f"notify:update:@bob:{name}.atxfer@alice:v")
    atserver.idle()
    assert heard(by_key)["key"] == "@bob:wanted.atxfer@alice"
    assert by_key.is_silent
    assert {heard(by_sender)["key"] for _ in range(2)} == {
        "@bob:other.atxfer@alice",
        "@bob:wanted.atxfer@alice",
    }


def test_a_monitor_hears_its_own_only_if_it_asks(atserver: DevServer, log_in: Connect) -> None:
    """The option is selfNotifications."""
    plain, own, bob = log_in("@bob"), log_in("@bob"), log_in("@bob")
    plain.write("monitor\n")
    own.write("monitor:selfNotifications\n")
    atserver.idle()
    bob.ask("notify:update:@bob:n.atxfer@bob:v")
    atserver.idle()
    assert heard(own)["key"] == "@bob:n.atxfer@bob"
    assert plain.is_silent


def test_a_bad_expression_is_refused(atserver: DevServer, log_in: Connect) -> None:
    """With the server's words."""
    assert log_in("@bob").ask("monitor (").startswith("error:AT0003-Invalid syntax : Invalid reg")


def test_notifications_survive_a_restart(atserver: DevServer, log_in: Connect) -> None:
    """A receiver that was away, and a server restarted in between."""
    log_in().ask("notify:update:@bob:n.atxfer@alice:v")
    atserver.idle()
    atserver.server("@bob").restart()
    bob = log_in("@bob")
    bob.write("monitor:1\n")
    assert heard(bob)["key"] == "@bob:n.atxfer@alice"
