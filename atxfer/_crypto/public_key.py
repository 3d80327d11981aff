"""The public key of an atSign: what others encrypt to, and verify its manifests with."""

from __future__ import annotations

from atxfer._crypto.primitives import (
    CryptoError,
    RSAPublicKey,
    base64_decode,
    load_rsa_public_key,
    rsa_verify_sha256,
)
from atxfer._crypto.sharing import public_key_checksum, wrap_key
from atxfer.errors import PublicKeyInvalid

__all__ = ["PublicKey"]


class PublicKey:
    """The encryption key of an atSign, as it lies under ``public:publickey``.

    Args:
        atsign: Whose, as ``@bob``.
        text: Base64 of its DER.

    Attributes:
        checksum: What recipients know it by, ``pubKeyCS``.

    Raises:
        PublicKeyInvalid: It is no RSA key.

    Threads: may be shared.
    """

    def __init__(self, atsign: str, text: str) -> None:
        self.atsign = atsign
        try:
            self._key: RSAPublicKey = load_rsa_public_key(base64_decode(text))
        except CryptoError as error:
            raise PublicKeyInvalid(f"the public key of {atsign} is no RSA key") from error
        self.checksum = public_key_checksum(text)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Return whether its owner made this signature."""
        return rsa_verify_sha256(self._key, signature, data)

    def wrap(self, key: bytes) -> str:
        """Return an AES key that only the owner of this key can unwrap."""
        return wrap_key(key, self._key)

    def __repr__(self) -> str:
        return f"<PublicKey of {self.atsign}, {self.checksum}>"
