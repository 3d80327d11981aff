"""Others' servers, asked through one's own: one question at a time."""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from atxfer._net.records import EXPIRED
from atxfer._net.relay import Relay
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound, error_for
from atxfer.atprotocol.verbs import Lookup
from atxfer.errors import Cancelled
from atxfer.waiting import Deadline, Wait
from tests.support.pools import FakePool

QUESTION = Lookup(AtKey.self_("x", "@alice"))


@pytest.mark.parametrize("clients", [1, 4])
def test_questions_go_one_after_another(clients: int) -> None:
    """Whoever asks, from whatever thread and client: none ever meets another at the server."""
    meeting = threading.Barrier(2)
    met = []

    def meet(line: str) -> str:
        try:
            meeting.wait(timeout=0.1)
        except threading.BrokenBarrierError:
            return "alone"
        met.append(line)
        return "met"

    relays = [Relay(FakePool(meet)) for _ in range(clients)]  # type: ignore[arg-type]
    with ThreadPoolExecutor(4) as threads:
        asked = [
            threads.submit(relays[place % clients].ask, QUESTION, Wait()) for place in range(4)
        ]
    answers = [question.result().data for question in asked]
    assert (answers, met) == (["alone"] * 4, [])


def test_an_error_lets_the_next_one_ask() -> None:
    """The turn is given back."""
    pool = FakePool(lambda line: error_for("AT0015", "key not found : x does not exist"))
    relay = Relay(pool)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(KeyNotFound):
            relay.ask(QUESTION, Wait())


def test_what_the_other_server_answered_with_null_has_expired() -> None:
    """The own server makes AT0015 of it (seen on 3.0.52)."""
    words = "key not found : remoteLookUp: remote atServer returned String value 'null' for x@alice"
    relay = Relay(FakePool(lambda line: error_for("AT0015", words)))  # type: ignore[arg-type]
    assert relay.ask(QUESTION, Wait()).data == EXPIRED


def test_a_wait_for_ones_turn_ends_with_the_transfer() -> None:
    """A question that hangs holds nobody else for ever."""
    asked, hung = threading.Event(), threading.Event()

    def hang(line: str) -> str:
        asked.set()
        hung.wait(30)
        return "x"

    relay = Relay(FakePool(hang))  # type: ignore[arg-type]
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(relay.ask, QUESTION, Wait())
        asked.wait(30)
        waiting = Wait()
        second = threads.submit(relay.ask, QUESTION, waiting)
        waiting.cancel()
        with pytest.raises(Cancelled):
            second.result(timeout=30)
        hung.set()
        assert first.result(timeout=30).data == "x"


def test_the_child_of_a_fork_does_not_wait_for_its_parent() -> None:
    """No lock survives a fork."""
    relay = Relay(FakePool(lambda line: "x"))  # type: ignore[arg-type]
    with relay.turn(Wait()):
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                wait = Wait(Deadline.after(10))
                os._exit(0 if relay.ask(QUESTION, wait).data == "x" else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
