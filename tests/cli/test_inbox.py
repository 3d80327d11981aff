"""``atxfer inbox`` against a development server, as a shell would run it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from atxfer._cli.inbox import _numbered
from atxfer._cli.main import run
from atxfer.devserver import DevServer
from tests.cli.test_commands import Said
from tests.support.shares import Sharer, sharer


class Shell:
    """Runs ``atxfer inbox`` for @bob of one world."""

    def __init__(self, world: DevServer, capture: pytest.CaptureFixture[str], state: Path) -> None:
        options = world.client_options
        self._capture = capture
        self._words = ["--atsign", "bob", "--directory", options["directory"]]
        self._words += ["--ca-file", options["ca_file"], "--keys-dir", options["keys_dir"]]
        self._state = ["--state-dir", str(state)]

    def __call__(self, *words: str) -> Said:
        """Run it."""
        self._capture.readouterr()
        code = run([*self._words, "inbox", *self._state, *words])
        return Said(code, *self._capture.readouterr())


@pytest.fixture
def shell(atserver: DevServer, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """Return a shell in which @bob is at home."""
    return Shell(atserver, capsys, tmp_path / "state")


@pytest.fixture
def alice(atserver: DevServer) -> Iterator[Sharer]:
    """Return somebody who shares with @bob."""
    with sharer(atserver) as alice:
        yield alice


def test_programs_are_told_one_object_a_line(shell: Shell, alice: Sharer) -> None:
    """With what a program needs; each share once."""
    file_id = alice.share("x.pdf", size=9)
    (told,) = shell("--json").objects
    assert (told["file_id"], told["from"], told["name"], told["size"]) == (
        file_id,
        "@alice",
        "x.pdf",
        9,
    )
    assert {"shared_at", "expires_at", "sha256"} <= set(told)
    assert shell("--json").out == ""


def test_people_see_a_table(shell: Shell, alice: Sharer) -> None:
    """That fits into 80 columns, and says when there is nothing."""
    file_id = alice.share("x.pdf", size=5 << 20, chunk_size=1 << 20, chunks=5)
    head, row = shell().out.splitlines()
    assert head.split() == ["FILE", "ID", "FROM", "NAME", "SIZE", "SHARED"]
    assert row.split()[:5] == [file_id, "@alice", "x.pdf", "5", "MiB"]
    assert len(row) <= 80
    said = shell()
    assert (said.code, said.out, said.err) == (0, "", "There is nothing new.\n")


def test_all_shows_what_was_seen(shell: Shell, alice: Sharer) -> None:
    """As often as it is asked."""
    alice.share()
    for _ in range(2):
        assert len(shell("--all", "--json").objects) == 1


def test_quiet_leaves_the_ids(shell: Shell, alice: Sharer) -> None:
    """For scripts."""
    shared = [alice.share(str(number)) for number in range(2)]
    assert shell("--quiet").out.split() == shared


def test_waiting_shows_a_line_each(shell: Shell, alice: Sharer) -> None:
    """As it comes, and ends when the time is over."""
    file_id = alice.share("x.pdf")
    said = shell("--wait", "0.2")
    assert said.out.startswith(f"{file_id}  @alice  x.pdf  5 B  ")
    assert shell("--wait", "100ms", "--json").out == ""


@pytest.mark.parametrize("wait", ["soon", "-1"])
def test_a_wait_that_is_none(shell: Shell, wait: str) -> None:
    """It is a mistake in the command line."""
    assert shell("--wait", wait).code == 2


def test_only_from_some(shell: Shell, alice: Sharer) -> None:
    """Whoever is named; one that doesn't exist is an error."""
    alice.share()
    assert shell("--from", "bob", "--json").out == ""
    said = shell("--from", "@nobody", "--json")
    assert (said.code, json.loads(said.err)["error"]) == (5, "SecondaryNotFound")
    assert len(shell("--from", "Alice", "--json").objects) == 1


def test_what_can_t_be_shown_is_told(shell: Shell, alice: Sharer, atserver: DevServer) -> None:
    """An inbox that seems empty says why."""
    file_id = alice.share()
    for world, key in (
        ("@bob", f"cached:@bob:{file_id}.files.atxfer@alice"),
        ("@alice", f"@bob:{file_id}.files.atxfer@alice"),
    ):
        atserver.server(world).alter(key, "AAAA")
    said = shell()
    assert f"atxfer: inbox.refused key=@bob:{file_id}.files.atxfer@alice" in said.err
    assert said.code == 0


def test_a_state_folder_that_is_none(shell: Shell, alice: Sharer, tmp_path: Path) -> None:
    """It is told before anything is shown."""
    alice.share()
    (tmp_path / "state").write_text("a file")
    said = shell("--json")
    assert (said.code, said.out) == (1, "")
    assert json.loads(said.err)["error"] == "FileExistsError"


@pytest.mark.parametrize(
    ("name", "number", "numbered"),
    [
        ("report.pdf", 1, "report.pdf"),
        ("report.pdf", 2, "report (2).pdf"),
        ("archive.tar.gz", 3, "archive.tar (3).gz"),
        (".profile", 2, ".profile (2)"),
        ("no ending", 2, "no ending (2)"),
        ("a" * 251 + ".pdf", 10, "a" * 246 + " (10).pdf"),
        ("\u00e9" * 127, 2, "\u00e9" * 125 + " (2)"),
        ("a." + "b" * 40, 2, "a." + "b" * 40 + " (2)"),
        ("gpj\u200b.exe", 1, "gpj_.exe"),
        (" \u200b ".strip(), 1, "_"),
    ],
)
def test_the_names_of_files_that_are_named_alike(name: str, number: int, numbered: str) -> None:
    """The ending stays, and a name is never too long."""
    assert _numbered(name, number) == numbered
    assert len(numbered.encode()) <= 255
