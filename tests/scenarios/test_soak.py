"""The long runs: ``python -m pytest --soak tests/scenarios/test_soak.py``."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from atxfer.devserver import DevServer, FaultPlan
from tests.scenarios.test_resume import killed_again_and_again
from tests.support.worlds import client_of, content

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

_UPLOADER = """
import sys
from atxfer import Client
client = Client("@alice", directory=sys.argv[1], ca_file=sys.argv[2], keys_dir=sys.argv[3])
print("ready", flush=True)
print(client.upload(sys.argv[4]).file_id, flush=True)
"""


def test_a_hundred_kills_at_random_points(atserver: DevServer, tmp_path: Path) -> None:
    """A file is either complete and right, or not there; what is left of it can be removed."""
    rng = random.Random(5)  # noqa: S311  # when to kill is no secret
    source = tmp_path / "source"
    source.write_bytes(content(2_000_000))
    before = set(atserver.server("@alice").keys())
    directory = f"{atserver.root_host}:{atserver.root_port}"
    where = [directory, atserver.ca_file, atserver.keys_dir, str(source)]
    atserver.faults = FaultPlan.parse("latency=20ms")
    ends = {"killed": 0, "complete": 0}
    for _ in range(100):
        with subprocess.Popen(
            [sys.executable, "-c", _UPLOADER, *where], stdout=subprocess.PIPE, text=True
        ) as uploader:
            assert uploader.stdout is not None
            assert uploader.stdout.readline() == "ready\n"
            try:
                uploader.wait(rng.uniform(0.0, 0.7))
            except subprocess.TimeoutExpired:
                uploader.send_signal(signal.SIGKILL)
            told = uploader.stdout.read().strip()
        atserver.faults = FaultPlan()
        with client_of(atserver) as client:
            for file in client.files(incomplete=True):
                if file.state == "complete":
                    client.download(file, tmp_path / "back")
                    assert (tmp_path / "back").read_bytes() == source.read_bytes()
                ends["complete" if file.state == "complete" else "killed"] += 1
                client.delete(file)
            assert not told or ends["complete"] > 0
        assert set(atserver.server("@alice").keys()) == before
        atserver.faults = FaultPlan.parse("latency=20ms")
    assert min(ends.values()) > 0, ends


def test_a_hundred_kills_of_uploads_that_go_on(
    atserver: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever a process is killed the next one goes on, and no file is ever a wrong one."""
    monkeypatch.setenv("ATXFER_STATE_DIR", str(tmp_path / "state"))
    rng = random.Random(8)  # noqa: S311  # when to kill is no secret
    kills, file = 0, 0
    while kills < 100:
        file += 1
        source = tmp_path / str(file)
        source.write_bytes(content(2_000_000, seed=file))
        runs = killed_again_and_again(atserver, source, rng, most=12)
        kills += len(runs) - 1
        with client_of(atserver) as client:
            (there,) = client.files(incomplete=True)
            assert (there.file_id, there.state) == (runs[-1].file_id, "complete")
            client.download(there, tmp_path / "back")
            assert (tmp_path / "back").read_bytes() == source.read_bytes()
            client.delete(there)


@pytest.mark.parametrize("seed", range(10))
def test_many_files_through_many_faults(atserver: DevServer, tmp_path: Path, seed: int) -> None:
    """A hundred files through 5 % of errors and 2 % of cut connections, ten times."""
    rng = random.Random(seed)  # noqa: S311  # sizes are no secret
    wanted = {str(n): content(rng.randrange(300_000), seed * 1000 + n) for n in range(100)}
    for name, data in wanted.items():
        (tmp_path / name).write_bytes(data)
    atserver.faults = FaultPlan.parse("error=0.05,drop=0.02,missing=0.01", seed=seed)
    with client_of(atserver) as client:
        outcomes = list(client.upload_many(tmp_path / name for name in wanted))
        assert [outcome.error for outcome in outcomes if not outcome.ok] == []
        files = list(client.files())
        assert sorted(file.name for file in files) == sorted(wanted)
        for file in files:
            client.download(file, tmp_path / "back")
            assert (tmp_path / "back").read_bytes() == wanted[file.name]
            client.delete(file)
    assert atserver.counters.snapshot()["@alice"]["peak_in_flight"] <= 3
