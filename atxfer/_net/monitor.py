"""What an atServer pushes to a connection that monitors it (facts §8).

A notification is a hint and no more: it may be lost, doubled, or overtake the record it tells of.
A real server writes the record after it has pushed the notification, and when two come at the same
moment it may push one of them twice and the other never (at_server, ``notify_verb_handler.dart``,
``monitor_verb_handler.dart``). So the server's own notices, every 15 s and after each record that
came, are heard as well: they carry the number of its last change.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any, Optional

from atxfer._net.connection import AtConnection
from atxfer._net.pool import ConnectionPool
from atxfer.atprotocol.events import Notification
from atxfer.atprotocol.verbs import Monitor as MonitorVerb
from atxfer.errors import ConnectionLost
from atxfer.waiting import Wait

__all__ = ["SILENCE", "Monitor", "Notice"]

_log = logging.getLogger("atxfer.net")

# Seconds of listening without a word after which a connection counts as lost: three times the
# pause between two notices of the server's own.
SILENCE = 45.0
# Those notices have the key `statsNotification.@bob`. The dot stands for a capital, which a server
# that is asked without options would fold (verbs_notify.py).
_OWN_NOTICES = r"^stats.otification\."
_OWN_KEY = "statsnotification."

# Seconds that the rest of a notification may take once its beginning is there.
_REST = 30.0
# So many are handed over at a time, at the most: of 2 KB each, 2 MB.
_MOST = 1000


@dataclass(frozen=True)
class Notice:
    """One thing that a server told.

    Attributes:
        key: The whole key it is about.
        operation: ``update`` or ``delete``.
        value: The record's value; None where it isn't told.
        epoch_ms: When the server received it, in milliseconds by its clock; 0 if it doesn't say.
    """

    key: str
    operation: str
    value: Optional[str] = field(repr=False)
    epoch_ms: int

    @property
    def is_of_the_server(self) -> bool:
        """Whether it is about the server itself; its value is then that of its last change."""
        return self.key.lower().startswith(_OWN_KEY)


class Monitor:
    """One connection to the own server, on which it tells what others send.

    Args:
        pool: Connections that are logged in.
        connection: From ``pool.take``, with nothing asked of it yet.

    Threads: one at a time listens; the pool and the listener's Wait may end it from any other.
    """

    def __init__(self, pool: ConnectionPool, connection: AtConnection) -> None:
        self._pool = pool
        self._connection = connection
        self._silent = 0.0
        self._has_more = False  # perhaps, beyond what was handed over last

    @classmethod
    def open(
        cls, pool: ConnectionPool, regex: str, since_ms: Optional[int], wait: Wait, timeout: float
    ) -> Monitor:
        """Connect, and ask to be told of keys that match.

        Args:
            pool: Connections that are logged in.
            regex: Without colon and capitals.
            since_ms: Tell first what was received since then and is not forgotten yet, which a
                server does after 15 minutes; None for nothing.
            wait: Cancellation and deadline of the transfer this is for.
            timeout: Seconds to send the request.

        Raises:
            TransferError: As ``pool.ask`` does.
        """
        connection = pool.take(wait)
        try:
            verb = MonitorVerb(since_ms=since_ms, regex=f"{regex}|{_OWN_NOTICES}")
            connection.watch(verb, wait, timeout)
        except BaseException:
            pool.end(connection)
            raise
        return cls(pool, connection)

    def hear(self, wait: Wait, seconds: float) -> list[Notice]:
        """Return what the server tells, as soon as it tells something.

        Args:
            wait: Ends the listening early.
            seconds: After so many without a word, none is returned.

        Raises:
            ConnectionLost: The connection ended, or was silent for :data:`SILENCE` seconds of
                listening.
            AtError: The server refuses.
            Cancelled, DeadlineExceeded: As :meth:`Wait.check` does.
        """
        began = wait.clock.monotonic()
        first = self._heard(wait, seconds)
        if first is None:
            self._has_more = False
            # Only time spent listening counts: what came meanwhile waits in the socket.
            self._silent += wait.clock.monotonic() - began
            if self._silent >= SILENCE:
                raise ConnectionLost(f"{self._connection.address} has not been heard for a while")
            return []
        self._silent = 0.0
        return [notice for notice in map(_maybe_notice, self._with_all(first, wait)) if notice]

    def _heard(self, wait: Wait, seconds: float) -> Optional[Notification]:
        """Return the next notification; what has begun to come is waited for to its end."""
        # Without time, a stream is not even asked for what is there.
        return self._connection.heard(wait, _REST if self._connection.is_readable else seconds)

    @property
    def has_news(self) -> bool:
        """Whether there may be something that :meth:`hear` returns, or raises, at once."""
        return self._has_more or self._connection.is_readable

    def _with_all(self, first: Notification, wait: Wait) -> list[Notification]:
        """Return a notification and those that are there behind it."""
        told = [first]
        following: Optional[Notification] = first
        while following is not None and len(told) < _MOST:
            try:
                following = self._heard(wait, 0.0)
            except ConnectionLost:
                break  # the next call raises it again
            if following is not None:
                told.append(following)
        self._has_more = following is not None
        return told

    def close(self) -> None:
        """End the connection. Never raises; may be called twice."""
        self._pool.end(self._connection)

    def __repr__(self) -> str:
        return f"<Monitor on {self._connection!r}>"


def _maybe_notice(notification: Notification) -> Optional[Notice]:
    """Read a notification; None if it is of no form we know, as a text of another program's."""
    try:
        values: dict[str, Any] = json.loads(notification.text)
        key, value = values["key"], values.get("value")
        operation, epoch_ms = values.get("operation"), values.get("epochMillis")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        _log.debug("monitor.unreadable")
        return None
    if not isinstance(key, str) or not isinstance(value, (str, type(None))):
        _log.debug("monitor.unreadable")
        return None
    return Notice(
        key, str(operation), value, epoch_ms if type(epoch_ms) is int and epoch_ms > 0 else 0
    )
