"""A tus server as a store: each file is an upload that has ended, and its URL is its address.

The protocol is about uploading. Downloads are by ``GET``, which tusd and @tus/server answer; there
is no list, no copying, and no time to live that a client could set.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Optional

from atxfer._buffers import Buffer
from atxfer.config import MIB, TransferConfig
from atxfer.errors import (
    ChunkMissing,
    FileNotFound,
    FileTooLarge,
    NotFound,
    NotSupported,
    ProtocolViolation,
)
from atxfer.stores.base import Capabilities, Leftover, ObjectInfo, StoredFile, UploadPlan
from atxfer.stores.http import HttpTransport
from atxfer.stores.http.reading import FileDownload, Reader, strong_etag
from atxfer.stores.tus.credentials import Auth, Credentials, without_login
from atxfer.stores.tus.protocol import epoch_seconds, name_in, number_in, origin_of
from atxfer.stores.tus.server import State, TusServer
from atxfer.stores.tus.tokens import urls_in
from atxfer.stores.tus.uploads import MAX_PARTS, PartsUpload, StreamUpload, TusUpload
from atxfer.waiting import Wait

__all__ = ["FileDownload", "TusStore"]

_log = logging.getLogger("atxfer.tus")

# Files that are one request, and chunks that go in order: at 100 ms a request, up to 80 MiB/s.
_WHOLE = 8 * MIB

# Parts that go side by side are of a size that lets all permits be used within the memory_budget.
# From 5 MiB on, which is S3's own smallest part, tusd on S3 can put parts together without fetching
# them. Larger ones are fewer requests.
_SMALLEST_PART, _LARGEST_PART = 5 * MIB, 16 * MIB

_LARGEST_CHUNK = 1024 * MIB

# Of files of any size, the size of chunks that go one after the other.
_IN_ORDER = ((sys.maxsize, _WHOLE),)

# How many parts are asked for one after the other, when an upload goes on: a few, so that others
# are asked for side by side.
_ASKED_FOR = 8


class TusStore:
    """A tus server.

    Args:
        address: The URL that uploads are created at. A name and password in it serve as ``auth``.
        transport: Sends the requests.
        config: Time limits.
        headers: What goes with each request to this server, as a token or a cookie.
        auth: ``(name, password)``, or what returns the value of ``Authorization``.

    Raises:
        ValueError: It is no URL of a server.

    Threads: may be shared.
    """

    def __init__(
        self,
        address: str,
        transport: HttpTransport,
        config: TransferConfig,
        *,
        headers: Optional[Mapping[str, str]] = None,
        auth: Optional[Auth] = None,
    ) -> None:
        bare, login = without_login(address)
        scheme, host, _ = origin_of(bare)
        if "#" in bare:
            raise ValueError("the address of a server has no part behind a #")
        credentials = Credentials(headers, auth if auth is not None else login)
        if credentials and scheme == "http" and not _is_here(host):
            _log.warning("tus.unencrypted server=%s remedy=%r", host, "use https:// for a login")
        self._in_order = config.max_concurrent_uploads == 1  # parts would be requests for nothing
        self._ladder = _ladder(config)
        self._server = TusServer(
            bare, transport, credentials, request_timeout=config.request_timeout
        )

    @property
    def address(self) -> str:
        """The URL that uploads are created at, without a login."""
        return self._server.address

    @property
    def capabilities(self) -> Capabilities:
        """What the server can take, as far as it has been asked: see :meth:`learn`."""
        in_parts = self._server.known.has("concatenation") and not self._in_order
        return Capabilities(
            max_request_bytes=_LARGEST_CHUNK,
            max_read_bytes=_LARGEST_CHUNK,
            max_chunk_bytes=_LARGEST_CHUNK,
            max_chunks_per_delete=_ASKED_FOR,
            chunk_ladder=self._ladder if in_parts else _IN_ORDER,
            max_default_chunk=_WHOLE,
            parallel=in_parts,
            parallel_chunks=MAX_PARTS,
            # tusd locks a file for each of its readers, and looks only each two seconds whether
            # another one has finished; @tus/server knows no parts at all.
            parallel_reads=False,
        )

    @property
    def learns(self) -> bool:
        """Whether the server was not asked yet what it can do."""
        return not self._server.has_told

    def learn(self, wait: Wait) -> None:
        """Ask the server what it can do, unless that is known; in one request.

        Raises:
            NotSupported: It speaks no tus 1.0.0.
            TransferError: It can't be asked.
        """
        self._server.features(wait)

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Connect once more."""
        return self._server.prepare(wait, enough)

    # --- up

    def open_upload(
        self, plan: UploadPlan, wait: Wait, *, token: Optional[bytes] = None
    ) -> TusUpload:
        """Begin an upload, or go on with one; the server is asked what it can do, once.

        How long a file lives is the server's decision: ``plan.ttl`` is passed over.

        Raises:
            FileTooLarge: The server takes none of this size.
            NotSupported: It makes no uploads.
        """
        features = self._server.features(wait)
        if not features.has("creation"):
            raise NotSupported(
                f"{self._server.name} makes no uploads: it lacks the creation extension"
            )
        if features.max_size is not None and plan.stored_bytes > features.max_size:
            raise FileTooLarge(
                f"{self._server.name} takes files of {features.max_size:,} bytes at most,"
                f" and this one has {plan.stored_bytes:,} there",
                remedy="Split the file, or raise the limit of the server.",
            )
        if self.capabilities.parallel and 1 < plan.chunks <= MAX_PARTS:
            return PartsUpload(self._server, plan, token)
        return StreamUpload(self._server, plan, token)

    # --- down

    def stat(self, address: str, wait: Wait) -> ObjectInfo:
        """Ask for one file."""
        url = self._own(address)
        state = self._server.state(url, wait)
        size = self._size(state)
        if state.length is not None and state.offset != state.length:
            raise FileNotFound(
                f"the upload at {self._server.name} has not ended",
                remedy="Finish the upload first: the same upload, called again, goes on with it.",
            )
        return ObjectInfo(
            address=url,
            name=name_in(state.headers),
            size=size,
            version=strong_etag(state.headers),
            modified_at=epoch_seconds(state.headers, "Last-Modified"),
            expires_at=epoch_seconds(state.headers, "Upload-Expires"),
        )

    def _size(self, state: State) -> int:
        if state.length is not None:
            return state.length
        told = number_in(state.headers, "Content-Length", self._server.name)
        size = state.offset if state.offset is not None else told
        if size is None:
            raise ProtocolViolation(
                f"{self._server.name} doesn't say how long the file is",
                remedy="Check that the address is that of an upload.",
            )
        return size

    def open_download(self, stored: StoredFile, wait: Wait) -> FileDownload:
        """Begin a download."""
        info = ObjectInfo(**stored.location)
        self._own(info.address)
        return FileDownload(Reader(self._server, info), stored)

    def read(self, info: ObjectInfo, start: int, stop: int, wait: Wait) -> Buffer:
        """Return exactly these bytes of a file."""
        self._own(info.address)
        with contextlib.closing(Reader(self._server, info)) as reader:
            return reader.read(start, stop, wait)

    def objects(self, wait: Wait) -> Sequence[ObjectInfo]:
        """Refuse: the protocol has no list."""
        raise NotSupported(
            "a tus server does not list its files", remedy="Keep the receipts of your uploads."
        )

    def url(
        self, info: ObjectInfo, ttl: Optional[float], wait: Wait
    ) -> tuple[str, Optional[float]]:
        """Return the address itself: whom the server lets read it is the server's decision.

        Raises:
            ValueError: It is to end some time, which an address does not.
        """
        if ttl is not None:
            raise ValueError("a tus server has no URLs that end: leave ttl out")
        return self._own(info.address), info.expires_at

    # --- life and death

    def delete(self, stored: StoredFile, indexes: range, wait: Wait) -> None:
        """Remove a file, there or not.

        Raises:
            NotSupported: The server lets nobody do that.
        """
        self._remove(ObjectInfo(**stored.location).address, wait)

    def extend(self, stored: StoredFile, indexes: range, ttl: float, wait: Wait) -> None:
        """See that a file lives at least so long.

        Raises:
            ChunkMissing: It is not there any more.
            NotSupported: The server has given it an end.
        """
        try:
            info = self.stat(ObjectInfo(**stored.location).address, wait)
        except NotFound as error:
            raise ChunkMissing(error.message) from error
        if info.expires_at is not None:
            raise NotSupported("a tus server decides itself how long a file lives")

    def leftovers(self, wait: Wait) -> Sequence[Leftover]:
        """Refuse: the protocol has no list."""
        raise NotSupported(
            "a tus server does not list its uploads",
            remedy="Call the same upload again, which goes on with it; or wait until it expires.",
        )

    def examine(self, leftover: Leftover, wait: Wait) -> Optional[Leftover]:
        """Refuse: the protocol tells of no times."""
        raise NotSupported("a tus server does not tell when an upload has stopped")

    def address_of(self, name: str) -> Optional[str]:
        """Return nothing: the server chooses the URL of each file."""
        return None

    def drop(self, leftover: Leftover, wait: Wait) -> None:
        """Remove what was stored of an upload that did not end, there or not."""
        for url in urls_in(leftover.token):
            self._remove(url, wait)

    def _remove(self, address: str, wait: Wait) -> None:
        url = self._own(address)
        features = self._server.features(wait)
        if features.told and not features.has("termination"):
            raise NotSupported(f"{self._server.name} lets nobody remove a file")
        self._server.terminate(url, wait)

    def _own(self, address: str) -> str:
        """Return an address if it is on this server; nothing is sent to any other (R24).

        Raises:
            ValueError: It is not.
        """
        if not self._server.owns(address):
            raise ValueError(f"expected the URL of a file at {self._server.name}")
        return without_login(address)[0]

    def __repr__(self) -> str:
        return f"<TusStore {self._server.name}>"


def _ladder(config: TransferConfig) -> tuple[tuple[int, int], ...]:
    """Return the sizes of chunks: of files in one request, in parts, in the largest, in order."""
    share = config.memory_budget // config.max_concurrent_uploads // MIB * MIB
    part = max(_SMALLEST_PART, min(share, _LARGEST_PART))
    largest = max(part, _WHOLE)
    in_parts = (MAX_PARTS * part, part), (MAX_PARTS * largest, largest)
    return (_WHOLE, _WHOLE), *in_parts, *_IN_ORDER


def _is_here(host: str) -> bool:
    """Whether a host is this machine."""
    return host in ("localhost", "::1") or host.startswith("127.")
