"""A body that is sent, and proof that the server has the same.

A server that knows ``x-amz-checksum-crc32`` verifies it and says it again in its answer. For one
that has not been seen to do so, the body's SHA-256 is part of the signature, which every server
verifies; and where it says an MD5 as ETag, that is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from atxfer._buffers import Buffer
from atxfer.errors import ChunkCorrupt, ServerFault
from atxfer.stores.http import Response
from atxfer.stores.s3.bucket import Bucket
from atxfer.stores.s3.checksums import crc32, has_md5_etags, is_md5, md5_hex, plain_etag
from atxfer.stores.s3.proof import CRC
from atxfer.waiting import Wait

__all__ = ["Sender", "Sent"]

_NOT_IMPLEMENTED = 501


@dataclass(frozen=True)
class Sent:
    """A body that the server has.

    Attributes:
        etag: What the server calls it, without quotes.
        crc32: Its checksum, if the server keeps it; else empty.
        size: Bytes.
        has_md5: Whether the ETag is known to be an MD5.
    """

    etag: str
    crc32: str
    size: int
    has_md5: bool = False


class Sender:
    """Sends bodies to one bucket.

    Args:
        bucket: Where they go.
        checksums: Whether to send checksums of the newer kind.

    Threads: may be shared. Two that learn of the server at a time learn the same.
    """

    def __init__(self, bucket: Bucket, *, checksums: bool) -> None:
        self._bucket = bucket
        self.checksums = checksums
        self._is_proven = False

    def put(
        self, key: str, data: Buffer, wait: Wait, query: Optional[Mapping[str, str]] = None
    ) -> Sent:
        """Send a body, in one request.

        Raises:
            ChunkCorrupt: The server has something else.
            TransferError: As :meth:`Bucket.ask` does.
        """
        checksum = crc32(data) if self.checksums else ""
        headers = {CRC: checksum} if checksum else {}
        answer = self._bucket.ask(
            "PUT",
            key,
            wait=wait,
            query=query,
            headers=headers,
            body=data,
            is_checked=self._is_proven and bool(checksum),
            expect=(200, _NOT_IMPLEMENTED),
        )
        self.check_understood(answer)
        return self._proven(data, checksum, answer.headers)

    def check_understood(self, answer: Response) -> None:
        """Do without checksums if that is what the server doesn't know.

        Raises:
            ServerFault: So it seems; to be tried again without them.
            TransferError: It is something else that it doesn't know.
        """
        if answer.status != _NOT_IMPLEMENTED:
            return
        failure = self._bucket.failure_of(answer)
        if not self.checksums:
            raise failure.error
        self.checksums = False
        raise ServerFault(f"{failure.text}: tried again without newer checksums")

    def _proven(self, data: Buffer, checksum: str, headers: Mapping[str, str]) -> Sent:
        etag = plain_etag(headers.get("ETag", ""))
        told = headers.get(CRC, "") if checksum else ""
        if told:
            if told != checksum:
                raise _other(f"checksum {told} instead of {checksum}")
            self._is_proven = True
        has_md5 = is_md5(etag) and has_md5_etags(headers)
        if has_md5 and not told and etag != md5_hex(data):
            raise _other(f"ETag {etag}, which is not its MD5")
        return Sent(etag, told, len(data), has_md5)


def _other(what: str) -> ChunkCorrupt:
    return ChunkCorrupt(
        f"the server has something else than was sent: {what}",
        remedy="Try again; if it happens again, the server or the network damages data.",
    )
