"""The one retried function: every request to every server goes through here.

Rules of this file (peers.md):

1. The order is gate, permit, call; the permit is held for the call alone, and given back before
   any wait (R1). Never two permits (R2).
2. ``backoff`` runs the loop and never waits itself: it is told a wait of zero, and the real wait
   happens in its ``on_backoff``, where cancellation wakes it (R16).
3. The decorated function takes no arguments, and ``backoff`` has no logger: what it calls details
   holds neither chunks nor tokens, and reaches no log (R16).
4. Whether and when to try again is decided by :mod:`atxfer._policy.retry`, nowhere else (R11).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Callable, Generic, Optional, TypeVar

import backoff
from backoff.types import Details

from atxfer._engine.destination import Destination
from atxfer._engine.transfer import Note, Transfer
from atxfer._observe.events import (
    Bus,
    Event,
    GateClosed,
    RequestAnswered,
    RequestFailed,
    RequestRetried,
    RetryRefused,
)
from atxfer._policy.retry import Attempts, Decision, GiveUp, Limits, Retry, decide
from atxfer.errors import Cancelled, DeadlineExceeded, NetworkError, TransferError
from atxfer.waiting import Wait

__all__ = ["Attempter", "Request"]

T = TypeVar("T")


def _nothing_more(answer: object) -> None:
    """Accept any answer."""


def _all() -> float:
    return 1.0


@dataclass(frozen=True)
class Request(Generic[T]):
    """One request, whatever it asks.

    Attributes:
        name: What it is, for logs and dumps: ``chunks 16-31``.
        call: Does it; holds a permit meanwhile.
        accept: Looks at the answer without a permit; raises what makes it worth another try.
        left: The part of it that is still to be done, 1.0 down to 0.0, for the retry budget.
    """

    name: str
    call: Callable[[Wait], T]
    accept: Callable[[T], None] = _nothing_more
    left: Callable[[], float] = _all


class Attempter:
    """Sends requests, again and again where that makes sense.

    Args:
        limits: How patient to be.
        rng: Where jitter comes from.
        bus: Who is told.
    """

    def __init__(self, limits: Limits, rng: Random, bus: Bus) -> None:
        self.limits = limits
        self.rng = rng
        self.bus = bus

    def send(
        self,
        request: Request[T],
        destination: Destination,
        transfer: Transfer,
        pauses: Optional[Wait] = None,
    ) -> T:
        """Send a request until it succeeds, or until there is no point any more.

        Args:
            request: What to send.
            destination: Where to.
            transfer: For whom; the call itself waits by ``transfer.wait``.
            pauses: What everything but the call waits by; ``transfer.wait`` if None.

        Raises:
            TransferError: The last failure, with the number of attempts.
        """
        with transfer.note(request.name) as note:
            waits = pauses if pauses is not None else transfer.wait
            loop = _Loop(self, request, destination, transfer, waits, note)

            @backoff.on_exception(
                backoff.constant,
                TransferError,
                interval=0,
                jitter=None,
                max_tries=None,
                logger=None,
                giveup=loop.is_final,
                on_backoff=loop.rest,
            )
            def attempt() -> T:
                return loop.once()

            try:
                return attempt()
            except TransferError as error:
                final = loop.surfaced(error)
                if final is error:
                    raise
                raise final from error


class _Loop(Generic[T]):
    """The state of one request that is tried until it is done."""

    def __init__(
        self,
        attempter: Attempter,
        request: Request[T],
        destination: Destination,
        transfer: Transfer,
        pauses: Wait,
        note: Note,
    ) -> None:
        self._attempter = attempter
        self._request = request
        self._destination = destination
        self._transfer = transfer
        self._pauses = pauses
        self._note = note
        self._history = Attempts()
        self._decision: Optional[Decision] = None

    def once(self) -> T:
        """Make one attempt."""
        before = self._request.left()
        try:
            answer = self._under_permit()
            self._request.accept(answer)
        except TransferError:
            # What did get through of a request of several chunks counts as success.
            self._destination.note_success(before - self._request.left())
            raise
        self._destination.note_success(before)
        return answer

    def _under_permit(self) -> T:
        destination = self._destination
        while True:
            self._note("waits at the gate")
            destination.gate.pass_through(self._pauses, destination.spacing)
            self._note("waits for a permit")
            with destination.permits.hold(self._pauses):
                # An overload answer to another request may have come while this one queued.
                if not destination.gate.is_shut:
                    return self._measured_call()

    def _measured_call(self) -> T:
        self._note("waits for the answer")
        tally, clock = self._transfer.tally, self._transfer.wait.clock
        permits = self._destination.permits
        tally.note_in_flight(permits.in_flight)
        start = clock.monotonic()
        try:
            answer = self._request.call(self._transfer.wait)
        except TransferError as error:
            self._note_failure(error, clock.monotonic() - start)
            raise
        finally:
            tally.note_in_flight(permits.in_flight)
        seconds = clock.monotonic() - start
        tally.note_request(seconds)
        self._destination.note_latency(seconds)
        self._tell(RequestAnswered(self._destination.key, self._request.name, seconds))
        return answer

    def _note_failure(self, error: TransferError, seconds: float) -> None:
        answered = not isinstance(error, (NetworkError, Cancelled, DeadlineExceeded))
        self._transfer.tally.note_request(seconds if answered else None)
        if answered:
            self._destination.note_latency(seconds)
        cause = type(error).__name__
        self._tell(
            RequestFailed(self._destination.key, self._request.name, cause, seconds, answered)
        )

    def is_final(self, error: Exception) -> bool:
        """Whether there is no point in another attempt. Asked by backoff, once a failure."""
        assert isinstance(error, TransferError)  # noqa: S101  # nothing else is caught
        # A socket that we shut down ourselves looks like a lost connection.
        self._transfer.wait.check()
        self._history = self._history.after(error)
        self._decision = self._decide(error)
        if self._decision.close_gate:
            self._destination.gate.shut(self._decision.wait)
            cause = type(error).__name__
            self._tell(GateClosed(self._destination.key, cause, self._decision.wait))
        return isinstance(self._decision, GiveUp)

    def _decide(self, error: TransferError) -> Decision:
        attempter = self._attempter
        decision = decide(error, self._history, attempter.limits, attempter.rng)
        if isinstance(decision, GiveUp):
            return decision
        if self._destination.grants_retry(self._request.left()):
            return decision
        cause = type(error).__name__
        self._tell(RetryRefused(self._destination.key, self._request.name, cause))
        return GiveUp(
            "too much of the traffic is retries", error, decision.wait, decision.close_gate
        )

    def rest(self, details: Details) -> None:
        """Wait before the next attempt. Called by backoff; the details are not looked at."""
        decision = self._decision
        assert isinstance(decision, Retry)  # noqa: S101  # is_final() said no
        cause = self._history.causes[-1].__name__
        tries = self._history.tries
        self._transfer.tally.note_retry(cause)
        self._tell(
            RequestRetried(
                self._destination.key, self._request.name, cause, tries + 1, decision.wait
            )
        )
        self._note(f"waits {decision.wait:.1f} s before attempt {tries + 1}, after {cause}")
        self._pauses.sleep(decision.wait)

    def surfaced(self, error: TransferError) -> TransferError:
        """Return what the caller is to see of the last failure."""
        if not isinstance(self._decision, GiveUp):  # cancelled while it waited
            return error
        return self._decision.error.with_context(attempts=self._history.tries)

    def _tell(self, event: Event) -> None:
        self._attempter.bus.emit(event)
