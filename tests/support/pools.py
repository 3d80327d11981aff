"""A pool whose answers are written down beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Union

from atxfer.atprotocol.errors import InvalidSyntax, error_for
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.verbs import Batch, Verb
from atxfer.errors import TransferError
from atxfer.waiting import Wait

Reply = Union[str, TransferError]


class FakePool:
    """Answers each command by a function of its line.

    Args:
        reply: Returns the text behind ``data:``, or the error.
        knows_batch: Whether ``batch:`` is understood.
        left_out: Places of a batch that get no answer, from 1.
        atsign: Whose server it stands for.
    """

    def __init__(
        self,
        reply: Callable[[str], Reply] = lambda line: "-1",
        *,
        knows_batch: bool = True,
        left_out: tuple[int, ...] = (),
        atsign: str = "@alice",
    ) -> None:
        self.atsign = atsign
        self._reply = reply
        self._knows_batch = knows_batch
        self._left_out = left_out
        self.requests: list[str] = []
        self.prepared = 0

    def ask(self, verb: Verb, wait: Wait) -> Answer:
        """Answer one request."""
        line = verb.encode()
        self.requests.append(line)
        if not isinstance(verb, Batch):
            return self._single(line)
        if not self._knows_batch:
            raise InvalidSyntax("invalid command")
        entries = enumerate(verb.commands, start=1)
        answers = [self._entry(n, c.encode()) for n, c in entries if n not in self._left_out]
        return Answer(json.dumps(answers))

    def prepare(self, wait: Wait) -> None:
        """Count."""
        self.prepared += 1

    def _single(self, line: str) -> Answer:
        reply = self._reply(line)
        if isinstance(reply, TransferError):
            raise reply
        return Answer(reply)

    def _entry(self, number: int, line: str) -> dict[str, object]:
        reply = self._reply(line)
        if isinstance(reply, TransferError):
            code = getattr(reply, "code", "")
            return {"id": number, "response": {"error_code": code, "error_message": "no"}}
        return {"id": number, "response": {"data": reply}}


def missing() -> TransferError:
    """Return what a server answers for a key that is not there."""
    return error_for("AT0015", "key not found")
