"""The client: an address becomes keys, a catalog and a store; operations do what its calls say."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Optional, Union

from atxfer._crypto.atkeys import AtKeys, find
from atxfer._engine.many import each_as_it_ends
from atxfer._engine.sources import Readable
from atxfer._engine.targets import Writable
from atxfer._engine.transfer import Transfer
from atxfer._format.manifest import COMPLETE, is_file_id
from atxfer._observe.progress import Callback
from atxfer._operations import downloads, files, uploads
from atxfer._operations.home import Home
from atxfer._operations.reach import Reach, StrPath
from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.config import TransferConfig, setting
from atxfer.errors import FileNotFound
from atxfer.model import Outcome, Receipt, RemoteFile, Result

__all__ = ["Client"]

FileLike = Union[str, RemoteFile, Receipt]


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
        owner = normalise_atsign(address)
        reach = Reach.of(directory, ca_file, config)
        path = find(owner, setting(keys_dir, "ATXFER_KEYS_DIR"))
        keys = AtKeys.read(path, owner, setting(passphrase, "ATXFER_PASSPHRASE"))
        self._config = reach.config
        self._engine = reach.engine
        self._home = Home(reach, keys)
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
        entries = self._engine.run(lambda transfer: files.entries(self._home, transfer), "list")
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
        entry = self._engine.run(lambda transfer: self._home.entry(transfer, file_id), file_id)
        return entry.remote_file()

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
        return self._engine.run(
            lambda transfer: files.extend(self._home, file_id, seconds, transfer), file_id
        )

    def delete(self, file: FileLike) -> None:
        """Remove a file, or what an upload that failed has left.

        The chunks go first and the manifest last, so that an interrupted delete can be repeated.

        Raises:
            FileNotFound: It is not there.
            FileExpired: Its time to live is over; what is left of it goes by itself.
        """
        file_id = _file_id(file)
        self._engine.run(lambda transfer: files.delete(self._home, file_id, transfer), file_id)

    # --- the client itself

    @property
    def atsign(self) -> str:
        """The atSign whose server holds the files."""
        return self._home.owner

    @property
    def config(self) -> TransferConfig:
        """How fast, how patient, how large."""
        return self._config

    def metrics(self) -> dict[str, Any]:
        """Return what this client has done and felt so far, as plain values."""
        pool = self._home.pool
        connections = {"opened": pool.opened, "logins": pool.logins, "reused": pool.reused}
        return {**self._engine.metrics(), "connections": connections}

    def close(self) -> None:
        """End what is under way, within a second, and close the connections."""
        self._engine.close()
        self._home.close()

    def _after_fork(self) -> None:
        """Leave the connections to the parent, in the child of a fork."""
        self._home.drop()

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
        return f"<Client {self._home.owner}>"

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
        order = uploads.Order(source, name, seconds, progress)
        return lambda transfer: uploads.upload(self._home, order, transfer)

    def _download(
        self, file: FileLike, target: Writable, progress: Optional[Callback]
    ) -> Callable[[Transfer], Result]:
        """Return the body of a download."""
        file_id, wish = _file_id(file), downloads.Wish(target, progress)
        return lambda transfer: downloads.download_own(self._home, file_id, wish, transfer)


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


def _checked_ttl(config: TransferConfig, ttl: float) -> float:
    """Return a time to live that the configuration's range allows."""
    config.but(ttl=ttl)
    return ttl


_CLIENTS: weakref.WeakSet[Client] = weakref.WeakSet()


def _drop_connections() -> None:
    for client in list(_CLIENTS):
        client._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_connections)
