"""The AES key that an atSign shares with one other, made once and kept (facts §8).

Rules of this file:

1. A key that is there is used: a second one would make all that was encrypted under the first
   unreadable to its sender, also what other applications share.
2. Who reads a record gets the key with it, wrapped anew for the public key that the recipient has
   now. What lies under ``@bob:shared_key@alice`` is for other clients, and is never believed: it
   may have been wrapped for whomever a mixed-up answer named (facts §7).
3. When the recipient's public key has changed, their atSign may have changed hands: they get a new
   key, and the old one is set aside as the servers themselves do it, not lost.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

from atxfer._catalog.answers import Reply, check_stored, maybe_value
from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.primitives import AES_KEY_BYTES, random_bytes
from atxfer._crypto.public_key import PublicKey
from atxfer._crypto.sharing import public_key_checksum, unwrap_key
from atxfer._net.records import EXPIRED, Records
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import Llookup, Mode, Update
from atxfer.errors import (
    IntegrityError,
    ProtocolViolation,
    ServerFault,
    SharedKeyUnreadable,
)
from atxfer.waiting import Wait

__all__ = ["PairKey", "PairKeys"]

_log = logging.getLogger("atxfer.catalog")

# Seconds after which the recipient's server refreshes its copy: what the Dart client asks for.
_REFRESH_S = 3_888_000
# Rounds until what was written is what is read back: others of our atSign may do the same just now.
_ROUNDS = 3


@dataclass(frozen=True)
class PairKey:
    """The AES key that owner and recipient share.

    Attributes:
        recipient: The other atSign, as ``@bob``.
        key: 32 bytes.
        wrapped: The key, encrypted to the recipient: ``sharedKeyEnc``.
        checksum: Of the public key it was encrypted to: ``pubKeyCS``.
    """

    recipient: str
    key: bytes = field(repr=False)
    wrapped: str = field(repr=False)
    checksum: str


@dataclass(frozen=True)
class _Kept:
    """What the own server holds of the key shared with one recipient.

    Attributes:
        own: The key wrapped for its owner, or None.
        has_theirs: Whether there is one wrapped for the recipient.
        known_checksum: That of the public key the recipient had then, as far as it is known.
    """

    own: Optional[str]
    has_theirs: bool
    known_checksum: Optional[str]


class PairKeys:
    """The keys that one atSign shares with others, on its own server.

    Args:
        records: The server, by connections that are logged in as its owner.
        keys: The owner's keys.

    Threads: may be shared.
    """

    def __init__(self, records: Records, keys: AtKeys) -> None:
        self._records = records
        self._keys = keys
        self._own_public = PublicKey(keys.atsign, keys.encryption_public)
        self._lock = threading.Lock()  # guards _known, _turns
        self._known: dict[tuple[str, str], PairKey] = {}
        self._turns: dict[str, threading.Lock] = {}

    def obtain(self, public: PublicKey, wait: Wait) -> PairKey:
        """Return the key shared with the owner of a public key; make it if there is none.

        Args:
            public: The recipient's public key as it is now, read from their own server.
            wait: Cancellation and deadline of the transfer this is for.

        Raises:
            SharedKeyUnreadable: There is one that our keys don't open.
            TransferError: The server could not be asked.
        """
        identity = public.atsign, public.checksum
        with wait.turn(self._turn_of(public.atsign)):
            known = self._known.get(identity)
            if known is None:
                known = self._found_or_made(public, wait)
                with self._lock:
                    self._known[identity] = known
        return known

    def _turn_of(self, recipient: str) -> threading.Lock:
        """Return the lock under which one thread at a time finds or makes a recipient's key."""
        with self._lock:
            return self._turns.setdefault(recipient, threading.Lock())

    def _found_or_made(self, public: PublicKey, wait: Wait) -> PairKey:
        for _ in range(_ROUNDS):
            kept = self._read(public.atsign, wait)
            changed = kept.known_checksum not in (None, public.checksum)
            if kept.own is not None and changed:
                self._retire(public.atsign, kept.own, wait)
            elif kept.own is not None:
                key = self._opened(public.atsign, kept.own)
                if not kept.has_theirs:
                    self._write([self._theirs(public, key)], wait)
                return PairKey(public.atsign, key, public.wrap(key), public.checksum)
            # Made, and then read back: whoever was faster decides which one it is.
            key = random_bytes(AES_KEY_BYTES)
            self._write([self._own(public.atsign, key), self._theirs(public, key)], wait)
        raise ServerFault(f"the key shared with {public.atsign} doesn't stay as it was written")

    # --- what is kept

    def _own_key(self, recipient: str) -> AtKey:
        return AtKey.self_(f"shared_key.{recipient[1:]}", self._keys.atsign, "")

    def _their_key(self, recipient: str) -> AtKey:
        return AtKey.shared("shared_key", self._keys.atsign, recipient, "")

    def _read(self, recipient: str, wait: Wait) -> _Kept:
        cached = AtKey("publickey", recipient, scope="public", is_cached=True)
        answers = self._records.ask(
            [
                Llookup(self._own_key(recipient)),
                Llookup(self._their_key(recipient), Mode.ALL),
                Llookup(cached),
            ],
            wait,
        )
        theirs = maybe_value(answers.get(1))
        return _Kept(
            own=maybe_value(answers.get(0)),
            has_theirs=theirs is not None,
            known_checksum=None if theirs is None else _checksum(theirs, answers.get(2)),
        )

    def _opened(self, recipient: str, own: str) -> bytes:
        try:
            return unwrap_key(own, self._keys.encryption_private)
        except IntegrityError as error:
            raise SharedKeyUnreadable(
                f"the record {self._own_key(recipient)} doesn't open with our keys"
            ) from error

    # --- what is written

    def _own(self, recipient: str, key: bytes) -> Update:
        metadata = Metadata(ttl_ms=0, is_encrypted=False)
        return Update(self._own_key(recipient), self._own_public.wrap(key), metadata)

    def _theirs(self, public: PublicKey, key: bytes) -> Update:
        metadata = Metadata(
            ttl_ms=0, ttr_s=_REFRESH_S, is_encrypted=False, pub_key_cs=public.checksum
        )
        return Update(self._their_key(public.atsign), public.wrap(key), metadata)

    def _retire(self, recipient: str, own: str, wait: Wait) -> None:
        """Set a key aside under the name that the servers themselves give it [s]."""
        _log.warning("share.public_key_changed recipient=%s", recipient)
        name = f"shared_key.{recipient[1:]}.until.{int(time.time() * 1000)}"
        metadata = Metadata(ttl_ms=0, is_encrypted=False)
        self._write([Update(AtKey.self_(name, self._keys.atsign, ""), own, metadata)], wait)

    def _write(self, updates: Sequence[Update], wait: Wait) -> None:
        answers = self._records.ask(updates, wait)
        for place in range(len(updates)):
            check_stored(answers.get(place))


def _checksum(theirs: str, cached: Reply) -> Optional[str]:
    """Return the checksum of the public key for which the recipient's copy was wrapped.

    It stands beside the copies that we make. Of those of other clients it is not known; then what
    our server has remembered of the recipient is a hint.
    """
    try:
        metadata = Metadata.from_json(json.loads(theirs)["metaData"])
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolViolation("the server's record can't be read") from error
    if metadata.pub_key_cs is not None:
        return metadata.pub_key_cs
    if isinstance(cached, Answer) and cached.data != EXPIRED and cached.data.isascii():
        return public_key_checksum(cached.data)
    return None
