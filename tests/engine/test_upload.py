"""One upload, from the first read to the commit."""

from __future__ import annotations

import hashlib
import io
import threading
from pathlib import Path
from typing import Any

import pytest

from atxfer._observe import progress as progress_module
from atxfer.errors import (
    AnswerMissing,
    Cancelled,
    DeadlineExceeded,
    LoginRefused,
    RequestRejected,
    ServerFault,
    SourceChanged,
    TransferError,
)
from atxfer.model import Progress
from atxfer.stores.base import ChunksFailed
from tests.engine.world import FILE_ID, world
from tests.support.clock import FakeClock
from tests.support.stores import FakeStore, small
from tests.support.until import until

CHUNK = 10


def content(chunks: float) -> bytes:
    """Return the content of a file of so many chunks."""
    return bytes(index % 251 for index in range(int(chunks * CHUNK)))


@pytest.mark.parametrize("cap", [1, 3])
@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 39, 40, 41, 79, 80, 81, 1000])
def test_every_size_arrives(cap: int, size: int) -> None:
    """Empty, one byte, full chunks and one byte beside them, full requests and beside."""
    data = content(size / CHUNK)
    with world(cap=cap) as w:
        summary = w.upload(data)
        assert w.content() == data
        assert len(w.store.chunks) == -(-size // CHUNK)
        assert summary.sha256 == hashlib.sha256(data).hexdigest()
        assert summary.statistics.bytes == size


def test_the_order_of_an_upload() -> None:
    """First manifest, chunks, the store's commit, last manifest with the SHA-256."""
    with world(cap=1) as w:
        summary = w.upload(content(6))
        assert w.store.requests == ["manifest", "put 0-3", "put 4-5", "commit", "manifest"]
        assert w.manifests == ["uploading", summary.sha256]


def test_a_store_without_a_catalog_has_no_manifests() -> None:
    """Then the store's own begin and commit are all there is around the chunks."""
    with world(store=FakeStore(begins=True), cap=1) as w:
        w.catalog = False
        summary = w.upload(content(6))
        assert w.store.requests == ["begin", "put 0-3", "put 4-5", "commit"]
        assert summary.stored.file_id == FILE_ID


def test_a_begin_that_fails_is_tried_again() -> None:
    """Before any chunk is sent; what fails for good ends the upload."""
    with world(store=FakeStore("500 ok", begins=True), cap=1) as w:
        w.catalog = False
        w.upload(content(1))
        assert w.store.requests == ["begin", "begin", "put 0-0", "commit"]
    with world(store=FakeStore("400", begins=True), cap=1) as w:
        w.catalog = False
        with pytest.raises(RequestRejected):
            w.upload(content(1))
        assert w.store.requests == ["begin"]


def test_an_empty_file_has_no_chunks_but_two_manifests() -> None:
    """It exists for a reader like any other."""
    with world() as w:
        w.upload(b"")
        assert w.store.requests == ["manifest", "commit", "manifest"]


def test_connections_are_made_ready_beside_the_first_manifest() -> None:
    """As many as the chunks will use, less the one of the manifest; never more than the cap."""
    for chunks, expected in ((4, 0), (5, 1), (12, 2), (100, 2)):
        with world(cap=3) as w:
            w.upload(content(chunks))
            assert w.store.requests.count("prepare") == expected


def test_a_connection_that_the_manifest_has_taken_is_made_once_more() -> None:
    """Who has made one looks whether there are enough; but none goes on for ever."""
    with world(cap=3) as w:
        w.store.needs_connections = True
        w.upload(content(12))
        assert w.store.requests.count("prepare") == 4


def test_logins_are_under_way_while_the_manifest_is_written() -> None:
    """They meet at the server; and they count against the cap."""
    meeting = threading.Barrier(3)

    def meet(name: str, in_flight: int) -> None:
        if name == "prepare" or (name == "manifest" and not w.manifests):
            meeting.wait()

    with world(cap=3, store=FakeStore(before=meet)) as w:
        w.upload(content(20))
        assert w.store.peak == 3


def test_a_login_that_fails_is_no_failure() -> None:
    """The chunk's own request will find or make a connection."""
    with world(cap=3, store=FakeStore(always={"prepare": "drop"})) as w:
        w.upload(content(20))
        assert w.content() == content(20)


def test_a_login_that_hangs_does_not_hold_the_upload() -> None:
    """It is ended with the chunks."""
    with world(cap=2, store=FakeStore(always={"prepare": "hang"})) as w:
        w.upload(content(5))
        assert w.manifests[-1] != "uploading"


def test_a_store_for_one_request_at_a_time_gets_them_so() -> None:
    """The cap is the store's, where it is smaller than the user's."""
    with world(cap=3, store=FakeStore(capabilities=small(parallel=False))) as w:
        w.upload(content(40))
        assert (w.store.peak, w.store.requests.count("prepare")) == (1, 0)


def test_where_chunks_are_appended_the_next_are_made_ready_meanwhile() -> None:
    """They are sealed while the first are sent, and those behind them are not even read."""

    def hold(name: str, in_flight: int) -> None:
        if name == "put 0-3":
            until(lambda: 7 in w.sealed)
            assert max(w.sealed) == 7

    store = FakeStore(capabilities=small(parallel=False), before=hold)
    with world(cap=2, store=store) as w:
        w.upload(content(40))
        assert w.content() == content(40)
        assert (w.store.peak, w.store.requests[1:-2]) == (
            1,
            [f"put {i}-{i + 3}" for i in range(0, 40, 4)],
        )


def test_behind_chunks_that_could_not_be_appended_none_are_sent() -> None:
    """The store would take them for those that are missing."""
    with world("ok ok refused", cap=3, store=None) as w:
        w.store.capabilities = small(parallel=False)
        with pytest.raises(LoginRefused):
            w.upload(content(40))
        assert w.store.requests == ["manifest", "put 0-3", "put 4-7"]


def test_the_cap_is_used_and_never_exceeded() -> None:
    """As many requests meet at the server as there are permits; one more never."""
    meeting = threading.Barrier(3)

    def meet(name: str, in_flight: int) -> None:
        if name.startswith("put") and name != "put 36-39":
            meeting.wait()

    with world(cap=3, store=FakeStore(before=meet)) as w:
        summary = w.upload(content(40))
        assert w.store.peak == 3
        assert summary.statistics.peak_in_flight == 3


def test_a_chunk_is_sealed_once() -> None:
    """A repetition sends the same bytes: two texts must never share a nonce."""
    with world("ok 503 drop dropped part ok", cap=1) as w:
        w.upload(content(8))
        assert w.sealed == list(range(8))
        assert w.content() == content(8)


def test_only_what_is_missing_is_sent_again() -> None:
    """After a partial answer the next request carries the rest."""
    with world("ok part part ok", cap=1) as w:
        summary = w.upload(content(4))
        assert w.store.requests[1:4] == ["put 0-3", "put 1-3", "put 3-3"]
        assert w.store.writes == {(FILE_ID, i): 1 for i in range(4)}
        assert summary.statistics.wire_bytes == 7 * (CHUNK + 1)
        assert summary.statistics.resent_bytes == 3 * (CHUNK + 1)
        assert summary.statistics.retries == {"AnswerMissing": 2}


def test_a_final_failure_of_one_chunk_ends_the_request() -> None:
    """It is retried only if every failure in it may pass; the decisive one is raised."""

    class Full(FakeStore):
        def open_upload(self, *args: Any, **kwargs: Any) -> Any:
            upload = super().open_upload(*args, **kwargs)

            def put(chunks: Any, wait: Any) -> None:
                upload.store.keep(FILE_ID, chunks[0])
                failed: dict[int, TransferError] = {1: AnswerMissing("x"), 2: RequestRejected("x")}
                raise ChunksFailed("some", failed)

            upload.put = put  # type: ignore[method-assign]
            return upload

    with world(cap=1, store=Full()) as w, pytest.raises(RequestRejected) as caught:
        w.upload(content(3))
    assert caught.value.chunk == 2
    assert caught.value.chunks_missing == (1, 2)
    assert isinstance(caught.value.__cause__, ChunksFailed)


def test_a_request_that_used_up_its_attempts_fails_the_upload() -> None:
    """The real last error, with file, chunk, attempts and what is missing; nothing committed."""
    script = "ok ok " + "500 " * 4 + "timeout"
    with world(script, cap=1, max_attempts=5, retry_burst=100) as w:
        with pytest.raises(TransferError) as caught:
            w.upload(content(12))
        assert w.manifests == ["uploading"]
    error = caught.value
    assert type(error).__name__ == "RequestTimeout"
    assert (error.file, error.chunk, error.attempts) == ("a.bin", 4, 5)
    assert error.chunks_missing == tuple(range(4, 12))


def test_others_in_flight_finish_when_one_fails() -> None:
    """What is at the server is stored, and not named as missing; the rest is not begun."""
    meeting = threading.Barrier(3)
    failed = threading.Event()

    def meet(name: str, in_flight: int) -> None:
        if name not in ("put 0-3", "put 4-7", "put 8-11"):
            return
        meeting.wait()
        if name == "put 0-3":
            failed.set()
            raise LoginRefused("x")
        failed.wait()

    with world(cap=3, store=FakeStore(before=meet)) as w:
        with pytest.raises(LoginRefused) as caught:
            w.upload(content(100))
        stored = {i for _, i in w.store.chunks}
        assert set(range(4, 12)) <= stored
        assert stored < set(range(4, 50))  # what was handed out before the failure was known
        assert caught.value.chunks_missing == tuple(sorted(set(range(100)) - stored))


def test_one_that_waits_for_a_retry_is_woken_when_another_fails() -> None:
    """The failure is not held back by a wait of hours."""
    sleeping = threading.Event()

    class Clock(FakeClock):
        def wait(self, event: threading.Event, seconds: Any) -> bool:
            sleeping.set()
            return event.wait(seconds)

    def fail(name: str, in_flight: int) -> None:
        if name == "put 0-3":
            raise ServerFault("x")
        if name == "put 4-7":
            sleeping.wait()
            raise LoginRefused("x")

    patience = {"backoff_initial": 9999.0, "backoff_max": 9999.0, "backoff_jitter": False}
    store = FakeStore(before=fail)
    with world(cap=2, store=store, clock=Clock(), **patience) as w, pytest.raises(LoginRefused):
        w.upload(content(8))


def test_a_failed_first_manifest_sends_no_chunk() -> None:
    """Without it nobody would find the chunks again."""
    with world("refused", cap=1) as w:
        with pytest.raises(LoginRefused) as caught:
            w.upload(content(3))
        assert w.store.requests == ["manifest"]
    assert caught.value.chunks_missing == (0, 1, 2)


def test_the_commit_is_tried_again_like_any_request() -> None:
    """A connection lost after the last chunk costs a retry, not the file."""
    with world("ok ok drop ok dropped ok", cap=1) as w:
        summary = w.upload(content(4))
        assert w.store.requests[2:] == ["commit", "commit", "manifest", "manifest"]
        assert summary.statistics.retries == {"ConnectionLost": 2}


# --- the source


@pytest.mark.parametrize("when", ["put 0-3", "commit"])
def test_a_source_that_changes_is_never_committed(tmp_path: Path, when: str) -> None:
    """While chunks are sent: noticed at the next read, or before the store's commit."""
    path = tmp_path / "a.bin"
    path.write_bytes(content(8))

    def change(name: str, in_flight: int) -> None:
        if name == "put 0-3" or (when == "commit" and name == "put 4-7"):
            path.write_bytes(b"!")

    with world(cap=1, store=FakeStore(before=change)) as w:
        with pytest.raises(SourceChanged) as caught:
            w.upload(path)
        assert w.manifests == ["uploading"]
        assert "commit" not in w.store.requests
    assert caught.value.file == "a.bin"


def test_a_source_that_changes_ends_what_is_in_flight(tmp_path: Path) -> None:
    """SourceChanged does not wait for requests that hang."""
    path = tmp_path / "a.bin"
    path.write_bytes(content(100))

    def change(name: str, in_flight: int) -> None:
        if name.startswith("put"):
            path.write_bytes(b"!")

    store = FakeStore(always={"put": "hang"}, before=change)
    with world(cap=2, store=store) as w, pytest.raises(SourceChanged):
        w.upload(path)


def test_a_source_that_can_not_be_read_is_the_systems_own_error() -> None:
    """An OSError of a local file stays one."""

    class Broken(io.BytesIO):
        def read(self, *args: Any) -> bytes:
            raise OSError(5, "Input/output error")

    with world() as w, pytest.raises(OSError, match="Input/output"):
        w.upload(Broken(content(3)))


# --- the end, from outside


@pytest.mark.parametrize("cap", [1, 3])
def test_cancelling_ends_requests_that_hang(cap: int) -> None:
    """Their sockets are shut down; no thread and no permit is left."""
    store = FakeStore(always={"put": "hang"})
    with world(cap=cap, store=store) as w:
        handle = w.submit(content(100))
        until(lambda: store.in_flight == cap)
        handle.cancel()
        with pytest.raises(Cancelled):
            handle.result()
        assert "commit" not in w.store.requests


@pytest.mark.parametrize("cap", [1, 3])
@pytest.mark.parametrize("place", ["manifest", "put 4-7", "commit"])
def test_ctrl_c_ends_it_wherever_it_strikes(cap: int, place: str) -> None:
    """The interrupt comes out as itself, requests that hang are ended, nothing is committed."""

    def strike(name: str, in_flight: int) -> None:
        if name == place:
            raise KeyboardInterrupt

    with world(cap=cap, store=FakeStore(before=strike)) as w:
        with pytest.raises(KeyboardInterrupt):
            w.upload(content(100))
        assert w.manifests in ([], ["uploading"])


def test_ctrl_c_in_the_driver_ends_requests_that_hang() -> None:
    """While it reads, for instance."""

    class Interrupted(io.BytesIO):
        def read(self, *args: Any) -> bytes:
            if self.tell() > 40:
                raise KeyboardInterrupt
            return super().read(*args)

    store = FakeStore(always={"put": "hang"})
    with world(cap=3, store=store) as w, pytest.raises(KeyboardInterrupt):
        w.upload(Interrupted(content(100)))


def test_the_deadline_of_a_transfer_holds() -> None:
    """Whatever a server asks to be waited for (R29)."""
    clock = FakeClock()
    with world("ok ok retry:30", cap=1, clock=clock, deadline=20.0) as w:
        with pytest.raises(DeadlineExceeded) as caught:
            w.upload(content(8))
        assert clock.now == pytest.approx(1020.0)
    assert caught.value.chunks_missing == tuple(range(4, 8))


# --- memory


def test_no_more_is_read_ahead_than_there_are_threads() -> None:
    """Requests that hang stop the reading (R5)."""
    release, early, read = threading.Event(), [], []
    ahead = 2 * 3 * 4  # as many requests again as there are permits, of four chunks each

    class Counting(io.BytesIO):
        def read(self, *args: Any) -> bytes:
            read.append(args)
            if len(read) > ahead and not release.is_set():
                early.append(len(read))
            return super().read(*args)

    def hold(name: str, in_flight: int) -> None:
        if name.startswith("put"):
            release.wait()

    with world(cap=3, store=FakeStore(before=hold)) as w:
        handle = w.submit(Counting(content(200)))
        until(lambda: len(read) == ahead and w.store.in_flight == 3)
        release.set()
        handle.result()
    assert early == []


def test_bytes_are_charged_before_they_are_read() -> None:
    """The budget never holds more than is allowed, however many requests there may be."""
    mib = 1 << 20
    held = []
    store = FakeStore(
        capabilities=small(max_chunk_bytes=mib, max_chunks_per_request=1),
        before=lambda name, n: held.append(w.engine.metrics()["memory"]["held_bytes"]),
    )
    with world(cap=8, chunk_size=mib // 4, store=store, memory_budget=mib) as w:
        w.upload(bytes(4 * mib))
    assert mib // 4 <= max(held) <= mib


def test_two_uploads_share_the_budget_and_both_end() -> None:
    """Neither starves the other, though each alone could use it all."""
    mib = 1 << 20
    with world(cap=4, chunk_size=mib, memory_budget=mib) as w:
        w.store.capabilities = small(max_chunk_bytes=2 * mib, max_chunks_per_request=1)
        handles = [w.submit(bytes(4 * mib), name=name) for name in ("a", "b")]
        for handle in handles:
            assert handle.result().statistics.bytes == 4 * mib


# --- evidence


def test_the_statistics_are_complete() -> None:
    """What the server felt, counted on this side."""
    with world("ok ok 503 ok part ok ok ok", cap=1, clock=FakeClock()) as w:
        statistics = w.upload(content(12)).statistics
        assert statistics.requests == len(w.store.requests) == 8
        assert statistics.retries == {"Overloaded": 1, "AnswerMissing": 1}
        assert (statistics.chunks, statistics.bytes) == (12, 120)
        assert statistics.wire_bytes == 18 * 11
        assert statistics.resent_bytes == 6 * 11
        assert statistics.peak_in_flight == 1
        assert 0.0 <= statistics.latency_p50 <= statistics.latency_p95 <= statistics.latency_max


def test_confirmed_bytes_only_grow_up_to_the_whole() -> None:
    """And the last state is told before the call returns."""
    seen: list[Progress] = []
    with world("ok ok part ok 503", cap=3, progress_interval=0.0) as w:
        w.upload(content(40), progress=seen.append)
    confirmed = [progress.confirmed for progress in seen]
    assert confirmed == sorted(confirmed)
    assert (seen[-1].confirmed, seen[-1].chunks, seen[-1].fraction) == (400, 40, 1.0)


def test_a_callback_that_raises_is_told_in_the_result() -> None:
    """The file arrives all the same (R26)."""

    def broken(progress: Progress) -> None:
        raise ZeroDivisionError("oh")

    with world() as w:
        summary = w.upload(content(40), progress=broken)
        assert w.content() == content(40)
    assert summary.statistics.callback_errors == ("ZeroDivisionError: oh",)


def test_a_callback_that_blocks_does_not_hold_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The upload ends without it after a moment of patience, and says so."""
    monkeypatch.setattr(progress_module, "PATIENCE", 0.05)
    free = threading.Event()
    with world() as w:
        summary = w.upload(content(40), progress=lambda progress: free.wait())
        assert w.content() == content(40)
    free.set()
    (text,) = summary.statistics.callback_errors
    assert "did not come back" in text


def test_a_callback_may_cancel() -> None:
    """From the dispatcher's thread, while chunks are sent."""
    released = threading.Event()

    def hold(name: str, in_flight: int) -> None:
        if name.startswith("put"):
            released.wait()

    def cancel(progress: Progress) -> None:
        handle.cancel()
        released.set()

    with world(store=FakeStore(before=hold)) as w:
        started = threading.Event()

        def body(transfer: Any) -> Any:
            started.wait()
            return w.do_upload(transfer, content(400), "a.bin", cancel)

        handle = w.engine.submit(body, "a.bin")
        started.set()
        with pytest.raises(Cancelled):
            handle.result()


def test_a_callback_may_use_the_engine_itself() -> None:
    """An upload within a callback of an upload ends, its own callback included."""
    inner: list[Progress] = []

    def nested(progress: Progress) -> None:
        if not inner:
            w.upload(content(2), name="inner", progress=inner.append)

    with world() as w:
        w.upload(content(8), progress=nested)
    assert inner[-1].file == "inner"
    assert inner[-1].fraction == 1.0
