"""The inbox, against servers that do what real ones do to notifications, copies and answers."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from atxfer import Cancelled, Client, NetworkError, SharedFile
from atxfer.devserver import DevServer, FaultPlan
from atxfer.errors import AtSignNotFound, LoginRefused, ServerFault
from tests.support.lines import owner
from tests.support.shares import Sharer, sharer
from tests.support.until import until
from tests.support.worlds import QUICK

# Longer than any test: a loop is left when all is there that is to come.
LONG = 100.0


@pytest.fixture
def alice(atserver: DevServer) -> Iterator[Sharer]:
    """Return somebody who shares with @bob."""
    with sharer(atserver) as alice:
        yield alice


Bob = Callable[..., Client]


@pytest.fixture
def bob(atserver: DevServer, tmp_path: Path) -> Iterator[Bob]:
    """Return how to make clients of @bob, who remember together what was seen."""
    clients: list[Client] = []

    def make(world: DevServer = atserver, **config: Any) -> Client:
        options = world.client_options
        state = tmp_path / "state"
        clients.append(Client("@bob", **options, state_dir=state, config=QUICK.but(**config)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def ids(files: Any) -> list[str]:
    """Return the ids of what an inbox shows."""
    return [file.file_id for file in files]


def copy_of(file_id: str, owner: str = "@alice") -> str:
    """Return the key of the copy on @bob's server."""
    return f"cached:@bob:{file_id}.files.atxfer{owner}"


class When(logging.Handler):
    """Does something, once, when the inbox logs that something has happened."""

    def __init__(self, event: str, action: Callable[[], object]) -> None:
        super().__init__()
        self._event = event
        self._action: Optional[Callable[[], object]] = action

    def emit(self, record: logging.LogRecord) -> None:
        """Do it."""
        action = self._action
        if action is not None and record.getMessage().startswith(self._event):
            self._action = None
            action()

    def __enter__(self) -> When:
        self._logger = logging.getLogger("atxfer.inbox")
        self._before = self._logger.level
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._before)

    @property
    def has_happened(self) -> bool:
        """Whether it was done."""
        return self._action is None


# --- what is there


def test_a_share_is_shown_with_what_it_says(alice: Sharer, bob: Bob) -> None:
    """Who, what, how large, and when it was shared."""
    file_id = alice.share("x.pdf", size=9, shared_at=1_700_000_001.5)
    (file,) = bob().inbox()
    assert isinstance(file, SharedFile)
    assert (file.file_id, file.owner, file.name, file.size) == (file_id, "@alice", "x.pdf", 9)
    assert file.shared_at == 1_700_000_001.5
    assert file.expires_at is not None


def test_a_thousand_shares_each_once(atserver: DevServer, alice: Sharer, bob: Bob) -> None:
    """All of them, oldest first, in a few requests; a program that starts later sees none again."""
    shared = alice.share_many(1000)
    atserver.counters.reset()
    assert ids(bob().inbox()) == shared
    felt = atserver.counters.snapshot()["@bob"]
    assert felt["commands"]["scan"] == 1
    assert felt["commands"]["batch"] == 16
    assert felt["peak_in_flight"] <= 3
    assert atserver.counters.snapshot()["@alice"]["commands"] == {"lookup": 1}
    assert ids(bob().inbox()) == []
    assert ids(bob().inbox(include_seen=True)) == shared


def test_none_is_missed_and_none_comes_twice(atserver: DevServer, alice: Sharer, bob: Bob) -> None:
    """A thousand shares, a receiver that leaves and comes back an hour later, and a restart."""
    shared, found = alice.share_many(1000), []
    for file in bob().inbox(wait=LONG):
        if len(found) == 400:
            break
        found.append(file.file_id)
        if len(found) == 200:
            atserver.server("@bob").restart()
    shared += [alice.share(str(number)) for number in range(10)]
    atserver.server("@bob").restart()
    atserver.advance(3600.0)
    found += ids(bob().inbox())
    assert found == shared


def test_a_receiver_that_was_away_for_an_hour(atserver: DevServer, alice: Sharer, bob: Bob) -> None:
    """The notifications are long forgotten; the copies are there."""
    shared = [alice.share(str(number)) for number in range(5)]
    atserver.advance(3600.0)
    assert atserver.server("@bob").notices() == []
    assert ids(bob().inbox()) == shared


