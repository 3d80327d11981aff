"""A program that listens on loopback: waited for by a request, killed with its children."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Optional

HOST = "127.0.0.1"
PATIENCE = 30.0  # seconds until a server must have answered; the slowest here takes two

# Below the range from which Linux takes the ports of outgoing connections: a server that is dead
# for a moment must find its port free when it comes back.
PORTS = range(20_000, 32_000)


class Unstartable(Exception):
    """A server did not come up; the message holds the end of its log."""


class Server:
    """One server process, with its data and its log in a folder of its own.

    Used as a context manager. After ``kill()`` it may be started again at the same port with the
    same data, which ``restart()`` does in one.

    Args:
        folder: An empty folder; data and log stay there.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / f"{self.name}.log"
        self.port = _free_port()
        self._process: Optional[subprocess.Popen[bytes]] = None
        self.data.mkdir()

    def command(self) -> Sequence[str]:
        """Return the program and its arguments."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Return what the program finds in its environment beside what this process has."""
        return {}

    def probe(self) -> tuple[str, str]:
        """Return method and path of a request that shows by any answer that the server is up."""
        return "GET", "/"

    @property
    def origin(self) -> str:
        """Scheme, host and port, without a slash."""
        return f"http://{HOST}:{self.port}"

    @property
    def log_tail(self) -> str:
        """The last of what the server said."""
        return self.log.read_text("utf-8", "replace")[-4000:] if self.log.exists() else ""

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and return when it has answered a request.

        Raises:
            Unstartable: It ended, or did not answer in time.
        """
        with self.log.open("ab") as log:
            self._process = _launch(
                self.command(),
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._await_answer(self._process)
        except BaseException:
            self.kill()
            raise

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if time.monotonic() > deadline:
                raise Unstartable(
                    f"{self.name} answers nobody after {PATIENCE:g} s\n{self.log_tail}"
                )
            # What waits a little between two tries is the same that notices its end.
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(0.01)
                raise Unstartable(f"{self.name} ended with {code}\n{self.log_tail}")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        try:
            connection.request(*self.probe())
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    def kill(self) -> None:
        """End it and its children as a power cut would, and return when it is gone."""
        if self._process is None:
            return
        if self._process.poll() is None:  # or else its number may be somebody else's by now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Kill it, and start it again at the same port with the same data."""
        self.kill()
        self.start()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the process for the ``with`` block: it accepts connections and answers nobody."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # it may run on for a moment
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)


@functools.cache
def _launcher(process: int) -> ThreadPoolExecutor:
    """Return the one thread of this process that starts servers."""
    return ThreadPoolExecutor(1, "server-launcher")


def _launch(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a program that dies with this process, also where that is killed.

    The system ends such a program with the thread that started it, which is why a thread does so
    that lives as long as the process.
    """
    setpriv = shutil.which("setpriv")  # of util-linux; where there is none, servers outlive us
    tied = [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else command
    return _launcher(os.getpid()).submit(lambda: subprocess.Popen(tied, **options)).result()


def _free_port() -> int:
    while True:
        port = random.choice(PORTS)  # noqa: S311  # so that test processes do not meet
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
