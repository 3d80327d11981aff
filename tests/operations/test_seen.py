"""Which shares were seen: kept over restarts, shared by programs, and never growing for ever."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pwd
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Optional

import pytest

from atxfer import Client
from atxfer._operations import seen as module
from atxfer._operations import unfinished
from atxfer._operations.seen import Seen, state_folder
from atxfer.model import SharedFile

ROOT = Path(__file__).resolve().parent.parent.parent
DAY = 86_400.0
NOW = 1_700_000_000.0


class Time:
    """A time of day that tests set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Return it."""
        return self.now


def a_file(
    file_id: str = "a" * 26,
    owner: str = "@alice",
    shared_at: float = NOW,
    expires_at: Optional[float] = NOW + DAY,
) -> SharedFile:
    """Return a file that somebody shares."""
    return SharedFile(
        file_id=file_id,
        name="x",
        size=1,
        chunk_size=8192,
        chunks=1,
        sha256="ab" * 32,
        state="complete",
        owner=owner,
        created_at=NOW,
        expires_at=expires_at,
        shared_at=shared_at,
    )


@pytest.fixture
def time() -> Time:
    """Return the time of day."""
    return Time()


def seen_in(folder: Path, time: Time, directory: str = "localhost:64") -> Seen:
    """Return what a program of @bob's knows that starts now."""
    seen = Seen(folder / "state", "@bob", directory, time)
    seen.load()
    return seen


def entries(seen: Seen) -> list[Any]:
    """Return the entries of the file."""
    return list(json.loads(seen.path.read_bytes())["seen"])


# --- kept


def test_what_was_seen_is_seen_by_the_next_program(tmp_path: Path, time: Time) -> None:
    """Once it was written down."""
    seen = seen_in(tmp_path, time)
    seen.mark(a_file())
    assert a_file() in seen
    assert a_file() not in seen_in(tmp_path, time)
    seen.flush()
    assert a_file() in seen_in(tmp_path, time)


@pytest.mark.parametrize(
    "other", [a_file("b" * 26), a_file(owner="@carol"), a_file(shared_at=NOW + 0.001)]
)
def test_another_share_is_not_seen(tmp_path: Path, time: Time, other: SharedFile) -> None:
    """Another file, another owner's, or the same file shared again."""
    seen = seen_in(tmp_path, time)
    seen.mark(a_file())
    assert other not in seen


def test_another_directory_is_another_world(tmp_path: Path, time: Time) -> None:
    """A development server's shares have nothing to do with the others."""
    seen = seen_in(tmp_path, time)
    seen.mark(a_file())
    seen.flush()
    assert a_file() not in seen_in(tmp_path, time, "localhost:65")


def test_the_last_notification_is_remembered(tmp_path: Path, time: Time) -> None:
    """It only moves on."""
    seen = seen_in(tmp_path, time)
    assert seen.heard_ms is None
    seen.heard(5)
    seen.heard(3)
    seen.flush()
    assert seen_in(tmp_path, time).heard_ms == 5


def test_only_its_owner_can_read_it(tmp_path: Path, time: Time) -> None:
    """It says who shares with whom; also after it was replaced."""
    seen = seen_in(tmp_path, time)
    for number in range(2):
        seen.mark(a_file(shared_at=NOW + number))
        seen.flush()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in seen.path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 2
    assert stat.S_IMODE(seen.path.parent.stat().st_mode) == 0o700


def test_nothing_new_writes_nothing(tmp_path: Path, time: Time) -> None:
    """A look into an empty inbox leaves the file as it was."""
    seen = seen_in(tmp_path, time)
    seen.flush()
    assert not seen.path.exists()


def test_a_link_is_followed(tmp_path: Path, time: Time) -> None:
    """Who keeps the file elsewhere has it written there, and as private."""
    seen = seen_in(tmp_path, time)
    seen.path.symlink_to(tmp_path / "elsewhere")
    seen.mark(a_file())
    seen.flush()
    assert seen.path.is_symlink()
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o600
    assert a_file() in seen_in(tmp_path, time)


# --- shared


