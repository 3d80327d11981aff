"""Uploads to an atServer: manifest, chunks, manifest (docs/format.md, "Writing a file")."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Optional

from atxfer._crypto.public_key import PublicKey
from atxfer._engine.jobs import UploadJob
from atxfer._engine.sources import Source, open_source
from atxfer._engine.transfer import Transfer
from atxfer._format.manifest import COMPLETE, UPLOADING, Manifest, new_file_id, new_file_key
from atxfer._format.sealing import SEAL_OVERHEAD, Sealer
from atxfer._operations import shares
from atxfer._operations.home import Home
from atxfer._operations.orders import Order
from atxfer._policy.sizing import choose_chunk_size
from atxfer.errors import SharingFailed
from atxfer.model import Receipt, chunk_count
from atxfer.stores.atserver import CHUNK_GRACE
from atxfer.stores.base import StoredFile, UploadPlan
from atxfer.waiting import Wait

__all__ = ["upload"]


def upload(home: Home, order: Order, transfer: Transfer) -> Receipt:
    """Send a file, and return when it is safely there.

    Raises:
        SharingFailed: It is there, but not shared with all.
        TransferError: It is not.
        OSError: The source can't be read.
    """
    most = home.config.max_file_size
    with open_source(
        order.source, name=order.name, max_file_size=most, wait=transfer.wait
    ) as opened:
        # Whoever can't be shared with is told of before anything is sent.
        keys = shares.public_keys(home, order.share_with, transfer) if order.share_with else {}
        return _send(home, order, opened, keys, transfer)


def _send(
    home: Home,
    order: Order,
    source: Source,
    keys: Mapping[str, PublicKey],
    transfer: Transfer,
) -> Receipt:
    manifest = _new_manifest(home, source)
    ttl = order.ttl
    began = transfer.wait.clock.monotonic()
    plan = UploadPlan(manifest.file_id, manifest.size, manifest.chunk_size, manifest.chunks, ttl)

    def commit(sha256: str, stored: StoredFile, wait: Wait) -> None:
        whole = replace(manifest, state=COMPLETE, sha256=sha256, location=stored.location)
        home.catalog.write(whole, _ttl_left(ttl, wait.clock.monotonic() - began), wait)

    job = UploadJob(
        name=manifest.name,
        source=source,
        plan=plan,
        upload=home.store.open_upload(plan, transfer.wait),
        capabilities=home.store.capabilities,
        destination=home.destination,
        seal=Sealer(manifest.file_key, manifest.file_id, manifest.chunks).seal,
        begin=lambda wait: home.catalog.write(manifest, ttl, wait),
        commit=commit,
        overhead=SEAL_OVERHEAD,
        progress=order.progress,
    )
    summary = home.engine.upload(job, transfer)
    left = _ttl_left(ttl, transfer.wait.clock.monotonic() - began)
    receipt = Receipt(
        file_id=manifest.file_id,
        name=manifest.name,
        size=manifest.size,
        chunk_size=manifest.chunk_size,
        chunks=manifest.chunks,
        sha256=summary.sha256,
        owner=manifest.owner,
        created_at=manifest.created_at,
        expires_at=None if left is None else time.time() + left,
        statistics=summary.statistics,
    )
    if keys:
        whole = replace(
            manifest,
            state=COMPLETE,
            sha256=summary.sha256,
            location=summary.stored.location,
        )
        try:
            shares.share(home, whole, keys, left, transfer)
        except SharingFailed as error:
            error.receipt = receipt
            raise
    return receipt


def _new_manifest(home: Home, source: Source) -> Manifest:
    chunk_size = choose_chunk_size(
        source.size, home.store.capabilities, home.config.chunk_size, overhead=SEAL_OVERHEAD
    )
    return Manifest(
        file_id=new_file_id(),
        name=source.name,
        size=source.size,
        chunk_size=chunk_size,
        chunks=chunk_count(source.size, chunk_size),
        file_key=new_file_key(),
        sha256="",
        state=UPLOADING,
        owner=home.owner,
        created_at=time.time(),
    )


def _ttl_left(ttl: Optional[float], elapsed: float) -> Optional[float]:
    """Return how long the last manifest of an upload is to live.

    The chunks' time runs from when each was stored, and they have CHUNK_GRACE more than their
    manifest; half of that is for the upload. One that takes longer shortens the file's life by the
    rest, so that the first chunk never goes before the manifest.
    """
    return None if ttl is None else max(1.0, ttl - max(0.0, elapsed - CHUNK_GRACE / 2))
