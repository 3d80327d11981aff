"""The chunks that one atSign has for another, read through the other's own server.

One at a time: answers get mixed up otherwise (facts §7). There is no other way, as the owner's
server gives such records to the recipient's server alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from atxfer._format.attalk import ASK_AGAIN
from atxfer._net.relay import Relay
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.atprotocol.verbs import Lookup, Mode
from atxfer.config import TransferConfig
from atxfer.errors import ChunkMissing
from atxfer.model import Chunk
from atxfer.stores.attalk.sealing import ChunkOpener, sealed_record
from atxfer.stores.base import Capabilities
from atxfer.waiting import Wait

__all__ = ["SharedDownload", "shared_capabilities"]


def shared_capabilities(config: TransferConfig) -> Capabilities:
    """Return what can be had through one's own server: one chunk at a time."""
    return Capabilities(
        max_request_bytes=config.max_request_bytes,
        max_read_bytes=2 * config.max_request_bytes,
        max_chunk_bytes=config.max_request_bytes,
        parallel=False,
        parallel_reads=False,
    )


class SharedDownload:
    """One file on its way from another atSign's server.

    Args:
        relay: Asks that server.
        opener: Knows the keys of the records.
    """

    def __init__(self, relay: Relay, opener: ChunkOpener) -> None:
        self._relay = relay
        self._opener = opener

    def get(self, indexes: Sequence[int], wait: Wait) -> Sequence[Chunk]:
        """Return the records of chunks."""
        return [self._get(index, wait) for index in indexes]

    def _get(self, index: int, wait: Wait) -> Chunk:
        key = self._opener.key(index)
        try:
            return sealed_record(index, self._relay.ask(Lookup(key, Mode.ALL), wait))
        except KeyNotFound as error:
            raise ChunkMissing(
                f"{key.owner} has no chunk {index} of this file for {key.recipient}, or not any"
                " more",
                chunk=index,
                remedy=ASK_AGAIN,
            ) from error

    def check(self) -> None:
        """Nothing: the format knows no more of the whole than its size."""
