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
            key, value, metadata = found["key"], found["data"], found["metaData"]
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError("no record with key and metadata") from error
        if not (isinstance(key, str) and isinstance(value, str) and isinstance(metadata, dict)):
            raise ValueError("a record holds something else than text")
        return cls(replace(AtKey.parse(key), is_cached=False), value, Metadata.from_json(metadata))
