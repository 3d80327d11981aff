"""Starting, killing and restarting the reference servers, and what a missing one leads to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from tests.fix_servers import ServerFactory
from tests.servers import install
from tests.servers.install import NotInstalled, Program
from tests.servers.running import Server, Unstartable
from tests.servers.s3 import MotoServer, S3Server, VersityGw
from tests.servers.tus import Tusd, TusNode, TusServer
from tests.support.until import until

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("kind", [Tusd, TusNode, VersityGw, MotoServer])
def test_killed_and_started_again(reference_server: ServerFactory, kind: type[Server]) -> None:
    """A server that was killed is gone, and comes back at the same port."""
    server = reference_server(kind)
    origin = server.origin
    server.kill()
    assert not server.is_running
    with pytest.raises(requests.ConnectionError):
        requests.get(origin, timeout=5)
    server.start()
    assert server.origin == origin
    assert requests.get(origin, timeout=5).status_code < 500


def test_what_a_tus_server_keeps(tus: TusServer) -> None:
    """An upload is still there after kill -9."""
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "7"}
    url = requests.post(tus.url, headers=headers, timeout=5).headers["Location"]
    tus.restart()
    assert requests.head(url, headers=headers, timeout=5).headers["Upload-Length"] == "7"


def test_what_an_s3_server_keeps(reference_server: ServerFactory) -> None:
    """An object on a folder is still there after kill -9; moto has forgotten all."""
    for kind, kept in ((VersityGw, True), (MotoServer, False)):
        server: S3Server = reference_server(kind)
        bucket = server.new_bucket()
        server.restart()
        names = [found["Name"] for found in server.client().list_buckets()["Buckets"]]
        assert (bucket in names) is kept


def test_a_server_that_answers_nobody(reference_server: ServerFactory) -> None:
    """A stopped server takes connections and says nothing, until it goes on."""
    server = reference_server(Tusd)
    with server.paused(), pytest.raises(requests.ReadTimeout):
        requests.options(server.url, timeout=0.1)
    assert requests.options(server.url, timeout=5).status_code == 200


def test_a_test_run_that_is_killed(tusd: Tusd, tmp_path: Path) -> None:
    """A server does not outlive the process that started it, however that ends."""
    script = (
        "import os, pathlib, sys; from tests.servers.tus import Tusd\n"
        "server = Tusd(pathlib.Path(sys.argv[1])); server.start(); print(server.port, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=Path(install.__file__).parents[2],
        env={**os.environ, "ATXFER_TEST_CACHE": str(install.CACHE)},
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL

    def is_gone() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(done.stdout))) != 0

    until(is_gone)


def test_a_thread_that_ends(reference_server: ServerFactory) -> None:
    """A server outlives the thread that started it."""
    server = reference_server(Tusd)
    thread = threading.Thread(target=server.restart)
    thread.start()
    thread.join()
    assert requests.options(server.url, timeout=5).status_code == 200
    assert server.is_running


def test_a_server_that_does_not_start(reference_server: ServerFactory) -> None:
    """The error holds what it said last."""
    with pytest.raises(Unstartable, match="Unable to ensure directory exists"):
        reference_server(Tusd, options=("-upload-dir", "/dev/null/none"))


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A program that is not there says how it gets there."""
    monkeypatch.setattr(install, "CACHE", tmp_path)
    with pytest.raises(NotInstalled, match=r"tusd .* run `python -m tests.servers install`"):
        _ = install.TUSD.path


def test_what_cannot_be_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missing or failing package client is named with its last words, and leaves nothing."""
    monkeypatch.setattr(install, "CACHE", tmp_path)
    with pytest.raises(install.CannotInstall, match="`no-such-tool`, which is not on the path"):
        Program("it", "1", "no-such-tool", "example.org/it").install()
    with pytest.raises(install.CannotInstall, match="can't open file"):
        Program("it", "1", sys.executable, "example.org/it").install()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
