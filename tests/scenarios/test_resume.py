"""Uploads to an atServer that are interrupted, and go on (peers.md scenarios 8, 9, 10, 25)."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atxfer import Client, Receipt, unfinished_uploads
from atxfer._format.sealing import SEAL_OVERHEAD
from atxfer.devserver import DevServer, FaultPlan
from atxfer.errors import ConnectionLost, FileNotFound, ServerFault, SourceChanged
from atxfer.model import Progress
from atxfer.waiting import Wait
from tests.support.until import until
from tests.support.worlds import client_of, content, sha256

SIZE = 2_000_000
CHUNKS = -(-SIZE // 32_768)
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a file of 62 chunks, which are sent in 16 requests."""
    path = tmp_path / "report.pdf"
    path.write_bytes(content(SIZE))
    return path


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep each test's journals apart."""
    monkeypatch.setenv("ATXFER_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def alice(atserver: DevServer) -> Iterator[Client]:
    """Return a client that never tries again, so that one fault ends an upload."""
    with client_of(atserver, max_attempts=1) as client:
        yield client


def journals(source: Path) -> list[Path]:
    """Return the journals that are there."""
    return sorted(source.parent.glob("state/uploads/*.journal"))


def interrupted(atserver: DevServer, client: Client, source: Path, **how: Any) -> str:
    """Upload about half of a file; return its id."""
    atserver.faults = FaultPlan.script("ok " * 8 + "AT0011 " * 8, verbs={"batch"})
    with pytest.raises(ServerFault) as caught:
        client.upload(source, **how)
    atserver.faults = FaultPlan()
    assert caught.value.resumable
    assert caught.value.file_id is not None
    return caught.value.file_id


def check(client: Client, receipt: Receipt, source: Path) -> None:
    """Compare what was uploaded with what can be downloaded, and with the file."""
    target = source.with_suffix(".back")
    client.download(receipt, target)
    assert target.read_bytes() == source.read_bytes()
    assert receipt.sha256 == sha256(source.read_bytes())


def stored_chunks(atserver: DevServer, file_id: str) -> list[str]:
    """Return the keys of the chunks of a file that are on @alice's server."""
    keys = atserver.server("@alice").keys()
    return [key for key in keys if f".{file_id}.atxfer" in key]


def test_it_goes_on_where_it_ended(atserver: DevServer, alice: Client, source: Path) -> None:
    """The same file, under the same id; the server sees each chunk once."""
    file_id = interrupted(atserver, alice, source)
    there = len([key for key in stored_chunks(atserver, file_id) if key.startswith("public:_")])
    (begun,) = alice.files(incomplete=True)
    receipt = alice.upload(source)
    assert (receipt.file_id, receipt.created_at) == (file_id, begun.created_at)
    assert receipt.statistics.resumed_bytes == there * 32_768
    assert receipt.statistics.bytes == SIZE
    assert receipt.statistics.wire_bytes == SIZE - there * 32_768 + (CHUNKS - there) * SEAL_OVERHEAD
    check(alice, receipt, source)
    assert journals(source) == []
    assert unfinished_uploads() == []


def test_another_client_of_the_same_machine_goes_on(
    atserver: DevServer, alice: Client, source: Path
) -> None:
    """What an upload needs is in the journal and on the server, not in the client."""
    file_id = interrupted(atserver, alice, source)
    with client_of(atserver) as other:
        (outcome,) = other.upload_many([source])
        assert outcome.receipt is not None
        assert outcome.receipt.file_id == file_id
        assert outcome.receipt.statistics.resumed_bytes > SIZE // 3
        check(other, outcome.receipt, source)


def test_what_was_asked_for_last_counts(
    atserver: DevServer, alice: Client, source: Path, tmp_path: Path
) -> None:
    """Whom it is shared with, and how long it lives, is as in the call that ends the upload."""
    interrupted(atserver, alice, source)
    receipt = alice.upload(source, share_with=["@bob"], ttl=600.0)
    assert receipt.statistics.resumed_bytes > 0
    assert receipt.expires_at is not None
    assert alice.shared_with(receipt) == ["@bob"]
    with client_of(atserver, "@bob") as bob:
        (shared,) = bob.inbox()
        bob.download(shared, tmp_path / "bobs")
    assert (tmp_path / "bobs").read_bytes() == source.read_bytes()


# --- however it ended


_UPLOADER = """
import logging, sys
from atxfer import Client, TransferConfig
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
client = Client("@alice", directory=sys.argv[1], ca_file=sys.argv[2], keys_dir=sys.argv[3],
                config=TransferConfig(progress_interval=0.0))
# All by the log, or lines of two threads would run into each other.
tell = logging.getLogger("test").info
receipt = client.upload(sys.argv[4], progress=lambda p: tell("confirmed %s", p.chunks))
tell("done %s %s", receipt.file_id, receipt.statistics.resumed_bytes)
"""


@dataclass
class Run:
    """What a process that uploads has told before its end.

    Attributes:
        file_id: Of the file, if it came so far.
        resumed_bytes: What it did not have to send, if it came so far.
        found: How many chunks the server held when it began.
    """

    file_id: str = ""
    resumed_bytes: int = 0
    found: int = 0


def killed(atserver: DevServer, source: Path, more: int) -> Run:
    """Upload in another process, which is killed once so many more chunks are confirmed."""
    directory = f"{atserver.root_host}:{atserver.root_port}"
    where = [directory, atserver.ca_file, atserver.keys_dir, str(source)]
    run = Run()
    with subprocess.Popen(
        [sys.executable, "-c", _UPLOADER, *where], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as uploader:
        assert uploader.stdout is not None
        for line in uploader.stdout:
            words = line.split() if line.endswith("\n") else ["torn"]
            if words[0] == "transfer.resumed":
                run.found = int(words[-1].removeprefix("chunks="))
            elif words[0] == "confirmed" and int(words[1]) >= run.found + more:
                uploader.send_signal(signal.SIGKILL)
            elif words[0] == "done":
                run.file_id, run.resumed_bytes = words[1], int(words[2])
    return run


def killed_again_and_again(
    atserver: DevServer, source: Path, rng: random.Random, most: int
) -> list[Run]:
    """Upload a file in processes that are killed at random points, until one has done it."""
    runs = [Run()]
    while not runs[-1].file_id:
        confirmed = sum(upload.stored for upload in unfinished_uploads())
        runs.append(killed(atserver, source, rng.randrange(1, most)))
        # What a process has told its journal is never sent again by the next one.
        assert runs[-1].found * 32_768 >= confirmed
    assert unfinished_uploads() == []
    return runs[1:]


def test_a_process_that_is_killed_again_and_again(
    atserver: DevServer, alice: Client, source: Path
) -> None:
    """SIGKILL at random points: each process goes on, only what was in flight is sent twice."""
    rng = random.Random(8)  # noqa: S311  # when to kill is no secret
    runs = killed_again_and_again(atserver, source, rng, most=24)
    (file,) = alice.files(incomplete=True)
    assert (file.file_id, file.state) == (runs[-1].file_id, "complete")
    alice.download(file, source.with_suffix(".back"))
    assert source.with_suffix(".back").read_bytes() == source.read_bytes()
    assert len(runs) > 2
    sent = atserver.counters.snapshot()["@alice"]["batched"]["update"]
    in_flight = 3 * 4  # three requests of four chunks
    assert sent <= CHUNKS + (len(runs) - 1) * in_flight


def test_cancelling_and_closing_keep_it(atserver: DevServer, source: Path) -> None:
    """An upload that its own program has ended goes on like any other."""
    with client_of(atserver, progress_interval=0.0) as client:

        def cancel(progress: Progress) -> None:
            if progress.chunks >= 20:
                client.close()

        handle = client.submit_upload(source, progress=cancel)
        with pytest.raises(Exception, match="closed"):
            handle.result()
    with client_of(atserver) as client:
        receipt = client.upload(source)
        assert receipt.statistics.resumed_bytes >= 20 * 32_768
        check(client, receipt, source)


def test_a_file_whose_last_answer_was_lost_is_found_complete(
    atserver: DevServer, alice: Client, source: Path
) -> None:
    """The server had done it all: nothing is sent again, and there is one file."""
    atserver.faults = FaultPlan.script("ok drop-after", verbs={"update"})
    with pytest.raises(ConnectionLost) as caught:
        alice.upload(source)
    (file,) = alice.files()
    receipt = alice.upload(source)
    assert receipt.file_id == file.file_id == caught.value.file_id
    assert receipt.statistics.resumed_bytes == SIZE
    check(alice, receipt, source)
    assert [file.file_id for file in alice.files(incomplete=True)] == [receipt.file_id]


# --- what is not gone on with


def begins_anew(client: Client, source: Path, left: str, **how: Any) -> Receipt:
    """Upload, and see that nothing of an earlier upload was used."""
    receipt = client.upload(source, **how)
    assert receipt.file_id != left
    assert receipt.statistics.resumed_bytes == 0
    check(client, receipt, source)
    assert journals(source) == []
    return receipt


def test_a_file_with_another_middle_is_another_file(
    atserver: DevServer, alice: Client, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Same size, ends, time and inode: never a merge, and what is left can be deleted (M9)."""
    left = interrupted(atserver, alice, source)
    was = source.stat()
    with source.open("r+b") as stream:
        stream.seek(100_000)
        stream.write(b"another content")
    os.utime(source, ns=(was.st_atime_ns, was.st_mtime_ns))
    before = {key: atserver.server("@alice").value(key) for key in stored_chunks(atserver, left)}
    receipt = begins_anew(alice, source, left)
    assert f"file_id={left}" in caplog.text
    kept = {key: atserver.server("@alice").value(key) for key in stored_chunks(atserver, left)}
    assert before.items() <= kept.items()
    assert [file.file_id for file in alice.files()] == [receipt.file_id]
    alice.delete(left)
    assert stored_chunks(atserver, left) == []


@pytest.mark.parametrize("edit", [b"!", b"longer" * SIZE, b"x" + content(SIZE)[1:]])
def test_a_file_that_was_edited_begins_anew(
    atserver: DevServer, alice: Client, source: Path, edit: bytes
) -> None:
    """Shorter, longer, or of the same size."""
    left = interrupted(atserver, alice, source)
    source.write_bytes(edit[: 3 * SIZE])
    begins_anew(alice, source, left)


def test_a_file_that_changes_while_it_is_resumed(
    atserver: DevServer, alice: Client, source: Path
) -> None:
    """It is SourceChanged as ever; and then a new upload."""
    left = interrupted(atserver, alice, source)

    begun, edited = threading.Event(), threading.Event()

    def edit(progress: Progress) -> None:
        if progress.resumed and not begun.is_set():
            begun.set()
            source.write_bytes(content(SIZE, seed=2))
            edited.set()

    with client_of(atserver, progress_interval=0.0) as client:
        with pytest.raises(SourceChanged) as caught:
            client.upload(source, progress=edit)
        assert not caught.value.resumable
        until(edited.is_set)
        assert list(client.files()) == []
        begins_anew(client, source, left)


def test_a_server_that_was_wiped_begins_anew(
    atserver: DevServer, alice: Client, source: Path
) -> None:
    """Neither manifest nor chunks are there."""
    left = interrupted(atserver, alice, source)
    alice.delete(left)
    begins_anew(alice, source, left)


def test_an_upload_whose_time_was_over_begins_anew(
    atserver: DevServer, alice: Client, source: Path
) -> None:
    """The server has let it expire."""
    left = interrupted(atserver, alice, source, ttl=3600.0)
    atserver.advance(3601.0)
    begins_anew(alice, source, left)


def test_chunks_that_the_server_has_lost_are_sent_again(
    atserver: DevServer, alice: Client, source: Path
) -> None:
    """One was removed, and one has expired."""
    left = interrupted(atserver, alice, source)
    atserver.server("@alice").remove(f"public:_3.{left}.atxfer@alice")
    atserver.server("@alice").expire(f"public:_9.{left}.atxfer@alice")
    receipt = alice.upload(source)
    assert receipt.file_id == left
    check(alice, receipt, source)


@pytest.mark.parametrize(("asked", "again"), [(None, False), (32_768, False), (16_384, True)])
def test_an_explicit_chunk_size_is_obeyed(
    atserver: DevServer, alice: Client, source: Path, asked: Any, again: bool
) -> None:
    """Another one begins anew; without one, that of the interrupted upload is good."""
    left = interrupted(atserver, alice, source)
    with client_of(atserver, chunk_size=asked) as client:
        receipt = client.upload(source)
        assert (receipt.file_id != left) == again
        check(client, receipt, source)


def test_a_journal_is_for_one_server(atserver: DevServer, alice: Client, source: Path) -> None:
    """@bob's upload of the same file is his own, and @alice's goes on afterwards."""
    left = interrupted(atserver, alice, source)
    with client_of(atserver, "@bob") as bob:
        receipt = bob.upload(source)
        assert receipt.statistics.resumed_bytes == 0
        check(bob, receipt, source)
    assert alice.upload(source).file_id == left


def test_a_damaged_journal_begins_anew(
    atserver: DevServer, alice: Client, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is set aside with a warning."""
    left = interrupted(atserver, alice, source)
    (journal,) = journals(source)
    journal.write_bytes(journal.read_bytes().replace(b"32768", b"32769"))
    begins_anew(alice, source, left)
    assert "journal.set_aside" in caplog.text


def test_without_journals_nothing_is_kept(atserver: DevServer, source: Path) -> None:
    """journal=False is the behaviour of a program without a memory."""
    with client_of(atserver, max_attempts=1, journal=False) as client:
        atserver.faults = FaultPlan.script("ok ok AT0011", verbs={"batch"})
        with pytest.raises(ServerFault) as caught:
            client.upload(source)
        assert not caught.value.resumable
        assert client.upload(source).statistics.resumed_bytes == 0
    assert not (source.parent / "state" / "uploads").exists()


# --- how long it lives


def test_whoever_can_read_the_manifest_can_read_the_chunks(
    atserver: DevServer, alice: Client, source: Path
) -> None:
    """Chunks of an earlier call are renewed: they live an hour longer than the manifest."""
    left = interrupted(atserver, alice, source)
    atserver.advance(20 * 3600.0)  # of a day
    receipt = alice.upload(source)
    assert receipt.file_id == left
    assert receipt.statistics.resumed_bytes > 0
    server = atserver.server("@alice")
    ends = {key: server.metadata(key)["expiresAt"] for key in stored_chunks(atserver, left)}
    manifest = server.metadata(f"{left}.files.atxfer@alice")["expiresAt"]
    assert len(ends) == CHUNKS
    assert min(ends.values()) > manifest
    atserver.advance(23 * 3600.0)
    check(alice, receipt, source)


def test_an_upload_may_be_given_another_time_to_live(
    atserver: DevServer, alice: Client, source: Path
) -> None:
    """All of its chunks get it."""
    left = interrupted(atserver, alice, source, ttl=3600.0)
    with client_of(atserver, ttl=None) as client:
        receipt = client.upload(source)
        assert (receipt.file_id, receipt.expires_at) == (left, None)
        atserver.advance(1e8)
        check(client, receipt, source)


# --- what is on this machine


def test_a_journal_holds_no_key(atserver: DevServer, alice: Client, source: Path) -> None:
    """The file key lies in the manifest on the server, and nowhere here."""
    left = interrupted(atserver, alice, source)
    key = alice._site._home.catalog.read(left, Wait()).manifest.file_key
    (journal,) = journals(source)
    text = journal.read_bytes()
    assert left.encode() in text
    for form in (key, base64.b64encode(key), key.hex().encode()):
        assert form not in text


_FULL = """
import logging, resource, sys
from atxfer import Client
logging.basicConfig(level="WARNING", format="%(message)s")
client = Client("@alice", directory=sys.argv[1], ca_file=sys.argv[2], keys_dir=sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, -1))
print(client.upload(sys.argv[4]).sha256)
"""


def test_a_disk_that_is_full_stops_no_upload(atserver: DevServer, source: Path) -> None:
    """A journal that can't be written goes, with a warning; the file arrives all the same."""
    directory = f"{atserver.root_host}:{atserver.root_port}"
    where = [directory, atserver.ca_file, atserver.keys_dir, str(source)]
    done = subprocess.run(
        [sys.executable, "-c", _FULL, *where], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == sha256(source.read_bytes()) + "\n"
    assert done.stderr.count("journal.failed") == 1
    assert journals(source) == []


def test_two_processes_at_once(atserver: DevServer, alice: Client, source: Path) -> None:
    """The second is refused and told who is at it; it goes on once the first has ended."""
    atserver.faults = FaultPlan.script("ok ok " + "hang " * 20, verbs={"batch"})
    options = {f"ATXFER_{k.upper()}": v for k, v in atserver.client_options.items()}
    environment = {**os.environ, **options}
    command = [sys.executable, "-m", "atxfer", "--atsign", "alice", "--json", "upload", str(source)]
    with subprocess.Popen(
        [*command, "-vv"], env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as first:
        assert first.stderr is not None
        while "chunk.stored" not in first.stderr.readline():
            assert first.poll() is None
        second = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
        first.send_signal(signal.SIGINT)
        first.stderr.read()
    told = json.loads(second.stderr)
    assert (second.returncode, told["error"]) == (14, "UploadInProgress")
    assert f"process {first.pid} is uploading {source}" in told["message"]
    atserver.faults = FaultPlan()
    receipt = alice.upload(source)
    assert receipt.statistics.resumed_bytes > 0
    check(alice, receipt, source)


def test_the_list_tells_how_far_it_is(atserver: DevServer, alice: Client, source: Path) -> None:
    """A program can show what did not end, and go on with it."""
    left = interrupted(atserver, alice, source, name="other.pdf")
    (told,) = unfinished_uploads()
    assert (told.path, told.name, told.file_id) == (str(source), "other.pdf", left)
    assert told.destination == alice.destination
    assert 0 < told.stored < told.size == SIZE
    receipt = alice.upload(told.path, name=told.name)
    assert receipt.statistics.resumed_bytes >= told.stored
    assert unfinished_uploads() == []


def test_what_is_gone_on_with_can_still_be_removed(
    atserver: DevServer, alice: Client, source: Path
) -> None:
    """Nothing but the platform's own keys is left when the file is deleted."""
    before = set(atserver.server("@alice").keys())
    interrupted(atserver, alice, source)
    alice.delete(alice.upload(source))
    assert set(atserver.server("@alice").keys()) == before
    with pytest.raises(FileNotFound):
        alice.file("a" * 26)
