"""When what has failed is tried again, for as long as somebody waits for it."""

from __future__ import annotations

import sys
from random import Random
from typing import Optional

from atxfer._policy.retry import Attempts, Decision, GiveUp, Limits, decide
from atxfer.config import TransferConfig
from atxfer.errors import TransferError
from atxfer.waiting import SYSTEM_CLOCK, Clock

__all__ = ["Patience"]

# More failures in a row make no longer waits: 0.5 s, doubled so often, are six days.
_MOST_REMEMBERED = 20


class Patience:
    """One thing that fails now and then, tried again by the retry table, however often.

    Args:
        config: How long the waits are.
        clock: The seam for fake time.

    Attributes:
        error: What it failed with last; None since it has succeeded.

    Threads: not for sharing.
    """

    def __init__(self, config: TransferConfig, clock: Clock = SYSTEM_CLOCK) -> None:
        self.error: Optional[TransferError] = None
        self._limits = Limits(
            sys.maxsize,
            config.backoff_initial,
            config.backoff_max,
            config.backoff_jitter,
            config.retry_after_cap,
        )
        self._clock = clock
        self._rng = Random()  # noqa: S311  # jitter is no secret
        self._history = Attempts()
        self._at = clock.monotonic()

    @property
    def seconds(self) -> float:
        """How long it is until the next try."""
        return max(0.0, self._at - self._clock.monotonic())

    def succeeded(self) -> None:
        """Begin anew with short waits."""
        self.error = None
        self._history = Attempts()
        self._at = self._clock.monotonic()

    def failed(self, error: TransferError) -> None:
        """Wait before the next try, longer each time.

        Raises:
            TransferError: The same, or what becomes of it, if it does not pass by itself.
        """
        decision = self._decide(error)
        if isinstance(decision, GiveUp):
            raise decision.error
        self._at = self._clock.monotonic() + decision.wait

    def put_off(self, error: TransferError) -> None:
        """Do the same where nothing is so bad that it must not be tried again."""
        decision = self._decide(error)
        wait = self._limits.maximum if isinstance(decision, GiveUp) else decision.wait
        self._at = self._clock.monotonic() + wait

    def _decide(self, error: TransferError) -> Decision:
        self.error = error
        self._history = Attempts(self._history.after(error).causes[-_MOST_REMEMBERED:])
        return decide(error, self._history, self._limits, self._rng)
