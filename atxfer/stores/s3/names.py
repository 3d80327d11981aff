"""Addresses, keys and URLs: where an object lies, and how that is written.

``s3://bucket/prefix`` is written as boto3's users write it: nothing in it is percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional
from urllib.parse import quote, urlsplit

__all__ = ["Endpoint", "Place", "encoded"]

_SCHEME = "s3://"

# Amazon's rules for names, and what it allowed before them (a bucket outlives the rules).
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
# Names that can be part of a host's, and are covered by a certificate for *.s3.region.
_HOST_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")

# Not encoded in SigV4's canonical form (Amazon S3 API reference, "Signature calculations").
_UNRESERVED = "-._~"


@dataclass(frozen=True)
class Place:
    """A bucket and the part of it that a store keeps to.

    Attributes:
        bucket: Its name.
        prefix: What keys begin with, before a slash; empty for all of the bucket.
    """

    bucket: str
    prefix: str = ""

    @classmethod
    def parse(cls, address: str) -> Place:
        """Read ``s3://bucket`` or ``s3://bucket/prefix``.

        Raises:
            ValueError: It is none.
        """
        if not address.startswith(_SCHEME):
            raise ValueError(f"an S3 address begins with s3://, not as {address!r}")
        bucket, _, prefix = address[len(_SCHEME) :].partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise ValueError(f"{address!r} names no bucket: write s3://bucket/prefix")
        prefix = prefix.strip("/")
        if prefix:
            _checked(prefix)
        return cls(bucket, prefix)

    @property
    def start(self) -> str:
        """What all keys of this place begin with."""
        return f"{self.prefix}/" if self.prefix else ""

    def key(self, name: str) -> str:
        """Return the key of an object with this name.

        Raises:
            ValueError: No object can be called that.
        """
        return _checked(self.start + name)

    def key_of(self, address: str) -> str:
        """Return the key that an address names.

        Raises:
            ValueError: It names nothing in this place.
        """
        key = address[len(f"{_SCHEME}{self.bucket}/") :]
        if self.address(key) != address or not key.startswith(self.start) or key == self.start:
            raise ValueError(f"{address!r} is no address below {self}")
        return _checked(key)

    def address(self, key: str) -> str:
        """Return the address of an object."""
        return f"{_SCHEME}{self.bucket}/{key}"

    def __str__(self) -> str:
        return self.address(self.prefix).rstrip("/")


def _checked(key: str) -> str:
    """Return a key that every client on the way leaves as it is.

    HTTP clients and proxies resolve ``.`` and ``..``, and fold an empty first part.
    """
    if key.startswith("/") or {".", ".."} & set(key.split("/")):
        raise ValueError(f"{key!r} can't be a key: it begins with / or has a part . or ..")
    try:
        key.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{key!r} can't be a key: it is no valid text") from error
    return key


@dataclass(frozen=True)
class Endpoint:
    """How the URLs of a server are made.

    Attributes:
        url: Of the server; None for Amazon's.
        style: ``path`` (``host/bucket``), ``virtual`` (``bucket.host``), or ``auto``: virtual at
            Amazon where the name allows it, and path elsewhere.
        fips: Whether Amazon's endpoints for FIPS are used.
        dualstack: Whether Amazon's endpoints with IPv6 are used.
    """

    url: Optional[str] = None
    style: str = "auto"
    fips: bool = False
    dualstack: bool = False

    def __post_init__(self) -> None:
        if self.url is not None:
            _check_endpoint(self.url)

    def of(self, bucket: str, key: str, region: str, query: Mapping[str, Optional[str]]) -> str:
        """Return the URL of an object, or of the bucket if the key is empty."""
        scheme, _, rest = (self.url or f"https://{self._amazon(region)}").partition("://")
        host, slash, path = rest.rstrip("/").partition("/")
        if self._is_virtual(bucket):
            root = f"{scheme}://{bucket}.{host}{slash}{path}/"
        else:
            root = f"{scheme}://{host}{slash}{path}/{bucket}" + ("/" if key else "")
        text = encoded(query)
        return root + quote(key, safe="/" + _UNRESERVED) + (f"?{text}" if text else "")

    def _is_virtual(self, bucket: str) -> bool:
        if not _HOST_LABEL.fullmatch(bucket) or self.style == "path":
            return False
        return self.url is None or self.style == "virtual"

    def _amazon(self, region: str) -> str:
        service = "s3-fips" if self.fips else "s3"
        stack = ".dualstack" if self.dualstack else ""
        china = ".cn" if region.startswith("cn-") else ""
        return f"{service}{stack}.{region}.amazonaws.com{china}"


def _check_endpoint(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"endpoint_url must be http://host or https://host, not {url!r}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("endpoint_url must hold neither credentials nor a query")


def encoded(query: Mapping[str, Optional[str]]) -> str:
    """Return a query as SigV4 wants it encoded; a value of None leaves the name alone."""
    return "&".join(
        quote(name, safe=_UNRESERVED)
        + ("" if value is None else f"={quote(value, safe=_UNRESERVED)}")
        for name, value in query.items()
    )
