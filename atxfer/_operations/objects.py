"""Files in a store without a catalog: each is an object, and its address is its file id.

A plain file is the object itself, as any other program of that store makes and reads it. A sealed
one is its sealed chunks and a trailer (docs/format.md); its key is in the receipt and in links,
behind a ``#``, and nowhere else.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Callable, Optional, TypeVar

from atxfer._buffers import NO_FRAME, Frame
from atxfer._engine.destination import Destination
from atxfer._engine.earlier import Load, or_anew
from atxfer._engine.jobs import DownloadJob, UploadJob
from atxfer._engine.journal import Errand
from atxfer._engine.journals import Journals
from atxfer._engine.sources import Source, open_source
from atxfer._engine.transfer import Transfer
from atxfer._format.fragment import key_text, read_key
from atxfer._format.manifest import COMPLETE, Manifest, new_file_id
from atxfer._format.sealing import SEAL_FRAME, SEAL_OVERHEAD, Sealer
from atxfer._format.trailer import MAX_TRAILER, Trailer, new_object_key, open_trailer
from atxfer._operations.around import learn, tidy
from atxfer._operations.cutting import (
    as_it_is,
    chunk_size_of,
    new_manifest,
    object_plan,
    sealing,
)
from atxfer._operations.orders import Order, Wish
from atxfer._operations.reach import Reach
from atxfer._policy.sizing import choose_chunk_size
from atxfer.model import Chunk, Receipt, RemoteFile, Result, chunk_count
from atxfer.stores.base import ObjectInfo, ObjectReader, ObjectStore, StoredFile, UploadPlan
from atxfer.waiting import Wait

__all__ = ["Objects", "ReadableObjects", "info_of"]

T = TypeVar("T")


@dataclass(frozen=True)
class _Cut:
    """How one file becomes one object.

    Attributes:
        plan: How it is cut up.
        seal: What is done to each chunk.
        frame: Room for that around each.
        key: The object key of a sealed file, or None.
    """

    plan: UploadPlan
    seal: Callable[[Chunk], Chunk]
    frame: Frame
    key: Optional[bytes]


class ReadableObjects:
    """Objects that can be read.

    Args:
        reach: The engine, and how it is configured.
        store: Where they are read.
        destination: What all requests to it share.
    """

    def __init__(self, reach: Reach, store: ObjectReader, destination: Destination) -> None:
        self._config = reach.config
        self._engine = reach.engine
        self._reader = store
        self._destination = destination

    def download(self, address: str, wish: Wish, transfer: Transfer) -> Result:
        """Fetch an object, and return when it lies whole and verified at its target.

        Args:
            address: Of the object; of a sealed one with its key behind a ``#``.
            wish: Where it is wanted.
            transfer: For whom.
        """
        bare, key = _without_key(address)
        info = self._stat(bare, transfer)
        if key is None:
            chunk_size = choose_chunk_size(
                info.size, self._reader.capabilities, self._config.chunk_size
            )
            chunks = chunk_count(info.size, chunk_size)
            remote = replace(_remote(info), chunk_size=chunk_size, chunks=chunks)
            return self._fetch(remote, _stored(info, remote, 0), as_it_is, wish, transfer)
        manifest = self._manifest(info, key, transfer)
        remote = _described(info, manifest)
        sealer = Sealer(manifest.file_key, manifest.file_id, manifest.chunks)
        stored = _stored(info, remote, SEAL_OVERHEAD)
        return self._fetch(remote, stored, sealer.open, wish, transfer)

    def _fetch(
        self,
        remote: RemoteFile,
        stored: StoredFile,
        open_: Callable[[Chunk], Chunk],
        wish: Wish,
        transfer: Transfer,
    ) -> Result:
        job = DownloadJob(
            file=remote,
            download=self._reader.open_download(stored, transfer.wait),
            capabilities=self._reader.capabilities,
            destination=self._destination,
            open_=open_,
            target=wish.target,
            overhead=stored.overhead,
            progress=wish.progress,
        )
        summary = self._engine.download(job, transfer)
        return Result(remote, summary.path, summary.statistics)

    def _manifest(self, info: ObjectInfo, key: bytes, transfer: Transfer) -> Manifest:
        start = max(0, info.size - MAX_TRAILER)
        tail = self._call(
            transfer, "trailer", lambda wait: self._reader.read(info, start, info.size, wait)
        )
        return open_trailer(tail, key, info.size)

    def file(self, address: str, transfer: Transfer) -> RemoteFile:
        """Return one object's description; of a sealed one, with its key, the file's."""
        bare, key = _without_key(address)
        info = self._stat(bare, transfer)
        if key is None:
            return _remote(info)
        return _described(info, self._manifest(info, key, transfer))

    def _stat(self, address: str, transfer: Transfer) -> ObjectInfo:
        return self._call(transfer, "stat", lambda wait: self._reader.stat(address, wait))

    def _call(self, transfer: Transfer, name: str, ask: Callable[[Wait], T]) -> T:
        return self._engine.call(self._destination, name, ask, transfer)


class Objects(ReadableObjects):
    """The files of one object store.

    Args:
        reach: The engine, and how it is configured.
        store: Where the objects lie.
        destination: What all requests to it share.
        encrypt: Whether files that are uploaded are sealed.
        journals: Of this machine's unfinished uploads, or None to keep none. A sealed file has
            none: its keys are nowhere but in the receipt, and no journal holds a key.
            Nor has a plain one that is a single request.
        place: What tells the store from others in journals; by default its destination's key.
    """

    def __init__(
        self,
        reach: Reach,
        store: ObjectStore,
        destination: Destination,
        *,
        encrypt: bool,
        journals: Optional[Journals] = None,
        place: Optional[str] = None,
    ) -> None:
        super().__init__(reach, store, destination)
        self._place = place or destination.key
        self._store = store
        self._encrypt = encrypt
        self._journals = journals if journals is not None and not encrypt else Journals(None)

    # --- up

    def upload(self, order: Order, transfer: Transfer) -> Receipt:
        """Send a file, or the rest of a plain one, and return when it is safely there."""
        with open_source(
            order.source, name=order.name, max_file_size=None, wait=transfer.wait
        ) as source:
            errand, lasting = Errand(source, self._place), self._may_leave_parts(source)
            with self._journals.claim(errand, transfer.wait, make=lasting) as journal:
                return or_anew(journal, source, lambda load: self._send(order, load, transfer))

    def _may_leave_parts(self, source: Source) -> bool:
        """Return whether an upload that does not end may leave what a later call can go on with.

        A single request leaves nothing, and to make and remove a journal is a fifth of what a small
        file costs us (measured: 0.3 of 1.7 ms).
        """
        if not self._encrypt and not self._store.learns:
            chunks = chunk_count(source.size, self._chunk_size(source.size, 0))
            return chunks > 1 or not self._reader.capabilities.for_chunks(chunks).parallel
        return True

    def _send(self, order: Order, load: Load, transfer: Transfer) -> Receipt:
        source = load.source
        learn(
            self._engine,
            self._store,
            self._destination,
            transfer,
            size=source.size,
            chunk_size=self._config.chunk_size,
        )
        cut = self._sealed(source) if self._encrypt else self._plain(load)
        job = UploadJob(
            name=source.name,
            source=source,
            plan=cut.plan,
            upload=load.open_at(self._store, cut.plan, transfer.wait),
            capabilities=self._reader.capabilities.for_chunks(cut.plan.chunks),
            destination=self._destination,
            seal=cut.seal,
            overhead=cut.plan.overhead,
            frame=cut.frame,
            progress=order.progress,
            journal=load.journal,
            # No object yet. One of that name would be an older file: nobody is to delete that.
            is_named=False,
        )
        summary = self._engine.upload(job, transfer)
        tidy(self._engine, self._store, self._destination, summary.stored)
        info = info_of(summary.stored)
        return Receipt(
            file_id=info.address,
            name=source.name,
            size=source.size,
            chunk_size=cut.plan.chunk_size,
            chunks=chunk_count(source.size, cut.plan.chunk_size),
            sha256=summary.sha256,
            owner="",
            created_at=time.time(),
            expires_at=info.expires_at,
            link=None if cut.key is None else _with_key(info.address, cut.key),
            statistics=summary.statistics,
        )

    def _plain(self, load: Load) -> _Cut:
        source = load.source
        size = load.chunk_size(
            self._chunk_size(source.size, 0), is_explicit=self._config.chunk_size is not None
        )
        file_id = load.record.head.file_id if load.record is not None else new_file_id()
        plan = object_plan(file_id, source.size, size, is_sealed=False, name=source.name)
        return _Cut(plan, as_it_is, NO_FRAME, None)

    def _sealed(self, source: Source) -> _Cut:
        chunk_size = self._chunk_size(source.size, SEAL_OVERHEAD)
        manifest = new_manifest(source, chunk_size, owner="")
        key = new_object_key()
        trailer = Trailer(manifest, key)
        plan = object_plan(
            manifest.file_id, source.size, chunk_size, is_sealed=True, trailer=trailer.length
        )
        seal_chunk = sealing(manifest)
        # Of every chunk, though the last one alone needs it: the trailer takes less than a page.
        frame = replace(SEAL_FRAME, after=SEAL_FRAME.after + trailer.length)

        def seal(chunk: Chunk) -> Chunk:
            sealed = seal_chunk(chunk)
            if chunk.index < plan.chunks - 1:
                return sealed
            # The last chunk is read last: the hash of the whole is known now.
            return _followed(sealed, trailer.sealed(source.sha256))

        return _Cut(plan, seal, frame, key)

    def _chunk_size(self, size: int, overhead: int) -> int:
        explicit = self._config.chunk_size
        return chunk_size_of(size, self._reader.capabilities, explicit, overhead=overhead)

    # --- what is there

    def files(self, transfer: Transfer) -> list[RemoteFile]:
        """Return what lies below the store's address."""
        return [_remote(info) for info in self._call(transfer, "list", self._store.objects)]

    def delete(self, address: str, transfer: Transfer) -> None:
        """Remove an object."""
        info = self._stat(_without_key(address)[0], transfer)
        stored = _stored(info, _remote(info), 0)
        self._call(transfer, "delete", lambda wait: self._store.delete(stored, range(1), wait))

    def link(self, address: str, ttl: Optional[float], transfer: Transfer) -> str:
        """Return an URL by which anybody can download an object."""
        bare, key = _without_key(address)
        info = self._stat(bare, transfer)
        url, _ = self._call(transfer, "link", lambda wait: self._store.url(info, ttl, wait))
        return url if key is None else _with_key(url, key)


