"""Requests by HTTP, each with a time limit as a whole, each to be cancelled within a second.

Rules of this file:

1. Requests are made by requests' adapter without its Session, which would follow redirects, send
   credentials of ``.netrc`` and keep cookies, and is not promised to be thread-safe (R6, R24).
2. One connection serves one request at a time; as many are kept as there may be requests.
3. Certificates are always verified. Proxies are those of the environment, as requests finds them.
4. Foreign errors end here: what is no error of ours becomes one, once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import ssl
import threading
import urllib.parse
import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Optional, Union

import requests
from requests.utils import get_environ_proxies, get_netrc_auth, select_proxy
from urllib3.exceptions import HTTPError

from atxfer._buffers import Buffer
from atxfer._net.address import Address
from atxfer._net.stream import SocketStream, connect, tls_context
from atxfer._version import __version__
from atxfer.config import MIB, TransferConfig
from atxfer.errors import Cancelled, NetworkError, ProxyRefused
from atxfer.stores.http.dialling import Adapter, Channel, Exchange
from atxfer.stores.http.incoming import Incoming, ours
from atxfer.stores.http.statuses import error_for_status
from atxfer.waiting import Deadline, Wait

__all__ = ["HttpTransport", "Response", "https_context", "netrc_login"]

# The one protocol that is spoken; it is offered by ALPN, and chosen where ALPN is known.
HTTP = "http/1.1"

# Read as it is on the wire: compression would let a small answer fill the memory.
_HEADERS = {"User-Agent": f"atxfer/{__version__}", "Accept-Encoding": "identity", "Accept": "*/*"}

_PORTS = {"http": 80, "https": 443}

_PROXY_VARIABLES = (
    *("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
    *("no_proxy", "NO_PROXY", "REQUEST_METHOD"),  # the last disarms HTTP_PROXY in a CGI script
)

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

# Seconds for which a connection may wait for its first request: servers end those that are silent,
# and whether one has done so can't be told, since over TLS 1.3 there is always something to read.
_FRESH = 5.0

# Bytes of an unwanted answer that are read rather than paid for by a new connection.
_DRAINED = 16 * 1024


def https_context(ca_file: Optional[Union[str, os.PathLike[str]]] = None) -> ssl.SSLContext:
    """Return how HTTPS servers are verified.

    Args:
        ca_file: PEM file of the authorities to trust; None for those that ``REQUESTS_CA_BUNDLE`` or
            ``CURL_CA_BUNDLE`` name, a file or a folder, as with requests; or else the system's.

    Raises:
        OSError, ValueError: As :func:`atxfer._net.stream.tls_context` does.
    """
    named = ca_file or next(filter(None, map(os.environ.get, _BUNDLES)), None)
    if named is None or not Path(named).is_dir():
        return tls_context(named, protocols=[HTTP])
    context = ssl.create_default_context(capath=os.fspath(named))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([HTTP])
    return context


@dataclass(frozen=True)
class Response:
    """An answer, whole.

    Attributes:
        status: One of those that were expected.
        headers: By name in any case.
        content: The body as it came: nothing is decompressed.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @classmethod
    def of(cls, incoming: Incoming, max_bytes: int = MIB) -> Response:
        """Return an answer with its content, read as :meth:`Incoming.all` does."""
        return cls(incoming.status, incoming.headers, incoming.all(max_bytes))


@dataclass(frozen=True)
class _Ready:
    """A connection that was made beforehand, and until when it is used."""

    stream: SocketStream
    until: Deadline


