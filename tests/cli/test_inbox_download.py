"""``atxfer inbox --download``: files that others share, fetched as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from atxfer import Client
from atxfer._cli.main import run
from atxfer.devserver import DevServer
from tests.cli.test_commands import Said
from tests.support.worlds import client_of, content


class Shell:
    """Runs ``atxfer inbox --download`` for @bob of one world, into one folder."""

    def __init__(self, world: DevServer, capture: pytest.CaptureFixture[str], folder: Path) -> None:
        options = world.client_options
        self._capture = capture
        self._words = ["--atsign", "bob", "--directory", options["directory"]]
        self._words += ["--ca-file", options["ca_file"], "--keys-dir", options["keys_dir"]]
        self._words += ["inbox", "--state-dir", str(folder.parent / "state")]
        self._words += ["--download", str(folder)]

    def __call__(self, *words: str) -> Said:
        """Run it."""
        self._capture.readouterr()
        code = run([*self._words, *words])
        return Said(code, *self._capture.readouterr())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that is made when it is needed."""
    return tmp_path / "downloads"


@pytest.fixture
def shell(atserver: DevServer, capsys: pytest.CaptureFixture[str], folder: Path) -> Shell:
    """Return a shell in which @bob is at home."""
    return Shell(atserver, capsys, folder)


@pytest.fixture
def alice(atserver: DevServer) -> Iterator[Client]:
    """Return a client of somebody who shares with @bob."""
    with client_of(atserver) as client:
        yield client


def test_what_is_shared_is_downloaded(
    shell: Shell, alice: Client, atserver: DevServer, folder: Path
) -> None:
    """Once, whole, and its path is told."""
    data = content(100_000)
    receipt = alice.upload(data, name="x.bin", share_with=["@bob"])
    atserver.idle()
    (told,) = shell("--json").objects
    assert (told["file_id"], told["from"]) == (receipt.file_id, "@alice")
    assert told["path"] == str(folder / "x.bin")
    assert (folder / "x.bin").read_bytes() == data
    assert shell("--json").out == ""


def test_files_that_are_named_alike_are_all_kept(
    shell: Shell, alice: Client, atserver: DevServer, folder: Path
) -> None:
    """None takes the place of another, nor of what lay there before."""
    folder.mkdir()
    (folder / "x.bin").write_bytes(b"mine")
    for number in range(3):
        alice.upload(str(number).encode(), name="x.bin", share_with=["@bob"])
    atserver.idle()
    assert len(shell("--quiet").out.split("\n")) == 4
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert found == {"x.bin": b"mine", "x (2).bin": b"0", "x (3).bin": b"1", "x (4).bin": b"2"}


def test_a_download_that_fails_does_not_disturb_the_others(
    shell: Shell, alice: Client, atserver: DevServer, folder: Path
) -> None:
    """It is told of, leaves nothing behind, and comes again when it can be had."""
    broken = alice.upload(b"broken", name="broken", share_with=["@bob"])
    alice.upload(b"sound", name="sound", share_with=["@bob"])
    atserver.idle()
    key = f"public:_0.{broken.file_id}.atxfer@alice"
    value = atserver.server("@alice").value(key)
    assert value is not None
    atserver.server("@alice").alter(key, ("B" if value[0] != "B" else "C") + value[1:])
    said = shell("--json")
    assert [told["name"] for told in said.objects] == ["sound"]
    failure = json.loads(said.err)
    assert (failure["error"], failure["file_id"]) == ("ChunkCorrupt", broken.file_id)
    assert said.code == 6
    assert [path.name for path in folder.iterdir()] == ["sound"]
    atserver.server("@alice").alter(key, value)
    assert [told["name"] for told in shell("--json").objects] == ["broken"]
    assert (folder / "broken").read_bytes() == b"broken"


def test_people_are_told_where_it_lies(
    shell: Shell, alice: Client, atserver: DevServer, folder: Path
) -> None:
    """A line a file."""
    alice.upload(b"x", name="x.bin", share_with=["@bob"])
    atserver.idle()
    assert shell("--wait", "0.2").out == f"x.bin from @alice: 1 B, in {folder / 'x.bin'}\n"


def test_a_folder_that_is_a_file(shell: Shell, folder: Path) -> None:
    """Nothing is asked for, and nothing is seen."""
    folder.write_text("a file")
    assert shell().code == 1
