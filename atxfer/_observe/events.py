"""What happened: frozen values, told to whoever listens.

An event carries names, sizes and seconds, never payloads, keys or tokens. Its name is stable: it
is what a program may search its log for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Callable, ClassVar

__all__ = [
    "Bus",
    "CallbackFailed",
    "ChunkFetched",
    "ChunkStored",
    "Event",
    "GateClosed",
    "RequestAnswered",
    "RequestFailed",
    "RequestRetried",
    "RetryRefused",
    "TransferCancelled",
    "TransferCompleted",
    "TransferFailed",
    "TransferResumed",
    "TransferStarted",
]


@dataclass(frozen=True)
class Event:
    """Base of all events.

    Attributes:
        name: Its stable name.
        level: How loud it is told, as a level of :mod:`logging`.
    """

    name: ClassVar[str] = ""
    level: ClassVar[int] = logging.DEBUG


@dataclass(frozen=True)
class TransferStarted(Event):
    """A file is about to move; ``direction`` is ``up`` or ``down``."""

    name = "transfer.started"
    direction: str
    file: str
    size: int
    chunks: int


@dataclass(frozen=True)
class TransferResumed(Event):
    """An upload goes on that was interrupted; so many of its chunks are at the server already."""

    name = "transfer.resumed"
    level = logging.INFO
    file: str
    file_id: str
    chunks: int


@dataclass(frozen=True)
class TransferCompleted(Event):
    """A file has arrived, whole and verified."""

    name = "transfer.completed"
    level = logging.INFO
    direction: str
    file: str
    size: int
    seconds: float
    requests: int
    retries: int
    peak_in_flight: int


@dataclass(frozen=True)
class TransferFailed(Event):
    """A file did not arrive; ``error`` is the name of the cause."""

    name = "transfer.failed"
    level = logging.INFO
    direction: str
    file: str
    error: str
    seconds: float


@dataclass(frozen=True)
class TransferCancelled(Event):
    """A transfer was ended by its caller."""

    name = "transfer.cancelled"
    level = logging.INFO
    direction: str
    file: str
    seconds: float


@dataclass(frozen=True)
class ChunkStored(Event):
    """A server has confirmed a chunk."""

    name = "chunk.stored"
    file: str
    index: int
    size: int


@dataclass(frozen=True)
class ChunkFetched(Event):
    """A chunk was read, opened and written to its place."""

    name = "chunk.fetched"
    file: str
    index: int
    size: int


@dataclass(frozen=True)
class RequestAnswered(Event):
    """A request succeeded, ``seconds`` after its permit."""

    name = "request.answered"
    destination: str
    request: str
    seconds: float


@dataclass(frozen=True)
class RequestFailed(Event):
    """One attempt of a request failed; ``answered`` if it was the server that said so."""

    name = "request.failed"
    destination: str
    request: str
    error: str
    seconds: float
    answered: bool


@dataclass(frozen=True)
class RequestRetried(Event):
    """A request will be tried again, ``wait`` seconds from now."""

    name = "request.retried"
    destination: str
    request: str
    error: str
    attempt: int
    wait: float


@dataclass(frozen=True)
class RetryRefused(Event):
    """A request could have been tried again, but too much of the traffic is retries already."""

    name = "retry.refused"
    destination: str
    request: str
    error: str


@dataclass(frozen=True)
class GateClosed(Event):
    """The server has too much to do; nothing is sent to it for so many seconds."""

    name = "gate.closed"
    destination: str
    error: str
    seconds: float


@dataclass(frozen=True)
class CallbackFailed(Event):
    """A progress callback raised, or never came back; the transfer went on without it."""

    name = "callback.failed"
    level = logging.WARNING
    file: str
    error: str


Listener = Callable[[Event], None]


class Bus:
    """Tells every event to every listener, in the thread where it happened."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def emit(self, event: Event) -> None:
        """Tell an event. Listeners are quick, take no lock of the engine, and do not raise."""
        for listener in self._listeners:
            listener(event)
