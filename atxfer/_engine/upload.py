"""One upload, from the first read to the commit.

Rules of this file (design §6, peers.md R4, R9, R21):

1. The calling thread drives: it reads, hands groups of chunks out, collects what became of them,
   and finishes the transfer itself. No worker waits for another.
2. Order: what an earlier call left; the first manifest; the store's begin; the chunks; its commit;
   the last manifest. Connections are made ready side by side with what comes before the chunks.
3. A chunk is sealed once. A repetition sends the same bytes, and only those not confirmed yet.
   What an earlier call has sent is read and compared, and not sent (resume.py).
4. When a request fails for good, or the source changes, nothing is committed.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Callable, Optional, TypeVar

from atxfer._buffers import NO_FRAME
from atxfer._engine.attempt import Request
from atxfer._engine.context import Context
from atxfer._engine.destination import Destination
from atxfer._engine.driver import Driver
from atxfer._engine.jobs import UploadJob, UploadSummary
from atxfer._engine.resume import Resumption
from atxfer._engine.transfer import Transfer
from atxfer._engine.warming import warming
from atxfer._observe.events import ChunkStored
from atxfer._observe.progress import Report
from atxfer._policy.retry import weightiest
from atxfer._policy.sizing import chunks_per_request, ranges
from atxfer.errors import TransferError
from atxfer.model import Chunk
from atxfer.stores.base import ChunksFailed, StoredFile
from atxfer.waiting import Wait

__all__ = ["UploadDriver"]

T = TypeVar("T")


class _Group:
    """Some chunks that share a request. Its worker changes it, until it has landed.

    Args:
        job: What they are part of.
        plain: The chunks.

    Attributes:
        there: Those of them that the server holds of an earlier call.
        missing: Those that it does not hold, as far as is known.
    """

    def __init__(self, job: UploadJob, plain: list[Chunk]) -> None:
        self._job = job
        self._plain = plain
        self._sealed: dict[int, Chunk] = {}
        self._sent: set[int] = set()
        self.sizes = {chunk.index: len(chunk.data) for chunk in plain}
        self.missing = set(self.sizes)
        self.there: frozenset[int] = frozenset()

    @property
    def name(self) -> str:
        """What the request is called in logs and dumps."""
        return f"chunks {min(self.sizes)}-{max(self.sizes)}"

    def left(self) -> float:
        """Return the part that is not stored yet."""
        return len(self.missing) / len(self.sizes)

    def seal(self, resumption: Resumption) -> None:
        """Encrypt the chunks that the server does not hold of an earlier call, as they were then.

        Raises:
            Outdated: The file is not what it was then.
        """
        hashes = resumption.compare(self._plain)
        self.there = resumption.held & hashes.keys()
        self.missing -= self.there
        for chunk in self._plain:
            if chunk.index in self.missing:
                again = replace(chunk, nonce=resumption.nonce_of(chunk.index))
                self._sealed[chunk.index] = self._job.seal(again)
        self._plain = []
        resumption.note_sent(hashes, list(self._sealed.values()))

    def put(self, transfer: Transfer, wait: Wait) -> None:
        """Send the chunks that are not stored yet, once."""
        chunks = list(self._sealed.values())
        resent = sum(len(chunk.data) for chunk in chunks if chunk.index in self._sent)
        transfer.tally.note_wire(sum(len(chunk.data) for chunk in chunks), resent)
        self._sent.update(self._sealed)
        try:
            self._job.upload.put(chunks, wait)
        except ChunksFailed as error:
            if not error.failures:
                raise
            self._keep(set(error.failures))
            causes = [cause.with_context(chunk=i) for i, cause in error.failures.items()]
            raise weightiest(causes) from error
        self._keep(set())

    def _keep(self, missing: set[int]) -> None:
        self._sealed = {i: chunk for i, chunk in self._sealed.items() if i in missing}
        self.missing = set(self._sealed)


class _Turns:
    """Lets groups go in order. Behind one that fails none goes any more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards _next
        self._next = 0

    def wait_for(self, index: int, wait: Wait) -> None:
        """Return when it is the turn of the group that begins with this chunk.

        Raises:
            Cancelled, DeadlineExceeded: It never came.
        """

        def is_due(seconds: float) -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: self._next == index, seconds)

        wait.acquire(is_due)

    def pass_on(self, index: int) -> None:
        """Let the group that begins with this chunk go."""
        with self._changed:
            self._next = index
            self._changed.notify_all()


