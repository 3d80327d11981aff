"""Chunks that lie in a store, while an atServer holds the manifest (docs/format.md).

The owner reaches them by the store's own credentials; everybody else by a URL in the manifest.
"""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Optional

from atxfer._engine.destination import Destination
from atxfer._engine.transfer import Transfer
from atxfer._format.manifest import Manifest
from atxfer._format.sealing import SEAL_OVERHEAD
from atxfer._operations.leftovers import Leftovers
from atxfer._operations.origins import Origin, stored_file
from atxfer._operations.reach import Reach
from atxfer.errors import ManifestInvalid, NotFound, NotSupported
from atxfer.stores.base import ObjectInfo, ObjectStore, StoredFile
from atxfer.stores.options import HttpOptions
from atxfer.waiting import Wait

if TYPE_CHECKING:
    from atxfer.stores.http import HttpTransport
    from atxfer.stores.opening import OpenStore

__all__ = ["Bulk", "WebOrigins", "elsewhere", "is_elsewhere"]

_STORE, _URL, _ENDS = "store", "url", "url_expires_at"


def is_elsewhere(manifest: Manifest) -> bool:
    """Return whether a file's chunks lie in a store, and not on its owner's atServer."""
    return bool(manifest.location)


class Bulk:
    """The store in which an atSign keeps the chunks of its files.

    Args:
        reach: The engine, and how it is configured.
        opened: The store, and how it is reached.

    Threads: may be shared.
    """

    def __init__(self, reach: Reach, opened: OpenStore) -> None:
        self.store: ObjectStore = opened.store
        self.place = opened.address
        self.destination: Destination = reach.engine.destination(
            opened.server, reach.config.max_concurrent_uploads
        )
        self.leftovers = Leftovers(reach.engine, opened.store, self.destination)
        self._engine = reach.engine
        self._transport = opened.transport

    @classmethod
    def open(cls, address: str, reach: Reach, options: HttpOptions) -> Bulk:
        """Return the store at an address; nothing is sent.

        Raises:
            ValueError, NotSupported, AccessDenied, OSError: As of ``open_store``.
        """
        from atxfer.stores.opening import open_store

        return cls(reach, open_store(address, reach.config, options))

    def location(self, info: ObjectInfo, wait: Wait) -> Mapping[str, Any]:
        """Return what a manifest says of where an object lies, with a fresh URL."""
        url, ends_at = self.store.url(info, None, wait)
        return {**asdict(info), _STORE: self.place, _URL: url, _ENDS: ends_at}

    def holds(self, manifest: Manifest) -> bool:
        """Return whether a file lies in this store."""
        return manifest.location.get(_STORE) == self.place

    def origin(self, manifest: Manifest, transfer: Transfer) -> Origin:
        """Return where the chunks of a file in this store come from."""
        stored = self.stored(manifest)
        return Origin(
            self.store.open_download(stored, transfer.wait),
            self.store.capabilities,
            self.destination,
        )

    def stored(self, manifest: Manifest) -> StoredFile:
        """Return what this store understands of a manifest."""
        return _stored(manifest, _info(manifest))

    def renew(self, manifest: Manifest, ttl: float, transfer: Transfer) -> Mapping[str, Any]:
        """See that a file stays for so many seconds; return its location with a fresh URL."""
        stored = self.stored(manifest)
        self._engine.call(
            self.destination,
            "extend",
            lambda wait: self.store.extend(stored, range(1), ttl, wait),
            transfer,
        )
        return self.location(_info(manifest), transfer.wait)

    def delete(self, manifest: Manifest, transfer: Transfer) -> None:
        """Remove a file's object, there or not."""
        info = _info(manifest)
        self._engine.call(
            self.destination, "delete", lambda wait: self.remove(manifest, info, wait), transfer
        )

    def remove(self, manifest: Manifest, info: ObjectInfo, wait: Wait) -> None:
        """Remove an object of which its manifest need not know yet, there or not."""
        try:
            self.store.delete(_stored(manifest, info), range(1), wait)
        except NotFound:
            return  # an earlier call came so far

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def drop(self) -> None:
        """Leave all connections to the parent, in the child of a fork."""
        self._transport.drop()