class HttpTransport:
    """Sends requests to HTTP servers.

    Args:
        context: From :func:`https_context`; how servers are verified.
        config: Time limits.
        width: How many connections to one server are kept: as many as there may be requests.

    Threads: may be shared.
    """

    def __init__(self, context: ssl.SSLContext, config: TransferConfig, *, width: int) -> None:
        self._context = context
        self._config = config
        self._width = width
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._adapter = Adapter(self._width)
        self._channels: weakref.WeakSet[Channel] = weakref.WeakSet()
        self._ready: dict[tuple[str, Address], list[_Ready]] = {}  # by scheme and server
        self._connecting = 0  # how many are being made
        self._under_way: set[Exchange] = set()
        self._opened = 0
        self._lock = threading.Lock()  # guards all of these but the adapter, and _closed

    @property
    def opened(self) -> int:
        """How many connections were made."""
        return self._opened

    def request(
        self,
        method: str,
        url: str,
        *,
        wait: Wait,
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[Buffer] = None,
        expect: Collection[int] = (200,),
        timeout: Optional[float] = None,
        max_bytes: int = MIB,
    ) -> Response:
        """Send one request and return the whole answer.

        Nothing is tried again, and no redirect is followed. A body is sent at once, with its length
        and without ``Expect: 100-continue`` (R7).

        Args:
            method: As ``GET``.
            url: Whole, percent-encoded.
            wait: Cancellation and deadline of the transfer this is for.
            headers: Beside the usual ones, which they may replace.
            body: What to send; not copied.
            expect: Statuses that are returned; others are raised.
            timeout: Seconds for it once there is a connection, from its first byte to the last of
                the answer; None for the configuration's ``request_timeout``.
            max_bytes: The largest content to take.

        Raises:
            ConnectFailed, CertificateRejected: As :func:`atxfer._net.stream.connect` does.
            ProxyRefused: The proxy of the environment can't be used, or doesn't let us through.
            ConnectionLost: The connection ended before the answer did.
            RequestTimeout: The whole answer was not there in time.
            ProtocolViolation: What came is no HTTP, or is too large.
            TransferError: The status is none of those expected; see :func:`error_for_status`.
            Cancelled: The transfer was cancelled, or the transport closed.
            DeadlineExceeded: The transfer's own deadline passed.
            ValueError: The URL or a header can't be sent.
        """
        with self.open(
            method,
            url,
            wait=wait,
            headers=headers,
            body=body,
            expect=expect,
            timeout=timeout,
        ) as incoming:
            return Response.of(incoming, max_bytes)

    def open(
        self,
        method: str,
        url: str,
        *,
        wait: Wait,
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[Buffer] = None,
        expect: Collection[int] = (200,),
        timeout: Optional[float] = None,
    ) -> Incoming:
        """Send one request and return its answer, whose content is still to be read.

        Arguments and errors are those of :meth:`request`. It has to be closed.
        """
        prepared = requests.Request(method, url, headers={**_HEADERS, **(headers or {})}).prepare()
        if body is not None:
            prepared.body = body  # type: ignore[assignment]  # http.client sends any buffer
            prepared.headers["Content-Length"] = str(memoryview(body).nbytes)
        server = _server(str(prepared.url))
        limit = self._config.request_timeout if timeout is None else timeout
        exchange = Exchange(wait, limit, self._dial)
        wait.check()
        self._enter(exchange)
        try:
            with ours(exchange, server, self._check_open):
                answer = self._send(exchange, prepared, server, expect)
        except BaseException:
            self._leave(exchange)
            raise
        return Incoming(
            answer,
            exchange,
            server,
            check_open=self._check_open,
            on_end=lambda: self._leave(exchange),
        )

    def adopt(self, stream: SocketStream, address: Address) -> None:
        """Take over a fresh TLS connection to a server, for the next request to it.

        Raises:
            Cancelled: The transport is closed; the connection is ended.
        """
        self._shelve("https", stream, address)

    def prepare(self, url: str, wait: Wait, enough: int) -> bool:
        """Connect for a later request, unless there are enough connections, or as many as are kept.

        Args:
            url: Of anything on the server.
            wait: Cancellation and deadline of the transfer this is for.
            enough: How many there are to be, in use or not.

        Returns:
            Whether one was made.

        Raises:
            TransferError: As :meth:`request` does for want of a connection.
        """
        if _proxies(url):
            return False  # the connection would be the proxy's
        with self._lock:
            self._check_open()
            ready = len(self._all_ready())
            used = sum(channel.is_open for channel in self._channels)
            if ready + used + self._connecting >= min(enough, self._width):
                return False
            self._connecting += 1
        try:
            parts = urllib.parse.urlsplit(url)
            address = Address(parts.hostname or "", parts.port or _PORTS[parts.scheme])
            self._shelve(parts.scheme, self._connect(parts.scheme, address, wait), address)
            return True
        finally:
            with self._lock:
                self._connecting -= 1

    def _shelve(self, scheme: str, stream: SocketStream, address: Address) -> None:
        with self._lock:
            closed = self._closed
            if not closed:
                ready = _Ready(stream, Deadline.after(_FRESH))
                self._ready.setdefault((scheme, _folded(address)), []).append(ready)
        if closed:
            stream.close()
            self._check_open()

    def _connect(self, scheme: str, address: Address, wait: Wait) -> SocketStream:
        context = self._context if scheme == "https" else None
        return connect(address, context, wait=wait, timeout=self._config.connect_timeout)

    def close(self) -> None:
        """End all connections; requests that are under way fail with Cancelled. Never raises."""
        with self._lock:
            self._closed = True
            busy = list(self._under_way)
            ready = self._all_ready()
            self._ready = {}
        for exchange in busy:
            exchange.abort()  # its thread closes the connection
        for one in ready:
            one.stream.close()
        self._adapter.close()

    def drop(self) -> None:
        """Begin anew in a forked child: the connections are the parent's (R28)."""
        for channel in list(self._channels):
            channel.drop()
        for ready in self._all_ready():
            ready.stream.drop()
        self._begin()

    # --- one request

    def _enter(self, exchange: Exchange) -> None:
        with self._lock:
            self._check_open()
            self._under_way.add(exchange)

    def _leave(self, exchange: Exchange) -> None:
        with self._lock:
            self._under_way.discard(exchange)

    def _send(
        self,
        exchange: Exchange,
        prepared: requests.PreparedRequest,
        server: str,
        expect: Collection[int],
    ) -> requests.Response:
        proxies = _proxies(str(prepared.url))
        with exchange.under_way():
            answer = self._adapter.send(prepared, stream=True, proxies=proxies)
            if answer.status_code in expect:
                return answer
            try:
                _drain(answer)
            finally:
                answer.close()
        raise error_for_status(answer.status_code, answer.headers, server)

    def _dial(self, scheme: str, address: Address, wait: Wait) -> Channel:
        """Return a connection: one that was made beforehand, or a new one."""
        with self._lock:
            self._connecting += 1
        try:
            channel = Channel(
                self._made_before(scheme, address) or self._connect(scheme, address, wait)
            )
            with self._lock:
                self._channels.add(channel)
                self._opened += 1
                closed = self._closed
        finally:
            with self._lock:
                self._connecting -= 1
        if closed:  # meanwhile
            channel.close()
            self._check_open()
        return channel

    def _made_before(self, scheme: str, address: Address) -> Optional[SocketStream]:
        """Return a connection that waits to be used, unless it has waited too long."""
        while True:
            with self._lock:
                waiting = self._ready.get((scheme, _folded(address)))
                ready = waiting.pop() if waiting else None
            if ready is None or not ready.until.expired:
                return None if ready is None else ready.stream
            ready.stream.close()

    def _all_ready(self) -> list[_Ready]:
        return [ready for waiting in self._ready.values() for ready in waiting]

    def _check_open(self, cause: Optional[Exception] = None) -> None:
        if self._closed:
            raise Cancelled("the client was closed") from cause

    def __repr__(self) -> str:
        return f"<HttpTransport {self._opened} connections made>"


