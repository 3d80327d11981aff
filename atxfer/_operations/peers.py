"""The servers of other atSigns, read straight and without a login (design §7).

What is asked of another's server through one's own may be answered with another question's answer
(facts §7), and leaves a second copy there. So nothing is: not even public keys.
"""

from __future__ import annotations

import threading
from typing import Optional

from atxfer._crypto.public_key import PublicKey
from atxfer._engine.destination import Destination
from atxfer._engine.transfer import Transfer
from atxfer._net.pool import ConnectionPool
from atxfer._operations.bulk import WebOrigins
from atxfer._operations.reach import Reach
from atxfer.atprotocol.atkey import AtKey, normalise_atsign
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.errors import PublicKeyInvalid
from atxfer.stores.atpublic import PublicAtServerStore
from atxfer.waiting import Wait

__all__ = ["Peer", "Peers"]


class Peer:
    """The server of one other atSign.

    Attributes:
        pool: Connections without a login.
        store: What is public there.
        destination: What all requests to it share.

    Threads: may be shared.
    """

    def __init__(self, reach: Reach, atsign: str) -> None:
        self.atsign = atsign
        self._engine = reach.engine
        self.pool = ConnectionPool(
            reach.directory, atsign, login=None, context=reach.context, config=reach.config
        )
        self.store = PublicAtServerStore(
            atsign, self.pool, reach.config, directory=reach.directory, ca_file=reach.ca_file
        )
        self.destination: Destination = reach.engine.destination(
            f"public:{atsign}", reach.config.max_concurrent_downloads
        )
        self._lock = threading.Lock()  # guards _known_key
        self._known_key: Optional[PublicKey] = None

    def value(self, key: AtKey, name: str, transfer: Transfer) -> str:
        """Return a public record of this server.

        Args:
            key: The record's key.
            name: What the request is called in logs.
            transfer: For whom.

        Raises:
            KeyNotFound: There is none.
            FileExpired: Its time to live is over.
        """
        return self._engine.call(
            self.destination, name, lambda wait: self.store.value(key, wait), transfer
        )

    def public_key(self, transfer: Transfer) -> PublicKey:
        """Return its public key as it is now.

        Raises:
            AtSignNotFound: There is no such atSign.
                PublicKeyInvalid: There is no key, or what lies there is none.
        """
        return self._engine.call(self.destination, "public key", self.read_public_key, transfer)

    def known_public_key(self, transfer: Transfer) -> PublicKey:
        """Return its public key as it was when it was read last, which is once at least."""
        known = self.last_public_key
        return known if known is not None else self.public_key(transfer)

    @property
    def last_public_key(self) -> Optional[PublicKey]:
        """Its public key as it was when it was read last, if it ever was."""
        with self._lock:
            return self._known_key

    def read_public_key(self, wait: Wait) -> PublicKey:
        """Ask for its public key, in one request."""
        try:
            text = self.store.value(AtKey.public("publickey", self.atsign, ""), wait)
        except KeyNotFound as error:
            raise PublicKeyInvalid(
                f"{self.atsign} has a server, but no public key: it was never activated"
            ) from error
        key = PublicKey(self.atsign, text)
        with self._lock:
            self._known_key = key
        return key


class Peers:
    """The servers of others that were needed so far.

    Attributes:
        web: What of theirs lies in stores.

    Threads: may be shared.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._lock = threading.Lock()  # guards _peers
        self._peers: dict[str, Peer] = {}
        self.web = WebOrigins(reach)

    def peer(self, atsign: str) -> Peer:
        """Return the server of an atSign; nothing is sent.

        Raises:
            ValueError: This can't be an atSign.
        """
        atsign = normalise_atsign(atsign)
        with self._lock:
            if atsign not in self._peers:
                self._peers[atsign] = Peer(self._reach, atsign)
            return self._peers[atsign]

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            peers = list(self._peers.values())
        for peer in peers:
            peer.store.close()
            peer.pool.close()
        self.web.close()

    def drop(self) -> None:
        """Leave all connections to the parent, in the child of a fork."""
        self._lock = threading.Lock()
        peers, self._peers = self._peers, {}
        for peer in peers.values():
            peer.store.drop()
            peer.pool.drop()
        self.web.drop()
