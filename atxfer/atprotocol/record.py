"""What a look-up with ``all:`` answers: a record with its key and its metadata, as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.metadata import Metadata

__all__ = ["Record"]


@dataclass(frozen=True)
class Record:
    """A record as its owner's server, or a copy on another, has it.

    Attributes:
        key: Its whole key, also where it is a copy.
        value: Its value.
        metadata: What it carries beside its value.
    """

    key: AtKey
    value: str = field(repr=False)
    metadata: Metadata

    @classmethod
    def read(cls, text: str) -> Record:
        """Read an answer.

        Raises:
            ValueError: It is none.
        """
        try:
            found = json.loads(text)
            key, value = AtKey.parse(found["key"]), found["data"]
            metadata = Metadata.from_json(found["metaData"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("this is no record with its key and its metadata") from error
        if not isinstance(value, str):
            raise ValueError("this is no record: its value is no text")
        return cls(replace(key, is_cached=False), value, metadata)
