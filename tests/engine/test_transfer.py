"""The handle of a transfer."""

from __future__ import annotations

import threading

import pytest

from atxfer._engine.transfer import State, Transfer
from atxfer.errors import Cancelled, DeadlineExceeded, ServerFault
from atxfer.waiting import Deadline, Wait
from tests.support.clock import FakeClock


def transfer() -> Transfer:
    """Return one that has not begun."""
    return Transfer("a.bin", Wait())


def test_it_goes_from_pending_to_completed() -> None:
    """And keeps what its body returned."""
    handle = transfer()
    assert (handle.state, handle.done()) == (State.PENDING, False)
    states = []
    assert handle.drive(lambda t: states.append(t.state) or "receipt") == "receipt"
    assert states == [State.RUNNING]
    assert (handle.state, handle.done(), handle.result()) == (State.COMPLETED, True, "receipt")


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ServerFault("x"), State.FAILED),
        (OSError("disk"), State.FAILED),
        (DeadlineExceeded("x"), State.FAILED),
        (Cancelled("x"), State.CANCELLED),
        (KeyboardInterrupt(), State.CANCELLED),
    ],
)
def test_it_keeps_what_it_failed_with(error: BaseException, state: State) -> None:
    """The driver raises it, and so does every call of result()."""
    handle = transfer()

    def fail(_: Transfer) -> None:
        raise error

    with pytest.raises(type(error)):
        handle.drive(fail)
    assert handle.state is state
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            handle.result()
        assert caught.value is error


def test_it_is_driven_once() -> None:
    """There is no way back from an end."""
    handle = transfer()
    handle.drive(lambda _: None)
    with pytest.raises(ValueError, match="that is completed can't be running"):
        handle.drive(lambda _: None)


def test_one_cancelled_before_it_begins_does_nothing() -> None:
    """Its body is not called."""
    handle = transfer()
    handle.cancel()
    with pytest.raises(Cancelled):
        handle.drive(lambda _: pytest.fail("it began"))
    assert handle.state is State.CANCELLED


def test_cancelling_after_the_end_changes_nothing() -> None:
    """A result stays a result."""
    handle = transfer()
    handle.drive(lambda _: "receipt")
    handle.cancel()
    assert (handle.state, handle.result()) == (State.COMPLETED, "receipt")


def test_a_result_that_is_not_there_in_time_goes_on() -> None:
    """The time-out of result() is the caller's patience, not the transfer's."""
    handle = transfer()
    with pytest.raises(TimeoutError, match="bin is still pending"):
        handle.result(timeout=0.0)
    handle.drive(lambda _: "receipt")
    assert handle.result(timeout=0.0) == "receipt"


def test_a_result_is_waited_for() -> None:
    """By as many threads as like to."""
    handle, results = transfer(), []
    waiters = [threading.Thread(target=lambda: results.append(handle.result())) for _ in range(2)]
    for waiter in waiters:
        waiter.start()
    handle.drive(lambda _: "receipt")
    for waiter in waiters:
        waiter.join()
    assert results == ["receipt", "receipt"]


def test_its_end_is_awaited_only_so_long() -> None:
    """For close(), which does not wait for what hangs."""
    clock = FakeClock()
    handle = Transfer("a.bin", Wait(clock=clock))
    assert not handle.has_ended_by(Deadline.after(0.0, clock))
    handle.drive(lambda _: None)
    assert handle.has_ended_by(Deadline.after(5.0, clock))


def test_the_dump_shows_progress_and_every_request() -> None:
    """What a report of a hang needs, in the order in which the requests began."""
    handle = transfer()
    assert handle.dump() == "a.bin: pending, 0.0 s"
    handle.tally.begin("a.bin", 100, 10)
    handle.tally.confirm(20, 2)
    with handle.note("chunks 0-3") as first, handle.note("chunks 4-7"):
        first("waits for a permit")
        assert handle.dump().splitlines()[1:] == [
            "  2 of 10 chunks confirmed",
            "  chunks 0-3: waits for a permit",
            "  chunks 4-7: begins",
        ]


def test_its_progress_is_none_until_the_size_is_known() -> None:
    """Then it tells bytes, chunks and the name."""
    handle = transfer()
    assert handle.progress is None
    handle.tally.begin("a.bin", 100, 10)
    handle.tally.confirm(20, 2)
    progress = handle.progress
    assert progress is not None
    assert (progress.file, progress.confirmed, progress.chunks) == ("a.bin", 20, 2)


def test_it_shows_name_and_state() -> None:
    """As a value in an interactive session."""
    assert repr(transfer()) == "<Transfer 'a.bin' pending>"
