"""What the content of an object can be verified by, once it was read.

The CRC of all of it is worth most: it can be told from those of any pieces. A CRC of the parts'
CRCs, or an ETag of their MD5s, needs pieces that are the parts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from atxfer.errors import ChecksumMismatch
from atxfer.stores.s3.checksums import composite_crc32, composite_etag, crc32_of_whole, is_md5

__all__ = ["ASKED", "CRC", "PART_BYTES", "Piece", "Proof"]

CRC = "x-amz-checksum-crc32"

PART_BYTES = "x-amz-meta-atxfer-part"
"""Metadata that says how large the parts are, but the last."""

ASKED = {"x-amz-checksum-mode": "ENABLED"}
"""Has a HEAD's answer hold the checksum."""

_TEXT = re.compile(r"part=(\d{1,12}) crc32=([A-Za-z0-9+/=-]*)")


@dataclass(frozen=True)
class Piece:
    """What was read of an object at a time.

    Attributes:
        size: Bytes.
        crc32: Its checksum.
        md5: In hex, or empty where it was not made.
    """

    size: int
    crc32: str
    md5: str = ""


@dataclass(frozen=True)
class Proof:
    """What is known of an object's content.

    Attributes:
        part_bytes: Of each part but the last; 0 for an object of one, or if it is not known.
        crc32: Of all of it, or with ``-N`` behind it, of the CRCs of its N parts; or empty.
    """

    part_bytes: int = 0
    crc32: str = ""

    @classmethod
    def told(cls, headers: Mapping[str, str]) -> Proof:
        """Return what an answer says."""
        size = headers.get(PART_BYTES, "")
        is_size = size.isascii() and size.isdigit() and len(size) <= 12
        checksum = headers.get(CRC, "")
        if "-" in headers.get("ETag", "") and "-" not in checksum and not _is_of_all(headers):
            checksum = ""  # of an object in parts; whether of all of it, nobody says
        return cls(int(size) if is_size else 0, checksum)

    @classmethod
    def parse(cls, text: str) -> Proof:
        """Read what :meth:`__str__` wrote; nothing is known from any other text."""
        found = _TEXT.fullmatch(text)
        return cls(int(found[1]), found[2]) if found else cls()

    def __str__(self) -> str:
        return f"part={self.part_bytes} crc32={self.crc32}"

    def check(self, pieces: Sequence[Piece], etag: str, *, etags_are_md5s: bool) -> bool:
        """Compare with what was read, and return whether there was anything to compare.

        Args:
            pieces: All of the object, in order.
            etag: Of the object.
            etags_are_md5s: Whether its server makes the ETag of MD5s, as Amazon's does.

        Raises:
            ChecksumMismatch: It is not what was stored.
        """
        expected, found = self._compared(pieces, etag, etags_are_md5s)
        if expected is None or found is None:
            return False
        if expected != found:
            raise ChecksumMismatch(
                f"what was read has the checksum {found}, and the object {expected}"
            )
        return True

    def _compared(
        self, pieces: Sequence[Piece], etag: str, etags_are_md5s: bool
    ) -> tuple[Optional[str], Optional[str]]:
        """Return what is known, and what it should be equal to; None where either is missing."""
        checksums = [piece.crc32 for piece in pieces]
        are_parts = all(piece.size == self.part_bytes for piece in pieces[:-1])
        if self.crc32 and "-" not in self.crc32:
            return self.crc32, crc32_of_whole(checksums, [piece.size for piece in pieces])
        if len(pieces) > 1 and are_parts and self.crc32.endswith(f"-{len(pieces)}"):
            return self.crc32, composite_crc32(checksums)
        if not etags_are_md5s:
            return None, None
        if len(pieces) == 1 and is_md5(etag):
            return etag, pieces[0].md5 or None
        if len(pieces) > 1 and are_parts and etag.endswith(f"-{len(pieces)}"):
            return etag, composite_etag([piece.md5 for piece in pieces])
        return None, None


def _is_of_all(headers: Mapping[str, str]) -> bool:
    return headers.get("x-amz-checksum-type", "") == "FULL_OBJECT"