class WebOrigins:
    """Where files lie that others keep in stores: behind URLs that need no credentials.

    Args:
        reach: The engine, and how it is configured.

    Threads: may be shared.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._lock = threading.Lock()  # guards _transport
        self._transport: Optional[HttpTransport] = None

    def origin(self, manifest: Manifest, transfer: Transfer) -> Origin:
        """Return where the chunks of a file come from.

        Raises:
            ManifestInvalid: Its location leads nowhere.
        """
        from atxfer.stores.web import WebStore

        at = _Located.of(manifest)
        store = WebStore(self._opened(), ends_at=at.ends_at, parallel=at.parallel)
        info = ObjectInfo(at.url, at.info.name, at.info.size, _etag(at.info.version))
        reach, host = self._reach, urllib.parse.urlsplit(at.url).netloc
        return Origin(
            store.open_download(_stored(manifest, info), transfer.wait),
            store.capabilities,
            reach.engine.destination(f"web:{host}", reach.config.max_concurrent_downloads),
        )

    def _opened(self) -> HttpTransport:
        from atxfer.stores.opening import open_transport

        with self._lock:
            if self._transport is None:
                config = self._reach.config
                self._transport = open_transport(
                    config,
                    HttpOptions(self._reach.ca_file),
                    width=config.max_concurrent_downloads,
                )
            return self._transport

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            transport = self._transport
        if transport is not None:
            transport.close()

    def drop(self) -> None:
        """Leave all connections to the parent, in the child of a fork."""
        self._lock = threading.Lock()
        if self._transport is not None:
            self._transport.drop()


def elsewhere(manifest: Manifest) -> NotSupported:
    """Return the error for a file in a store that this client was not given."""
    return NotSupported(
        f"the chunks of this file lie in {manifest.location.get(_STORE)!r}",
        remedy="Give the client that place as its store (--store, --endpoint-url).",
        file_id=manifest.file_id,
    )


@dataclass(frozen=True)
class _Located:
    """What a manifest says of where its file lies, everything checked.

    Attributes:
        info: What the store said of the object.
        url: Where anybody can read it.
        ends_at: The epoch second at which that ends, or None.
        parallel: Whether several requests may read it at a time.
    """

    info: ObjectInfo
    url: str
    ends_at: Optional[float]
    parallel: bool

    @classmethod
    def of(cls, manifest: Manifest) -> _Located:
        location = manifest.location
        url, ends_at = location.get(_URL), location.get(_ENDS)
        if not isinstance(url, str) or not _is_time(ends_at):
            raise _invalid(manifest)
        # A tus server need not give parts of a file; then it is read from its beginning, once.
        parallel = str(location.get(_STORE, "")).startswith("s3:")
        return cls(_info(manifest), url, ends_at, parallel)


def _info(manifest: Manifest) -> ObjectInfo:
    location = manifest.location
    texts = [location.get(name, "") for name in ("address", "name", "version", "proof")]
    size, times = location.get("size"), [location.get(n) for n in ("modified_at", "expires_at")]
    expected = manifest.size + manifest.chunks * SEAL_OVERHEAD
    if not all(isinstance(text, str) for text in texts) or not all(map(_is_time, times)):
        raise _invalid(manifest)
    if type(size) is not int or size != expected:
        raise _invalid(manifest)
    return ObjectInfo(texts[0], texts[1], size, texts[2], times[0], times[1], texts[3])


def _etag(version: str) -> str:
    """Return a version as HTTP has it: S3 stores keep it without its quotes."""
    return version if not version or version.startswith('"') else f'"{version}"'


def _is_time(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _invalid(manifest: Manifest) -> ManifestInvalid:
    return ManifestInvalid(
        "the manifest does not say where the file lies", file_id=manifest.file_id
    )


def _stored(manifest: Manifest, info: ObjectInfo) -> StoredFile:
    return replace(stored_file(manifest), location=asdict(info))
