"""Files on their way to S3 in one request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Optional

from atxfer.model import Chunk
from atxfer.stores.base import ObjectInfo, StoredFile, UploadPlan
from atxfer.stores.s3.bucket import Bucket
from atxfer.stores.s3.listing import name_of
from atxfer.stores.s3.proof import Proof
from atxfer.stores.s3.sending import Sender, Sent
from atxfer.waiting import Wait

__all__ = ["WholeUpload", "stored_file"]


class WholeUpload:
    """A file that fits one request; there is nothing to begin, and nothing to end."""

    begins = False
    token = b""

    def __init__(self, bucket: Bucket, sender: Sender, plan: UploadPlan, key: str) -> None:
        self._bucket = bucket
        self._sender = sender
        self._plan = plan
        self._key = key
        self._sent: Optional[Sent] = None

    @property
    def commits(self) -> bool:
        """Whether there is still something to send: a file without any chunk."""
        return self._plan.chunks == 0

    def begin(self, wait: Wait) -> None:
        """Ask nothing."""

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Make none: the request that needs it does."""
        return False

    def put(self, chunks: Sequence[Chunk], wait: Wait) -> None:
        """Send the file."""
        (chunk,) = chunks
        self._sent = self._sender.put(self._key, chunk.data, wait)

    def stored(self, indexes: range, wait: Wait) -> frozenset[int]:
        """Return none: what of a single request has arrived can't be told apart."""
        return frozenset()

    def commit(self, wait: Wait) -> StoredFile:
        """Return where the file lies."""
        if self.commits:
            self._sent = self._sender.put(self._key, b"", wait)
        assert self._sent is not None  # noqa: S101  # all chunks are stored
        proof = Proof(crc32=self._sent.crc32)
        return stored_file(self._bucket, self._plan, self._key, self._sent.etag, proof)

    def abort(self, wait: Wait) -> None:
        """Ask nothing: there is nothing but the whole."""


def stored_file(bucket: Bucket, plan: UploadPlan, key: str, etag: str, proof: Proof) -> StoredFile:
    """Return where a file lies that was just uploaded."""
    info = ObjectInfo(
        address=bucket.place.address(key),
        name=plan.name or name_of(key),
        size=plan.stored_bytes,
        version=etag,
        proof=str(proof),
    )
    return StoredFile(
        plan.file_id, "", plan.chunks, asdict(info), plan.size, plan.chunk_size, plan.overhead
    )
