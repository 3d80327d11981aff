"""A world of several atSigns, and the two that most scenarios are about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from atxfer import Client
from atxfer.devserver import DevServer
from tests.support.worlds import FIVE, client_of


@pytest.fixture(scope="session")
def _crowd() -> Iterator[DevServer]:
    with DevServer(["alice", *FIVE, "mallory"], seed=0) as world:
        yield world


@pytest.fixture
def crowd(_crowd: DevServer) -> DevServer:
    """Return a world of seven atSigns, with nothing in it."""
    _crowd.reset()
    return _crowd


@pytest.fixture
def alice(crowd: DevServer) -> Iterator[Client]:
    """Return a client of hers."""
    with client_of(crowd) as client:
        yield client


@pytest.fixture
def bob(crowd: DevServer) -> Iterator[Client]:
    """Return a client of his."""
    with client_of(crowd, "@bob") as client:
        yield client
