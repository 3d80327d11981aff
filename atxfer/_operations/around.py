"""What goes around an upload to a store: getting to know the server, and leaving it tidy."""

from __future__ import annotations

import logging
from typing import Optional

from atxfer._engine.destination import Destination
from atxfer._engine.engine import Engine
from atxfer._engine.transfer import Transfer
from atxfer._engine.warming import warming
from atxfer._policy.sizing import choose_chunk_size
from atxfer.errors import TransferError
from atxfer.model import chunk_count
from atxfer.stores.base import ObjectStore, StoredFile

__all__ = ["learn", "tidy"]

_log = logging.getLogger("atxfer.stores")


def learn(
    engine: Engine,
    store: ObjectStore,
    destination: Destination,
    transfer: Transfer,
    *,
    size: int,
    chunk_size: Optional[int],
) -> None:
    """Ask a server once what it can do, and connect meanwhile for what will be sent.

    Args:
        engine: Sends the request.
        store: Whose server it is.
        destination: What all requests to it share.
        transfer: For whom.
        size: Bytes of the file.
        chunk_size: The one that the user wants, if any.

    Raises:
        TransferError: It can't be asked.
    """
    if store.learns:
        width = chunk_count(size, choose_chunk_size(size, store.capabilities, chunk_size))
        with warming(destination, transfer, store.prepare, width):
            engine.call(destination, "what it can do", store.learn, transfer)


def tidy(engine: Engine, store: ObjectStore, destination: Destination, stored: StoredFile) -> None:
    """Remove what an upload has left, while its caller goes on: the file is there."""

    def body(transfer: Transfer) -> None:
        ends = engine.outcomes(destination, stored.leavings, store.drop, transfer, name="leaving")
        failed = [end for end in ends if isinstance(end, TransferError)]
        if failed:
            _log.warning("store.left count=%d cause=%s", len(failed), type(failed[0]).__name__)

    if stored.leavings:
        engine.afterwards(body, f"the leavings of {stored.file_id}")
