"""The format of the AtTalk application: names, metadata, announcement (docs/attalk.md). Pure.

A file is a record ``file_meta_<id>`` of JSON and records ``file_chunk_<id>_<i>`` of at most 8 KiB,
announced by a chat message. What this module writes is, byte for byte, what the application's
``jsonEncode`` writes of the same values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Optional

from atxfer._format.manifest import MAX_CHUNKS, is_name
from atxfer.errors import ManifestInvalid
from atxfer.model import chunk_count

__all__ = [
    "ASK_AGAIN",
    "CHUNK_SIZE",
    "MAX_SIZE",
    "MESSAGE",
    "NAMESPACE",
    "OVER",
    "TTL",
    "Description",
    "announcement",
    "attachment_type",
    "chunk_name",
    "is_attalk_id",
    "metadata_name",
    "new_id",
]

# The limits of the application, file_transfer_service.dart (docs/attalk.md, "Limits").
CHUNK_SIZE = 8192
MAX_SIZE = 5 << 20
TTL = 86_400.0

# What a reader is told who comes too late.
OVER = "in this format a file lives a day at most"
ASK_AGAIN = "Have it uploaded again; in the native format a file can live longer."

NAMESPACE = "attalk"
# The name of the key under which all its chat messages travel.
MESSAGE = "message"

# Milliseconds since 1970, and a number below this (Dart's nextInt).
_DRAWS = 10_000
_ID = re.compile(r"[1-9][0-9]{0,15}_(?:0|[1-9][0-9]{0,3})", re.ASCII)

# Integers that every JSON reader keeps exactly (RFC 8259 §6).
_MAX_INTEGER = 2**53 - 1
# The application writes some 200 bytes.
_MAX_JSON = 64 << 10


def new_id(now: float, rng: Random) -> str:
    """Return a new file id.

    Args:
        now: Epoch seconds.
        rng: Tells ids of one millisecond apart; they are no secret.
    """
    return f"{round(now * 1000)}_{rng.randrange(_DRAWS)}"


def is_attalk_id(text: str) -> bool:
    """Return whether this has the form of an id of this format; no native one has."""
    return _ID.fullmatch(text) is not None


def metadata_name(file_id: str) -> str:
    """Return the name of the key of a file's metadata."""
    return f"file_meta_{file_id}"


def chunk_name(file_id: str, index: int) -> str:
    """Return the name of a chunk's key."""
    return f"file_chunk_{file_id}_{index}"


# --- metadata


@dataclass(frozen=True)
class Description:
    """What the metadata says of a file.

    Attributes:
        name: The name it was uploaded under; never a path.
        size: Bytes.
        chunks: How many records its content has.
        mime_type: What kind of content it is, or None if that is not known.
        uploaded_at: Epoch seconds, kept to the millisecond; None where the writer left it out.

    Raises:
        ValueError: No file is like this.
    """

    name: str
    size: int
    chunks: int
    mime_type: Optional[str]
    uploaded_at: Optional[float]

    def __post_init__(self) -> None:
        fault = _fault(self)
        if fault is not None:
            raise ValueError(fault)
        if self.uploaded_at is not None:
            object.__setattr__(self, "uploaded_at", round(self.uploaded_at, 3))

    @classmethod
    def of(cls, name: str, size: int, mime_type: Optional[str], now: float) -> Description:
        """Return the description of a file that is to be uploaded."""
        return cls(name, size, chunk_count(size, CHUNK_SIZE), mime_type, now)

    def to_text(self) -> str:
        """Return it as JSON, its members in the application's order."""
        uploaded_at = self.uploaded_at
        return _dart_json(
            {
                "fileName": self.name,
                "fileSize": self.size,
                "totalChunks": self.chunks,
                "mimeType": self.mime_type,
                "uploadTimestamp": None if uploaded_at is None else round(uploaded_at * 1000),
            }
        )

    @classmethod
    def from_text(cls, text: str) -> Description:
        """Read metadata, from whatever writer.

        Raises:
            ManifestInvalid: It is none, or no file is like this.
        """
        members = _members(text)
        mime_type, uploaded_at = members.get("mimeType"), members.get("uploadTimestamp")
        if not isinstance(mime_type, (str, type(None))):
            raise ManifestInvalid("the metadata's mimeType is of another type")
        if type(uploaded_at) not in (int, type(None)):
            raise ManifestInvalid("the metadata's uploadTimestamp is of another type")
        for member, kind in (("fileName", str), ("fileSize", int), ("totalChunks", int)):
            # `type` and not isinstance: true is no number.
            if type(members.get(member)) is not kind:
                raise ManifestInvalid(f"the metadata's {member} is missing or of another type")
        try:
            return cls(
                name=members["fileName"],
                size=members["fileSize"],
                chunks=members["totalChunks"],
                mime_type=mime_type,
                uploaded_at=None if uploaded_at is None else uploaded_at / 1000,
            )
        except (ValueError, OverflowError) as error:
            raise ManifestInvalid(f"the metadata is not of the format: {error}") from error


