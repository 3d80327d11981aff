"""The journal of an upload: what it says, who holds it, and what becomes of one that is damaged."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from atxfer._engine import record as lines
from atxfer._engine.journal import Errand, Journal
from atxfer._engine.journals import Journals
from atxfer._engine.record import Damaged, Record, read
from atxfer._engine.sources import open_source
from atxfer.errors import ConnectionLost, SourceChanged, TransferError, UploadInProgress
from atxfer.model import chunk_count
from atxfer.stores.base import UploadPlan
from atxfer.waiting import SYSTEM_CLOCK, Wait
from tests.support.clock import FakeClock

ROOT = Path(__file__).resolve().parent.parent.parent
PLAN = UploadPlan("file-1", 25, 10, 3, None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file of three chunks."""
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(25))
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a folder for journals that is not there yet."""
    return tmp_path / "state" / "uploads"


@contextmanager
def claimed(
    state: Path,
    file: Path,
    destination: str = "@alice",
    name: Optional[str] = None,
    wait: Optional[Wait] = None,
) -> Iterator[Optional[Journal]]:
    """Claim the journal of an upload."""
    with open_source(file, name=name) as source:
        errand = Errand(source, destination, ("@bob",), 60.0)
        with Journals(state).claim(errand, wait if wait is not None else Wait()) as journal:
            yield journal


def fails(
    state: Path,
    file: Path,
    work: Callable[[Journal], None],
    cause: Optional[TransferError] = None,
    **claim: Any,
) -> TransferError:
    """Return the error of an upload that fails after some work."""
    error = cause if cause is not None else ConnectionLost("x")

    def upload() -> None:
        with claimed(state, file, **claim) as journal:
            assert journal is not None
            work(journal)
            raise error

    with pytest.raises(type(error)) as caught:
        upload()
    return caught.value


def interrupted(state: Path, file: Path, **claim: Any) -> None:
    """Leave the journal of an upload of which two chunks were sent and one was confirmed."""
    size = file.stat().st_size
    plan = replace(PLAN, size=size, chunks=chunk_count(size, PLAN.chunk_size))

    def work(journal: Journal) -> None:
        journal.open(plan)
        journal.note_token(b"token \xff")
        journal.note_sent({0: b"0" * 32, 1: b"1" * 32}, {1: b"n" * 12}, flush=True)
        journal.note_held([1], SYSTEM_CLOCK)

    fails(state, file, work, **claim)


def found(state: Path, file: Path, **claim: Any) -> Optional[Record]:
    """Return what the next call finds."""
    with claimed(state, file, **claim) as journal:
        return journal.record if journal is not None else None


def the_journal(state: Path) -> Path:
    """Return the one journal that lies there."""
    (path,) = state.glob("*.journal")
    return path


# --- what it says


def test_what_was_written_is_read(state: Path, file: Path) -> None:
    """Head, token, hashes and confirmations of an interrupted upload are found by the next call."""
    interrupted(state, file)
    record = found(state, file)
    assert record is not None
    head = record.head
    assert (head.destination, head.path, head.name) == ("@alice", str(file), "a.bin")
    assert (head.file_id, head.chunk_size, head.chunks) == ("file-1", 10, 3)
    assert (head.ttl, head.share_with, head.identity.size) == (60.0, ("@bob",), 25)
    assert record.token == b"token \xff"
    assert record.hashes == {0: b"0" * 32, 1: b"1" * 32}
    assert (record.nonces, record.repeats) == ({1: b"n" * 12}, False)
    assert (record.confirmed, record.stored) == ({1}, 10)
    assert record.process == os.getpid()


def test_an_upload_that_ended_well_leaves_nothing(state: Path, file: Path) -> None:
    """The journal goes with the commit."""
    with claimed(state, file) as journal:
        assert journal is not None
        journal.open(PLAN)
    assert list(state.iterdir()) == []


def test_the_user_alone_can_read_it(state: Path, file: Path) -> None:
    """A token may hold an address that lets its reader write: 0600 in folders of 0700."""
    interrupted(state, file)
    for path, mode in ((the_journal(state), 0o600), (state, 0o700), (state.parent, 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_every_destination_path_and_name_has_its_own(
    state: Path, file: Path, tmp_path: Path
) -> None:
    """Nothing is gone on with but the same upload; a link to the file is the same path."""
    interrupted(state, file)
    other = tmp_path / "b.bin"
    other.write_bytes(bytes(25))
    link = tmp_path / "link"
    link.symlink_to(file)
    assert found(state, file, destination="@bob") is None
    assert found(state, file, name="b.bin") is None
    assert found(state, other, name="a.bin") is None
    assert found(state, link, name="a.bin") is not None


def test_a_name_that_is_no_unicode_is_kept(state: Path, tmp_path: Path) -> None:
    """File names are bytes."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.bin"))
    path.write_bytes(bytes(25))
    interrupted(state, path)
    record = found(state, path)
    assert record is not None
    assert record.head.path == str(path)


