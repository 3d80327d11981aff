"""One connection: order, faults, refusals, and what is counted."""

from __future__ import annotations

import json

import pytest

from atxfer.devserver import DevServer, FaultPlan
from tests.devserver.conftest import Connect
from tests.support.until import until

KEY = "k.atxfer@alice"


def test_lines_that_did_not_wait_are_answered_in_order(
    atserver: DevServer, log_in: Connect
) -> None:
    """The original mostly does so, and sometimes not: a client must not rely on it."""
    alice = log_in()
    for number in range(3):
        alice.write(f"update:k{number}.atxfer@alice v{number}\n")
    assert [alice.answer() for _ in range(3)] == ["data:3", "data:4", "data:5"]


def test_a_line_that_did_not_wait_may_go_unheard(atserver: DevServer, log_in: Connect) -> None:
    """As on the original in one run of five."""
    alice = log_in()
    atserver.faults = FaultPlan(unheard=1.0)
    alice.write("noop:5000\n")
    atserver.until_asleep()
    alice.write(f"update:{KEY} v\n")
    until(lambda: "update" in atserver.counters["@alice"]["commands"])
    atserver.advance(5.0)
    assert alice.answer() == "data:ok"
    atserver.idle()
    assert alice.is_silent
    assert KEY not in atserver.server("@alice")


@pytest.mark.parametrize("code", ["AT0011", "AT0023", "AT0028"])
def test_an_error_is_answered_and_nothing_done(
    atserver: DevServer, log_in: Connect, code: str
) -> None:
    """The connection stays, and the next command is served."""
    alice = log_in()
    atserver.faults = FaultPlan.script(code)
    assert alice.ask(f"update:{KEY} v").startswith(f"error:{code}-")
    assert alice.ask(f"llookup:{KEY}").startswith("error:AT0015-")


@pytest.mark.parametrize("code", ["AT0002", "AT0005", "AT0024"])
def test_some_errors_close(atserver: DevServer, log_in: Connect, code: str) -> None:
    """As the table of the facts says."""
    alice = log_in()
    atserver.faults = FaultPlan.script(code)
    assert alice.ask("scan").startswith(f"error:{code}-")
    assert alice.is_closed


def test_one_too_many_has_no_prompt(atserver: DevServer, log_in: Connect) -> None:
    """Also where a script gives it to a connection that is there."""
    alice = log_in()
    atserver.faults = FaultPlan.script("AT0012")
    alice.write("scan\n")
    assert alice.read_until(b"\n") == "error:AT0012-Inbound connection limit exceeded\n"
    assert alice.is_closed


def test_drop_before_does_nothing(atserver: DevServer, log_in: Connect) -> None:
    """The connection is cut, the record is not there."""
    alice = log_in()
    atserver.faults = FaultPlan.script("drop-before")
    alice.write(f"update:{KEY} v\n")
    assert alice.is_closed
    assert KEY not in atserver.server("@alice")


def test_drop_after_has_done_it(atserver: DevServer, log_in: Connect) -> None:
    """The connection is cut, the record is there."""
    alice = log_in()
    atserver.faults = FaultPlan.script("drop-after")
    alice.write(f"update:{KEY} v\n")
    assert alice.is_closed
    assert atserver.server("@alice").value(KEY) == "v"


def test_hang_never_answers(atserver: DevServer, log_in: Connect) -> None:
    """It stays in flight until the client goes away."""
    alice = log_in()
    atserver.faults = FaultPlan.script("hang")
    alice.write("scan\n")
    atserver.idle()
    assert alice.is_silent
    assert atserver.counters["@alice"]["in_flight"] == 1


def test_pause_answers_later(atserver: DevServer, log_in: Connect) -> None:
    """On the server's clock."""
    alice = log_in()
    atserver.faults = FaultPlan.script("pause")
    atserver.faults.pause_seconds = 3600.0
    alice.write(f"update:{KEY} v\n")
    atserver.until_asleep()
    assert alice.is_silent
    atserver.advance(3600.0)
    assert alice.answer().startswith("data:")


