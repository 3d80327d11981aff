"""What a journal keeps of an upload: the URLs by which the server knows it, as JSON.

The URLs let whoever has them write to the upload where the server asks for no login; so the journal
is its owner's alone. What comes back from it is checked like anything that was stored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Callable, Optional

from atxfer.stores.base import UploadPlan

__all__ = ["Unusable", "token_for", "token_of", "urls_in", "urls_of"]

_VERSION = 1


class Unusable(ValueError):
    """A token is none, or of another upload than the one that is asked for."""


def token_for(plan: UploadPlan, urls: Sequence[Optional[str]]) -> bytes:
    """Return the token of an upload; empty while there is nothing to go on with.

    Args:
        plan: How the file is cut up.
        urls: Of the parts by their index, or of the one upload; None where there is none yet.
    """
    return _written({**_shape(plan), "urls": list(urls)}) if any(urls) else b""


def urls_of(
    token: bytes, plan: UploadPlan, count: int, is_ours: Callable[[str], bool]
) -> list[Optional[str]]:
    """Read a token that :func:`token_for` has made.

    Args:
        token: As a journal kept it.
        plan: How the file is cut up now.
        count: How many URLs there are to be.
        is_ours: Whether a URL is on the server of the store.

    Raises:
        Unusable: It doesn't fit.
    """
    values = _read(token)
    if {key: values.get(key) for key in _shape(plan)} != _shape(plan):
        raise Unusable("it is cut up in another way now")
    urls = values.get("urls")
    if not isinstance(urls, list) or len(urls) != count:
        raise Unusable("it has other parts now")
    if any(url is not None and not (isinstance(url, str) and is_ours(url)) for url in urls):
        raise Unusable("it lies on another server")
    return urls


def token_of(url: str) -> bytes:
    """Return the token of an upload that is only to be removed."""
    return _written({"urls": [url]})


def urls_in(token: bytes) -> list[str]:
    """Return all URLs that a token of either kind names.

    Raises:
        Unusable: It is none.
    """
    return [url for url in _read(token).get("urls", ()) if isinstance(url, str)]


def _shape(plan: UploadPlan) -> dict[str, int]:
    return {"length": plan.stored_bytes, "step": plan.chunk_size + plan.overhead}


def _written(values: dict[str, Any]) -> bytes:
    return json.dumps({"version": _VERSION, **values}, separators=(",", ":")).encode("ascii")


def _read(token: bytes) -> dict[str, Any]:
    try:
        values = json.loads(token)
    except ValueError as error:
        raise Unusable("it is no token of this store's") from error
    if not isinstance(values, dict) or values.get("version") != _VERSION:
        raise Unusable("it is no token of this version's")
    return values
