"""What a catalog is to the client: a few blocking calls, each of them one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Optional, Protocol

from atxfer._format.manifest import Manifest
from atxfer.model import RemoteFile, SharedFile
from atxfer.waiting import Wait

__all__ = ["Catalog", "Entry"]


@dataclass(frozen=True)
class Entry:
    """A manifest, and when its record ends.

    Attributes:
        manifest: What the file is, verified.
        expires_at: Epoch seconds by the server's clock, or None if it never expires.
        written_at: The same of when it was last written; None where the server doesn't say.
    """

    manifest: Manifest
    expires_at: Optional[float]
    written_at: Optional[float] = None

    def remote_file(self) -> RemoteFile:
        """Return the description without the key."""
        return RemoteFile(**self._described())

    def shared_file(self) -> SharedFile:
        """Return the same of a copy that was made for us."""
        shared_at = self.manifest.shared_at
        return SharedFile(
            **self._described(),
            shared_at=self.manifest.created_at if shared_at is None else shared_at,
        )

    def _described(self) -> dict[str, Any]:
        names = [field.name for field in fields(RemoteFile) if field.name != "expires_at"]
        described = {name: getattr(self.manifest, name) for name in names}
        return {**described, "expires_at": self.expires_at}


class Catalog(Protocol):
    """A place where manifests lie. Thread-safe; every call may be repeated after any error."""

    def write(self, manifest: Manifest, ttl: Optional[float], wait: Wait) -> None:
        """Write a manifest, over an earlier one of the same file; ttl in seconds."""
        ...

    def read(self, file_id: str, wait: Wait) -> Entry:
        """Return one file's entry.

        Raises:
            FileNotFound: There is none.
            FileExpired: Its time to live is over.
            ManifestInvalid: There is one, but it can't be trusted.
        """
        ...

    def read_many(self, file_ids: Sequence[str], wait: Wait) -> Mapping[str, Entry]:
        """Return the entries of those files that have a valid one."""
        ...

    def file_ids(self, wait: Wait) -> Sequence[str]:
        """Return the ids of all files, in no order."""
        ...

    def extend(self, file_id: str, ttl: float, wait: Wait) -> None:
        """Let a manifest live so many seconds from now."""
        ...

    def remove(self, file_id: str, wait: Wait) -> None:
        """Remove a manifest; one that is not there doesn't matter."""
        ...
