"""The retry table, the waits, the budget."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atxfer import errors
from atxfer._policy.retry import (
    Attempts,
    GiveUp,
    Limits,
    Retry,
    RetryBudget,
    decide,
    row_for,
    weightiest,
)
from atxfer.errors import (
    AnswerMissing,
    ChunkCorrupt,
    ConnectFailed,
    ConnectionLost,
    DirectoryUnavailable,
    LoginRefused,
    Overloaded,
    RequestTimeout,
    RetryableError,
    RetryAfterTooLong,
    ServerFault,
    Throttled,
    TransferError,
)

LIMITS = Limits(max_attempts=4, initial=0.5, maximum=3.0, jitter=True, retry_after_cap=60.0)
STEADY = Limits(max_attempts=9, initial=2.0, maximum=5.0, jitter=False, retry_after_cap=60.0)
RNG = Random(7)  # noqa: S311

ALL_ERRORS = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, TransferError)
]


def failures(*causes: TransferError) -> Attempts:
    """Return the history of a request that failed in these ways."""
    history = Attempts()
    for cause in causes:
        history = history.after(cause)
    return history


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.__name__)
def test_what_is_retryable_and_nothing_else_is_tried_again(kind: type[TransferError]) -> None:
    """A cause is tried again if it may pass by itself; a corrupt chunk is fetched once more."""
    decision = decide(kind("x"), failures(kind("x")), LIMITS, RNG)
    expected = issubclass(kind, RetryableError) or kind is ChunkCorrupt
    assert isinstance(decision, Retry) == expected


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.__name__)
def test_what_concerns_all_requests_closes_the_gate(kind: type[TransferError]) -> None:
    """A server that has too much to do, or is not there, holds back all; no other cause does."""
    decision = decide(kind("x"), failures(kind("x")), LIMITS, RNG)
    absent = (ConnectFailed, DirectoryUnavailable)
    assert decision.close_gate == (kind in (Overloaded, Throttled, *absent))


def test_a_protocols_own_error_takes_the_row_of_its_mix_in() -> None:
    """An error of a protocol is judged by the cause it derives from, in resolution order."""

    class AtError(TransferError):
        pass

    class InboundLimit(AtError, Overloaded):
        pass

    class KeyNotFound(AtError, errors.NotFound):
        pass

    assert row_for(InboundLimit("x")).close_gate
    assert row_for(KeyNotFound("x")).tries == 1


def test_the_cause_of_somebody_elses_store_is_tried_again() -> None:
    """A class that derives from RetryableError alone needs no row of its own."""

    class OutOfPaper(RetryableError):
        pass

    assert isinstance(decide(OutOfPaper("x"), failures(OutOfPaper("x")), LIMITS, RNG), Retry)


def test_attempts_are_limited() -> None:
    """The attempt number max_attempts is the last one, and its own error is raised."""
    error = ServerFault("x")
    assert isinstance(decide(error, failures(*[error] * 3), LIMITS, RNG), Retry)
    last = decide(error, failures(*[error] * 4), LIMITS, RNG)
    assert isinstance(last, GiveUp)
    assert last.error is error


def test_a_last_overload_still_holds_others_back() -> None:
    """A request that gives up because of overload closes the gate for those that go on."""
    error = Overloaded("x")
    last = decide(error, failures(*[error] * 4), LIMITS, RNG)
    assert isinstance(last, GiveUp)
    assert last.close_gate


def test_a_chunk_is_fetched_once_more_whatever_happened_before() -> None:
    """Lost connections don't use up the second try of a chunk that did not open."""
    corrupt, lost = ChunkCorrupt("x"), ConnectionLost("x")
    assert isinstance(decide(corrupt, failures(lost, lost, corrupt), LIMITS, RNG), Retry)
    assert isinstance(decide(corrupt, failures(corrupt, lost, corrupt), LIMITS, RNG), GiveUp)


def test_waits_double_up_to_the_longest() -> None:
    """Without jitter: 2, 4, then the longest wait."""
    error = ServerFault("x")
    waits = []
    for tries in range(1, 5):
        decision = decide(error, failures(*[error] * tries), STEADY, RNG)
        assert isinstance(decision, Retry)
        waits.append(decision.wait)
    assert waits == [2.0, 4.0, 5.0, 5.0]


@given(st.integers(1, 3), st.integers())
def test_jitter_is_full(tries: int, seed: int) -> None:
    """With jitter a wait is any part of the step, from nothing."""
    error = ServerFault("x")
    rng = Random(seed)  # noqa: S311
    decision = decide(error, failures(*[error] * tries), LIMITS, rng)
    assert isinstance(decision, Retry)
    assert 0.0 <= decision.wait <= min(3.0, 0.5 * 2 ** (tries - 1))


