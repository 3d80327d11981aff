"""Records of one server in a dictionary, for a :class:`~tests.support.pools.FakePool`."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.pools import Reply, missing


class Shelf:
    """Stores, gives back, lists and removes records, as a server answers that.

    Attributes:
        records: Value and metadata by whole key.
        lost: Keys whose update is answered with ``null``, as a server does whose store has failed.
    """

    def __init__(self) -> None:
        self.records: dict[str, tuple[str, dict[str, Any]]] = {}
        self.lost: set[str] = set()

    def __call__(self, line: str) -> Reply:
        """Answer one command."""
        verb, _, rest = line.partition(":")
        if verb == "update":
            return self._update(rest)
        if verb == "delete":
            self.records.pop(rest, None)
            return "7"
        if verb == "llookup":
            return self._llookup(rest)
        pattern = re.compile(line.partition(" ")[2])
        return json.dumps([key for key in self.records if pattern.search(key)])

    def _update(self, rest: str) -> Reply:
        head, value = rest.split(" ", 1)
        found = re.fullmatch(r"((?:[A-Za-z]+:[^:@]+:)*?)((?:public:|@[^:@]+:)?[^:@]+@[^:@]+)", head)
        assert found is not None, head
        words = found[1].split(":")[:-1]
        if found[2] in self.lost:
            return "null"
        self.records[found[2]] = value, {n: _read(v) for n, v in zip(words[::2], words[1::2])}
        return "5"

    def _llookup(self, rest: str) -> Reply:
        wants_all = rest.startswith("all:")
        key = rest[4:] if wants_all else rest
        if key not in self.records:
            return missing()
        value, metadata = self.records[key]
        return json.dumps({"key": key, "data": value, "metaData": metadata}) if wants_all else value


def _read(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else text
