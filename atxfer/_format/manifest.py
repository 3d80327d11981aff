"""The manifest: what a file is, signed by its owner (docs/format.md).

Rules of this module:

1. A :class:`Manifest` that exists is valid: its constructor refuses what the format doesn't allow.
2. A manifest is verified as the text it came as, not as JSON written anew: two programs need not
   agree on how to write a number.
3. Names are hostile (``peers.md`` R24): one that could leave a directory or confuse a terminal is
   refused on both sides.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, NoReturn, Optional

from atxfer._crypto.primitives import (
    AES_KEY_BYTES,
    CryptoError,
    base64_decode,
    base64_encode,
    random_bytes,
)
from atxfer.errors import ManifestInvalid
from atxfer.model import chunk_count

__all__ = [
    "COMPLETE",
    "FORMAT_VERSION",
    "MAX_CHUNKS",
    "MAX_CHUNK_SIZE",
    "MAX_MANIFEST_BYTES",
    "UPLOADING",
    "Manifest",
    "Sign",
    "Verify",
    "chunk_name",
    "is_file_id",
    "is_name",
    "manifest_name",
    "new_file_id",
    "new_file_key",
]

FORMAT_VERSION = 1
UPLOADING = "uploading"
COMPLETE = "complete"

# About 1 KB is usual; the rest is room for the location and for what later versions add.
MAX_MANIFEST_BYTES = 64 << 10
# Integers that every JSON reader keeps exactly (RFC 8259 §6).
MAX_INTEGER = 2**53 - 1
MAX_CHUNK_SIZE = 1 << 30
# Each chunk takes a random 96-bit nonce of one key, and NIST SP 800-38D §8.3 allows 2**32 of them.
# 2**24 leave room for chunks that are sealed again.
MAX_CHUNKS = 1 << 24
MAX_NAME_BYTES = 255

# 128 bits are 25 letters and three bits more, so the last letter has two zero bits.
_FILE_ID = re.compile(r"[a-z2-7]{25}[aeimquy4]", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_OWNER = re.compile(r"@[^\s@:]+")
# Controls, surrogates, line and paragraph separators: none has a place in a name.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Embeddings, overrides and isolates make `gpj.exe` look like `exe.jpg`.
_REFUSED_CHARACTERS = frozenset("/\\\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_SIGNATURE = ',"signature":"'

Sign = Callable[[bytes], bytes]
"""Returns the owner's signature of some data."""
Verify = Callable[[bytes, bytes], bool]
"""Returns whether a signature (first) is the owner's for some data (second)."""


def new_file_id() -> str:
    """Return a new id: 128 random bits in lower-case base32 without padding."""
    return base64.b32encode(random_bytes(16)).decode("ascii").rstrip("=").lower()


def new_file_key() -> bytes:
    """Return a new key for the chunks of one file: 256 random bits."""
    return random_bytes(AES_KEY_BYTES)


def is_file_id(text: str) -> bool:
    """Return whether this has the form of a file id."""
    return _FILE_ID.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Return whether a file may have this name: no path, nothing that confuses a terminal."""
    if text in ("", ".", "..") or not _REFUSED_CHARACTERS.isdisjoint(text):
        return False
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in text):
        return False
    return len(text.encode("utf-8")) <= MAX_NAME_BYTES


def chunk_name(file_id: str, index: int) -> str:
    """Return the name of a chunk's key; the underscore keeps it out of scans (facts §5)."""
    return f"_{index}.{file_id}"


def manifest_name(file_id: str) -> str:
    """Return the name of a manifest's key."""
    return f"{file_id}.files"


