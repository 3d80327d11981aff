"""What the engine is asked to do: one upload, one download; and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from atxfer._buffers import NO_FRAME, Frame
from atxfer._engine.destination import Destination
from atxfer._engine.journal import Journal
from atxfer._engine.sources import Source
from atxfer._engine.targets import Writable
from atxfer._observe.progress import Callback
from atxfer.model import Chunk, RemoteFile, Statistics
from atxfer.stores.base import Capabilities, Download, StoredFile, Upload, UploadPlan
from atxfer.waiting import Wait

__all__ = ["DownloadJob", "DownloadSummary", "UploadJob", "UploadSummary"]


@dataclass(frozen=True)
class UploadJob:
    """One file to send.

    Attributes:
        name: What the file is called, in progress, logs and errors.
        source: Where it is read from; whoever opened it closes it.
        plan: How it is cut up.
        upload: The store's side.
        capabilities: What the store can take.
        destination: Whose permits its requests need.
        seal: Encrypts a chunk; called once for each, on any thread.
        begin: Writes the first manifest, in one request, before any chunk; None if there is none.
        commit: Writes the last manifest, given the SHA-256 of the file in hex and where its chunks
            lie, in one request; None if there is none.
        catalog: Whose permits the manifests need; by default ``destination``.
        overhead: Bytes that ``seal`` adds to a chunk.
        frame: Room that ``seal`` uses around a chunk, which it changes where it lies.
        progress: Called back with how far it is.
        journal: Where to write down how far it is, for a later call, and what an earlier one left;
            None keeps nothing.
        is_named: Whether what fails on its way can be deleted by the id of the plan, so that errors
            name it.
    """

    name: str
    source: Source
    plan: UploadPlan
    upload: Upload
    capabilities: Capabilities
    destination: Destination
    seal: Callable[[Chunk], Chunk]
    begin: Optional[Callable[[Wait], None]] = None
    commit: Optional[Callable[[str, StoredFile, Wait], None]] = None
    catalog: Optional[Destination] = None
    overhead: int = 0
    frame: Frame = NO_FRAME
    progress: Optional[Callback] = None
    journal: Optional[Journal] = None
    is_named: bool = True


@dataclass(frozen=True)
class UploadSummary:
    """What came of an upload.

    Attributes:
        sha256: Of the file, in hex.
        stored: Where its chunks lie.
        statistics: The evidence.
    """

    sha256: str
    stored: StoredFile
    statistics: Statistics


@dataclass(frozen=True)
class DownloadJob:
    """One file to fetch.

    Attributes:
        file: What its manifest says.
        download: The store's side.
        capabilities: What the store can give.
        destination: Whose permits its requests need.
        open_: Decrypts a chunk; called on any thread. Raises ChunkCorrupt.
        target: A path, a folder, or an object with ``write``.
        overhead: Bytes that sealing has added to a chunk.
        progress: Called back with how far it is.
        even: Whether all chunks but the last have ``file.chunk_size`` bytes. False for a format
            that does not say: then each lies behind the one before it, whatever its length.
    """

    file: RemoteFile
    download: Download
    capabilities: Capabilities
    destination: Destination
    open_: Callable[[Chunk], Chunk]
    target: Writable
    overhead: int = 0
    progress: Optional[Callback] = None
    even: bool = True


@dataclass(frozen=True)
class DownloadSummary:
    """What came of a download: where the file lies, if it is one, and the evidence."""

    path: Optional[Path]
    statistics: Statistics
