"""What a connection tells about the bytes it was given."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Union

__all__ = [
    "NEED_DATA",
    "Answer",
    "Closed",
    "Command",
    "Event",
    "Failure",
    "NeedData",
    "Notification",
    "Oversized",
]


@dataclass(frozen=True)
class Answer:
    """The server did what it was asked.

    Attributes:
        data: All that follows ``data:``, to the end of the line. ``null`` is a record whose time to
            live is over, or an update that the server could not store.
    """

    data: str = field(repr=False)


@dataclass(frozen=True)
class Failure:
    """The server refused or failed.

    Attributes:
        code: ``AT0015`` and the like; empty if the answer names none.
        message: The server's words, which may quote what was sent: not for logs.
    """

    code: str
    message: str = field(repr=False)


@dataclass(frozen=True)
class Notification:
    """The server pushed a notification to a monitor.

    Attributes:
        text: One JSON object.
    """

    text: str = field(repr=False)


@dataclass(frozen=True)
class Command:
    """A client sent a line (server role).

    Attributes:
        line: The line, without the white space around it.
    """

    line: str = field(repr=False)


@dataclass(frozen=True)
class Oversized:
    """A client's line passed the buffer (server role): answer AT0005 and close."""


@dataclass(frozen=True)
class Closed:
    """The other side ended the connection."""


class NeedData(enum.Enum):
    """The type of :data:`NEED_DATA`."""

    NEED_DATA = "NEED_DATA"


NEED_DATA = NeedData.NEED_DATA
"""There is no event yet: give more bytes."""

Event = Union[Answer, Failure, Notification, Command, Oversized, Closed]
