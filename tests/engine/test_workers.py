"""The threads of a destination."""

from __future__ import annotations

import threading

import pytest

from atxfer._engine.workers import Workers


def test_a_cap_of_one_needs_no_thread() -> None:
    """Everything runs in the calling thread, in order (R27)."""
    workers, seen = Workers(1, "w"), []
    workers.run(lambda: seen.append(threading.current_thread()))
    assert seen == [threading.current_thread()]
    workers.close()


def test_threads_are_made_when_needed() -> None:
    """A destination that is never used has none."""
    before = threading.active_count()
    workers = Workers(3, "w")
    assert threading.active_count() == before
    done = threading.Event()
    workers.run(done.set)
    assert done.wait(10)
    workers.close()
    assert threading.active_count() == before


def test_there_are_as_many_threads_again_as_permits() -> None:
    """Requests that sleep before a retry don't take the last thread (R1)."""
    workers = Workers(2, "w")
    sleeping = threading.Barrier(3)

    def sleep() -> None:
        sleeping.wait()

    for _ in range(2):
        workers.run(sleep)
    done = threading.Event()
    workers.run(done.set)
    assert done.wait(10)
    sleeping.wait()
    workers.close()


def test_after_the_end_tasks_run_in_the_calling_thread() -> None:
    """A pool that takes nothing more is no error: "cannot schedule new futures" stays inside."""
    workers, seen = Workers(3, "w"), []
    workers.close()
    workers.run(lambda: seen.append(threading.current_thread()))
    assert seen == [threading.current_thread()]


def test_a_task_is_run_once_though_it_was_queued_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """When no further thread can be started, an older one and the caller don't both run it."""
    workers = Workers(3, "w")
    begun, free, runs = threading.Event(), threading.Event(), []

    def occupy() -> None:
        begun.set()
        free.wait()

    workers.run(occupy)
    begun.wait()

    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        workers.run(lambda: runs.append(threading.current_thread()))
    free.set()
    workers.close()
    assert runs == [threading.current_thread()]
