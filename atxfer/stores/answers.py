"""What an atServer's answers to one request say of each of its chunks. Pure functions.

Answers come by position; ``indexes`` names the chunk of each command, in the same order. A chunk
may have several commands.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Union

from atxfer._net.records import EXPIRED
from atxfer.atprotocol.errors import AtError, KeyNotFound
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.metadata import Metadata
from atxfer.errors import (
    AnswerMissing,
    ChunkMissing,
    ProtocolViolation,
    RetryableError,
    ServerFault,
    TransferError,
)
from atxfer.stores.base import ChunksFailed

__all__ = [
    *("Answers", "check", "check_stored", "end_of", "failures"),
    *("nulls", "telling", "written_at"),
]

Answers = dict[int, Union[Answer, AtError]]


def failures(indexes: Sequence[int], answers: Answers) -> dict[int, TransferError]:
    """Return the cause for each chunk of which a command did not succeed."""
    failed: dict[int, TransferError] = {}
    for place, index in enumerate(indexes):
        answer = answers.get(place)
        if answer is None:
            failed[index] = AnswerMissing("the server left a command without an answer")
        elif isinstance(answer, KeyNotFound):
            failed[index] = ChunkMissing(f"chunk {index} is not on the server", chunk=index)
        elif isinstance(answer, TransferError):
            failed[index] = answer
    return failed


def nulls(indexes: Sequence[int], answers: Answers) -> frozenset[int]:
    """Return the chunks of which a command was answered with ``null``."""
    return frozenset(
        index
        for place, index in enumerate(indexes)
        if isinstance(answer := answers.get(place), Answer) and answer.data == EXPIRED
    )


def end_of(metadata: str) -> float:
    """Return the epoch second at which a record ends, by the server's clock; infinity for never.

    Args:
        metadata: What a look-up with ``meta:`` has given.

    Raises:
        ProtocolViolation: It is none.
    """
    expires_at = _read(metadata).expires_at
    return math.inf if expires_at is None else expires_at


def written_at(metadata: str) -> float:
    """Return when a record was last written, the same way; infinity if the server doesn't say.

    So one of which nobody knows how old it is, counts as new.
    """
    updated_at = _read(metadata).updated_at
    return math.inf if updated_at is None else updated_at


def _read(metadata: str) -> Metadata:
    try:
        return Metadata.from_json(json.loads(metadata))
    except (ValueError, TypeError, AttributeError) as error:
        raise ProtocolViolation("the server's metadata can't be read") from error


def telling(failed: dict[int, TransferError]) -> TransferError:
    """Return the error that says most: a final one before one that may pass."""
    final = [error for error in failed.values() if not isinstance(error, RetryableError)]
    return (final or list(failed.values()))[0]


def check(indexes: Sequence[int], answers: Answers) -> None:
    """Raise what says most, if a command failed."""
    failed = failures(indexes, answers)
    if failed:
        raise telling(failed)


def check_stored(indexes: Sequence[int], answers: Answers) -> None:
    """Return if every update was done.

    The server swallows what goes wrong in its data store, and answers ``null`` instead of a commit
    id (at_secondary 3.0.52, update_verb_handler.dart).

    Raises:
        ChunksFailed: Some were not; it names their chunks.
    """
    failed = failures(indexes, answers)
    for index in sorted(nulls(indexes, answers)):
        failed.setdefault(
            index, ServerFault("the server's data store failed without a word", chunk=index)
        )
    if failed:
        total = len(set(indexes))
        raise ChunksFailed(f"{len(failed)} of {total} chunks were not stored", failed)
