"""How a sealed file begins, and how one is cut up where all its chunks are one object."""

from __future__ import annotations

import functools
import logging
import time
from typing import Callable, Optional

from atxfer._engine.sources import Source
from atxfer._format.manifest import UPLOADING, Manifest, new_file_id, new_file_key
from atxfer._format.sealing import SEAL_OVERHEAD, Sealer
from atxfer._policy.sizing import choose_chunk_size
from atxfer.model import Chunk, chunk_count
from atxfer.stores.base import Capabilities, UploadPlan

__all__ = ["as_it_is", "chunk_size_of", "new_manifest", "object_plan", "sealing"]

_log = logging.getLogger("atxfer.stores")


def chunk_size_of(
    size: int, capabilities: Capabilities, explicit: Optional[int], *, overhead: int
) -> int:
    """Return how large the plain chunks of a file are, as :func:`choose_chunk_size` does.

    Where that is more than was asked for, the log says so: once for each pair of sizes, as it may
    be true of many files.
    """
    chosen = choose_chunk_size(size, capabilities, explicit, overhead=overhead)
    if explicit is not None and chosen != explicit:
        _tell_of_larger(explicit, chosen)
    return chosen


@functools.lru_cache(maxsize=16)
def _tell_of_larger(explicit: int, chosen: int) -> None:
    _log.warning(
        "chunk_size.raised asked=%s used=%s reason=%r",
        explicit,
        chosen,
        "the store takes no smaller chunks of such a file",
    )


def new_manifest(source: Source, chunk_size: int, owner: str) -> Manifest:
    """Return the manifest of a file that is about to be sealed, with an id and a key of its own."""
    return Manifest(
        file_id=new_file_id(),
        name=source.name,
        size=source.size,
        chunk_size=chunk_size,
        chunks=chunk_count(source.size, chunk_size),
        file_key=new_file_key(),
        sha256="",
        state=UPLOADING,
        owner=owner,
        created_at=time.time(),
    )


def sealing(manifest: Manifest) -> Callable[[Chunk], Chunk]:
    """Return what is done to each chunk; the one chunk of an empty file's object stays empty."""
    if not manifest.chunks:
        return as_it_is
    return Sealer(manifest.file_key, manifest.file_id, manifest.chunks).seal


def as_it_is(chunk: Chunk) -> Chunk:
    """Return a chunk that is neither sealed nor opened."""
    return chunk


def object_plan(
    file_id: str, size: int, chunk_size: int, *, is_sealed: bool, name: str = "", trailer: int = 0
) -> UploadPlan:
    """Return how an object is cut up: it has one chunk at least, be it an empty one."""
    return UploadPlan(
        file_id=file_id,
        size=size,
        chunk_size=chunk_size,
        chunks=max(1, chunk_count(size, chunk_size)),
        ttl=None,
        name=name,
        overhead=SEAL_OVERHEAD if is_sealed and size else 0,
        trailer=trailer,
    )
