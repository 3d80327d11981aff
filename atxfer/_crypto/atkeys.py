"""The .atKeys file of an atSign: found, read, checked, written (facts §4).

The file is JSON. ``selfEncryptionKey`` lies in it in the clear, and under it, by AES-256-CTR with
an IV of zeros, the four RSA keys. Newer files are wrapped as a whole with a passphrase. Because the
self key is in the clear, a file that others can read is refused.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Optional, Union

from atxfer._crypto.primitives import (
    AES_BLOCK,
    AES_KEY_BYTES,
    Argon2idMissing,
    CryptoError,
    RSAPrivateKey,
    aes_256_ctr_pkcs7_open,
    aes_256_ctr_pkcs7_seal,
    argon2id,
    base64_decode,
    base64_encode,
    generate_rsa_private_key,
    load_rsa_private_key,
    load_rsa_public_key,
    random_bytes,
    rsa_private_der,
    rsa_public_der,
    rsa_sign_sha256,
    rsa_verify_sha256,
)
from atxfer.errors import (
    KeysMismatch,
    KeysNotFound,
    KeysNotPrivate,
    KeysUnreadable,
    PassphraseRequired,
    WrongPassphrase,
)

__all__ = ["AtKeys", "find"]

StrPath = Union[str, "os.PathLike[str]"]

_ZERO_IV = bytes(AES_BLOCK)
# A key file has about 6 KB; what is a hundred times larger is something else.
_MAX_FILE_BYTES = 1 << 20
_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH


def find(atsign: str, keys_dir: Optional[StrPath] = None) -> Path:
    """Return where the key file of an atSign lies.

    Args:
        atsign: As ``@alice``.
        keys_dir: Its folder; by default ``~/.atsign/keys``, where the platform's tools put it.

    Raises:
        KeysNotFound: There is none.
    """
    try:
        folder = Path(keys_dir if keys_dir is not None else "~/.atsign/keys").expanduser()
    except RuntimeError as error:
        raise KeysNotFound("this user has no home directory to look for keys in") from error
    path = folder / f"{atsign}_key.atKeys"
    if not path.exists():
        raise _not_found(path)
    return path


def _not_found(path: Path) -> KeysNotFound:
    return KeysNotFound(f"there is no key file {path}")


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
            pkam_public=_public_text(pkam),
            encryption_public=_public_text(encryption),
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
        try:
            members = _parse(_content(source))
        except _NotJson as error:
            raise KeysUnreadable(f"{source} is not JSON") from error
        if "content" in members and "hashingAlgoType" in members:
            members = _unwrapped(_Document(source, members), passphrase)
        document = _Document(source, members)
        document.check_owner(atsign)
        self_key = document.key("selfEncryptionKey")
        pkam = document.private_key("aesPkamPrivateKey", "aesPkamPublicKey", self_key)
        encryption = document.private_key("aesEncryptPrivateKey", "aesEncryptPublicKey", self_key)
        enrolled = document.has("enrollmentId")
        return cls(
            atsign=atsign,
            enrollment_id=document.text("enrollmentId") if enrolled else None,
            pkam_public=_public_text(pkam),
            encryption_public=_public_text(encryption),
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
        target = Path(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = json.dumps(self._members(), indent=2).encode("ascii")
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            target.unlink()
            raise

    def _members(self) -> dict[str, str]:
        def sealed(text: str) -> str:
            data = aes_256_ctr_pkcs7_seal(self.self_key, _ZERO_IV, text.encode("ascii"))
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


def _public_text(key: RSAPrivateKey) -> str:
    return base64_encode(rsa_public_der(key.public_key()))


class _Document:
    """The members of a key file; errors name the file and the member, never its content."""

    def __init__(self, path: Path, members: dict[str, Any]) -> None:
        self._path = path
        self._members = members

    def unreadable(self, member: str, why: str) -> KeysUnreadable:
        return KeysUnreadable(f"{self._path}: {member} {why}")

    def has(self, member: str) -> bool:
        return self._members.get(member) is not None

    def text(self, member: str) -> str:
        value = self._members.get(member)
        if not isinstance(value, str) or not value:
            raise self.unreadable(member, "is missing or is no text")
        return value

    def data(self, member: str) -> bytes:
        try:
            return base64_decode(self.text(member))
        except CryptoError as error:
            raise self.unreadable(member, "is not base64") from error

    def key(self, member: str) -> bytes:
        key = self.data(member)
        if len(key) != AES_KEY_BYTES:
            raise self.unreadable(member, f"has {len(key)} bytes instead of {AES_KEY_BYTES}")
        return key

    def private_key(self, member: str, public_member: str, self_key: bytes) -> RSAPrivateKey:
        """Return a private key, having checked that the public one beside it is its own."""
        try:
            private = load_rsa_private_key(self._opened(member, self_key))
        except CryptoError as error:
            raise self.unreadable(member, "holds no RSA key under the selfEncryptionKey") from error
        try:
            public = load_rsa_public_key(self._opened(public_member, self_key))
        except CryptoError as error:
            why = "holds no RSA key under the selfEncryptionKey"
            raise self.unreadable(public_member, why) from error
        if public.public_numbers() != private.public_key().public_numbers():
            raise self.unreadable(public_member, f"doesn't belong to {member}")
        return private

    def _opened(self, member: str, self_key: bytes) -> bytes:
        text = aes_256_ctr_pkcs7_open(self_key, _ZERO_IV, self.data(member))
        # Latin-1 knows every byte: what is no base64 is found by its decoder.
        return base64_decode(text.decode("latin-1"))

    def check_owner(self, atsign: str) -> None:
        """Newer files repeat the self key under the name of their atSign."""
        names = [name.lower() for name in self._members if name.startswith("@")]
        if names and atsign not in names:
            raise KeysMismatch(f"{self._path} holds the keys of {names[0]}, not of {atsign}")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & _OTHERS:
                raise KeysNotPrivate(
                    f"other users of this machine can read or change {path}",
                    remedy=f"Make it yours alone: chmod 600 {shlex.quote(str(path))}",
                )
            data = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise _not_found(path) from error
    except OSError as error:
        raise KeysUnreadable(
            f"{path} can't be read: {error.strerror}", remedy="Make it readable to this user."
        ) from error
    if len(data) > _MAX_FILE_BYTES:
        raise KeysUnreadable(f"{path} is too large to be a key file")
    return data


class _NotJson(Exception):
    """Some bytes are no JSON object."""


def _parse(data: bytes) -> dict[str, Any]:
    try:
        members = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        # The cause would quote the file.
        raise _NotJson from None
    if not isinstance(members, dict):
        raise _NotJson
    return members


def _unwrapped(envelope: _Document, passphrase: Optional[str]) -> dict[str, Any]:
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
        return _parse(aes_256_ctr_pkcs7_open(key, iv, content))
    except (CryptoError, _NotJson):
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