class UploadDriver(Driver[range, _Group]):
    """The thread that called, at work on one upload."""

    def __init__(
        self, context: Context, job: UploadJob, transfer: Transfer, report: Report
    ) -> None:
        appends = not job.capabilities.parallel
        # Where the store appends, one chunk is sent, and the next is read, hashed and sealed.
        super().__init__(context, job.destination, transfer, 2 if appends else None)
        self._turns = _Turns() if appends else None
        self._job = job
        self._report = report
        self._per_request = chunks_per_request(
            job.plan.chunk_size + job.overhead,
            job.capabilities,
            context.config.max_chunks_per_request,
        )
        self._requests = -(-job.plan.chunks // self._per_request)
        self._missing = set(range(job.plan.chunks))
        self._resumption = Resumption(context, job, transfer, self._per_request)

    def run(self) -> UploadSummary:
        """Send the file, and return when it is safely there.

        Raises:
            Outdated: What an earlier call left can't be gone on with.
            TransferError: It is not; nothing was committed.
            OSError: The source can't be read.
        """
        job, tally = self._job, self.transfer.tally
        try:
            stored = self._run()
        except TransferError as error:
            missing = tuple(sorted(self._missing)) or None
            file_id = job.plan.file_id if job.is_named else None
            error.with_context(file=job.name, file_id=file_id, chunks_missing=missing)
            raise
        self._report.finish(tally.confirm(0, 0))
        return UploadSummary(job.source.sha256, stored, tally.statistics(self._report.errors))

    def _run(self) -> StoredFile:
        job = self._job
        self._report.update(self.transfer.tally.begin(job.name, job.plan.size, job.plan.chunks))
        self._resumption.open()
        width = self._requests if job.capabilities.parallel else 1
        with warming(self.destination, self.transfer, job.upload.prepare, width):
            self._resumption.ask()
            self._missing -= self._resumption.held
            if job.begin is not None:
                self._ask("first manifest", job.begin, job.catalog)
            if job.upload.begins:
                self._ask("begin", job.upload.begin)
            self._resumption.keep_token()
            self.move(ranges(job.plan.chunks, self._per_request))
        job.source.check_unchanged()
        if job.upload.commits:
            stored = self._ask("commit", job.upload.commit)
        else:
            stored = job.upload.commit(self.transfer.wait)
        commit = job.commit
        if commit is not None:
            self._ask(
                "last manifest", lambda wait: commit(job.source.sha256, stored, wait), job.catalog
            )
        return stored

    # --- what is not chunks

    def _ask(self, name: str, call: Callable[[Wait], T], at: Optional[Destination] = None) -> T:
        destination = at if at is not None else self.destination
        return self.context.attempter.send(Request(name, call), destination, self.transfer)

    # --- groups of chunks

    def cost(self, plan: range) -> int:
        """Return the plain bytes of these chunks."""
        size = self._job.plan.chunk_size
        return min(plan.stop * size, self._job.plan.size) - plan.start * size

    def load(self, plan: range) -> _Group:
        """Read these chunks."""
        group = _Group(self._job, [self._read(index) for index in plan])
        if self._job.frame != NO_FRAME:
            self._job.source.hash_up()  # while they are plain
        return group

    def _read(self, index: int) -> Chunk:
        frame, size = self._job.frame, self.cost(range(index, index + 1))
        block = frame.block(size)
        data = frame.within(block, size)
        self._job.source.read_into(data)
        return Chunk(index, data, block)

    def idle(self) -> None:
        """Hash what was read."""
        self._job.source.hash_up()

    def work(self, task: _Group, pauses: Wait) -> None:
        """Seal and send a group, or what is missing of it."""
        task.seal(self._resumption)
        if self._turns is not None:
            self._turns.wait_for(min(task.sizes), pauses)
        if task.missing:
            request = Request(task.name, lambda wait: task.put(self.transfer, wait), left=task.left)
            self.context.attempter.send(request, self.destination, self.transfer, pauses)
        if self._turns is not None:
            self._turns.pass_on(max(task.sizes) + 1)

    def landed(self, task: _Group, error: Optional[TransferError]) -> None:
        """Count what is stored, also of a group that failed as a whole."""
        self._job.source.hash_up()  # it is held no more from here on
        stored = [index for index in task.sizes if index not in task.missing]
        self._missing.difference_update(stored)
        self._resumption.landed(stored)
        for index in stored:
            if index not in task.there:
                self.context.bus.emit(ChunkStored(self._job.name, index, task.sizes[index]))
        if stored:
            size = sum(task.sizes[index] for index in stored)
            resumed = sum(task.sizes[index] for index in task.there)
            self._report.update(self.transfer.tally.confirm(size, len(stored), resumed))
        if error is not None and task.missing:
            error.with_context(chunk=min(task.missing))
