"""What every transfer of one engine needs at hand."""

from __future__ import annotations

from dataclasses import dataclass

from atxfer._engine.attempt import Attempter
from atxfer._engine.window import Window
from atxfer._observe.events import Bus
from atxfer._observe.progress import Dispatcher
from atxfer.config import TransferConfig

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """The parts of an engine, for the modules that drive a transfer.

    Attributes:
        config: How fast, how patient, how large.
        bus: Who is told what happens.
        attempter: Sends requests, again where that makes sense.
        window: The byte budget.
        dispatcher: Calls progress callbacks.
    """

    config: TransferConfig
    bus: Bus
    attempter: Attempter
    window: Window
    dispatcher: Dispatcher
