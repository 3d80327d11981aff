"""What a client's calls come to, for one kind of address.

What is wrong with the arguments is told at the call; what has to be asked of a server is done by
the body that is returned, as a transfer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Callable, Optional, Protocol, TypeVar

from atxfer._engine.transfer import Transfer
from atxfer._operations.orders import FileLike, Order, Reference, Wish
from atxfer.model import AbandonedUpload, Receipt, RemoteFile, Result, SharedFile

__all__ = ["Body", "Site"]

T = TypeVar("T")

Body = Callable[[Transfer], T]
"""Does it, as a transfer of the engine."""


class Site(Protocol):
    """Where files lie, and what can be done with them there.

    Whatever a kind of address can't do, raises NotSupported at the call. The errors of each are
    those of the client's method of the same name.
    """

    @property
    def atsign(self) -> str:
        """The atSign whose server holds files or their keys; empty if there is none."""
        ...

    @property
    def place(self) -> str:
        """What tells it from other places, to people."""
        ...

    def upload(self, order: Order) -> Body[Receipt]:
        """Send a file."""
        ...

    def download(self, reference: Reference, wish: Wish) -> Body[Result]:
        """Fetch a file."""
        ...

    def files(self, *, incomplete: bool) -> Body[Sequence[RemoteFile]]:
        """Return the files, oldest first."""
        ...

    def file(self, reference: Reference) -> Body[RemoteFile]:
        """Return a file's description."""
        ...

    def extend(self, file: FileLike, ttl: float) -> Body[RemoteFile]:
        """Let a file live so many seconds from now."""
        ...

    def delete(self, reference: Reference) -> Body[None]:
        """Remove a file."""
        ...

    def clean(self, older_than: float, *, dry_run: bool) -> Body[Sequence[AbandonedUpload]]:
        """Remove uploads that did not end."""
        ...

    def share(self, file: FileLike, atsigns: Iterable[str]) -> Body[None]:
        """Let atSigns read a file."""
        ...

    def unshare(self, file: FileLike, atsigns: Iterable[str]) -> Body[None]:
        """Let atSigns, or nobody, read a file any longer."""
        ...

    def shared_with(self, file: FileLike) -> Body[Sequence[str]]:
        """Return who may read a file."""
        ...

    def link(self, file: FileLike, ttl: Optional[float]) -> Body[str]:
        """Return a link to a file."""
        ...

    def unlink(self, file: FileLike) -> Body[None]:
        """Let the link of a file lead nowhere."""
        ...

    def inbox(
        self,
        *,
        wait: Optional[float],
        since: Optional[float],
        from_: Iterable[str],
        include_seen: bool,
        until_downloaded: bool,
    ) -> Iterator[SharedFile]:
        """Yield what others share."""
        ...

    def metrics(self) -> dict[str, Any]:
        """Return what was counted of connections."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...

    def drop(self) -> None:
        """Leave all connections to the parent, in the child of a fork."""
        ...
