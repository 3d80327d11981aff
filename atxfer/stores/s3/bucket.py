"""Signed requests to one bucket, and what their answers teach of the bucket and its server.

Two things are learnt from a refusal, and make it an error that may be tried again: that the bucket
lies in another region, and that the server's clock is another one (R30). A refusal that says what
is known already is final.
"""

from __future__ import annotations

import email.utils
import hashlib
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Optional
from urllib.parse import urlsplit

from atxfer._buffers import Buffer
from atxfer.config import MIB
from atxfer.errors import ServerFault, TransferError
from atxfer.stores.http import HttpTransport, Incoming, Response
from atxfer.stores.s3.failures import CLOCK_DIFFERS, Failure
from atxfer.stores.s3.names import Endpoint, Place
from atxfer.waiting import Wait

if TYPE_CHECKING:
    from atxfer.stores.s3.aws import Account

__all__ = ["Bucket", "timestamp"]

_UNSIGNED = "UNSIGNED-PAYLOAD"

_STATUSES = range(100, 600)
_ANY = 1 << 63

# How far the clocks may be apart, in seconds, before a refusal without a reason is put down to it.
# Amazon takes 15 minutes ("Authenticating requests"); others may take less.
_SKEW = 300.0
# How well an offset is known: a Date is whole seconds, and an answer may take a while.
_BLUR = 60.0

# Bytes a second below which a connection counts as stalled. At five requests at a time that is a
# line of 2.6 Mbit/s; and a smaller part than 5 MiB can't be had.
_SLOWEST = 64 * 1024


@dataclass(frozen=True)
class _Known:
    """What a signature depends on: where the bucket lies, and how much later it is there."""

    region: str
    offset: float = 0.0


