"""The requests of tus 1.0.0, one call each, and what their answers mean.

Rules of this file (peers.md R8, R24):

1. No request leaves for another scheme, host or port than that of the store's address, and no
   redirect is followed.
2. Nothing is repeated but a request that was refused for credentials that have changed since.
"""

from __future__ import annotations

import logging
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from atxfer._buffers import Buffer
from atxfer.errors import LoginRefused, NotSupported, ProtocolViolation
from atxfer.stores.http import HttpTransport, Incoming, Response
from atxfer.stores.tus.credentials import Credentials
from atxfer.stores.tus.failures import AGAIN, KNOWN, REDIRECTS, failure, moved
from atxfer.stores.tus.protocol import (
    CORE,
    OFFSET_STREAM,
    VERSION,
    Features,
    checksum_of,
    features_of,
    number_in,
    origin_of,
    url_of_upload,
)
from atxfer.waiting import Wait

__all__ = ["Created", "State", "TusServer"]

_log = logging.getLogger("atxfer.tus")


# What servers without the method answer, those that ask for it only of browsers included.
_NO_OPTIONS = (400, 403, 404, 405, 501)

# How often the time for one request a server gets that puts parts together: the time to write what
# it has taken in some tens of requests.
_COPYING = 10


@dataclass(frozen=True)
class Created:
    """An upload that the server has made.

    Attributes:
        url: Where it is.
        offset: How many bytes the server took along with the request, or None if it doesn't say.
    """

    url: str
    offset: Optional[int]


@dataclass(frozen=True)
class State:
    """How far an upload is, as the server says it.

    Attributes:
        offset: Bytes it has; None where it is putting parts together still.
        length: Bytes it is to have, or None if it doesn't say.
        headers: All that the server said.
    """

    offset: Optional[int]
    length: Optional[int]
    headers: Mapping[str, str]


