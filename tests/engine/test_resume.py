"""An upload that was interrupted goes on: what is sent again, and what never is."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from atxfer.config import KIB
from atxfer.errors import Cancelled, LoginRefused, Overloaded, RequestRejected, TransferError
from atxfer.model import Progress
from tests.engine.world import World, world
from tests.support.clock import FakeClock
from tests.support.stores import FakeStore, small
from tests.support.until import until

CHUNK = 10
CHUNKS = 40
SIZE = CHUNK * CHUNKS - 3


def content(seed: int = 0, size: int = SIZE) -> bytes:
    """Return the content of a file of forty chunks."""
    return bytes((index * 7 + index // 256 + seed) % 251 for index in range(size))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return such a file."""
    path = tmp_path / "a.bin"
    path.write_bytes(content())
    return path


@contextmanager
def remembering(file: Path, store: FakeStore, **settings: Any) -> Iterator[World]:
    """Yield a world that keeps journals beside the file."""
    with world(store=store, state=file.parent / "state", **{"cap": 1, **settings}) as made:
        yield made


def journals(file: Path) -> list[Path]:
    """Return the journals that are there."""
    return sorted(file.parent.glob("state/*.journal"))


def interrupted(file: Path, after: int = 5, **settings: Any) -> FakeStore:
    """Return a store that an upload has brought so many requests of chunks to, then failed."""
    store = settings.pop("store", None) or FakeStore()
    store.say("ok " * (after + 1 + store.begins) + "refused")
    with remembering(file, store, **settings) as w, pytest.raises(TransferError) as caught:
        w.upload(file)
    assert caught.value.resumable
    store.say("")
    store.requests.clear()
    store.tokens.clear()
    return store


def puts(store: FakeStore) -> list[str]:
    """Return the requests that carried chunks."""
    return [name for name in store.requests if name.startswith("put")]


def test_it_goes_on_where_it_ended(file: Path) -> None:
    """What was sent is not sent again, the file is whole, and the journal goes."""
    store = interrupted(file)
    with remembering(file, store) as w:
        summary = w.upload(file)
        assert w.content("f0") == content()
        assert w.file_ids == []
    assert puts(store) == [f"put {i}-{i + 3}" for i in range(20, 40, 4)]
    assert set(store.writes.values()) == {1}
    assert (summary.statistics.bytes, summary.statistics.resumed_bytes) == (SIZE, 200)
    assert summary.statistics.chunks == CHUNKS
    assert summary.statistics.wire_bytes == SIZE - 200 + 20
    assert summary.statistics.resent_bytes == 0
    assert journals(file) == []


def test_the_order_of_an_upload_that_goes_on(file: Path) -> None:
    """First what the server holds, then as any upload; the store is given its token."""
    store = interrupted(file, after=9)
    with remembering(file, store) as w:
        w.upload(file)
    assert store.requests == [
        *(f"stored {i}-{i + 3}" for i in range(0, 40, 4)),
        *("manifest", "put 36-39", "commit", "manifest"),
    ]
    assert store.tokens == [b"f0"]


def test_a_store_is_begun_once(file: Path) -> None:
    """An upload that goes on has begun already."""
    store = interrupted(file, store=FakeStore(begins=True))
    with remembering(file, store) as w:
        w.upload(file)
    assert "begin" not in store.requests


def test_an_upload_that_never_began_begins_anew(file: Path) -> None:
    """A store that has given no token has nothing to go on with."""
    store = FakeStore("ok refused", begins=True)
    with remembering(file, store) as w, pytest.raises(LoginRefused):
        w.upload(file)
    with remembering(file, store) as w:
        w.upload(file)
    assert store.tokens == [None, None]


def test_an_upload_that_is_gone_before_anything_was_sent_begins_anew(file: Path) -> None:
    """A loss of power takes the notes of what was sent; the store is asked all the same."""
    store = interrupted(file)
    (journal,) = journals(file)
    kept = [line for line in journal.read_bytes().splitlines(True) if b'"sent"' not in line]
    journal.write_bytes(b"".join(line for line in kept if b'"held"' not in line))
    store.say("404 " + "ok " * 20)
    with remembering(file, store) as w:
        w.file_ids.append("f0")
        w.upload(file)
        assert w.content("f1") == content()
    assert store.requests[0].startswith("stored")
    assert store.tokens == [b"f0", None]


