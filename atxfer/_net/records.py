"""Several records in one request, with what a record's time to live means on the wire."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Optional, Union

from atxfer._net.pool import ConnectionPool
from atxfer.atprotocol.errors import AtError, InvalidSyntax, KeyNotFound
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.verbs import Batch, Verb
from atxfer.waiting import Wait

__all__ = ["EXPIRED", "Records", "ttl_ms"]

# What a server answers for a record whose time is over or has not come (facts §5). A value of this
# text could not be told from it, so none is ever stored.
EXPIRED = "null"


def ttl_ms(ttl: Optional[float]) -> int:
    """Return a time to live in the wire's unit; 0 clears what an earlier record left (facts §5)."""
    return 0 if ttl is None else int(ttl * 1000)


class Records:
    """Asks one server several things at once.

    Threads: may be shared.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._batches = True  # until the server answers that it knows none; only ever cleared
        self._lock = threading.Lock()  # guards _batches

    def ask(self, verbs: Sequence[Verb], wait: Wait) -> dict[int, Union[Answer, AtError]]:
        """Return the answers by position; a command that the server left out has none.

        One ``batch:`` carries them. A server that knows no batch is asked one by one, from its
        first refusal on.

        Raises:
            TransferError: The request as a whole failed.
        """
        if len(verbs) > 1 and self._batches:
            try:
                answers = Batch.read(self._pool.ask(Batch(tuple(verbs)), wait).data)
            except InvalidSyntax:
                with self._lock:
                    self._batches = False
            else:
                return {number - 1: answer for number, answer in answers.items()}
        return {place: self._ask_one(verb, wait) for place, verb in enumerate(verbs)}

    def _ask_one(self, verb: Verb, wait: Wait) -> Union[Answer, AtError]:
        try:
            return self._pool.ask(verb, wait)
        except KeyNotFound as error:
            return error

    def ask_one(self, verb: Verb, wait: Wait) -> Answer:
        """Return the answer to one command.

        Raises:
            TransferError: It failed.
        """
        return self._pool.ask(verb, wait)

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Make one more connection ready."""
        return self._pool.prepare(wait, enough)
