"""The engine: destinations, transfers, lists of requests, its life from first call to close."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from atxfer._engine.engine import Engine
from atxfer._engine.transfer import Transfer
from atxfer.config import TransferConfig
from atxfer.errors import Cancelled, LoginRefused, RetryAfterTooLong
from atxfer.waiting import Wait
from tests.engine.world import world
from tests.support.clock import FakeClock
from tests.support.stores import FakeStore
from tests.support.until import until

ROOT = Path(__file__).parents[2]


# --- destinations


def test_the_same_key_is_the_same_destination() -> None:
    """All transfers to one server share one cap."""
    engine = Engine(TransferConfig())
    first = engine.destination("a", 3)
    assert engine.destination("a", 3) is first
    assert engine.destination("b", 3) is not first


def test_two_caps_for_one_server_are_a_mistake() -> None:
    """Which of the two would hold?"""
    engine = Engine(TransferConfig())
    engine.destination("a", 3)
    with pytest.raises(ValueError, match="a has 3 permits already, not 5"):
        engine.destination("a", 5)


def test_all_transfers_to_one_server_share_its_cap() -> None:
    """Ten uploads side by side: the server never sees more than the cap (scenario 1)."""
    meeting = threading.Barrier(2)

    def meet(name: str, in_flight: int) -> None:
        if name.startswith("put"):
            meeting.wait()

    with world(cap=2, store=FakeStore(before=meet)) as w:
        handles = [w.submit(bytes(400), name=f"{n}") for n in range(10)]
        for handle in handles:
            handle.result()
        assert w.store.peak == 2


# --- single requests, and lists of them


def test_a_call_is_retried_like_any_request() -> None:
    """A manifest is read through permit, gate and retries as well."""
    with world("503 drop ok") as w:

        def read(wait: Wait) -> str:
            with w.store.request("read", wait):
                return "manifest"

        found = w.engine.run(lambda t: w.engine.call(w.destination, "read", read, t), "read")
        assert (found, len(w.store.requests)) == ("manifest", 3)


@pytest.mark.parametrize("cap", [1, 3])
def test_a_list_of_requests_is_answered_in_order(cap: int) -> None:
    """Several at a time, whatever the order in which the answers come."""
    with world("ok 503 drop ok", cap=cap) as w:

        def ask(item: int, wait: Wait) -> int:
            with w.store.request(f"ask {item}", wait):
                return item * item

        answers = w.engine.run(
            lambda t: w.engine.for_each(w.destination, range(50), ask, t, name="ask"), "list"
        )
        assert answers == [n * n for n in range(50)]
        assert w.store.peak <= cap


def test_a_list_ends_with_its_first_final_failure() -> None:
    """What was not begun is not begun any more."""
    with world(cap=1) as w:

        def ask(item: int, wait: Wait) -> None:
            with w.store.request(f"ask {item}", wait):
                if item == 3:
                    raise LoginRefused("x")

        with pytest.raises(LoginRefused):
            w.engine.run(lambda t: w.engine.for_each(w.destination, range(50), ask, t), "list")
        assert len(w.store.requests) == 4


def test_an_empty_list_asks_nothing() -> None:
    """And returns nothing."""
    with world() as w:
        answers = w.engine.run(
            lambda t: w.engine.for_each(w.destination, [], lambda item, wait: item, t), "list"
        )
        assert (answers, w.store.requests) == ([], [])


# --- overload


def test_a_server_that_always_refuses_is_left_alone() -> None:
    """1,000 uploads to it send at most 1.15 times as many requests (scenario 5, R12)."""
    with world(cap=3, clock=FakeClock(), store=FakeStore(always={"manifest": "503"})) as w:
        for _ in range(1000):
            with pytest.raises(Exception, match="503"):
                w.upload(b"")
        assert 1000 < len(w.store.requests) <= 1150


def test_a_retry_after_beyond_the_cap_is_an_error_at_once() -> None:
    """86,400 s are not slept (scenario 4)."""
    clock = FakeClock()
    with world("retry:86400", cap=1, clock=clock) as w:
        with pytest.raises(RetryAfterTooLong) as caught:
            w.upload(b"")
        assert caught.value.retry_after == 86_400.0
        assert clock.waits == []


def test_overload_of_one_request_holds_back_another_transfer() -> None:
    """The gate belongs to the destination (R14)."""
    clock = FakeClock()
    with world("ok retry:45", cap=1, clock=clock, max_attempts=1) as w:
        with pytest.raises(Exception, match="503"):
            w.upload(bytes(10))
        w.store.before = lambda name, n: clock.waits.append(-1.0)
        w.upload(b"")
        assert clock.waits[0] == pytest.approx(45.0, abs=0.5)


# --- life


def test_a_submitted_transfer_runs_in_a_thread_of_its_own() -> None:
    """The handle is there at once; its thread keeps the program until it has ended."""
    with world() as w:
        handle = w.submit(bytes(100))
        assert handle.result().statistics.chunks == 10
        threads = [t for t in threading.enumerate() if t.name == "atxfer-a.bin"]
        assert not any(thread.daemon for thread in threads)


def test_closing_ends_what_runs_and_leaves_no_thread() -> None:
    """Submitted or blocking in other threads, hanging or sleeping (R25)."""
    before = threading.active_count()
    store = FakeStore(always={"put": "hang"})
    with world(cap=3, store=store) as w:
        handle = w.submit(bytes(400))
        raised: list[BaseException] = []

        def block() -> None:
            try:
                w.upload(bytes(400))
            except Cancelled as error:
                raised.append(error)

        thread = threading.Thread(target=block)
        thread.start()
        until(lambda: store.in_flight == 3)
        w.engine.close()
        with pytest.raises(Cancelled, match="the client was closed"):
            handle.result()
        thread.join()
        assert "the client was closed" in str(raised[0])
    assert threading.active_count() == before


def test_a_closed_engine_takes_nothing_more() -> None:
    """Closing twice is no harm; using it afterwards is a mistake."""
    with world() as w:
        w.engine.close()
        w.engine.close()
        with pytest.raises(ValueError, match="the client is closed"):
            w.upload(b"")
        with pytest.raises(ValueError, match="the client is closed"):
            w.submit(b"")


def test_what_is_left_to_do_is_done_before_the_end() -> None:
    """Nobody waits for it but close(), and it is no transfer."""
    begun, go, done = threading.Event(), threading.Event(), threading.Event()

    def body(transfer: Transfer) -> None:
        begun.set()
        go.wait()
        transfer.wait.check()
        done.set()

    with world() as w:
        w.engine.afterwards(body, "leavings")
        begun.wait()
        assert w.engine.metrics()["transfers_active"] == 0
        closing = threading.Thread(target=w.engine.close)
        closing.start()
        until(lambda: w.engine.is_closed)
        go.set()
        closing.join()
        assert done.is_set()
        w.engine.afterwards(lambda transfer: pytest.fail("it is closed"), "more")


def test_what_is_left_to_do_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that hangs does not hold the program up."""
    monkeypatch.setattr("atxfer._engine.engine._CHORES", 0.05)
    ended: list[BaseException] = []

    def body(transfer: Transfer) -> None:
        try:
            transfer.wait.sleep(3600)
        except Cancelled as error:
            ended.append(error)
            raise

    with world() as w:
        w.engine.afterwards(body, "leavings")
        w.engine.close()
    assert len(ended) == 1


