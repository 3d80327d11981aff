"""Records encrypted as the platform encrypts them, so that its other clients read them.

A text is AES-256-CTR encrypted, PKCS#7-padded, under the owner's self key or under a key that owner
and recipient share, with the record's own ``ivNonce``, or sixteen zero bytes where an older client
sent none. There is no tag: what must not be changed unseen, carries a signature.
"""

from __future__ import annotations

import hashlib
from typing import Optional

from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.primitives import (
    AES_BLOCK,
    AES_KEY_BYTES,
    CryptoError,
    RSAPrivateKey,
    RSAPublicKey,
    aes_256_ctr_pkcs7_open,
    aes_256_ctr_pkcs7_seal,
    base64_decode,
    base64_encode,
    random_bytes,
    rsa_decrypt_pkcs1v15,
    rsa_encrypt_pkcs1v15,
)
from atxfer.errors import IntegrityError

__all__ = [
    "open_self",
    "open_text",
    "public_key_checksum",
    "seal_self",
    "seal_text",
    "unwrap_key",
    "wrap_key",
]


def seal_self(keys: AtKeys, text: str) -> tuple[str, str]:
    """Encrypt a text for its owner alone; see :func:`seal_text`."""
    return seal_text(keys.self_key, text)


def open_self(keys: AtKeys, value: str, iv_nonce: Optional[str]) -> str:
    """Return the text that :func:`seal_self` encrypted; see :func:`open_text`."""
    return open_text(keys.self_key, value, iv_nonce)


def seal_text(key: bytes, text: str) -> tuple[str, str]:
    """Return a record's value and the ``ivNonce`` for its metadata, both base64.

    Raises:
        ValueError: The text is empty: the Dart clients can't decrypt that (facts §5).
    """
    if not text:
        raise ValueError("an empty text can't be stored encrypted")
    iv = random_bytes(AES_BLOCK)
    sealed = aes_256_ctr_pkcs7_seal(key, iv, text.encode("utf-8"))
    return base64_encode(sealed), base64_encode(iv)


def open_text(key: bytes, value: str, iv_nonce: Optional[str]) -> str:
    """Return the text of a record.

    Args:
        key: 32 bytes.
        value: The record's value.
        iv_nonce: From its metadata; None for the records of older clients.

    Raises:
        IntegrityError: It was not encrypted under this key and nonce.
    """
    try:
        # A nonce of 12 bytes is read as the Dart client reads it: followed by four zeros.
        iv = base64_decode(iv_nonce or "").ljust(AES_BLOCK, b"\0")
        return aes_256_ctr_pkcs7_open(key, iv, base64_decode(value)).decode("utf-8")
    except (CryptoError, UnicodeDecodeError):
        # The cause of the second would hold the decrypted bytes.
        raise IntegrityError("the record doesn't open with this key") from None


# --- a key that owner and recipient share


def wrap_key(key: bytes, public_key: RSAPublicKey) -> str:
    """Return an AES key as the platform hands it over: RSA of its base64 text, not of its bytes."""
    return base64_encode(rsa_encrypt_pkcs1v15(public_key, base64_encode(key).encode("ascii")))


def unwrap_key(wrapped: str, private_key: RSAPrivateKey) -> bytes:
    """Return the 32 bytes that :func:`wrap_key` wrapped for this key.

    Raises:
        IntegrityError: They were not wrapped for this key.
    """
    try:
        text = rsa_decrypt_pkcs1v15(private_key, base64_decode(wrapped))
        key = base64_decode(text.decode("latin-1"))
    except CryptoError as error:
        raise IntegrityError("the shared key was not encrypted for us") from error
    if len(key) != AES_KEY_BYTES:
        raise IntegrityError("the shared key is no AES-256 key")
    return key


def public_key_checksum(public_key: str) -> str:
    """Return ``pubKeyCS``: hex MD5 of a public key's base64 text.

    It tells a recipient with which of their keys a record was made, and protects nothing.
    """
    return hashlib.md5(public_key.encode("ascii"), usedforsecurity=False).hexdigest()
