"""Bytes to and from one server, over TLS, each operation with a deadline.

Rules of this file:

1. Every blocking call is bounded: by what is left of its deadline, recomputed for each partial
   send and receive, so that a peer that dribbles is timed out as well (R29).
2. :meth:`SocketStream.abort` may come from any thread, at any moment, and wakes what blocks (R25).
3. The errors of the operating system and of TLS end here (:func:`_translated`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional, Protocol, Union

from atxfer._net.address import Address
from atxfer._net.proxy import MAX_REPLY, Proxy, find_proxy
from atxfer._net.resolver import Endpoint, resolve
from atxfer.errors import (
    CertificateRejected,
    ConnectFailed,
    ConnectionLost,
    NetworkError,
    RequestTimeout,
)
from atxfer.waiting import Deadline, Wait

__all__ = [
    "READ_SIZE",
    "Address",
    "SocketStream",
    "Stream",
    "connect",
    "interruptible",
    "tls_context",
]

# Bytes asked for in one read: an answer of 16 chunks is about 180 KB (facts §10).
READ_SIZE = 256 * 1024

# Seconds of silence before the kernel probes an idle connection, between probes, and how many
# unanswered ones end it. Well under the 5 minutes after which many routers forget a connection.
_KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))

# OpenSSL's verdicts on a certificate (x509_vfy.h) that have a remedy of their own.
_NOT_YET_VALID, _EXPIRED, _WRONG_HOST, _WRONG_IP = 9, 10, 62, 64


class Stream(Protocol):
    """Bytes to and from one peer.

    Threads: one at a time reads and writes; ``abort`` may come from any other.
    """

    def read(self, max_bytes: int, deadline: Deadline) -> bytes:
        """Return some bytes, at most so many; none when the peer has ended the connection.

        Raises:
            RequestTimeout: The deadline passed.
            ConnectionLost: The connection broke.
        """
        ...

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Send all of it.

        Raises:
            RequestTimeout: The deadline passed; some of it may have been sent.
            ConnectionLost: The connection broke.
        """
        ...

    def abort(self) -> None:
        """End the connection so that whoever blocks on it wakes at once. Never raises."""
        ...

    def close(self) -> None:
        """Say goodbye if that needs no waiting, and release the socket. Never raises."""
        ...

    def drop(self) -> None:
        """Release the socket in a forked child, where the connection is the parent's."""
        ...

    def is_readable(self) -> bool:
        """Whether a read would return at once: with data, or at the end of the connection."""
        ...


def tls_context(
    ca_file: Optional[Union[str, os.PathLike[str]]] = None, *, protocols: Sequence[str] = ()
) -> ssl.SSLContext:
    """Return how servers are verified: TLS 1.2 or later, certificate and host name checked.

    Args:
        ca_file: PEM file of the certificate authorities to trust instead of the system's.
        protocols: What to offer by ALPN. Nothing for the line protocol: the newest atServers
            answer an offer of HTTP by speaking it (facts §12).

    Raises:
        OSError: The file can't be read; the error names it.
        ValueError: It holds no certificate in PEM form.
    """
    if ca_file is None:
        context = ssl.create_default_context()
    else:
        with Path(ca_file).open("rb"):
            pass  # the ssl module's own error would not name the file
        try:
            context = ssl.create_default_context(cafile=ca_file)
        except ssl.SSLError as error:
            raise ValueError(f"ca_file {os.fspath(ca_file)} holds no PEM certificate") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def connect(
    address: Address, context: Optional[ssl.SSLContext], *, wait: Wait, timeout: Optional[float]
) -> SocketStream:
    """Return a verified TLS connection, through the environment's HTTP proxy if there is one.

    Args:
        address: The server; its host is also the name that the certificate must bear.
        context: From :func:`tls_context`; None for a plain connection, which goes straight there.
        wait: Cancellation and deadline of the transfer this is for.
        timeout: Seconds for all of it: name look-up, TCP, proxy and TLS. None waits on.

    Raises:
        ConnectFailed: The server can't be reached in time, or speaks no TLS.
        CertificateRejected: It is not the server that it should be.
        ProxyRefused: The proxy doesn't let us through.
        Cancelled: The transfer was cancelled meanwhile.
        DeadlineExceeded: The transfer's own deadline passed.
    """
    deadline = wait.deadline.capped(timeout)
    proxy = find_proxy(str(address)) if context is not None else None
    with _told_apart(wait):
        if proxy is None:
            stream = _dial(address, wait, deadline, peer=str(address))
        else:
            stream = _dial(proxy.address, wait, deadline, peer=f"the proxy {proxy}")
    try:
        with interruptible(stream, wait):
            if proxy is not None:
                stream.tunnel(proxy, address, deadline)
            if context is not None:
                stream.start_tls(context, address, deadline)
    except BaseException:
        stream.close()
        raise
    return stream


