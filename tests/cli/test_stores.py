"""Every command at a store without an atSign: it works there, or says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Union

import pytest

from atxfer._cli.main import COMMANDS, run
from tests.servers.s3 import S3Server
from tests.servers.tus import TusServer
from tests.stores.s3.conftest import _own_account
from tests.support.worlds import content

pytestmark = pytest.mark.interop
__all__ = ["_own_account"]

# What works, as what is typed; ADDRESS is that of a file there, FILE and TARGET are paths.
WORKS = {
    "upload": ["FILE"],
    "download": ["ADDRESS", "TARGET"],
    "link": ["ADDRESS"],
    "delete": ["ADDRESS"],
    "resume": ["--all"],
    "list": [],
    "clean": [],
}
# What does not, and a part of what is said instead.
REFUSED = {
    "extend": (["ADDRESS", "--ttl", "1d"], "keeps no times to live"),
    "share": (["ADDRESS", "@bob"], "keeps no shares"),
    "unshare": (["ADDRESS"], "keeps no shares"),
    "unlink": (["ADDRESS"], "can't be taken back"),
    "inbox": ([], "keeps no inbox"),
    "activate": (["--secret-file", "FILE"], "takes an atSign"),
    "doctor": ([], "takes an atSign"),
    "enroll otp": ([], "takes an atSign"),
    "enroll list": ([], "takes an atSign"),
    "enroll request": (["--otp", "ABC123"], "takes an atSign"),
    "enroll approve": (["x"], "takes an atSign"),
    "enroll deny": (["x"], "takes an atSign"),
    "enroll revoke": (["x"], "takes an atSign"),
    "upload --ttl 1d": (["FILE"], "decides itself how long a file lives"),
    "upload --share-with @bob": (["FILE"], "keeps no shares"),
    "upload --format attalk": (["FILE"], "keeps no messages of applications"),
    "download --from @bob": (["ADDRESS", "TARGET"], "keeps no shares"),
}
# What has a place of its own, and goes nowhere else.
LOCAL = {"devserver", "demo"}

Server = Union[TusServer, S3Server]
Typed = dict[str, str]


@pytest.fixture(params=["tusd", "versitygw"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Give a server of each kind, as the environment names it."""
    found: Server = request.getfixturevalue(request.param)
    if isinstance(found, S3Server):
        monkeypatch.setenv("ATXFER_ENDPOINT_URL", found.url)
        monkeypatch.setenv("ATXFER_DESTINATION", f"s3://{found.new_bucket()}/files")
    else:
        monkeypatch.setenv("ATXFER_DESTINATION", found.url)
    return found


@pytest.fixture
def typed(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Give what stands for the words in capitals: a file that is there, and paths."""
    source = tmp_path / "report.pdf"
    source.write_bytes(content(1000))
    assert run(["upload", str(source), "--quiet"]) == 0
    address = capsys.readouterr().out.strip()
    return {"FILE": str(source), "TARGET": str(tmp_path / "copy"), "ADDRESS": address}


def test_no_command_is_forgotten() -> None:
    """Each works, is refused, or has nothing to do with stores."""
    refused = {command.partition(" ")[0] for command in REFUSED}
    assert set(COMMANDS) == WORKS.keys() | refused | LOCAL


@pytest.mark.parametrize("command", WORKS)
def test_what_makes_sense_works(
    server: Server, typed: Typed, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the address of the file alone."""
    code = run([command, *(typed.get(word, word) for word in WORKS[command])])
    said = capsys.readouterr().err
    if command in ("list", "clean") and isinstance(server, TusServer):  # what only S3 can do
        assert code == 13
        assert "does not list" in said
        return
    assert code == 0
    assert said == ("Removed nothing.\n" if command == "clean" else "")


@pytest.mark.parametrize("command", REFUSED)
def test_what_makes_none_says_why(
    typed: Typed, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, with a remedy below it, and the exit code of what is not supported."""
    words, why = REFUSED[command]
    code = run([*command.split(), *(typed.get(word, word) for word in words)])
    said = capsys.readouterr()
    assert (code, said.out) == (13, "")
    line, remedy = said.err.splitlines()
    assert line.startswith("atxfer: ")
    assert why in line
    assert remedy.strip()


def test_who_names_an_atsign_as_well_is_understood(
    typed: Typed, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A store in the environment is in the way of no command that is of atSigns alone."""
    assert run(
        ["doctor", "--atsign", "@alice", "--keys-dir", str(tmp_path), "--directory", "localhost:1"]
    )
    assert "@alice_key.atKeys" in capsys.readouterr().out


def test_a_store_that_is_typed_goes_with_an_atsign(
    typed: Typed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in the environment waits for an atSign, and is in nobody's way; a typed one is meant."""
    monkeypatch.setenv("ATXFER_STORE", "s3://bulk")
    assert run(["delete", typed["ADDRESS"], "--quiet"]) == 0
    for words in (
        ["upload", typed["FILE"], "--store", "s3://bulk"],
        ["--store", "s3://bulk", "upload", typed["FILE"]],
    ):
        capsys.readouterr()
        assert run(words) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert "--store goes with an atSign" in said.err