def test_a_transfer_may_close_its_own_engine() -> None:
    """It does not wait for itself."""
    with world() as w:
        assert w.engine.submit(lambda transfer: w.engine.close(), "closing").result() is None
        with world() as other:
            assert other.engine.run(lambda transfer: other.engine.close(), "closing") is None


def test_an_engine_that_is_dropped_is_collected() -> None:
    """Neither the fork hook nor a thread keeps it."""
    engine = Engine(TransferConfig())
    engine.run(lambda transfer: None, "nothing")
    dropped = weakref.ref(engine)
    del engine
    gc.collect()
    assert dropped() is None


def test_the_snapshot_tells_what_was_asked_for() -> None:
    """The monitoring list: times, rates, causes, bytes, in flight, memory."""
    with world("ok 503 ok", cap=1) as w:
        w.upload(bytes(100))
        with pytest.raises(FileNotFoundError, match="no such folder"):
            w.download(bytes(110), "/nonexistent/a")
        now = w.engine.metrics()
    assert now["files"] == {"uploaded": 1, "downloaded": 0, "failed": 1, "cancelled": 0}
    assert (now["requests"], now["errors"], now["retries"]) == (7, 1, {"Overloaded": 1})
    assert now["error_rate"] == pytest.approx(1 / 7)
    assert (now["bytes_up"], now["bytes_down"]) == (100, 0)
    assert now["upload_seconds"]["count"] == 1
    assert now["response_seconds"]["count"] == 7
    assert (now["requests_in_flight"], now["peak_in_flight"], now["transfers_active"]) == (0, 1, 0)
    assert now["memory"]["held_bytes"] == 0
    assert now["memory"]["resident_bytes"] > 1 << 20
    assert now["destinations"]["fake"]["cap"] == 1