def _drain(answer: requests.Response) -> None:
    """Read what is not wanted, if it is short, so that the connection can be kept."""
    raw: Any = answer.raw
    with contextlib.suppress(NetworkError, HTTPError, HTTPException):
        raw.read(_DRAINED, decode_content=False)


def _folded(address: Address) -> Address:
    """Return an address as urllib3 writes it."""
    return Address(address.host.lower(), address.port)


def _proxies(url: str) -> dict[str, str]:
    """Return the proxy for a plain request; a secure one is tunnelled by our own connect()."""
    if not url.startswith("http:"):
        return {}
    proxy = _proxy_for(_server(url), tuple(map(os.environ.get, _PROXY_VARIABLES)))
    if proxy is not None and not proxy.startswith("http:"):
        raise ProxyRefused("the proxy for http:// is not itself spoken to by http://")
    return {"http": proxy} if proxy else {}


@functools.lru_cache(maxsize=64)
def _proxy_for(server: str, variables: tuple[Optional[str], ...]) -> Optional[str]:
    """Return the proxy for a server, as long as the variables are these.

    Each look-up reads the whole environment twice: 0.3 ms, a fifth of what a request costs us.
    """
    url = f"http://{server}/"
    proxy: Optional[str] = select_proxy(url, get_environ_proxies(url))
    return proxy


def netrc_login(url: str) -> Optional[tuple[str, str]]:
    """Return name and password that ``.netrc`` has for the server of a URL, as requests finds them.

    For servers that the user has named; never for those that somebody else's record leads to.
    """
    return get_netrc_auth(url)


def _server(url: str) -> str:
    """Return the ``host:port`` of a URL, which itself may hold secrets."""
    return urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
