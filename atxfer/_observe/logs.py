"""Events as log lines: ``chunk.stored file=report.pdf index=3 size=8192``.

One line a chunk at DEBUG, one a transfer at INFO. Nothing is printed unless the program that uses
atxfer configures :mod:`logging`.
"""

from __future__ import annotations

import logging
from dataclasses import fields

from atxfer._observe.events import Event

__all__ = ["log_event"]

logging.getLogger("atxfer").addHandler(logging.NullHandler())
_LOGGER = logging.getLogger("atxfer.engine")


def log_event(event: Event) -> None:
    """Write an event to the logger ``atxfer.engine``, at the event's level."""
    if _LOGGER.isEnabledFor(event.level):
        pairs = [f"{f.name}={_shown(getattr(event, f.name))}" for f in fields(event)]
        _LOGGER.log(event.level, "%s %s", event.name, " ".join(pairs))


def _shown(value: object) -> str:
    """Return a value on one line: file names come from others and may hold anything."""
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    return text if text and text.isprintable() and " " not in text else repr(text)
