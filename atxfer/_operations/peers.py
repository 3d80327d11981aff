"""The servers of other atSigns, read straight and without a login (design §7).

What is asked of another's server through one's own may be answered with another question's answer
(facts §7), and leaves a second copy there. So nothing is: not even public keys.
"""

from __future__ import annotations

import threading
from typing import Optional

from atxfer._crypto.primitives import (
    CryptoError,
    RSAPublicKey,
    base64_decode,
    load_rsa_public_key,
    rsa_verify_sha256,
)
from atxfer._engine.destination import Destination
from atxfer._engine.transfer import Transfer
from atxfer._net.pool import ConnectionPool
from atxfer._operations.reach import Reach
from atxfer.atprotocol.atkey import AtKey, normalise_atsign
from atxfer.atprotocol.verbs import Lookup
from atxfer.errors import PublicKeyInvalid
from atxfer.waiting import Wait

__all__ = ["Peer", "Peers", "PublicKey"]


class PublicKey:
    """The key that others encrypt to, and verify an atSign's manifests with.

    Args:
        atsign: Whose.
        text: Base64 of its DER, as it lies under ``public:publickey``.

    Raises:
        PublicKeyInvalid: It is no RSA key.
    """

    def __init__(self, atsign: str, text: str) -> None:
        self.atsign = atsign
        self.text = text
        try:
            self.key: RSAPublicKey = load_rsa_public_key(base64_decode(text))
        except CryptoError as error:
            raise PublicKeyInvalid(f"the public key of {atsign} is no RSA key") from error

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Return whether its owner made this signature."""
        return rsa_verify_sha256(self.key, signature, data)


class Peer:
    """The server of one other atSign.

    Attributes:
        destination: What all requests to it share.

    Threads: may be shared.
    """

    def __init__(self, reach: Reach, atsign: str) -> None:
        self.atsign = atsign
        self._engine = reach.engine
        self.pool = ConnectionPool(
            reach.directory, atsign, login=None, context=reach.context, config=reach.config
        )
        self.destination: Destination = reach.engine.destination(
            f"public:{atsign}", reach.config.max_concurrent_downloads
        )
        self._lock = threading.Lock()  # guards _known_key
        self._known_key: Optional[PublicKey] = None

    def public_key(self, transfer: Transfer) -> PublicKey:
        """Return its public key as it is now.

        Raises:
            AtSignNotFound: There is no such atSign.
            NotActivated: It has a server, but no keys yet.
            PublicKeyInvalid: What lies there is no key.
        """
        return self._engine.call(self.destination, "public key", self.read_public_key, transfer)

    def known_public_key(self, transfer: Transfer) -> PublicKey:
        """Return its public key as it was when it was read last, which is once at least."""
        with self._lock:
            known = self._known_key
        return known if known is not None else self.public_key(transfer)

    def read_public_key(self, wait: Wait) -> PublicKey:
        """Ask for its public key, in one request."""
        text = self.pool.ask(Lookup(AtKey.public("publickey", self.atsign, "")), wait).data
        key = PublicKey(self.atsign, text)
        with self._lock:
            self._known_key = key
        return key


class Peers:
    """The servers of others that were needed so far.

    Threads: may be shared.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._lock = threading.Lock()  # guards _peers
        self._peers: dict[str, Peer] = {}

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
            peer.pool.close()

    def drop(self) -> None:
        """Leave all connections to the parent, in the child of a fork."""
        self._lock = threading.Lock()
        peers, self._peers = self._peers, {}
        for peer in peers.values():
            peer.pool.drop()
