"""What need not be sent, because an interrupted call of the same upload has sent it.

Rules of this file (peers.md R19, R21; M9 is what must not happen):

1. A chunk is passed over only if the journal knows what was sent for it, the source still holds
   just that, and the server says that it holds the chunk. The server's answer wins.
2. Every chunk of the source is read and compared before anything is said of it. One that differs
   from what was sent ends this upload: another one is begun, under another id.
3. So whatever happens, no file has parts of two contents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Optional

from atxfer._engine.attempt import Request
from atxfer._engine.context import Context
from atxfer._engine.driver import Driver
from atxfer._engine.earlier import Outdated
from atxfer._engine.jobs import UploadJob
from atxfer._engine.transfer import Transfer
from atxfer._observe.events import TransferResumed
from atxfer._policy.sizing import chunks_per_delete
from atxfer.errors import AtSignNotFound, NotFound, TransferError
from atxfer.model import Chunk
from atxfer.waiting import Wait

__all__ = ["Resumption"]


class Resumption:
    """The journal at work in one upload. Without a journal it does nothing.

    Attributes:
        held: The chunks that the server holds of an earlier call, as far as the journal knows them.

    Threads: belongs to the driver of the upload.
    """

    def __init__(
        self, context: Context, job: UploadJob, transfer: Transfer, per_request: int
    ) -> None:
        self._context = context
        self._job = job
        self._transfer = transfer
        self._journal = job.journal
        self._per_request = per_request
        record = job.journal.record if job.journal is not None else None
        self._known = record.hashes if record is not None else {}
        self._nonces = record.nonces if record is not None else {}
        self._confirmed = record.confirmed if record is not None else set()
        self._resumes = record is not None
        self.held: frozenset[int] = frozenset()

    def open(self) -> None:
        """Write down what is about to be done, before anything is sent."""
        plan = self._job.plan
        # A single request that succeeds or fails as a whole leaves nothing to go on with.
        is_one = plan.chunks <= self._per_request and self._job.capabilities.parallel
        if is_one and not self._resumes:
            self._journal = None
        if self._journal is not None:
            self._journal.open(plan)

    def ask(self) -> None:
        """Ask the server what it holds of an earlier call.

        Raises:
            Outdated: It knows of no such upload any more.
            TransferError: It can't be asked.
        """
        if self._resumes:
            inquiry = _Inquiry(self._context, self._job, self._transfer)
            try:
                inquiry.move(inquiry.ranges(self._known))
            except AtSignNotFound:
                raise
            except NotFound as error:
                raise Outdated(error.message) from error
            self.held = frozenset(self._known.keys() & inquiry.held)
            self._context.bus.emit(
                TransferResumed(self._job.name, self._job.plan.file_id, len(self.held))
            )

    def keep_token(self) -> None:
        """Write down what the store knows the upload by, whenever it may have changed."""
        if self._journal is not None:
            self._journal.note_token(self._job.upload.token)

    def compare(self, chunks: Sequence[Chunk]) -> dict[int, bytes]:
        """Return the hashes of plain chunks that share a request, by index; none without a journal.

        Raises:
            Outdated: One is not what was sent.
        """
        if self._journal is None:
            return {}
        hashes = {chunk.index: hashlib.sha256(chunk.data).digest() for chunk in chunks}
        if any(self._known.get(index, digest) != digest for index, digest in hashes.items()):
            raise Outdated("the file has changed, though it doesn't look so")
        return hashes

    def nonce_of(self, index: int) -> Optional[bytes]:
        """Return by what a chunk was sealed that was compared, and may be there in part."""
        return self._nonces.get(index)

    def note_sent(self, hashes: Mapping[int, bytes], sealed: Sequence[Chunk]) -> None:
        """Write down what is about to be sent, unless that was done before.

        Args:
            hashes: Of the plain chunks, by index.
            sealed: Those of them that are sent.
        """
        if self._journal is None:
            return
        fresh = {i: digest for i, digest in hashes.items() if i not in self._known}
        # A store that appends keeps what it has of a chunk; others get all of it once more.
        appends = not self._job.capabilities.parallel
        nonces = {c.index: c.nonce for c in sealed if appends and c.nonce and c.index in fresh}
        self._journal.note_sent(fresh, nonces, flush=appends)

    def landed(self, indexes: Sequence[int]) -> None:
        """Write down which chunks the server has confirmed."""
        if self._journal is not None:
            self.keep_token()
            fresh = [index for index in indexes if index not in self._confirmed]
            self._journal.note_held(fresh, self._transfer.wait.clock)


class _Inquiry(Driver[range, range]):
    """Asks which chunks the server holds, in as few requests as the store allows."""

    def __init__(self, context: Context, job: UploadJob, transfer: Transfer) -> None:
        most = None if job.capabilities.parallel else 1
        super().__init__(context, job.destination, transfer, most)
        self._job = job
        self._answers: dict[int, frozenset[int]] = {}

    @property
    def held(self) -> frozenset[int]:
        """What the server has said that it holds."""
        return frozenset().union(*self._answers.values())

    def ranges(self, known: dict[int, bytes]) -> Iterator[range]:
        """Yield what to ask for: nothing that was never sent, but whether there is an upload."""
        step = chunks_per_delete(self._job.capabilities)
        if known:
            for start in range(min(known), max(known) + 1, step):
                indexes = range(start, min(start + step, max(known) + 1))
                if not known.keys().isdisjoint(indexes):
                    yield indexes
        elif self._job.plan.chunks:
            yield range(1)

    def cost(self, plan: range) -> int:
        """Return nothing: such a request carries no content."""
        return 0

    def load(self, plan: range) -> range:
        """Return what to ask for."""
        return plan

    def work(self, task: range, pauses: Wait) -> None:
        """Ask for some chunks."""

        def ask(wait: Wait) -> frozenset[int]:
            return self._job.upload.stored(task, wait)

        request = Request(f"which of {task.start}-{task.stop - 1}", ask)
        self._answers[task.start] = self.context.attempter.send(
            request, self.destination, self.transfer, pauses
        )

    def landed(self, task: range, error: Optional[TransferError]) -> None:
        """Nothing more."""
