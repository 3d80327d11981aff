"""An atSign's own server as operations see it: its keys, its catalog, its store, its permits."""

from __future__ import annotations

from typing import Callable, Optional, TypeVar

from atxfer._catalog.atserver import AtServerCatalog
from atxfer._catalog.base import Entry
from atxfer._catalog.links import AtServerLinks
from atxfer._catalog.pairkeys import PairKeys
from atxfer._catalog.received import Received
from atxfer._catalog.shares import AtServerShares
from atxfer._crypto.atkeys import AtKeys
from atxfer._engine.journals import Journals
from atxfer._engine.transfer import Transfer
from atxfer._net.pool import ConnectionPool
from atxfer._net.records import Records
from atxfer._net.relay import Relay
from atxfer._operations.bulk import Bulk
from atxfer._operations.peers import Peers
from atxfer._operations.reach import Reach
from atxfer._policy.sizing import chunks_per_delete, ranges
from atxfer.stores.atserver import AtServerStore
from atxfer.stores.base import StoredFile
from atxfer.waiting import Wait

__all__ = ["Home"]

T = TypeVar("T")


class Home:
    """The server of the atSign whose keys we hold.

    Args:
        reach: The way to it.
        keys: Its owner's keys.
        journals: Of this machine's unfinished uploads, to it and to others.
        bulk: The store that the chunks are put in, or None for the server itself.

    Attributes:
        place: What tells it from other servers, to people and in journals.
        peers: The servers of others.
        relay: The same, asked through this one, for what they tell nobody else.

    Threads: may be shared.
    """

    def __init__(
        self, reach: Reach, keys: AtKeys, journals: Journals, bulk: Optional[Bulk] = None
    ) -> None:
        self.reach = reach
        self.keys = keys
        self.owner = keys.atsign
        self.config = reach.config
        self.engine = reach.engine
        self.pool = ConnectionPool(
            reach.directory, self.owner, login=keys, context=reach.context, config=reach.config
        )
        self.records = Records(self.pool)
        self.relay = Relay(self.pool)
        self.catalog = AtServerCatalog(self.records, keys)
        self.shares = AtServerShares(self.records, keys)
        self.pair_keys = PairKeys(self.records, keys)
        self.received = Received(self.records, keys)
        self.links = AtServerLinks(self.records, keys)
        self.store = AtServerStore(self.records, self.owner, reach.config)
        self.destination = reach.engine.destination(
            f"atserver:{self.owner}", reach.config.max_concurrent_uploads
        )
        where = str(reach.directory.address)
        self.bulk = bulk
        self.place = f"{self.owner} ({where if bulk is None else f'{where}, {bulk.place}'})"
        self.journals = journals
        self.peers = Peers(reach)

    def call(self, transfer: Transfer, name: str, ask: Callable[[Wait], T]) -> T:
        """Send one request to the server, again where that makes sense."""
        return self.engine.call(self.destination, name, ask, transfer)

    def entry(self, transfer: Transfer, file_id: str) -> Entry:
        """Return what the catalog says of a file."""
        return self.call(transfer, "manifest", lambda wait: self.catalog.read(file_id, wait))

    def each_range(
        self, transfer: Transfer, stored: StoredFile, ask: Callable[[range, Wait], None]
    ) -> None:
        """Ask the same of all chunks of a file, as many in a request as the store takes."""
        per_request = chunks_per_delete(self.store.capabilities)
        self.engine.for_each(
            self.destination, ranges(stored.chunks, per_request), ask, transfer, name="chunks"
        )

    def close(self) -> None:
        """Close all connections, to others' servers as well."""
        self.pool.close()
        self.peers.close()
        if self.bulk is not None:
            self.bulk.close()

    def drop(self) -> None:
        """Leave all connections to the parent, in the child of a fork."""
        self.pool.drop()
        self.relay.reset()
        self.peers.drop()
        if self.bulk is not None:
            self.bulk.drop()
