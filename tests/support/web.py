"""An HTTP server whose answers a test writes, byte by byte if it likes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import Callable, Optional

from tests.support.peers import Peer, read_until


@dataclass(frozen=True)
class Heard:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def target(self) -> str:
        """What was asked for."""
        return self.line.split(" ")[1]


class Last(bytes):
    """An answer, or the beginning of one, after which the connection ends."""


Reply = Callable[[Heard], Optional[bytes]]


class WebServer(Peer):
    """Answers requests, one connection after another request.

    Args:
        reply: Returns the bytes of an answer; None to end the connection.
        context: The server's certificate; None for plain HTTP.

    Attributes:
        reply: May be exchanged.
        heard: All requests, in the order they came.
        connections: How many clients have sent something.
        busy: Set when a request has come.
    """

    def __init__(self, reply: Reply, context: Optional[ssl.SSLContext] = None) -> None:
        super().__init__(self._serve_requests, context)
        self.reply = reply
        self.heard: list[Heard] = []
        self.connections = 0
        self.busy = threading.Event()
        self._secure = context is not None

    def url(self, path: str = "/") -> str:
        """Return the address of a path."""
        return f"{'https' if self._secure else 'http'}://localhost:{self.port}{path}"

    def hang_up(self) -> None:
        """End all connections, as a server does with idle ones."""
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _serve_requests(self, sock: socket.socket) -> None:
        first = True
        while head := read_until(sock, b"\r\n\r\n"):
            self.connections += first
            first = False
            heard = _read(sock, head)
            self.heard.append(heard)
            self.busy.set()
            said = self.reply(heard)
            if said is None:
                return
            sock.sendall(said)
            if isinstance(said, Last):
                return


def _read(sock: socket.socket, head: bytes) -> Heard:
    line, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (field.partition(": ") for field in fields)
    headers = {name.lower(): value for name, _, value in pairs}
    left, parts = int(headers.get("content-length", 0)), []
    while left and (data := sock.recv(left)):
        left -= len(data)
        parts.append(data)
    return Heard(line, headers, b"".join(parts))


def answer(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """Return an answer of this length; keywords are further headers."""
    fields = {
        "Content-Length": str(len(body)),
        **{k.replace("_", "-"): headers[k] for k in headers},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode("latin-1") + body


def chunked(*parts: bytes) -> bytes:
    """Return an answer in chunks."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
