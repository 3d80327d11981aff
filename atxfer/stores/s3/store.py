"""Files as objects in a bucket of Amazon S3, or of a server that speaks as it does.

A chunk is a part of a multipart upload, so what one part may be, a chunk may be; a file of one
chunk is one PUT. Objects have no time to live here: ends are set by a bucket's life-cycle rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional, Union

from atxfer._buffers import Buffer
from atxfer.config import MIB, TransferConfig
from atxfer.errors import ChunkMissing, FileNotFound, NotFound, NotSupported, ProtocolViolation
from atxfer.stores.base import Capabilities, Leftover, ObjectInfo, StoredFile, UploadPlan
from atxfer.stores.http import HttpTransport, Response
from atxfer.stores.s3 import listing
from atxfer.stores.s3.bucket import Bucket, timestamp
from atxfer.stores.s3.checksums import plain_etag
from atxfer.stores.s3.download import S3Download, read_range
from atxfer.stores.s3.names import Endpoint, Place
from atxfer.stores.s3.parts import PartsUpload, remove
from atxfer.stores.s3.proof import ASKED, Proof
from atxfer.stores.s3.sending import Sender
from atxfer.stores.s3.whole import WholeUpload
from atxfer.waiting import Wait

if TYPE_CHECKING:
    from atxfer.stores.s3.aws import Account

__all__ = ["S3Store"]

# Amazon's limits of a multipart upload ("Amazon S3 multipart upload limits").
_LEAST_PART, _LARGEST_PART = 5 * MIB, 5 * 1024 * MIB
_MOST_PARTS = 10_000

# The longest that a signature is good for (Amazon S3 API reference, "Query parameters").
_LONGEST_URL = 7 * 86_400

_DEFAULT_REGION = "us-east-1"
_EXPIRY = re.compile(r'expiry-date="([^"]+)"')

_CAPABILITIES = Capabilities(
    max_request_bytes=_LARGEST_PART,
    max_read_bytes=_LARGEST_PART,
    max_chunk_bytes=_LARGEST_PART,
    min_chunk_bytes=_LEAST_PART,
    max_chunks=_MOST_PARTS,
    max_chunks_per_delete=1000,  # parts that one answer lists ("ListParts")
    # One PUT for what is no larger than boto3's threshold for parts. Above it the smallest parts:
    # six of them fit the default memory_budget, so that six requests may be in flight; of 8 MiB,
    # boto3's size, four. Larger ones only where there would be too many.
    chunk_ladder=((8 * MIB, 8 * MIB), (_MOST_PARTS * _LEAST_PART, _LEAST_PART)),
    max_default_chunk=_LARGEST_PART,
    target_chunks=_MOST_PARTS,
)


class S3Store:
    """A bucket, or what lies below a prefix of it.

    Args:
        address: ``s3://bucket`` or ``s3://bucket/prefix``.
        transport: Sends the requests.
        config: Time limits.
        endpoint_url: Of a server other than Amazon's; None for what boto3's configuration says.
        region: Where the bucket lies; None for what boto3's configuration says, or us-east-1. A
            server that says another one is believed.
        profile: Of boto3's configuration; None for ``AWS_PROFILE``, or the default one.

    Raises:
        ValueError: The address or endpoint_url is none.
        NotSupported: botocore is not installed.
        AccessDenied: There is no such profile, or the configuration can't be read.

    Attributes:
        endpoint_url: Of the server, whoever named it; None for Amazon's.

    Threads: all methods may be called from several threads.
    """

    capabilities = _CAPABILITIES
    learns = False

    def __init__(
        self,
        address: str,
        transport: HttpTransport,
        config: TransferConfig,
        *,
        endpoint_url: Optional[str] = None,
        region: Optional[str] = None,
        profile: Optional[str] = None,
    ) -> None:
        place = Place.parse(address)
        account = _account(profile)
        settings = account.settings
        self.endpoint_url = endpoint_url or settings.endpoint_url
        self._bucket = Bucket(
            place,
            transport,
            account,
            Endpoint(self.endpoint_url, settings.style, settings.fips, settings.dualstack),
            region=region or settings.region or _DEFAULT_REGION,
            request_timeout=config.request_timeout,
        )
        self._sender = Sender(self._bucket, checksums=settings.checksums)

    def learn(self, wait: Wait) -> None:
        """Ask nothing: S3 is S3."""

    # --- files

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Connect once more."""
        return self._bucket.prepare(wait, enough)

    def open_upload(
        self, plan: UploadPlan, wait: Wait, *, token: Optional[bytes] = None
    ) -> Union[WholeUpload, PartsUpload]:
        """Begin an upload, or go on with the parts of an earlier one.

        Raises:
            ValueError: The file would have too many parts, or no object can have its name; or this
                is no token.
        """
        key = self._bucket.place.key(plan.name or plan.file_id)
        if plan.chunks <= 1:
            return WholeUpload(self._bucket, self._sender, plan, key)
        if plan.chunks > _MOST_PARTS:
            least = -(-plan.size // _MOST_PARTS)
            raise ValueError(f"chunk_size must be at least {least:,} for a file of {plan.size:,}")
        upload_id = ""
        if token:
            key, upload_id = self._upload_of(token)
        return PartsUpload(self._bucket, self._sender, plan, key, upload_id)

    def open_download(self, stored: StoredFile, wait: Wait) -> S3Download:
        """Begin a download."""
        return S3Download(self._bucket, stored)

    def delete(self, stored: StoredFile, indexes: range, wait: Wait) -> None:
        """Remove the object, there or not."""
        key = self._bucket.place.key_of(stored.location["address"])
        answer = self._bucket.ask("DELETE", key, wait=wait, expect=(200, 204, 404))
        if answer.status == 404:
            _raise_unless_gone(self._bucket, answer)

    def extend(self, stored: StoredFile, indexes: range, ttl: float, wait: Wait) -> None:
        """Ask whether the object is there: it has no time to live that could be extended.

        Raises:
            ChunkMissing: It is not.
        """
        address = stored.location["address"]
        answer = self._bucket.head(self._bucket.place.key_of(address), wait, expect=(200, 404))
        if answer.status == 404:
            raise ChunkMissing(f"{address} is not there any more")

    # --- objects

    def stat(self, address: str, wait: Wait) -> ObjectInfo:
        """Ask for one object.

        Raises:
            ValueError: The address names nothing below the store's.
            FileNotFound: There is no such object, or no such bucket.
        """
        key = self._bucket.place.key_of(address)
        answer = self._bucket.head(key, wait, expect=(200, 404), headers=ASKED)
        if answer.status == 404:
            raise FileNotFound(f"there is no {address}")
        return _info(address, listing.name_of(key), answer)

    def read(self, info: ObjectInfo, start: int, stop: int, wait: Wait) -> Buffer:
        """Return exactly these bytes of an object.

        Raises:
            ChunkMissing: It is gone.
            ChunkCorrupt: It is another version than ``info`` tells of.
        """
        if start == stop:
            return b""
        key = self._bucket.place.key_of(info.address)
        span = (start, stop)
        return read_range(
            self._bucket, key, span, version=info.version, size=info.size, wait=wait
        ).data

    def objects(self, wait: Wait) -> Sequence[ObjectInfo]:
        """Return all that lie below the store's address; a request for each thousand."""
        return list(listing.objects(self._bucket, wait))

    def url(
        self, info: ObjectInfo, ttl: Optional[float], wait: Wait
    ) -> tuple[str, Optional[float]]:
        """Return a presigned URL, and when it ends: with temporary credentials, when they do.

        Raises:
            ValueError: No signature is good for so long, or for less than a second.
        """
        seconds = _LONGEST_URL if ttl is None else int(ttl)
        if not 1 <= seconds <= _LONGEST_URL:
            raise ValueError(f"a link to S3 is good for 1 second to 7 days, not for {ttl:g} s")
        return self._bucket.presigned(self._bucket.place.key_of(info.address), seconds, wait)

    def leftovers(self, wait: Wait) -> Sequence[Leftover]:
        """Return the uploads that did not end; a request for each thousand."""
        return list(listing.leftovers(self._bucket, wait))

    def examine(self, leftover: Leftover, wait: Wait) -> Optional[Leftover]:
        """Return it with the bytes of its parts, and when the last came; None if it is gone.

        A request for each thousand parts.
        """
        try:
            return listing.examined(self._bucket, leftover, wait)
        except NotFound:
            return None

    def address_of(self, name: str) -> Optional[str]:
        """Return where an object of this name lies."""
        return self._bucket.place.address(self._bucket.place.key(name))

    def drop(self, leftover: Leftover, wait: Wait) -> None:
        """Remove the parts of an upload that did not end."""
        key, upload_id = self._upload_of(leftover.token)
        remove(self._bucket, key, upload_id, wait)

    def _upload_of(self, token: bytes) -> tuple[str, str]:
        """Return the key and the id that a token holds, if they are of this place."""
        key, upload_id = listing.upload_of(token)
        return self._bucket.place.key_of(self._bucket.place.address(key)), upload_id

    def __repr__(self) -> str:
        return f"<S3Store {self._bucket.place}>"


def _account(profile: Optional[str]) -> Account:
    """Return who we are; botocore is an extra, and takes its time to load."""
    try:
        from atxfer.stores.s3.aws import Account
    except ImportError as error:
        raise NotSupported(
            "S3 needs botocore, which is not installed", remedy="pip install 'atxfer[s3]'"
        ) from error
    return Account(profile)


def _raise_unless_gone(bucket: Bucket, answer: Response) -> None:
    failure = bucket.failure_of(answer)
    if failure.code not in ("NoSuchKey", ""):
        raise failure.error


def _info(address: str, name: str, answer: Response) -> ObjectInfo:
    headers = answer.headers
    size = headers.get("Content-Length", "")
    if not (size.isascii() and size.isdigit()):
        raise ProtocolViolation("the server does not say how large the object is")
    expiry = _EXPIRY.search(headers.get("x-amz-expiration", ""))
    return ObjectInfo(
        address=address,
        name=name,
        size=int(size),
        version=plain_etag(headers.get("ETag", "")),
        modified_at=timestamp(headers.get("Last-Modified", "")),
        expires_at=timestamp(expiry[1]) if expiry else None,
        proof=str(Proof.told(headers)),
    )
