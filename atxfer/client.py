"""The client: an address becomes keys, a catalog and a store; operations do what its calls say."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Optional, Union

from atxfer._crypto.atkeys import AtKeys, find
from atxfer._engine.many import each_as_it_ends
from atxfer._engine.sources import Readable
from atxfer._engine.targets import Writable
from atxfer._engine.transfer import Transfer
from atxfer._engine.workers import threads_for
from atxfer._format.link import Link
from atxfer._observe.progress import Callback
from atxfer._operations import links
from atxfer._operations.atsite import AtSite
from atxfer._operations.bulk import Bulk
from atxfer._operations.home import Home
from atxfer._operations.orders import NATIVE, FileLike, Order, Reference, Wish
from atxfer._operations.reach import Reach
from atxfer._operations.seen import Seen, state_folder
from atxfer._operations.site import Site
from atxfer._operations.unfinished import journals_in
from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.config import StrPath, TransferConfig, setting
from atxfer.model import AbandonedUpload, Outcome, Receipt, RemoteFile, Result, SharedFile
from atxfer.stores.options import Auth, Cert, HttpOptions, is_address

__all__ = ["Client", "download_link"]


class Client:
    """Moves files to and from one atServer or HTTP store, by blocking calls.

    Args:
        address: The atSign whose server holds the files, as ``"@alice"``; or a store:
            ``"https://host/files/"`` of a tus 1.0 server, or ``"s3://bucket/prefix"``. What a store
            can do, and how its files are named, is in docs/stores.md.
        directory: ``HOST:PORT`` of the atDirectory; ``ATXFER_DIRECTORY`` or ``root.atsign.org:64``.
        ca_file: A PEM file of certificate authorities to trust instead of the system's;
            ``ATXFER_CA_FILE``.
        keys_dir: The folder of ``@alice_key.atKeys``; ``ATXFER_KEYS_DIR`` or ``~/.atsign/keys``.
        passphrase: Opens a key file that is wrapped with one; ``ATXFER_PASSPHRASE``.
        config: How fast, how patient, how large.
        state_dir: Where it is kept which shares were seen, and how far uploads are;
            ``ATXFER_STATE_DIR``, or ``atxfer`` in ``$XDG_STATE_HOME`` or ``~/.local/state``.
        store: With an atSign: the store that holds the bulk of its files, as ``address`` names one;
            keys, names, shares and links stay with the atServer. ``ATXFER_STORE``.
        encrypt: Of a store alone: seal each file with a key of its own, which is in the link of its
            receipt and nowhere else. By default a store keeps files as they are, for any other
            program. Files of an atSign are always sealed.
        endpoint_url: Of S3: a server other than Amazon's; ``ATXFER_ENDPOINT_URL``, or what boto3's
            configuration says.
        headers: Of a tus server: sent with each request to it.
        auth: Of a tus server: name and password, or what returns the value of ``Authorization``; by
            default those in ``.netrc``.
        cert: Of a store: a client certificate in PEM, a file with its key or a pair of files.

    Raises:
        ValueError: The address is neither an atSign nor a store, the directory is no ``HOST:PORT``,
            or an argument doesn't go with the address.
        KeysError: The key file is missing, unreadable, readable by others, or another atSign's.
        NotSupported: A package is missing: S3 needs ``atxfer[s3]``.

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
        store: Optional[str] = None,
        encrypt: Optional[bool] = None,
        endpoint_url: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        auth: Optional[Auth] = None,
        cert: Optional[Cert] = None,
    ) -> None:
        options = HttpOptions(None, cert, headers or {}, auth, endpoint_url)
        if is_address(address):
            if store is not None:
                raise ValueError("a store goes with an atSign, whose server holds the keys")
        else:
            owner = normalise_atsign(address)
            store = setting(store, "ATXFER_STORE")
            if encrypt is not None or (store is None and options != HttpOptions()):
                raise ValueError(
                    "encrypt, endpoint_url, headers, auth and cert are of stores, not of atSigns"
                )
        reach = Reach.of(directory, ca_file, config)
        options = replace(options, ca_file=reach.ca_file)
        self._config = reach.config
        self._engine = reach.engine
        state = state_folder(state_dir)
        journals = journals_in(state, reach.config)
        self._site: Site
        if is_address(address):
            from atxfer._operations.objectsite import open_site

            self._site = open_site(
                address, reach, options, encrypt=bool(encrypt), journals=journals
            )
        else:
            path = find(owner, setting(keys_dir, "ATXFER_KEYS_DIR"))
            keys = AtKeys.read(path, owner, setting(passphrase, "ATXFER_PASSPHRASE"))
            seen = Seen(state, owner, str(reach.directory.address))
            bulk = None if store is None else Bulk.open(store, reach, options)
            self._site = AtSite(Home(reach, keys, journals, bulk), seen)
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

        A file that is named by its path keeps a journal on this machine. If the upload ends before
        its time, however that happens, the same call goes on with it (docs/resume.md).

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
            UploadInProgress: Another process is uploading this file to the same place.
            TransferError: It is not there; the error says why, which chunks are missing, and what
                to do. With an atSign, what was stored expires by itself; ``delete(error.file_id)``
                removes it now. In a store, ``error.file_id`` is None: nothing was stored that has
                an address; :meth:`clean` removes parts, or the store does (docs/stores.md).
            OSError: The source can't be read.
            ValueError: An argument is out of range.
        """
        order = Order(source, name, ttl, progress, _held(share_with), format, namespace, caption)
        return self._engine.run(self._site.upload(order), order.label)

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
        order = Order(source, name, ttl, progress, _held(share_with), format, namespace, caption)
        return self._engine.submit(self._site.upload(order), order.label)

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

        A file that fails does not disturb the others. Under way are as many files as the cap has
        requests, and as many again that are made ready meanwhile, so that no permit waits for one;
        with a cap of 1, it is one file after the other. ``sources`` is read no faster than that.
        Leaving the loop early cancels those that are still under way.
        """
        template = Order(b"", None, ttl, progress, _held(share_with), format, namespace, caption)
        self._site.upload(template)  # what is wrong with the arguments is told now, and once
        ends = each_as_it_ends(
            self._engine,
            (replace(template, source=source) for source in sources),
            self._site.upload,
            name=lambda order: order.label,
            width=threads_for(self._config.max_concurrent_uploads),
        )
        for end in ends:
            yield Outcome(end.item.source, end.value, end.error)

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
        reference = Reference(file, from_, format, namespace)
        body = self._site.download(reference, Wish(target, progress))
        return self._engine.run(body, reference.label)

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
        reference = Reference(file, from_, format, namespace)
        body = self._site.download(reference, Wish(target, progress))
        return self._engine.submit(body, reference.label)

    # --- what is there

    def files(self, *, incomplete: bool = False) -> Iterator[RemoteFile]:
        """Yield the files on the server, oldest first; with ``incomplete`` begun uploads as well.

        Raises:
            TransferError: The server can't be asked.
        """
        yield from self._engine.run(self._site.files(incomplete=incomplete), "list")

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
        reference = Reference(file, from_, None, namespace)
        return self._engine.run(self._site.file(reference), reference.label)

    def extend(self, file: FileLike, ttl: float) -> RemoteFile:
        """Let a file live ``ttl`` seconds from now; return its new description.

        Raises:
            FileNotFound: It is not there.
            FileExpired: Its time to live is over.
            ChunkMissing: A part of it is not there any more.
            ValueError: ``ttl`` is out of range.
        """
        return self._engine.run(self._site.extend(file, ttl), Reference(file).label)

    def delete(self, file: FileLike, *, namespace: Optional[str] = None) -> None:
        """Remove a file, or what an upload that failed has left.

        The chunks go first and the manifest last, so that an interrupted delete can be repeated.

        Raises:
            FileNotFound: It is not there.
            FileExpired: Its time to live is over; what is left of it goes by itself.
        """
        reference = Reference(file, namespace=namespace)
        self._engine.run(self._site.delete(reference), reference.label)

    def clean(
        self, older_than: float = 86_400.0, *, dry_run: bool = False
    ) -> list[AbandonedUpload]:
        """Remove what uploads have left that did not end, and return which they were.

        Of an atSign: manifests and chunks, and with ``store`` what lies there, too. Of S3: all
        multipart uploads below the address, whichever program has begun them. What counts is when
        something came of an upload last. One that a process of this machine is at is left alone, if
        it keeps a journal here. One that stopped and could still be resumed is removed; the same
        call of ``upload`` begins it anew.

        Args:
            older_than: Seconds since something came of it last, by the server's clock; what is
                younger, or of unknown age, stays. 0 for all, those that others are at included.
            dry_run: Remove nothing, and return what would be removed.

        Raises:
            ValueError: ``older_than`` is negative.
            NotSupported: A tus server lists no uploads. One that is the ``store`` of an atSign is
                passed over.
            CleaningFailed: Some are still there; all others were removed.
            TransferError: The server can't be asked.
        """
        if not older_than >= 0:
            raise ValueError(f"older_than must be seconds from 0, not {older_than!r}")
        return list(self._engine.run(self._site.clean(older_than, dry_run=dry_run), "clean"))

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
        self._engine.run(self._site.share(file, atsigns), Reference(file).label)

    def unshare(self, file: FileLike, *atsigns: str) -> None:
        """Share a file no longer with these atSigns; without any, with nobody.

        Who has opened the manifest before may have kept the file's key: see docs/sharing.md for
        what this can and can't undo.

        Raises:
            ValueError: One is no atSign, or our own.
            TransferError: The server can't be asked.
        """
        self._engine.run(self._site.unshare(file, atsigns), Reference(file).label)

    def shared_with(self, file: FileLike) -> list[str]:
        """Return the atSigns a file is shared with, in the order of their names."""
        return list(self._engine.run(self._site.shared_with(file), Reference(file).label))

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
        return self._engine.run(self._site.link(file, ttl), Reference(file).label)

    def unlink(self, file: FileLike) -> None:
        """Let the link of a file lead nowhere, now and for ever; a later one has another key.

        Who has followed it before may have kept the file's key.
        """
        self._engine.run(self._site.unlink(file), Reference(file).label)

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
            until_downloaded: Let only what was downloaded count as seen. What was not comes again
                in the next call, and while waiting at least once an hour.

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
        return self._site.inbox(
            wait=wait,
            since=since,
            from_=from_,
            include_seen=include_seen,
            until_downloaded=until_downloaded,
        )

    # --- the client itself

    @property
    def atsign(self) -> str:
        """The atSign whose server holds the files."""
        return self._site.atsign

    @property
    def destination(self) -> str:
        """Where the files lie, in words that tell it from other places."""
        return self._site.place

    @property
    def config(self) -> TransferConfig:
        """How fast, how patient, how large."""
        return self._config

    def metrics(self) -> dict[str, Any]:
        """Return what this client has done and felt so far, as plain values."""
        return {**self._engine.metrics(), "connections": self._site.metrics()}

    def close(self) -> None:
        """End what is under way, within a second, and close the connections.

        What uploads that are done have left at a tus server is removed still, for up to 5 s more.
        """
        self._engine.close()
        self._site.close()

    def _after_fork(self) -> None:
        """Leave the connections to the parent, in the child of a fork."""
        self._site.drop()

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
        return f"<Client {self._site.place}>"


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
        link: What :meth:`Client.link` returned: of a store, a URL.
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
    at = None if is_address(link) else Link.parse(link)
    reach = Reach.of(directory, ca_file, config)
    wish = Wish(target, progress)
    try:
        if at is not None:
            return links.follow(reach, at, wish)
        from atxfer._operations.objectsite import download_url

        return download_url(reach, link, wish)
    finally:
        reach.engine.close()


def _held(names: Iterable[str]) -> Sequence[str]:
    """Return names that can be looked through twice; one text stays one, to be refused as such."""
    return names if isinstance(names, str) else tuple(names)


_CLIENTS: weakref.WeakSet[Client] = weakref.WeakSet()


def _drop_connections() -> None:
    for client in list(_CLIENTS):
        client._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_connections)