@contextlib.contextmanager
def interruptible(stream: Stream, wait: Wait) -> Iterator[None]:
    """Let cancellation wake a block that reads and writes, and be told as what it is.

    Raises:
        Cancelled: The transfer was cancelled.
        DeadlineExceeded: The transfer's own deadline passed.
    """
    with _told_apart(wait), wait.abortable(stream.abort):
        yield


@contextlib.contextmanager
def _told_apart(wait: Wait) -> Iterator[None]:
    """Tell an abort from a lost connection, and the transfer's deadline from a slow server."""
    try:
        yield
    except NetworkError:
        wait.check()
        raise


class SocketStream:
    """A stream over a TCP socket: plain at first, TLS after :meth:`start_tls`."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        self._socket = sock
        self._peer = peer  # as errors call it
        self._aborted = False
        # Guards the exchange of _socket by start_tls, its shutdown and its closing against each
        # other: the descriptor's number may belong to somebody else once it is closed.
        self._lock = threading.Lock()

    @property
    def protocol(self) -> Optional[str]:
        """What the server chose of the protocols that we offered by ALPN; None if nothing."""
        sock = self._socket
        return sock.selected_alpn_protocol() if isinstance(sock, ssl.SSLSocket) else None

    def fileno(self) -> int:
        """Return the descriptor, for those who poll; negative once it is closed."""
        return self._socket.fileno()

    def read(self, max_bytes: int, deadline: Deadline) -> bytes:
        """Return some bytes; none at the end of the connection."""
        with _translated(self._peer):
            _arm(self._socket, deadline)
            return self._socket.recv(max_bytes)

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Send all of it."""
        unsent = memoryview(data)
        with _translated(self._peer):
            while unsent:
                _arm(self._socket, deadline)
                unsent = unsent[self._socket.send(unsent) :]

    def tunnel(self, proxy: Proxy, target: Address, deadline: Deadline) -> None:
        """Have the proxy at the other end connect us to the target.

        Raises:
            ProxyRefused: It doesn't.
            ConnectFailed: It tried, or gave no answer.
        """
        reply = b""
        try:
            self.write(proxy.request(str(target)), deadline)
            while b"\r\n\r\n" not in reply and len(reply) < MAX_REPLY:
                data = self.read(MAX_REPLY - len(reply), deadline)
                if not data:
                    raise ConnectFailed(f"the proxy {proxy} ended the connection to {target}")
                reply += data
        except (ConnectionLost, RequestTimeout) as error:
            raise ConnectFailed(f"{target} can't be reached: {error.message}") from error
        proxy.check(reply, str(target))

    def start_tls(self, context: ssl.SSLContext, server: Address, deadline: Deadline) -> None:
        """Speak TLS from here on, having verified who is there.

        Raises:
            CertificateRejected: It is not the server that it should be.
            ConnectFailed: There was no TLS to be had.
        """
        self._peer = str(server)
        with _translated(self._peer, connecting=True):
            with self._lock:  # wrapping moves the descriptor, and does no input or output
                self._socket = secure = context.wrap_socket(
                    self._socket, server_hostname=server.host, do_handshake_on_connect=False
                )
            _arm(secure, deadline)
            secure.do_handshake()

    def abort(self) -> None:
        """End the connection so that whoever blocks on it wakes at once."""
        with self._lock, contextlib.suppress(OSError):
            self._aborted = True
            # The plain socket's method: SSLSocket.shutdown() would also forget the TLS state, and
            # the thread we wake would go on to read and write in the clear.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Say goodbye if that needs no waiting, and release the socket."""
        with self._lock:
            if isinstance(self._socket, ssl.SSLSocket) and not self._aborted:
                # Sends the close_notify and doesn't wait for the peer's.
                with contextlib.suppress(OSError, ValueError):
                    self._socket.settimeout(0)
                    self._socket.unwrap()
            self.drop()

    def drop(self) -> None:
        """Release the socket, and say nothing to the peer.

        Takes no lock: in a forked child, its holder may not exist.
        """
        with contextlib.suppress(OSError):
            self._socket.close()

    def is_readable(self) -> bool:
        """Whether a read would return at once."""
        sock = self._socket
        if sock.fileno() < 0 or (isinstance(sock, ssl.SSLSocket) and sock.pending()):
            return True
        return _is_ready(sock, select.POLLIN, 0.0)


