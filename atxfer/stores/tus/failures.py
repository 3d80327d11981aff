"""What an answer of a tus server means that is not the one hoped for (peers.md R8, R24).

What is the same for all HTTP servers is said by :mod:`atxfer.stores.http.statuses`.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Callable

from atxfer.errors import (
    ChunkCorrupt,
    FileExpired,
    FileNotFound,
    FileTooLarge,
    NotFound,
    NotSupported,
    RequestRejected,
    RequestTooLarge,
    ServerFault,
    TransferError,
)
from atxfer.stores.http import Response, error_for_status
from atxfer.stores.http.statuses import retry_after
from atxfer.stores.tus.protocol import VERSION, shown

__all__ = ["AGAIN", "KNOWN", "REDIRECTS", "failure", "moved"]

REDIRECTS = (301, 302, 303, 307, 308)

AGAIN = "Upload the file again."


def failure(answer: Response, server: str, method: str, sent: int) -> TransferError:
    """Return the error for an answer.

    Args:
        answer: Its status is none that was hoped for.
        server: ``host:port``.
        method: What was asked.
        sent: Bytes of the request's body.
    """
    meaning = _MEANINGS.get(answer.status)
    if meaning is None:
        return error_for_status(answer.status, answer.headers, server)
    return meaning(answer, server, method, sent)


def moved(headers: Mapping[str, str], server: str, url: str) -> TransferError:
    """Return the error for a redirect, which is never followed."""
    where = shown(urllib.parse.urljoin(url, headers.get("Location", "")))
    return RequestRejected(
        f"{server} redirects to {where}",
        remedy="Nothing was sent there, because atxfer follows no redirects. If it is the right"
        " address, name that one.",
    )


def _missing(answer: Response, server: str, method: str, sent: int) -> TransferError:
    if method == "POST":
        return NotFound(
            f"{server} takes no uploads at this address, or has lost a part of this one",
            remedy="Check the address; it is the URL that uploads are created at.",
        )
    return FileNotFound(f"{server} has no such upload, or not any more", remedy=AGAIN)


def _gone(answer: Response, server: str, method: str, sent: int) -> TransferError:
    return FileExpired(f"{server} does not keep the upload any more", remedy=AGAIN)


def _busy(answer: Response, server: str, method: str, sent: int) -> TransferError:
    # 423, and 409 where no offset was sent: the other request may be an earlier one of ours, that
    # the server has not given up yet. The upload stays as it is.
    return ServerFault(
        f"{server} is at another request for the same upload",
        retry_after=retry_after(answer.headers),
    )


def _other_version(answer: Response, server: str, method: str, sent: int) -> TransferError:
    return NotSupported(f"{server} does not speak tus {VERSION}", remedy="Use a server of tus 1.0.")


def _too_large(answer: Response, server: str, method: str, sent: int) -> TransferError:
    if not sent:
        return FileTooLarge(
            f"{server} takes no file of this size",
            remedy="Split the file, or raise the limit of the server.",
        )
    return RequestTooLarge(
        f"{server} takes no request of {sent:,} bytes",
        remedy="Lower chunk_size; a proxy in front of the server may take less at a time.",
    )


def _altered(answer: Response, server: str, method: str, sent: int) -> TransferError:
    return ChunkCorrupt(
        f"what came to {server} is not what was sent",
        remedy="Something on the way alters it; use https:// where the server has it.",
    )


def _lacking(answer: Response, server: str, method: str, sent: int) -> TransferError:
    return NotSupported(f"{server} has not what this needs")


_MEANINGS: dict[int, Callable[[Response, str, str, int], TransferError]] = {
    404: _missing,
    409: _busy,
    410: _gone,
    412: _other_version,
    413: _too_large,
    423: _busy,
    460: _altered,
    501: _lacking,
}

KNOWN = tuple(_MEANINGS)
"""The statuses that mean something particular here."""