def _followed(sealed: Chunk, trailer: bytes) -> Chunk:
    """Return a chunk with a trailer behind it; that of an empty file is the trailer alone."""
    block, size = sealed.block, len(sealed.data)
    if block is None or not size:
        return replace(sealed, data=bytes(sealed.data) + trailer)
    block[size : size + len(trailer)] = trailer
    return replace(sealed, data=block[: size + len(trailer)])


def info_of(stored: StoredFile) -> ObjectInfo:
    """Return what a store says of an object, as its location keeps it."""
    return ObjectInfo(**stored.location)


def _stored(info: ObjectInfo, remote: RemoteFile, overhead: int) -> StoredFile:
    return StoredFile(
        file_id=info.address,
        owner="",
        chunks=remote.chunks,
        location=asdict(info),
        size=remote.size,
        chunk_size=remote.chunk_size,
        overhead=overhead,
    )


def _remote(info: ObjectInfo) -> RemoteFile:
    """Return what is known of an object without opening it."""
    return RemoteFile(
        file_id=info.address,
        name=info.name,
        size=info.size,
        chunk_size=0,
        chunks=0,
        sha256="",
        state=COMPLETE,
        owner="",
        created_at=info.modified_at or 0.0,
        expires_at=info.expires_at,
    )


def _described(info: ObjectInfo, manifest: Manifest) -> RemoteFile:
    """Return the description of a sealed file."""
    return replace(
        _remote(info),
        name=manifest.name,
        size=manifest.size,
        chunk_size=manifest.chunk_size,
        chunks=manifest.chunks,
        sha256=manifest.sha256,
        created_at=manifest.created_at,
    )


def _with_key(address: str, key: bytes) -> str:
    return f"{address}#{key_text(key)}"


def _without_key(address: str) -> tuple[str, Optional[bytes]]:
    """Split an address; a ``#`` without a key behind it is an error, not a name.

    Raises:
        ValueError: What stands behind the ``#`` is no key.
    """
    bare, mark, fragment = address.partition("#")
    return bare, read_key(fragment) if mark else None