@dataclass(frozen=True)
class Manifest:
    """What a file is, and the key that opens its chunks.

    Attributes:
        file_id: 128 random bits in lower-case base32.
        name: The name it was uploaded under; never a path.
        size: Bytes of the whole file.
        chunk_size: Bytes of each plain chunk but the last.
        chunks: How many.
        file_key: 32 bytes.
        sha256: Of the whole file, in hex; empty while the upload is under way.
        state: :data:`UPLOADING` or :data:`COMPLETE`.
        owner: The atSign whose file it is, as ``@alice``; empty where files have no owners.
        created_at: Epoch seconds, kept to the millisecond.
        location: What else a store must know to find the chunks, as plain JSON values.
        shared_at: In a copy for a recipient: when it was made, as ``created_at``.

    Raises:
        ValueError: The format doesn't allow one of them.
    """

    file_id: str
    name: str
    size: int
    chunk_size: int
    chunks: int
    file_key: bytes = field(repr=False)
    sha256: str
    state: str
    owner: str
    created_at: float
    location: Mapping[str, Any] = field(default_factory=dict)
    shared_at: Optional[float] = None

    def __post_init__(self) -> None:
        fault = _fault(self)
        if fault is not None:
            raise ValueError(fault)
        object.__setattr__(self, "created_at", round(self.created_at, 3))
        if self.shared_at is not None:
            object.__setattr__(self, "shared_at", round(self.shared_at, 3))

    def to_text(self, sign: Sign) -> str:
        """Return the manifest as signed JSON, one line.

        Args:
            sign: Signs as the owner.

        Raises:
            ValueError: The location is too large, or is no JSON.
        """
        body = self.to_body()
        signature = base64_encode(sign(body.encode("utf-8")))
        text = f'{body[:-1]}{_SIGNATURE}{signature}"}}'
        if len(text.encode("utf-8")) > MAX_MANIFEST_BYTES:
            raise ValueError(f"a manifest has at most {MAX_MANIFEST_BYTES} bytes")
        return text

    def to_body(self) -> str:
        """Return the manifest as JSON without a signature, for what is authenticated otherwise."""
        return json.dumps(
            _members(self),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )

    @classmethod
    def from_body(cls, body: str) -> Manifest:
        """Return the manifest of a text that is known to be authentic, everything in it checked.

        Raises:
            ManifestInvalid: It is not of this format.
        """
        members = _parse(body)
        _check_version(members)
        return _built(members)

    @classmethod
    def from_text(
        cls, text: str, verify: Verify, *, expected_owner: str, expected_file_id: str
    ) -> Manifest:
        """Return the manifest of a signed text, everything in it checked.

        Args:
            text: What :meth:`to_text` made, from wherever it came.
            verify: Knows the owner's public key.
            expected_owner: Whose file it must be, as ``@alice``.
            expected_file_id: Which file it must be.

        Raises:
            ManifestInvalid: It is not this file's, not signed by this owner, or not of this format.
        """
        try:
            manifest = _read(text, verify)
        except ManifestInvalid as error:
            error.with_context(file_id=expected_file_id)
            raise
        if manifest.owner != expected_owner or manifest.file_id != expected_file_id:
            raise ManifestInvalid("the manifest is another file's", file_id=expected_file_id)
        return manifest


def _fault(manifest: Manifest) -> Optional[str]:
    """Return what the format doesn't allow, or None. Never quotes a value: it may be hostile."""
    m = manifest
    if not is_file_id(m.file_id):
        return "a file id is 26 letters of base32"
    if not is_name(m.name):
        return (
            f"a name has 1 to {MAX_NAME_BYTES} bytes of UTF-8, no path separator and no control"
            " character"
        )
    if not (0 <= m.size <= MAX_INTEGER and 1 <= m.chunk_size <= MAX_CHUNK_SIZE):
        return f"a size is from 0, a chunk size from 1 to {MAX_CHUNK_SIZE}"
    if m.chunks != chunk_count(m.size, m.chunk_size):
        return "the number of chunks doesn't agree with the sizes"
    if m.chunks > MAX_CHUNKS:
        return f"a file has at most {MAX_CHUNKS} chunks: the chunk size is too small for it"
    if len(m.file_key) != AES_KEY_BYTES:
        return f"a file key has {AES_KEY_BYTES} bytes"
    if m.state not in (UPLOADING, COMPLETE):
        return f"a state is {UPLOADING} or {COMPLETE}"
    if (_SHA256.fullmatch(m.sha256) is None) if m.state == COMPLETE else m.sha256:
        return "a complete file has a SHA-256 in lower-case hex, another none"
    if m.owner and (_OWNER.fullmatch(m.owner) is None or m.owner != m.owner.lower()):
        return "an owner is an atSign in lower case"
    if not all(0 <= at * 1000 <= MAX_INTEGER for at in (m.created_at, m.shared_at or 0)):
        return "a time is in seconds since 1970"
    return None


