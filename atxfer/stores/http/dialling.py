"""Where urllib3 gets its sockets: from our own dialling, with deadlines, and woken by cancellation.

urllib3 bounds each read, not a whole answer; it can't be interrupted; and it has its own ideas of
proxies and trust. So its connections are handed channels over :mod:`atxfer._net.stream`, which has
all of that already. Rules of this file:

1. One thread makes one request at a time, and finds its :class:`Exchange` as long as it does. Time
   limit and cancellation are the exchange's, not the connection's, which is kept for others.
2. What :mod:`atxfer._net.stream` raises passes through requests and urllib3 unharmed: they catch
   OSError and their own. One error is told as theirs: a connection that ends while we send is a
   broken pipe, because the server may have answered before it hung up.
3. No lock of this file or of the pools is ever held while something blocks or the process forks.
"""

from __future__ import annotations

import contextlib
import io
import queue
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any, Callable, Optional

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from atxfer._net.address import Address
from atxfer._net.stream import READ_SIZE, SocketStream, interruptible
from atxfer.errors import ConnectionLost
from atxfer.waiting import Deadline, Wait

__all__ = ["Adapter", "Channel", "Exchange"]

Dial = Callable[[str, Address, Wait], "Channel"]
"""Connects for a scheme to an address: verified TLS for ``https``."""

_here = threading.local()


class Exchange:
    """One request and its answer.

    Args:
        wait: Cancellation and deadline of the transfer it is for.
        timeout: Seconds from the connection to the end of the answer. None waits on.
        dial: Makes a connection, where none is kept.

    Attributes:
        at_end: Whether the server has ended the connection.
    """

    def __init__(self, wait: Wait, timeout: Optional[float], dial: Dial) -> None:
        self.wait = wait
        self.deadline: Deadline = wait.deadline.capped(timeout)
        self.at_end = False
        self._timeout = timeout
        self._dial = dial
        self._channel: Optional[Channel] = None

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Be the one that the connections of this thread work for."""
        _here.exchange = self
        try:
            yield
        finally:
            del _here.exchange

    @staticmethod
    def of_this_thread() -> Exchange:
        """Return the one that is under way."""
        exchange: Exchange = _here.exchange
        return exchange

    def connect(self, scheme: str, address: Address) -> Channel:
        """Connect; the time for the request begins when that is done."""
        channel = self._dial(scheme, address, self.wait)
        self.renew()
        return channel

    def renew(self) -> None:
        """Let the time begin anew."""
        self.deadline = self.wait.deadline.capped(self._timeout)

    def uses(self, channel: Channel) -> None:
        """Take note of what :meth:`abort` is to end."""
        self._channel = channel

    def abort(self) -> None:
        """Wake the thread, by ending the connection. Never raises."""
        if self._channel is not None:
            self._channel.abort()


class Channel:
    """What urllib3 and http.client take for a socket.

    Threads: one at a time sends and reads; ``abort`` may come from any other.
    """

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._readers = 0
        self._closing = False
        self._dropped = False

    @property
    def is_open(self) -> bool:
        """Whether it is still of use, as far as we know."""
        return not (self._closing or self._dropped)

    def sendall(self, data: bytes) -> None:
        """Send all of it, for the exchange of this thread.

        Raises:
            BrokenPipeError: The connection ended; there may be an answer.
            TransferError: As :meth:`SocketStream.write` and :func:`interruptible` do.
        """
        exchange = Exchange.of_this_thread()
        exchange.uses(self)
        try:
            with interruptible(self._stream, exchange.wait):
                self._stream.write(data, exchange.deadline)
        except ConnectionLost as error:
            raise BrokenPipeError(error.message) from error

    def read(self, max_bytes: int, exchange: Exchange) -> bytes:
        """Return some bytes, for an exchange; none at the end of the connection.

        Raises:
            TransferError: As :meth:`SocketStream.read` and :func:`interruptible` do.
        """
        with interruptible(self._stream, exchange.wait):
            data = self._stream.read(max_bytes, exchange.deadline)
        if not data:
            exchange.wait.check()  # an abort may look like the end
            exchange.at_end = True
        return data

    def makefile(self, mode: str, *_: object, **__: object) -> io.BufferedReader:
        """Return what one answer is read from."""
        self._readers += 1
        return io.BufferedReader(_Reader(self, Exchange.of_this_thread()))

    def fileno(self) -> int:
        """Return the descriptor: urllib3 asks it whether an idle connection was closed."""
        return self._stream.fileno()

    def settimeout(self, seconds: object) -> None:
        """Do nothing: the exchange has the time limit (rule 1)."""

    def abort(self) -> None:
        """Wake whoever blocks on it. Never raises."""
        self._stream.abort()

    def close(self) -> None:
        """End the connection, once what was handed out to read from it is closed as well.

        http.client closes the socket of an answer that ends its connection before it is read.
        """
        self._closing = True
        if not self._readers and not self._dropped:
            self._stream.close()

    def reader_closed(self) -> None:
        """Note that an answer is not read any more."""
        self._readers -= 1
        if self._closing:
            self.close()

    def drop(self) -> None:
        """Release the socket in a forked child, and leave it alone for ever."""
        self._dropped = True
        self._stream.drop()


class _Reader(io.RawIOBase):
    """One answer's bytes."""

    def __init__(self, channel: Channel, exchange: Exchange) -> None:
        self._channel = channel
        self._exchange = exchange

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes; 0 at the end of the connection."""
        data = self._channel.read(min(len(buffer), READ_SIZE), self._exchange)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Be done with this answer."""
        if not self.closed:
            self._channel.reader_closed()
        super().close()


class _Plain(HTTPConnection):
    """A connection whose socket is ours."""

    def connect(self) -> None:
        """Dial."""
        address = Address(self.host, self.port)
        self.sock = Exchange.of_this_thread().connect("http", address)


class _Secure(HTTPSConnection):
    """The same over TLS, verified before it is handed over."""

    def connect(self) -> None:
        """Dial."""
        address = Address(self.host, self.port)
        self.sock = Exchange.of_this_thread().connect("https", address)
        self.is_verified = True


class _Shelf:
    """A last-in, first-out queue without a lock that a forked child could find held for ever."""

    def __init__(self, maxsize: int) -> None:
        self._free: deque[Any] = deque()
        self._room = maxsize

    def get(self, block: bool = True, timeout: Optional[float] = None) -> Any:
        """Return what was put last; never wait."""
        try:
            return self._free.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, item: Any, block: bool = True, timeout: Optional[float] = None) -> None:
        """Keep it if there is room."""
        if len(self._free) >= self._room:
            raise queue.Full
        self._free.append(item)

    def qsize(self) -> int:
        """Return how many there are."""
        return len(self._free)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain
    QueueCls = _Shelf  # type: ignore[assignment]  # all that is used of a queue


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure
    QueueCls = _Shelf  # type: ignore[assignment]  # all that is used of a queue


class Adapter(HTTPAdapter):
    """requests' adapter, with our sockets, and no retries (R11).

    Args:
        width: How many connections to one server are kept.
    """

    def __init__(self, width: int) -> None:
        super().__init__(pool_maxsize=width, pool_block=False, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Have our pools made."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Have our pools made where a plain request goes through a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_POOLS = {"http": _PlainPool, "https": _SecurePool}