_MARKER = """
import sys
from pathlib import Path
from atxfer._operations.seen import Seen
from tests.operations.test_seen import NOW, a_file
seen = Seen(Path(sys.argv[1]), "@bob", "localhost:64", lambda: NOW)
for number in range(100):
    seen.mark(a_file(shared_at=NOW + number, owner=sys.argv[2]))
    seen.flush()
"""


def test_programs_lose_none_of_each_other_s_entries(tmp_path: Path, time: Time) -> None:
    """Each reads, merges and replaces the file as one step."""
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", _MARKER, str(tmp_path / "state"), owner],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for owner in ("@alice", "@carol")
    ]
    assert [program.wait() for program in programs] == [0, 0]
    assert len(entries(seen_in(tmp_path, time))) == 200


def test_threads_lose_none_of_each_other_s_entries(tmp_path: Path, time: Time) -> None:
    """One object may be used by several."""
    seen = seen_in(tmp_path, time)

    def mark(owner: str) -> None:
        for number in range(50):
            seen.mark_now(a_file(shared_at=NOW + number, owner=owner))

    threads = [threading.Thread(target=mark, args=(f"@owner{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entries(seen)) == 200


def test_what_another_program_has_seen_is_learnt(tmp_path: Path, time: Time) -> None:
    """When the file is read again."""
    seen, other = seen_in(tmp_path, time), seen_in(tmp_path, time)
    other.mark_now(a_file())
    assert a_file() not in seen
    seen.load()
    assert a_file() in seen


def test_a_lock_that_is_never_let_go(
    tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error that names the file, after some patience."""
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    seen = seen_in(tmp_path, time)
    with seen.path.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match=r"@bob-.*\.json"):
            seen.load()
    seen.load()


# --- damaged


@pytest.mark.parametrize(
    "content",
    [
        b"no json",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"version":2,"heard_ms":0,"seen":[]}',
        b'{"version":1,"heard_ms":"x","seen":[]}',
        b'{"version":1,"heard_ms":0,"seen":[["@alice","a"]]}',
        b'{"version":1,"heard_ms":0,"seen":[["@alice","a","1",1]]}',
        b'{"version":1,"heard_ms":0,"seen":{"a":1}}',
    ],
)
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, time: Time, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """It is kept, told of, and work goes on with a new one."""
    path = seen_in(tmp_path, time).path
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, logger="atxfer.inbox"):
        seen = seen_in(tmp_path, time)
    assert str(path) in caplog.text
    assert path.with_suffix(".damaged").read_bytes() == content
    seen.mark(a_file())
    seen.flush()
    assert a_file() in seen_in(tmp_path, time)


def test_an_empty_file_is_a_new_one(
    tmp_path: Path, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """It was made, and its writer ended before it wrote."""
    seen_in(tmp_path, time).path.write_bytes(b"")
    seen_in(tmp_path, time)
    assert caplog.text == ""


def test_a_file_that_can_t_be_written_is_an_error(tmp_path: Path, time: Time) -> None:
    """What is new is kept, for the next time."""
    seen = seen_in(tmp_path, time)
    seen.mark(a_file())
    seen.path.mkdir()
    with pytest.raises(OSError, match=seen.path.name):
        seen.flush()
    seen.path.rmdir()
    seen.flush()
    assert a_file() in seen_in(tmp_path, time)


def test_a_file_that_has_arrived_does_not_fail_for_it(
    tmp_path: Path, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """Only a warning tells."""
    seen = seen_in(tmp_path, time)
    seen.path.mkdir()
    seen.mark_now(a_file())
    assert "inbox.state_not_written" in caplog.text
    assert a_file() in seen


# --- forgotten


@pytest.mark.parametrize(
    ("expires_at", "days"), [(NOW + 3 * DAY, 4), (None, 91), (NOW + 1000 * DAY, 91)]
)
def test_an_entry_is_kept_as_long_as_its_share_can_come(
    tmp_path: Path, time: Time, expires_at: Optional[float], days: int
) -> None:
    """A day longer than its file, at the most three months after it was last met."""
    file = a_file(expires_at=expires_at)
    seen_in(tmp_path, time).mark_now(file)
    for passed, is_kept in ((days - 0.1, True), (days + 0.1, False)):
        time.now = NOW + passed * DAY
        seen = seen_in(tmp_path, time)
        seen.mark_now(a_file("b" * 26, expires_at=time.now + DAY))
        assert (file in seen_in(tmp_path, time)) is is_kept


@pytest.mark.parametrize("expires_at", [None, NOW + 300 * DAY])
def test_a_share_that_is_met_is_kept(
    tmp_path: Path, time: Time, expires_at: Optional[float]
) -> None:
    """Each listing renews its entry, however long it lies there."""
    file = a_file(expires_at=expires_at)
    seen_in(tmp_path, time).mark_now(file)
    for _ in range(4):
        time.now += 60 * DAY
        seen = seen_in(tmp_path, time)
        seen.met(file)
        seen.flush()
    assert file in seen_in(tmp_path, time)


def test_a_share_that_lives_longer_is_kept_longer(tmp_path: Path, time: Time) -> None:
    """Its owner may extend it."""
    seen = seen_in(tmp_path, time)
    seen.mark_now(a_file(expires_at=NOW + DAY))
    seen.met(a_file(expires_at=NOW + 30 * DAY))
    seen.flush()
    time.now = NOW + 20 * DAY
    seen.mark_now(a_file("b" * 26, expires_at=None))
    assert a_file() in seen_in(tmp_path, time)


def test_what_is_met_a_little_later_writes_nothing(tmp_path: Path, time: Time) -> None:
    """A program that looks each minute does not write each minute."""
    seen = seen_in(tmp_path, time)
    seen.mark_now(a_file(expires_at=None))
    before = seen.path.stat().st_ino
    time.now += 3600.0
    seen.met(a_file(expires_at=None))
    seen.flush()
    assert seen.path.stat().st_ino == before


def test_what_was_not_seen_is_not_seen_by_being_met(tmp_path: Path, time: Time) -> None:
    """Only the loop marks."""
    seen = seen_in(tmp_path, time)
    seen.met(a_file())
    assert a_file() not in seen


# --- where


def test_where_the_file_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As given; or as the environment says; or as the XDG specification does."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder() == tmp_path / ".local" / "state" / "atxfer"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_folder() == tmp_path / ".local" / "state" / "atxfer"
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert state_folder() == Path("/var/state/atxfer")
    monkeypatch.setenv("ATXFER_STATE_DIR", "/elsewhere")
    assert state_folder() == Path("/elsewhere")
    assert state_folder(Path("/given")) == Path("/given")


def test_there_may_be_no_home(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, time: Time
) -> None:
    """What needs no file goes on; what does is an OSError that names the settings."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # a user that the system doesn't know
    assert state_folder() is None
    assert state_folder(Path("/given")) == Path("/given")
    seen = Seen(None, "@bob", "localhost:64", time)
    seen.mark_now(a_file())
    assert a_file() in seen
    for call in (seen.load, seen.flush):
        with pytest.raises(OSError, match=r"no home directory.*ATXFER_STATE_DIR or XDG"):
            call()
    assert "inbox.state_not_written path=None" in caplog.text
    unfinished._tell_of_no_home.cache_clear()
    with Client("http://localhost:1/files/"), Client("http://localhost:1/files/"):
        assert unfinished.unfinished_uploads() == []
    assert caplog.text.count("journal.failed path=None") == 1


def test_the_longest_names_fit(tmp_path: Path, time: Time) -> None:
    """An atSign of 55 pictographs, and a host name of 253 letters."""
    seen = Seen(tmp_path, "@" + "\U0001f984" * 55, "h" * 253 + ":64", time)
    seen.mark(a_file())
    seen.flush()
    assert len(seen.path.name.encode()) <= 255
    assert repr(seen).endswith(": 1 shares>")


def test_a_forked_child_begins_anew(tmp_path: Path, time: Time) -> None:
    """The holder of the lock may not exist there."""
    seen = seen_in(tmp_path, time)
    seen._lock.acquire()
    seen.drop()
    seen.mark(a_file())
    assert a_file() in seen