class TusServer:
    """A tus server, by the URL that uploads are created at.

    Args:
        address: That URL, without login and fragment.
        transport: Sends the requests.
        credentials: What goes with each of them.
        request_timeout: Seconds for one of them.

    Attributes:
        gives_parts: Whether it gives parts of a file; None as long as nobody has asked for one.

    Threads: may be shared. Two that come first at the same time may both ask for the features.
    """

    def __init__(
        self,
        address: str,
        transport: HttpTransport,
        credentials: Credentials,
        *,
        request_timeout: float,
    ) -> None:
        self.address = address
        self.name = urllib.parse.urlsplit(address).netloc
        self._origin = origin_of(address)
        self._transport = transport
        self._credentials = credentials
        self._request_timeout = request_timeout
        self._features: Optional[Features] = None
        self.gives_parts: Optional[bool] = None

    @property
    def known(self) -> Features:
        """What the server can do, as far as is known without a request."""
        return self._features or CORE

    @property
    def has_told(self) -> bool:
        """Whether the server was asked what it can do."""
        return self._features is not None

    def owns(self, url: str) -> bool:
        """Whether a URL is on this server."""
        try:
            return origin_of(url) == self._origin
        except ValueError:
            return False

    # --- requests

    def features(self, wait: Wait) -> Features:
        """Return what the server can do; it is asked once.

        Raises:
            NotSupported: It speaks other versions of tus only.
            TransferError: It can't be asked.
        """
        if self._features is None:
            answer = self._ask("OPTIONS", self.address, wait, expect=(200, 204, *_NO_OPTIONS))
            told = answer.status in (200, 204)
            self._features = features_of(answer.headers, self.name) if told else CORE
            if not self._features.told:
                _log.info("tus.assumed server=%s status=%d", self.name, answer.status)
        return self._features

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Make a connection ready for a later request."""
        return self._transport.prepare(self.address, wait, enough)

    def create(
        self, headers: Mapping[str, str], wait: Wait, body: Optional[Buffer] = None
    ) -> Created:
        """Make an upload.

        Args:
            headers: What it is to be.
            wait: Cancellation and deadline of the transfer this is for.
            body: Its first bytes, for a server with ``creation-with-upload``; or None.

        Raises:
            FileTooLarge, RequestTooLarge: The server takes no upload, or no request, of this size.
            ProtocolViolation: It sends us somewhere that we must not go.
        """
        given = dict(headers)
        if body is not None:
            given.update({"Content-Type": OFFSET_STREAM, **self._checksum(body)})
        answer = self._tus("POST", self.address, wait, given, body, expect=(200, 201))
        return Created(
            self._location(answer), number_in(answer.headers, "Upload-Offset", self.name)
        )

    def concatenate(self, headers: Mapping[str, str], wait: Wait) -> str:
        """Make a file of several uploads, and return its URL.

        A server may have to copy them all before it answers, so it is given more time.

        Raises:
            NotFound: One of them is gone.
        """
        timeout = _COPYING * self._request_timeout
        answer = self._tus("POST", self.address, wait, headers, expect=(201,), timeout=timeout)
        return self._location(answer)

    def _location(self, answer: Response) -> str:
        return url_of_upload(answer.headers.get("Location", ""), self.address, self.name)

    def append(self, url: str, offset: int, body: Buffer, wait: Wait) -> Optional[int]:
        """Send bytes to an upload, and return how far it is then.

        Returns:
            The new offset; None if the server did nothing, because it has another one than we said.

        Raises:
            ChunkCorrupt: What came there has not the checksum of what was sent.
            NotFound: The upload is gone.
        """
        headers = {
            "Upload-Offset": str(offset),
            "Content-Type": OFFSET_STREAM,
            **self._checksum(body),
        }
        answer = self._tus("PATCH", url, wait, headers, body, expect=(200, 204, 409))
        if answer.status == 409:
            return None
        reached = number_in(answer.headers, "Upload-Offset", self.name)
        if reached is None:
            raise ProtocolViolation(f"{self.name} doesn't say how much it took", remedy=AGAIN)
        return reached

    def state(self, url: str, wait: Wait) -> State:
        """Return how far an upload is.

        Raises:
            NotFound: It is gone.
        """
        answer = self._tus("HEAD", url, wait, {}, expect=(200, 204))
        offset = number_in(answer.headers, "Upload-Offset", self.name)
        length = number_in(answer.headers, "Upload-Length", self.name)
        return State(offset, length, answer.headers)

    def terminate(self, url: str, wait: Wait) -> None:
        """Remove an upload, there or not.

        Raises:
            NotSupported: The server lets nobody do that.
        """
        answer = self._tus("DELETE", url, wait, {}, expect=(200, 204, 404, 405, 410, 501))
        if answer.status in (405, 501):
            raise NotSupported(f"{self.name} lets nobody remove an upload")

    def get(self, url: str, headers: Mapping[str, str], wait: Wait) -> Incoming:
        """Return the answer to a ``GET``: 200, 206, 404, 410, 412 or 416."""
        expect = (200, 206, 404, 410, 412, 416)
        return self._open("GET", url, wait, headers, expect=expect)

    # --- how they are sent

    def _checksum(self, body: Optional[Buffer]) -> dict[str, str]:
        digest = self.known.checksum
        if digest is None or body is None:
            return {}
        return {"Upload-Checksum": checksum_of(digest, body)}

    def _tus(
        self,
        method: str,
        url: str,
        wait: Wait,
        headers: Mapping[str, str],
        body: Optional[Buffer] = None,
        *,
        expect: tuple[int, ...],
        timeout: Optional[float] = None,
    ) -> Response:
        """Send a request of tus; raise what a status means there."""
        given = {**headers, "Tus-Resumable": VERSION}
        every = (*expect, *KNOWN)
        answer = self._ask(method, url, wait, given, body, expect=every, timeout=timeout)
        if answer.status not in expect:
            raise failure(answer, self.name, method, 0 if body is None else len(body))
        return answer

    def _ask(
        self,
        method: str,
        url: str,
        wait: Wait,
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[Buffer] = None,
        *,
        expect: tuple[int, ...],
        timeout: Optional[float] = None,
    ) -> Response:
        """Send a request, and return the whole answer."""
        with self._open(
            method, url, wait, headers, body, expect=expect, timeout=timeout
        ) as incoming:
            return Response.of(incoming)

    def _open(
        self,
        method: str,
        url: str,
        wait: Wait,
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[Buffer] = None,
        *,
        expect: tuple[int, ...],
        timeout: Optional[float] = None,
    ) -> Incoming:
        assert self.owns(url)  # noqa: S101  # rule 1: whoever calls has seen to it

        def send(credentials: Mapping[str, str]) -> Incoming:
            return self._transport.open(
                method,
                url,
                wait=wait,
                headers={**credentials, **(headers or {})},
                body=body,
                expect=(*expect, *REDIRECTS),
                timeout=timeout,
            )

        given = self._credentials.headers()
        try:
            answer = send(given)
        except LoginRefused:
            renewed = self._credentials.headers()
            if renewed == given:
                raise
            answer = send(renewed)
        if answer.status in REDIRECTS:
            with answer:
                raise moved(answer.headers, self.name, url)
        return answer
