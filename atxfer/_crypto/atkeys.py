"""The .atKeys file of an atSign: found, read, checked, written (facts §4).

The file is JSON. ``selfEncryptionKey`` lies in it in the clear, and under it, by AES-256-CTR with
an IV of zeros, the four RSA keys. Newer files are wrapped as a whole with a passphrase. Because the
self key is in the clear, a file that others can read is refused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Optional, Union

from atxfer._crypto.keyfile import ZERO_IV, Document, NotJson, members_of, write_document
from atxfer._crypto.primitives import (
    AES_BLOCK,
    AES_KEY_BYTES,
    Argon2idMissing,
    CryptoError,
    RSAPrivateKey,
    aes_256_ctr_pkcs7_open,
    aes_256_ctr_pkcs7_seal,
    argon2id,
    base64_encode,
    generate_rsa_private_key,
    random_bytes,
    rsa_private_der,
    rsa_public_der,
    rsa_sign_sha256,
    rsa_verify_sha256,
)
from atxfer.errors import KeysNotFound, KeysUnreadable, PassphraseRequired, WrongPassphrase

__all__ = ["AtKeys", "find", "path_of", "public_text"]

StrPath = Union[str, "os.PathLike[str]"]


def path_of(atsign: str, keys_dir: Optional[StrPath] = None) -> Path:
    """Return where the key file of an atSign lies, or would lie.

    Args:
        atsign: As ``@alice``.
        keys_dir: Its folder; by default ``~/.atsign/keys``, where the platform's tools put it.

    Raises:
        KeysNotFound: The user has no home directory.
    """
    try:
        folder = Path(keys_dir if keys_dir is not None else "~/.atsign/keys").expanduser()
    except RuntimeError as error:
        raise KeysNotFound("this user has no home directory to look for keys in") from error
    return folder / f"{atsign}_key.atKeys"


def find(atsign: str, keys_dir: Optional[StrPath] = None) -> Path:
    """Return where the key file of an atSign lies; the arguments are those of :func:`path_of`.

    Raises:
        KeysNotFound: There is none.
    """
    path = path_of(atsign, keys_dir)
    if not path.exists():
        raise KeysNotFound(f"there is no key file {path}")
    return path


@dataclass(frozen=True, eq=False)
class AtKeys:
    """The keys of one atSign. What is secret is in no repr, and can't be pickled.

    Attributes:
        atsign: Whose keys, as ``@alice``.
        enrollment_id: The enrolment of the PKAM pair, or None for the atSign's own.
        pkam_public: Base64 of DER, as the server keeps it to check logins.
        encryption_public: Base64 of DER, as it lies under ``public:publickey``.
        self_key: AES-256 key of the records that are for the owner alone.
        pkam_private: Answers the challenge of a login.
        encryption_private: Opens what others encrypted to this atSign, and signs its manifests.
        apkam_symmetric_key: AES-256 key under which an enrolment got the others, or None.

    Threads: may be shared.
    """

    atsign: str
    enrollment_id: Optional[str]
    pkam_public: str = field(repr=False)
    encryption_public: str = field(repr=False)
    self_key: bytes = field(repr=False)
    pkam_private: RSAPrivateKey = field(repr=False)
    encryption_private: RSAPrivateKey = field(repr=False)
    apkam_symmetric_key: Optional[bytes] = field(repr=False, default=None)

    @classmethod
    def generate(cls, atsign: str) -> AtKeys:
        """Return new keys, for an atSign that has none yet; takes about half a second."""
        pkam, encryption = generate_rsa_private_key(), generate_rsa_private_key()
        return cls(
            atsign=atsign,
            enrollment_id=None,
            pkam_public=public_text(pkam),
            encryption_public=public_text(encryption),
            self_key=random_bytes(AES_KEY_BYTES),
            pkam_private=pkam,
            encryption_private=encryption,
        )

    @classmethod
    def read(cls, path: StrPath, atsign: str, passphrase: Optional[str] = None) -> AtKeys:
        """Return the keys of a file, checked.

        Args:
            path: The file.
            atsign: Whose keys they must be, as ``@alice``.
            passphrase: Opens a file that is wrapped with one.

        Raises:
            KeysNotFound: There is no such file.
            KeysNotPrivate: Other users of the machine can read or change it.
            KeysUnreadable: It can't be read, or a field is missing or damaged.
            PassphraseRequired: It is wrapped, and no passphrase was given.
            WrongPassphrase: It is wrapped, and the passphrase doesn't open it.
            KeysMismatch: It is another atSign's.
        """
        source = Path(path)
        document = Document.read(source)
        if "content" in document and "hashingAlgoType" in document:
            document = Document(source, _unwrapped(document, passphrase))
        document.check_owner(atsign)
        self_key = document.key("selfEncryptionKey")
        pkam = document.private_key("aesPkamPrivateKey", "aesPkamPublicKey", self_key)
        encryption = document.private_key("aesEncryptPrivateKey", "aesEncryptPublicKey", self_key)
        enrolled = document.has("enrollmentId")
        return cls(
            atsign=atsign,
            enrollment_id=document.text("enrollmentId") if enrolled else None,
            pkam_public=public_text(pkam),
            encryption_public=public_text(encryption),
            self_key=self_key,
            pkam_private=pkam,
            encryption_private=encryption,
            apkam_symmetric_key=document.key("apkamSymmetricKey") if enrolled else None,
        )

    def write(self, path: StrPath) -> None:
        """Write a new key file that its owner alone can read; make its folder if need be.

        Raises:
            FileExistsError: There is one already. It is never overwritten.
            OSError: It can't be written; nothing is left behind.
        """
        write_document(Path(path), self._members())

    def _members(self) -> dict[str, str]:
        def sealed(text: str) -> str:
            data = aes_256_ctr_pkcs7_seal(self.self_key, ZERO_IV, text.encode("ascii"))
            return base64_encode(data)

        self_key = base64_encode(self.self_key)
        members = {
            "aesPkamPublicKey": sealed(self.pkam_public),
            "aesPkamPrivateKey": sealed(base64_encode(rsa_private_der(self.pkam_private))),
            "aesEncryptPublicKey": sealed(self.encryption_public),
            "aesEncryptPrivateKey": sealed(base64_encode(rsa_private_der(self.encryption_private))),
            "selfEncryptionKey": self_key,
            self.atsign: self_key,
        }
        if self.enrollment_id is not None and self.apkam_symmetric_key is not None:
            members["apkamSymmetricKey"] = base64_encode(self.apkam_symmetric_key)
            members["enrollmentId"] = self.enrollment_id
        return members

    def sign(self, challenge: str) -> str:
        """Return the answer to a login's challenge: base64 of its signature by the PKAM key."""
        return base64_encode(rsa_sign_sha256(self.pkam_private, challenge.encode("utf-8")))

    def sign_data(self, data: bytes) -> bytes:
        """Return the owner's signature of some data, by the encryption key as the platform does."""
        return rsa_sign_sha256(self.encryption_private, data)

    def verify_data(self, signature: bytes, data: bytes) -> bool:
        """Return whether :meth:`sign_data` of these keys made the signature."""
        return rsa_verify_sha256(self.encryption_private.public_key(), signature, data)

    def __reduce__(self) -> NoReturn:
        raise TypeError("AtKeys are secret and can't be pickled or copied")