# --- the text

# Type of each member of the JSON; where the unit differs from the attribute's, the name says it.
_TYPES: Mapping[str, type] = {
    "chunk_size": int,
    "chunks": int,
    "created_at_ms": int,
    "file_id": str,
    "file_key": str,
    "location": dict,
    "name": str,
    "owner": str,
    "sha256": str,
    "size": int,
    "state": str,
}


def _members(manifest: Manifest) -> dict[str, Any]:
    shared_at = manifest.shared_at
    shared = {} if shared_at is None else {"shared_at_ms": round(shared_at * 1000)}
    return {
        **shared,
        "version": FORMAT_VERSION,
        "file_id": manifest.file_id,
        "name": manifest.name,
        "size": manifest.size,
        "chunk_size": manifest.chunk_size,
        "chunks": manifest.chunks,
        "file_key": base64_encode(manifest.file_key),
        "sha256": manifest.sha256,
        "state": manifest.state,
        "owner": manifest.owner,
        "created_at_ms": round(manifest.created_at * 1000),
        "location": dict(manifest.location),
    }


def _read(text: str, verify: Verify) -> Manifest:
    body, signature = _split(text)
    members = _parse(body)
    # Before the signature: a later version may be signed in another way.
    _check_version(members)
    if not verify(signature, body.encode("utf-8")):
        raise ManifestInvalid("the manifest is not signed by its owner")
    return _built(members)


def _check_version(members: Mapping[str, Any]) -> None:
    version = members.get("version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise ManifestInvalid(
            "the manifest is of a version that this program doesn't know",
            remedy="Upgrade atxfer.",
        )


def _built(members: Mapping[str, Any]) -> Manifest:
    """Return the manifest that has these members, all of them checked."""
    for member, kind in _TYPES.items():
        # `type` and not isinstance: true is no number.
        if type(members.get(member)) is not kind:
            raise ManifestInvalid(f"the manifest's {member} is missing or of another type")
    shared_at_ms = members.get("shared_at_ms")
    if shared_at_ms is not None and type(shared_at_ms) is not int:
        raise ManifestInvalid("the manifest's shared_at_ms is of another type")
    try:
        return Manifest(
            file_id=members["file_id"],
            name=members["name"],
            size=members["size"],
            chunk_size=members["chunk_size"],
            chunks=members["chunks"],
            file_key=base64_decode(members["file_key"]),
            sha256=members["sha256"],
            state=members["state"],
            owner=members["owner"],
            created_at=members["created_at_ms"] / 1000,
            location=members["location"],
            shared_at=None if shared_at_ms is None else shared_at_ms / 1000,
        )
    except (CryptoError, ValueError, OverflowError) as error:
        raise ManifestInvalid(f"the manifest is not of the format: {error}") from error


def _split(text: str) -> tuple[str, bytes]:
    """Return what was signed, and the signature, which is the last member."""
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise ManifestInvalid("the manifest is no text") from None
    if size > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(f"the manifest has more than {MAX_MANIFEST_BYTES} bytes")
    head, mark, tail = text.rpartition(_SIGNATURE)
    try:
        signature = base64_decode(tail[:-2])
    except CryptoError as error:
        raise ManifestInvalid("the manifest's signature is not base64") from error
    # Written again, because base64 has several forms of one signature, and one is enough.
    if not mark or tail != base64_encode(signature) + '"}':
        raise ManifestInvalid("the manifest carries no signature at its end")
    return head + "}", signature


def _parse(body: str) -> dict[str, Any]:
    try:
        members = json.loads(body, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # The cause would quote the text, which holds the file key.
        raise ManifestInvalid("the manifest is no JSON") from None
    if not isinstance(members, dict):
        raise ManifestInvalid("the manifest is no JSON object")
    return members


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice: readers would differ on which one counts")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")
