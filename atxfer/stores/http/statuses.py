"""What a status code means that nobody expected: one table for all HTTP stores (peers.md R8).

The table names causes; whether a request is tried again is decided elsewhere, by the cause.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Optional

from atxfer.errors import (
    LoginRefused,
    NotAuthorized,
    NotFound,
    Overloaded,
    ProtocolViolation,
    ProxyRefused,
    RequestRejected,
    RequestTimeout,
    RequestTooLarge,
    ServerFault,
    StorageFull,
    Throttled,
    TransferError,
)

__all__ = ["error_for_status", "retry_after"]

_CREDENTIALS = "Check the credentials for this server, and what they may do there."
_REDIRECT = "Name the address that it leads to; for safety, atxfer follows no redirects."

# The cause, and a remedy where that of the class is about atServers.
_CAUSES: dict[int, tuple[type[TransferError], Optional[str]]] = {
    401: (LoginRefused, _CREDENTIALS),
    403: (NotAuthorized, _CREDENTIALS),
    404: (NotFound, None),
    407: (ProxyRefused, None),
    408: (RequestTimeout, None),
    410: (NotFound, None),
    413: (RequestTooLarge, None),
    425: (ServerFault, None),
    429: (Throttled, None),
    # What a server doesn't know today it won't know at the next attempt either.
    501: (RequestRejected, "The server doesn't offer what this needs."),
    503: (Overloaded, None),
    505: (RequestRejected, "The server doesn't offer what this needs."),
    507: (StorageFull, None),
}


def error_for_status(status: int, headers: Mapping[str, str], server: str) -> TransferError:
    """Return the error for an answer that nobody expected.

    Its texts name the server and the status, and nothing that the server wrote.

    Args:
        status: The status code.
        headers: Those of the answer, by any case if the mapping says so.
        server: ``host:port``.
    """
    message = f"{server} answered {status}{_phrase(status)}"
    kind, remedy = _CAUSES.get(status) or _family(status)
    return kind(message, remedy=remedy, retry_after=retry_after(headers))


def _family(status: int) -> tuple[type[TransferError], Optional[str]]:
    if 300 <= status < 400:
        return RequestRejected, _REDIRECT
    if 400 <= status < 500:
        return RequestRejected, "The server may be another one than the address promises."
    if 500 <= status < 600:
        return ServerFault, None
    return ProtocolViolation, "Check that the address is that of the store."


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""


def retry_after(headers: Mapping[str, str]) -> Optional[float]:
    """Return how many seconds the server asks us to wait; None if it doesn't, or not sensibly.

    It says so in seconds or as a date (RFC 9110 §10.2.3). A date is compared with the server's own,
    since our clock may be wrong; only without one, with ours.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    until = _timestamp(text)
    if until is None:
        return None
    now = _timestamp(headers.get("Date", ""))
    seconds = until - (time.time() if now is None else now)
    return seconds if seconds > 0 else None


def _timestamp(text: str) -> Optional[float]:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