def test_what_is_asked_for_fits_the_store(file: Path) -> None:
    """As few requests as it takes, several at a time, none for what was never sent."""
    capabilities = small(max_chunks_per_delete=16)
    store = interrupted(file, store=FakeStore(capabilities=capabilities))
    meeting = threading.Barrier(2)

    def meet(name: str, in_flight: int) -> None:
        if name.startswith("stored"):
            meeting.wait()

    store.before = meet
    with remembering(file, store, cap=3) as w:
        w.upload(file)
    asked = [name for name in store.requests if name.startswith("stored")]
    assert sorted(asked) == ["stored 0-15", "stored 16-23"]  # 20-23 were sent, and refused


def test_the_answer_of_the_server_wins(file: Path) -> None:
    """A chunk that it has lost is sent again, alone."""
    store = interrupted(file)
    del store.chunks["f0", 6]
    with remembering(file, store) as w:
        w.upload(file)
        assert w.content("f0") == content()
    assert puts(store)[0] == "put 6-6"
    assert store.writes["f0", 6] == 2


def test_a_chunk_whose_answer_was_lost_is_not_sent_again(file: Path) -> None:
    """The server is asked, and says that it holds it (peers.md R9)."""
    store = FakeStore("ok ok dropped")
    with remembering(file, store, max_attempts=1) as w, pytest.raises(TransferError):
        w.upload(file)
    with remembering(file, store) as w:
        w.upload(file)
        assert w.content("f0") == content()
    assert set(store.writes.values()) == {1}


def test_a_chunk_that_the_journal_does_not_know_is_sent_again(file: Path) -> None:
    """Nobody could say what it holds, even if the server holds one."""
    store = interrupted(file, store=FakeStore(capabilities=small(max_chunks_per_delete=1000)))
    (journal,) = journals(file)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if b'"sent",{"8"' not in line))
    for index in (8, 9, 30):
        store.chunks["f0", index] = b"what another one sent"
    with remembering(file, store) as w:
        w.upload(file)
        assert w.content("f0") == content()


# A file whose middle is neither in its first nor in its last 64 KiB, and settings to send it by.
BIG = 300 * KIB
BY_KIB: dict[str, Any] = {"chunk_size": KIB, "cap": 2}


def interrupted_then_edited(file: Path, place: int) -> tuple[FakeStore, bytes]:
    """Return a store that holds chunks 0 to 159, and the file's content after a change of one byte.

    Nothing but that byte tells the two contents apart: neither size, time, inode nor ends.
    """
    before = content(size=BIG)
    file.write_bytes(before)
    store = FakeStore(capabilities=small(max_chunks_per_delete=1000))
    interrupted(file, after=40, store=store, **BY_KIB)
    was = file.stat()
    after = before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :]
    with file.open("r+b") as stream:
        stream.write(after)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    return store, after


@pytest.mark.parametrize("chunk", [64, 100, 158])
def test_another_content_is_never_merged(file: Path, chunk: int) -> None:
    """A chunk that is not what was sent begins another upload; nothing of the first is touched."""
    store, after = interrupted_then_edited(file, chunk * KIB + 500)
    first = {key: data for key, data in store.chunks.items() if key[0] == "f0"}
    with remembering(file, store, **BY_KIB) as w:
        w.file_ids.append("f0")
        summary = w.upload(file)
        assert w.file_ids == ["f0", "f1"]
        assert w.content("f1") == after
    assert (summary.statistics.bytes, summary.statistics.resumed_bytes) == (BIG, 0)
    assert first.items() <= store.chunks.items()
    assert journals(file) == []


def test_a_change_of_what_was_never_sent_is_no_matter(file: Path) -> None:
    """No part of it is at the server: the upload goes on, and is of the new content."""
    store, after = interrupted_then_edited(file, 200 * KIB)
    with remembering(file, store, **BY_KIB) as w:
        summary = w.upload(file)
        assert w.file_ids == []
        assert w.content("f0") == after
        assert w.manifests[-1] == summary.sha256 == hashlib.sha256(after).hexdigest()


