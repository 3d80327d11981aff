"""Files on their way to S3 in parts.

A chunk is a part. Rules of this file:

1. Create and Complete are the two calls that must not be repeated blindly (R10). A second Create
   leaves an upload without parts behind, which ``leftovers`` finds. A second Complete may meet the
   success of the first as "no such upload": then the object is asked for, and known by the file id
   in its metadata (R9).
2. Complete may fail with status 200; its body is read for that.
3. The whole is verified by what the server says of it: the checksum of its parts' checksums, or
   else an ETag that is the MD5 of its parts' MD5s. Not every server makes such ETags (rclone's
   backend/s3 lists some that don't), so another one proves nothing, unless this server was seen to
   make them; then the size is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Optional
from xml.sax.saxutils import escape

from atxfer.errors import (
    ChecksumMismatch,
    ChunkMissing,
    ProtocolViolation,
    ServerFault,
    TransferError,
)
from atxfer.model import Chunk
from atxfer.stores.base import StoredFile, UploadPlan
from atxfer.stores.http import Response
from atxfer.stores.s3.answers import Element, parse
from atxfer.stores.s3.bucket import Bucket
from atxfer.stores.s3.checksums import composite_crc32, composite_etag, plain_etag
from atxfer.stores.s3.failures import NO_SUCH_UPLOAD
from atxfer.stores.s3.listing import listed_parts, token_of
from atxfer.stores.s3.proof import PART_BYTES, Proof
from atxfer.stores.s3.sending import Sender, Sent
from atxfer.stores.s3.whole import stored_file
from atxfer.waiting import Wait

__all__ = ["PartsUpload", "remove"]

# Metadata by which an upload knows the object that it made.
_FILE_ID = "x-amz-meta-atxfer-id"

_REMEDY = "The object was left where it is. Upload the file again."


class PartsUpload:
    """A file that is sent in parts.

    Args:
        bucket: Where it goes.
        sender: Sends parts.
        plan: How it is cut up.
        key: What it will be called.
        upload_id: Of an upload that was begun before; empty for a new one.

    Threads: parts may be sent by several.
    """

    commits = True

    def __init__(
        self, bucket: Bucket, sender: Sender, plan: UploadPlan, key: str, upload_id: str = ""
    ) -> None:
        self._bucket = bucket
        self._sender = sender
        self._plan = plan
        self._key = key
        self._upload_id = upload_id
        self._sent: dict[int, Sent] = {}  # by number, which is the index of the chunk and one
        self._lock = threading.Lock()  # guards _sent

    @property
    def begins(self) -> bool:
        """Whether the server has to be told first."""
        return not self._upload_id

    @property
    def token(self) -> bytes:
        """The key, and what the server calls the upload."""
        return token_of(self._key, self._upload_id) if self._upload_id else b""

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Connect once more, while the upload is begun."""
        return self._bucket.prepare(wait, enough)

    def begin(self, wait: Wait) -> None:
        """Have the server give the upload an id."""
        headers = {_FILE_ID: self._plan.file_id, PART_BYTES: str(self._plan.offset(1))}
        if self._sender.checksums:
            headers["x-amz-checksum-algorithm"] = "CRC32"
            headers["x-amz-checksum-type"] = "COMPOSITE"
        answer = self._bucket.ask(
            "POST",
            self._key,
            wait=wait,
            query={"uploads": None},
            headers=headers,
            body=b"",
            expect=(200, 501),
        )
        self._sender.check_understood(answer)
        upload_id = parse(answer.content).value("UploadId")
        if not upload_id:
            raise ProtocolViolation("the server began an upload, and gave it no id")
        self._upload_id = upload_id

    def put(self, chunks: Sequence[Chunk], wait: Wait) -> None:
        """Send a chunk as a part; a repetition takes the place of the first."""
        (chunk,) = chunks
        number = chunk.index + 1
        query = {"partNumber": str(number), "uploadId": self._upload_id}
        sent = self._sender.put(self._key, chunk.data, wait, query)
        with self._lock:
            self._sent[number] = sent

    def stored(self, indexes: range, wait: Wait) -> frozenset[int]:
        """Return which of these chunks the server holds in full."""
        numbers = range(indexes.start + 1, indexes.stop + 1)
        held = {
            number: sent
            for number, sent in self._listed(numbers, wait)
            if sent.size == self._size(number)
        }
        with self._lock:
            self._sent.update(held)
        return frozenset(number - 1 for number in held)

    def commit(self, wait: Wait) -> StoredFile:
        """Have the server make one object of the parts."""
        sent = self._all_sent(wait)
        answer = self._bucket.ask(
            "POST",
            self._key,
            wait=wait,
            query={"uploadId": self._upload_id},
            body=_part_list(sent),
            expect=(200, 404),
        )
        told = _completed(answer)
        if told is not None:
            etag = plain_etag(told.value("ETag"))
            return self._verified(sent, etag, told.value("ChecksumCRC32"), wait)
        failure = self._bucket.failure_of(answer)
        if failure.code != NO_SUCH_UPLOAD:
            raise failure.error
        return self._verified(sent, self._own_object(failure.error, wait), "", wait)

    def abort(self, wait: Wait) -> None:
        """Have the server remove the parts."""
        if self._upload_id:
            remove(self._bucket, self._key, self._upload_id, wait)

    def _listed(self, numbers: range, wait: Wait) -> Iterator[tuple[int, Sent]]:
        return listed_parts(self._bucket, self._key, self._upload_id, numbers, wait)

    def _size(self, number: int) -> int:
        """Return how many bytes a part should have."""
        plan = self._plan
        stop = plan.stored_bytes if number == plan.chunks else plan.offset(number)
        return stop - plan.offset(number - 1)

    def _all_sent(self, wait: Wait) -> list[Sent]:
        """Return the parts in order; those of an earlier run are asked for."""
        chunks = self._plan.chunks
        with self._lock:
            known = len(self._sent)
        if known < chunks:
            self.stored(range(chunks), wait)
        with self._lock:
            missing = [n for n in range(1, chunks + 1) if n not in self._sent]
            if missing:
                raise ChunkMissing("a part is not on the server (any more)", chunk=missing[0] - 1)
            return [self._sent[number] for number in range(1, chunks + 1)]

    # --- what came of it

    def _own_object(self, gone: TransferError, wait: Wait) -> str:
        """Return the ETag of the object, if it is the one that this upload made."""
        answer = self._bucket.head(self._key, wait, expect=(200, 404))
        if answer.status != 200 or answer.headers.get(_FILE_ID) != self._plan.file_id:
            raise gone
        return plain_etag(answer.headers.get("ETag", ""))

    def _verified(self, sent: list[Sent], etag: str, checksum: str, wait: Wait) -> StoredFile:
        """Return where the file lies, if it is all there."""
        is_composite = etag == composite_etag([part.etag for part in sent])
        if is_composite:
            self._bucket.etags_are_md5s = True
        checksums = [part.crc32 for part in sent]
        if all(checksums) and checksum.endswith(f"-{len(sent)}"):
            if checksum != composite_crc32(checksums):
                text = f"the object's checksum is {checksum}, which its parts don't have"
                raise ChecksumMismatch(text, remedy=_REMEDY)
        elif not is_composite:
            self._check_otherwise(sent, etag, wait)
            checksum = ""
        proof = Proof(self._plan.offset(1), checksum)
        return stored_file(self._bucket, self._plan, self._key, etag, proof)

    def _check_otherwise(self, sent: list[Sent], etag: str, wait: Wait) -> None:
        is_of_md5s = self._bucket.etags_are_md5s and all(part.has_md5 for part in sent)
        if is_of_md5s and etag.endswith(f"-{len(sent)}"):
            text = f"the object's ETag is {etag}, which its parts don't have"
            raise ChecksumMismatch(text, remedy=_REMEDY)
        answer = self._bucket.head(self._key, wait)
        size = answer.headers.get("Content-Length", "")
        if size != str(self._plan.stored_bytes):
            raise ChecksumMismatch(
                f"the object has {size} bytes instead of {self._plan.stored_bytes}", remedy=_REMEDY
            )