class Bucket:
    """One bucket, as one account sees it.

    Args:
        place: Its name, and the keys that are of interest.
        transport: Sends requests.
        account: Who we are.
        endpoint: How URLs are made.
        region: Where the bucket is said to lie.
        request_timeout: Seconds for a request without a large body.

    Attributes:
        place: As given.
        etags_are_md5s: Whether the ETag of an object in parts is made of their MD5s: so it is at
            Amazon, unless it says otherwise, and where it was seen to be. It is never unlearnt.

    Threads: all methods may be called from several threads.
    """

    def __init__(
        self,
        place: Place,
        transport: HttpTransport,
        account: Account,
        endpoint: Endpoint,
        *,
        region: str,
        request_timeout: float,
    ) -> None:
        self.place = place
        self.etags_are_md5s = endpoint.url is None
        self._transport = transport
        self._account = account
        self._endpoint = endpoint
        self._request_timeout = request_timeout
        self._known = _Known(region)
        self._lock = threading.Lock()  # guards the exchange of _known

    def ask(
        self,
        method: str,
        key: str = "",
        *,
        wait: Wait,
        query: Optional[Mapping[str, Optional[str]]] = None,
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[Buffer] = None,
        is_checked: bool = False,
        expect: Collection[int] = (200,),
        max_bytes: int = MIB,
    ) -> Response:
        """Send one request and return the whole answer.

        Args, and what is raised, are those of :meth:`open`, and:
            max_bytes: The largest content to take.
        """
        with self.open(
            method,
            key,
            wait=wait,
            query=query,
            headers=headers,
            body=body,
            is_checked=is_checked,
            expect=expect,
            size=max_bytes if method == "GET" else 0,
        ) as incoming:
            return Response.of(incoming, max_bytes)

    def open(
        self,
        method: str,
        key: str = "",
        *,
        wait: Wait,
        query: Optional[Mapping[str, Optional[str]]] = None,
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[Buffer] = None,
        is_checked: bool = False,
        expect: Collection[int] = (200,),
        size: int = 0,
    ) -> Incoming:
        """Send one request and return its answer, whose content is still to be read.

        It has to be closed.

        Args:
            method: As ``GET``.
            key: Of the object; empty for the bucket itself.
            wait: Cancellation and deadline of the transfer this is for.
            query: Names and values; a value of None leaves the name alone.
            headers: What to sign beside the usual.
            body: What to send.
            is_checked: Whether the server verifies the body by other means than the signature.
            expect: Statuses that are returned.
            size: Bytes that are expected of a large content; it is given the time for them.

        Raises:
            AccessDenied: There are no credentials, or they are not good enough.
            TransferError: As :meth:`HttpTransport.request` does, or whatever the server answered.
        """
        known = self._known
        url = self._endpoint.of(self.place.bucket, key, known.region, query or {})
        signed_at = time.time() + known.offset
        answer = self._transport.open(
            method,
            url,
            wait=wait,
            headers=self._account.signed(
                method,
                url,
                headers or {},
                payload_hash=_payload_hash(url, body or b"", is_checked),
                region=known.region,
                now=signed_at,
                wait=wait,
            ),
            body=body,
            expect=_STATUSES,
            timeout=self._timeout(len(body or b"") + size),
        )
        if answer.status in expect:
            return answer
        with answer:
            failure = Failure(Response.of(answer), urlsplit(url).netloc)
        raise self._learn(failure, known, signed_at) or failure.error

    def head(
        self,
        key: str,
        wait: Wait,
        *,
        expect: Collection[int] = (200,),
        headers: Optional[Mapping[str, str]] = None,
    ) -> Response:
        """Ask what the server says of an object, as :meth:`ask` does."""
        # A HEAD's Content-Length is that of an object which does not come.
        return self.ask("HEAD", key, wait=wait, headers=headers, expect=expect, max_bytes=_ANY)

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Make a connection ready for a later request."""
        return self._transport.prepare(self._url(), wait, enough)

    def failure_of(self, answer: Response) -> Failure:
        """Return the failure that an answer with an expected status is or holds."""
        return Failure(answer, urlsplit(self._url()).netloc)

    def presigned(self, key: str, seconds: int, wait: Wait) -> tuple[str, float]:
        """Return an URL by which anybody can read an object, and the epoch second it ends at."""
        known = self._known
        url = self._endpoint.of(self.place.bucket, key, known.region, {})
        now = time.time() + known.offset
        return self._account.presigned(
            url, region=known.region, now=now, seconds=seconds, wait=wait
        )

    def _url(self) -> str:
        return self._endpoint.of(self.place.bucket, "", self._known.region, {})

    def _timeout(self, size: int) -> float:
        return self._request_timeout + size / _SLOWEST

    def _learn(self, failure: Failure, used: _Known, signed_at: float) -> Optional[TransferError]:
        """Take note of what a refusal says that was not known, and return the error for it."""
        if _is_region(failure) and failure.region != used.region:
            self._keep(replace(used, region=failure.region))
            return ServerFault(
                f"the bucket {self.place.bucket} lies in {failure.region}, not in {used.region}",
                remedy=f"Set AWS_DEFAULT_REGION={failure.region}.",
            )
        theirs = timestamp(failure.headers.get("Date", ""))
        if theirs is None or not _is_skewed(failure, theirs - signed_at):
            return None
        offset = theirs - time.time()
        if abs(offset - used.offset) < _BLUR:
            return None
        self._keep(replace(used, offset=offset))
        return ServerFault(
            f"the server's clock is {offset:+.0f} s from ours",
            remedy="Set this machine's clock, or the server's.",
        )

    def _keep(self, known: _Known) -> None:
        with self._lock:
            self._known = known

    def __repr__(self) -> str:
        return f"<Bucket {self.place}>"


def timestamp(text: str) -> Optional[float]:
    """Return the epoch seconds of a date in a header; None if it is none."""
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _payload_hash(url: str, body: Buffer, is_checked: bool) -> str:
    # Over TLS, a body that has a checksum gains nothing by a second one that takes twice to eight
    # times as long (measured: CRC 3.3 GiB/s, SHA-256 1.5 with the processor's help, 0.4 without).
    if is_checked and url.startswith("https:"):
        return _UNSIGNED
    return hashlib.sha256(body).hexdigest()


def _is_region(failure: Failure) -> bool:
    known = failure.region.replace("-", "").isalnum()
    return known and failure.region.isascii() and failure.status in (301, 307, 400, 403)


def _is_skewed(failure: Failure, seconds: float) -> bool:
    if failure.code == CLOCK_DIFFERS:
        return True
    return failure.status == 403 and abs(seconds) > _SKEW
