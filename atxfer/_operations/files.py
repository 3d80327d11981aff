"""The files of one's own that are there: list them, let them live longer, delete them."""

from __future__ import annotations

from dataclasses import replace

from atxfer._catalog.base import Entry
from atxfer._engine.transfer import Transfer
from atxfer._format.manifest import Manifest
from atxfer._operations import links, shares
from atxfer._operations.bulk import Bulk, elsewhere, is_elsewhere
from atxfer._operations.home import Home
from atxfer._operations.origins import stored_file
from atxfer.errors import NotAuthorized
from atxfer.model import RemoteFile
from atxfer.waiting import Wait

__all__ = ["delete", "entries", "extend"]

# Manifests are read so many to a request: each is about 1.5 KB on the wire.
_MANIFESTS_PER_REQUEST = 64


_NO_EXTENDING = "Extend it with the keys that the atSign was activated with, or upload it again."


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
    manifest = home.entry(transfer, file_id).manifest
    if is_elsewhere(manifest):
        return _renew(home, manifest, ttl, transfer)
    stored = stored_file(manifest)

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


def _renew(home: Home, manifest: Manifest, ttl: float, transfer: Transfer) -> RemoteFile:
    """Give a file in a store another URL, and tell all who may read it."""
    location = _bulk_of(home, manifest).renew(manifest, ttl, transfer)
    fresh = replace(manifest, location=location)
    home.call(transfer, "mark", lambda wait: home.store.mark(manifest.file_id, ttl, wait))
    home.call(transfer, "extend", lambda wait: home.catalog.write(fresh, ttl, wait))
    shares.renew(home, fresh, ttl, transfer)
    entry = home.entry(transfer, manifest.file_id)
    links.renew(home, entry, transfer)
    return entry.remote_file()


def _bulk_of(home: Home, manifest: Manifest) -> Bulk:
    """Return the store that a file lies in.

    Raises:
        NotSupported: The client was not given it.
    """
    if home.bulk is None or not home.bulk.holds(manifest):
        raise elsewhere(manifest)
    return home.bulk


def delete(home: Home, file_id: str, transfer: Transfer) -> None:
    """Remove a file: shares and link first, then chunks, the manifest last.

    In this order nobody is led to what is gone, and a delete that was interrupted can be repeated.
    """
    manifest = home.entry(transfer, file_id).manifest
    bulk = _bulk_of(home, manifest) if is_elsewhere(manifest) else None
    stored = stored_file(manifest)

    def delete_range(indexes: range, wait: Wait) -> None:
        home.store.delete(stored, indexes, wait)

    shares.unshare(home, file_id, (), transfer)
    home.call(transfer, "unlink", lambda wait: home.links.remove(file_id, wait))
    if bulk is not None:
        bulk.delete(manifest, transfer)
        home.call(transfer, "unmark", lambda wait: home.store.delete(stored, range(1), wait))
    else:
        home.each_range(transfer, stored, delete_range)
    home.call(transfer, "delete", lambda wait: home.catalog.remove(file_id, wait))