def test_garbage_is_no_answer(atserver: DevServer, log_in: Connect) -> None:
    """Neither data nor error, but a prompt."""
    alice = log_in()
    atserver.faults = FaultPlan.script("garbage")
    assert not alice.ask("scan").startswith(("data:", "error:"))


def test_a_corrupted_value_is_stored_changed(atserver: DevServer, log_in: Connect) -> None:
    """The answer says nothing of it."""
    alice = log_in()
    atserver.faults = FaultPlan.script("corrupt")
    assert alice.ask(f"update:{KEY} QUJDREVG") == "data:3"
    stored = atserver.server("@alice").value(KEY)
    assert stored != "QUJDREVG"
    assert len(stored or "") == 8


def test_a_corrupted_answer_leaves_the_record(atserver: DevServer, log_in: Connect) -> None:
    """Reading again gives the right value."""
    alice = log_in()
    alice.ask(f"update:{KEY} QUJDREVG")
    atserver.faults = FaultPlan.script("corrupt")
    assert alice.ask(f"llookup:{KEY}") != "data:QUJDREVG"
    assert alice.ask(f"llookup:{KEY}") == "data:QUJDREVG"


def batch(*commands: str) -> str:
    """Return a batch with ids from 1."""
    return "batch:" + json.dumps([{"id": i + 1, "command": c} for i, c in enumerate(commands)])


def test_corruption_in_a_batch_hits_one_command(atserver: DevServer, log_in: Connect) -> None:
    """The others are as they were sent."""
    alice = log_in()
    atserver.faults = FaultPlan.script("corrupt")
    alice.ask(batch(*(f"update:k{n}.atxfer@alice QUJDREVG" for n in range(5))))
    values = [atserver.server("@alice").value(f"k{n}.atxfer@alice") for n in range(5)]
    assert values.count("QUJDREVG") == 4


def test_missing_leaves_one_id_out(atserver: DevServer, log_in: Connect) -> None:
    """All commands were done."""
    alice = log_in()
    atserver.faults = FaultPlan.script("missing")
    answer = alice.ask(batch(*(f"update:k{n}.atxfer@alice v" for n in range(3))))
    assert len(json.loads(answer[len("data:") :])) == 2
    assert len([n for n in range(3) if f"k{n}.atxfer@alice" in atserver.server("@alice")]) == 3


def test_a_command_inside_a_batch_may_fail(atserver: DevServer, log_in: Connect) -> None:
    """With code and words of the table, and the others done."""
    alice = log_in()
    atserver.faults = FaultPlan.parse("inside=1@delete,error_code=AT0023")
    answer = alice.ask(batch(f"update:{KEY} v", f"delete:{KEY}"))
    assert json.loads(answer[len("data:") :])[1]["response"] == {
        "error_code": "AT0023",
        "error_message": "Timeout waiting for response",
    }
    assert atserver.server("@alice").value(KEY) == "v"


def test_a_full_disk_says_so_and_closes(atserver: DevServer, log_in: Connect) -> None:
    """Reading is still possible, on another connection."""
    alice = log_in()
    atserver.faults = FaultPlan(full=1.0)
    assert alice.ask(f"llookup:{KEY}").startswith("error:AT0015-")
    answer = alice.ask(f"update:{KEY} v")
    assert answer.startswith("error:AT0002-DataStore exception : ")
    assert "No space left on device" in answer
    assert alice.is_closed


def test_a_paused_server_refuses_and_closes(atserver: DevServer, log_in: Connect) -> None:
    """AT0024, as before a restart."""
    alice = log_in()
    atserver.server("@alice").pause()
    assert alice.ask("scan") == "error:AT0024-Server is paused : Server is temporarily paused"
    assert alice.is_closed
    atserver.server("@alice").resume()
    assert log_in().ask("noop:0") == "data:ok"


