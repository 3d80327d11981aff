"""What is public on another atSign's server, read straight and without a login (design §7).

Over HTTPS where that server answers it, and else by the line protocol, one record a request in
either case. Rules of this file:

1. Which of the two is found out once for each address, by one handshake that offers HTTP by ALPN
   (facts §12). That connection is not wasted: it serves the first request, whatever was chosen.
2. A server that chose HTTP and then answers nonsense is asked by the line protocol from then on. An
   answer that never comes is no nonsense: it is told, and may be asked for again.
3. Both ways give the same records and raise the same errors. One difference is the servers' own: by
   HTTP they give an expired record until they sweep it, for some minutes at most.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import urllib.parse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Optional, Union

from atxfer._net.address import Address
from atxfer._net.directory import Directory
from atxfer._net.pool import ConnectionPool
from atxfer._net.records import EXPIRED
from atxfer._net.stream import connect, tls_context
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.atprotocol.verbs import Lookup
from atxfer.config import TransferConfig
from atxfer.errors import (
    AccessDenied,
    CertificateRejected,
    ChunkMissing,
    ConnectFailed,
    FileExpired,
    LimitExceeded,
    NotFound,
    ProtocolViolation,
    RequestRejected,
)
from atxfer.model import Chunk
from atxfer.stores.atserver import capabilities_for, chunk_key, chunk_of
from atxfer.stores.base import StoredFile
from atxfer.waiting import Wait

if TYPE_CHECKING:
    from atxfer.stores.http import HttpTransport

__all__ = ["PublicAtServerStore"]

_log = logging.getLogger("atxfer.stores")

HTTP = "http/1.1"

# Bytes of the largest value: what the servers' line buffer holds (facts §2).
_MAX_VALUE = 10_240_000

# What an atServer never answers to such a GET. Failures that may pass are not among them.
_NONSENSE = (AccessDenied, LimitExceeded, NotFound, ProtocolViolation, RequestRejected)

# OpenSSL's words for an alert that it has no class for (RFC 7301 §3.2).
_REFUSED = "alert no application protocol"

# Servers from 3.2.0 to 3.5.3 put the line protocol's answer into the content (facts §12).
_LINES = ("data:", "error:")


class PublicAtServerStore:
    """Whatever is public on the server of one atSign; for reading alone.

    Args:
        atsign: Whose server it is.
        pool: Connections to it without a login; the caller closes it.
        config: Time limits, sizes, and how many requests there may be.
        directory: Tells where the server listens.
        ca_file: PEM file of the authorities to trust instead of the system's.

    Threads: all methods may be called from several threads.
    """

    def __init__(
        self,
        atsign: str,
        pool: ConnectionPool,
        config: TransferConfig,
        *,
        directory: Directory,
        ca_file: Optional[Union[str, os.PathLike[str]]] = None,
    ) -> None:
        self.atsign = atsign
        self.capabilities = replace(capabilities_for(atsign, config), max_chunks_per_read=1)
        self._pool = pool
        self._config = config
        self._directory = directory
        self._ca_file = ca_file
        self._closed = False
        self._context: Optional[ssl.SSLContext] = None
        self._transport: Optional[HttpTransport] = None  # until a server speaks HTTP
        self._speaks_http: dict[Address, bool] = {}
        self._deciding = threading.Lock()  # held by whoever finds out; guards these three

    def open_download(self, stored: StoredFile, wait: Wait) -> PublicDownload:
        """Begin a download; nothing is sent."""
        return PublicDownload(self, stored)

    def value(self, key: AtKey, wait: Wait) -> str:
        """Return a public record, in one request.

        Raises:
            ValueError: The key is none of this server's public ones.
            KeyNotFound: It is not there.
            FileExpired: Its time is over.
            TransferError: As :meth:`ConnectionPool.ask` does.
        """
        if not key.is_public or key.owner != self.atsign:
            raise ValueError(f"{key} is no public key of {self.atsign}")
        address = self._directory.resolve(self.atsign, wait)
        try:
            text = self._by_http(address, key, wait)
        except (ConnectFailed, CertificateRejected):
            moved = self._directory.moved_from(self.atsign, address, wait)
            if moved is None:
                raise
            text = self._by_http(moved, key, wait)
        if text is None:
            text = self._pool.ask(Lookup(key), wait).data
        if text == EXPIRED:
            raise FileExpired(f"{key} has expired")
        return text

    def close(self) -> None:
        """End the connections by HTTP; requests under way fail with Cancelled. Never raises."""
        self._closed = True
        transport = self._transport
        if transport is not None:
            transport.close()

    def drop(self) -> None:
        """Begin anew in a forked child: the connections are the parent's (R28)."""
        self._deciding = threading.Lock()
        if self._transport is not None:
            self._transport.drop()

    # --- by HTTP

    def _by_http(self, address: Address, key: AtKey, wait: Wait) -> Optional[str]:
        """Return a record; None if it must be asked for by the line protocol."""
        transport = self._chosen(address, wait)
        if transport is None:
            return None
        url = f"https://{address}/{urllib.parse.quote(str(key), safe=':@')}"
        try:
            answer = transport.request(
                "GET", url, wait=wait, expect=(200, 404), max_bytes=_MAX_VALUE
            )
            text = answer.content.decode("utf-8")
            if text.startswith(_LINES):
                raise ProtocolViolation(f"{address} answers HTTP by lines")
        except (*_NONSENSE, UnicodeDecodeError) as error:
            _log.debug("http.given_up server=%s reason=%s", address, type(error).__name__)
            self._speaks_http[address] = False
            return None
        if answer.status == 404:
            raise KeyNotFound(f"{address} has no {key}")
        # A record without a value, or a failure inside the server: the line protocol tells which.
        return text or None

    def _chosen(self, address: Address, wait: Wait) -> Optional[HttpTransport]:
        """Return how to speak HTTP to a server; None if it doesn't (rule 1)."""
        if address not in self._speaks_http:
            with wait.turn(self._deciding):
                if address not in self._speaks_http:  # nobody has found out while we waited
                    self._speaks_http[address] = self._find_out(address, wait)
        return self._transport if self._speaks_http[address] else None

    def _find_out(self, address: Address, wait: Wait) -> bool:
        if self._context is None:
            self._context = tls_context(self._ca_file, protocols=[HTTP])
        timeout = self._config.connect_timeout
        try:
            stream = connect(address, self._context, wait=wait, timeout=timeout)
        except ConnectFailed as error:
            if _REFUSED not in str(error.__cause__):
                raise
            return False  # strict TLS: an alert instead of going on without a protocol
        speaks = stream.protocol == HTTP
        _log.debug("http.found server=%s spoken=%s", address, speaks)
        if speaks:
            self._made_transport(self._context).adopt(stream, address)
        else:
            self._pool.adopt(stream, address)
        return speaks

    def _made_transport(self, context: ssl.SSLContext) -> HttpTransport:
        if self._transport is None:
            # Here and not above: requests takes a tenth of a second to import.
            from atxfer.stores.http import HttpTransport

            width = self._config.max_concurrent_downloads
            self._transport = HttpTransport(context, self._config, width=width)
        if self._closed:  # meanwhile
            self._transport.close()
        return self._transport


class PublicDownload:
    """One file on its way from another's server."""

    def __init__(self, store: PublicAtServerStore, stored: StoredFile) -> None:
        self._store = store
        self._stored = stored

    def get(self, indexes: Sequence[int], wait: Wait) -> Sequence[Chunk]:
        """Return sealed chunks, one a request: of a batch no server knows without a login."""
        return [self._get(index, wait) for index in indexes]

    def check(self) -> None:
        """Nothing: each chunk is authenticated, and the manifest knows the whole."""

    def _get(self, index: int, wait: Wait) -> Chunk:
        key = chunk_key(self._stored.file_id, index, self._stored.owner)
        try:
            return chunk_of(index, self._store.value(key, wait))
        except KeyNotFound as error:
            raise ChunkMissing(f"chunk {index} is not on the server", chunk=index) from error
        except FileExpired as error:
            error.with_context(chunk=index)
            raise
