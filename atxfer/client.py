"""The client: an address becomes keys, a catalog and a store; the engine does the moving."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Optional, TypeVar, Union

from atxfer._catalog.atserver import AtServerCatalog
from atxfer._catalog.base import Entry
from atxfer._crypto.atkeys import AtKeys, find
from atxfer._engine.engine import Engine
from atxfer._engine.jobs import DownloadJob, UploadJob
from atxfer._engine.many import each_as_it_ends
from atxfer._engine.sources import Readable, Source, open_source
from atxfer._engine.targets import Writable
from atxfer._engine.transfer import Transfer
from atxfer._format.manifest import (
    COMPLETE,
    UPLOADING,
    Manifest,
    is_file_id,
    new_file_id,
    new_file_key,
)
from atxfer._format.sealing import SEAL_OVERHEAD, Sealer
from atxfer._net.address import parse_address
from atxfer._net.directory import DEFAULT_DIRECTORY, Directory
from atxfer._net.pool import ConnectionPool
from atxfer._net.records import Records
from atxfer._net.stream import tls_context
from atxfer._observe.progress import Callback
from atxfer._policy.sizing import choose_chunk_size, chunks_per_delete, ranges
from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.config import TransferConfig, setting
from atxfer.errors import FileNotFound
from atxfer.model import Outcome, Receipt, RemoteFile, Result, chunk_count
from atxfer.stores.atserver import CHUNK_GRACE, AtServerStore
from atxfer.stores.base import StoredFile, UploadPlan
from atxfer.waiting import Wait

__all__ = ["Client"]

T = TypeVar("T")

StrPath = Union[str, "os.PathLike[str]"]
FileLike = Union[str, RemoteFile, Receipt]

# Manifests are read so many to a request: each is about 1.5 KB on the wire.
_MANIFESTS_PER_REQUEST = 64


class Client:
    """Moves files to and from one atServer, by blocking calls.

    Args:
        address: The atSign whose server holds the files, as ``"@alice"``.
        directory: ``HOST:PORT`` of the atDirectory; ``ATXFER_DIRECTORY`` or ``root.atsign.org:64``.
        ca_file: A PEM file of certificate authorities to trust instead of the system's;
            ``ATXFER_CA_FILE``.
        keys_dir: The folder of ``@alice_key.atKeys``; ``ATXFER_KEYS_DIR`` or ``~/.atsign/keys``.
        passphrase: Opens a key file that is wrapped with one; ``ATXFER_PASSPHRASE``.
        config: How fast, how patient, how large.

    Raises:
        ValueError: The address is no atSign, or the directory no ``HOST:PORT``.
        KeysError: The key file is missing, unreadable, readable by others, or another atSign's.

    Threads: a client may be shared; all its transfers to one server share one cap. It survives
    ``fork``: the child opens connections of its own.
    """

    def __init__(
        self,
        address: str,
        *,
        directory: Optional[str] = None,
        ca_file: Optional[StrPath] = None,
        keys_dir: Optional[StrPath] = None,
        passphrase: Optional[str] = None,
        config: Optional[TransferConfig] = None,
    ) -> None:
        self._config = config if config is not None else TransferConfig()
        self._owner = normalise_atsign(address)
        root = parse_address(setting(directory, "ATXFER_DIRECTORY") or DEFAULT_DIRECTORY)
        context = tls_context(setting(ca_file, "ATXFER_CA_FILE"))
        path = find(self._owner, setting(keys_dir, "ATXFER_KEYS_DIR"))
        self._keys = AtKeys.read(path, self._owner, setting(passphrase, "ATXFER_PASSPHRASE"))
        self._pool = ConnectionPool(
            Directory(root, context, timeout=self._config.connect_timeout),
            self._owner,
            login=self._keys,
            context=context,
            config=self._config,
        )
        records = Records(self._pool)
        self._catalog = AtServerCatalog(records, self._keys)
        self._store = AtServerStore(records, self._owner, self._config)
        self._engine = Engine(self._config)
        self._destination = self._engine.destination(
            f"atserver:{self._owner}", self._config.max_concurrent_uploads
        )
        _CLIENTS.add(self)

    # --- up

    def upload(
        self,
        source: Readable,
        *,
        name: Optional[str] = None,
        ttl: Optional[float] = None,
        progress: Optional[Callback] = None,
    ) -> Receipt:
        """Upload one file; return when it is safely there.

        Args:
            source: A path, bytes, or a binary file object, read from where it stands. One that
                can't seek is first copied to an anonymous temporary file: the format wants the
                size beforehand.
            name: The name to keep it under; by default the source's own, or ``unnamed``.
            ttl: Seconds it is to live; by default the configuration's.
            progress: Called with a :class:`Progress` now and then, from one other thread.

        Raises:
            TransferError: It is not there; the error says why, which chunks are missing, and what
                to do. What was stored expires by itself; ``delete(error.file_id)`` removes it now.
            OSError: The source can't be read.
            ValueError: An argument is out of range.
        """
        return self._engine.run(self._upload(source, name, ttl, progress), _label(source, name))

    def submit_upload(
        self,
        source: Readable,
        *,
        name: Optional[str] = None,
        ttl: Optional[float] = None,
        progress: Optional[Callback] = None,
    ) -> Transfer:
        """Begin an upload and return at once; ``result()`` returns what :meth:`upload` does."""
        return self._engine.submit(self._upload(source, name, ttl, progress), _label(source, name))

    def upload_many(
        self,
        sources: Iterable[Readable],
        *,
        ttl: Optional[float] = None,
        progress: Optional[Callback] = None,
    ) -> Iterator[Outcome]:
        """Upload several files under the one cap; yield how each ended, as it ends.

        A file that fails does not disturb the others. As many files are under way as the cap has
        requests, and ``sources`` is read no faster than that. Leaving the loop early cancels those
        that are still under way.
        """
        ends = each_as_it_ends(
            self._engine,
            sources,
            lambda source: self._upload(source, None, ttl, progress),
            name=_label,
            width=self._config.max_concurrent_uploads,
        )
        for end in ends:
            yield Outcome(end.item, end.value, end.error)

    # --- down

    def download(
        self,
        file: FileLike,
        target: Writable = ".",
        *,
        progress: Optional[Callback] = None,
    ) -> Result:
        """Download one file; return when it is verified and in its place.

        Args:
            file: A file id, or what ``upload`` or ``files`` returned.
            target: A path, a directory (the file keeps its name), or a writable binary file object.
                A path is written beside itself first and replaced only by the whole, verified file;
                a file object gets the chunks in order, and must be thrown away after an error.
            progress: Called with a :class:`Progress` now and then, from one other thread.

        Raises:
            FileNotFound: It is not there, or its upload never ended.
            FileExpired: Its time to live is over.
            IntegrityError: What is there is not what was uploaded; the target is as it was.
            TransferError: Anything else that went wrong.
            OSError: The target can't be written.
        """
        return self._engine.run(self._download(file, target, progress), _file_id(file))

    def submit_download(
        self,
        file: FileLike,
        target: Writable = ".",
        *,
        progress: Optional[Callback] = None,
    ) -> Transfer:
        """Begin a download and return at once; ``result()`` returns what :meth:`download` does."""
        return self._engine.submit(self._download(file, target, progress), _file_id(file))

    # --- what is there

    def files(self, *, incomplete: bool = False) -> Iterator[RemoteFile]:
        """Yield the files on the server, oldest first; with ``incomplete`` begun uploads as well.

        Raises:
            TransferError: The server can't be asked.
        """
        entries = self._engine.run(self._entries, "list")
        for entry in sorted(entries, key=lambda entry: entry.manifest.created_at):
            if incomplete or entry.manifest.state == COMPLETE:
                yield entry.remote_file()

    def file(self, file: FileLike) -> RemoteFile:
        """Return one file's description as it is now, of a begun upload too.

        Raises:
            FileNotFound: It is not there.
            FileExpired: Its time to live is over.
        """
        file_id = _file_id(file)
        return self._engine.run(
            lambda transfer: self._read(transfer, file_id), file_id
        ).remote_file()

    def extend(self, file: FileLike, ttl: float) -> RemoteFile:
        """Let a file live ``ttl`` seconds from now; return its new description.

        Raises:
            FileNotFound: It is not there.
            FileExpired: Its time to live is over.
            ChunkMissing: A part of it is not there any more.
            ValueError: ``ttl`` is out of range.
        """
        seconds = _checked_ttl(self._config, ttl)
        file_id = _file_id(file)

        def body(transfer: Transfer) -> RemoteFile:
            stored = _stored(self._read(transfer, file_id).manifest)

            def extend_range(indexes: range, wait: Wait) -> None:
                self._store.extend(stored, indexes, seconds, wait)

            # Chunks first: whoever can read the manifest can read the file (design §7).
            self._each_range(transfer, stored, extend_range)
            self._call(
                transfer, "extend", lambda wait: self._catalog.extend(file_id, seconds, wait)
            )
            return self._read(transfer, file_id).remote_file()

        return self._engine.run(body, file_id)

    def delete(self, file: FileLike) -> None:
        """Remove a file, or what an upload that failed has left.

        The chunks go first and the manifest last, so that an interrupted delete can be repeated.

        Raises:
            FileNotFound: It is not there.
            FileExpired: Its time to live is over; what is left of it goes by itself.
        """
        file_id = _file_id(file)

        def body(transfer: Transfer) -> None:
            stored = _stored(self._read(transfer, file_id).manifest)

            def delete_range(indexes: range, wait: Wait) -> None:
                self._store.delete(stored, indexes, wait)

            self._each_range(transfer, stored, delete_range)
            self._call(transfer, "delete", lambda wait: self._catalog.remove(file_id, wait))

        self._engine.run(body, file_id)

    # --- the client itself

    @property
    def atsign(self) -> str:
        """The atSign whose server holds the files."""
        return self._owner

    @property
    def config(self) -> TransferConfig:
        """How fast, how patient, how large."""
        return self._config

    def metrics(self) -> dict[str, Any]:
        """Return what this client has done and felt so far, as plain values."""
        pool = self._pool
        connections = {"opened": pool.opened, "logins": pool.logins, "reused": pool.reused}
        return {**self._engine.metrics(), "connections": connections}

    def close(self) -> None:
        """End what is under way, within a second, and close the connections."""
        self._engine.close()
        self._pool.close()

    def _after_fork(self) -> None:
        """Leave the connections to the parent, in the child of a fork."""
        self._pool.drop()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._owner}>"

    # --- how it is done

    def _upload(
        self,
        source: Readable,
        name: Optional[str],
        ttl: Optional[float],
        progress: Optional[Callback],
    ) -> Callable[[Transfer], Receipt]:
        """Return the body of an upload."""
        seconds = self._config.ttl if ttl is None else _checked_ttl(self._config, ttl)

        def body(transfer: Transfer) -> Receipt:
            most = self._config.max_file_size
            with open_source(source, name=name, max_file_size=most, wait=transfer.wait) as opened:
                return self._send(transfer, opened, seconds, progress)

        return body

    def _send(
        self,
        transfer: Transfer,
        source: Source,
        ttl: Optional[float],
        progress: Optional[Callback],
    ) -> Receipt:
        manifest = self._new_manifest(source)
        began = transfer.wait.clock.monotonic()
        plan = UploadPlan(
            manifest.file_id, manifest.size, manifest.chunk_size, manifest.chunks, ttl
        )

        def commit(sha256: str, wait: Wait) -> None:
            whole = replace(manifest, state=COMPLETE, sha256=sha256)
            self._catalog.write(whole, _ttl_left(ttl, wait.clock.monotonic() - began), wait)

        job = UploadJob(
            name=manifest.name,
            source=source,
            plan=plan,
            upload=self._store.open_upload(plan, transfer.wait),
            capabilities=self._store.capabilities,
            destination=self._destination,
            seal=Sealer(manifest.file_key, manifest.file_id, manifest.chunks).seal,
            begin=lambda wait: self._catalog.write(manifest, ttl, wait),
            commit=commit,
            overhead=SEAL_OVERHEAD,
            progress=progress,
        )
        summary = self._engine.upload(job, transfer)
        left = _ttl_left(ttl, transfer.wait.clock.monotonic() - began)
        return Receipt(
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

    def _new_manifest(self, source: Source) -> Manifest:
        chunk_size = choose_chunk_size(
            source.size, self._store.capabilities, self._config.chunk_size, overhead=SEAL_OVERHEAD
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
            owner=self._owner,
            created_at=time.time(),
        )

    def _download(
        self, file: FileLike, target: Writable, progress: Optional[Callback]
    ) -> Callable[[Transfer], Result]:
        """Return the body of a download."""
        file_id = _file_id(file)

        def body(transfer: Transfer) -> Result:
            entry = self._read(transfer, file_id)
            manifest, remote = entry.manifest, entry.remote_file()
            if manifest.state != COMPLETE:
                raise FileNotFound("the upload of this file has not ended", file_id=file_id)
            job = DownloadJob(
                file=remote,
                download=self._store.open_download(_stored(manifest), transfer.wait),
                capabilities=self._store.capabilities,
                destination=self._destination,
                open_=Sealer(manifest.file_key, manifest.file_id, manifest.chunks).open,
                target=target,
                overhead=SEAL_OVERHEAD,
                progress=progress,
            )
            summary = self._engine.download(job, transfer)
            return Result(remote, summary.path, summary.statistics)

        return body

    def _read(self, transfer: Transfer, file_id: str) -> Entry:
        return self._call(transfer, "manifest", lambda wait: self._catalog.read(file_id, wait))

    def _entries(self, transfer: Transfer) -> list[Entry]:
        file_ids = self._call(transfer, "list", self._catalog.file_ids)
        groups = [
            file_ids[start : start + _MANIFESTS_PER_REQUEST]
            for start in range(0, len(file_ids), _MANIFESTS_PER_REQUEST)
        ]
        found = self._engine.for_each(
            self._destination, groups, self._catalog.read_many, transfer, name="manifests"
        )
        return [entry for entries in found for entry in entries.values()]

    def _each_range(
        self, transfer: Transfer, stored: StoredFile, ask: Callable[[range, Wait], None]
    ) -> None:
        per_request = chunks_per_delete(self._store.capabilities)
        self._engine.for_each(
            self._destination, ranges(stored.chunks, per_request), ask, transfer, name="chunks"
        )

    def _call(self, transfer: Transfer, name: str, ask: Callable[[Wait], T]) -> T:
        return self._engine.call(self._destination, name, ask, transfer)


def _label(source: Readable, name: Optional[str] = None) -> str:
    """Return what to call a transfer before its source is open."""
    if name is not None:
        return name
    return Path(source).name if isinstance(source, (str, os.PathLike)) else "upload"


def _file_id(file: FileLike) -> str:
    file_id = file if isinstance(file, str) else file.file_id
    if not is_file_id(file_id):
        raise FileNotFound(f"{file_id!r} is no file id")
    return file_id


def _stored(manifest: Manifest) -> StoredFile:
    return StoredFile(manifest.file_id, manifest.owner, manifest.chunks, manifest.location)


def _checked_ttl(config: TransferConfig, ttl: float) -> float:
    """Return a time to live that the configuration's range allows."""
    config.but(ttl=ttl)
    return ttl


def _ttl_left(ttl: Optional[float], elapsed: float) -> Optional[float]:
    """Return how long the last manifest of an upload is to live.

    The chunks' time runs from when each was stored, and they have CHUNK_GRACE more than their
    manifest; half of that is for the upload. One that takes longer shortens the file's life by the
    rest, so that the first chunk never goes before the manifest.
    """
    return None if ttl is None else max(1.0, ttl - max(0.0, elapsed - CHUNK_GRACE / 2))


_CLIENTS: weakref.WeakSet[Client] = weakref.WeakSet()


def _drop_connections() -> None:
    for client in list(_CLIENTS):
        client._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_connections)
