"""Activation and enrolment as a shell runs them."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from atxfer import Client, onboarding
from atxfer._cli.main import run
from atxfer.devserver import DevServer, FaultPlan
from tests.support.until import until

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "0c0ffee0c0ffee"


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
    """Runs commands for one atSign, with keys in one folder."""

    def __init__(
        self, world: DevServer, capture: pytest.CaptureFixture[str], atsign: str, keys_dir: Path
    ) -> None:
        self._capture = capture
        self.keys_dir = keys_dir
        options = {**world.client_options, "keys_dir": str(keys_dir), "atsign": atsign}
        self.environment = {f"ATXFER_{name.upper()}": value for name, value in options.items()}

    def __call__(self, *words: str) -> Said:
        """Run one command."""
        self._capture.readouterr()
        names = ("atsign", "directory", "ca_file", "keys_dir")
        shared = [
            word
            for name in names
            for word in (f"--{name.replace('_', '-')}", self.environment[f"ATXFER_{name.upper()}"])
        ]
        code = run([*shared, *words])
        return Said(code, *self._capture.readouterr())


@pytest.fixture
def world(atserver_factory: Any) -> DevServer:
    """Return a world in which @carol is not activated yet."""
    world: DevServer = atserver_factory([], cram_secrets={"carol": SECRET})
    return world


@pytest.fixture
def carol(world: DevServer, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """Return a shell of hers."""
    return Shell(world, capsys, "@carol", tmp_path / "keys")


@pytest.fixture
def owner(atserver: DevServer, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return a shell of @alice's with her own keys."""
    return Shell(atserver, capsys, "alice", Path(atserver.keys_dir))


