"""The development server as a whole: where it is, what it keeps, how it is looked into."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from atxfer.devserver import DevServer, FaultPlan
from tests.devserver.conftest import Connect
from tests.support.lines import LineClient, owner

KEY = "k.atxfer@alice"


def test_it_says_where_it_is(atserver: DevServer, tmp_path: Path) -> None:
    """ready.json holds what a client must know."""
    path = atserver.write_ready(tmp_path / "new")
    ready = json.loads(path.read_text("utf-8"))
    assert path == tmp_path / "new" / "ready.json"
    assert ready == atserver.ready()
    assert (ready["root_host"], ready["root_port"]) == ("localhost", atserver.root_port)
    assert set(ready["servers"]) == {"@alice", "@bob"}
    assert Path(ready["ca"]).is_file()
    assert list(path.parent.iterdir()) == [path]


def test_key_files_are_private(atserver: DevServer) -> None:
    """As the client wants them."""
    for atsign in ("@alice", "@bob"):
        path = Path(atserver.keys_dir, f"{atsign}_key.atKeys")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_keeps_records_and_keys(tmp_path: Path) -> None:
    """A second process goes on where the first ended."""
    with DevServer(["alice"], storage=tmp_path) as world, owner(world) as alice:
        assert alice.ask(f"update:{KEY} v") == "data:3"
        keys = Path(world.keys_dir, "@alice_key.atKeys").read_text("utf-8")
    with DevServer(["alice"], storage=tmp_path) as world, owner(world) as alice:
        assert Path(world.keys_dir, "@alice_key.atKeys").read_text("utf-8") == keys
        assert alice.ask(f"llookup:{KEY}") == "data:v"
        assert alice.ask(f"update:{KEY} w") == "data:4"


def test_a_temporary_folder_goes_with_the_server() -> None:
    """Nothing is left behind."""
    with DevServer(["alice"]) as world:
        folder = Path(world.ca_file).parent
        assert folder.is_dir()
    assert not folder.exists()


def test_names_are_normalised() -> None:
    """With or without @, in any case."""
    with DevServer(["Alice"], cram_secrets={"@CAROL": "s"}) as world:
        assert set(world.servers) == {"@alice", "@carol"}


def test_there_is_one_profile() -> None:
    """A wrong name is told at once."""
    with pytest.raises(ValueError, match="'atserver'"):
        DevServer(["alice"], profile="fast")


def test_a_start_that_fails_leaves_nothing(atserver: DevServer) -> None:
    """The port of the directory is taken."""
    world = DevServer(["alice"], root_port=atserver.root_port)
    with pytest.raises(OSError, match="in use"):
        world.start()
    assert not Path(world.ca_file).parent.exists()


def test_a_profile_answers_the_same() -> None:
    """Only later."""
    with DevServer(["alice"], profile="atserver", seed=1) as world, owner(world) as alice:
        assert alice.ask(f"update:{KEY} v") == "data:3"
        assert alice.ask(f"delete:{KEY}") == "data:4"
        assert world.failures == []


def test_stopping_twice_is_stopping_once() -> None:
    """And a server that never started can be stopped."""
    world = DevServer(["alice"])
    world.stop()
    world.start()
    world.stop()
    world.stop()


def test_a_reset_makes_all_as_it_was(atserver: DevServer, log_in: Connect) -> None:
    """Records, notifications, counters, faults and clock; addresses and keys stay."""
    servers = dict(atserver.servers)
    alice = log_in()
    alice.ask("update:@bob:x.atxfer@alice v")
    alice.ask("config:block:add:@bob")
    atserver.idle()
    atserver.advance(3600.0)
    atserver.faults.error = 1.0
    atserver.server("@bob").stop()
    atserver.reset()
    assert atserver.servers == servers
    assert atserver.server("@bob").notices() == []
    assert atserver.counters["@alice"]["connections"] == 0
    fresh = log_in()
    assert fresh.ask("stats:3").endswith('"value":"2"}]')
    assert fresh.ask("config:block:show") == "data:null"


def test_faults_may_be_exchanged_and_changed(atserver: DevServer, log_in: Connect) -> None:
    """While connections are open."""
    alice = log_in()
    atserver.faults = FaultPlan(error=1.0)
    assert alice.ask("scan").startswith("error:AT0011-")
    atserver.faults.error = 0.0
    assert alice.ask("scan").startswith("data:")


def test_latency_may_be_changed(atserver: DevServer, log_in: Connect) -> None:
    """And the fault plan overrides it."""
    alice = log_in()
    atserver.latency = 0.01
    assert alice.ask("noop:0") == "data:ok"
    atserver.latency = 0.0
    assert atserver.latency == 0.0


def test_idle_says_when_it_is_not(atserver: DevServer, log_in: Connect) -> None:
    """A command that waits is under way."""
    alice = log_in()
    alice.write("noop:5000\n")
    atserver.until_asleep()
    with pytest.raises(TimeoutError):
        atserver.idle(timeout=0.01)
    atserver.advance(5.0)
    atserver.idle()
    assert alice.answer() == "data:ok"


# --- looking into one server


def test_a_view_sees_all_records(atserver: DevServer, log_in: Connect) -> None:
    """Those that are in no scan too."""
    log_in().ask("update:ttl:60000:public:_0.x.atxfer@alice v")
    view = atserver.server("alice")
    assert "public:_0.x.atxfer@alice" in view
    assert len(view.values()) == len(view.keys())
    assert view.metadata("public:_0.x.atxfer@alice")["ttl"] == 60_000
    assert view.port == atserver.servers["@alice"]


def test_a_view_changes_records(atserver: DevServer, log_in: Connect) -> None:
    """Behind everybody's back: no version, no commit."""
    alice, view = log_in(), atserver.server("@alice")
    alice.ask(f"update:{KEY} v")
    view.alter(KEY, "other")
    assert alice.ask(f"llookup:{KEY}") == "data:other"
    assert view.metadata(KEY)["version"] == 0
    view.expire(KEY)
    assert alice.ask(f"llookup:{KEY}") == "data:null"
    assert view.value(KEY) == "other"
    assert view.sweep() == 1
    for missing in (view.value, view.metadata, view.remove, view.expire):
        with pytest.raises(KeyError):
            missing(KEY)


