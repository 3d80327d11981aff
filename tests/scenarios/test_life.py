"""A client through forks, threads, restarts of the server, and its own sudden end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from atxfer import Cancelled, Client
from atxfer.config import KIB
from atxfer.devserver import DevServer, FaultPlan
from atxfer.model import Progress
from tests.support.until import until
from tests.support.worlds import client_of, content

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def _round_trip(client: Client, target: Path, seed: int) -> None:
    data = content(300_000, seed)
    client.download(client.upload(data, name="x"), target)
    assert target.read_bytes() == data


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
def test_parent_and_child_of_a_fork_both_transfer(atserver: DevServer, tmp_path: Path) -> None:
    """A client that was used before a fork works on both sides of it (peers.md scenario 19)."""
    with client_of(atserver) as client:
        _round_trip(client, tmp_path / "before", 1)
        child = os.fork()
        if child == 0:
            try:
                _round_trip(client, tmp_path / "child", 2)
                os._exit(0)
            finally:
                os._exit(1)
        _round_trip(client, tmp_path / "parent", 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        _round_trip(client, tmp_path / "after", 4)


def test_threads_share_a_client(atserver: DevServer, tmp_path: Path) -> None:
    """Six threads, one client: every file is right, and the cap is one for all."""
    with client_of(atserver) as client:
        threads = [
            threading.Thread(target=_round_trip, args=(client, tmp_path / str(seed), seed))
            for seed in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for seed in range(6):
        assert (tmp_path / str(seed)).read_bytes() == content(300_000, seed)
    assert atserver.counters.snapshot()["@alice"]["peak_in_flight"] <= 3


def test_a_server_that_restarts_in_the_middle(atserver: DevServer, tmp_path: Path) -> None:
    """The upload goes on where the server comes back; all connections are made anew."""
    restarted = threading.Event()

    def restart(progress: Progress) -> None:
        if progress.chunks >= 8 and not restarted.is_set():
            restarted.set()
            atserver.server("@alice").restart()

    data = content(1_000_000)
    with client_of(atserver, progress_interval=0.0, chunk_size=8 * KIB, max_attempts=20) as client:
        receipt = client.upload(data, name="x", progress=restart)
        client.download(receipt, tmp_path / "x")
    assert restarted.is_set()
    assert (tmp_path / "x").read_bytes() == data


def test_close_ends_what_is_under_way(atserver: DevServer) -> None:
    """A transfer of a client that is closed fails with Cancelled, whatever the server does."""
    atserver.faults = FaultPlan.parse("hang=1@batch")
    client = client_of(atserver)
    transfer = client.submit_upload(content(400_000), name="x")
    until(lambda: "batch" in atserver.counters.snapshot()["@alice"]["commands"])
    client.close()
    with pytest.raises(Cancelled):
        transfer.result(timeout=10)


_UPLOADER = """
import sys
from atxfer import Client
client = Client("@alice", directory=sys.argv[1], ca_file=sys.argv[2], keys_dir=sys.argv[3])
client.upload(bytes(400_000), name="x", progress=lambda p: p.chunks and print(p, flush=True))
"""


def test_what_a_killed_client_leaves_can_be_found_and_removed(atserver: DevServer) -> None:
    """After SIGKILL no file is there, but the begun upload is listed and can be deleted."""
    before = set(atserver.server("@alice").keys())
    atserver.faults = FaultPlan.script("ok hang hang hang", verbs={"batch"})
    directory = f"{atserver.root_host}:{atserver.root_port}"
    command = [sys.executable, "-c", _UPLOADER, directory, atserver.ca_file, atserver.keys_dir]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as uploader:
        assert uploader.stdout is not None
        uploader.stdout.readline()  # the first chunks are confirmed
        uploader.send_signal(signal.SIGKILL)
    atserver.faults = FaultPlan()
    with client_of(atserver) as client:
        assert list(client.files()) == []
        (begun,) = client.files(incomplete=True)
        assert begun.state == "uploading"
        client.delete(begun)
    assert set(atserver.server("@alice").keys()) == before
