"""Uploads to an atServer: manifest, chunks, manifest (docs/format.md, "Writing a file")."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Optional

from atxfer._engine.earlier import Load, Outdated, or_anew
from atxfer._engine.jobs import UploadJob
from atxfer._engine.journal import Errand
from atxfer._engine.sources import open_source
from atxfer._engine.transfer import Transfer
from atxfer._format.manifest import COMPLETE, Manifest
from atxfer._format.sealing import SEAL_FRAME, SEAL_OVERHEAD
from atxfer._operations import shares
from atxfer._operations.around import learn, tidy
from atxfer._operations.cutting import chunk_size_of, new_manifest, object_plan, sealing
from atxfer._operations.home import Home
from atxfer._operations.objects import info_of
from atxfer._operations.orders import Order
from atxfer.errors import FileExpired, FileNotFound, ManifestInvalid, SharingFailed
from atxfer.model import Receipt, Statistics
from atxfer.stores.atserver import CHUNK_GRACE
from atxfer.stores.base import Store, StoredFile, UploadPlan
from atxfer.waiting import Wait

__all__ = ["upload"]


@dataclass(frozen=True)
class _Sent:
    """What came of the chunks and manifests of an upload.

    Attributes:
        manifest: The last one.
        ttl: Seconds it lives, or None for ever.
        statistics: The evidence.
    """

    manifest: Manifest
    ttl: Optional[float]
    statistics: Statistics

    def receipt(self) -> Receipt:
        """Return what the caller gets."""
        described = {name: getattr(self.manifest, name) for name in _RECEIVED}
        expires_at = None if self.ttl is None else time.time() + self.ttl
        return Receipt(**described, expires_at=expires_at, statistics=self.statistics)


_RECEIVED = (
    *("file_id", "name", "size", "chunk_size", "chunks"),
    *("sha256", "owner", "created_at"),
)


def upload(home: Home, order: Order, transfer: Transfer) -> Receipt:
    """Send a file, or the rest of it, and return when it is safely there.

    Raises:
        SharingFailed: It is there, but not shared with all.
        UploadInProgress: Another process is at it.
        TransferError: It is not.
        OSError: The source can't be read.
    """
    most = home.config.max_file_size if home.bulk is None else None
    with open_source(
        order.source, name=order.name, max_file_size=most, wait=transfer.wait
    ) as opened:
        # Whoever can't be shared with is told of before anything is sent.
        keys = shares.public_keys(home, order.share_with, transfer) if order.share_with else {}
        errand = Errand(opened, home.place, tuple(order.share_with), order.ttl)
        with home.journals.claim(errand, transfer.wait) as journal:
            sent = or_anew(journal, opened, lambda load: _send(home, order, load, transfer))
    receipt = sent.receipt()
    if keys:
        try:
            shares.share(home, sent.manifest, keys, sent.ttl, transfer)
        except SharingFailed as error:
            error.receipt = receipt
            raise
    return receipt


def _send(home: Home, order: Order, load: Load, transfer: Transfer) -> _Sent:
    bulk = home.bulk
    if bulk is not None:
        learn(
            home.engine,
            bulk.store,
            bulk.destination,
            transfer,
            size=load.source.size,
            chunk_size=home.config.chunk_size,
        )
    manifest = _manifest(home, load, transfer)
    ttl = order.ttl
    began = transfer.wait.clock.monotonic()
    plan = _plan(home, manifest, ttl)
    if load.record is not None:
        plan = replace(plan, repeats=load.record.repeats)
    store: Store = home.store if bulk is None else bulk.store

    def left() -> Optional[float]:
        return _ttl_left(ttl, transfer.wait.clock.monotonic() - began)

    sent = manifest

    def commit(sha256: str, stored: StoredFile, wait: Wait) -> None:
        nonlocal sent
        location = stored.location
        if bulk is not None:
            home.store.mark(manifest.file_id, left(), wait)
            location = bulk.location(info_of(stored), wait)
        sent = replace(manifest, state=COMPLETE, sha256=sha256, location=location)
        home.catalog.write(sent, left(), wait)

    job = UploadJob(
        name=manifest.name,
        source=load.source,
        plan=plan,
        upload=load.open_at(store, plan, transfer.wait),
        capabilities=store.capabilities.for_chunks(plan.chunks),
        destination=home.destination if bulk is None else bulk.destination,
        seal=sealing(manifest),
        begin=lambda wait: home.catalog.write(manifest, ttl, wait),
        commit=commit,
        catalog=home.destination,
        overhead=SEAL_OVERHEAD,
        frame=SEAL_FRAME,
        progress=order.progress,
        journal=load.journal,
    )
    summary = home.engine.upload(job, transfer)
    if bulk is not None:
        tidy(home.engine, bulk.store, bulk.destination, summary.stored)
    return _Sent(sent, left(), summary.statistics)


def _plan(home: Home, manifest: Manifest, ttl: Optional[float]) -> UploadPlan:
    """Return how the chunks are put: in a store as one object, which has one chunk at least."""
    file_id, size, chunk_size = manifest.file_id, manifest.size, manifest.chunk_size
    if home.bulk is None:
        return UploadPlan(file_id, size, chunk_size, manifest.chunks, ttl)
    return object_plan(file_id, size, chunk_size, is_sealed=True)


def _manifest(home: Home, load: Load, transfer: Transfer) -> Manifest:
    """Return the manifest to write first.

    That of an earlier call has the key that its chunks are sealed with. One that is complete is
    gone on with as well: its last answer was lost, and what remains is to see that all is there.

    Raises:
        Outdated: That of the earlier call is gone, or is not of the file that is to be sent now.
    """
    new = _new_manifest(home, load)
    if load.record is None:
        return new
    try:
        earlier = home.entry(transfer, load.record.head.file_id).manifest
    except (FileNotFound, FileExpired, ManifestInvalid) as error:
        raise Outdated(error.message) from error
    if (earlier.name, earlier.size, earlier.chunks) != (new.name, new.size, new.chunks):
        raise Outdated("its manifest is of another file")
    return earlier


def _new_manifest(home: Home, load: Load) -> Manifest:
    source, explicit = load.source, home.config.chunk_size
    capabilities = (home.store if home.bulk is None else home.bulk.store).capabilities
    chosen = chunk_size_of(source.size, capabilities, explicit, overhead=SEAL_OVERHEAD)
    chunk_size = load.chunk_size(chosen, is_explicit=explicit is not None)
    return new_manifest(source, chunk_size, home.owner)


def _ttl_left(ttl: Optional[float], elapsed: float) -> Optional[float]:
    """Return how long the last manifest of an upload is to live.

    The chunks' time runs from when each was stored, and they have CHUNK_GRACE more than their
    manifest; half of that is for the upload. One that takes longer shortens the file's life by the
    rest, so that the first chunk never goes before the manifest.
    """
    return None if ttl is None else max(1.0, ttl - max(0.0, elapsed - CHUNK_GRACE / 2))
