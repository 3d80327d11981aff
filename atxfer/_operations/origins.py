"""Where the chunks of one file come from."""

from __future__ import annotations

from dataclasses import dataclass

from atxfer._engine.destination import Destination
from atxfer._format.manifest import Manifest
from atxfer._format.sealing import SEAL_OVERHEAD
from atxfer.stores.base import Capabilities, Download, StoredFile

__all__ = ["Origin", "stored_file"]


@dataclass(frozen=True)
class Origin:
    """Where the chunks of one file come from.

    Attributes:
        download: The store's side.
        capabilities: What the store can give.
        destination: Whose permits its requests need.
    """

    download: Download
    capabilities: Capabilities
    destination: Destination


def stored_file(manifest: Manifest) -> StoredFile:
    """Return the part of a manifest that a store understands."""
    return StoredFile(
        file_id=manifest.file_id,
        owner=manifest.owner,
        chunks=manifest.chunks,
        location=manifest.location,
        size=manifest.size,
        chunk_size=manifest.chunk_size,
        overhead=SEAL_OVERHEAD,
    )
