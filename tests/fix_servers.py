"""Fixtures: servers that others wrote, and a proxy in front of them.

``tusd``, ``tus_node``, ``versitygw``, ``moto_server``
    A running server, one a session and test process, alive at the start of each test whatever the
    last one did to it. What is in it stays: make uploads and buckets of your own.
``tus``, ``s3``
    Each of the two of a kind in turn.
``reference_server``
    Starts further ones with options: ``reference_server(Tusd, max_size=1000)``; they end with the
    test.
``delay_proxy``
    Puts a proxy in front of a server or a port: ``delay_proxy(tusd, delay=0.1)``; it ends with the
    test.

A test skips, and says how to install it, where a program is missing. The end of a server's log is
part of a failed test's report.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Callable, TypeVar, Union

import pytest

from tests.servers.install import NotInstalled
from tests.servers.running import Server
from tests.servers.s3 import MotoServer, S3Server, VersityGw
from tests.servers.tus import Tusd, TusNode, TusServer
from tests.support.delayproxy import DelayProxy

S = TypeVar("S", bound=Server)


class ServerFactory:
    """Starts servers that end with it."""

    def __init__(self, folder: Callable[[str], Path]) -> None:
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self.started: list[Server] = []

    def __call__(self, kind: type[S], **options: Any) -> S:
        """Start a server; keywords are those of its class."""
        server = kind(self._folder(kind.name), **options)
        try:
            self._stack.enter_context(server)
        except NotInstalled as error:
            pytest.skip(str(error))
        self.started.append(server)
        return server

    def one(self, kind: type[S]) -> S:
        """Return the one server of a kind, started if it is not running."""
        for server in self.started:
            if isinstance(server, kind):
                if not server.is_running:
                    server.start()
                return server
        return self(kind)

    def close(self) -> None:
        """End all."""
        self._stack.close()


@pytest.fixture(scope="session")
def _session_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerFactory]:
    """Keep the servers of the session, each started when it is first asked for."""
    with contextlib.closing(ServerFactory(tmp_path_factory.mktemp)) as servers:
        yield servers


@pytest.fixture
def reference_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerFactory]:
    """Start servers with options of the test's own."""
    with contextlib.closing(ServerFactory(tmp_path_factory.mktemp)) as servers:
        yield servers


@pytest.fixture
def tusd(_session_servers: ServerFactory) -> Tusd:
    """Give the reference server, with ``concatenation``."""
    return _session_servers.one(Tusd)


@pytest.fixture
def tus_node(_session_servers: ServerFactory) -> TusNode:
    """Give @tus/server, without ``concatenation``."""
    return _session_servers.one(TusNode)


@pytest.fixture
def versitygw(_session_servers: ServerFactory) -> VersityGw:
    """Give a real S3 server on a folder."""
    return _session_servers.one(VersityGw)


@pytest.fixture
def moto_server(_session_servers: ServerFactory) -> MotoServer:
    """Give moto's S3 server."""
    return _session_servers.one(MotoServer)


@pytest.fixture(params=[Tusd, TusNode], ids=lambda kind: kind.name)
def tus(request: pytest.FixtureRequest, _session_servers: ServerFactory) -> TusServer:
    """Give each tus server in turn."""
    server: TusServer = _session_servers.one(request.param)
    return server


@pytest.fixture(params=[VersityGw, MotoServer], ids=lambda kind: kind.name)
def s3(request: pytest.FixtureRequest, _session_servers: ServerFactory) -> S3Server:
    """Give each S3 server in turn."""
    server: S3Server = _session_servers.one(request.param)
    return server


@pytest.fixture(params=["tusd", "tus_node", "versitygw", "moto_server"])
def store_server(request: pytest.FixtureRequest) -> Union[TusServer, S3Server]:
    """Return each tus and S3 server in turn."""
    server: Union[TusServer, S3Server] = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def delay_proxy() -> Iterator[Callable[..., DelayProxy]]:
    """Put proxies in front of servers."""
    with contextlib.ExitStack() as stack:

        def make(target: Union[Server, int], delay: float = 0.0) -> DelayProxy:
            port = target if isinstance(target, int) else target.port
            return stack.enter_context(DelayProxy(port, delay))

        yield make


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Show what the servers of a failed test said last."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    values = getattr(item, "funcargs", {}).values()
    servers = {id(value): value for value in values if isinstance(value, Server)}
    for factory in (value for value in values if isinstance(value, ServerFactory)):
        servers.update((id(server), server) for server in factory.started)
    for server in servers.values():
        report.sections.append((f"end of the log of {server.name}", server.log_tail))
