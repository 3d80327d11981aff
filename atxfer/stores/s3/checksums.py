"""Checksums as S3 writes them, and what can be told from an ETag.

An ETag is the MD5 of an object that came in one request, and of a part; that of an object in N
parts is the MD5 of the parts' MD5s with ``-N`` behind it. None of that holds where the server
encrypts with keys of a key service or of the customer (S3 API reference, "Object").
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Optional

from atxfer._buffers import Buffer

__all__ = [
    "composite_crc32",
    "composite_etag",
    "crc32",
    "crc32_of_whole",
    "has_md5_etags",
    "is_md5",
    "md5_hex",
    "plain_etag",
]

_MD5 = re.compile(r"[0-9a-f]{32}")


def crc32(data: Buffer) -> str:
    """Return the value of ``x-amz-checksum-crc32``."""
    return _base64(zlib.crc32(data).to_bytes(4, "big"))


def md5_hex(data: Buffer) -> str:
    """Return what an ETag would be."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def crc32_of_whole(checksums: Sequence[str], sizes: Sequence[int]) -> str:
    """Return the CRC of what lies one behind the other, from the CRC and size of each.

    Appending to data multiplies its CRC, a polynomial over GF(2), by a power of x (as zlib's
    ``crc32_combine`` does): the same one for each of the parts that have the same size.
    """
    whole = 0
    for checksum, size in zip(checksums, sizes):
        whole = _times(_shift(size), whole) ^ int.from_bytes(base64.b64decode(checksum), "big")
    return _base64(whole.to_bytes(4, "big"))


@functools.lru_cache(maxsize=16)
def _shift(size: int) -> tuple[int, ...]:
    """Return what so many bytes of zero make of each bit of a CRC, found by halving."""
    if size == 0:
        return tuple(1 << bit for bit in range(32))
    if size == 1:
        # zlib's CRC inverts first and last; the difference of two does not.
        none = zlib.crc32(b"\0", 0)
        return tuple(zlib.crc32(b"\0", 1 << bit) ^ none for bit in range(32))
    half = _shift(size // 2)
    doubled = tuple(_times(half, column) for column in half)
    return tuple(_times(_shift(1), column) for column in doubled) if size % 2 else doubled


def _times(matrix: Sequence[int], vector: int) -> int:
    product = 0
    for bit in range(32):
        if vector >> bit & 1:
            product ^= matrix[bit]
    return product


def composite_crc32(checksums: Sequence[str]) -> str:
    """Return the checksum of an object whose parts have these: a CRC of CRCs, and their number."""
    whole = b"".join(base64.b64decode(checksum) for checksum in checksums)
    return f"{crc32(whole)}-{len(checksums)}"


def composite_etag(etags: Sequence[str]) -> Optional[str]:
    """Return the ETag of an object whose parts have these; None if they are no MD5s."""
    if not all(map(is_md5, etags)):
        return None
    return f"{md5_hex(b''.join(map(bytes.fromhex, etags)))}-{len(etags)}"


def plain_etag(text: str) -> str:
    """Return an ETag without its quotes, as it can be compared."""
    return text.strip().strip('"')


def is_md5(etag: str) -> bool:
    """Whether it looks like an MD5."""
    return _MD5.fullmatch(etag) is not None


def has_md5_etags(headers: Mapping[str, str]) -> bool:
    """Whether the server says nothing of an encryption that makes ETags something else."""
    if headers.get("x-amz-server-side-encryption-customer-algorithm"):
        return False
    return not headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
