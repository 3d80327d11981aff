"""Connections that end with their test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Callable

import pytest

from atxfer.devserver import DevServer
from tests.support.lines import LineClient

Connect = Callable[..., LineClient]


@pytest.fixture
def connect(atserver: DevServer) -> Iterator[Connect]:
    """Connect to an atSign's server, without login."""
    with contextlib.ExitStack() as stack:
        yield lambda to="@alice", **options: stack.enter_context(
            LineClient(atserver, to, **options)
        )


@pytest.fixture
def log_in(connect: Connect) -> Connect:
    """Connect to an atSign's server, logged in."""
    return lambda to="@alice": connect(to).log_in()