def test_a_server_restarted_in_between(atserver: DevServer, alice: Sharer, bob: Bob) -> None:
    """What was shared before is found, with the connections of before or without."""
    client = bob()
    first = alice.share()
    assert ids(client.inbox()) == [first]
    second = alice.share()
    atserver.server("@bob").restart()
    third = alice.share()
    assert ids(client.inbox()) == [second, third]


def test_expired_shares_are_not_there(atserver: DevServer, alice: Sharer, bob: Bob) -> None:
    """Their time is over, swept away or not."""
    alice.share(ttl=60.0)
    left = alice.share(ttl=3600.0)
    atserver.advance(61.0)
    assert ids(bob().inbox()) == [left]


def test_a_file_that_is_not_complete_is_not_there(alice: Sharer, bob: Bob) -> None:
    """A share of an upload under way would lead nowhere."""
    alice.share(state="uploading", sha256="")
    assert ids(bob().inbox()) == []


def test_a_file_shared_again_is_new_again(alice: Sharer, bob: Bob) -> None:
    """What was seen is one share of a file, not the file."""
    file_id = alice.share(shared_at=1_700_000_000.0)
    assert ids(bob().inbox()) == [file_id]
    alice.share(file_id=file_id, shared_at=1_700_000_100.0)
    assert [file.shared_at for file in bob().inbox()] == [1_700_000_100.0]


def test_only_what_was_shared_since(alice: Sharer, bob: Bob) -> None:
    """What is older is not shown, and not seen either."""
    old = alice.share(shared_at=1_700_000_000.0)
    new = alice.share(shared_at=1_700_000_100.0)
    assert ids(bob().inbox(since=1_700_000_050.0)) == [new]
    assert ids(bob().inbox()) == [old]


# --- seen, or not yet


def test_an_error_in_the_loop_shows_the_share_again(alice: Sharer, bob: Bob) -> None:
    """Seen is what the loop has asked beyond."""
    shared = [alice.share(str(number)) for number in range(3)]

    def fails_at_the_second() -> None:
        for place, _ in enumerate(bob().inbox()):
            if place == 1:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_at_the_second()
    assert ids(bob().inbox()) == shared[1:]


def test_leaving_the_loop_shows_the_share_again(alice: Sharer, bob: Bob) -> None:
    """The one at hand was not asked beyond."""
    shared = [alice.share(str(number)) for number in range(3)]
    for _ in bob().inbox():
        break
    assert ids(bob().inbox()) == shared


def test_until_downloaded_nothing_is_seen(alice: Sharer, bob: Bob) -> None:
    """For loops that go on after a download that failed: it comes again, next time."""
    shared = [alice.share(str(number)) for number in range(3)]
    for _ in range(2):
        assert ids(bob().inbox(until_downloaded=True)) == shared


def test_what_still_lies_there_is_remembered(alice: Sharer, bob: Bob, tmp_path: Path) -> None:
    """Each listing renews what is kept of the shares it meets."""
    alice.share()
    assert len(ids(bob().inbox())) == 1
    (path,) = (tmp_path / "state").glob("*.json")
    state = json.loads(path.read_text())
    state["seen"][0][-1] -= 2 * 86_400.0  # it would be forgotten by now
    path.write_text(json.dumps(state))
    assert ids(bob().inbox()) == []
    assert json.loads(path.read_text())["seen"][0][-1] == pytest.approx(
        state["seen"][0][-1] + 2 * 86_400.0, abs=60.0
    )


def test_another_atsign_another_memory(
    alice: Sharer, bob: Bob, atserver: DevServer, tmp_path: Path
) -> None:
    """One folder serves any number of atSigns."""
    alice.share()
    assert len(ids(bob().inbox())) == 1
    with (
        sharer(atserver, "@bob") as other,
        Client("@alice", **atserver.client_options, state_dir=tmp_path / "state") as client,
    ):
        shared = other.share(to="@alice")
        assert ids(client.inbox()) == [shared]
    assert len(list((tmp_path / "state").glob("*.json"))) == 2


# --- while waiting


def test_what_comes_while_waiting(atserver: DevServer, alice: Sharer, bob: Bob) -> None:
    """First what is there, then what is shared meanwhile, each once."""
    shared, found = [alice.share("0")], []
    for file in bob().inbox(wait=LONG):
        found.append(file.file_id)
        if len(found) == 5:
            break
        shared.append(alice.share(str(len(found))))
    assert found == shared
    assert atserver.counters.snapshot()["@bob"]["commands"]["monitor"] == 1


