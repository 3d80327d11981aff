"""One download, from the first request to the rename.

Rules of this file (design §6.10, peers.md R22):

1. The calling thread drives and writes; workers fetch and open chunks.
2. A chunk that does not open, or has not the length it should have, is fetched once more.
3. Nothing takes the target's name before size and SHA-256 of what was written are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from atxfer._engine.attempt import Request
from atxfer._engine.context import Context
from atxfer._engine.driver import Driver
from atxfer._engine.jobs import DownloadJob, DownloadSummary
from atxfer._engine.targets import Sink, open_target
from atxfer._engine.transfer import Transfer
from atxfer._observe.events import ChunkFetched
from atxfer._observe.progress import Report
from atxfer._policy.sizing import chunks_per_read, ranges
from atxfer.errors import ChunkCorrupt, ProtocolViolation, TransferError
from atxfer.model import Chunk, chunk_count
from atxfer.waiting import Wait

__all__ = ["DownloadDriver"]


class _Group:
    """Some chunks that share a request. Its worker changes it, until it has landed."""

    def __init__(self, job: DownloadJob, indexes: range) -> None:
        self._job = job
        self.indexes = indexes
        self.plain: dict[int, bytes] = {}

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
    return min(indexes.stop * size, job.file.size) - indexes.start * size


def _check_length(job: DownloadJob, index: int, length: int) -> None:
    expected = _size_of(job, range(index, index + 1))
    if length != expected:
        raise ChunkCorrupt(f"a chunk of {expected:,} bytes has {length:,}", chunk=index)


class DownloadDriver(Driver[range, _Group]):
    """The thread that called, at work on one download."""

    def __init__(
        self, context: Context, job: DownloadJob, transfer: Transfer, report: Report
    ) -> None:
        super().__init__(context, job.destination, transfer, job.capabilities.parallel)
        self._job = job
        self._report = report
        self._sink: Optional[Sink] = None
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
        file = self._job.file
        chunks = chunk_count(file.size, file.chunk_size)
        self._report.update(self.transfer.tally.begin(file.name, file.size, chunks))
        fsync = self.context.config.fsync
        with open_target(self._job.target, file.name, size=file.size, fsync=fsync) as sink:
            self._sink = sink
            self.move(ranges(chunks, self._per_read))
            self._job.download.check()
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
            self._sink.write_at(index * self._job.file.chunk_size, data)
            self.context.bus.emit(ChunkFetched(self._job.file.name, index, len(data)))
        size = sum(len(data) for data in task.plain.values())
        self._report.update(self.transfer.tally.confirm(size, len(task.plain)))
