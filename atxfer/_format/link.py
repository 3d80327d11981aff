"""Links: one line that leads anybody to a file, without an atSign (docs/format.md, "Links").

::

    atxfer://alice/ucq2fi5euwtkpkfjvkv2zlnov4#QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8
             owner file id                    link key, base64url without padding

The link key opens the link record, a copy of the manifest under a public key of the owner's; the
file key is in there. So a link that is revoked opens nothing any more, and another link of the same
file has another key.
"""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass, field

from atxfer._crypto.primitives import (
    AES_KEY_BYTES,
    GCM_NONCE,
    Aes256Gcm,
    CryptoError,
    base64_decode,
    base64_encode,
    random_bytes,
)
from atxfer._format.fragment import key_text, read_key
from atxfer._format.manifest import FORMAT_VERSION, is_file_id
from atxfer.errors import ManifestInvalid

__all__ = ["SCHEME", "Link", "is_link", "link_name", "link_note_name"]

SCHEME = "atxfer"


def link_name(file_id: str) -> str:
    """Return the name of a link record's key; the underscore keeps it out of scans (facts §5)."""
    return f"_link.{file_id}"


def link_note_name(file_id: str) -> str:
    """Return the name of the record in which the owner keeps a link's key."""
    return f"{file_id}.links"


def is_link(text: str) -> bool:
    """Return whether this is meant to be a link."""
    return text.lower().startswith(f"{SCHEME}:")


@dataclass(frozen=True)
class Link:
    """What leads to a file; ``str`` gives the link.

    Attributes:
        owner: The atSign on whose server the file lies, as ``@alice``.
        file_id: The file.
        key: 32 bytes that open the link record.
    """

    owner: str
    file_id: str
    key: bytes = field(repr=False)

    @classmethod
    def new(cls, owner: str, file_id: str) -> Link:
        """Return a link with a new key."""
        return cls(owner, file_id, random_bytes(AES_KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> Link:
        """Read a link.

        Raises:
            ValueError: It is none. The error does not quote it: it may hold a key.
        """
        parts = urllib.parse.urlsplit(text.strip())
        owner = urllib.parse.unquote(parts.netloc).lower()
        owner = owner if owner.startswith("@") else f"@{owner}"
        file_id = parts.path.strip("/")
        if parts.scheme != SCHEME or len(owner) < 2 or parts.query or not is_file_id(file_id):
            raise ValueError(f"a link reads {SCHEME}://ATSIGN/FILE-ID#KEY")
        return cls(owner, file_id, read_key(parts.fragment))

    def seal(self, manifest: str) -> str:
        """Return the value of the link record: the signed manifest under the link key."""
        nonce = random_bytes(GCM_NONCE)
        cipher = Aes256Gcm(self.key)
        return base64_encode(nonce + cipher.seal(nonce, manifest.encode("utf-8"), self._place()))

    def open(self, value: str) -> str:
        """Return the signed manifest of a link record.

        Raises:
            ManifestInvalid: It was not sealed under this link's key, for this file.
        """
        try:
            data = base64_decode(value)
            plain = Aes256Gcm(self.key).open(data[:GCM_NONCE], data[GCM_NONCE:], self._place())
        except CryptoError as error:
            raise ManifestInvalid(
                "the link doesn't open the file's link record",
                file_id=self.file_id,
                remedy="Copy the whole link, or ask for a new one: this one may be revoked.",
            ) from error
        return plain.decode("utf-8", "replace")

    def _place(self) -> bytes:
        """Return what is authenticated beside the content."""
        return f"atxfer-link:{FORMAT_VERSION}:{self.owner}:{self.file_id}".encode()

    def __str__(self) -> str:
        owner = urllib.parse.quote(self.owner[1:])
        return f"{SCHEME}://{owner}/{self.file_id}#{key_text(self.key)}"
