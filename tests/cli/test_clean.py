"""``atxfer clean``, as a shell would run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from atxfer.devserver import DevServer, FaultPlan
from tests.cli import test_resume as resume
from tests.cli.test_commands import Shell
from tests.cli.test_resume import interrupted

# Its fixtures: a shell whose requests are tried once, and a file of eight requests.
shell, report = resume.shell, resume.report


def test_it_removes_what_did_not_end(shell: Shell, atserver: DevServer, report: Path) -> None:
    """A line each, as a list has it; then there is nothing."""
    interrupted(shell, atserver, report)
    said = shell("clean", "--older-than", "0")
    assert said.code == 0
    heading, line = said.out.splitlines()
    assert heading.split() == ["FILE", "ID", "NAME", "SIZE", "THERE", "STOPPED"]
    assert "report.pdf" in line
    assert said.err == "Removed 1 upload.\n"
    assert shell("list", "--incomplete").out == ""
    said = shell("clean", "--older-than", "0")
    assert (said.code, said.out, said.err) == (0, "", "Removed nothing.\n")


def test_a_dry_run_removes_nothing(shell: Shell, atserver: DevServer, report: Path) -> None:
    """And says what would be removed, to programs as well."""
    interrupted(shell, atserver, report)
    words = ("clean", "--older-than", "0s", "--dry-run")
    (told,) = shell(*words, "--json").objects
    assert (told["name"], told["size"], told["removed"]) == ("report.pdf", 1_000_000, False)
    assert 0 < told["stored"] < told["size"]
    assert shell(*words).err == "Would remove 1 upload.\n"
    assert shell(*words, "--quiet") == (0, f"{told['file_id']}\n", "")
    (gone,) = shell("clean", "--older-than", "0", "--json").objects
    assert gone == {**told, "removed": True}


def test_what_stopped_today_stays(shell: Shell, atserver: DevServer, report: Path) -> None:
    """Unless another age is asked for."""
    interrupted(shell, atserver, report)
    assert shell("clean").out == ""
    assert "report.pdf" in shell("list", "--incomplete").out


def test_a_failure_is_told_beside_what_is_gone(
    shell: Shell, atserver: DevServer, tmp_path: Path
) -> None:
    """With the exit code of its cause."""
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(bytes(1_000_000))
        interrupted(shell, atserver, tmp_path / name)
    # Two requests for what is there of each follow that for the manifests.
    atserver.faults = FaultPlan.script("ok ok ok AT0011", verbs={"batch"})
    said = shell("clean", "--older-than", "0", "--json")
    assert said.code == 10
    assert [told["removed"] for told in said.objects] == [True]
    names = {"a.bin", "b.bin"} - {said.objects[0]["name"]}
    assert f'"file": "{names.pop()}"' in said.err


def test_what_is_no_age_is_misuse(shell: Shell) -> None:
    """As with every duration."""
    for age in ("yesterday", "-1"):
        assert shell("clean", "--older-than", age).code == 2


def test_it_looks_where_journals_lie(
    shell: Shell, atserver: DevServer, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the upload does: what is under way there is left alone."""
    monkeypatch.delenv("ATXFER_STATE_DIR")
    state = ("--state-dir", str(report.parent / "elsewhere"))
    interrupted(shell, atserver, report, *state)
    said = shell("clean", "--older-than", "0", *state, "--json")
    assert [told["name"] for told in said.objects] == ["report.pdf"]
