"""The requests of tus 1.0 as ``requests`` sends them, with no client of ours in between."""

from __future__ import annotations

import base64
import socket
from typing import Optional, Union
from urllib.parse import urlsplit

import requests

VERSION = {"Tus-Resumable": "1.0.0"}
OCTETS = "application/offset+octet-stream"
TIMEOUT = 30.0

Headers = dict[str, Optional[str]]  # None takes a header away


class TusRequests:
    """Requests on one kept connection.

    Args:
        url: The server's creation URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def __enter__(self) -> TusRequests:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._session.close()

    def send(
        self, method: str, url: str, data: bytes = b"", headers: Optional[Headers] = None
    ) -> requests.Response:
        """Send a request with the version's header."""
        merged = {k: v for k, v in {**VERSION, **(headers or {})}.items() if v is not None}
        return self._session.request(method, url, data=data, headers=merged, timeout=TIMEOUT)

    def create(
        self, length: Optional[int], data: Optional[bytes] = None, **headers: str
    ) -> requests.Response:
        """Create an upload, with its first bytes where ``data`` is given."""
        merged: Headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if length is not None:
            merged["Upload-Length"] = str(length)
        if data is not None:
            merged["Content-Type"] = OCTETS
        return self.send("POST", self.url, data or b"", merged)

    def new(self, length: int, data: Optional[bytes] = None, **headers: str) -> str:
        """Create an upload, and return its URL."""
        answer = self.create(length, data, **headers)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    def patch(
        self, url: str, offset: Union[int, str], data: bytes, headers: Optional[Headers] = None
    ) -> requests.Response:
        """Append bytes."""
        standard = {"Content-Type": OCTETS, "Upload-Offset": str(offset)}
        return self.send("PATCH", url, data, {**standard, **(headers or {})})

    def head(self, url: str) -> requests.Response:
        """Ask for the state of an upload."""
        return self.send("HEAD", url)

    def offset(self, url: str) -> int:
        """Return how much of an upload the server has."""
        answer = self.head(url)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["Upload-Offset"])

    def get(self, url: str, **headers: str) -> requests.Response:
        """Download."""
        merged: Headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("GET", url, headers=merged)


def metadata(**values: str) -> str:
    """Return an ``Upload-Metadata`` header."""
    pairs = ((key, base64.b64encode(value.encode()).decode()) for key, value in values.items())
    return ",".join(f"{key} {value}" for key, value in pairs)


def begin_patch(url: str, length: int, data: bytes) -> socket.socket:
    """Send a PATCH at 0 with less of its body than it says, and return the open connection."""
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname or "", parts.port or 80), TIMEOUT)
    head = (
        f"PATCH {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nTus-Resumable: 1.0.0\r\n"
        f"Content-Type: {OCTETS}\r\nUpload-Offset: 0\r\nContent-Length: {length}\r\n\r\n"
    )
    sock.sendall(head.encode() + data)
    return sock
