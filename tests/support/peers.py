"""Servers on loopback whose side of the conversation a test writes as a function."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Callable, Optional

from atxfer._net.address import Address

Conversation = Callable[[socket.socket], None]


class Peer:
    """A server that holds one conversation with each client, on a thread each.

    Args:
        conversation: Called with the connected socket; when it returns, the connection ends.
        context: The server's certificate; None to speak no TLS.

    What a conversation raises is raised again at the end of the ``with`` block, but for errors of
    the network: a client that goes away is none of the server's.
    """

    def __init__(
        self, conversation: Conversation, context: Optional[ssl.SSLContext] = None
    ) -> None:
        self._conversation = conversation
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._failures: list[BaseException] = []
        self.port: int = self._listener.getsockname()[1]
        self.address = Address("localhost", self.port)

    def __enter__(self) -> Peer:
        self._run(self._accept)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for sock in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()
        if self._failures and error is None:
            raise self._failures[0]

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=self._guard, args=(target, *args), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guard(self, target: Callable[..., None], *args: object) -> None:
        try:
            target(*args)
        except OSError:
            pass
        except BaseException as failure:  # noqa: BLE001  # kept for the test's own thread
            self._failures.append(failure)

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            # Or else a reset may overtake what was sent last.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._run(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        if self._context is not None:
            sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._sockets.append(sock)
        with sock:
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            self._conversation(sock)


def read_until(sock: socket.socket, end: bytes) -> bytes:
    """Return what comes up to and with ``end``; less if the client goes away before."""
    data = b""
    while not data.endswith(end):
        byte = sock.recv(1)
        if not byte:
            break
        data += byte
    return data


class ConnectProxy(Peer):
    """An HTTP proxy that answers ``CONNECT``, and moves bytes once it has said 200.

    Args:
        reply: What it answers; ``HTTP/1.1 200 OK`` opens a tunnel, others end the connection.
    """

    def __init__(self, reply: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> None:
        super().__init__(self._tunnel)
        self.reply = reply
        self.requests: list[bytes] = []

    def _tunnel(self, client: socket.socket) -> None:
        request = read_until(client, b"\r\n\r\n")
        self.requests.append(request)
        client.sendall(self.reply)
        if self.reply.startswith(b"HTTP/1.1 200"):
            host, _, port = request.split()[1].decode("ascii").rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                self._run(_pump, server, client)
                _pump(client, server)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
