"""What goes to stdout, what to stderr, and in which form."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from atxfer._cli.failure import failure_of
from atxfer._cli.output import Output, Row
from atxfer._cli.progress import LINE_INTERVAL
from atxfer.errors import ChunkMissing
from atxfer.model import Progress

ERROR = ChunkMissing("a chunk is gone", file="a.txt", chunk=3)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _output(**options: Any) -> Output:
    return Output(io.StringIO(), io.StringIO(), **options)


def _said(output: Output) -> tuple[str, str]:
    assert isinstance(output.stdout, io.StringIO)
    assert isinstance(output.stderr, io.StringIO)
    return output.stdout.getvalue(), output.stderr.getvalue()


def _progress(seconds: float, confirmed: int = 50) -> Progress:
    return Progress("a.txt", 100, confirmed, 1, 2, seconds)


@pytest.mark.parametrize(
    ("options", "shown"),
    [({}, "in words\n"), ({"quiet": True}, "id\n"), ({"as_json": True}, '{"id": 1}\n')],
)
def test_a_result_has_three_forms(options: dict[str, bool], shown: str) -> None:
    """Words for people, the bare id for scripts, JSON for programs; all on stdout."""
    output = _output(**options)
    output.result({"id": 1}, "in words", "id")
    assert _said(output) == (shown, "")


@pytest.mark.parametrize("options", [{"quiet": True}, {"as_json": True}])
def test_programs_get_no_notes(options: dict[str, bool]) -> None:
    """What is said by the way is for people, on stderr."""
    output = _output(**options)
    output.note("by the way")
    output.line("a picture")
    assert _said(output) == ("", "")


def test_a_table_in_a_pipe_is_never_cut() -> None:
    """Every cell is whole, however long, and a row is a line."""
    output = _output()
    output.table(["ID", "+SIZE"], [Row({}, ["x" * 300, "7"]), Row({}, ["[bold]y", "70\n"])])
    lines = _said(output)[0].splitlines()
    assert [line.split() for line in lines[1:]] == [["x" * 300, "7"], ["[bold]y", "70\\n"]]


def test_a_table_for_programs_is_an_object_a_line() -> None:
    """Each row can be read as it comes."""
    output = _output(as_json=True)
    output.table(["ID"], [Row({"id": 1}, ["1"]), Row({"id": 2}, ["2"])])
    assert [json.loads(line) for line in _said(output)[0].splitlines()] == [{"id": 1}, {"id": 2}]


def test_an_error_is_two_lines_on_stderr() -> None:
    """What happened, and below it what to do."""
    output = _output()
    output.error(failure_of(ERROR))
    assert _said(output)[0] == ""
    assert _said(output)[1].splitlines() == [
        "atxfer: a chunk is gone (a.txt, chunk 3)",
        "        Upload the file again; the target was left as it was.",
    ]


def test_an_error_for_programs_is_an_object_on_stderr() -> None:
    """Its class, message, remedy, exit code and place, by name."""
    output = _output(as_json=True)
    output.error(failure_of(ERROR))
    told = json.loads(_said(output)[1])
    assert (told["error"], told["exit_code"], told["chunk"]) == ("ChunkMissing", 5, 3)
    assert told["retryable"] is False


def test_the_first_error_decides_the_exit_code() -> None:
    """Of several files that fail, the first one's code is the program's."""
    output = _output()
    output.error(failure_of(ERROR))
    output.error(failure_of(OSError(2, "No such file", "b.txt")))
    assert output.exit_code == 5
    assert "No such file: b.txt" in _said(output)[1]


def test_a_log_gets_a_line_now_and_then() -> None:
    """Where no bar can be drawn, one line each ten seconds of a file's transfer."""
    output = _output()
    with output.progress() as progress:
        for seconds in range(0, 31, 2):
            progress(_progress(float(seconds)))
    assert LINE_INTERVAL == 10.0
    assert _said(output)[1].count("a.txt:  50%") == 3


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end() -> None:
    """The bar shows name, part and speed; a file that is done has none."""
    output = Output(_Terminal(), _Terminal())
    with output.progress() as progress:
        progress(_progress(1.0))
        output.result({}, "between")
        progress(_progress(2.0, 100))
    drawn = _said(output)[1]
    assert "a.txt" in drawn
    assert "50%" in drawn
    assert _said(output)[0] == "between\n"


def test_what_the_encoding_lacks_is_escaped() -> None:
    """A terminal without Unicode shows an escape instead of a traceback."""
    raw = io.BytesIO()
    output = Output(io.TextIOWrapper(raw, "ascii"), io.StringIO())
    output.line("Grüße")
    assert raw.getvalue() == b"Gr\\xfc\\xdfe\n"


@pytest.mark.parametrize(("verbose", "levels"), [(0, ""), (1, "I"), (2, "DI")])
def test_verbose_shows_the_log(verbose: int, levels: str) -> None:
    """Once a line a transfer, twice everything; the logger is left as it was."""
    output = _output(verbose=verbose)
    logger = logging.getLogger("atxfer.test")
    with output.logging():
        logger.debug("deep")
        logger.info("told")
    logger.info("after")
    shown = _said(output)[1]
    assert [word for word in ("deep", "told", "after") if word in shown] == [
        word for word in ("deep", "told") if word[0].upper().replace("T", "I") in levels
    ]


def test_verbose_shows_where_an_error_comes_from() -> None:
    """The trace, causes included, is for who asks for it."""
    try:
        try:
            raise ConnectionResetError("reset by peer")
        except OSError as cause:
            raise ERROR from cause
    except ChunkMissing as error:
        failure = failure_of(error)
    plain, verbose = _output(), _output(verbose=1)
    plain.error(failure)
    verbose.error(failure)
    assert "reset by peer" not in _said(plain)[1]
    assert "reset by peer" in _said(verbose)[1]
