"""One download, from the first request to the rename.

Rules of this file (design §6.10, peers.md R22):

1. The calling thread drives and writes; workers fetch and open chunks.
2. A chunk that does not open, or has not the length it should have, is fetched once more.
3. Nothing takes the target's name before size and SHA-256 of what was written are right; of a file
   of a format that has no SHA-256, the size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from atxfer._buffers import Buffer
from atxfer._engine.attempt import Request
from atxfer._engine.context import Context
from atxfer._engine.driver import Driver
from atxfer._engine.jobs import DownloadJob, DownloadSummary
from atxfer._engine.targets import Sink, open_target
from atxfer._engine.transfer import Transfer
from atxfer._observe.events import ChunkFetched
from atxfer._observe.progress import Report
from atxfer._policy.sizing import chunks_per_read, ranges
from atxfer.errors import ChecksumMismatch, ChunkCorrupt, ProtocolViolation, TransferError
from atxfer.model import Chunk, chunk_count
from atxfer.waiting import Wait

__all__ = ["DownloadDriver"]


class _Group:
    """Some chunks that share a request. Its worker changes it, until it has landed."""

    def __init__(self, job: DownloadJob, indexes: range) -> None:
        self._job = job
        self.indexes = indexes
        self.plain: dict[int, Buffer] = {}

    @property
    def name(self) -> str:
        """What the request is called in logs and dumps."""
        return f"chunks {self.indexes[0]}-{self.indexes[-1]}"

    @property
    def missing(self) -> list[int]:
        """The chunks that are not there yet."""
        return [index for index in self.indexes if index not in self.plain]

    def left(self) -> float:
        """Return the part that is not there yet."""
        return len(self.missing) / len(self.indexes)

    def get(self, wait: Wait) -> Sequence[Chunk]:
        """Fetch the chunks that are not there yet, once."""
        asked = self.missing
        chunks = self._job.download.get(asked, wait)
        if [chunk.index for chunk in chunks] != asked:
            raise ProtocolViolation("the store gave other chunks than it was asked for")
        return chunks

    def open(self, chunks: Sequence[Chunk]) -> None:
        """Decrypt chunks; those that are sound are kept, whatever the others are."""
        corrupt: Optional[ChunkCorrupt] = None
        for chunk in chunks:
            try:
                data = self._job.open_(chunk).data
                _check_length(self._job, chunk.index, len(data))
            except ChunkCorrupt as error:
                error.with_context(chunk=chunk.index)
                corrupt = corrupt if corrupt is not None else error
            else:
                self.plain[chunk.index] = data
        if corrupt is not None:
            raise corrupt


def _size_of(job: DownloadJob, indexes: range) -> int:
    size = job.file.chunk_size
    if not job.even:
        return min(len(indexes) * size, job.file.size)
    return min(indexes.stop * size, job.file.size) - indexes.start * size


def _check_length(job: DownloadJob, index: int, length: int) -> None:
    if not job.even:
        return
    expected = _size_of(job, range(index, index + 1))
    if length != expected:
        raise ChunkCorrupt(f"a chunk of {expected:,} bytes has {length:,}", chunk=index)


class _Even:
    """Tells where chunks go that have one size."""

    def __init__(self, chunk_size: int) -> None:
        self._chunk_size = chunk_size

    def placed(self, index: int, data: Buffer) -> Iterator[tuple[int, Buffer]]:
        """Yield what can be written now, and where to."""
        yield index * self._chunk_size, data


class _Uneven:
    """Tells where chunks go of which each lies behind the one before it; early ones wait."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._early: dict[int, Buffer] = {}
        self._next = 0
        self._offset = 0

    def placed(self, index: int, data: Buffer) -> Iterator[tuple[int, Buffer]]:
        """Yield what can be written now, and where to."""
        self._early[index] = data
        while self._next in self._early:
            chunk = self._early.pop(self._next)
            if self._offset + len(chunk) > self._size:
                raise ChecksumMismatch(f"the chunks have more than {self._size:,} bytes together")
            yield self._offset, chunk
            self._next += 1
            self._offset += len(chunk)


class _InOrder:
    """Tells what is still held where each group waits for those before it."""

    def __init__(self) -> None:
        self._early: dict[int, tuple[int, int]] = {}
        self._next = 0

    def let_go(self, indexes: range, size: int) -> int:
        """Return the bytes that wait no more, now that this group of so many has landed."""
        self._early[indexes.start] = indexes.stop, size
        freed = 0
        while self._next in self._early:
            self._next, size = self._early.pop(self._next)
            freed += size
        return freed


class DownloadDriver(Driver[range, _Group]):
    """The thread that called, at work on one download."""

    def __init__(
        self, context: Context, job: DownloadJob, transfer: Transfer, report: Report
    ) -> None:
        most = None if job.capabilities.parallel_reads else 1
        super().__init__(context, job.destination, transfer, most)
        self._job = job
        self._report = report
        self._sink: Optional[Sink] = None
        self._places = _Even(job.file.chunk_size) if job.even else _Uneven(job.file.size)
        self._order = _InOrder()
        self._per_read = chunks_per_read(
            job.file.chunk_size + job.overhead,
            job.capabilities,
            context.config.max_chunks_per_request,
        )

    def run(self) -> DownloadSummary:
        """Fetch the file, and return when it lies whole and verified at its target.

        Raises:
            TransferError: It does not; a target that was there before is as it was.
            OSError: The target can't be written.
            ValueError: The target is something that a file can't replace.
        """
        try:
            path = self._run()
        except TransferError as error:
            error.with_context(file=self._job.file.name, file_id=self._job.file.file_id)
            raise
        tally = self.transfer.tally
        self._report.finish(tally.confirm(0, 0))
        return DownloadSummary(path, tally.statistics(self._report.errors))

    def _run(self) -> Optional[Path]:
        job, file = self._job, self._job.file
        chunks = chunk_count(file.size, file.chunk_size) if job.even else file.chunks
        self._report.update(self.transfer.tally.begin(file.name, file.size, chunks))
        fsync = self.context.config.fsync
        with open_target(job.target, file.name, size=file.size, fsync=fsync) as sink:
            self._sink = sink
            self.move(ranges(chunks, self._per_read))
            job.download.check()
            sink.verify(file.size, file.sha256 or None)
        return sink.path

    def cost(self, plan: range) -> int:
        """Return the plain bytes of these chunks."""
        return _size_of(self._job, plan)

    def load(self, plan: range) -> _Group:
        """Return a group without any data yet."""
        return _Group(self._job, plan)

    def work(self, task: _Group, pauses: Wait) -> None:
        """Fetch and open a group."""
        request = Request(task.name, task.get, accept=task.open, left=task.left)
        self.context.attempter.send(request, self.destination, self.transfer, pauses)

    def landed(self, task: _Group, error: Optional[TransferError]) -> None:
        """Write what was fetched to its place."""
        if error is not None:
            error.with_context(chunk=task.missing[0])
            return
        assert self._sink is not None  # noqa: S101  # opened before the first group
        for index, data in task.plain.items():
            for offset, piece in self._places.placed(index, data):
                self._sink.write_at(offset, piece)
            self.context.bus.emit(ChunkFetched(self._job.file.name, index, len(data)))
        size = sum(len(data) for data in task.plain.values())
        self._report.update(self.transfer.tally.confirm(size, len(task.plain)))

    def let_go(self, task: _Group, size: int) -> int:
        """Return what was written, and is held no more: of an early group, nothing."""
        assert self._sink is not None  # noqa: S101  # opened before the first group
        if self._job.even and not self._sink.in_order:
            return size
        return self._order.let_go(task.indexes, size)
