"""What a caller wants done, as operations are told."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from atxfer._engine.sources import Readable
from atxfer._engine.targets import Writable
from atxfer._observe.progress import Callback
from atxfer.model import Receipt, RemoteFile

__all__ = ["ATTALK", "NATIVE", "FileLike", "Order", "Reference", "Wish"]

FileLike = Union[str, RemoteFile, Receipt]

NATIVE, ATTALK = "native", "attalk"


@dataclass(frozen=True)
class Order:
    """A file to upload.

    Attributes:
        source: A path, bytes, or a binary file object.
        name: The name to keep it under, or None for the source's own.
        ttl: Seconds it is to live, or None if the caller names none.
        progress: Called back with how far it is.
        share_with: The atSigns to share it with.
        format: :data:`NATIVE` or :data:`ATTALK`.
        namespace: Of the second: the application's name space.
        caption: Of the second: what the message says that announces the file.
    """

    source: Readable
    name: Optional[str] = None
    ttl: Optional[float] = None
    progress: Optional[Callback] = None
    share_with: Sequence[str] = ()
    format: str = NATIVE
    namespace: Optional[str] = None
    caption: Optional[str] = None

    @property
    def label(self) -> str:
        """What to call the transfer before its source is open."""
        if self.name is not None:
            return self.name
        source = self.source
        return Path(source).name if isinstance(source, (str, os.PathLike)) else "upload"


@dataclass(frozen=True)
class Reference:
    """A file that a caller means.

    Attributes:
        file: Its id, its address, or what a call has returned of it.
        from_: The atSign whose file it is, or None.
        format: :data:`NATIVE`, :data:`ATTALK`, or None for what its id says.
        namespace: Of the second: the application's name space.
    """

    file: FileLike
    from_: Optional[str] = None
    format: Optional[str] = None
    namespace: Optional[str] = None

    @property
    def text(self) -> str:
        """Its id or address; may hold a key."""
        file = self.file
        if isinstance(file, str):
            return file
        link = file.link if isinstance(file, Receipt) else None
        return file.file_id if link is None else link

    @property
    def label(self) -> str:
        """What to call a transfer of it; never what holds a key."""
        file = self.file
        return file.partition("#")[0] if isinstance(file, str) else file.name


@dataclass(frozen=True)
class Wish:
    """Where a caller wants a file.

    Attributes:
        target: A path, a folder, or a writable binary file object.
        progress: Called back with how far it is.
    """

    target: Writable
    progress: Optional[Callback]
