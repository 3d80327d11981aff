"""What a server's answers about records mean. Pure functions."""

from __future__ import annotations

import json
from typing import Any, Optional, Union

from atxfer._net.records import EXPIRED
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import AtError, KeyNotFound
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.metadata import Metadata
from atxfer.errors import AnswerMissing, ManifestInvalid, ProtocolViolation, ServerFault

__all__ = ["Reply", "check_stored", "keys_of", "maybe_value", "record_of"]

Reply = Union[Answer, AtError, None]
"""The answer to one command of several; None where the server left it out."""


def maybe_value(reply: Reply) -> Optional[str]:
    """Return what a look-up gave; None if there is no such record, or its time is over.

    Raises:
        TransferError: The server did not say. It must not be taken for a record that is not there.
    """
    if reply is None:
        raise AnswerMissing("the server left a command without an answer")
    if isinstance(reply, KeyNotFound):
        return None
    if isinstance(reply, AtError):
        raise reply
    return None if reply.data == EXPIRED else reply.data


def check_stored(reply: Reply) -> None:
    """Return if an update or a delete was done.

    Raises:
        ServerFault: What goes wrong in the data store, the server swallows, and answers ``null``
            instead of a commit id (at_secondary 3.0.52, update_verb_handler.dart).
        TransferError: It failed otherwise.
    """
    if isinstance(reply, AtError):
        raise reply
    if maybe_value(reply) is None:
        raise ServerFault("the server's data store failed without a word")


def keys_of(text: str) -> list[AtKey]:
    """Read the answer of ``scan``; what is no key is left out.

    Raises:
        ProtocolViolation: It is no list. Not an empty one in doubt: a file must not seem to be
            gone.
    """
    try:
        names = json.loads(text)
    except ValueError as error:
        raise ProtocolViolation("the server's list of keys is no JSON") from error
    if not isinstance(names, list):
        raise ProtocolViolation("the server's list of keys is none")
    found = (_maybe_key(name) for name in names)
    return [key for key in found if key is not None]


def _maybe_key(name: Any) -> Optional[AtKey]:
    try:
        return AtKey.parse(name) if isinstance(name, str) else None
    except ValueError:
        return None


def record_of(text: str, file_id: str) -> tuple[str, Metadata]:
    """Split the answer of a look-up of a manifest with ``all:`` into value and metadata.

    Raises:
        ManifestInvalid: It is no such answer.
    """
    try:
        record: dict[str, Any] = json.loads(text)
        return str(record["data"]), Metadata.from_json(record["metaData"])
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestInvalid("the server's record can't be read", file_id=file_id) from error
