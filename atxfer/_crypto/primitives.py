"""The ciphers, signatures and digests of platform and format, named by their standards.

The only module that imports ``cryptography``. Keys, nonces and texts come in and go out as plain
bytes; what fails, fails as :class:`CryptoError`, whose text never holds any of them. Callers know
which file or record it was, and translate.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from typing import NoReturn

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from atxfer._buffers import Buffer

__all__ = [
    "AES_BLOCK",
    "AES_KEY_BYTES",
    "GCM_NONCE",
    "GCM_TAG",
    "Aes256Gcm",
    "Argon2idMissing",
    "CryptoError",
    "RSAPrivateKey",
    "RSAPublicKey",
    "aes_256_ctr_pkcs7_open",
    "aes_256_ctr_pkcs7_seal",
    "argon2id",
    "base64_decode",
    "base64_encode",
    "cram_digest",
    "generate_rsa_private_key",
    "load_rsa_private_key",
    "load_rsa_public_key",
    "random_bytes",
    "rsa_decrypt_pkcs1v15",
    "rsa_encrypt_pkcs1v15",
    "rsa_private_der",
    "rsa_public_der",
    "rsa_sign_sha256",
    "rsa_verify_sha256",
    "rsa_verify_sha512",
]

AES_BLOCK = 16
AES_KEY_BYTES = 32
GCM_NONCE = 12
GCM_TAG = 16

# What the platform generates and its servers accept: "signingAlgo:rsa2048" (facts §4).
_RSA_BITS = 2048
_RSA_EXPONENT = 65537


class CryptoError(Exception):
    """A key, a ciphertext or a signature is not what it should be."""


class Argon2idMissing(CryptoError):
    """The installed ``cryptography`` has no Argon2id: it came with version 44."""


def random_bytes(count: int) -> bytes:
    """Return bytes from the operating system's generator."""
    return secrets.token_bytes(count)


def base64_encode(data: bytes) -> str:
    """Return the RFC 4648 text of some bytes."""
    return base64.b64encode(data).decode("ascii")


def base64_decode(text: str) -> bytes:
    """Return the bytes of an RFC 4648 text; no line breaks, padding required.

    Raises:
        CryptoError: It is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        # The cause would quote the text, which may be a key.
        raise CryptoError("not base64") from None


# --- AES

_NO_MATCH = "the authentication tag doesn't match"

# What is encrypted in place goes through a block of this size: it stays in the processor's cache.
_STEP = 64 * 1024


class Aes256Gcm:
    """AES-256-GCM (NIST SP 800-38D) under one key, 96-bit nonces and 128-bit tags.

    Args:
        key: 32 bytes.

    Threads: may be shared; a call leaves no state behind.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != AES_KEY_BYTES:
            raise CryptoError("an AES-256 key has 32 bytes")
        self._cipher = AESGCM(key)
        self._key = algorithms.AES(key)

    def seal(self, nonce: bytes, plaintext: bytes, additional: bytes) -> bytes:
        """Return ciphertext and tag. A nonce must never be used twice under one key."""
        return self._cipher.encrypt(nonce, plaintext, additional)

    def open(self, nonce: Buffer, sealed: Buffer, additional: bytes) -> bytes:
        """Return the plaintext of ciphertext and tag.

        Raises:
            CryptoError: Key, nonce, ciphertext, tag and additional data don't belong together.
        """
        try:
            return self._cipher.decrypt(bytes(nonce), sealed, additional)
        except (InvalidTag, ValueError) as error:
            raise CryptoError(_NO_MATCH) from error

    def seal_in_place(self, nonce: bytes, block: memoryview, additional: bytes) -> bytes:
        """Put the ciphertext in the place of the plaintext and return the tag, as :meth:`seal`."""
        stream = Cipher(self._key, modes.GCM(nonce)).encryptor()
        stream.authenticate_additional_data(additional)
        _pass_through(stream, block)
        return stream.tag

    def open_in_place(
        self, nonce: Buffer, block: memoryview, tag: Buffer, additional: bytes
    ) -> None:
        """Put the plaintext in the place of the ciphertext.

        Raises:
            CryptoError: As :meth:`open` does; what lies in the block then must not be looked at.
        """
        try:
            stream = Cipher(self._key, modes.GCM(bytes(nonce), bytes(tag))).decryptor()
            stream.authenticate_additional_data(additional)
            _pass_through(stream, block)
        except (InvalidTag, ValueError) as error:
            raise CryptoError(_NO_MATCH) from error

    def __reduce__(self) -> NoReturn:
        # Older versions of cryptography would pickle the key.
        raise TypeError("a cipher holds a secret key and can't be pickled or copied")


def _pass_through(stream: CipherContext, block: memoryview) -> None:
    """Encrypt or decrypt a block where it lies, and end the stream."""
    # The library wants room for one block of the cipher more, though counter modes fill none.
    step = memoryview(bytearray(min(_STEP, len(block)) + AES_BLOCK))
    for start in range(0, len(block), _STEP):
        part = block[start : start + _STEP]
        part[:] = step[: stream.update_into(part, step)]
    stream.finalize()


