"""A sealed file as one object: its chunks one behind the other, and a trailer (docs/format.md).

::

    sealed chunk 0 | sealed chunk 1 | ... | sealed manifest | its length (4) | magic (8)

The trailer stands at the end because the manifest holds the SHA-256 of the file, which is known
only when the last chunk has been read. It is sealed under the *object key*, which whoever uploads
gets in the receipt, and nobody else.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from atxfer._buffers import Buffer
from atxfer._crypto.primitives import (
    AES_KEY_BYTES,
    GCM_NONCE,
    GCM_TAG,
    Aes256Gcm,
    CryptoError,
    random_bytes,
)
from atxfer._format.manifest import COMPLETE, MAX_MANIFEST_BYTES, Manifest
from atxfer._format.sealing import SEAL_OVERHEAD
from atxfer.errors import ManifestInvalid

__all__ = ["MAX_TRAILER", "Trailer", "new_object_key", "open_trailer"]

_MAGIC = b"ATXFER1\n"
_ADDITIONAL = b"atxfer-object:1"
_END = struct.Struct(">I8s")

MAX_TRAILER = MAX_MANIFEST_BYTES + GCM_NONCE + GCM_TAG + _END.size
"""Bytes at the end of an object that hold its trailer for sure."""


def new_object_key() -> bytes:
    """Return a new key for one object: 256 random bits."""
    return random_bytes(AES_KEY_BYTES)


class Trailer:
    """The end of an object that is being written.

    Args:
        manifest: What is known of the file beforehand.
        key: The object key.

    Attributes:
        length: Bytes; the SHA-256 has always as many.
    """

    def __init__(self, manifest: Manifest, key: bytes) -> None:
        self._manifest = manifest
        self._cipher = Aes256Gcm(key)
        self.length = len(self.sealed("0" * 64))

    def sealed(self, sha256: str) -> bytes:
        """Return it, now that the SHA-256 of the whole file is known; each call makes another."""
        whole = replace(self._manifest, state=COMPLETE, sha256=sha256)
        nonce = random_bytes(GCM_NONCE)
        body = whole.to_body().encode("utf-8")
        sealed = nonce + self._cipher.seal(nonce, body, _ADDITIONAL)
        return sealed + _END.pack(len(sealed), _MAGIC)


def open_trailer(tail: Buffer, key: bytes, size: int) -> Manifest:
    """Return the manifest of an object.

    Args:
        tail: The last :data:`MAX_TRAILER` bytes of the object, or all of a smaller one.
        key: The object key.
        size: Bytes of the whole object.

    Raises:
        ManifestInvalid: The object was not sealed by atxfer, not under this key, or a part of it
            is missing.
    """
    if len(tail) < _END.size:
        raise ManifestInvalid("the object is no sealed file of atxfer's")
    length, magic = _END.unpack(tail[-_END.size :])
    sealed = tail[-_END.size - length : -_END.size]
    if magic != _MAGIC or len(sealed) != length:
        raise ManifestInvalid(
            "the object is no sealed file of atxfer's", remedy="Download it without a key (#...)."
        )
    try:
        body = Aes256Gcm(key).open(sealed[:GCM_NONCE], sealed[GCM_NONCE:], _ADDITIONAL)
    except CryptoError as error:
        raise ManifestInvalid(
            "the key in the address doesn't open the object",
            remedy="Copy the whole address: the key stands behind the #.",
        ) from error
    manifest = Manifest.from_body(body.decode("utf-8", "replace"))
    if size != manifest.size + manifest.chunks * SEAL_OVERHEAD + length + _END.size:
        raise ManifestInvalid("the object has not the length that its manifest tells")
    return manifest
