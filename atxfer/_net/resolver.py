"""Names of hosts to addresses, in time: the system's look-up knows neither deadline nor cancel."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, NamedTuple, Union

from atxfer.waiting import Deadline, Wait

__all__ = ["Endpoint", "resolve"]


class Endpoint(NamedTuple):
    """One address of a host, as ``socket.connect`` takes it."""

    family: int
    sockaddr: Any


def resolve(host: str, port: int, wait: Wait, deadline: Deadline) -> list[Endpoint]:
    """Return the addresses of a host, in the order in which to try them.

    Raises:
        OSError: There is none, or the look-up failed; ``socket.timeout`` when the deadline passed.
        UnicodeError: No host can have this name.
        Cancelled, DeadlineExceeded: As :meth:`Wait.check` does.
    """
    with contextlib.suppress(OSError):
        return _look_up(host, port, socket.AI_NUMERICHOST)  # an address as it stands: no waiting
    look_up = _LookUp(host, port)
    look_up.start()
    wait.acquire(lambda seconds: look_up.ended(seconds, deadline))
    if isinstance(look_up.outcome, Exception):
        raise look_up.outcome
    return look_up.outcome


class _LookUp(threading.Thread):
    """A look-up on a thread of its own, so that its caller can leave before it ends.

    A daemon: the C library gives up by itself after some seconds, and no exit waits for it.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name=f"atxfer-resolve-{host}", daemon=True)
        self._host = host
        self._port = port
        self.outcome: Union[list[Endpoint], Exception] = []

    def run(self) -> None:
        """Look the host up; what went wrong is the caller's to raise."""
        try:
            self.outcome = _look_up(self._host, self._port, 0)
        except (OSError, UnicodeError) as error:
            self.outcome = error

    def ended(self, seconds: float, deadline: Deadline) -> bool:
        """Wait so long at most, and return whether there is an outcome."""
        left = deadline.remaining()
        self.join(seconds if left is None else min(seconds, left))
        if self.is_alive() and deadline.expired:
            raise socket.timeout("timed out")
        return not self.is_alive()


def _look_up(host: str, port: int, flags: int) -> list[Endpoint]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [Endpoint(family, sockaddr) for family, _, _, _, sockaddr in found]
