"""Options before and after the command, exit codes, signals, pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from _pytest.capture import CaptureFixture

from atxfer._cli import main as cli_main
from atxfer._cli.options import duration, shared, size, subcommand
from atxfer._cli.settings import Settings
from atxfer.errors import FileNotFound, TransferError

SHARED = ["--atsign", "@a", "--directory", "h:1", "--ca-file", "c", "--keys-dir", "k", "--json"]


def _seen(*words: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Return what a command was told when these words were typed."""
    seen: dict[str, Any] = {}

    @click.group()
    @shared(environment=True)
    def program() -> None:
        """Do nothing by itself."""

    @subcommand("look")
    @click.option("--ttl", type=duration)
    @click.option("--chunk-size", type=size)
    def look(settings: Settings, **values: object) -> None:
        """Show what arrived."""
        seen.update(vars(settings), **values)

    program.add_command(look)
    before = dict(os.environ)
    os.environ.update(environment or {})
    try:
        program.main(list(words), "program", standalone_mode=False, obj=Settings())
    finally:
        os.environ.clear()
        os.environ.update(before)
    return seen


@pytest.mark.parametrize("place", ["before", "after"])
def test_shared_options_stand_before_or_after_the_command(place: str) -> None:
    """Both orders mean the same."""
    words = [*SHARED, "look"] if place == "before" else ["look", *SHARED]
    seen = _seen(*words)
    assert (seen["atsign"], seen["directory"], seen["ca_file"]) == ("@a", "h:1", "c")
    assert (seen["keys_dir"], seen["json"], seen["quiet"]) == ("k", True, False)


def test_an_option_before_the_command_is_not_undone_by_its_absence_after() -> None:
    """What was given stays, and what is given twice is what was given last."""
    seen = _seen("--atsign", "@a", "--json", "look", "--atsign", "@b", "-vv")
    assert (seen["atsign"], seen["json"], seen["verbose"]) == ("@b", True, 2)


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_environment_gives_way_to_what_is_typed(place: str) -> None:
    """ATXFER_ATSIGN and its kin are defaults."""
    typed = ["--atsign", "@typed"]
    words = [*typed, "look"] if place == "before" else ["look", *typed]
    environment = {"ATXFER_ATSIGN": "@env", "ATXFER_KEYS_DIR": "keys"}
    seen = _seen(*words, environment=environment)
    assert (seen["atsign"], seen["keys_dir"]) == ("@typed", "keys")


@pytest.mark.parametrize("words", [["--ttl", "soon"], ["--chunk-size", "big"], ["--ttl", "-1"]])
def test_a_value_that_cannot_be_read_is_named(words: list[str]) -> None:
    """The message holds the option, the value and examples."""
    with pytest.raises(click.BadParameter) as caught:
        _seen("look", *words)
    assert words[0] in caught.value.format_message()
    assert words[1] in caught.value.format_message()


def test_sizes_and_durations_have_units() -> None:
    """32KiB and 2h are what they look like."""
    seen = _seen("look", "--ttl", "2h", "--chunk-size", "32KiB")
    assert (seen["ttl"], seen["chunk_size"]) == (7200.0, 32768)


@pytest.mark.parametrize("words", [["frobnicate"], ["upload"], ["--nonsense"], ["upload", "x"]])
@pytest.mark.parametrize("as_json", [False, True])
def test_misuse_ends_with_2(capsys: CaptureFixture[str], words: list[str], as_json: bool) -> None:
    """A usage error is two lines, or one object, on stderr; stdout stays empty."""
    assert cli_main.run([*words, *(["--json"] if as_json else [])]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    if as_json:
        assert json.loads(captured.err)["exit_code"] == 2
    else:
        assert captured.err.startswith("atxfer: ")


def test_every_command_explains_itself(capsys: CaptureFixture[str]) -> None:
    """Help ends with 0, on stdout, and lists what every command takes."""
    for name in cli_main.COMMANDS:
        assert cli_main.run([name, "--help"]) == 0
        assert "--keys-dir" in capsys.readouterr().out


def test_help_fits_on_a_terminal(
    capsys: CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 80 columns: no line is longer, and no command's sentence is cut off."""
    monkeypatch.setenv("COLUMNS", "80")
    enrolling = (
        ["enroll", name] for name in ("otp", "list", "approve", "deny", "revoke", "request")
    )
    for words in ([], *([name] for name in cli_main.COMMANDS), *enrolling):
        assert cli_main.run([*words, "--help"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines[1:] if len(line) > 80 or line.endswith("...")] == []


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_without_a_command_there_is_help(words: list[str], capsys: CaptureFixture[str]) -> None:
    """As it is laid out, line by line, and not as an error."""
    cli_main.run(words)
    told = capsys.readouterr()
    assert told.out.startswith("Usage: atxfer")
    assert len(told.out.splitlines()) > 10
    assert told.err == ""


def test_the_help_names_the_exit_codes(capsys: CaptureFixture[str]) -> None:
    """Each code of the tree of errors stands in the program's help."""
    assert cli_main.run(["--help"]) == 0
    text = capsys.readouterr().out
    codes = {TransferError.exit_code, *(k.exit_code for k in TransferError.__subclasses__())}
    assert [code for code in codes if f" {code} " not in " ".join(text.split())] == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileNotFound("gone"), 5),
        (IsADirectoryError(21, "Is a directory", "x"), 1),
        (ValueError("not an atSign"), 2),
        (KeyboardInterrupt(), 130),
        (cli_main.Terminated(), 143),
    ],
)
def test_what_a_command_raises_becomes_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: CaptureFixture[str], error: BaseException, code: int
) -> None:
    """Errors say their own code; signals are 128 and their number."""

    def fail(self: object, context: click.Context) -> None:
        raise error

    monkeypatch.setattr(click.Group, "invoke", fail)
    assert cli_main.run(["list"]) == code
    assert "atxfer: " in capsys.readouterr().err


def _python(code: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
        **options,
    )


def test_without_the_extra_one_line_says_what_to_install() -> None:
    """A plain installation has no click; the command says so and ends with 2."""
    code = "import sys; sys.modules['click'] = None; from atxfer._cli import start; start()"
    with _python(code) as process:
        out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert "pip install 'atxfer[cli]'" in err
    assert err.count("\n") == 1


def test_a_reader_that_leaves_is_no_error() -> None:
    """A closed pipe ends the program quietly, as the shell knows it of others."""
    code = (
        "import atxfer._cli.main as m, click\n"
        "click.Group.invoke = lambda self, ctx: [ctx.obj.output.line('x') for _ in range(99999)]\n"
        "raise SystemExit(m.run(['list']))"
    )
    with _python(code) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == cli_main.READER_GONE


def test_sigterm_unwinds() -> None:
    """A terminated program cleans up behind itself before it ends."""
    code = (
        "import atxfer._cli.main as m, click, os, signal\n"
        "def invoke(self, ctx):\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n"
        "    finally: print('cleaned up', flush=True)\n"
        "click.Group.invoke = invoke\n"
        "raise SystemExit(m.run(['list']))"
    )
    with _python(code) as process:
        out, err = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert out == "cleaned up\n"
    assert "terminated" in err
