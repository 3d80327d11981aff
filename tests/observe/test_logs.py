"""Events as log lines."""

from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys

import pytest

from atxfer._observe import events
from atxfer._observe.events import (
    Bus,
    CallbackFailed,
    ChunkStored,
    Event,
    RequestRetried,
    TransferCompleted,
)
from atxfer._observe.logs import log_event

KINDS = [
    kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
]


def test_a_chunk_is_one_line_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """Its event name first, then what it knows."""
    caplog.set_level(logging.DEBUG, "atxfer")
    log_event(ChunkStored("report.pdf", 3, 8192))
    assert caplog.record_tuples == [
        ("atxfer.engine", logging.DEBUG, "chunk.stored file=report.pdf index=3 size=8192")
    ]


def test_a_transfer_is_one_line_at_info(caplog: pytest.LogCaptureFixture) -> None:
    """Seconds with three digits."""
    caplog.set_level(logging.INFO, "atxfer")
    log_event(ChunkStored("report.pdf", 3, 8192))
    log_event(TransferCompleted("up", "a", 10, 1.23456, 4, 1, 2))
    (record,) = caplog.records
    assert record.getMessage() == (
        "transfer.completed direction=up file=a size=10 seconds=1.235 requests=4 retries=1"
        " peak_in_flight=2"
    )


def test_what_the_user_should_mend_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A callback of theirs that fails."""
    log_event(CallbackFailed("a", "ZeroDivisionError: oh"))
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize("name", ["line\nbreak", "two words", "", "\x1b[31mred"])
def test_a_hostile_name_stays_on_its_line(caplog: pytest.LogCaptureFixture, name: str) -> None:
    """Nobody writes log lines of his own by naming a file."""
    caplog.set_level(logging.DEBUG, "atxfer")
    log_event(ChunkStored(name, 0, 1))
    message = caplog.records[0].getMessage()
    assert message.isprintable()
    assert f"file={name!r} index=0" in message


def test_names_are_stable_and_different() -> None:
    """A program may search its log for them."""
    assert sorted(kind.name for kind in KINDS) == [
        "callback.failed",
        "chunk.fetched",
        "chunk.stored",
        "gate.closed",
        "request.answered",
        "request.failed",
        "request.retried",
        "retry.refused",
        "transfer.cancelled",
        "transfer.completed",
        "transfer.failed",
        "transfer.resumed",
        "transfer.started",
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_events_hold_names_and_sizes_only(kind: type[Event]) -> None:
    """No field of an event can hold a payload, a key or a token."""
    assert {field.type for field in dataclasses.fields(kind)} <= {"str", "int", "float", "bool"}


def test_every_listener_hears_every_event() -> None:
    """In order, in the thread where it happened."""
    first: list[Event] = []
    second: list[Event] = []
    bus = Bus(first.append, second.append)
    event = RequestRetried("a", "r", "Overloaded", 2, 1.0)
    bus.emit(event)
    assert first == second == [event]


def test_a_program_that_configures_no_logging_hears_nothing() -> None:
    """Not even of a warning: the library has a NullHandler."""
    script = (
        "from atxfer._observe.logs import log_event\n"
        "from atxfer._observe.events import CallbackFailed\n"
        "log_event(CallbackFailed('a', 'oh'))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
