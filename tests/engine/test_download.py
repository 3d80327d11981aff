"""One download, from the first request to the rename."""

from __future__ import annotations

import io
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest

from atxfer.errors import (
    Cancelled,
    ChecksumMismatch,
    ChunkCorrupt,
    ChunkMissing,
    ProtocolViolation,
    ServerFault,
)
from atxfer.model import Chunk, Progress
from tests.engine.world import FILE_ID, World, seal, world
from tests.support.stores import FakeStore, small
from tests.support.until import until

CHUNK = 10


def content(chunks: float) -> bytes:
    """Return the content of a file of so many chunks."""
    return bytes(index % 251 for index in range(int(chunks * CHUNK)))


@pytest.mark.parametrize("cap", [1, 3])
@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 39, 40, 41, 79, 80, 81, 1000])
def test_every_size_arrives(tmp_path: Path, cap: int, size: int) -> None:
    """At a path and in an object, whole and with the right evidence."""
    data = content(size / CHUNK)
    with world(cap=cap) as w:
        w.hold(data)
        summary = w.download(data, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == data
        assert summary.path == tmp_path / "copy"
        assert (summary.statistics.bytes, summary.statistics.chunks) == (size, -(-size // CHUNK))
        stream = io.BytesIO()
        assert w.download(data, stream).path is None
        assert stream.getvalue() == data


def test_what_the_store_says_of_the_whole_has_its_word(tmp_path: Path) -> None:
    """All chunks are sound, but the whole is not what was stored: nothing takes its name."""
    data = content(6)
    with world() as w:
        w.hold(data)
        w.store.has_wrong_checksum = True
        with pytest.raises(ChecksumMismatch):
            w.download(data, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_sparse_file_larger_than_memory_is_moved_in_pieces(tmp_path: Path) -> None:
    """The budget bounds what is held, whatever the size of the file."""
    size, chunk = 24 << 20, 1 << 20
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(size)
    held = []
    store = FakeStore(
        capabilities=small(
            max_chunk_bytes=2 * chunk, max_read_bytes=chunk, max_request_bytes=chunk
        ),
        before=lambda name, n: held.append(w.engine.metrics()["memory"]["held_bytes"]),
    )
    with world(cap=4, chunk_size=chunk, store=store, memory_budget=2 * chunk) as w:
        w.upload(path)
        w.download(bytes(size), tmp_path / "copy")
    assert max(held) <= 2 * chunk
    assert (tmp_path / "copy").stat().st_size == size


@pytest.mark.parametrize("even", [True, False])
def test_chunks_that_wait_for_an_earlier_one_count_as_held(even: bool) -> None:
    """The first comes last; meanwhile no more is read ahead than the budget allows."""
    count, chunk = 24, 1 << 20
    stream, ahead = io.BytesIO(), []

    def hold(name: str, in_flight: int) -> None:
        if name == "get 0-0":
            until(lambda: w.engine.metrics()["bytes_down"] >= 3 * chunk)
        ahead.append((int(name.rpartition("-")[2]) + 1) * chunk - stream.tell())

    store = FakeStore(capabilities=small(max_chunk_bytes=2 * chunk, max_read_bytes=chunk))
    store.before = hold
    with world(cap=10, chunk_size=chunk, store=store, memory_budget=4 * chunk) as w:
        data = bytes(count * chunk)
        w.hold(data)
        job = replace(w.download_job(data, stream), even=even)
        job = replace(job, file=replace(job.file, chunks=count))
        w.engine.run(lambda t: w.engine.download(job, t), "down")
    assert stream.getvalue() == data
    assert max(ahead) <= 4 * chunk


def test_chunks_are_read_side_by_side_within_the_cap() -> None:
    """As many requests meet at the server as there are permits."""
    meeting = threading.Barrier(3)

    def meet(name: str, in_flight: int) -> None:
        if name != "get 36-39":
            meeting.wait()

    with world(cap=3, store=FakeStore(before=meet)) as w:
        w.hold(content(40))
        summary = w.download(content(40), io.BytesIO())
        assert w.store.peak == summary.statistics.peak_in_flight == 3


def test_a_store_may_be_read_in_order_only() -> None:
    """One request at a time, whatever the permits, and whatever it takes of uploads."""
    with world(cap=3, store=FakeStore(capabilities=small(parallel_reads=False))) as w:
        w.hold(content(40))
        w.download(content(40), io.BytesIO())
        assert w.store.requests == [f"get {i}-{i + 3}" for i in range(0, 40, 4)]
        assert w.store.peak == 1


def test_an_object_gets_the_bytes_in_order_though_they_arrive_otherwise() -> None:
    """The first chunks come last here."""
    rest = threading.Event()

    def hold(name: str, in_flight: int) -> None:
        if name == "get 0-3":
            rest.wait()
        if name == "get 8-11":
            rest.set()

    stream = io.BytesIO()
    with world(cap=2, store=FakeStore(before=hold)) as w:
        w.hold(content(20))
        w.download(content(20), stream)
    assert stream.getvalue() == content(20)


@pytest.mark.parametrize("word", ["503", "drop", "dropped", "timeout", "flip", "cut"])
def test_what_may_pass_is_asked_for_again(word: str) -> None:
    """A lost connection as well as a chunk that did not open or came short."""
    with world(word, cap=1) as w:
        w.hold(content(4))
        stream = io.BytesIO()
        summary = w.download(content(4), stream)
        assert stream.getvalue() == content(4)
        assert sum(summary.statistics.retries.values()) == 1


def test_only_the_corrupt_chunk_is_fetched_again() -> None:
    """Those of the same answer that are sound are kept."""
    with world("flip", cap=1) as w:
        w.hold(content(4))
        w.download(content(4), io.BytesIO())
        assert w.store.requests == ["get 0-3", "get 0-0"]


@pytest.mark.parametrize("word", ["flip", "cut"])
def test_a_chunk_that_is_corrupt_twice_fails_loudly(tmp_path: Path, word: str) -> None:
    """It is named, and the target is as it was (scenario 14)."""
    target = tmp_path / "copy"
    target.write_bytes(b"old")
    with world(f"ok {word} {word}", cap=1) as w:
        w.hold(content(8))
        with pytest.raises(ChunkCorrupt) as caught:
            w.download(content(8), target)
    assert (caught.value.chunk, caught.value.attempts) == (4, 2)
    assert (caught.value.file, caught.value.file_id) == ("a.bin", FILE_ID)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "copy"]


def test_a_chunk_of_the_wrong_length_is_corrupt() -> None:
    """Though it opens: a defect of the writer, or a manifest of another file."""
    with world(cap=1) as w:
        w.hold(content(3.5))
        with pytest.raises(ChunkCorrupt, match="a chunk of 10 bytes has 5"):
            w.download(content(4), io.BytesIO())


def test_a_missing_chunk_is_final() -> None:
    """It is asked for once, and named."""
    with world(cap=1) as w:
        w.hold(content(8))
        del w.store.chunks[FILE_ID, 5]
        with pytest.raises(ChunkMissing) as caught:
            w.download(content(8), io.BytesIO())
        assert caught.value.chunk == 5
        assert w.store.requests == ["get 0-3", "get 4-7"]


def test_other_chunks_than_asked_for_are_no_answer() -> None:
    """A store that mixes answers up is not believed."""
    with world(cap=1) as w:
        w.hold(content(4))
        job = w.download_job(content(4), io.BytesIO())
        job.download.get = lambda indexes, wait: [Chunk(9, b"")]  # type: ignore[method-assign]
        with pytest.raises(ProtocolViolation):
            w.engine.run(lambda t: w.engine.download(job, t), "a.bin")


def test_the_whole_is_verified_before_it_takes_its_name(tmp_path: Path) -> None:
    """Chunks that are all sound may still be another file."""
    with world() as w:
        w.hold(content(8))
        with pytest.raises(ChecksumMismatch) as caught:
            w.download(content(7) + bytes(10), tmp_path / "copy")
    assert caught.value.file == "a.bin"
    assert list(tmp_path.iterdir()) == []


def test_a_name_from_a_manifest_stays_in_the_folder(tmp_path: Path) -> None:
    """Whoever wrote it."""
    with world() as w:
        w.hold(content(1))
        summary = w.download(content(1), tmp_path, name="../../../etc/cron.d/evil\n")
    assert summary.path == tmp_path / "evil_"
    assert list(tmp_path.iterdir()) == [tmp_path / "evil_"]


@pytest.mark.parametrize("cap", [1, 3])
def test_cancelling_ends_requests_that_hang(tmp_path: Path, cap: int) -> None:
    """And leaves no part behind."""
    store = FakeStore(always={"get": "hang"})
    with world(cap=cap, store=store) as w:
        w.hold(content(100))
        job = w.download_job(content(100), tmp_path / "copy")
        handle = w.engine.submit(lambda t: w.engine.download(job, t), "a.bin")
        until(lambda: store.in_flight == cap)
        handle.cancel()
        with pytest.raises(Cancelled):
            handle.result()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cap", [1, 3])
def test_ctrl_c_leaves_the_old_file(tmp_path: Path, cap: int) -> None:
    """The interrupt comes out as itself."""
    (tmp_path / "copy").write_bytes(b"old")

    def strike(name: str, in_flight: int) -> None:
        if name == "get 8-11":
            raise KeyboardInterrupt

    with world(cap=cap, store=FakeStore(before=strike)) as w:
        w.hold(content(100))
        with pytest.raises(KeyboardInterrupt):
            w.download(content(100), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "copy"]


def test_a_full_disk_ends_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the system's error, and requests that hang are ended with it."""

    def full(*args: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with world(cap=3) as w:
        w.hold(content(100))
        with pytest.raises(OSError, match="No space left"):
            w.download(content(100), tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_fails_ends_the_download() -> None:
    """What the caller's own object raises comes out as it is."""

    class Broken:
        def write(self, data: bytes) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    with world() as w:
        w.hold(content(40))
        with pytest.raises(BrokenPipeError):
            w.download(content(40), Broken())


def test_used_up_attempts_are_told_with_the_chunk() -> None:
    """As for uploads."""
    with world("ok " + "500 " * 5, cap=1, retry_burst=100) as w:
        w.hold(content(8))
        with pytest.raises(ServerFault) as caught:
            w.download(content(8), io.BytesIO())
    assert (caught.value.chunk, caught.value.attempts) == (4, 5)


def test_progress_grows_to_the_whole() -> None:
    """Confirmed bytes are those that were written."""
    seen: list[Progress] = []
    with world("ok flip 503 drop", progress_interval=0.0) as w:
        w.hold(content(40))
        w.download(content(40), io.BytesIO(), progress=seen.append)
    confirmed = [progress.confirmed for progress in seen]
    assert confirmed == sorted(confirmed)
    assert (seen[-1].fraction, seen[-1].chunks_total) == (1.0, 40)


# --- formats that don't say how long a chunk is


def uneven(w: World, pieces: list[bytes], target: Any, size: Optional[int] = None) -> None:
    """Put chunks of these contents into the store, and download them as one file."""
    for index, piece in enumerate(pieces):
        w.store.keep(FILE_ID, seal(Chunk(index, piece)))
    job = w.download_job(b"".join(pieces), target)
    size = job.file.size if size is None else size
    file = replace(job.file, size=size, chunks=len(pieces), sha256="")
    uneven_job = replace(job, file=file, even=False)
    w.engine.run(lambda transfer: w.engine.download(uneven_job, transfer), "a.bin")


@pytest.mark.parametrize("cap", [1, 3])
@pytest.mark.parametrize(
    "lengths", [[], [1], [10, 10, 5], [3, 25, 1, 10], [1] * 50, [40, 1], [0, 5, 0, 0, 7, 0]]
)
def test_chunks_of_any_length_follow_one_another(
    tmp_path: Path, cap: int, lengths: list[int]
) -> None:
    """Each lies behind the one before it, in a file and in an object."""
    pieces = [bytes([index % 251]) * length for index, length in enumerate(lengths)]
    with world(cap=cap) as w:
        uneven(w, pieces, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == b"".join(pieces)
        stream = io.BytesIO()
        uneven(w, pieces, stream)
        assert stream.getvalue() == b"".join(pieces)


def test_an_early_chunk_of_any_length_waits_for_the_one_before_it() -> None:
    """Where it goes is known only then."""
    second_is_there = threading.Event()

    def wait_for_the_second(name: str, in_flight: int) -> None:
        if name == "get 0-3":
            assert second_is_there.wait(30)

    def told(progress: Progress) -> None:
        if progress.confirmed:
            second_is_there.set()

    pieces = [bytes([index]) * (index + 1) for index in range(8)]
    with world(cap=2, store=FakeStore(before=wait_for_the_second), progress_interval=0.0) as w:
        stream = io.BytesIO()
        for index, piece in enumerate(pieces):
            w.store.keep(FILE_ID, seal(Chunk(index, piece)))
        job = w.download_job(b"".join(pieces), stream, progress=told)
        job = replace(job, file=replace(job.file, chunks=8, sha256=""), even=False)
        w.engine.run(lambda transfer: w.engine.download(job, transfer), "a.bin")
        assert stream.getvalue() == b"".join(pieces)


@pytest.mark.parametrize("size", [24, 26, 100])
def test_chunks_of_any_length_must_have_the_size_together(tmp_path: Path, size: int) -> None:
    """It is all that such a format knows of the whole; nothing takes the target's name."""
    with world() as w, pytest.raises(ChecksumMismatch, match="bytes"):
        uneven(w, [bytes(10), bytes(10), bytes(5)], tmp_path / "copy", size)
    assert list(tmp_path.iterdir()) == []
