"""tus 1.0.0 as values: what its headers say, and what we say in them. No request is made here.

What a server writes is believed only where it can be true (peers.md R24): a number is digits and
nothing else, an offset is within what was sent, an address is on the server that we speak to.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import hashlib
import mimetypes
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Optional

from atxfer._buffers import Buffer
from atxfer.errors import NotSupported, ProtocolViolation

__all__ = [
    "CORE",
    "OFFSET_STREAM",
    "VERSION",
    "Features",
    "checksum_of",
    "epoch_seconds",
    "features_of",
    "metadata_header",
    "name_in",
    "number_in",
    "origin_of",
    "shown",
    "url_of_upload",
]

VERSION = "1.0.0"
OFFSET_STREAM = "application/offset+octet-stream"
"""The type of every body that goes up."""

# Digests by what tus calls them, the best first. Any server that has the extension has sha1; md5
# and crc32, which some have as well, find no more than that does.
_DIGESTS = ("sha256", "sha512", "sha1")

_URL = re.compile(r"[!-~]{1,2048}")
_ADDRESS = "Check the address; it is the URL that uploads are created at."


@dataclass(frozen=True)
class Features:
    """What a server can do, as it says itself.

    Attributes:
        extensions: By the names of the protocol.
        max_size: Bytes of the largest upload it takes, or None if it sets no limit.
        checksum: The digest it is to compare, or None if it compares none that we know.
        told: Whether it has said so, or this is what every server can do.
    """

    extensions: frozenset[str]
    max_size: Optional[int] = None
    checksum: Optional[str] = None
    told: bool = True

    def has(self, extension: str) -> bool:
        """Whether the server has an extension."""
        return extension in self.extensions


CORE = Features(frozenset({"creation"}), told=False)
"""What is taken for granted of a server that doesn't tell."""


def features_of(headers: Mapping[str, str], server: str) -> Features:
    """Return what the answer to ``OPTIONS`` tells.

    Args:
        headers: Those of the answer, by name in any case.
        server: ``host:port``, for errors.

    Raises:
        NotSupported: The server speaks other versions of tus only.
    """
    versions = _listed(headers, "Tus-Version")
    if not versions:  # it answers like this for some other reason, as servers do for browsers
        return CORE
    if VERSION not in versions:
        raise NotSupported(
            f"{server} speaks tus {', '.join(sorted(versions))}, and not {VERSION}",
            remedy="Use a server of tus 1.0.",
        )
    extensions = _listed(headers, "Tus-Extension")
    named = _listed(headers, "Tus-Checksum-Algorithm") if "checksum" in extensions else frozenset()
    limit = headers.get("Tus-Max-Size", "").strip()
    return Features(
        extensions,
        max_size=int(limit) if _is_number(limit) and int(limit) else None,
        checksum=next((name for name in _DIGESTS if name in named), None),
    )


def _listed(headers: Mapping[str, str], name: str) -> frozenset[str]:
    items = (item.strip().lower() for item in headers.get(name, "").split(","))
    return frozenset(item for item in items if item)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,19}", text) is not None


def number_in(headers: Mapping[str, str], name: str, server: str) -> Optional[int]:
    """Return the bytes that a header names, or None if it is not there.

    Raises:
        ProtocolViolation: It is there, and no number.
    """
    text = headers.get(name)
    if text is None:
        return None
    if not _is_number(text.strip()):
        raise ProtocolViolation(f"{server} sends {name} without a number", remedy=_ADDRESS)
    return int(text)


def epoch_seconds(headers: Mapping[str, str], name: str) -> Optional[float]:
    """Return the time that a header names; None if there is none, or it can't be read."""
    try:
        return email.utils.parsedate_to_datetime(headers.get(name, "")).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def checksum_of(digest: str, body: Buffer) -> str:
    """Return the value of ``Upload-Checksum`` for a body."""
    # It is to notice accidents: whoever could alter the body could alter the header as well.
    made = hashlib.new(digest, body, usedforsecurity=False).digest()
    return f"{digest} {base64.b64encode(made).decode('ascii')}"


def metadata_header(name: str) -> str:
    """Return the value of ``Upload-Metadata`` for a file that may be known by its name.

    It is empty for one that may not. Then the header has to be left out: @tus/server refuses an
    empty one (peers.md M9).
    """
    if not name:
        return ""
    values = {"filename": name}
    filetype, encoding = mimetypes.guess_type(name)
    if filetype is not None and encoding is None:
        values["filetype"] = filetype
    return ",".join(
        f"{key} {base64.b64encode(value.encode('utf-8', 'surrogateescape')).decode('ascii')}"
        for key, value in values.items()
    )


def name_in(headers: Mapping[str, str]) -> str:
    """Return the name that ``Upload-Metadata`` gives a file; it may be hostile, or empty."""
    found = dict(_pairs(headers.get("Upload-Metadata", "")))
    return found.get("filename") or found.get("name", "")


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    for pair in text.split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            yield key, base64.b64decode(value, validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            continue


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port: who is spoken to.

    Raises:
        ValueError: It is no URL of http or https.
    """
    parts = urllib.parse.urlsplit(url)
    ports = {"http": 80, "https": 443}
    if parts.scheme not in ports or not parts.hostname:
        raise ValueError("expected an URL of http:// or https://")
    return parts.scheme, parts.hostname, parts.port or ports[parts.scheme]


def url_of_upload(location: str, base: str, server: str) -> str:
    """Return the URL that a ``Location`` names, if credentials may be sent there (peers.md R24).

    Args:
        location: As the server sent it, whole or relative.
        base: The URL that was asked.
        server: ``host:port`` of that, for errors.

    Raises:
        ProtocolViolation: It is on another server, unencrypted where this one is not, or no URL.
    """
    if not _URL.fullmatch(location):
        raise ProtocolViolation(f"{server} names no URL for an upload", remedy=_ADDRESS)
    try:
        url = urllib.parse.urldefrag(urllib.parse.urljoin(base, location)).url
        scheme, host, port = origin_of(url)
        has_login = "@" in urllib.parse.urlsplit(url).netloc
    except ValueError as error:
        raise ProtocolViolation(f"{server} names no URL for an upload", remedy=_ADDRESS) from error
    if (scheme, host, port) == origin_of(base) and not has_login:
        return url
    if (origin_of(base)[0], scheme) == ("https", "http"):
        raise ProtocolViolation(
            f"{server} sends an upload to http://{host}:{port}, which is unencrypted",
            remedy="Nothing was sent there. Have the server respect the X-Forwarded headers of its"
            " proxy (tusd: -behind-proxy).",
        )
    raise ProtocolViolation(
        f"{server} sends an upload to another server, {host}:{port}",
        remedy="Nothing was sent there. If it is the right one, name its address instead.",
    )


def shown(url: str) -> str:
    """Return as much of a URL of others' as may stand in a message: no login, no query."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        bare = urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))
    except ValueError:
        bare = ""
    return bare if _URL.fullmatch(bare) else "nowhere"
