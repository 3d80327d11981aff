"""The only code that prints: results to stdout, progress and errors to stderr.

1. stdout holds results alone: lines or a table for people, one JSON object a line with ``--json``.
2. Everything is flushed at once, so that a reader at the other end of a pipe is never behind.
3. A bar steps aside while something else is printed.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from atxfer._cli.failure import Failure
from atxfer._cli.progress import Bars, Lines
from atxfer._cli.words import printable
from atxfer.model import Progress

__all__ = ["Output", "Row"]

# Wide enough that a table in a pipe or a file is never cut; on a terminal its own width counts.
_UNCUT = 10_000


class Row(NamedTuple):
    """A line of a table: what a program gets, and what people see."""

    values: Mapping[str, Any]
    cells: Sequence[str]


class Output:
    """Where a command's words go.

    Args:
        stdout: Results.
        stderr: Progress, notes and errors.
        as_json: One JSON object a line instead of words.
        quiet: Results alone, and only what a script would use.
        verbose: How much of the log to show: 0 none, 1 a line a transfer, 2 everything.
    """

    def __init__(
        self,
        stdout: TextIO,
        stderr: TextIO,
        *,
        as_json: bool = False,
        quiet: bool = False,
        verbose: int = 0,
    ) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.exit_code = 0
        self._bars: Optional[Bars] = None

    @property
    def has_blocks(self) -> bool:
        """Whether the block characters of a chart can be shown."""
        return (self.stdout.encoding or "").lower().replace("-", "") == "utf8"

    def result(self, values: Mapping[str, Any], text: str, brief: str = "") -> None:
        """Show one result: as JSON, or as text; when quiet only the brief form, if there is one."""
        if self.as_json:
            self._write(self.stdout, json.dumps(values))
        elif not self.quiet or brief:
            self._write(self.stdout, brief if self.quiet else text)

    def line(self, text: str) -> None:
        """Show something that only people care for."""
        if not self.as_json and not self.quiet:
            self._write(self.stdout, text)

    def note(self, text: str) -> None:
        """Tell something by the way, on stderr."""
        if not self.quiet and not self.as_json:
            self._write(self.stderr, text)

    def table(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Show rows under headings; of a heading that begins with +, the cells are numbers."""
        if self.as_json:
            for row in rows:
                self._write(self.stdout, json.dumps(row.values))
        elif self.quiet:
            for row in rows:
                self._write(self.stdout, printable(row.cells[0]))
        else:
            self._write(self.stdout, self._drawn(columns, [row.cells for row in rows]))

    def error(self, failure: Failure) -> None:
        """Tell what went wrong and what to do about it; the first one decides the exit code."""
        self.exit_code = self.exit_code or failure.exit_code
        if self.as_json:
            self._write(self.stderr, json.dumps(failure.as_dict()))
            return
        lines = [f"atxfer: {printable(failure.message)}"]
        if failure.remedy:
            lines.append(f"        {printable(failure.remedy)}")
        if self.verbose and failure.trace:
            lines.append(failure.trace.rstrip())
        self._write(self.stderr, "\n".join(lines))

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[Progress], object]]:
        """Yield a callback for transfers: a bar on a terminal, else a line now and then."""
        if self.quiet:
            yield lambda progress: None
        elif self.stderr.isatty() and not self.verbose:
            with Bars(self._console(self.stderr)) as self._bars:
                try:
                    yield self._bars
                finally:
                    self._bars = None
        else:
            yield Lines(self.note)

    @contextlib.contextmanager
    def logging(self) -> Iterator[None]:
        """Show atxfer's log on stderr, as far as ``verbose`` asks for it."""
        if not self.verbose:
            yield
            return
        logger = logging.getLogger("atxfer")
        handler = logging.StreamHandler(self.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s %(message)s"))
        before = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO if self.verbose == 1 else logging.DEBUG)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)

    def _console(self, stream: TextIO) -> Console:
        width = None if stream.isatty() else _UNCUT
        return Console(file=stream, width=width, highlight=False)

    def _drawn(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for place, column in enumerate(columns):
            table.add_column(
                column.lstrip("+"),
                justify="right" if column.startswith("+") else "left",
                no_wrap=place == 0,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        console = self._console(self.stdout)
        with console.capture() as capture:
            console.print(table)
        return "\n".join(line.rstrip() for line in capture.get().splitlines())

    def _write(self, stream: TextIO, text: str) -> None:
        # What a terminal's encoding lacks is shown as an escape.
        encoding = stream.encoding or "utf-8"
        shown = text.encode(encoding, "backslashreplace").decode(encoding)
        with self._bars.aside() if self._bars is not None else contextlib.nullcontext():
            print(shown, file=stream, flush=True)