@given(st.floats(0.0, 60.0), st.booleans(), st.integers())
def test_retry_after_is_a_floor(seconds: float, jitter: bool, seed: int) -> None:
    """A request never comes earlier than the server asked; jitter is added on top."""
    error = Overloaded("x", retry_after=seconds)
    limits = LIMITS if jitter else STEADY
    rng = Random(seed)  # noqa: S311
    decision = decide(error, failures(error), limits, rng)
    assert isinstance(decision, Retry)
    assert seconds <= decision.wait <= seconds + 2.0


@pytest.mark.parametrize("nonsense", [-5.0, float("nan"), float("inf"), 0.0])
def test_nonsense_in_retry_after_is_ignored(nonsense: float) -> None:
    """A Retry-After that is negative or no number counts as none."""
    error = Overloaded("x", retry_after=nonsense)
    decision = decide(error, failures(error), LIMITS, RNG)
    assert isinstance(decision, Retry)
    assert decision.wait <= 0.5


def test_a_long_retry_after_is_an_error_at_once() -> None:
    """Above retry_after_cap nobody sleeps: the caller is told how long it would have been."""
    error = Overloaded("x", retry_after=86_400.0)
    decision = decide(error, failures(error), LIMITS, RNG)
    assert isinstance(decision, GiveUp)
    assert isinstance(decision.error, RetryAfterTooLong)
    assert decision.error.retry_after == 86_400.0
    assert not decision.close_gate


def test_a_final_error_with_retry_after_stays_itself() -> None:
    """A refused login is a refused login, whatever wait came along."""
    error = LoginRefused("x", retry_after=86_400.0)
    decision = decide(error, failures(error), LIMITS, RNG)
    assert isinstance(decision, GiveUp)
    assert decision.error is error


def test_the_weightiest_of_several_failures_decides() -> None:
    """Final before overload before the rest; the first of equals."""
    lost, missing, full = RequestTimeout("x"), AnswerMissing("x"), LoginRefused("x")
    assert weightiest([lost, missing]) is lost
    assert isinstance(weightiest([lost, Throttled("x"), missing]), Throttled)
    assert weightiest([lost, Overloaded("x"), full]) is full
    assert isinstance(weightiest([lost, ChunkCorrupt("x")]), ChunkCorrupt)


def test_a_decision_does_not_show_the_error() -> None:
    """The error's text stays out of what might be logged."""
    assert "text" not in repr(GiveUp("reason", ServerFault("text")))


# --- the budget


def test_the_burst_comes_first_then_a_part_of_the_successes() -> None:
    """With nothing saved, ten successes earn one retry at a tenth."""
    budget = RetryBudget.full(0.1, 2)
    for _ in range(2):
        after = budget.spent()
        assert after is not None
        budget = after
    assert budget.spent() is None
    for _ in range(11):
        budget = budget.earned()
    assert budget.spent() is not None


def test_savings_are_bounded_by_the_burst() -> None:
    """A long quiet time doesn't pay for a storm."""
    budget = RetryBudget.full(0.1, 3)
    for _ in range(1000):
        budget = budget.earned()
    assert budget.tokens == 3


def test_without_a_burst_successes_still_grant_a_retry() -> None:
    """One token can be saved even if the burst is zero."""
    budget = RetryBudget.full(0.5, 0)
    assert budget.spent() is None
    assert budget.earned().earned().spent() is not None


def test_a_part_of_a_request_costs_its_part() -> None:
    """Sending one chunk of sixteen again costs a sixteenth."""
    budget = RetryBudget.full(0.0, 1)
    for _ in range(16):
        after = budget.spent(1 / 16)
        assert after is not None
        budget = after
    assert budget.spent(1 / 16) is None


@given(st.lists(st.booleans(), max_size=300), st.floats(0.0, 1.0), st.integers(0, 20))
def test_retries_never_exceed_burst_and_fraction(
    events: list[bool], fraction: float, burst: int
) -> None:
    """However successes and failures are mixed, the grants stay within the promise."""
    budget = RetryBudget.full(fraction, burst)
    successes = granted = 0
    for success in events:
        if success:
            budget, successes = budget.earned(), successes + 1
        elif (after := budget.spent()) is not None:
            budget, granted = after, granted + 1
    assert granted <= burst + fraction * successes + 1e-6