def test_the_log_has_a_line_a_chunk_and_a_line_a_transfer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first at DEBUG, the second at INFO, and what was retried; never the content."""
    caplog.set_level(logging.DEBUG, "atxfer")
    with world("ok 503 ok", cap=1) as w:
        w.upload(b"content " * 5)
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if line.startswith("chunk.stored")] == [
        f"chunk.stored file=a.bin index={index} size=10" for index in range(4)
    ]
    loud = [r.getMessage() for r in caplog.records if r.levelno >= logging.INFO]
    assert [line.split()[0] for line in loud] == ["transfer.completed"]
    assert sum(line.startswith("request.retried") for line in lines) == 1
    assert not any("content" in line for line in lines)


# --- fork (R28, scenario 19)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_parent_and_child_both_transfer_after_a_fork() -> None:
    """The child's permits and budget are free, whatever the parent held at that moment."""
    release = threading.Event()

    def hold(name: str, in_flight: int) -> None:
        if name.startswith("put") and os.getpid() == parent:
            release.wait()

    parent = os.getpid()
    with world(cap=2, store=FakeStore(before=hold), memory_budget=1 << 20) as w:
        handle = w.submit(bytes(400))
        until(lambda: w.store.in_flight == 2)
        w.store.in_flight, w.store.peak = 0, 0
        child = os.fork()
        if child == 0:  # pragma: no cover  # another process
            status = 1
            try:
                w.upload(bytes(400), progress=lambda progress: None)
                in_order = w.store.peak <= 2 and w.engine.metrics()["requests"] == 13
                status = 0 if in_order else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        w.store.in_flight = 2
        release.set()
        assert handle.result().statistics.bytes == 400


# --- the end of the interpreter (R27, scenario 18)


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Run a program that has a world of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_upload_in_atexit_completes() -> None:
    """Where no thread can be started any more everything runs in the calling one."""
    done = run(
        "import atexit\n"
        "from tests.engine.world import World\n"
        "w = World(cap=3)\n"
        "w.upload(bytes(100))\n"
        "def last():\n"
        "    seen = []\n"
        "    w.upload(bytes(400), progress=seen.append)\n"
        "    print(len(w.store.chunks), seen[-1].fraction)\n"
        "atexit.register(last)\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("40 1.0\n", "", 0)


def test_an_upload_in_another_thread_outlives_the_main_one() -> None:
    """It goes on though the pools were told to end."""
    done = run(
        "import threading\n"
        "from tests.engine.world import World\n"
        "from tests.support.stores import FakeStore\n"
        "w = World(cap=3)\n"
        "def late():\n"
        "    threading.main_thread().join()\n"
        "    w.upload(bytes(400))\n"
        "    print(len(w.store.chunks))\n"
        "w.upload(bytes(100))\n"
        "threading.Thread(target=late).start()\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("40\n", "", 0)


def test_a_submitted_upload_keeps_the_program_alive() -> None:
    """Falling off the end of a script does not lose a file."""
    done = run(
        "from tests.engine.world import World\n"
        "w = World(cap=3)\n"
        "def body(transfer):\n"
        "    w.do_upload(transfer, bytes(400), 'a')\n"
        "    print(len(w.store.chunks))\n"
        "w.engine.submit(body, 'a')\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("40\n", "", 0)


def test_a_submit_in_atexit_is_run_at_once() -> None:
    """The handle that comes back has ended, or ends."""
    done = run(
        "import atexit\n"
        "from tests.engine.world import World\n"
        "w = World(cap=3)\n"
        "atexit.register(lambda: print(w.submit(bytes(400)).result().statistics.chunks))\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("40\n", "", 0)


def test_ctrl_c_ends_a_program_whose_server_never_answers() -> None:
    """One interrupt, with requests that hang in the workers and in a back-off (scenario 2)."""
    done = run(
        "import os, signal, threading\n"
        "from tests.engine.world import World\n"
        "from tests.support.stores import FakeStore\n"
        "from tests.support.until import until\n"
        "store = FakeStore(always={'put': 'hang'})\n"
        "w = World(cap=3, store=store)\n"
        "def strike():\n"
        "    until(lambda: store.in_flight == 3)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=strike).start()\n"
        "try:\n"
        "    w.upload(bytes(4000))\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', store.in_flight)\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted 0\n", "", 0)


def test_no_thread_can_be_started_and_a_submit_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the end of the interpreter from Python 3.12 on."""

    def no_thread(self: Any) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with world(cap=3) as w:
        monkeypatch.setattr(threading.Thread, "start", no_thread)
        seen: list[Any] = []
        assert w.submit(bytes(400), progress=seen.append).done()
        assert seen[-1].fraction == 1.0
        monkeypatch.undo()