def _dial(address: Address, wait: Wait, deadline: Deadline, *, peer: str) -> SocketStream:
    """Connect TCP to the first of the host's addresses that answers."""
    with _translated(peer, connecting=True):
        endpoints = resolve(address.host, address.port, wait, deadline)
        failure = OSError("its name has no address")
        for place, endpoint in enumerate(endpoints):
            # An equal share of the time to each: the first may be one that nobody answers on, as
            # IPv6 addresses often are.
            share = _share(deadline, len(endpoints) - place)
            try:
                return SocketStream(_connect(endpoint, wait, share), peer)
            except OSError as error:
                failure = error
        raise failure


def _share(deadline: Deadline, parts: int) -> Deadline:
    left = deadline.remaining()
    return deadline if left is None else deadline.capped(left / parts)


def _connect(endpoint: Endpoint, wait: Wait, deadline: Deadline) -> socket.socket:
    """Connect to one endpoint, watching for cancellation: nothing else wakes a connect."""
    sock = socket.socket(endpoint.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        code = sock.connect_ex(endpoint.sockaddr)
        if code == errno.EINPROGRESS:
            wait.acquire(lambda seconds: _is_connected(sock, seconds, deadline))
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE:
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    except BaseException:
        sock.close()
        raise
    return sock


def _is_connected(sock: socket.socket, seconds: float, deadline: Deadline) -> bool:
    left = _left(deadline)
    return _is_ready(sock, select.POLLOUT, seconds if left is None else min(seconds, left))


def _is_ready(sock: socket.socket, events: int, seconds: float) -> bool:
    poll = select.poll()  # unlike select, it knows no largest descriptor
    poll.register(sock, events)
    return bool(poll.poll(seconds * 1000))


def _arm(sock: socket.socket, deadline: Deadline) -> None:
    """Give the socket's next call what is left of the time."""
    sock.settimeout(_left(deadline))


def _left(deadline: Deadline) -> Optional[float]:
    """Return the seconds left; with none left, raise what the socket would."""
    left = deadline.remaining()
    if left is not None and left <= 0.0:  # as a timeout, 0 would mean: don't block
        raise socket.timeout("timed out")
    return left


@contextlib.contextmanager
def _translated(peer: str, *, connecting: bool = False) -> Iterator[None]:
    """Turn the errors of sockets, name look-ups and TLS into ours: here and nowhere else."""
    try:
        yield
    except socket.timeout as error:
        if connecting:
            raise ConnectFailed(f"{peer} can't be reached: no answer in time") from error
        raise RequestTimeout(f"{peer} did not answer in time") from error
    except ssl.SSLCertVerificationError as error:
        raise _rejected(peer, error) from error
    except (OSError, UnicodeError) as error:
        if connecting:
            raise ConnectFailed(f"{peer} can't be reached: {_reason(error)}") from error
        raise ConnectionLost(f"the connection to {peer} ended: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({(error.reason or 'unexpected end').lower().replace('_', ' ')})"
    return getattr(error, "strerror", None) or str(error)


def _rejected(peer: str, error: ssl.SSLCertVerificationError) -> CertificateRejected:
    code = error.verify_code
    if code in (_WRONG_HOST, _WRONG_IP):
        return CertificateRejected(
            f"the certificate of {peer} is for another host",
            remedy="Connect by the name in the certificate, or have the server's one replaced.",
        )
    if code in (_EXPIRED, _NOT_YET_VALID):
        when = "has expired" if code == _EXPIRED else "is not valid yet"
        return CertificateRejected(
            f"the certificate of {peer} {when}",
            remedy="Have the server's certificate renewed, and check this machine's clock.",
        )
    return CertificateRejected(
        f"the certificate of {peer} comes from an unknown authority ({error.verify_message})"
    )