def test_a_thousand_shares_while_waiting(alice: Sharer, bob: Bob) -> None:
    """However many come at once."""
    shared, found = [alice.share("first")], []
    for file in bob().inbox(wait=LONG):
        if not found:
            shared += alice.share_many(1000)
        found.append(file.file_id)
        if len(found) == len(shared):
            break
    assert sorted(found) == sorted(shared)


def test_the_wait_ends(alice: Sharer, bob: Bob) -> None:
    """After the time that was asked for, with what there was."""
    shared = alice.share()
    assert ids(bob().inbox(wait=0.2)) == [shared]
    assert ids(bob().inbox(wait=1e-9)) == []


def test_a_server_restarted_while_listening(atserver: DevServer, alice: Sharer, bob: Bob) -> None:
    """The lost connection is made anew, and nothing of what came meanwhile is missed."""
    shared, found = [alice.share("0")], []
    for file in bob().inbox(wait=LONG):
        found.append(file.file_id)
        if len(found) == 4:
            break
        atserver.server("@bob").stop()
        shared.append(alice.share(str(len(found))))
        atserver.server("@bob").start()
        atserver.idle()
    assert found == shared


@pytest.mark.parametrize("fault", ["drop-before", "drop-after", "AT0011", "AT0024"])
def test_a_monitor_that_is_cut_or_refused(
    atserver: DevServer, alice: Sharer, bob: Bob, fault: str
) -> None:
    """It is asked for anew, and what came meanwhile is found."""
    atserver.faults = FaultPlan.script(f"{fault} {fault}", verbs={"monitor"}, atsigns={"@bob"})
    shared, found = [alice.share("0")], []
    for file in bob().inbox(wait=LONG):
        found.append(file.file_id)
        if len(found) == 2:
            break
        shared.append(alice.share("1"))
    assert found == shared


def test_a_server_that_is_down_at_the_start(atserver: DevServer, alice: Sharer, bob: Bob) -> None:
    """Who waits, waits for the server as well."""
    shared = alice.share()
    atserver.server("@bob").stop()
    with When("inbox.interrupted", atserver.server("@bob").start) as restarted:
        for file in bob(max_attempts=1).inbox(wait=None):
            assert file.file_id == shared
            break
    assert restarted.has_happened


def test_a_server_that_stays_down(atserver: DevServer, bob: Bob) -> None:
    """Nothing was asked, so the end of the wait is an error, not an empty inbox."""
    atserver.server("@bob").stop()
    for wait in (0.0, 0.2):
        with pytest.raises(NetworkError):
            list(bob(max_attempts=1).inbox(wait=wait))


def test_a_refused_login_ends_a_wait_for_ever(atserver: DevServer, tmp_path: Path) -> None:
    """What does not pass by itself is told at once."""
    shutil.copy(Path(atserver.keys_dir) / "@alice_key.atKeys", tmp_path / "@bob_key.atKeys")
    keys = json.loads((tmp_path / "@bob_key.atKeys").read_text())
    keys["@bob"] = keys.pop("@alice")
    (tmp_path / "@bob_key.atKeys").write_text(json.dumps(keys))
    options = {**atserver.client_options, "keys_dir": str(tmp_path)}
    with Client("@bob", **options, state_dir=tmp_path) as client, pytest.raises(LoginRefused):
        list(client.inbox(wait=None))


def test_a_notification_that_no_monitor_hears_of(
    atserver: DevServer, alice: Sharer, bob: Bob
) -> None:
    """The server's own notice tells that something has changed, and the copy is found."""
    shared, found = [alice.share("0")], []
    for file in bob().inbox(wait=LONG):
        found.append(file.file_id)
        if len(found) == 2:
            break
        atserver.faults.unpushed = 1.0
        shared.append(alice.share("1"))
        atserver.faults.unpushed = 0.0
        atserver.server("@bob").tell_statistics()
    assert found == shared


