"""The files of an atSign: manifests, shares and links on its server, in both of its formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Optional, Union

from atxfer._engine.transfer import Transfer
from atxfer._format.attalk import is_attalk_id
from atxfer._format.link import Link, is_link
from atxfer._format.manifest import COMPLETE, is_file_id
from atxfer._operations import arrivals, cleaning, downloads, files, links, shares, uploads
from atxfer._operations.attalk import downloads as attalk_downloads
from atxfer._operations.attalk import files as attalk_files
from atxfer._operations.attalk import uploads as attalk_uploads
from atxfer._operations.attalk.places import Place, describe
from atxfer._operations.home import Home
from atxfer._operations.inbox import Inbox
from atxfer._operations.leftovers import Terms
from atxfer._operations.orders import ATTALK, NATIVE, FileLike, Order, Reference, Wish
from atxfer._operations.seen import Seen
from atxfer._operations.site import Body
from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.config import TransferConfig
from atxfer.errors import FileNotFound, NotSupported
from atxfer.model import AbandonedUpload, Receipt, RemoteFile, Result, SharedFile

__all__ = ["AtSite"]


class AtSite:
    """The files of one atSign.

    Args:
        home: Its server.
        seen: Which shares were seen.

    Threads: may be shared.
    """

    def __init__(self, home: Home, seen: Seen) -> None:
        self._home = home
        self._seen = seen

    @property
    def atsign(self) -> str:
        """The atSign."""
        return self._home.owner

    @property
    def place(self) -> str:
        """The atSign, and the directory that knows it."""
        return self._home.place

    # --- up and down

    def upload(self, order: Order) -> Body[Receipt]:
        """Send a file, in the format that is asked for."""
        home = self._home
        with_whom = shares.checked_recipients(home, order.share_with)
        if _is_attalk(order.format):
            chat = attalk_uploads.Chat.of(home, order.namespace, order.caption)
            life = attalk_uploads.checked_ttl(order.ttl, home.config)
            talked = replace(order, ttl=life, share_with=with_whom)
            return lambda transfer: attalk_uploads.upload(home, talked, chat, transfer)
        if order.namespace is not None or order.caption is not None:
            raise ValueError("namespace and caption are of format attalk")
        seconds = home.config.ttl if order.ttl is None else _checked_ttl(home.config, order.ttl)
        checked = replace(order, ttl=seconds, share_with=with_whom)
        return lambda transfer: uploads.upload(home, checked, transfer)

    def download(self, reference: Reference, wish: Wish) -> Body[Result]:
        """Fetch a file: of format attalk, by a link, of others, or one's own."""
        home, text = self._home, reference.text
        place = self._maybe_place(reference)
        if place is not None:
            return lambda transfer: attalk_downloads.download(home, place, wish, transfer)
        if is_link(text):
            at = Link.parse(text)
            return lambda transfer: links.download(home.engine, home.peers, at, wish, transfer)
        file, file_id, note = reference.file, _file_id(text), self._seen.mark_now
        if isinstance(file, SharedFile):
            claim = downloads.Claim(file.owner, file_id, file.expires_at)
        elif reference.from_ is not None:
            claim = downloads.Claim(normalise_atsign(reference.from_), file_id)
        else:
            return lambda t: downloads.download_any(home, file_id, wish, note, t)
        return lambda t: downloads.download_shared(home, claim, wish, note, t)

    # --- what is there

    def files(self, *, incomplete: bool) -> Body[Sequence[RemoteFile]]:
        """Return one's own files, and with ``incomplete`` begun uploads as well."""

        def body(transfer: Transfer) -> Sequence[RemoteFile]:
            entries = files.entries(self._home, transfer)
            entries.sort(key=lambda entry: entry.manifest.created_at)
            shown = (e for e in entries if incomplete or e.manifest.state == COMPLETE)
            return [entry.remote_file() for entry in shown]

        return body

    def file(self, reference: Reference) -> Body[RemoteFile]:
        """Return a file's description."""
        home, place = self._home, self._maybe_place(reference)
        if place is not None:
            return lambda transfer: describe(home, place, transfer).remote_file()
        if reference.from_ is not None:
            raise ValueError("what others share in the native format is described by the inbox")
        file_id = _file_id(reference.text)
        return lambda transfer: home.entry(transfer, file_id).remote_file()

    def extend(self, file: FileLike, ttl: float) -> Body[RemoteFile]:
        """Let a file, and all that is shared of it, live so many seconds from now."""
        seconds, file_id = _checked_ttl(self._home.config, ttl), _native_id(file)
        return lambda transfer: files.extend(self._home, file_id, seconds, transfer)

    def delete(self, reference: Reference) -> Body[None]:
        """Remove a file, and all that is shared of it."""
        home, place = self._home, self._maybe_place(reference)
        if place is not None:
            return lambda transfer: attalk_files.delete(home, place, transfer)
        file_id = _file_id(reference.text)
        return lambda transfer: files.delete(home, file_id, transfer)

    def clean(self, older_than: float, *, dry_run: bool) -> Body[Sequence[AbandonedUpload]]:
        """Remove uploads that did not end, and their bulk in a store."""
        home = self._home

        def body(transfer: Transfer) -> Sequence[AbandonedUpload]:
            terms = Terms.of(older_than, home.journals)
            return cleaning.clean(home, terms, transfer, dry_run=dry_run)

        return body

    # --- for others, and from them

    def share(self, file: FileLike, atsigns: Iterable[str]) -> Body[None]:
        """Let atSigns read a file."""
        with_whom = shares.checked_recipients(self._home, atsigns)
        if not with_whom:
            raise ValueError("share with whom? Name an atSign")
        file_id = _native_id(file)
        return lambda transfer: shares.share_own(self._home, file_id, with_whom, transfer)

    def unshare(self, file: FileLike, atsigns: Iterable[str]) -> Body[None]:
        """Let atSigns, or nobody, read a file any longer."""
        with_whom = shares.checked_recipients(self._home, atsigns)
        file_id = _native_id(file)
        return lambda transfer: shares.unshare(self._home, file_id, with_whom, transfer)

    def shared_with(self, file: FileLike) -> Body[Sequence[str]]:
        """Return who may read a file."""
        file_id = _native_id(file)
        return lambda transfer: shares.recipients(self._home, file_id, transfer)

    def link(self, file: FileLike, ttl: Optional[float]) -> Body[str]:
        """Return the link of a file."""
        seconds = None if ttl is None else _checked_ttl(self._home.config, ttl)
        file_id = _native_id(file)
        return lambda transfer: links.link(self._home, file_id, seconds, transfer)

    def unlink(self, file: FileLike) -> Body[None]:
        """Let the link of a file lead nowhere."""
        file_id = _native_id(file)
        return lambda transfer: links.unlink(self._home, file_id, transfer)

    def inbox(
        self,
        *,
        wait: Optional[float],
        since: Optional[float],
        from_: Union[str, Iterable[str]],
        include_seen: bool,
        until_downloaded: bool,
    ) -> Iterator[SharedFile]:
        """Yield what others share."""
        wanted = arrivals.Wanted.of(
            since, from_, include_seen=include_seen, until_downloaded=until_downloaded
        )
        return Inbox(self._home, self._seen, wanted, wait=wait).files()

    # --- the site itself

    def metrics(self) -> dict[str, Any]:
        """Return what was counted of the connections to the own server."""
        pool = self._home.pool
        return {"opened": pool.opened, "logins": pool.logins, "reused": pool.reused}

    def close(self) -> None:
        """Close all connections."""
        self._home.close()

    def drop(self) -> None:
        """Leave all connections to the parent, in the child of a fork."""
        self._home.drop()
        self._seen.drop()

    def _maybe_place(self, reference: Reference) -> Optional[Place]:
        """Return where a file lies, if its format is that of the application."""
        named, file, file_id = reference.format, reference.file, reference.text
        if _is_attalk(named) if named is not None else is_attalk_id(file_id):
            owner = reference.from_
            if owner is None and not isinstance(file, str):
                owner = file.owner
            return Place.of(self._home, file_id, reference.namespace, owner)
        if reference.namespace is not None:
            raise ValueError("a namespace is of format attalk")
        return None


def _is_attalk(name: str) -> bool:
    """Return whether a format is that of the application; there is one other."""
    if name not in (NATIVE, ATTALK):
        raise ValueError(f"a format is {NATIVE!r} or {ATTALK!r}, not {name!r}")
    return name == ATTALK


def _native_id(file: FileLike) -> str:
    return _file_id(Reference(file).text)


def _file_id(text: str) -> str:
    if is_attalk_id(text):
        raise NotSupported(
            "a file of format attalk can't be extended, shared later, or linked to",
            file_id=text,
            remedy="Upload it in the native format, or again with share_with.",
        )
    if not is_file_id(text):
        raise FileNotFound(f"{text!r} is no file id")
    return text


def _checked_ttl(config: TransferConfig, ttl: float) -> float:
    """Return a time to live that the configuration's range allows."""
    config.but(ttl=ttl)
    return ttl
