"""Whether a failed request is tried again, and when. The one retry table of atxfer.

A store names the cause, this table decides (design §5). Nothing here waits, locks or reads a
clock: the history and the random numbers are arguments.

1. The row of an error is that of the nearest of its classes that has one, in method resolution
   order; :class:`~atxfer.errors.TransferError` itself has the row "never".
2. A Retry-After is a floor, with jitter on top of it (peers.md R13).
3. An overload answer closes the gate of the whole destination (R14); so does a server that is not
   there, because all its requests would fail alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Optional, Union

from atxfer.errors import (
    AnswerMissing,
    ChunkCorrupt,
    ConnectFailed,
    ConnectionLost,
    DirectoryUnavailable,
    Overloaded,
    RequestTimeout,
    RetryableError,
    RetryAfterTooLong,
    ServerFault,
    Throttled,
    TransferError,
)

__all__ = [
    "Attempts",
    "Decision",
    "GiveUp",
    "Limits",
    "Retry",
    "RetryBudget",
    "Row",
    "decide",
    "row_for",
    "weightiest",
]


@dataclass(frozen=True)
class Row:
    """What one cause means for the next attempt.

    Attributes:
        tries: How often a request may fail for this cause before it is given up, the first time
            included; None leaves it to ``Limits.max_attempts``.
        close_gate: Whether all requests to the destination wait, not this one alone.
    """

    tries: Optional[int] = None
    close_gate: bool = False


_NEVER = Row(tries=1)
_AGAIN = Row()
_OVERLOAD = Row(close_gate=True)
_ABSENT = Row(close_gate=True)
# A chunk that does not open may have been mixed up on its way (facts §7); one that does not open
# a second time is corrupt where it lies (peers.md scenario 14).
_ONCE_MORE = Row(tries=2)

_TABLE: dict[type[TransferError], Row] = {
    TransferError: _NEVER,
    ChunkCorrupt: _ONCE_MORE,
    RetryableError: _AGAIN,  # causes that somebody's own store adds
    # No answer, so the work may have been done: all our requests can be repeated (facts §3).
    ConnectionLost: _AGAIN,
    RequestTimeout: _AGAIN,
    # Nobody is there: while it restarts, one request finds out for all, and the others keep their
    # attempts. An atServer takes 2 s to come back (facts §11).
    DirectoryUnavailable: _ABSENT,
    ConnectFailed: _ABSENT,
    # A failure that may pass: AT0001, AT0002, AT0010, AT0011, 500, 502, 504.
    ServerFault: _AGAIN,
    # A command of a batch that the server passed over in silence (facts §6).
    AnswerMissing: _AGAIN,
    # Too much to do: AT0012, AT0024, 503; or too many requests: AT0028, 429 (facts §3, R14).
    Overloaded: _OVERLOAD,
    Throttled: _OVERLOAD,
}


def row_for(error: TransferError) -> Row:
    """Return the row of the table that an error falls under."""
    return next(_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE)


def weightiest(errors: Iterable[TransferError]) -> TransferError:
    """Return the error that decides for a request that failed in several ways at once.

    That is one that must not be tried again, or else one that closes the gate, or else the first.
    """

    def weight(error: TransferError) -> tuple[int, bool]:
        row = row_for(error)
        return (row.tries if row.tries is not None else 1000, not row.close_gate)

    return min(errors, key=weight)


@dataclass(frozen=True)
class Limits:
    """How patient retries are. Seconds.

    Attributes:
        max_attempts: Tries of one request in all.
        initial: Upper end of the first wait; it doubles with each further one.
        maximum: The longest wait.
        jitter: Whether a wait is a random part of that (full jitter), or all of it.
        retry_after_cap: The longest Retry-After that is waited out.
    """

    max_attempts: int
    initial: float
    maximum: float
    jitter: bool
    retry_after_cap: float


@dataclass(frozen=True)
class Attempts:
    """How one request failed so far."""

    causes: tuple[type[TransferError], ...] = ()

    @property
    def tries(self) -> int:
        """How often the request was tried."""
        return len(self.causes)

    def after(self, error: TransferError) -> Attempts:
        """Return the history with one more failure."""
        return Attempts((*self.causes, type(error)))

    def count(self, kind: type[TransferError]) -> int:
        """Return how often this was the cause."""
        return self.causes.count(kind)


@dataclass(frozen=True)
class Retry:
    """Try again after ``wait`` seconds; meanwhile the gate is closed, if ``close_gate``."""

    wait: float
    close_gate: bool = False


@dataclass(frozen=True)
class GiveUp:
    """Raise ``error``, for this reason; others still wait at the gate, if ``close_gate``."""

    reason: str
    error: TransferError = field(repr=False)
    wait: float = 0.0
    close_gate: bool = False


Decision = Union[Retry, GiveUp]


def decide(error: TransferError, history: Attempts, limits: Limits, rng: Random) -> Decision:
    """Decide about a request that has just failed.

    Args:
        error: Its last failure.
        history: All its failures, the last included.
        limits: How patient to be.
        rng: Where jitter comes from.
    """
    row = row_for(error)
    if row.tries == 1:
        return GiveUp("the cause does not pass by itself", error)
    floor = _floor(error)
    if floor > limits.retry_after_cap:
        text = f"the server asks for a wait of {floor:g} s, above the {limits.retry_after_cap:g} s"
        too_long = RetryAfterTooLong(f"{text} of retry_after_cap", retry_after=floor)
        return GiveUp("Retry-After is too long", too_long)
    wait = _wait(floor, history.tries, limits, rng)
    if history.tries >= limits.max_attempts:
        return GiveUp("all attempts are used up", error, wait, row.close_gate)
    if row.tries is not None and history.count(type(error)) >= row.tries:
        return GiveUp("the same happened again", error)
    return Retry(wait, row.close_gate)


def _floor(error: TransferError) -> float:
    """Return the seconds the server asked for; negative ones and nonsense count as none."""
    asked = error.retry_after
    return asked if asked is not None and math.isfinite(asked) and asked > 0 else 0.0


def _wait(floor: float, tries: int, limits: Limits, rng: Random) -> float:
    step = min(limits.maximum, limits.initial * 2.0 ** (tries - 1))
    if limits.jitter:
        return floor + rng.uniform(0.0, step)
    return max(floor, step)


@dataclass(frozen=True)
class RetryBudget:
    """How many retries a destination still grants: a part of its successes, and a burst.

    A request that succeeds earns ``fraction``, a retry costs 1, and what is saved never exceeds
    the burst (peers.md R12). A request of which only a part is sent again, or has succeeded,
    counts for that part: one chunk of sixteen that is repeated is not a request repeated.

    Attributes:
        fraction: The part of the traffic that may be retries.
        burst: Retries granted before anything has succeeded.
        tokens: What is saved now.
    """

    fraction: float
    burst: float
    tokens: float

    @classmethod
    def full(cls, fraction: float, burst: float) -> RetryBudget:
        """Return the budget of a destination that nothing was asked of yet."""
        return cls(fraction, burst, burst)

    def earned(self, part: float = 1.0) -> RetryBudget:
        """Return the budget after this part of a request has succeeded."""
        # One token can be saved even without a burst, or a fraction alone would never grant any.
        most = max(self.burst, 1.0)
        return replace(self, tokens=min(most, self.tokens + self.fraction * part))

    def spent(self, part: float = 1.0) -> Optional[RetryBudget]:
        """Return the budget after a retry of this part of a request; None refuses it."""
        if self.tokens < part:
            return None
        return replace(self, tokens=self.tokens - part)
