"""Other atSigns' servers, asked through one's own.

Two servers share one connection and pair answers by their order, so that of questions asked side by
side many get another one's answer (facts §7). One at a time, all are right; but other programs of
the same atSign ask as well, so who asks must look at what the answer holds.
"""

from __future__ import annotations

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
        self.reset()

    def reset(self) -> None:
        """Begin anew: in the child of a fork no lock can be trusted."""
        self._turn = threading.Lock()  # held while a question is under way

    def ask(self, verb: Verb, wait: Wait) -> Answer:
        """Return the answer; :data:`EXPIRED` for a record whose time is over.

        Raises:
            KeyNotFound: There is no such record, for us.
            TransferError: As :meth:`ConnectionPool.ask`.
        """
        turn = self._turn
        wait.acquire(lambda seconds: turn.acquire(timeout=seconds))
        try:
            return self._pool.ask(verb, wait)
        except KeyNotFound as error:
            # Our server makes the same error of the other's ``null`` as of a key that never was;
            # only its words differ (seen on 3.0.52).
            if f"String value '{EXPIRED}'" in error.message:
                return Answer(EXPIRED)
            raise
        finally:
            turn.release()
