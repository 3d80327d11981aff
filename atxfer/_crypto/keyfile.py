"""Files that hold keys: JSON, private to their owner, there as a whole or not at all.

Rules of this file:

1. A key may be the only one there is. A file that is there is never overwritten by a new one.
2. A file has its name only when all of it is on the disk, so that neither a crash nor a loss of
   power leaves half of it.
3. Errors name the file and the member, and never what stands there.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atxfer._crypto.primitives import (
    AES_BLOCK,
    AES_KEY_BYTES,
    CryptoError,
    RSAPrivateKey,
    aes_256_ctr_pkcs7_open,
    base64_decode,
    load_rsa_private_key,
    load_rsa_public_key,
)
from atxfer._disk import sync_folder
from atxfer.errors import KeysMismatch, KeysNotFound, KeysNotPrivate, KeysUnreadable

__all__ = ["ZERO_IV", "Document", "NotJson", "members_of", "publish", "write_document"]

ZERO_IV = bytes(AES_BLOCK)
# A key file has about 6 KB; what is a hundred times larger is something else.
_MAX_FILE_BYTES = 1 << 20
_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH


class NotJson(Exception):
    """Some bytes are no JSON object."""


class Document:
    """The members of a key file.

    Args:
        path: Where they came from, for errors.
        members: The members.
    """

    def __init__(self, path: Path, members: Mapping[str, Any]) -> None:
        self._path = path
        self._members = members

    @classmethod
    def read(cls, path: Path) -> Document:
        """Read a file.

        Raises:
            KeysNotFound: There is none.
            KeysNotPrivate: Other users of the machine can read or change it.
            KeysUnreadable: It can't be read, or is no JSON object.
        """
        try:
            return cls(path, members_of(_content(path)))
        except NotJson as error:
            raise KeysUnreadable(f"{path} is not JSON") from error

    def unreadable(self, member: str, why: str) -> KeysUnreadable:
        """Return the error for a member."""
        return KeysUnreadable(f"{self._path}: {member} {why}")

    def __contains__(self, member: object) -> bool:
        """Whether there is such a member, whatever it holds."""
        return member in self._members

    def has(self, member: str) -> bool:
        """Whether such a member holds something."""
        return self._members.get(member) is not None

    def text(self, member: str) -> str:
        """Return a text.

        Raises:
            KeysUnreadable: It is missing, or none; the same for the other kinds.
        """
        value = self._members.get(member)
        if not isinstance(value, str) or not value:
            raise self.unreadable(member, "is missing or is no text")
        return value

    def texts(self, member: str) -> dict[str, str]:
        """Return texts by their names."""
        value = self._members.get(member)
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise self.unreadable(member, "is missing or holds no texts")
        return value

    def data(self, member: str) -> bytes:
        """Return what stands there in base64."""
        try:
            return base64_decode(self.text(member))
        except CryptoError as error:
            raise self.unreadable(member, "is not base64") from error

    def key(self, member: str) -> bytes:
        """Return an AES-256 key."""
        key = self.data(member)
        if len(key) != AES_KEY_BYTES:
            raise self.unreadable(member, f"has {len(key)} bytes instead of {AES_KEY_BYTES}")
        return key

    def open_private_key(self, member: str) -> RSAPrivateKey:
        """Return a private key that lies there in the clear."""
        try:
            return load_rsa_private_key(self.data(member))
        except CryptoError as error:
            raise self.unreadable(member, "holds no RSA key") from error

    def private_key(self, member: str, public_member: str, self_key: bytes) -> RSAPrivateKey:
        """Return a sealed private key, having checked that the public one beside it is its own."""
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
        text = aes_256_ctr_pkcs7_open(self_key, ZERO_IV, self.data(member))
        # Latin-1 knows every byte: what is no base64 is found by its decoder.
        return base64_decode(text.decode("latin-1"))

    def check_owner(self, atsign: str) -> None:
        """Newer files repeat the self key under the name of their atSign."""
        names = [name.lower() for name in self._members if name.startswith("@")]
        if names and atsign not in names:
            raise KeysMismatch(f"{self._path} holds the keys of {names[0]}, not of {atsign}")


def members_of(data: bytes) -> dict[str, Any]:
    """Return the members of a JSON object.

    Raises:
        NotJson: It is none.
    """
    try:
        members = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        # The cause would quote the file.
        raise NotJson from None
    if not isinstance(members, dict):
        raise NotJson
    return members


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
        raise KeysNotFound(f"there is no key file {path}") from error
    except OSError as error:
        raise KeysUnreadable(
            f"{path} can't be read: {error.strerror}", remedy="Make it readable to this user."
        ) from error
    if len(data) > _MAX_FILE_BYTES:
        raise KeysUnreadable(f"{path} is too large to be a key file")
    return data


# --- writing


def write_document(path: Path, members: Mapping[str, Any], *, replace: bool = False) -> None:
    """Write a file that its owner alone can read; make its folder if need be.

    Args:
        path: Where it is to lie.
        members: What is to stand in it.
        replace: Whether it takes the place of one that is there.

    Raises:
        FileExistsError: There is one already.
        OSError: It can't be written; nothing is left behind.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made with mode 0600, whatever the umask.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(members, indent=2).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
            sync_folder(path.parent)
        else:
            publish(draft, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        raise


def publish(draft: Path, path: Path) -> None:
    """Give a file its name, if no other has it.

    Raises:
        FileExistsError: One has; the draft stays.
        OSError: The folder can't be written.
    """
    try:
        os.link(draft, path)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError:
        # Some file systems know no second name; there two writers at once are not told apart.
        if os.path.lexists(path):
            raise _taken(path) from None
        draft.rename(path)
    else:
        draft.unlink()
    sync_folder(path.parent)


def _taken(path: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "there is a key file already", str(path))