def _fault(file: Description) -> Optional[str]:
    """Return what no file of this format has, or None if all is well."""
    if not is_name(file.name):
        return "a name has 1 to 255 bytes, no path separator and no control character"
    if not 0 <= file.size <= _MAX_INTEGER:
        return "a size is from 0"
    # Any length of chunk is read, but each has a byte at least.
    if not min(file.size, 1) <= file.chunks <= min(file.size, MAX_CHUNKS):
        return "the number of chunks doesn't agree with the size"
    if file.uploaded_at is not None and not 0 <= file.uploaded_at * 1000 <= _MAX_INTEGER:
        return "a time is in milliseconds since 1970"
    return None


def _members(text: str) -> dict[str, Any]:
    if len(text) > _MAX_JSON:
        raise ManifestInvalid(f"the metadata has more than {_MAX_JSON} characters")
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        # The cause would quote the text.
        raise ManifestInvalid("the metadata is no JSON") from None
    if not isinstance(members, dict):
        raise ManifestInvalid("the metadata is no JSON object")
    return members


def _dart_json(members: dict[str, Any]) -> str:
    """Return JSON as Dart's ``jsonEncode`` writes it: no spaces, only what must be is escaped."""
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


# --- announcement


def attachment_type(mime_type: Optional[str]) -> str:
    """Return which kind of attachment the application takes a file for."""
    kind, _, _ = (mime_type or "").partition("/")
    if kind in ("image", "audio", "video"):
        return kind
    marks = ("pdf", "document", "msword", "sheet")
    if kind == "text" or any(mark in (mime_type or "") for mark in marks):
        return "document"
    return "other"


def announcement(
    file_id: str,
    file: Description,
    *,
    sender: str,
    recipients: Sequence[str],
    caption: Optional[str] = None,
) -> str:
    """Return the chat message that tells of a file: the same text for all its recipients.

    Args:
        file_id: The file.
        file: What it is.
        sender: Whose file it is, as ``@alice``.
        recipients: The others of the chat, one at least.
        caption: What its sender says to it, or None.
    """
    members = [sender, *recipients]
    return _dart_json(
        {
            "type": "file",
            "fileId": file_id,
            "fileName": file.name,
            "fileSize": file.size,
            "mimeType": file.mime_type,
            "attachmentType": attachment_type(file.mime_type),
            "caption": caption if caption is not None else "",
            "msg": caption if caption is not None else f"Sent a file: {file.name}",
            "isGroup": len(members) > 2,
            "group": members,
            # Dart compares UTF-16 units, which matters where atSigns hold emojis.
            "instanceId": ",".join(sorted(members, key=lambda name: name.encode("utf-16-be"))),
            "from": sender,
        }
    )
