"""Each command against a development server, as a shell would run it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from atxfer import Client
from atxfer._cli.main import run
from atxfer.devserver import DevServer, FaultPlan
from tests.support.worlds import client_of, content, sha256

ROOT = Path(__file__).resolve().parent.parent.parent


class Said(NamedTuple):
    """What a command has printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The lines of the output as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """Runs commands for @alice of one world."""

    def __init__(self, world: DevServer, capture: pytest.CaptureFixture[str]) -> None:
        options = world.client_options
        self._capture = capture
        self._shared = ["--atsign", "alice", "--directory", options["directory"]]
        self._shared += ["--ca-file", options["ca_file"], "--keys-dir", options["keys_dir"]]

    def __call__(self, *words: str) -> Said:
        """Run one command."""
        self._capture.readouterr()
        code = run([*self._shared, *words])
        return Said(code, *self._capture.readouterr())


@pytest.fixture
def shell(atserver: DevServer, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return a shell in which @alice is at home."""
    return Shell(atserver, capsys)


@pytest.fixture
def alice(atserver: DevServer) -> Any:
    """Return a client of hers, to look behind the commands."""
    with client_of(atserver) as client:
        yield client


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Return a file of 100,000 bytes."""
    path = tmp_path / "report.pdf"
    path.write_bytes(content(100_000))
    return path


def test_upload_tells_programs_everything(shell: Shell, report: Path) -> None:
    """One object, with the file's description and the evidence of the transfer."""
    (told,) = shell("upload", str(report), "--json").objects
    assert (told["name"], told["size"], told["chunks"]) == ("report.pdf", 100_000, 13)
    assert told["sha256"] == sha256(report.read_bytes())
    assert told["expires_at"] - told["created_at"] == pytest.approx(86_400, abs=60)
    assert told["requests"] >= 3
    assert 1 <= told["peak_in_flight"] <= 3
    assert {"file_id", "seconds"} <= set(told)


def test_upload_obeys_its_options(shell: Shell, report: Path) -> None:
    """Name, time to live, chunk size and width are those that were asked for."""
    options = ["--name", "other", "--ttl", "2h", "--chunk-size", "32KiB"]
    (told,) = shell(
        "--json", "upload", str(report), *options, "--max-concurrent-uploads", "1"
    ).objects
    assert (told["name"], told["chunk_size"], told["peak_in_flight"]) == ("other", 32_768, 1)
    assert told["expires_at"] - told["created_at"] == pytest.approx(7200, abs=60)


def test_a_preset_is_a_whole_configuration(shell: Shell, atserver: DevServer, report: Path) -> None:
    """The original system sends no batches; what is given beside a preset wins."""
    (told,) = shell(
        "upload", str(report), "--json", "--preset", "original", "--ttl", "never"
    ).objects
    assert told["expires_at"] is None
    assert "batch" not in atserver.counters.snapshot()["@alice"]["commands"]


def test_several_files_are_several_lines(shell: Shell, tmp_path: Path, report: Path) -> None:
    """A file that fails is told of on stderr, and does not disturb the others."""
    said = shell("upload", str(report), str(tmp_path / "missing"), str(report), "--json")
    assert [told["size"] for told in said.objects] == [100_000, 100_000]
    assert json.loads(said.err)["error"] == "FileNotFoundError"
    assert said.code == 1


def test_a_name_is_for_one_file(shell: Shell, report: Path) -> None:
    """Two files under one name would be a mistake."""
    assert shell("upload", str(report), str(report), "--name", "x").code == 2


def test_files_go_through_pipes(
    shell: Shell, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dash is the standard input, and the standard output."""
    raw = io.BytesIO(content(50_000))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
    (told,) = shell("upload", "-", "--json").objects
    assert (told["name"], told["sha256"]) == ("stdin", sha256(content(50_000)))
    sink = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(sink, write_through=True))
    assert run(["--version"]) == 0
    assert shell("download", told["file_id"], "-").code == 0
    assert sink.getvalue().endswith(content(50_000))


def test_json_and_a_file_do_not_share_the_standard_output(shell: Shell) -> None:
    """Nobody could tell one from the other."""
    assert shell("download", "a" * 26, "-", "--json").code == 2


def test_download_tells_where_the_file_is(shell: Shell, alice: Client, tmp_path: Path) -> None:
    """A folder keeps the file's name; the object names the path and the evidence."""
    receipt = alice.upload(content(50_000), name="a.bin")
    (told,) = shell("download", receipt.file_id, str(tmp_path), "--json").objects
    assert told["path"] == str(tmp_path / "a.bin")
    assert (told["sha256"], told["size"]) == (receipt.sha256, 50_000)
    assert (tmp_path / "a.bin").read_bytes() == content(50_000)


def test_people_read_lines(shell: Shell, report: Path, tmp_path: Path) -> None:
    """Without --json a result is one line: the id, the name, how much and how fast."""
    said = shell("upload", str(report))
    file_id = said.out.split()[0]
    assert "report.pdf: 97.7 KiB in" in said.out
    assert said.out.count("\n") == 1
    said = shell("download", file_id, str(tmp_path / "copy"))
    assert "verified" in said.out
    assert (tmp_path / "copy").read_bytes() == report.read_bytes()


def test_scripts_read_ids(shell: Shell, report: Path) -> None:
    """With --quiet the id is all, so that it can be put into a variable."""
    file_id = shell("--quiet", "upload", str(report)).out.strip()
    assert len(file_id) == 26
    assert shell("list", "-q").out == f"{file_id}\n"


def test_a_file_goes_to_the_application_and_comes_from_it(
    shell: Shell, atserver: DevServer, report: Path, tmp_path: Path
) -> None:
    """Its format is an option of upload; the id says it to the other commands."""
    options = ["--format", "attalk", "--namespace", "default.attalk", "--caption", "look"]
    (told,) = shell("upload", str(report), "--share-with", "@bob", *options, "--json").objects
    file_id, there = told["file_id"], ["--namespace", "default.attalk"]
    said = shell("download", file_id, str(tmp_path / "copy"), *there)
    assert "of the right size" in said.out
    assert (tmp_path / "copy").read_bytes() == report.read_bytes()
    place = ["--from", "@alice", *there]
    said = shell("--atsign", "@bob", "download", file_id, str(tmp_path / "bobs"), *place)
    assert (tmp_path / "bobs").read_bytes() == report.read_bytes()
    assert shell("delete", file_id, *there).code == 0
    assert "file_" not in " ".join(atserver.server("@alice").keys())


@pytest.mark.parametrize(
    "words",
    [
        ["--format", "attalk", "--ttl", "2d"],
        ["--format", "attalk", "--ttl", "never"],
        ["--format", "attalk", "--chunk-size", "32KiB"],
        ["--format", "zip"],
        ["--caption", "x"],
        ["--namespace", "x"],
    ],
)
def test_what_a_format_does_not_allow_is_misuse(
    shell: Shell, report: Path, words: list[str]
) -> None:
    """Exit code 2, as for any wrong option."""
    assert shell("upload", str(report), *words).code == 2


def test_several_files_may_go_to_the_application(shell: Shell, report: Path) -> None:
    """With one format for all."""
    told = shell("upload", str(report), str(report), "--format", "attalk", "--json").objects
    assert [shell("delete", file["file_id"]).code for file in told] == [0, 0]


def test_a_link_has_no_place(shell: Shell) -> None:
    """It says itself whose file it leads to."""
    assert shell("download", "atxfer://alice/x#y", "--from", "@alice").code == 2


def test_list_shows_what_is_there(shell: Shell, alice: Client) -> None:
    """Oldest first, with sizes and dates; nothing is said of nothing on stdout."""
    assert shell("list") == Said(0, "", "There are no files.\n")
    ids = [alice.upload(bytes(size), name=f"{size}").file_id for size in (1, 2048)]
    lines = shell("list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["FILE", *ids]
    assert "2 KiB" in lines[2]
    assert [told["file_id"] for told in shell("list", "--json").objects] == ids


def test_list_shows_begun_uploads_when_asked(
    shell: Shell, atserver: DevServer, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a failed upload has left can be found, and deleted by the id in its error."""
    monkeypatch.setenv("ATXFER_MAX_ATTEMPTS", "1")
    atserver.faults = FaultPlan.parse("error=1.0@batch")
    failed = json.loads(shell("upload", str(report), "--json").err)
    atserver.faults = FaultPlan()
    assert shell("list", "--json").objects == []
    (left,) = shell("list", "--incomplete", "--json").objects
    assert (left["file_id"], left["state"]) == (failed["file_id"], "uploading")
    assert shell("delete", left["file_id"]).code == 0
    assert shell("list", "--incomplete", "--json").objects == []


def test_delete_deletes(shell: Shell, alice: Client) -> None:
    """The files are gone; one that was not there is told of, and the others go all the same."""
    ids = [alice.upload(b"x", name=name).file_id for name in "ab"]
    said = shell("delete", ids[0], "a" * 26, ids[1])
    assert said.code == 5
    assert said.out.count("deleted") == 2
    assert "there is no file" in said.err
    assert list(alice.files()) == []


def test_a_dry_run_deletes_nothing(shell: Shell, alice: Client) -> None:
    """It says what would go, and changes nothing."""
    receipt = alice.upload(b"x", name="a")
    (told,) = shell("delete", receipt.file_id, "--dry-run", "--json").objects
    assert (told["file_id"], told["deleted"]) == (receipt.file_id, False)
    assert "would delete" in shell("delete", receipt.file_id, "--dry-run").out
    assert [file.file_id for file in alice.files()] == [receipt.file_id]


def test_extend_moves_the_end(shell: Shell, alice: Client) -> None:
    """The new end is counted from now."""
    receipt = alice.upload(b"x", name="a")
    (told,) = shell("extend", receipt.file_id, "--ttl", "2d", "--json").objects
    assert told["expires_at"] - receipt.created_at == pytest.approx(172_800, abs=60)
    assert shell("extend", receipt.file_id, "--ttl", "never").code == 2


def test_doctor_finds_nothing_wrong(shell: Shell) -> None:
    """Every check has a line, and the server's version is told."""
    said = shell("doctor")
    assert said.code == 0
    assert [line[:4].strip() for line in said.out.splitlines()] == ["ok"] * 8
    assert "3.0.52" in said.out


def test_doctor_tells_what_is_wrong_and_what_to_do(shell: Shell) -> None:
    """The remedy stands below the finding, and the exit code is the cause's."""
    said = shell("doctor", "--directory", "localhost:1")
    assert said.code == 9
    assert "FAIL  directory" in said.out
    assert "--directory HOST:PORT" in said.out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["download", "a" * 26], 5),
        (["--keys-dir", "/nowhere", "list"], 3),
        (["list", "--atsign", "not an atsign"], 2),
        (["list", "--directory", "nonsense:port"], 2),
        (["upload", "/nowhere/at/all"], 1),
        (["upload", "setup.cfg", "--max-concurrent-uploads", "65"], 2),
    ],
)
def test_exit_codes_are_the_causes(shell: Shell, words: list[str], code: int) -> None:
    """A script can tell causes apart without reading words."""
    said = shell(*words)
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith("atxfer: ")


def interrupted(atserver: DevServer, file: Path, event: str) -> str:
    """Upload a file, press Ctrl-C when the log tells of an event, and return what follows there."""
    options = {f"ATXFER_{k.upper()}": v for k, v in atserver.client_options.items()}
    command = [sys.executable, "-m", "atxfer", "--atsign", "alice", "-vv", "upload", str(file)]
    with subprocess.Popen(
        command, env={**os.environ, **options}, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stderr is not None
        while event not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    return rest


def test_ctrl_c_ends_an_upload_that_gets_no_answer(atserver: DevServer, report: Path) -> None:
    """Whatever the server does, one signal is enough, and the exit code tells of it."""
    atserver.faults = FaultPlan.parse("blackhole=1.0")
    rest = interrupted(atserver, report, "transfer.started")
    assert rest.endswith("atxfer: interrupted\n")
