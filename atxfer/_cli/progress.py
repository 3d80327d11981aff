"""How far transfers are: bars on a terminal, lines in a log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Callable, Optional

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Drawing

from atxfer._cli.words import duration_text, printable, size_text
from atxfer.model import Progress

__all__ = ["LINE_INTERVAL", "Bars", "Lines"]

# Seconds between two lines about one file where no bar can be drawn, as in a log (design §9).
LINE_INTERVAL = 10.0


class Lines:
    """A line about a file every ten seconds of its transfer, for logs.

    Threads: called from the one thread that calls progress callbacks.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._told: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.seconds - self._told.get(progress.file, 0.0) < LINE_INTERVAL:
            return
        self._told[progress.file] = progress.seconds
        self._note(printable(str(progress)))


class Bars:
    """A bar for each file under way. Threads: as :class:`Lines`."""

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}% {task.fields[speed]}", markup=False),
        )
        self._bars = Drawing(*columns, console=console, transient=True, expand=True)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Draw nothing while something else is printed."""
        self._bars.stop()
        yield
        self._bars.start()

    def __call__(self, progress: Progress) -> None:
        task = self._tasks.get(progress.file)
        if task is None:
            task = self._bars.add_task(printable(progress.file), speed="")
            self._tasks[progress.file] = task
        self._bars.update(
            task,
            total=max(1, progress.total),
            completed=progress.confirmed,
            speed=_speed(progress),
        )
        if progress.confirmed == progress.total:
            self._bars.remove_task(self._tasks.pop(progress.file))


def _speed(progress: Progress) -> str:
    """Return how far, how fast, and how long still."""
    left: Optional[float] = None
    if progress.rate > 0:
        left = (progress.total - progress.confirmed) / progress.rate
    text = f"of {size_text(progress.total)}, {size_text(progress.rate)}/s"
    return text if left is None else f"{text}, {duration_text(left)} left"