def test_a_crash_keeps_what_was_answered(atserver: DevServer, log_in: Connect) -> None:
    """Connections are cut; the server comes back at its port."""
    alice, view = log_in(), atserver.server("@alice")
    alice.ask(f"update:{KEY} v")
    port = view.port
    view.stop()
    assert alice.is_closed
    with pytest.raises(ConnectionRefusedError):
        LineClient(atserver)
    view.start()
    assert view.port == port
    assert log_in().ask(f"llookup:{KEY}") == "data:v"


def test_the_sweep_comes_with_the_time(atserver: DevServer, log_in: Connect) -> None:
    """Every ten minutes of the servers' clock."""
    alice, view = log_in(), atserver.server("@alice")
    alice.ask(f"update:ttl:1000:{KEY} v")
    atserver.advance(300.0)
    assert alice.ask(f"llookup:{KEY}") == "data:null"
    atserver.advance(300.0)
    assert alice.ask(f"llookup:{KEY}").startswith("error:AT0015-")
    assert KEY not in view


def test_a_skewed_clock_is_wrong_everywhere(atserver: DevServer, log_in: Connect) -> None:
    """In metadata, and in what has expired."""
    alice = log_in()
    alice.ask(f"update:ttl:60000:{KEY} v")
    atserver.faults.clock_skew = 3600.0
    assert alice.ask(f"llookup:{KEY}") == "data:null"
    atserver.faults.clock_skew = 0.0
    assert alice.ask(f"llookup:{KEY}") == "data:v"
