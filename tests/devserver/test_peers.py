"""Look-ups through one's own server: copies, errors, blocks, and answers mixed up."""

from __future__ import annotations

import json

import pytest

from atxfer.devserver import DevServer, FaultPlan
from tests.devserver.conftest import Connect

PUBLIC = "public:p.atxfer@alice"
CACHED = "cached:public:p.atxfer@alice"


def test_a_plookup_leaves_a_copy_for_a_day(atserver: DevServer, log_in: Connect) -> None:
    """And asks again all the same (facts §7)."""
    alice, bob = log_in(), log_in("@bob")
    alice.ask(f"update:{PUBLIC} v1")
    assert bob.ask("plookup:p.atxfer@alice") == "data:v1"
    alice.ask(f"update:{PUBLIC} v2")
    assert bob.ask("plookup:p.atxfer@alice") == "data:v2"
    assert atserver.server("@bob").metadata(CACHED)["ttl"] == 86_400_000
    atserver.advance(86_400)
    assert CACHED not in atserver.server("@bob")


def test_a_copy_of_what_is_gone_goes_too(atserver: DevServer, log_in: Connect) -> None:
    """At the next look-up."""
    alice, bob = log_in(), log_in("@bob")
    alice.ask(f"update:{PUBLIC} v1")
    bob.ask("plookup:p.atxfer@alice")
    alice.ask(f"delete:{PUBLIC}")
    assert bob.ask("plookup:p.atxfer@alice").startswith("error:AT0015-")
    assert CACHED not in atserver.server("@bob")


def test_a_copy_that_may_be_kept_is_answered(atserver: DevServer, log_in: Connect) -> None:
    """Without asking the owner's server, unless one says so."""
    alice, bob = log_in(), log_in("@bob")
    alice.ask(f"update:ttr:60:{PUBLIC} v1")
    bob.ask("plookup:p.atxfer@alice")
    atserver.server("@alice").alter(PUBLIC, "v2")
    assert bob.ask("plookup:p.atxfer@alice") == "data:v1"
    assert bob.ask("plookup:bypassCache:true:p.atxfer@alice") == "data:v2"
    atserver.server("@alice").alter(PUBLIC, "v3")
    atserver.advance(61.0)
    assert bob.ask("plookup:p.atxfer@alice") == "data:v3"


def test_a_shared_record_is_read_from_its_owner(atserver: DevServer, log_in: Connect) -> None:
    """With the owner's metadata, and the key at the end."""
    log_in().ask("update:ttl:60000:isEncrypted:true:@bob:s.atxfer@alice v")
    answer = log_in("@bob").ask("lookup:all:s.atxfer@alice")
    record = json.loads(answer[len("data:") :])
    assert list(record) == ["data", "metaData", "key"]
    assert record["key"] == "@bob:s.atxfer@alice"
    assert record["metaData"]["createdBy"] == "@alice"


def test_the_owner_does_not_find_her_public_records_by_lookup(
    atserver: DevServer, log_in: Connect
) -> None:
    """Logged in, lookup means what is shared with her."""
    alice = log_in()
    alice.ask(f"update:{PUBLIC} v")
    assert alice.ask("lookup:p.atxfer@alice").startswith("error:AT0015-key not found : @alice:p")


def test_a_server_that_is_down(atserver: DevServer, log_in: Connect) -> None:
    """AT0021, and it works again when it is up."""
    log_in().ask(f"update:{PUBLIC} v")
    bob = log_in("@bob")
    atserver.server("@alice").stop()
    assert bob.ask("plookup:p.atxfer@alice").startswith("error:AT0021-")
    atserver.server("@alice").start()
    assert bob.ask("plookup:p.atxfer@alice") == "data:v"


def test_who_is_blocked_reads_nothing_shared(atserver: DevServer, log_in: Connect) -> None:
    """The servers' handshake fails."""
    alice = log_in()
    alice.ask("update:@bob:s.atxfer@alice v")
    alice.ask("config:block:add:@bob")
    atserver.idle()
    atserver.server("@bob").restart()
    assert log_in("@bob").ask("lookup:s.atxfer@alice").startswith("error:AT0008-")


def test_a_changed_public_key_retires_shared_keys(atserver: DevServer, log_in: Connect) -> None:
    """The other began anew: clients are to make a new shared key."""
    alice, bob = log_in(), log_in("@bob")
    bob.ask("plookup:publickey@alice")
    bob.ask("update:shared_key.alice@bob X")
    atserver.server("@alice").alter("public:publickey@alice", "NEW")
    atserver.server("@bob").restart()
    bob = log_in("@bob")
    alice.ask(f"update:{PUBLIC} v")
    bob.ask("plookup:p.atxfer@alice")
    keys = atserver.server("@bob").keys()
    assert atserver.server("@bob").value("cached:public:publickey@alice") == "NEW"
    assert "shared_key.alice@bob" not in keys
    assert any(key.startswith("shared_key.alice.until.") for key in keys)


@pytest.mark.parametrize("verb", ["plookup", "lookup"])
def test_answers_between_servers_may_be_mixed_up(
    atserver: DevServer, log_in: Connect, verb: str
) -> None:
    """Well-formed, and another key's value, even at the first look-up."""
    alice, bob = log_in(), log_in("@bob")
    front = "public:" if verb == "plookup" else "@bob:"
    for number in range(3):
        alice.ask(f"update:{front}m{number}.atxfer@alice value{number}")
    atserver.faults = FaultPlan(mixup=1.0)
    for number in range(3):
        answer = bob.ask(f"{verb}:m{number}.atxfer@alice")
        assert answer.startswith("data:")
        assert answer != f"data:value{number}"


def test_a_direct_look_up_is_never_mixed_up(
    atserver: DevServer, log_in: Connect, connect: Connect
) -> None:
    """Without login, straight from the owner's server (facts §7)."""
    log_in().ask(f"update:{PUBLIC} v")
    atserver.faults = FaultPlan(mixup=1.0)
    assert connect().ask("lookup:p.atxfer@alice") == "data:v"


def test_protected_keys_stay(atserver: DevServer, log_in: Connect) -> None:
    """Nobody deletes what others need to write to her."""
    answer = log_in().ask("delete:public:publickey@alice")
    assert answer.startswith("error:AT0009-UnAuthorized client in request : Cannot delete protect")


@pytest.mark.parametrize("key", ["private:x@alice", "privatekey:other", "cached:@bob:x@alice"])
def test_what_nobody_updates(atserver: DevServer, log_in: Connect, key: str) -> None:
    """The server's own keys, and copies."""
    assert log_in().ask(f"update:{key} v").startswith("error:AT00")