@pytest.fixture
def device(atserver: DevServer, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """Return a shell on another machine."""
    return Shell(atserver, capsys, "alice", tmp_path / "device")


# --- activate


def test_a_secret_comes_from_a_file(carol: Shell, tmp_path: Path) -> None:
    """White space around it doesn't count; the result is where the keys are."""
    (tmp_path / "secret").write_text(f"  {SECRET}\n")
    said = carol("activate", "carol", "--secret-file", str(tmp_path / "secret"), "--json")
    path = carol.keys_dir / "@carol_key.atKeys"
    assert said.objects == [{"status": "activated", "keys": str(path)}]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_comes_from_the_environment(carol: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the atSign from wherever other commands take it."""
    monkeypatch.setenv("ATXFER_CRAM_SECRET", SECRET)
    said = carol("activate")
    assert said.code == 0
    assert str(carol.keys_dir) in said.out
    assert "Keep a copy" in said.out
    assert SECRET not in said.out + said.err


def test_a_secret_comes_from_a_pipe(carol: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is named by a dash."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SECRET.encode())))
    assert carol("--quiet", "activate", "--secret-file", "-").out.strip().endswith(".atKeys")


def test_a_secret_is_asked_for_on_a_terminal(carol: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an echo, and not on the standard output."""
    asked: list[dict[str, Any]] = []

    def prompt(text: str, **options: Any) -> str:
        asked.append(options)
        return SECRET

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(click, "prompt", prompt)
    assert carol("activate").code == 0
    assert asked == [{"hide_input": True, "err": True}]


@pytest.mark.parametrize("text", ["", " \n"])
def test_without_a_secret_nothing_is_tried(carol: Shell, tmp_path: Path, text: str) -> None:
    """A script is told how to give one."""
    said = carol("activate")
    assert (said.code, said.out) == (2, "")
    assert "--secret-file" in said.err
    assert "ATXFER_CRAM_SECRET" in said.err
    (tmp_path / "secret").write_text(text)
    assert carol("activate", "--secret-file", str(tmp_path / "secret")).code == 2


def test_a_secret_on_the_command_line_is_refused(carol: Shell) -> None:
    """Everybody on the machine could read it there."""
    assert carol("activate", "carol", SECRET).code == 2
    assert carol("activate", "--secret", SECRET).code == 2


def test_exit_codes_of_an_activation(carol: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 for a wrong secret and a second activation, 1 for a file that is there."""
    monkeypatch.setenv("ATXFER_CRAM_SECRET", "wrong")
    said = carol("activate")
    assert said.code == 4
    assert "wrong" not in said.err
    monkeypatch.setenv("ATXFER_CRAM_SECRET", SECRET)
    assert carol("activate").code == 0
    said = carol("activate")
    assert said.code == 1
    assert "there is a key file already" in said.err
    assert str(carol.keys_dir / "@carol_key.atKeys") in said.err
    (carol.keys_dir / "@carol_key.atKeys").rename(carol.keys_dir / "moved")
    said = carol("activate")
    assert said.code == 4
    assert "activated already" in said.err


@pytest.mark.parametrize("verb", ["update", "delete"])
def test_a_killed_activation_is_finished_by_the_next(
    carol: Shell, world: DevServer, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """No signal can be caught there; the keys are on the disk."""
    world.faults = FaultPlan.script("hang", verbs={verb})
    command = [sys.executable, "-m", "atxfer", "activate"]
    environment = {**os.environ, **carol.environment, "ATXFER_CRAM_SECRET": SECRET}
    with subprocess.Popen(command, env=environment, cwd=ROOT) as process:
        until(lambda: world.faults.played)
        process.send_signal(signal.SIGKILL)
    assert [path.name for path in carol.keys_dir.iterdir()] == ["@carol_key.atKeys.new"]
    monkeypatch.setenv("ATXFER_CRAM_SECRET", SECRET)
    assert carol("activate").code == 0
    assert [path.name for path in carol.keys_dir.iterdir()] == ["@carol_key.atKeys"]
    assert carol("doctor").code == 0


# --- enroll


def _otp(owner: Shell) -> str:
    return owner("enroll", "otp", "--quiet").out.strip()


def test_a_device_gets_keys(owner: Shell, device: Shell, tmp_path: Path) -> None:
    """In five commands, the last of which moves a file."""
    (told,) = owner("enroll", "otp", "--json").objects
    said = device("enroll", "request", "--otp", told["otp"], "--device", "nas", "--wait", "0")
    assert said.code == 4
    assert "pending" in said.out
    assert "go on with `atxfer enroll request`" in said.err
    (asked,) = owner("enroll", "list", "--json").objects
    assert (asked["device"], asked["status"]) == ("nas", "pending")
    assert owner("enroll", "approve", asked["id"]).out.startswith("approved")
    (done,) = device("enroll", "request", "--json").objects
    key_file = device.keys_dir / "@alice_key.atKeys"
    assert done == {"status": "approved", "keys": str(key_file)}
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    (tmp_path / "file").write_bytes(b"content")
    assert device("upload", str(tmp_path / "file")).code == 0
    assert device("doctor").code == 0


def test_ctrl_c_ends_a_wait_and_loses_nothing(owner: Shell, device: Shell) -> None:
    """The next call goes on."""
    command = [sys.executable, "-m", "atxfer", "enroll", "request", "--otp", _otp(owner), "--json"]
    environment = {**os.environ, **device.environment}
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        asked = json.loads(process.stdout.readline())
        assert (asked["status"], asked["namespaces"]) == ("pending", {"atxfer": "rw"})
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert owner("enroll", "approve", asked["id"]).code == 0
    assert device("enroll", "request").code == 0


def test_name_spaces_are_asked_for_by_name(owner: Shell, device: Shell) -> None:
    """As often as need be, each with its access."""
    spaces = ["--namespace", "atxfer", "--namespace", "attalk:r"]
    device("enroll", "request", "--otp", _otp(owner), *spaces, "--app", "backup", "--wait", "0")
    (asked,) = owner("enroll", "list", "--json").objects
    assert asked["namespaces"] == {"atxfer": "rw", "attalk": "r"}
    assert asked["app"] == "backup"
    shown = owner("enroll", "list").out
    assert "atxfer:rw, attalk:r" in shown


@pytest.mark.parametrize(
    "words",
    [
        ["enroll"],
        ["enroll", "frobnicate"],
        ["enroll", "approve"],
        ["enroll", "request", "--otp", "ABC123", "--namespace", "atxfer:w"],
        ["enroll", "request", "--otp", "ABC123", "--namespace", ":r"],
        ["enroll", "request", "--otp", "ABC123", "--device", "my laptop"],
        ["enroll", "request", "--wait", "soon"],
        ["enroll", "otp", "--ttl", "never"],
    ],
)
def test_misuse_ends_with_2(device: Shell, owner: Shell, words: list[str]) -> None:
    """Before anything is asked; one line says what is wrong."""
    said = (owner if "otp" in words else device)(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("atxfer: ")


def test_exit_codes_of_an_enrolment(owner: Shell, device: Shell) -> None:
    """3 where none is pending, 1 where one is, 5 for one that is not there, 10 for its state."""
    assert device("enroll", "request").code == 3
    assert device("enroll", "request", "--otp", _otp(owner), "--wait", "0").code == 4
    said = device("enroll", "request", "--otp", "ABC123")
    assert said.code == 1
    assert "pending already" in said.err
    assert owner("enroll", "approve", "none").code == 5
    (asked,) = owner("enroll", "list", "--json").objects
    assert owner("enroll", "revoke", asked["id"]).code == 10
    assert owner("enroll", "deny", asked["id"]).out.startswith("denied")
    assert device("enroll", "request").code == 4
    assert device("enroll", "request").code == 3


def test_a_list_may_be_narrowed(owner: Shell, device: Shell) -> None:
    """To one state; that there is nothing is told on stderr."""
    assert owner("enroll", "list") == Said(0, "", "There are no enrolments.\n")
    device("enroll", "request", "--otp", _otp(owner), "--wait", "0")
    assert len(owner("enroll", "list", "--status", "pending", "--quiet").out.split()) == 1
    assert owner("enroll", "list", "--status", "approved").out == ""


def test_revoked_keys_end_with_4(owner: Shell, device: Shell, atserver: DevServer) -> None:
    """The remedy is to enrol again."""
    device("enroll", "request", "--otp", _otp(owner), "--wait", "0")
    (asked,) = owner("enroll", "list", "--json").objects
    owner("enroll", "approve", asked["id"])
    device("enroll", "request")
    (revoked,) = owner("enroll", "revoke", asked["id"], "--json").objects
    assert revoked["status"] == "revoked"
    said = device("list")
    assert said.code == 4
    assert "AT0027" in said.err


def test_each_command_of_the_group_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """With the options of every command."""
    for name in ("otp", "request", "list", "approve", "deny", "revoke"):
        assert run(["enroll", name, "--help"]) == 0
        assert "--keys-dir" in capsys.readouterr().out


def test_shared_options_may_stand_anywhere(atserver: DevServer, owner: Shell) -> None:
    """Before the group, behind it, and behind its command."""
    onboarding.new_otp("@alice", **atserver.client_options)
    assert owner("--json", "enroll", "otp").objects
    assert owner("enroll", "--json", "otp").objects
    assert owner("enroll", "otp", "--json").objects
    with Client("@alice", **atserver.client_options) as client:
        assert list(client.files()) == []
