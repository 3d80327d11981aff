"""What a caller wants done, as operations are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from atxfer._engine.sources import Readable
from atxfer._engine.targets import Writable
from atxfer._observe.progress import Callback

__all__ = ["Order", "Wish"]


@dataclass(frozen=True)
class Order:
    """A file to upload.

    Attributes:
        source: A path, bytes, or a binary file object.
        name: The name to keep it under, or None for the source's own.
        ttl: Seconds it is to live, or None for ever.
        progress: Called back with how far it is.
        share_with: The atSigns to share it with.
    """

    source: Readable
    name: Optional[str]
    ttl: Optional[float]
    progress: Optional[Callback]
    share_with: Sequence[str] = ()


@dataclass(frozen=True)
class Wish:
    """Where a caller wants a file.

    Attributes:
        target: A path, a folder, or a writable binary file object.
        progress: Called back with how far it is.
    """

    target: Writable
    progress: Optional[Callback]
