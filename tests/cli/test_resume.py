"""``atxfer resume``, and how ``upload`` tells of what it has resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from atxfer._cli.main import run
from atxfer.devserver import DevServer, FaultPlan
from tests.cli import test_commands as commands
from tests.cli.test_commands import Said, Shell
from tests.support.until import until
from tests.support.worlds import client_of, content, sha256

SIZE = 1_000_000


@pytest.fixture
def shell(
    atserver: DevServer,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    """Return a shell in which @alice is at home, and no request is tried twice."""
    monkeypatch.setenv("ATXFER_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("ATXFER_MAX_ATTEMPTS", "1")
    return Shell(atserver, capsys)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Return a file that is sent in eight requests."""
    path = tmp_path / "report.pdf"
    path.write_bytes(content(SIZE))
    return path


def interrupted(shell: Shell, atserver: DevServer, path: Path, *options: str) -> Said:
    """Upload about half of a file."""
    atserver.faults = FaultPlan.script("ok ok ok ok " + "AT0011 " * 4, verbs={"batch"})
    said = shell("upload", str(path), *options)
    atserver.faults = FaultPlan()
    assert said.code == 10
    return said


def test_upload_says_that_it_goes_on(shell: Shell, atserver: DevServer, report: Path) -> None:
    """The failure says how; the next call says what was there already."""
    assert "goes on where this one ended" in interrupted(shell, atserver, report).err
    said = shell("upload", str(report))
    assert said.code == 0
    assert said.out.count("\n") == 1
    assert "resumed: " in said.err
    assert said.err.endswith(" of 976.6 KiB were there already\n")


def test_programs_are_told_how_much(shell: Shell, atserver: DevServer, report: Path) -> None:
    """In bytes; nothing beside it is printed."""
    interrupted(shell, atserver, report)
    said = shell("upload", str(report), "--json")
    assert 0 < said.objects[0]["resumed_bytes"] < SIZE
    assert said.err == ""
    assert shell("upload", str(report), "--json").objects[0]["resumed_bytes"] == 0


def test_it_lists_what_did_not_end(shell: Shell, atserver: DevServer, report: Path) -> None:
    """Where to, how far, and what has become of the file; no keys are needed for that."""
    assert shell("resume") == Said(0, "", "All uploads of this machine have ended.\n")
    interrupted(shell, atserver, report, "--name", "other.pdf")
    heading, line = shell("resume").out.splitlines()
    assert heading.split() == ["FILE", "TO", "SIZE", "THERE", "STOPPED", "STATE"]
    assert line.startswith(f"{report}  @alice (localhost:")
    assert line.endswith("  stopped")
    (told,) = shell("--atsign", "nobody", "resume", "--json").objects
    assert (told["path"], told["name"], told["size"]) == (str(report), "other.pdf", SIZE)
    assert 0 < told["stored"] < SIZE
    assert shell("-q", "resume").out == f"{report}\n"


def test_it_goes_on_as_the_upload_was_begun(
    shell: Shell, atserver: DevServer, report: Path
) -> None:
    """With its name, its time to live, its chunk size and its recipients."""
    options = ["--name", "other.pdf", "--ttl", "2h", "--chunk-size", "16KiB"]
    interrupted(shell, atserver, report, *options, "--share-with", "@bob")
    (told,) = shell("resume", "--all", "--json").objects
    assert (told["name"], told["chunk_size"]) == ("other.pdf", 16_384)
    assert told["expires_at"] - told["created_at"] == pytest.approx(7200, abs=60)
    assert told["sha256"] == sha256(report.read_bytes())
    assert told["resumed_bytes"] > 0
    with client_of(atserver, "@bob") as bob:
        assert [shared.file_id for shared in bob.inbox()] == [told["file_id"]]
    assert shell("resume").out == ""


def test_it_goes_on_with_what_is_named(
    shell: Shell, atserver: DevServer, report: Path, tmp_path: Path
) -> None:
    """However the path is written; what is not there is told of, and disturbs nothing."""
    other = tmp_path / "other"
    other.write_bytes(content(SIZE, seed=2))
    for path in (report, other):
        interrupted(shell, atserver, path)
    said = shell("resume", str(tmp_path / "missing"), os.path.relpath(report), "--json")
    assert (said.code, json.loads(said.err)["error"]) == (5, "NotFound")
    assert [told["name"] for told in said.objects] == ["report.pdf"]
    assert [told["name"] for told in shell("resume", "--json").objects] == ["other"]


def test_a_dry_run_sends_nothing(shell: Shell, atserver: DevServer, report: Path) -> None:
    """It says what would be gone on with."""
    interrupted(shell, atserver, report)
    until(lambda: atserver.counters.snapshot()["@alice"]["connections_now"] == 0)
    before = atserver.counters.snapshot()["@alice"]["bytes_in"]
    (told,) = shell("resume", "--all", "--dry-run", "--json").objects
    assert (told["path"], told["resumed"]) == (str(report), False)
    assert f"would go on with {report}: " in shell("resume", str(report), "--dry-run").out
    assert atserver.counters.snapshot()["@alice"]["bytes_in"] == before


def test_a_file_that_is_gone_disturbs_no_other(
    shell: Shell, atserver: DevServer, report: Path, tmp_path: Path
) -> None:
    """It stays in the list until its time on the server is over."""
    other = tmp_path / "other"
    other.write_bytes(content(SIZE, seed=2))
    for path in (report, other):
        interrupted(shell, atserver, path)
    report.unlink()
    said = shell("resume", "--all", "--json")
    assert (said.code, json.loads(said.err)["error"]) == (1, "FileNotFoundError")
    assert [told["name"] for told in said.objects] == ["other"]
    assert [told["state"] for told in shell("resume", "--json").objects] == ["gone"]


def test_it_leaves_uploads_to_others_alone(shell: Shell, atserver: DevServer, report: Path) -> None:
    """They need another's keys."""
    interrupted(shell, atserver, report)
    assert shell("--atsign", "bob", "resume", "--all") == Said(0, "", "")
    said = shell("--atsign", "bob", "resume", str(report))
    assert said.code == 5
    assert "to @bob" in said.err
    assert len(shell("resume", "--json").objects) == 1


def test_another_folder_has_its_own(
    shell: Shell, atserver: DevServer, report: Path, tmp_path: Path
) -> None:
    """--state-dir is as it is for other commands."""
    elsewhere = ["--state-dir", str(tmp_path / "elsewhere")]
    interrupted(shell, atserver, report, *elsewhere)
    assert shell("resume").out == ""
    assert shell("resume", "--all", *elsewhere, "--json").objects[0]["resumed_bytes"] > 0


def test_ctrl_c_says_that_it_can_go_on(shell: Shell, atserver: DevServer, report: Path) -> None:
    """What is there, and how to go on; then the same end as ever."""
    atserver.faults = FaultPlan.script("ok ok " + "hang " * 20, verbs={"batch"})
    rest = commands.interrupted(atserver, report, "chunk.stored")
    assert "of 976.6 KiB are there; `atxfer resume` goes on\n" in rest
    assert rest.endswith("atxfer: interrupted\n")
    atserver.faults = FaultPlan()
    assert shell("resume", "--all", "--json").objects[0]["resumed_bytes"] > 0


def test_help_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """The command is one of the program's."""
    assert run(["resume", "--help"]) == 0
    assert "--dry-run" in capsys.readouterr().out
