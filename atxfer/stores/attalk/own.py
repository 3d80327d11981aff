"""The chunks of one atSign on its own server, written and read by their owner."""

from __future__ import annotations

from collections.abc import Sequence

from atxfer._format.attalk import CHUNK_SIZE, MAX_SIZE
from atxfer._net.records import Records, ttl_ms
from atxfer.atprotocol.verbs import Llookup, Mode
from atxfer.config import TransferConfig
from atxfer.errors import ChunkMissing
from atxfer.model import Chunk
from atxfer.stores.answers import check, check_stored, failures, nulls, telling
from atxfer.stores.attalk.sealing import Copies, sealed_record
from atxfer.stores.base import Capabilities, StoredFile, UploadPlan
from atxfer.waiting import Wait

__all__ = ["AtTalkStore"]

# 15 bits become a character of three bytes, and three bytes four of base64: 8,192 bytes are stored
# as 17,496 (docs/attalk.md, "Defects that stay").
_EXPANSION = 8 / 15 * 4
# Beside the value: the frame of a command or an answer, the fixed part of a key, padding, a nonce.
# For another atSign also the wrapped key and its checksum, with their names.
_FRAME = 280
_WRAPPED = 420


class AtTalkStore:
    """The chunks of one atSign, for all their readers.

    Args:
        records: Its server, by connections that are logged in as their owner.
        copies: For whom each chunk is there.
        config: Sizes of requests.

    Threads: all methods may be called from several threads.
    """

    def __init__(self, records: Records, copies: Copies, config: TransferConfig) -> None:
        self._records = records
        self.copies = copies
        count = len(copies.readers)
        self.capabilities = Capabilities(
            max_request_bytes=config.max_request_bytes,
            max_read_bytes=2 * config.max_request_bytes,
            max_chunk_bytes=CHUNK_SIZE,
            max_chunks_per_request=1024,
            max_chunks_per_read=1024,
            chunk_expansion=_EXPANSION * count,
            chunk_overhead=_overhead(copies),
            chunk_ladder=((MAX_SIZE, CHUNK_SIZE),),
            max_default_chunk=CHUNK_SIZE,
        )
        # The records of one chunk may be too many for one request: then they have several, one
        # after another under the one permit.
        record_bytes = self.capabilities.wire_bytes(CHUNK_SIZE) // count
        self._records_per_request = max(1, config.max_request_bytes // record_bytes)

    def open_upload(self, plan: UploadPlan) -> AtTalkUpload:
        """Begin an upload."""
        return AtTalkUpload(self, plan)

    def open_download(self, stored: StoredFile) -> AtTalkDownload:
        """Begin a download by the owner."""
        return AtTalkDownload(self, stored)

    # --- what uploads and downloads share

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Log one more connection in, for a later request."""
        return self._records.prepare(wait, enough)

    def put(self, plan: UploadPlan, chunks: Sequence[Chunk], wait: Wait) -> None:
        """Store sealed chunks."""
        updates = [
            (chunk.index, update)
            for chunk in chunks
            for update in self.copies.updates(plan.file_id, ttl_ms(plan.ttl), chunk)
        ]
        for start in range(0, len(updates), self._records_per_request):
            part = updates[start : start + self._records_per_request]
            answers = self._records.ask([update for _, update in part], wait)
            check_stored([index for index, _ in part], answers)

    def held(self, file_id: str, indexes: range, wait: Wait) -> frozenset[int]:
        """Return which chunks are there for all their readers, in one request."""
        pairs = [(index, key) for index in indexes for key in self.copies.keys(file_id, index)]
        named = [index for index, _ in pairs]
        answers = self._records.ask([Llookup(key, Mode.META) for _, key in pairs], wait)
        failed = failures(named, answers)
        unknown = {i: e for i, e in failed.items() if not isinstance(e, ChunkMissing)}
        if unknown:
            raise telling(unknown)
        return frozenset(indexes) - frozenset(failed) - nulls(named, answers)

    def read(self, file_id: str, indexes: Sequence[int], wait: Wait) -> Sequence[Chunk]:
        """Read the owner's records of some chunks, in one request."""
        keys = [self.copies.keys(file_id, index)[0] for index in indexes]
        answers = self._records.ask([Llookup(key, Mode.ALL) for key in keys], wait)
        check(indexes, answers)
        return [sealed_record(index, answers[place]) for place, index in enumerate(indexes)]


def _overhead(copies: Copies) -> int:
    """Return the bytes on the wire of all records of a chunk, beside its content."""
    frame = _FRAME + len(copies.owner) + len(copies.namespace)
    shared = [reader.recipient for reader in copies.readers if reader.recipient is not None]
    return frame * len(copies.readers) + sum(_WRAPPED + len(recipient) for recipient in shared)


class AtTalkUpload:
    """One file on its way to its owner's server; there is nothing to begin and nothing to end."""

    begins = commits = False

    def __init__(self, store: AtTalkStore, plan: UploadPlan) -> None:
        self._store = store
        self._plan = plan

    @property
    def token(self) -> bytes:
        """The file id: it is all that finds the chunks again."""
        return self._plan.file_id.encode("ascii")

    def begin(self, wait: Wait) -> None:
        """Ask nothing."""

    def abort(self, wait: Wait) -> None:
        """Ask nothing."""

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Log one more connection in."""
        return self._store.prepare(wait, enough)

    def put(self, chunks: Sequence[Chunk], wait: Wait) -> None:
        """Store sealed chunks; a repetition overwrites with the same."""
        self._store.put(self._plan, chunks, wait)

    def stored(self, indexes: range, wait: Wait) -> frozenset[int]:
        """Return which of these chunks are there for all their readers."""
        return self._store.held(self._plan.file_id, indexes, wait)

    def commit(self, wait: Wait) -> StoredFile:
        """Return where the chunks lie; the metadata makes them a file."""
        plan = self._plan
        return StoredFile(plan.file_id, self._store.copies.owner, plan.chunks)


class AtTalkDownload:
    """One file on its way from its owner's own server."""

    def __init__(self, store: AtTalkStore, stored: StoredFile) -> None:
        self._store = store
        self._stored = stored

    def get(self, indexes: Sequence[int], wait: Wait) -> Sequence[Chunk]:
        """Return the records of chunks, read in one request."""
        return self._store.read(self._stored.file_id, indexes, wait)

    def check(self) -> None:
        """Nothing: the format knows no more of the whole than its size."""