def public_text(key: RSAPrivateKey) -> str:
    """Return the public half of a key as servers keep it: base64 of DER."""
    return base64_encode(rsa_public_der(key.public_key()))


def _unwrapped(envelope: Document, passphrase: Optional[str]) -> dict[str, Any]:
    """Return the members inside a file that is wrapped with a passphrase."""
    if envelope.text("hashingAlgoType") != "argon2id":
        raise envelope.unreadable("hashingAlgoType", "is none that we know")
    content, iv = envelope.data("content"), envelope.data("iv")
    if len(iv) != AES_BLOCK:
        raise envelope.unreadable("iv", f"has {len(iv)} bytes instead of {AES_BLOCK}")
    if passphrase is None:
        raise PassphraseRequired("the key file is wrapped with a passphrase")
    try:
        key = _passphrase_key(passphrase)
        return members_of(aes_256_ctr_pkcs7_open(key, iv, content))
    except (CryptoError, NotJson):
        raise WrongPassphrase("the passphrase doesn't open the key file") from None


def _passphrase_key(passphrase: str) -> bytes:
    """Derive the key as the platform does; the passphrase is its own salt (vectors)."""
    secret = passphrase.encode("utf-8")
    try:
        return argon2id(secret, secret, iterations=2, lanes=2, memory_kib=10_000)
    except Argon2idMissing as error:
        raise KeysUnreadable(
            "the key file is wrapped with a passphrase, and the installed cryptography has no"
            " Argon2id to open it",
            remedy="Upgrade it: pip install 'cryptography>=44'.",
        ) from error