def remove(bucket: Bucket, key: str, upload_id: str, wait: Wait) -> None:
    """Have the server remove the parts of an upload, there or not."""
    query = {"uploadId": upload_id}
    answer = bucket.ask("DELETE", key, wait=wait, query=query, expect=(200, 204, 404))
    if answer.status == 404:
        failure = bucket.failure_of(answer)
        if failure.code not in (NO_SUCH_UPLOAD, ""):
            raise failure.error


def _part_list(sent: Sequence[Sent]) -> bytes:
    """Return the body of Complete."""
    entries = []
    for number, part in enumerate(sent, 1):
        checksum = f"<ChecksumCRC32>{escape(part.crc32)}</ChecksumCRC32>" if part.crc32 else ""
        etag = escape(f'"{part.etag}"')
        entries.append(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{checksum}</Part>"
        )
    root = 'CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    return f"<{root}>{''.join(entries)}</CompleteMultipartUpload>".encode()


def _completed(answer: Response) -> Optional[Element]:
    """Return what the server says of the object; None if it says that there is none.

    Raises:
        ServerFault: It says neither; so it has to be asked again.
    """
    if answer.status != 200:
        return None
    try:
        told = parse(answer.content)
    except ProtocolViolation as error:
        raise ServerFault("the server said nothing that can be read of a whole upload") from error
    return None if told.name == "Error" else told
