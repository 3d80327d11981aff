"""Other atSigns' servers, asked through one's own.

Two servers share one connection and pair answers by their order, so that of questions asked side by
side many get another one's answer (facts §7). One at a time, all are right; but other programs of
the same atSign ask as well, so who asks must look at what the answer holds.
"""

from __future__ import annotations

import contextlib
import os
import threading

from atxfer._net.pool import ConnectionPool
from atxfer._net.records import EXPIRED
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.verbs import Verb
from atxfer.waiting import Wait

__all__ = ["Relay"]


class Relay:
    """Lets one's own server ask others, one question after another.

    Args:
        pool: Connections to it, logged in.

    Threads: may be shared; each question waits for the one before it.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def turn(self, wait: Wait) -> contextlib.AbstractContextManager[None]:
        """Hold the turn of this atSign to ask, over all its clients in this process."""
        return wait.turn(_TURNS.setdefault(self._pool.atsign, threading.Lock()))

    def ask(self, verb: Verb, wait: Wait) -> Answer:
        """Return the answer; :data:`EXPIRED` for a record whose time is over.

        Raises:
            KeyNotFound: There is no such record, for us.
            TransferError: As :meth:`ConnectionPool.ask`.
        """
        try:
            with self.turn(wait):
                return self._pool.ask(verb, wait)
        except KeyNotFound as error:
            # Our server makes the same error of the other's ``null`` as of a key that never was;
            # only its words differ (seen on 3.0.52).
            if f"String value '{EXPIRED}'" in error.message:
                return Answer(EXPIRED)
            raise


# By the atSign whose server is asked to. Setting a default is one step in CPython; a forked child
# begins anew, as the holder may not exist there.
_TURNS: dict[str, threading.Lock] = {}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_TURNS.clear)
