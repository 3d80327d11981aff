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
from atxfer._format.attalk import is_attalk_id
from atxfer._format.link import Link, is_link
from atxfer._format.manifest import COMPLETE, is_file_id
from atxfer._observe.progress import Callback
from atxfer._operations import downloads, files, links, shares, uploads
from atxfer._operations.arrivals import Wanted
from atxfer._operations.attalk import downloads as attalk_downloads
from atxfer._operations.attalk import files as attalk_files
from atxfer._operations.attalk import uploads as attalk_uploads
from atxfer._operations.attalk.places import Place, describe
from atxfer._operations.home import Home
from atxfer._operations.inbox import Inbox
from atxfer._operations.orders import Order, Wish
from atxfer._operations.peers import Peers
from atxfer._operations.reach import Reach, StrPath
from atxfer._operations.seen import Seen, state_folder
from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.config import TransferConfig, setting
from atxfer.errors import FileNotFound, NotSupported
from atxfer.model import Outcome, Receipt, RemoteFile, Result, SharedFile

__all__ = ["Client", "download_link"]

FileLike = Union[str, RemoteFile, Receipt]

NATIVE, ATTALK = "native", "attalk"


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
        state_dir: The folder of the file that says which shares were seen; ``ATXFER_STATE_DIR``, or
            ``atxfer`` in ``$XDG_STATE_HOME`` or ``~/.local/state``.

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
        state_dir: Optional[StrPath] = None,
    ) -> None:
        owner = normalise_atsign(address)
        reach = Reach.of(directory, ca_file, config)
        path = find(owner, setting(keys_dir, "ATXFER_KEYS_DIR"))
        keys = AtKeys.read(path, owner, setting(passphrase, "ATXFER_PASSPHRASE"))
        self._config = reach.config
        self._engine = reach.engine
        self._home = Home(reach, keys)
        self._seen = Seen(state_folder(state_dir), owner, str(reach.directory.address))
        _CLIENTS.add(self)

    # --- up

    def upload(
        self,
        source: Readable,
        *,
        name: Optional[str] = None,
        ttl: Optional[float] = None,
        share_with: Iterable[str] = (),
        progress: Optional[Callback] = None,
        format: str = NATIVE,  # noqa: A002  # what users call it
        namespace: Optional[str] = None,
        caption: Optional[str] = None,
    ) -> Receipt:
        """Upload one file; return when it is safely there.

        Args:
            source: A path, bytes, or a binary file object, read from where it stands. One that
                can't seek is first copied to an anonymous temporary file: the format wants the
                size beforehand.
            name: The name to keep it under; by default the source's own, or ``unnamed``.
            ttl: Seconds it is to live; by default the configuration's.
            share_with: The atSigns to share it with, once it is there; see :meth:`share`.
            progress: Called with a :class:`Progress` now and then, from one other thread.
            format: ``"native"``, or ``"attalk"`` for what the AtTalk application reads: smaller
                files, no hash, one day (docs/attalk.md).
            namespace: Of format attalk: the application's name space; by default ``"attalk"``.
            caption: Of format attalk: what the message says that announces the file.

        Raises:
            SharingFailed: It is there, but not shared with all of them.
            TransferError: It is not there; the error says why, which chunks are missing, and what
                to do. What was stored expires by itself; ``delete(error.file_id)`` removes it now.
            OSError: The source can't be read.
            ValueError: An argument is out of range.
        """
        chat = self._chat(format, namespace, caption)
        body = self._upload(source, name, ttl, share_with, progress, chat)
        return self._engine.run(body, _label(source, name))

    def submit_upload(
        self,
        source: Readable,
        *,
        name: Optional[str] = None,
        ttl: Optional[float] = None,
        share_with: Iterable[str] = (),
        progress: Optional[Callback] = None,
        format: str = NATIVE,  # noqa: A002  # what users call it
        namespace: Optional[str] = None,
        caption: Optional[str] = None,
    ) -> Transfer:
        """Begin an upload and return at once; ``result()`` returns what :meth:`upload` does."""
        chat = self._chat(format, namespace, caption)
        body = self._upload(source, name, ttl, share_with, progress, chat)
        return self._engine.submit(body, _label(source, name))

    def upload_many(
        self,
        sources: Iterable[Readable],
        *,
        ttl: Optional[float] = None,
        share_with: Iterable[str] = (),
        progress: Optional[Callback] = None,
        format: str = NATIVE,  # noqa: A002  # what users call it
        namespace: Optional[str] = None,
        caption: Optional[str] = None,
    ) -> Iterator[Outcome]:
        """Upload several files under the one cap; yield how each ended, as it ends.

        A file that fails does not disturb the others. As many files are under way as the cap has
        requests, and ``sources`` is read no faster than that. Leaving the loop early cancels those
        that are still under way.
        """
        with_whom = shares.checked_recipients(self._home, share_with)
        chat = self._chat(format, namespace, caption)
        ends = each_as_it_ends(
            self._engine,
            sources,
            lambda source: self._upload(source, None, ttl, with_whom, progress, chat),
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
        from_: Optional[str] = None,
        progress: Optional[Callback] = None,
        format: Optional[str] = None,  # noqa: A002
        namespace: Optional[str] = None,
    ) -> Result:
        """Download one file; return when it is verified and in its place.

        Args:
            file: A file id, what ``upload``, ``files`` or ``inbox`` gave, or a link. A file of
                others' is read straight from their server, without a login there.
            target: A path, a directory (the file keeps its name), or a writable binary file object.
                A path is written beside itself first and replaced only by the whole, verified file;
                a file object gets the chunks in order, and must be thrown away after an error.
            from_: Whose file it is, if it is shared with us and only its id is at hand; by default
                it is looked for among one's own files, then in the inbox, and one of format attalk
                among one's own alone.
            progress: Called with a :class:`Progress` now and then, from one other thread.
            format: ``"native"`` or ``"attalk"``; by default what the file id says.
            namespace: Of format attalk: the application's name space; by default ``"attalk"``.

        Raises:
            FileNotFound: It is not there, or its upload never ended.
            FileExpired: Its time to live is over.
            NotShared: Its owner does not share it with us any more.
            LinkRevoked: The link leads nowhere any more.
            IntegrityError: What is there is not what was uploaded; the target is as it was.
            TransferError: Anything else that went wrong.
            OSError: The target can't be written.
        """
        place = self._maybe_place(file, format, namespace, from_)
        body = self._download(file, target, from_, progress, place)
        return self._engine.run(body, _name(file))

    def submit_download(
        self,
        file: FileLike,
        target: Writable = ".",
        *,
        from_: Optional[str] = None,
        progress: Optional[Callback] = None,
        format: Optional[str] = None,  # noqa: A002
        namespace: Optional[str] = None,
    ) -> Transfer:
        """Begin a download and return at once; ``result()`` returns what :meth:`download` does."""
        place = self._maybe_place(file, format, namespace, from_)
        body = self._download(file, target, from_, progress, place)
        return self._engine.submit(body, _name(file))

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

    def file(
        self, file: FileLike, *, namespace: Optional[str] = None, from_: Optional[str] = None
    ) -> RemoteFile:
        """Return one file's description as it is now, of a begun upload too.

        Args:
            file: A file id, or what ``upload`` or ``files`` returned.
            namespace: As for :meth:`download`.
            from_: As for :meth:`download`.

        Raises:
            FileNotFound: It is not there.
            FileExpired: Its time to live is over.
        """
        place = self._maybe_place(file, None, namespace, from_)
        if place is not None:
            found = self._engine.run(
                lambda transfer: describe(self._home, place, transfer), place.file_id
            )
            return found.remote_file()
        if from_ is not None:
            raise ValueError("what others share in the native format is described by the inbox")
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

    def delete(self, file: FileLike, *, namespace: Optional[str] = None) -> None:
        """Remove a file, or what an upload that failed has left.

        The chunks go first and the manifest last, so that an interrupted delete can be repeated.

        Raises:
            FileNotFound: It is not there.
            FileExpired: Its time to live is over; what is left of it goes by itself.
        """
        place = self._maybe_place(file, None, namespace)
        if place is not None:
            self._engine.run(
                lambda transfer: attalk_files.delete(self._home, place, transfer), place.file_id
            )
            return
        file_id = _file_id(file)
        self._engine.run(lambda transfer: files.delete(self._home, file_id, transfer), file_id)

    # --- for others

    def share(self, file: FileLike, *atsigns: str) -> None:
        """Let other atSigns read a file of one's own; nothing of the file is sent again.

        Each of them gets one record and one notification. Their servers keep a copy, so that they
        find it hours later, for as long as the file lives.

        Args:
            file: A file id, or what ``upload`` or ``files`` returned.
            atsigns: With whom, as ``"@bob"``.

        Raises:
            ValueError: One is no atSign, or our own, or none is named.
            AtSignNotFound: There is no such atSign. Then it is shared with none of them.
            FileNotFound: It is not there, or its upload never ended.
            SharingFailed: With some it is not shared.
            TransferError: A server can't be asked.
        """
        with_whom = shares.checked_recipients(self._home, atsigns)
        if not with_whom:
            raise ValueError("share with whom? Name an atSign")
        file_id = _file_id(file)
        self._engine.run(
            lambda transfer: shares.share_own(self._home, file_id, with_whom, transfer), file_id
        )

    def unshare(self, file: FileLike, *atsigns: str) -> None:
        """Share a file no longer with these atSigns; without any, with nobody.

        Who has opened the manifest before may have kept the file's key: see docs/sharing.md for
        what this can and can't undo.

        Raises:
            ValueError: One is no atSign, or our own.
            TransferError: The server can't be asked.
        """
        with_whom = shares.checked_recipients(self._home, atsigns)
        file_id = _file_id(file)
        self._engine.run(
            lambda transfer: shares.unshare(self._home, file_id, with_whom, transfer), file_id
        )

    def shared_with(self, file: FileLike) -> list[str]:
        """Return the atSigns a file is shared with, in the order of their names."""
        file_id = _file_id(file)
        found = self._engine.run(
            lambda transfer: shares.recipients(self._home, file_id, transfer), file_id
        )
        return list(found)

    def link(self, file: FileLike, *, ttl: Optional[float] = None) -> str:
        """Return a link by which anybody can download a file, without an atSign or keys.

        Who holds the link can read the file: it carries the key. A file has one link; while it has
        one, the same is returned again, with the new end. :func:`atxfer.download_link` follows it.

        Args:
            file: A file id, or what ``upload`` or ``files`` returned.
            ttl: Seconds it is to lead there; by default, and at most, as long as the file lives.

        Raises:
            FileNotFound: It is not there, or its upload never ended.
            ValueError: ``ttl`` is out of range.
        """
        seconds = None if ttl is None else _checked_ttl(self._config, ttl)
        file_id = _file_id(file)
        return self._engine.run(
            lambda transfer: links.link(self._home, file_id, seconds, transfer), file_id
        )

    def unlink(self, file: FileLike) -> None:
        """Let the link of a file lead nowhere, now and for ever; a later one has another key.

        Who has followed it before may have kept the file's key.
        """
        file_id = _file_id(file)
        self._engine.run(lambda transfer: links.unlink(self._home, file_id, transfer), file_id)

    # --- from others

    def inbox(
        self,
        *,
        wait: Optional[float] = 0.0,
        since: Optional[float] = None,
        from_: Union[str, Iterable[str]] = (),
        include_seen: bool = False,
        until_downloaded: bool = False,
    ) -> Iterator[SharedFile]:
        """Yield what others share with us: first what is there, then, while waiting, what comes.

        Each share once, also over restarts of the program: a small file says what was seen. A share
        counts as seen when the loop asks for the next one, or when :meth:`download` has fetched it;
        so one whose turn ended with an error, or with the end of the program, comes once more. What
        can't be verified is not shown, and not seen; a warning in the log tells of it.

        Args:
            wait: Seconds in all to go on listening; None for ever. Meanwhile lost connections are
                made anew, however often.
            since: Only what was shared since, in epoch seconds, by the clocks of those who shared.
            from_: Only what these atSigns share. Their servers are asked as well, which finds what
                was shared while our own server could not be reached for long.
            include_seen: What was seen before, too.
            until_downloaded: Let only what was downloaded count as seen.

        Raises:
            ValueError: ``wait`` is negative, or one of ``from_`` no atSign.
            TransferError: The server can't be asked: while waiting only for what doesn't pass by
                itself, or if it could not be asked at all. Or one of ``from_`` could not be asked;
                all others are yielded before.
            OSError: The file that says what was seen can't be read or written.

        Threads: an iterator belongs to one thread at a time. Two at once, in one program or in two,
        may both yield the same share.
        """
        if wait is not None and not wait >= 0:
            raise ValueError(f"wait must be seconds from 0, or None for ever, not {wait!r}")
        wanted = Wanted.of(since, from_, include_seen)
        look = Inbox(self._home, self._seen, wanted, wait=wait, until_downloaded=until_downloaded)
        return look.files()

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
        self._seen.drop()

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

    def _chat(
        self, name: str, namespace: Optional[str], caption: Optional[str]
    ) -> Optional[attalk_uploads.Chat]:
        """Return where a file is announced, if the format of this name is the application's."""
        if _is_attalk(name):
            return attalk_uploads.Chat.of(self._home, namespace, caption)
        if namespace is not None or caption is not None:
            raise ValueError("namespace and caption are of format attalk")
        return None

    def _maybe_place(
        self,
        file: FileLike,
        name: Optional[str] = None,
        namespace: Optional[str] = None,
        from_: Optional[str] = None,
    ) -> Optional[Place]:
        """Return where a file lies, if its format is that of the application."""
        file_id = file if isinstance(file, str) else file.file_id
        if _is_attalk(name) if name is not None else is_attalk_id(file_id):
            owner = file.owner if from_ is None and not isinstance(file, str) else from_
            return Place.of(self._home, file_id, namespace, owner)
        if namespace is not None:
            raise ValueError("a namespace is of format attalk")
        return None

    def _upload(
        self,
        source: Readable,
        name: Optional[str],
        ttl: Optional[float],
        share_with: Iterable[str],
        progress: Optional[Callback],
        chat: Optional[attalk_uploads.Chat],
    ) -> Callable[[Transfer], Receipt]:
        """Return the body of an upload."""
        with_whom = shares.checked_recipients(self._home, share_with)
        if chat is not None:
            life = attalk_uploads.checked_ttl(ttl, self._config)
            talked = Order(source, name, life, progress, with_whom)
            return lambda transfer: attalk_uploads.upload(self._home, talked, chat, transfer)
        seconds = self._config.ttl if ttl is None else _checked_ttl(self._config, ttl)
        order = Order(source, name, seconds, progress, with_whom)
        return lambda transfer: uploads.upload(self._home, order, transfer)

    def _download(
        self,
        file: FileLike,
        target: Writable,
        from_: Optional[str],
        progress: Optional[Callback],
        place: Optional[Place],
    ) -> Callable[[Transfer], Result]:
        """Return the body of a download."""
        wish = Wish(target, progress)
        if place is not None:
            return lambda transfer: attalk_downloads.download(self._home, place, wish, transfer)
        if isinstance(file, str) and is_link(file):
            at, peers = Link.parse(file), self._home.peers
            return lambda transfer: links.download(self._engine, peers, at, wish, transfer)
        file_id, note = _file_id(file), self._seen.mark_now
        owner = from_ if from_ is None else normalise_atsign(from_)
        if isinstance(file, SharedFile):
            owner = file.owner
        if owner is None:
            return lambda t: downloads.download_any(self._home, file_id, wish, note, t)
        ends_at = file.expires_at if isinstance(file, SharedFile) else None
        claim = downloads.Claim(owner, file_id, ends_at)
        return lambda t: downloads.download_shared(self._home, claim, wish, note, t)


