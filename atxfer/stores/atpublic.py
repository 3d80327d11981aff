"""Chunks on another atSign's server, read straight and without a login (design §7)."""

from __future__ import annotations

from collections.abc import Sequence

from atxfer._format.manifest import chunk_name
from atxfer._net.pool import ConnectionPool
from atxfer._net.records import EXPIRED
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.verbs import Lookup
from atxfer.config import MIB, TransferConfig
from atxfer.errors import ChunkMissing, FileExpired
from atxfer.model import Chunk
from atxfer.stores.atserver import chunk_of
from atxfer.stores.base import Capabilities, StoredFile
from atxfer.waiting import Wait

__all__ = ["PublicAtServerStore"]


class PublicAtServerStore:
    """Whatever is public on the server of one atSign."""

    def __init__(self, atsign: str, pool: ConnectionPool, config: TransferConfig) -> None:
        self.atsign = atsign
        self._pool = pool
        self.capabilities = Capabilities(
            max_request_bytes=config.max_request_bytes,
            max_read_bytes=2 * config.max_request_bytes,
            max_chunk_bytes=7 * MIB,
        )

    def value(self, key: AtKey, wait: Wait) -> str:
        """Return a public record."""
        answer = self._pool.ask(Lookup(key), wait)
        if answer.data == EXPIRED:
            raise FileExpired(f"{key} has expired")
        return answer.data

    def open_download(self, stored: StoredFile, wait: Wait) -> PublicDownload:
        """Begin a download."""
        return PublicDownload(self, stored)


class PublicDownload:
    """One file on its way from another's server."""

    def __init__(self, store: PublicAtServerStore, stored: StoredFile) -> None:
        self._store = store
        self._stored = stored

    def get(self, indexes: Sequence[int], wait: Wait) -> Sequence[Chunk]:
        """Return sealed chunks."""
        return [self._get(index, wait) for index in indexes]

    def check(self) -> None:
        """Nothing: each chunk is authenticated, and the manifest knows the whole."""

    def _get(self, index: int, wait: Wait) -> Chunk:
        key = AtKey.public(chunk_name(self._stored.file_id, index), self._stored.owner)
        try:
            return chunk_of(index, Answer(self._store.value(key, wait)))
        except KeyNotFound as error:
            raise ChunkMissing(f"chunk {index} is not on the server", chunk=index) from error
