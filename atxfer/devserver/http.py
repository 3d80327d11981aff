"""HTTP/1.1 as the newest atServers speak it: requests in, answers out, no socket (facts §12).

They are Dart's own ``HttpServer``, which knows much more; here is what reading public records
takes. Rules of this file:

1. Strict: what is no plain request of HTTP/1.x is answered with 400 and ends the connection.
2. A body is never read: the connection ends after the answer, as Dart ends it.
3. Nothing here looks at records; :mod:`atxfer.devserver.web` does.
"""

from __future__ import annotations

import mimetypes
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Optional, Union

__all__ = [
    "HTTP",
    "LINES",
    "Malformed",
    "Reader",
    "Request",
    "content_type",
    "encode",
    "lookup_key",
]

# What an atServer offers by ALPN, in its order of preference (facts §12).
LINES, HTTP = "atProtocol/1.0", "http/1.1"

# Bytes of a request line and its headers. Dart's server takes a megabyte; ours are of 200 bytes.
MAX_HEAD = 64 * 1024
# Characters of a target above which the server answers 400 (http_request_handler.dart).
MAX_TARGET = 1000

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)")

# What Dart's HttpServer puts into every answer.
_HEADERS = (
    ("x-frame-options", "SAMEORIGIN"),
    ("x-xss-protection", "1; mode=block"),
    ("x-content-type-options", "nosniff"),
)
_TEXT = "text/plain; charset=utf-8"
_TYPES = mimetypes.MimeTypes()  # Python's own table, not the machine's


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        method: As it came.
        target: Path and query, percent-encoded as they came.
        headers: By name in lower case.
        minor: 1 for HTTP/1.1, 0 for HTTP/1.0.
    """

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    minor: int = 1

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may go on after the answer."""
        if self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers:
            return False
        wishes = {word.strip().lower() for word in self.headers.get("connection", "").split(",")}
        return "keep-alive" in wishes if self.minor == 0 else "close" not in wishes

    @property
    def path(self) -> str:
        """The path, percent-encoded."""
        return urllib.parse.urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The parameters; of several of one name the last."""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.target).query))


class Malformed:
    """What came is no request; nothing after it is read."""

    method = "unknown"
    keeps_alive = False


Event = Union[Request, Malformed]


class Reader:
    """Bytes in, requests out; any split of the bytes gives the same requests."""

    def __init__(self) -> None:
        self._buffer = b""
        self._over = False

    def receive(self, data: bytes) -> Iterator[Event]:
        """Take in bytes, and yield the requests that are whole now."""
        if self._over:
            return
        self._buffer += data
        while not self._over:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                if len(self._buffer) > MAX_HEAD:
                    self._over = True
                    yield Malformed()
                return
            event = _parse(head)
            self._buffer = rest
            self._over = not event.keeps_alive
            yield event


def _parse(head: bytes) -> Event:
    first, *lines = head.split(b"\r\n")
    request, headers = _REQUEST_LINE.fullmatch(first), [_HEADER.fullmatch(line) for line in lines]
    if request is None or not all(headers) or len(head) > MAX_HEAD:
        return Malformed()
    pairs = [header.groups() for header in headers if header is not None]
    named = {name.decode().lower(): value.decode("latin-1").rstrip() for name, value in pairs}
    return Request(request[1].decode(), request[2].decode(), named, int(request[3]))


def lookup_key(path: str, atsign: str) -> str:
    """Return the whole key that a decoded path asks for.

    Folders are what follows a key's dots, in the other order: ``/app/notes/index.html`` asks for
    ``public:index.html.notes.app@alice``. A path without a slash is the key, with or without
    ``public:`` and atSign.

    Args:
        path: Percent-decoded.
        atsign: Whose server it is.
    """
    path = path.partition("?")[0].lstrip("/")
    if path.startswith(f"{atsign}/"):
        path = path[len(atsign) + 1 :]
    path = _without(path, "public:", atsign)
    entity = ".".join(part for part in reversed(path.split("/")) if part)
    key = entity if entity.startswith("public:") else f"public:{entity}"
    return key if key.endswith(atsign) else f"{key}{atsign}"


def _without(text: str, prefix: str, suffix: str) -> str:
    text = text[len(prefix) :] if text.startswith(prefix) else text
    return text[: -len(suffix)] if text.endswith(suffix) else text


def content_type(key: str, atsign: str, query: dict[str, str], *, binary: bool) -> str:
    """Return the type of a record's content: as asked for, or by the key's name."""
    if query.get("at_rt") == "meta":
        return "application/json; charset=utf-8"
    words = _without(key, "public:", atsign).split(".")
    guessed = _TYPES.guess_type(".".join(words[:2]), strict=False)[0]
    kind = query.get("at_ct") or guessed or ("application/octet-stream" if binary else "text/plain")
    return f"{kind}; charset=utf-8"


def encode(event: Event, status: int, body: bytes = b"", kind: Optional[str] = None) -> bytes:
    """Return an answer as Dart's server frames it: chunked, or empty with its length.

    Args:
        event: What it answers.
        status: The status code.
        body: The content.
        kind: Its type; None for plain text.
    """
    minor = event.minor if isinstance(event, Request) else 1
    fields = [*_HEADERS, ("content-type", kind or _TEXT)]
    if not event.keeps_alive:
        fields.append(("connection", "close"))
    if not body:
        fields.append(("content-length", "0"))
    elif minor:
        fields.append(("transfer-encoding", "chunked"))
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.{minor} {status} {_phrase(status)}\r\n{head}\r\n".encode("latin-1") + body


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
