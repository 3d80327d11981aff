"""The connections to one atServer: made when needed, logged in once, kept, replaced when stale.

Rules of this file:

1. Nobody waits here for a connection: the engine's permit is the slot (peers.md R2), so that a
   connection is either idle or opened.
2. What to do is decided under the lock; connecting and closing are done outside of it.
3. Nothing is repeated here, but for what was not a failure of the request: an address that has
   changed, and a login that the server has forgotten (R11; facts §1, §3).
"""

from __future__ import annotations

import contextlib
import logging
import ssl
import threading
from collections.abc import Iterator
from typing import NamedTuple, Optional

from atxfer._net.address import Address
from atxfer._net.connection import AtConnection, Login
from atxfer._net.directory import Directory
from atxfer._net.stream import Stream
from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.atprotocol.errors import Unauthenticated
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.verbs import Verb
from atxfer.config import TransferConfig
from atxfer.errors import Cancelled, NetworkError
from atxfer.waiting import SYSTEM_CLOCK, Clock, Wait

__all__ = ["ConnectionPool"]

_log = logging.getLogger("atxfer.net")


class _Idle(NamedTuple):
    connection: AtConnection
    since: float


class ConnectionPool:
    """Connections to the server of one atSign.

    Args:
        directory: Tells where the server listens.
        atsign: Whose server it is.
        login: Its keys; None to read what is public.
        context: From :func:`atxfer._net.stream.tls_context`.
        config: Timeouts, and how many connections :meth:`prepare` makes.
        clock: Time, for the age of idle connections.

    Threads: may be shared.
    """

    def __init__(
        self,
        directory: Directory,
        atsign: str,
        *,
        login: Optional[Login],
        context: ssl.SSLContext,
        config: TransferConfig,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.atsign = normalise_atsign(atsign)
        self._directory = directory
        self._login = login
        self._context = context
        self._config = config
        self._clock = clock
        self._idle: list[_Idle] = []  # the longest idle first
        self._busy: set[AtConnection] = set()
        self._connections = 0  # idle, busy, and being made
        self._apart = 0  # of the busy ones, those that serve no requests
        self._opened = 0
        self._logins = 0
        self._reused = 0
        self._closed = False
        self._lock = threading.Lock()  # guards all of these

    @property
    def opened(self) -> int:
        """How many connections were made."""
        return self._opened

    @property
    def logins(self) -> int:
        """How many of them were logged in; each is, once."""
        return self._logins

    @property
    def reused(self) -> int:
        """How many requests found a connection that was there already."""
        return self._reused

    def ask(self, verb: Verb, wait: Wait) -> Answer:
        """Send one request over a connection of its own, and return the answer.

        Raises:
            AtError: The server refused or failed, as its code says.
            NetworkError: No answer came; the work may or may not have been done.
            AtSignNotFound: The directory doesn't know the atSign.
            Cancelled: The transfer was cancelled, or the pool closed.
            DeadlineExceeded: The transfer's own deadline passed.
        """
        timeout = self._config.request_timeout
        with self._lent(self._maybe_idle() or self._opened_anew(wait)) as connection:
            try:
                return connection.ask(verb, wait, timeout)
            except Unauthenticated:
                if not connection.logged_in:
                    raise
                # The server has forgotten who we are, which it tells before doing anything: once
                # more, with a new login (facts §3).
                connection.close()
        with self._lent(self._opened_anew(wait)) as connection:
            return connection.ask(verb, wait, timeout)

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Make one more connection ready for a later request, unless there are enough.

        Never more than there can be requests in flight. Called from as many threads, they log in
        side by side.

        Args:
            wait: Cancellation and deadline of the transfer this is for.
            enough: How many there are to be, in use or not.

        Returns:
            Whether one was made.

        Raises:
            TransferError: As :meth:`ask` does.
        """
        if self._login is not None:
            most = self._config.max_concurrent_uploads
        else:
            most = self._config.max_concurrent_downloads
        with self._lock:
            self._check_open()
            if self._connections - self._apart >= min(enough, most):
                return False
            self._connections += 1
        with self._lent(self._open(wait)) as connection:
            if self._login is None:
                connection.await_greeting(wait, self._config.request_timeout)
        return True

    def take(self, wait: Wait) -> AtConnection:
        """Make a connection that is the caller's alone, until it is given to :meth:`end`.

        It is closed with the others, but is no slot for requests: for what a server pushes.

        Raises:
            TransferError: As :meth:`ask` does.
        """
        connection = self._opened_anew(wait)
        with self._lock:
            self._apart += 1
        return connection

    def end(self, connection: AtConnection) -> None:
        """Close a connection that :meth:`take` made. Never raises; may be called twice."""
        with self._lock:
            known = connection in self._busy
            self._apart -= known
        connection.close()
        if known:
            self._give_back(connection)

    def adopt(self, stream: Stream, address: Address) -> None:
        """Take over a fresh connection on which nothing was said, for the next request.

        Raises:
            Cancelled: The pool is closed; the connection is ended.
        """
        connection = AtConnection(stream, address, self.atsign)
        with self._lock:
            closed = self._closed
            if not closed:
                self._connections += 1
                self._opened += 1
                self._idle.append(_Idle(connection, self._clock.monotonic()))
        if closed:
            connection.close()
            self._check_open()

    def close(self) -> None:
        """End all connections; requests that are under way fail with Cancelled. Never raises."""
        with self._lock:
            self._closed = True
            idle, busy = self._idle, list(self._busy)
            self._idle = []
            self._connections -= len(idle)
        for connection in busy:
            connection.abort()  # its borrower closes it
        for entry in idle:
            entry.connection.close()

    def drop(self) -> None:
        """Begin anew in a forked child: the connections are the parent's (peers.md R28)."""
        self._lock = threading.Lock()  # the old one may be held by a thread that isn't here
        for connection in (*(entry.connection for entry in self._idle), *self._busy):
            connection.drop()
        self._idle, self._busy, self._connections, self._apart = [], set(), 0, 0
        self._directory.drop()

    # --- one connection

    @contextlib.contextmanager
    def _lent(self, connection: AtConnection) -> Iterator[AtConnection]:
        """Lend a connection for one request."""
        try:
            yield connection
        except NetworkError as error:
            if self._closed:
                raise Cancelled("the client was closed") from error
            raise
        finally:
            self._give_back(connection)

    def _maybe_idle(self) -> Optional[AtConnection]:
        """Take the connection that was used last: it is the least likely to be stale."""
        while True:
            with self._lock:
                self._check_open()
                expired = self._take_expired()
                connection = self._idle.pop().connection if self._idle else None
                if connection is not None:
                    self._busy.add(connection)
            for old in expired:
                old.close()
            if connection is None:
                return None
            if not connection.is_stale:
                with self._lock:
                    self._reused += 1
                return connection
            _log.debug("connection.stale server=%s", connection.address)
            connection.close()
            self._give_back(connection)

    def _take_expired(self) -> list[AtConnection]:
        """Take the connections that have been idle for too long; the lock is held."""
        oldest = self._clock.monotonic() - self._config.idle_timeout
        expired = [entry.connection for entry in self._idle if entry.since <= oldest]
        del self._idle[: len(expired)]
        self._connections -= len(expired)
        return expired

    def _give_back(self, connection: AtConnection) -> None:
        """Keep a connection for the next request, or end it."""
        with self._lock:
            self._busy.discard(connection)
            kept = connection.usable and not self._closed
            if kept:
                self._idle.append(_Idle(connection, self._clock.monotonic()))
            else:
                self._connections -= 1
        if not kept:
            connection.close()

    def _opened_anew(self, wait: Wait) -> AtConnection:
        with self._lock:
            self._check_open()
            self._connections += 1
        return self._open(wait)

    def _open(self, wait: Wait) -> AtConnection:
        """Make the connection that has been counted already."""
        try:
            connection = self._connect(wait)
        except BaseException:
            with self._lock:
                self._connections -= 1
            raise
        with self._lock:
            self._busy.add(connection)
            self._opened += 1
            self._logins += connection.logged_in
            closed = self._closed
        if closed:  # meanwhile
            connection.close()
            self._give_back(connection)
            raise Cancelled("the client was closed")
        return connection

    def _connect(self, wait: Wait) -> AtConnection:
        """Connect and log in; where the server has moved, there."""
        address = self._directory.resolve(self.atsign, wait)
        try:
            return self._connect_to(address, wait)
        except NetworkError:
            moved = self._directory.moved_from(self.atsign, address, wait)
            if moved is None:
                raise
            return self._connect_to(moved, wait)

    def _connect_to(self, address: Address, wait: Wait) -> AtConnection:
        connection = AtConnection.open(
            address,
            self._context,
            atsign=self.atsign,
            login=self._login,
            wait=wait,
            connect_timeout=self._config.connect_timeout,
            request_timeout=self._config.request_timeout,
        )
        _log.debug("connection.opened server=%s logged_in=%s", address, connection.logged_in)
        return connection

    def _check_open(self) -> None:
        if self._closed:
            raise Cancelled("the client was closed")

    def __repr__(self) -> str:
        with self._lock:
            idle, busy, total = len(self._idle), len(self._busy), self._connections
        return f"<ConnectionPool {self.atsign} {idle} idle, {busy} busy, {total} in all>"
