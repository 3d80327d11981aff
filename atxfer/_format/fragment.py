"""A key behind the ``#`` of an address, which no server is ever told (RFC 3986 §3.5)."""

from __future__ import annotations

import base64
import binascii
import re

__all__ = ["key_text", "read_key"]

_KEY = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def key_text(key: bytes) -> str:
    """Return a key as it stands behind the ``#`` of an address: base64url without padding."""
    return base64.urlsafe_b64encode(key).decode("ascii").rstrip("=")


def read_key(text: str) -> bytes:
    """Return the key of such a text.

    Raises:
        ValueError: It is none. The error does not quote it.
    """
    if _KEY.fullmatch(text) is None:
        raise ValueError("the address is cut short: behind # it has a key of 43 characters")
    try:
        return base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except binascii.Error:  # pragma: no cover  # the pattern allows nothing else
        raise ValueError("the key in the address is not base64") from None
