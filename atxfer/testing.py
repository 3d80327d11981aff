"""A pytest plugin: a development server for the tests of programs that use atxfer.

It is there as soon as atxfer and pytest are installed; nothing has to be imported::

    def test_my_program(atserver):
        with atxfer.Client("@alice", directory=f"{atserver.root_host}:{atserver.root_port}",
                           ca_file=atserver.ca_file, keys_dir=atserver.keys_dir) as client:
            ...
        assert atserver.counters["@alice"]["peak_in_flight"] <= 3

Fixtures:

``atserver``
    A running :class:`~atxfer.devserver.DevServer` with @alice and @bob, and nothing in it: records,
    counters, faults and clock are made new for each test, keys and addresses are the session's.
``atserver_factory``
    Makes further ones: ``atserver_factory(["alice", "carol"], latency=0.1)``; they are stopped
    after the test.
``fault_plan``
    The plan of ``atserver``: ``fault_plan.error = 0.05``, ``fault_plan.play("ok AT0011")``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable

import pytest

if TYPE_CHECKING:
    from atxfer.devserver import DevServer, FaultPlan


@pytest.fixture(scope="session")
def _session_atserver() -> Iterator[DevServer]:
    """Run one development server for all tests."""
    # Imported here so that test runs that never use it don't wait for TLS and cryptography.
    from atxfer.devserver import DevServer

    with DevServer(seed=0) as server:
        yield server


@pytest.fixture
def atserver(_session_atserver: DevServer) -> Iterator[DevServer]:
    """Give a development server with @alice and @bob, and nothing in it."""
    _session_atserver.reset()
    yield _session_atserver
    for failure in _session_atserver.failures:
        raise failure


@pytest.fixture
def fault_plan(atserver: DevServer) -> FaultPlan:
    """Give the fault plan of ``atserver``: nothing goes wrong until it says so."""
    return atserver.faults


@pytest.fixture
def atserver_factory() -> Iterator[Callable[..., DevServer]]:
    """Make development servers of one's own; they are stopped after the test."""
    from atxfer.devserver import DevServer

    with contextlib.ExitStack() as stack:

        def make(*args: Any, **options: Any) -> DevServer:
            return stack.enter_context(DevServer(*args, **options))

        yield make