def test_there_is_room_again_when_a_connection_ends(atserver: DevServer, connect: Connect) -> None:
    """The limit counts what is open."""
    atserver.faults.max_connections = 1
    first = connect()
    assert connect(greeted=False).read_until(b"\n").startswith("error:AT0012-")
    first.write("@exit\n")
    assert first.is_closed
    assert connect().ask("noop:0") == "data:ok"


def test_errors_are_json_for_new_clients(atserver: DevServer, connect: Connect) -> None:
    """Above version 3.0.37, asked for with from."""
    client = connect()
    client.ask('from:@alice:clientConfig:{"version":"3.0.37"}')
    assert client.ask("llookup:x@alice").startswith("error:AT0401-")
    client.ask('from:@alice:clientConfig:{"version":"3.0.38"}')
    assert client.ask("llookup:x@alice").startswith('error:{"errorCode":"AT0401",')


def test_a_blocked_atsign_is_turned_away(atserver: DevServer, log_in: Connect) -> None:
    """At its from, with the connection closed."""
    log_in().ask("config:block:add:@bob")
    bobs = log_in()
    assert bobs.ask("from:@bob") == "error:AT0013-Connection Exception : Unable to connect"
    assert bobs.is_closed


def test_pkam_needs_a_challenge(atserver: DevServer, connect: Connect) -> None:
    """Without from there is nothing that was signed."""
    assert connect().ask("pkam:AAAA").startswith("error:AT0015-Exception: private:_")


def test_what_a_session_counts(atserver: DevServer, log_in: Connect) -> None:
    """Lines by verb, commands of batches beside them, errors by code, requests in flight."""
    alice = log_in()
    alice.ask(batch(f"update:{KEY} v", f"llookup:{KEY}", "llookup:none@alice", "nonsense"))
    alice.ask("nonsense")
    atserver.idle()
    counts = atserver.counters["@alice"]
    assert counts["commands"] == {"from": 1, "pkam": 1, "batch": 1, "unknown": 1}
    assert counts["batched"] == {"update": 1, "llookup": 2, "unknown": 1}
    assert counts["errors"] == {"AT0015": 1, "AT0003": 1}
    assert (counts["logins"], counts["connections"]) == (1, 1)
    assert (counts["in_flight"], counts["peak_in_flight"]) == (0, 1)


def test_requests_of_several_connections_are_counted_together(
    atserver: DevServer, log_in: Connect
) -> None:
    """The peak is that of all connections at one moment."""
    clients = [log_in() for _ in range(4)]
    atserver.counters.reset()
    for client in clients[:3]:
        client.write("noop:5000\n")
    atserver.until_asleep(3)
    clients[3].ask("info")
    until(lambda: atserver.counters["@alice"]["in_flight"] == 3)
    atserver.advance(5.0)
    assert [client.answer() for client in clients[:3]] == ["data:ok"] * 3
    assert atserver.counters["@alice"]["peak_in_flight"] == 4


def test_distance_counts_as_in_flight(atserver: DevServer, log_in: Connect) -> None:
    """From the client's end to the client's end, however quick the server is."""
    clients = [log_in() for _ in range(3)]
    atserver.counters.reset()
    atserver.latency = 0.2
    for client in clients:
        client.write("info\n")
    for client in clients:
        client.answer()
    atserver.latency = 0.0
    assert atserver.counters["@alice"]["peak_in_flight"] == 3


def test_one_after_another_is_one_in_flight(atserver: DevServer, log_in: Connect) -> None:
    """Also over two connections."""
    first, second = log_in(), log_in()
    atserver.counters.reset()
    atserver.latency = 0.01
    for _ in range(3):
        first.ask("info")
        second.ask("info")
    atserver.latency = 0.0
    assert atserver.counters["@alice"]["peak_in_flight"] == 1


def test_uptime_is_told_in_words(atserver: DevServer, connect: Connect) -> None:
    """Days to seconds, the larger units only when there are any."""
    atserver.advance(3 * 86_400 + 7_265)
    answer = connect().ask("info")
    assert '"uptimeAsWords":"3 days 2 hours 1 minutes 5 seconds"' in answer
