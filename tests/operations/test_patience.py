"""What is tried again for as long as somebody waits."""

from __future__ import annotations

import pytest

from atxfer._operations.patience import Patience
from atxfer.config import TransferConfig
from atxfer.errors import ConnectionLost, LoginRefused, Overloaded, RetryAfterTooLong, TransferError
from tests.support.clock import FakeClock

CONFIG = TransferConfig(backoff_initial=0.5, backoff_max=20.0, backoff_jitter=False)


def test_each_wait_is_longer_up_to_the_longest() -> None:
    """However often it fails."""
    clock = FakeClock()
    patience, waits = Patience(CONFIG, clock), []
    for _ in range(5000):
        patience.failed(ConnectionLost("gone"))
        waits.append(patience.seconds)
        clock.now += patience.seconds
    assert waits[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0]
    assert set(waits[7:]) == {20.0}


def test_success_begins_with_short_waits_again() -> None:
    """And forgets what the failure was."""
    clock = FakeClock()
    patience = Patience(CONFIG, clock)
    for _ in range(3):
        patience.failed(ConnectionLost("gone"))
    patience.succeeded()
    assert patience.seconds == 0.0
    assert patience.error is None
    patience.failed(ConnectionLost("gone"))
    assert patience.seconds == 0.5


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (LoginRefused("no"), LoginRefused),
        (Overloaded("later", retry_after=3600.0), RetryAfterTooLong),
    ],
)
def test_what_does_not_pass_is_raised(error: TransferError, raised: type[TransferError]) -> None:
    """By the same table as for any request."""
    with pytest.raises(raised):
        Patience(CONFIG, FakeClock()).failed(error)


def test_what_others_fail_with_is_only_put_off() -> None:
    """Their servers must not end our waiting."""
    patience = Patience(CONFIG, FakeClock())
    patience.put_off(LoginRefused("no"))
    assert patience.seconds == 20.0
    assert isinstance(patience.error, LoginRefused)
