"""Connections in a given state, and bytes given to them in every way a network may."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Optional

from atxfer.atprotocol.codec import Connection, Role
from atxfer.atprotocol.events import NEED_DATA, Closed, Event
from atxfer.atprotocol.verb import Found, Verb, grammar
from atxfer.atprotocol.verbs import Noop, Pkam


class Line(Verb):
    """A line as it is: what the transcript sent, be it right or wrong."""

    form = grammar(".*")

    def __init__(self, text: str) -> None:
        self.text = text
        self.logs_in = text.startswith(("pkam:", "cram:"))  # type: ignore[misc]
        self.pushes = text.startswith("monitor")  # type: ignore[misc]

    def encode(self) -> str:
        """Return the line."""
        return self.text

    @classmethod
    def build(cls, found: Found) -> Verb:
        """Not for servers."""
        raise NotImplementedError


def client(sent: Optional[Verb] = None, *, logged_in: bool = False, **options: int) -> Connection:
    """Return @alice's connection that has been greeted, logged in if asked, and has sent this."""
    connection = Connection(Role.CLIENT, atsign="@alice", **options)
    read(connection, [b"@"])
    if logged_in:
        connection.send(Pkam("c2lnbmVk"))
        read(connection, [b"data:success\n@alice@"])
    if sent is not None:
        connection.send(sent)
    return connection


def asking(*, logged_in: bool = False, **options: int) -> Connection:
    """Return a connection that waits for one answer."""
    return client(Noop(), logged_in=logged_in, **options)


def read(connection: Connection, pieces: Iterable[bytes]) -> list[Event]:
    """Give the pieces one after another, and return all events they make."""
    events: list[Event] = []
    for piece in pieces:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not NEED_DATA:
            events.append(event)
            if isinstance(event, Closed):
                break
    return events


def splits(data: bytes, most: int = 200) -> Iterator[list[bytes]]:
    """Yield the bytes whole, one by one, and cut at every place if they are few."""
    yield [data]
    yield [data[place : place + 1] for place in range(len(data))]
    if len(data) <= most:
        for place in range(1, len(data)):
            yield [data[:place], data[place:]]


def tr(connection: Connection, data: bytes, expected: list[Event]) -> None:
    """Assert that these bytes make these events, however they are split; read them for good."""
    for pieces in splits(data):
        assert read(copy.deepcopy(connection), pieces) == expected
    assert read(connection, [data]) == expected
