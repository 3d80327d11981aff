"""The files of one's own that are there: list them, let them live longer, delete them."""

from __future__ import annotations

from atxfer._catalog.base import Entry
from atxfer._engine.transfer import Transfer
from atxfer._format.manifest import Manifest
from atxfer._format.sealing import SEAL_OVERHEAD
from atxfer._operations import shares
from atxfer._operations.home import Home
from atxfer.errors import NotAuthorized
from atxfer.model import RemoteFile
from atxfer.stores.base import StoredFile
from atxfer.waiting import Wait

__all__ = ["delete", "entries", "extend", "stored_file"]

# Manifests are read so many to a request: each is about 1.5 KB on the wire.
_MANIFESTS_PER_REQUEST = 64


_NO_EXTENDING = "Extend it with the keys that the atSign was activated with, or upload it again."


def stored_file(manifest: Manifest) -> StoredFile:
    """Return the part of a manifest that a store understands."""
    return StoredFile(
        file_id=manifest.file_id,
        owner=manifest.owner,
        chunks=manifest.chunks,
        location=manifest.location,
        size=manifest.size,
        chunk_size=manifest.chunk_size,
        overhead=SEAL_OVERHEAD,
    )


def entries(home: Home, transfer: Transfer) -> list[Entry]:
    """Return all that the catalog holds, in no order."""
    file_ids = home.call(transfer, "list", home.catalog.file_ids)
    groups = [
        file_ids[start : start + _MANIFESTS_PER_REQUEST]
        for start in range(0, len(file_ids), _MANIFESTS_PER_REQUEST)
    ]
    found = home.engine.for_each(
        home.destination, groups, home.catalog.read_many, transfer, name="manifests"
    )
    return [entry for entries in found for entry in entries.values()]


def extend(home: Home, file_id: str, ttl: float, transfer: Transfer) -> RemoteFile:
    """Let a file live so many seconds from now; return its new description."""
    stored = stored_file(home.entry(transfer, file_id).manifest)

    def extend_range(indexes: range, wait: Wait) -> None:
        home.store.extend(stored, indexes, ttl, wait)

    # Chunks first: whoever can read the manifest can read the file (design §7).
    try:
        home.each_range(transfer, stored, extend_range)
    except NotAuthorized as error:
        if home.keys.enrollment_id is None:
            raise
        what = "this server lets no enrolled device change a time to live"
        raise NotAuthorized(what, remedy=_NO_EXTENDING, file_id=file_id) from error
    home.call(transfer, "extend", lambda wait: home.catalog.extend(file_id, ttl, wait))
    shares.extend(home, file_id, ttl, transfer)
    return home.entry(transfer, file_id).remote_file()


def delete(home: Home, file_id: str, transfer: Transfer) -> None:
    """Remove a file: shares and link first, then chunks, the manifest last.

    In this order nobody is led to what is gone, and a delete that was interrupted can be repeated.
    """
    stored = stored_file(home.entry(transfer, file_id).manifest)

    def delete_range(indexes: range, wait: Wait) -> None:
        home.store.delete(stored, indexes, wait)

    shares.unshare(home, file_id, (), transfer)
    home.call(transfer, "unlink", lambda wait: home.links.remove(file_id, wait))
    home.each_range(transfer, stored, delete_range)
    home.call(transfer, "delete", lambda wait: home.catalog.remove(file_id, wait))
