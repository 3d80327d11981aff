"""Who we are to an HTTP server: extra headers, a name and password, or a token that may change."""

from __future__ import annotations

import base64
import urllib.parse
from collections.abc import Mapping
from typing import Optional

from atxfer.stores.options import Auth

__all__ = ["Auth", "Credentials", "without_login"]


class Credentials:
    """What goes with each request to one server, and to no other.

    Args:
        headers: Sent as they are.
        auth: Takes the place of an ``Authorization`` among them.
    """

    def __init__(
        self, headers: Optional[Mapping[str, str]] = None, auth: Optional[Auth] = None
    ) -> None:
        self._headers = dict(headers or {})
        self._auth = auth

    def __bool__(self) -> bool:
        return bool(self._headers) or self._auth is not None

    def headers(self) -> dict[str, str]:
        """Return the headers for one request."""
        if self._auth is None:
            return dict(self._headers)
        kept = {k: v for k, v in self._headers.items() if k.lower() != "authorization"}
        return {**kept, "Authorization": _authorization(self._auth)}

    def __repr__(self) -> str:
        names = {*self._headers, *(("Authorization",) if self._auth is not None else ())}
        return f"<Credentials {', '.join(sorted(names)) or 'none'}>"


def _authorization(auth: Auth) -> str:
    if not isinstance(auth, tuple):
        return auth()
    pair = ":".join(auth).encode("utf-8")
    return f"Basic {base64.b64encode(pair).decode('ascii')}"


def without_login(url: str) -> tuple[str, Optional[tuple[str, str]]]:
    """Split ``https://NAME:PASSWORD@HOST/...`` into the address, which may be shown, and the login.

    Raises:
        ValueError: It is no URL.
    """
    parts = urllib.parse.urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    name, _, password = login.partition(":")
    bare = urllib.parse.urlunsplit(parts._replace(netloc=host))
    return bare, (urllib.parse.unquote(name), urllib.parse.unquote(password))
