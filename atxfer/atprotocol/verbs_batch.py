"""Several commands in one request (facts §6).

The server does them in their order; the failure of one stops nothing, and one that opens with no
verb is left out of the answer without a word.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Optional, Union

from atxfer.atprotocol.dartjson import expect, read_json
from atxfer.atprotocol.errors import AtError, RemoteProtocolError, error_for
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.verb import TEXT, Found, Verb, grammar

__all__ = ["Batch", "BatchEntry", "BatchRequest"]


@dataclass(frozen=True)
class BatchEntry:
    """One command of a batch as it goes over the wire.

    Attributes:
        number: Its id; None where a client gave none.
        line: The command.
    """

    number: Optional[int]
    line: str = field(repr=False)


@dataclass(frozen=True)
class BatchRequest(Verb):
    """A batch as the server reads it: ids may be anything, and commands may be none."""

    entries: tuple[BatchEntry, ...]

    usage: ClassVar[str] = (
        'e.g batch:[{"id":1, "commmand":"update:location@alice newyork"},'
        '{"id":2, "commmand":"delete:location@alice"}]'
    )
    form = grammar(f"batch:(?P<json>{TEXT}+)")

    def encode(self) -> str:
        """Return the line."""
        commands = [{"id": entry.number, "command": entry.line} for entry in self.entries]
        return "batch:" + json.dumps(commands, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def build(cls, found: Found) -> BatchRequest:
        """Make the verb from the parts of its line.

        Raises:
            UnexpectedException: It is no JSON; the server closes the connection.
            InternalError: It is JSON of another shape.
        """
        commands = expect(list, read_json(found["json"] or ""), "Iterable<dynamic>")
        return cls(tuple(_entry(command) for command in commands))


@dataclass(frozen=True)
class Batch(Verb):
    """Several commands in one request, with the ids 1 to n in their order."""

    commands: tuple[Verb, ...]

    form = BatchRequest.form

    def encode(self) -> str:
        """Return the line."""
        lines = enumerate((command.encode() for command in self.commands), start=1)
        return BatchRequest(tuple(BatchEntry(number, line) for number, line in lines)).encode()

    @classmethod
    def build(cls, found: Found) -> BatchRequest:
        """Read it as the server does: what was sent need not be one of ours."""
        return BatchRequest.build(found)

    @staticmethod
    def read(text: str) -> dict[int, Union[Answer, AtError]]:
        """Read the server's answer, by id. What the server left out is not in it.

        A record whose time is over has a response without ``data``; it reads as ``null``, as it
        does outside a batch.

        Args:
            text: What follows ``data:``.

        Raises:
            RemoteProtocolError: It is no answer to a batch.
        """
        try:
            pairs = [(entry["id"], _outcome(entry["response"])) for entry in json.loads(text)]
            answers = dict(pairs)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RemoteProtocolError("the answer to a batch can't be read") from error
        if len(answers) != len(pairs) or any(type(number) is not int for number in answers):
            raise RemoteProtocolError("the answer to a batch has an id twice, or a wrong one")
        return answers


def _outcome(response: Any) -> Union[Answer, AtError]:
    """Read one response; a TypeError if it is none."""
    if not isinstance(response, dict):
        raise TypeError("a response is no object")
    code = response.get("error_code")
    data = response.get("data")
    words = response.get("error_message") or ""
    if not all(isinstance(text, (str, type(None))) for text in (code, data, words)):
        raise TypeError("a response holds something else than text")
    if code is not None or words:
        return error_for(code or "", words)
    return Answer("null" if data is None else data)


def _entry(command: Any) -> BatchEntry:
    """Read one command, or fail as the server does (transcript)."""
    values = expect(dict, command, "Map<String, dynamic>")
    number = values.get("id")
    if number is not None:
        expect(int, number, "int?")
    return BatchEntry(number, expect(str, values.get("command"), "String"))
