"""The files of a store without a catalog: objects in a tus server, or in an S3 bucket."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn, Optional

from atxfer._engine.journals import Journals
from atxfer._engine.transfer import Transfer
from atxfer._operations.leftovers import Leftovers, Terms
from atxfer._operations.objects import Objects, ReadableObjects
from atxfer._operations.orders import NATIVE, FileLike, Order, Reference, Wish
from atxfer._operations.reach import Reach
from atxfer._operations.site import Body
from atxfer.errors import NotSupported
from atxfer.model import AbandonedUpload, Receipt, RemoteFile, Result, SharedFile
from atxfer.stores.opening import OpenStore, open_store, open_transport
from atxfer.stores.options import HttpOptions
from atxfer.stores.web import WebStore

__all__ = ["ObjectSite", "download_url", "open_site"]

_WITH_ATSIGN = "That takes an atSign as the address (--atsign), with this as its store (--store)."


class ObjectSite:
    """The files of one store.

    Args:
        reach: The engine, and how it is configured.
        opened: The store, and how it is reached.
        encrypt: Whether files that are uploaded are sealed.
        journals: Of this machine's unfinished uploads.

    Threads: may be shared.
    """

    atsign = ""

    def __init__(
        self, reach: Reach, opened: OpenStore, *, encrypt: bool, journals: Journals
    ) -> None:
        self._transport = opened.transport
        self.place = opened.address
        self._journals = journals
        cap = reach.config.max_concurrent_uploads
        destination = reach.engine.destination(opened.server, cap)
        self._leftovers = Leftovers(reach.engine, opened.store, destination)
        self._objects = Objects(
            reach,
            opened.store,
            destination,
            encrypt=encrypt,
            journals=journals,
            place=opened.address,
        )

    # --- what a store can do

    def upload(self, order: Order) -> Body[Receipt]:
        """Send a file."""
        if order.format != NATIVE or order.namespace is not None or order.caption is not None:
            self._refuse("messages of applications")
        if order.share_with:
            self._refuse("shares")
        if order.ttl is not None:
            raise NotSupported(
                "a store decides itself how long a file lives",
                remedy="Leave ttl out, and set an expiry for the bucket or the server.",
            )
        return lambda transfer: self._objects.upload(order, transfer)

    def download(self, reference: Reference, wish: Wish) -> Body[Result]:
        """Fetch a file by its address, or by what an upload returned."""
        address = self._address(reference)
        return lambda transfer: self._objects.download(address, wish, transfer)

    def files(self, *, incomplete: bool) -> Body[Sequence[RemoteFile]]:
        """Return what lies below the address; what is not whole yet, stores don't show."""

        def body(transfer: Transfer) -> Sequence[RemoteFile]:
            return sorted(self._objects.files(transfer), key=lambda file: file.created_at)

        return body

    def file(self, reference: Reference) -> Body[RemoteFile]:
        """Return a file's description."""
        address = self._address(reference)
        return lambda transfer: self._objects.file(address, transfer)

    def delete(self, reference: Reference) -> Body[None]:
        """Remove a file."""
        address = self._address(reference)
        return lambda transfer: self._objects.delete(address, transfer)

    def clean(self, older_than: float, *, dry_run: bool) -> Body[Sequence[AbandonedUpload]]:
        """Remove uploads that did not end."""

        def body(transfer: Transfer) -> Sequence[AbandonedUpload]:
            terms = Terms.of(older_than, self._journals)
            return self._leftovers.clean(terms, transfer, dry_run=dry_run)

        return body

    def link(self, file: FileLike, ttl: Optional[float]) -> Body[str]:
        """Return an URL by which anybody can download a file."""
        address = self._address(Reference(file))
        return lambda transfer: self._objects.link(address, ttl, transfer)

    # --- what takes a catalog

    def extend(self, file: FileLike, ttl: float) -> Body[RemoteFile]:
        """Refuse."""
        self._refuse("times to live")

    def share(self, file: FileLike, atsigns: Iterable[str]) -> Body[None]:
        """Refuse."""
        self._refuse("shares")

    def unshare(self, file: FileLike, atsigns: Iterable[str]) -> Body[None]:
        """Refuse."""
        self._refuse("shares")

    def shared_with(self, file: FileLike) -> Body[Sequence[str]]:
        """Refuse."""
        self._refuse("shares")

    def unlink(self, file: FileLike) -> Body[None]:
        """Refuse: an URL is a signature, which nobody can take back."""
        raise NotSupported(
            "the URL of an object can't be taken back",
            remedy="It ends by itself, or with the object: delete that.",
        )

    def inbox(
        self,
        *,
        wait: Optional[float],
        since: Optional[float],
        from_: Iterable[str],
        include_seen: bool,
        until_downloaded: bool,
    ) -> Iterator[SharedFile]:
        """Refuse."""
        self._refuse("inbox")

    # --- the site itself

    def metrics(self) -> dict[str, Any]:
        """Return what was counted of the connections."""
        return {"opened": self._transport.opened}

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def drop(self) -> None:
        """Leave all connections to the parent, in the child of a fork."""
        self._transport.drop()

    def _address(self, reference: Reference) -> str:
        if reference.from_ is not None:
            self._refuse("shares")
        if reference.format not in (None, NATIVE) or reference.namespace is not None:
            self._refuse("messages of applications")
        return reference.text

    def _refuse(self, what: str) -> NoReturn:
        raise NotSupported(f"{self.place} keeps no {what}", remedy=_WITH_ATSIGN)


def open_site(
    address: str, reach: Reach, options: HttpOptions, *, encrypt: bool, journals: Journals
) -> ObjectSite:
    """Return the files of the store at an address; nothing is sent.

    Raises:
        ValueError, NotSupported, AccessDenied, OSError: As of :func:`open_store`.
    """
    opened = open_store(address, reach.config, options)
    return ObjectSite(reach, opened, encrypt=encrypt, journals=journals)


def download_url(reach: Reach, url: str, wish: Wish) -> Result:
    """Fetch what lies behind an URL of an object: presigned, or public.

    Args:
        reach: The engine, and how it is configured.
        url: Of a sealed file with its key behind a ``#``.
        wish: Where it is wanted.
    """
    width = reach.config.max_concurrent_downloads
    transport = open_transport(reach.config, HttpOptions(reach.ca_file), width=width)
    host = urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
    destination = reach.engine.destination(f"web:{host}", width)
    objects = ReadableObjects(reach, WebStore(transport), destination)
    try:
        return reach.engine.run(
            lambda transfer: objects.download(url, wish, transfer), f"a file at {host}"
        )
    finally:
        transport.close()
