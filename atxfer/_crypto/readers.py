"""For whom a record is written, and how it is opened by those: the platform's way, once for all.

A record of one's own is encrypted under the self key. One for another atSign is encrypted under the
key of that pair, and carries the key, wrapped for its reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Protocol

from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.sharing import open_text, unwrap_key
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.record import Record
from atxfer.errors import IntegrityError

__all__ = ["Owner", "Reader", "RecordOpener", "key_for", "metadata_for"]


class Reader(Protocol):
    """One who can read a record: the owner, or somebody it is shared with."""

    @property
    def recipient(self) -> Optional[str]:
        """The other atSign; None for the owner."""
        ...

    @property
    def key(self) -> bytes:
        """The AES key, 32 bytes."""
        ...

    @property
    def wrapped(self) -> Optional[str]:
        """The key as its reader gets it, ``sharedKeyEnc``; None for the owner, who has it."""
        ...

    @property
    def checksum(self) -> Optional[str]:
        """Of the public key it was wrapped for, ``pubKeyCS``."""
        ...


@dataclass(frozen=True)
class Owner:
    """The reader of one's own records.

    Attributes:
        key: The self key.
    """

    key: bytes = field(repr=False)
    recipient: Optional[str] = None
    wrapped: Optional[str] = None
    checksum: Optional[str] = None


def key_for(recipient: Optional[str], name: str, owner: str, namespace: str) -> AtKey:
    """Return under which key a record lies, for another atSign or for the owner.

    Raises:
        ValueError: The server would refuse it.
    """
    if recipient is None:
        return AtKey.self_(name, owner, namespace)
    return AtKey.shared(name, owner, recipient, namespace)


def metadata_for(
    reader: Reader, iv_nonce: str, ttl_ms: Optional[int], *, is_binary: Optional[bool] = None
) -> Metadata:
    """Return what a record for this reader carries, so that the platform's clients read it."""
    return Metadata(
        ttl_ms=ttl_ms,
        is_binary=is_binary,
        is_encrypted=True,
        shared_key_enc=reader.wrapped,
        pub_key_cs=reader.checksum,
        iv_nonce=iv_nonce,
    )


class RecordOpener:
    """Opens records that are our own, or were made for us.

    Args:
        keys: Ours.

    Threads: may be shared.
    """

    def __init__(self, keys: AtKeys) -> None:
        self._keys = keys
        self._unwrapped: dict[str, bytes] = {}  # to unwrap one takes a millisecond

    def open(self, record: Record) -> str:
        """Return the text of a record.

        Raises:
            IntegrityError: It was not encrypted for us, or is damaged so that it shows.
        """
        metadata = record.metadata
        own = record.key.recipient is None
        key = self._keys.self_key if own else self._shared_key(metadata.shared_key_enc)
        return open_text(key, record.value, metadata.iv_nonce)

    def _shared_key(self, wrapped: Optional[str]) -> bytes:
        if wrapped is None:
            raise IntegrityError("the record carries no key for us")
        key = self._unwrapped.get(wrapped)
        if key is None:
            key = self._unwrapped[wrapped] = unwrap_key(wrapped, self._keys.encryption_private)
        return key