def aes_256_ctr_pkcs7_seal(key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    """Return a text PKCS#7-padded, then encrypted by AES-256-CTR, as the platform does (facts §4).

    Args:
        key: 32 bytes.
        iv: 16 bytes, the first counter block. Never one twice under one key.
        plaintext: Any length.
    """
    padder = PKCS7(AES_BLOCK * 8).padder()
    return _aes_256_ctr(key, iv, padder.update(plaintext) + padder.finalize())


def aes_256_ctr_pkcs7_open(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """Return the plaintext of :func:`aes_256_ctr_pkcs7_seal`.

    There is no tag: a wrong key is noticed only by its padding, 255 times out of 256, and a changed
    ciphertext mostly not at all. Who must know more, signs the plaintext.

    Raises:
        CryptoError: The padding is none.
    """
    unpadder = PKCS7(AES_BLOCK * 8).unpadder()
    padded = _aes_256_ctr(key, iv, ciphertext)
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError as error:
        raise CryptoError("the padding is not PKCS#7") from error


def _aes_256_ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Encrypt or decrypt: both are the same in counter mode."""
    if len(key) != AES_KEY_BYTES or len(iv) != AES_BLOCK:
        raise CryptoError("AES-256-CTR takes a key of 32 bytes and an IV of 16")
    stream = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return stream.update(data) + stream.finalize()


# --- RSA


def generate_rsa_private_key() -> RSAPrivateKey:
    """Return a new RSA-2048 key; takes a few tenths of a second."""
    return rsa.generate_private_key(public_exponent=_RSA_EXPONENT, key_size=_RSA_BITS)


def load_rsa_private_key(der: bytes) -> RSAPrivateKey:
    """Return the key of an unencrypted PKCS#8 (or PKCS#1) DER.

    Raises:
        CryptoError: It is none.
    """
    try:
        key = serialization.load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CryptoError("not a private key in DER") from error
    if not isinstance(key, RSAPrivateKey):
        raise CryptoError("not an RSA key")
    return key


def load_rsa_public_key(der: bytes) -> RSAPublicKey:
    """Return the key of a SubjectPublicKeyInfo DER.

    Raises:
        CryptoError: It is none.
    """
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CryptoError("not a public key in DER") from error
    if not isinstance(key, RSAPublicKey):
        raise CryptoError("not an RSA key")
    return key


def rsa_private_der(key: RSAPrivateKey) -> bytes:
    """Return a private key as unencrypted PKCS#8 DER."""
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def rsa_public_der(key: RSAPublicKey) -> bytes:
    """Return a public key as SubjectPublicKeyInfo DER."""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def rsa_sign_sha256(key: RSAPrivateKey, data: bytes) -> bytes:
    """Return the RSASSA-PKCS1-v1_5 signature with SHA-256; the same data give the same bytes."""
    return key.sign(data, rsa_padding.PKCS1v15(), hashes.SHA256())


def rsa_verify_sha256(key: RSAPublicKey, signature: bytes, data: bytes) -> bool:
    """Return whether this is the key's RSASSA-PKCS1-v1_5 signature with SHA-256."""
    return _rsa_verify(key, signature, data, hashes.SHA256())


def rsa_verify_sha512(key: RSAPublicKey, signature: bytes, data: bytes) -> bool:
    """Return whether this is the key's RSASSA-PKCS1-v1_5 signature with SHA-512."""
    return _rsa_verify(key, signature, data, hashes.SHA512())


def _rsa_verify(
    key: RSAPublicKey, signature: bytes, data: bytes, digest: hashes.HashAlgorithm
) -> bool:
    try:
        key.verify(signature, data, rsa_padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


def rsa_encrypt_pkcs1v15(key: RSAPublicKey, plaintext: bytes) -> bytes:
    """Return a short text, up to 245 bytes, encrypted by RSAES-PKCS1-v1_5 (facts §8).

    Raises:
        CryptoError: The text is too long for the key.
    """
    try:
        return key.encrypt(plaintext, rsa_padding.PKCS1v15())
    except ValueError as error:
        raise CryptoError("too long for the RSA key") from error


def rsa_decrypt_pkcs1v15(key: RSAPrivateKey, ciphertext: bytes) -> bytes:
    """Return the plaintext of RSAES-PKCS1-v1_5.

    A ciphertext for another key may give random bytes instead of an error (OpenSSL's implicit
    rejection, against padding oracles): the caller must check what comes out.

    Raises:
        CryptoError: It is not a ciphertext for this key.
    """
    try:
        return key.decrypt(ciphertext, rsa_padding.PKCS1v15())
    except ValueError as error:
        raise CryptoError("not encrypted to this RSA key") from error


# --- digests


def cram_digest(secret: str, challenge: str) -> str:
    """Return the answer to a challenge before the first activation: hex SHA-512 (facts §4)."""
    return hashlib.sha512((secret + challenge).encode("utf-8")).hexdigest()


def argon2id(
    passphrase: bytes, salt: bytes, *, iterations: int, lanes: int, memory_kib: int
) -> bytes:
    """Return 32 bytes derived from a passphrase by Argon2id (RFC 9106).

    Raises:
        Argon2idMissing: The installed ``cryptography``, or the OpenSSL below it, has no Argon2id.
        CryptoError: A parameter is out of its range; a salt has at least 8 bytes.
    """
    try:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # since version 44

        kdf = Argon2id(
            salt=salt,
            length=AES_KEY_BYTES,
            iterations=iterations,
            lanes=lanes,
            memory_cost=memory_kib,
        )
    except (ImportError, UnsupportedAlgorithm) as error:
        raise Argon2idMissing("the installed cryptography has no Argon2id") from error
    except ValueError as error:
        raise CryptoError("not a parameter of Argon2id") from error
    return kdf.derive(passphrase)