def download_link(
    link: str,
    target: Writable = ".",
    *,
    directory: Optional[str] = None,
    ca_file: Optional[StrPath] = None,
    config: Optional[TransferConfig] = None,
    progress: Optional[Callback] = None,
) -> Result:
    """Download what a link leads to; neither an atSign nor keys are needed.

    Args:
        link: What :meth:`Client.link` returned.
        target: As for :meth:`Client.download`.
        directory: As for :class:`Client`.
        ca_file: As for :class:`Client`.
        config: How fast, how patient.
        progress: Called with a :class:`Progress` now and then, from one other thread.

    Raises:
        ValueError: It is no link.
        LinkRevoked: It leads nowhere (any more).
        FileExpired: Its time, or that of the file, is over.
        TransferError, OSError: As for :meth:`Client.download`.
    """
    at = Link.parse(link)
    reach = Reach.of(directory, ca_file, config)
    peers = Peers(reach)
    wish = Wish(target, progress)
    try:
        return reach.engine.run(
            lambda transfer: links.download(reach.engine, peers, at, wish, transfer), at.file_id
        )
    finally:
        reach.engine.close()
        peers.close()


def _label(source: Readable, name: Optional[str] = None) -> str:
    """Return what to call a transfer before its source is open."""
    if name is not None:
        return name
    return Path(source).name if isinstance(source, (str, os.PathLike)) else "upload"


def _name(file: FileLike) -> str:
    """Return what to call a download before its manifest is read; never a link, which is a key."""
    return (file if not is_link(file) else "link") if isinstance(file, str) else file.name


def _file_id(file: FileLike) -> str:
    file_id = file if isinstance(file, str) else file.file_id
    if is_attalk_id(file_id):
        raise NotSupported(
            "a file of format attalk can't be extended, shared later, or linked to",
            file_id=file_id,
            remedy="Upload it in the native format, or again with share_with.",
        )
    if not is_file_id(file_id):
        raise FileNotFound(f"{file_id!r} is no file id")
    return file_id


def _is_attalk(name: str) -> bool:
    """Return whether a format is that of the application; there is one other."""
    if name not in (NATIVE, ATTALK):
        raise ValueError(f"a format is {NATIVE!r} or {ATTALK!r}, not {name!r}")
    return name == ATTALK


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