def _journal(state: Path, file: Path) -> bytes:
    interrupted(state, file)
    return the_journal(state).read_bytes()


def _gist(record: Optional[Record]) -> Any:
    if record is None:
        return None
    return record.head, record.token, record.hashes, record.confirmed


def test_a_journal_cut_anywhere_tells_what_was_whole(state: Path, file: Path) -> None:
    """A loss of power takes the last line, or part of it; what stands before is true."""
    data = _journal(state, file)
    whole = [0, *(i + 1 for i, byte in enumerate(data) if byte == 10)]
    told = {end: _gist(read(data[:end])) for end in whole}
    assert len({repr(gist) for gist in told.values()}) == 5  # a process says nothing of the upload
    for end in range(len(data)):
        record = read(data[:end])
        before = max(w for w in whole if w <= end)
        assert _gist(record) == told[before]
        assert (record.length if record is not None else 0) == before


def test_a_changed_bit_is_never_believed(state: Path, file: Path) -> None:
    """Every line has a checksum: what is read is damaged, or what stood before the change."""
    data = _journal(state, file)
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    damaged = 0
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
        try:
            told = _gist(read(changed))
        except Damaged:
            damaged += 1
        else:
            assert place >= ends[-2] - 1  # within the last line, which may be torn
            assert told in [_gist(read(data[:end])) for end in ends if end <= place]
    assert damaged > len(data) // 2