def test_an_upload_begun_anew_is_one_upload(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is counted once; the log names what is left of the other, which can be deleted."""
    store, _ = interrupted_then_edited(file, 100 * KIB)
    with remembering(file, store, **BY_KIB) as w:
        w.file_ids.append("f0")
        w.upload(file)
        files = w.engine.metrics()["files"]
    assert files == {"uploaded": 1, "downloaded": 0, "failed": 0, "cancelled": 0}
    (warned,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "upload.abandoned file='a.bin' file_id=f0" in warned.getMessage()


def test_an_upload_that_is_gone_begins_anew_once(file: Path) -> None:
    """404 and 410 say that there is nothing to go on with."""
    store = interrupted(file)
    store.say("404 " + "ok " * 20)
    with remembering(file, store) as w:
        w.file_ids.append("f0")
        w.upload(file)
        assert w.content("f1") == content()
    assert store.tokens == [b"f0", None]


@pytest.mark.parametrize(
    ("word", "error"),
    [("400", RequestRejected), ("503 " * 5, Overloaded), ("refused", LoginRefused)],
)
def test_a_server_that_does_not_say_is_asked_again_later(
    file: Path, word: str, error: type[TransferError]
) -> None:
    """Any other failure says nothing of the upload: its journal stays."""
    store = interrupted(file)
    store.say(word)
    with (
        remembering(file, store, retry_burst=100, clock=FakeClock()) as w,
        pytest.raises(error) as caught,
    ):
        w.upload(file)
    assert caught.value.resumable
    store.say("")
    with remembering(file, store) as w:
        w.upload(file)
        assert w.content("f0") == content()
    assert set(store.writes.values()) == {1}


def test_requests_may_have_another_size(file: Path) -> None:
    """Chunks are what is stored, however many shared a request."""
    store = interrupted(file)
    with remembering(file, store, max_chunks_per_request=3) as w:
        w.upload(file)
        assert w.content("f0") == content()
    assert puts(store)[:2] == ["put 20-20", "put 21-23"]


def test_a_store_that_appends_is_gone_on_with_in_order(file: Path) -> None:
    """One request at a time, from where it ended."""
    store = interrupted(file, store=FakeStore(capabilities=small(parallel=False)))
    with remembering(file, store, cap=3) as w:
        w.upload(file)
        assert w.content("f0") == content()
    assert puts(store) == [f"put {i}-{i + 3}" for i in range(20, 40, 4)]
    assert store.peak == 1


def test_where_chunks_are_appended_they_are_sealed_to_the_same_bytes(file: Path) -> None:
    """The store may hold a part of the one that was under way; the journal knows by what nonce."""
    store = FakeStore("ok " * 6 + "refused", capabilities=small(parallel=False))
    with remembering(file, store) as w, pytest.raises(TransferError):
        w.upload(file)
    store.say("")
    with remembering(file, store) as again:
        again.upload(file)
        assert again.content("f0") == content()
    both = w.nonces.keys() & again.nonces.keys()
    assert both == {20, 21, 22, 23}
    assert all(w.nonces[index] == again.nonces[index] for index in both)
    assert len({*w.nonces.values(), *again.nonces.values()}) == CHUNKS


def test_where_chunks_go_side_by_side_each_sealing_is_a_new_one(file: Path) -> None:
    """A chunk that is not there as a whole is sent as a whole."""
    store = FakeStore("ok " * 6 + "refused")
    with remembering(file, store) as w, pytest.raises(TransferError):
        w.upload(file)
    store.say("")
    with remembering(file, store) as again:
        again.upload(file)
    both = w.nonces.keys() & again.nonces.keys()
    assert both
    assert all(w.nonces[index] != again.nonces[index] for index in both)


def test_a_token_that_changes_is_kept(file: Path) -> None:
    """The last one before the interruption is what the store gets back."""

    class Counting(FakeStore):
        def open_upload(self, *args: Any, **kwargs: Any) -> Any:
            upload = super().open_upload(*args, **kwargs)
            store = self

            class Upload(type(upload)):  # type: ignore[misc]
                @property
                def token(self) -> bytes:
                    return str(len(store.chunks)).encode()

            upload.__class__ = Upload
            return upload

    store = interrupted(file, store=Counting())
    with remembering(file, store) as w:
        w.upload(file)
    assert store.tokens == [b"20"]


def test_it_can_be_interrupted_again_and_again(file: Path) -> None:
    """Each call adds what it could send; no chunk is stored twice."""
    store = FakeStore()
    for attempt in range(11):
        asked = attempt  # ranges of four that are asked for
        store.say("ok " * (asked + 2) + "refused")
        with remembering(file, store) as w:
            if attempt < 10:
                with pytest.raises(LoginRefused):
                    w.upload(file)
            else:
                store.say("")
                w.upload(file)
                assert w.content("f0") == content()
    assert set(store.writes.values()) == {1}


def test_only_what_remains_is_missing(file: Path) -> None:
    """The error of an upload that went on names the chunks that the server doesn't hold."""
    store = interrupted(file)
    store.say("ok " * 7 + "refused")
    with remembering(file, store) as w, pytest.raises(LoginRefused) as caught:
        w.upload(file)
    assert caught.value.chunks_missing == tuple(range(20, 40))


def test_a_commit_that_failed_is_all_that_remains(file: Path) -> None:
    """All chunks are compared, and none is sent."""
    store = FakeStore("ok " * 11 + "refused")
    with remembering(file, store) as w, pytest.raises(LoginRefused):
        w.upload(file)
    store.requests.clear()
    with remembering(file, store) as w:
        summary = w.upload(file)
        assert w.manifests == ["uploading", summary.sha256]
    assert puts(store) == []
    assert summary.statistics.resumed_bytes == SIZE


@pytest.mark.parametrize("cap", [1, 3])
def test_ctrl_c_and_cancel_keep_it(file: Path, cap: int) -> None:
    """However an upload ends before its time, the next call goes on with it."""

    def strike(name: str, in_flight: int) -> None:
        if name == "put 20-23":
            raise KeyboardInterrupt

    store = FakeStore(before=strike)
    with remembering(file, store, cap=cap) as w, pytest.raises(KeyboardInterrupt):
        w.upload(file)
    assert len(journals(file)) == 1
    hanging = threading.Event()

    def hang(name: str, in_flight: int) -> None:
        if name.startswith("put"):
            hanging.set()

    store.before, store.always = hang, {"put": "hang"}
    with remembering(file, store, cap=cap) as w:
        handle = w.submit(file)
        until(hanging.is_set)
        handle.cancel()
        with pytest.raises(Cancelled) as caught:
            handle.result()
    assert caught.value.resumable
    store.before, store.always = None, {}
    with remembering(file, store, cap=cap) as w:
        w.upload(file)
        assert w.content("f0") == content()


def test_progress_tells_what_was_checked(file: Path) -> None:
    """It begins at nothing, grows while the file is compared, and its rate is of what was sent."""
    seen: list[Progress] = []
    store = interrupted(file)
    with remembering(file, store, progress_interval=0.0) as w:
        w.upload(file, progress=seen.append)
    confirmed = [progress.confirmed for progress in seen]
    assert confirmed == sorted(confirmed)
    assert confirmed[-1] == SIZE
    resumed = [progress.resumed for progress in seen]
    assert resumed == sorted(resumed)
    assert (confirmed[0], resumed[0], resumed[-1]) == (0, 0, 200)
    assert seen[-1].rate * seen[-1].seconds == pytest.approx(SIZE - 200)


def test_one_request_needs_no_journal(file: Path) -> None:
    """It succeeds or fails as a whole."""
    file.write_bytes(bytes(4 * CHUNK))
    store = FakeStore("ok refused")
    with remembering(file, store) as w, pytest.raises(LoginRefused) as caught:
        w.upload(file)
    assert not caught.value.resumable
    assert journals(file) == []


def test_the_same_file_twice_at_once_is_two_files(file: Path) -> None:
    """The second has no journal, and the first one's is left alone."""
    first_is_sending = threading.Event()
    second_is_done = threading.Event()

    def hold(name: str, in_flight: int) -> None:
        if name == "put 20-23" and not first_is_sending.is_set():
            first_is_sending.set()
            second_is_done.wait()

    store = FakeStore(before=hold)
    with remembering(file, store, cap=3) as w:
        first = w.submit(file)
        until(first_is_sending.is_set)
        w.upload(file)
        second_is_done.set()
        first.result()
        assert w.content("f0") == w.content("f") == content()


def test_without_journals_everything_begins_anew(file: Path) -> None:
    """Nothing is kept, and nothing is promised."""
    store = FakeStore("ok " * 6 + "refused")
    with world(store=store, cap=1) as w:
        with pytest.raises(LoginRefused) as caught:
            w.upload(file)
        assert "goes on" not in caught.value.remedy
        w.upload(file)
    assert store.tokens == [None, None]