def test_now_and_then_everything_is_read_again(
    atserver: DevServer, alice: Sharer, bob: Bob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file shared again under its key, of which nothing told, is found in the end."""
    monkeypatch.setattr("atxfer._operations.inbox._LIST_EVERY", 0.05)
    file_id, times = alice.share(shared_at=1_700_000_000.0), []
    for file in bob().inbox(wait=LONG):
        times.append(file.shared_at)
        if len(times) == 2:
            break
        atserver.faults.unpushed = 1.0
        alice.share(file_id=file_id, shared_at=1_700_000_100.0)
    assert times == [1_700_000_000.0, 1_700_000_100.0]


def test_a_download_that_failed_comes_again_while_waiting(
    alice: Sharer, bob: Bob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon need not be started anew for it; whoever doesn't ask for that has seen it."""
    monkeypatch.setattr("atxfer._operations.inbox._LIST_EVERY", 0.05)
    shared, found = alice.share(), []
    for file in bob().inbox(wait=None, until_downloaded=True):
        found.append(file.file_id)
        if len(found) == 3:
            break
    assert found == [shared] * 3
    assert ids(bob().inbox(wait=0.3)) == [shared]


def test_a_transfer_s_deadline_is_not_that_of_a_wait(alice: Sharer, bob: Bob) -> None:
    """Who gives each transfer half a second may listen for longer."""
    shared = alice.share()
    assert ids(bob(deadline=0.5).inbox(wait=1.2)) == [shared]


def test_a_notification_of_which_there_is_no_copy(
    atserver: DevServer, alice: Sharer, bob: Bob
) -> None:
    """The owner's server is asked, in the end."""
    shared, found = [alice.share("0")], []
    for file in bob().inbox(wait=LONG):
        found.append(file.file_id)
        if len(found) == 2:
            break
        shared.append(alice.share("1"))
        atserver.server("@bob").remove(copy_of(shared[1]))
    assert found == shared


def test_notifications_of_meanwhile_are_heard(atserver: DevServer, alice: Sharer, bob: Bob) -> None:
    """What was told since the last program listened, and left no copy, is told again."""
    alice.share("1")
    for file in bob().inbox(wait=0.5):
        if file.name == "1":
            alice.share("2")
    third = alice.share("3")
    atserver.server("@bob").remove(copy_of(third))
    found = next(bob(backoff_initial=0.01).inbox(wait=LONG))
    assert found.file_id == third


def test_a_notification_that_overtakes_its_record(
    atserver: DevServer, alice: Sharer, bob: Bob
) -> None:
    """Real servers push first, and write then: the record is read again a moment later."""
    file_id, times = alice.share(shared_at=1_700_000_000.0), []

    def share_once_it_was_read(reads: int) -> None:
        until(lambda: atserver.counters["@bob"]["commands"]["llookup"] > reads)
        atserver.faults.unpushed = 1.0
        alice.share(file_id=file_id, shared_at=1_700_000_100.0)

    for file in bob(backoff_initial=1.0, backoff_max=1.0).inbox(wait=LONG):
        times.append(file.shared_at)
        if len(times) == 2:
            break
        reads = atserver.counters["@bob"]["commands"]["llookup"]
        threading.Thread(target=share_once_it_was_read, args=(reads,)).start()
        with owner(atserver) as line:
            line.ask(f"notify:update:@bob:{file_id}.files.atxfer@alice:newer")
        atserver.idle()
    assert times == [1_700_000_000.0, 1_700_000_100.0]


def test_what_is_taken_back_in_time_is_not_shown(alice: Sharer, bob: Bob) -> None:
    """A share that was deleted before its turn is dropped."""
    shared = [alice.share(str(number)) for number in range(3)]
    found = []
    for file in bob().inbox(wait=0.5):
        if not found:
            alice.unshare(shared[1])
        found.append(file.file_id)
    assert found == [shared[0], shared[2]]


def test_what_was_told_in_the_last_moment(alice: Sharer, bob: Bob) -> None:
    """What came while the loop's body took too long is shown still."""
    shared, found = [alice.share("0")], []
    for file in bob().inbox(wait=0.2):
        found.append(file.file_id)
        if len(found) == 1:
            shared.append(alice.share("1"))
            threading.Event().wait(0.3)
    assert found == shared


class Listener(threading.Thread):
    """Listens in a thread of its own.

    Attributes:
        found: What it was shown.
        end: What ended it, if it was an error.
    """

    def __init__(self, client: Client, **order: Any) -> None:
        super().__init__()
        self._client = client
        self._order = order
        self.found: list[SharedFile] = []
        self.end: Optional[BaseException] = None

    def run(self) -> None:
        """Listen until something ends it."""
        try:
            for file in self._client.inbox(wait=None, **self._order):
                self.found.append(file)
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            self.end = error


def test_nobody_holds_a_permit_while_listening(alice: Sharer, bob: Bob) -> None:
    """Uploads of the same client go on beside it."""
    client = bob(max_concurrent_uploads=1)
    listener = Listener(client)
    alice.share()
    listener.start()
    until(lambda: bool(listener.found))
    client.upload(b"x" * 100_000, name="x")
    assert client.metrics()["requests_in_flight"] == 0
    client.close()
    listener.join()


def test_closing_ends_a_wait(alice: Sharer, bob: Bob) -> None:
    """Whoever listens in another thread is told so, at once."""
    client = bob()
    listener = Listener(client)
    alice.share()
    listener.start()
    until(lambda: bool(listener.found))
    client.close()
    listener.join()
    assert isinstance(listener.end, Cancelled)


def test_closing_while_the_body_runs_ends_the_loop(alice: Sharer, bob: Bob) -> None:
    """It ends in the same way, when the loop asks for the next one."""
    client = bob()
    alice.share()
    files = client.inbox(wait=None)
    next(files)
    client.close()
    with pytest.raises(Cancelled):
        next(files)


def test_ctrl_c_ends_a_wait(atserver: DevServer, bob: Bob) -> None:
    """The interrupt comes out of the loop, and leaves no connection behind."""

    def interrupt() -> None:
        until(lambda: "monitor" in atserver.counters["@bob"]["commands"])
        until(lambda: atserver.counters["@bob"]["in_flight"] == 0)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        list(bob().inbox(wait=None))
    thread.join()


# --- what can't be believed


def test_an_owner_s_server_that_is_down_at_listing(
    atserver_factory: Callable[..., DevServer], bob: Bob
) -> None:
    """What can't be verified waits, the others are shown; it comes when its owner's server does."""
    world = atserver_factory(["alice", "bob", "carol"], seed=0)
    with sharer(world) as alice, sharer(world, "@carol") as carol:
        hers, other = alice.share(), carol.share()
    world.server("@alice").stop()
    assert ids(bob(world).inbox()) == [other]
    with When("inbox.unverified", world.server("@alice").start) as told:
        for file in bob(world).inbox(wait=None):
            assert file.file_id == hers
            break
    assert told.has_happened


def test_copies_need_nobody_but_their_server(atserver: DevServer, alice: Sharer, bob: Bob) -> None:
    """With all answers between servers mixed up, what lies on the own server is right."""
    shared = [alice.share(str(number)) for number in range(20)]
    atserver.faults = FaultPlan.parse("mixup=1.0")
    assert ids(bob().inbox()) == shared


def test_mixed_up_answers_are_never_believed(
    atserver: DevServer, alice: Sharer, bob: Bob, caplog: pytest.LogCaptureFixture
) -> None:
    """Of what has to be asked of its owner's server, nothing is shown that is not right."""
    shared = [alice.share(str(number)) for number in range(5)]
    for file_id in shared:
        atserver.server("@bob").remove(copy_of(file_id))
    atserver.faults = FaultPlan.parse("mixup=1.0")
    assert ids(bob().inbox(from_="@alice")) == []
    assert caplog.text.count("inbox.refused") == 5
    # The wrong answers are what the own server now has for copies.
    assert any(copy_of(file_id) in atserver.server("@bob") for file_id in shared)
    assert ids(bob().inbox()) == []
    atserver.faults = FaultPlan()
    assert ids(bob().inbox(from_="@alice")) == shared


def test_one_answer_in_three_is_enough(atserver: DevServer, alice: Sharer, bob: Bob) -> None:
    """What was mixed up once is asked for again."""
    alice.share("other")
    shared = alice.share()
    atserver.server("@bob").remove(copy_of(shared))
    atserver.faults = FaultPlan.script("mixup mixup", atsigns={"@bob"})
    assert shared in ids(bob().inbox(from_=["@alice"]))
    assert atserver.faults.played


def test_a_forged_share_is_not_shown(
    atserver: DevServer, alice: Sharer, bob: Bob, caplog: pytest.LogCaptureFixture
) -> None:
    """Servers can deliver what its owner did not sign; it is refused, and not seen."""
    file_id = alice.share()
    places = [
        (atserver.server("@bob"), copy_of(file_id)),
        (atserver.server("@alice"), f"@bob:{file_id}.files.atxfer@alice"),
    ]
    true = places[0][0].value(places[0][1])
    assert true is not None
    for server, key in places:
        server.alter(key, ("B" if true[0] != "B" else "C") + true[1:])
    assert ids(bob().inbox()) == []
    assert "inbox.refused" in caplog.text
    assert true[1:40] not in caplog.text
    for server, key in places:
        server.alter(key, true)
    assert ids(bob().inbox()) == [file_id]


def test_a_copy_that_is_wrong_is_looked_up_at_its_owner_s(
    atserver: DevServer, alice: Sharer, bob: Bob
) -> None:
    """An answer that was mixed up once must not hide a share for ever."""
    file_id, other = alice.share("one"), alice.share("two")
    wrong = atserver.server("@bob").value(copy_of(other))
    assert wrong is not None
    atserver.server("@bob").alter(copy_of(file_id), wrong)
    assert sorted(ids(bob().inbox())) == sorted([file_id, other])


def test_a_sender_of_nonsense_doesn_t_choose_how_much_we_ask(
    atserver: DevServer, alice: Sharer, bob: Bob
) -> None:
    """Only so many copies that don't open are asked for again."""
    for file_id in alice.share_many(100):
        atserver.server("@alice").alter(f"@bob:{file_id}.files.atxfer@alice", "AAAA")
        atserver.server("@bob").alter(copy_of(file_id), "AAAA")
    atserver.counters.reset()
    assert ids(bob().inbox()) == []
    assert atserver.counters.snapshot()["@bob"]["commands"]["lookup"] == 48


# --- whom we ask


def test_from_shows_only_theirs(atserver_factory: Callable[..., DevServer], bob: Bob) -> None:
    """One or several atSigns, however they are written; the others stay unseen."""
    world = atserver_factory(["alice", "bob", "carol", "dave"], seed=0)
    shared = {}
    for name in ("@alice", "@carol", "@dave"):
        with sharer(world, name) as other:
            shared[name] = other.share()
    assert ids(bob(world).inbox(from_="Alice")) == [shared["@alice"]]
    assert ids(bob(world).inbox(from_=["@alice", "dave"])) == [shared["@dave"]]
    assert ids(bob(world).inbox()) == [shared["@carol"]]


def test_from_finds_what_the_own_server_never_heard_of(
    atserver: DevServer, alice: Sharer, bob: Bob
) -> None:
    """After five minutes a sender's server gives up; asking it still finds the share."""
    atserver.server("@bob").stop()
    shared = alice.share()
    atserver.advance(301.0)
    atserver.server("@bob").start()
    atserver.idle()
    assert ids(bob().inbox()) == []
    assert ids(bob().inbox(from_=["@alice"])) == [shared]
    assert ids(bob().inbox(from_=["@alice"])) == []


def test_from_an_owner_whose_server_is_down(atserver: DevServer, alice: Sharer, bob: Bob) -> None:
    """Who was named and could not be asked is an error, after all else was shown."""
    client, found = bob(max_attempts=1), []
    first = alice.share("1")
    assert ids(client.inbox()) == [first]
    second = alice.share("2")
    atserver.server("@alice").stop()

    def look() -> None:
        for file in client.inbox(from_=["@alice"]):
            found.append(file.file_id)

    with pytest.raises(ServerFault):
        look()
    assert found == [second]


def test_from_an_owner_whose_server_comes_back(
    atserver: DevServer, alice: Sharer, bob: Bob
) -> None:
    """Who waits, asks again."""
    atserver.server("@bob").stop()
    shared = alice.share()
    atserver.advance(301.0)
    atserver.server("@bob").start()
    atserver.server("@alice").stop()
    with When("inbox.not_asked", atserver.server("@alice").start) as told:
        for file in bob(max_attempts=1).inbox(wait=None, from_=["@alice"]):
            assert file.file_id == shared
            break
    assert told.has_happened


def test_a_server_that_is_away_takes_no_retries_from_ours(
    atserver: DevServer, alice: Sharer, bob: Bob
) -> None:
    """However long it is asked for, requests to our own server are still tried again."""
    alice.share()
    atserver.server("@alice").stop()
    client = bob(backoff_initial=0.0, backoff_max=0.0, retry_burst=5)
    listener = Listener(client, from_=["@alice"])
    listener.start()
    until(lambda: atserver.counters["@bob"]["errors"].get("AT0021", 0) > 20)
    atserver.faults = FaultPlan.script("AT0011", verbs={"llookup"}, atsigns={"@bob"})
    assert ids(client.inbox()) == []
    assert atserver.faults.played
    client.close()
    listener.join()


def test_from_an_atsign_that_does_not_exist(bob: Bob) -> None:
    """The error names it."""
    with pytest.raises(AtSignNotFound):
        list(bob().inbox(from_=["@nobody"]))


def test_arguments_are_checked_when_called(bob: Bob) -> None:
    """Not when the loop begins."""
    with pytest.raises(ValueError, match="wait"):
        bob().inbox(wait=-1.0)
    with pytest.raises(ValueError, match="no atSign"):
        bob().inbox(from_=["no one"])