def test_a_torn_line_is_cut_off_by_the_next_call(state: Path, file: Path) -> None:
    """Or the next line would be torn with it."""
    interrupted(state, file)
    with the_journal(state).open("ab") as torn:
        torn.write(b'["sent",{"2":"77')

    def work(journal: Journal) -> None:
        journal.open(PLAN)
        journal.note_held([0], SYSTEM_CLOCK)

    fails(state, file, work)
    record = found(state, file)
    assert record is not None
    assert (set(record.hashes), record.confirmed) == ({0, 1}, {0, 1})


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data.replace(b'"sent"', b'"lost"'), "unsound"),
        (lambda data: b"something else\n" + data, "unsound"),
        (lambda data: lines._line("head", []) + data, "unsound"),
        (lambda data: lines._line("head", {"version": 2}) + data, "version 2"),
        (lambda data: data.splitlines(True)[0] + lines._line("x", 1) + data, "unsound"),
    ],
)
def test_one_that_cannot_be_followed_is_set_aside(
    state: Path, file: Path, damage: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is kept for whoever wants to look, with a warning, and the upload begins anew."""
    damaged = damage(_journal(state, file))
    the_journal(state).write_bytes(damaged)
    assert found(state, file) is None
    (aside,) = state.iterdir()
    assert (aside.suffix, aside.read_bytes()) == (".damaged", damaged)
    assert "journal.set_aside" in caplog.text
    assert reason in caplog.text


@pytest.mark.parametrize("junk", [b"", b"half a line"])
def test_a_head_that_was_never_whole_is_no_journal(state: Path, file: Path, junk: bytes) -> None:
    """Then nothing was sent."""
    interrupted(state, file)
    the_journal(state).write_bytes(junk)
    assert found(state, file) is None
    assert list(state.iterdir()) == []


# --- whose it is


@pytest.mark.parametrize("change", ["size", "time", "inode", "head", "tail"])
def test_another_content_is_not_gone_on_with(
    state: Path, file: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Size, time, inode and both ends tell it; the log says what is left on the server."""
    size = 200_000
    file.write_bytes(bytes(size))
    interrupted(state, file)
    was = file.stat()
    with file.open("r+b") as stream:
        stream.seek({"head": 65_535, "tail": size - 65_536}.get(change, size // 2))
        stream.write(b"\0" if change in ("time", "inode") else b"!")
        stream.seek(0, os.SEEK_END)
        stream.write(b"!" if change == "size" else b"")
    if change == "inode":
        file.rename(file.with_suffix(".old"))
        file.write_bytes(bytes(size))
    if change == "time":
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns + 1))
    else:
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert found(state, file) is None
    assert "upload.abandoned" in caplog.text
    assert "file_id=file-1" in caplog.text
    assert list(state.iterdir()) == []


def test_an_error_says_that_the_same_call_goes_on(state: Path, file: Path) -> None:
    """But not where the source has changed, which begins anew."""
    for cause, resumes in ((ConnectionLost("x"), True), (SourceChanged("x"), False)):
        error = fails(state, file, lambda journal: journal.open(PLAN), cause)
        assert error.resumable == resumes
        assert ("goes on where this one ended" in error.remedy) == resumes


def test_an_error_before_anything_was_sent_says_nothing_of_it(state: Path, file: Path) -> None:
    """There is nothing to go on with."""
    assert not fails(state, file, lambda journal: None).resumable
    assert list(state.iterdir()) == []


def test_a_second_thread_goes_its_own_way(state: Path, file: Path) -> None:
    """A program that uploads a file twice at once gets two files; the first has the journal."""
    with claimed(state, file) as first, claimed(state, file) as second:
        assert first is not None
        assert second is None
    interrupted(state, file)
    assert found(state, file) is not None


_CLAIM = """
import sys
from pathlib import Path
from tests.engine.test_journal import claimed
with claimed(Path(sys.argv[1]), Path(sys.argv[2])) as journal:
    print("claimed", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused(state: Path, file: Path) -> None:
    """Two that follow one journal would get in each other's way; a lock dies with its process."""
    command = [sys.executable, "-c", _CLAIM, str(state), str(file)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"claimed\n"
        with pytest.raises(UploadInProgress, match="to @alice"), claimed(state, file):
            pass
        other.kill()
    with claimed(state, file) as journal:
        assert journal is not None


def test_the_refusal_names_the_process(state: Path, file: Path) -> None:
    """So that one can look what it is doing."""
    interrupted(state, file)
    command = [sys.executable, "-c", _CLAIM, str(state), str(file)]
    with claimed(state, file) as journal:
        assert journal is not None
        journal.open(PLAN)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, input="")
    assert f"UploadInProgress: process {os.getpid()} is uploading" in done.stderr


def _as_child(state: Path, file: Path, journal: Journal, told: int, hold: int) -> None:
    """Do what the child of a fork may try, and live on until told."""
    try:
        journal.note_sent({0: b"0" * 32}, {}, flush=True)
        with pytest.raises(UploadInProgress), claimed(state, file):
            pass
        journal.close()
        os.write(told, b"!")
        os.read(hold, 1)
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_has_no_journal(state: Path, file: Path) -> None:
    """Neither can it write its parent's, nor does it hold the lock when the parent lets go."""
    (hold, release), (told, tell) = os.pipe(), os.pipe()
    children: list[int] = []

    def work(journal: Journal) -> None:
        journal.open(PLAN)
        children.append(os.fork())
        if children == [0]:
            _as_child(state, file, journal, tell, hold)
        assert os.read(told, 1) == b"!"

    fails(state, file, work)
    record = found(state, file)
    os.write(release, b"!")
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    assert record is not None
    assert record.hashes == {}
    for descriptor in (hold, release, told, tell):
        os.close(descriptor)


def test_many_threads_claim_and_fork_without_a_deadlock(state: Path, file: Path) -> None:
    """One of them has the journal at a time, and none is left behind."""
    seen: list[bool] = []
    begin = threading.Barrier(8)

    def claim() -> None:
        begin.wait()
        for _ in range(20):
            with claimed(state, file) as journal:
                seen.append(journal is not None)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 160
    assert any(seen)
    assert list(state.iterdir()) == []


# --- where none can be kept


def test_bytes_and_streams_have_none(state: Path, file: Path) -> None:
    """After a crash nobody could tell what they were."""
    with file.open("rb") as stream:
        for source in (b"bytes", stream):
            with (
                open_source(source) as opened,
                Journals(state).claim(Errand(opened, "@alice"), Wait()) as journal,
            ):
                assert journal is None
    assert not state.exists()


def test_a_folder_that_cannot_be_made_ends_no_upload(
    tmp_path: Path, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning says why nothing will be resumed."""
    (tmp_path / "in the way").write_bytes(b"")
    with claimed(tmp_path / "in the way" / "uploads", file) as journal:
        assert journal is None
    assert "journal.failed" in caplog.text


def test_a_link_in_its_place_is_not_followed(
    state: Path, file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A journal is written where it belongs, or nowhere."""
    interrupted(state, file)
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    path = the_journal(state)
    path.unlink()
    path.symlink_to(target)
    with claimed(state, file) as journal:
        assert journal is None
    assert target.read_bytes() == b"precious"
    assert "journal.failed" in caplog.text


_FULL = """
import logging, resource, sys
from pathlib import Path
from tests.engine.test_journal import PLAN, claimed
logging.basicConfig(level="WARNING")
state = Path(sys.argv[1])
with claimed(state, Path(sys.argv[2])) as journal:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), -1))
    journal.open(PLAN)
    for index in range(3):
        journal.note_sent({index: bytes(32)}, {}, flush=False)
    print(journal.kept, *state.iterdir())
"""


@pytest.mark.parametrize("room", [0, 100, 700])
def test_a_full_disk_ends_no_upload(state: Path, file: Path, room: int) -> None:
    """The head or a later line has no room: the journal goes, and a warning says so."""
    command = [sys.executable, "-c", _FULL, str(state), str(file), str(room)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False\n")
    assert done.stderr.count("journal.failed") == 1


# --- the list of them


def test_the_list_tells_what_did_not_end(state: Path, file: Path) -> None:
    """Where to, how far, and when."""
    assert Journals(state).unfinished() == []
    interrupted(state, file)
    (told,) = Journals(state).unfinished()
    assert (told.path, told.destination, told.file_id) == (str(file), "@alice", "file-1")
    assert (told.size, told.stored, told.state) == (25, 10, "stopped")
    assert told.stopped_at == the_journal(state).stat().st_mtime
    assert (told.ttl, told.share_with) == (60.0, ("@bob",))


def test_the_list_tells_what_became_of_the_file(state: Path, file: Path) -> None:
    """Under way, changed, or gone."""
    interrupted(state, file)
    with claimed(state, file):
        assert [told.state for told in Journals(state).unfinished()] == ["running"]
    interrupted(state, file)
    file.write_bytes(b"!")
    assert [told.state for told in Journals(state).unfinished()] == ["changed"]
    file.unlink()
    assert [told.state for told in Journals(state).unfinished()] == ["gone"]


def test_what_the_server_has_let_go_is_forgotten(state: Path, file: Path) -> None:
    """An upload whose time is over is not in the list, and its journal goes."""
    interrupted(state, file)
    past = the_journal(state).stat().st_mtime - 61.0
    os.utime(the_journal(state), (past, past))
    with claimed(state, file):  # unless somebody is at it
        assert len(Journals(state).unfinished()) == 1
    interrupted(state, file)
    os.utime(the_journal(state), (past, past))
    assert Journals(state).unfinished() == []
    assert list(state.iterdir()) == []


def test_listing_disturbs_nobody(state: Path, file: Path) -> None:
    """A lock that is held for a moment is waited for."""
    interrupted(state, file)
    lister = os.open(the_journal(state), os.O_RDWR)
    fcntl.flock(lister, fcntl.LOCK_EX)
    clock = FakeClock(on_wait=lambda seconds: fcntl.flock(lister, fcntl.LOCK_UN))
    with claimed(state, file, wait=Wait(clock=clock)) as journal:
        assert journal is not None
        assert journal.record is not None
    os.close(lister)


def test_what_is_under_way_is_told_by_who_holds_its_journal(state: Path, file: Path) -> None:
    """With what the server knows it by; one that has stopped is not under way."""
    assert Journals(None).under_way() == []
    interrupted(state, file)
    assert Journals(state).under_way() == []
    with claimed(state, file) as journal:
        assert journal is not None
        (record,) = Journals(state).under_way()
        assert (record.head.file_id, record.token) == ("file-1", b"token \xff")
    assert Journals(state).under_way() == []
