"""The development server and the demonstration as processes of their own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from atxfer import Client, onboarding
from atxfer._cli import race
from atxfer._cli.main import run
from tests.support.worlds import content

ROOT = Path(__file__).resolve().parent.parent.parent


def _server(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "atxfer", "devserver", "--dir", str(folder), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_runs_until_it_is_told_to_end(
    tmp_path: Path, end: signal.Signals
) -> None:
    """ready.json is there when the first line is, and both signals end it in peace."""
    with _server(tmp_path, "--atsigns", "carol,dave", "--json") as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        ready = json.loads((tmp_path / "ready.json").read_text())
        server.send_signal(end)
        assert server.wait() == 0
    assert told == ready
    assert sorted(ready["servers"]) == ["@carol", "@dave"]
    assert Path(ready["ca"]).exists()
    assert Path(ready["keys_dir"], "@carol_key.atKeys").exists()


def test_it_says_how_other_shells_find_it(tmp_path: Path) -> None:
    """The second line can be typed as it is."""
    folder = tmp_path / "a world"
    with _server(folder, "--atsigns", "alice") as server:
        assert server.stdout is not None
        server.stdout.readline()
        script = f"{server.stdout.readline()} {shlex.quote(sys.executable)} -m atxfer doctor"
        command = ["bash", "-c", script.replace("\n", ";")]
        environment = {**os.environ, "ATXFER_ATSIGN": "@alice"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
        server.terminate()
    assert done.returncode == 0, done.stderr


def test_it_keeps_records_when_asked(tmp_path: Path) -> None:
    """With --keep a file outlives the server that held it."""
    for _ in range(2):
        with _server(tmp_path, "--keep", "--atsigns", "alice", "--json") as server:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            with Client(
                "@alice",
                directory=f"localhost:{ready['root_port']}",
                ca_file=ready["ca"],
                keys_dir=ready["keys_dir"],
            ) as client:
                names = [file.name for file in client.files()]
                client.upload(b"x", name="kept")
            server.terminate()
    assert names == ["kept"]


@pytest.mark.parametrize(
    "words",
    [["--faults", "frobnicate=1"], ["--profile", "none"], ["--latency", "far"], ["--atsigns", "@"]],
)
def test_nonsense_is_refused_before_anything_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    """A plan that can't be read is a usage error, not a server without faults."""
    assert run(["devserver", "--dir", str(tmp_path / "world"), *words]) == 2
    assert not (tmp_path / "world" / "ready.json").exists()


@pytest.mark.slow
def test_the_demo_shows_what_it_promises(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Three ways, slowest first; extrapolations are marked, and the bytes are the same."""
    source = tmp_path / "file.bin"
    source.write_bytes(content(race.SAMPLE + 300_000))
    assert run(["demo", str(source), "--svg", str(tmp_path / "demo.svg")]) == 0
    shown = capsys.readouterr().out
    table, _, chart = shown.partition("Seconds to upload")
    assert [line.split()[0] for line in table.splitlines()[1:4]] == [
        "sequential",
        "original",
        "atxfer",
    ]
    assert table.count(" s *") == 2
    assert "SHA-256 identical" in table
    bars = [line.count("█") for line in chart.splitlines()[1:4]]
    assert bars == sorted(bars, reverse=True)
    assert "* the first 512 KiB measured" in chart
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "<svg" in (tmp_path / "demo.svg").read_text("utf-8")


def test_an_extrapolation_pays_for_the_login_once() -> None:
    """The rest is estimated at the rate after the first chunk, not at the average."""
    states = [(0.0, 0), (2.0, 1000), (3.0, 2000), (4.0, 3000)]
    samples = [race.Progress("x", 3000, done, 0, 0, seconds) for seconds, done in states]
    assert race._steady_rate(samples) == 1000.0
    assert race._steady_rate(samples[-1:]) == 750.0


def test_it_serves_who_is_not_activated_yet(tmp_path: Path) -> None:
    """Their secrets are told, until they are used; with --keep that holds over a restart."""
    options = [
        "--keep",
        "--atsigns",
        "alice",
        "--unactivated",
        "carol,dave",
        "--unactivated",
        "eve",
    ]
    with _server(tmp_path, *options, "--json") as server:
        assert server.stdout is not None
        first = json.loads(server.stdout.readline())
        onboarding.activate(
            "@carol",
            first["cram_secrets"]["@carol"],
            directory=f"localhost:{first['root_port']}",
            ca_file=first["ca"],
            keys_dir=first["keys_dir"],
        )
        server.terminate()
    assert sorted(first["cram_secrets"]) == ["@carol", "@dave", "@eve"]
    with _server(tmp_path, *options) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline() for _ in range(4)]
        second = json.loads((tmp_path / "ready.json").read_text())
        server.terminate()
    assert second["cram_secrets"] == {
        name: first["cram_secrets"][name] for name in ("@dave", "@eve")
    }
    assert lines[2] == f"@dave's secret: {second['cram_secrets']['@dave']}\n"
