"""What names an HTTP store, and what goes with requests to it. Light: it loads no HTTP."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Callable, Optional, Union

__all__ = ["Auth", "Cert", "HttpOptions", "is_address"]

StrPath = Union[str, "os.PathLike[str]"]
Cert = Union[StrPath, tuple[StrPath, StrPath]]
Auth = Union[tuple[str, str], Callable[[], str]]
"""Name and password, as with requests; or what returns the value of ``Authorization``.

A callable is asked before each request, and once more when a server refuses what it said; so it
may return ``"Bearer " + token`` of a token that it renews.
"""

_SCHEMES = ("http", "https", "s3")


@dataclass(frozen=True)
class HttpOptions:
    """What goes with requests to an HTTP store; named as requests does it.

    Attributes:
        ca_file: Certificate authorities to trust instead of the system's.
        cert: A client certificate: a PEM file with its key, or two files.
        headers: Sent with each request to a tus server.
        auth: Name and password for a tus server, or what returns the value of ``Authorization``.
        endpoint_url: Of an S3 server other than Amazon's.
    """

    ca_file: Optional[StrPath] = None
    cert: Optional[Cert] = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: Optional[Auth] = field(default=None, repr=False)
    endpoint_url: Optional[str] = None


def is_address(text: str) -> bool:
    """Return whether this is meant to be the address of an HTTP store, not an atSign."""
    scheme, mark, _ = text.partition("://")
    return bool(mark) and scheme.lower() in _SCHEMES
