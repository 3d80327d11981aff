"""Fill in what the pages show of the code: ``python docs/generate.py``.

A page holds a pair of comments, and what stands between them is replaced::

    <!-- generated: errors -->
    <!-- end of errors -->

The text is kept in the pages, so that they can be read anywhere; a test compares it with the code.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Callable

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from atxfer import TransferConfig, errors  # noqa: E402  # this checkout's, not an installed one
from atxfer._cli.failure import INTERRUPTED, MISUSE, TERMINATED  # noqa: E402
from atxfer._cli.main import READER_GONE  # noqa: E402
from atxfer._observe import events  # noqa: E402
from atxfer.atprotocol.errors import AtError  # noqa: E402

_PAGES = (*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md")
_BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)


def _table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    headings = list(headings)
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def _first_line(thing: type) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _tree(kind: type[errors.TransferError]) -> Iterator[type[errors.TransferError]]:
    """Yield a class of the error tree and all below it, each once, branch by branch."""
    seen = dict.fromkeys([kind])
    for child in kind.__subclasses__():
        seen.update(dict.fromkeys(_tree(child)))
    yield from seen


def _causes() -> list[type[errors.TransferError]]:
    """Return the public errors, in order of their exit codes; RetryableError is only a mark."""
    named = [getattr(errors, name) for name in errors.__all__]
    kinds = [
        k for k in _tree(errors.TransferError) if k in named and k is not errors.RetryableError
    ]
    return sorted(kinds, key=lambda kind: kind.exit_code)


def _branches() -> list[type[errors.TransferError]]:
    return [k for k in _causes() if k.__mro__[1] in (Exception, errors.TransferError)]


def exit_codes() -> str:
    """Return the exit codes of the command line."""
    others = [
        (0, "", "Done."),
        (1, "`OSError`", "A local file can't be read or written."),
        (MISUSE, "", "The command line, a value or an atSign can't be understood."),
        (INTERRUPTED, "", "Ctrl-C."),
        (READER_GONE, "", "Whoever read our output has closed the pipe."),
        (TERMINATED, "", "SIGTERM."),
    ]
    ours = [(k.exit_code, f"`{k.__name__}`", _first_line(k)) for k in _branches()[1:]]
    return _table(["Exit code", "Error", "Meaning"], sorted([*others, *ours]))


def error_list() -> str:
    """Return every error with what to do about it."""
    rows = []
    for kind in _causes():
        again = "yes" if issubclass(kind, errors.RetryableError) else ""
        remedy = kind.default_remedy.replace("|", "\\|")
        rows.append((f"`{kind.__name__}`", kind.exit_code, again, _first_line(kind), remedy))
    return _table(["Error", "Exit code", "Retried", "What happened", "What to do"], rows)


def at_codes() -> str:
    """Return which error each code of the atProtocol becomes."""
    rows: list[tuple[object, ...]] = []
    for code, kind in sorted(AtError.by_code.items()):
        cause = next(k for k in kind.__mro__ if k.__module__ == errors.__name__)
        again = "yes" if issubclass(kind, errors.RetryableError) else ""
        closes = "yes" if kind.closes_connection else ""
        rows.append((code, kind.description, f"`{cause.__name__}`", again, closes))
    return _table(["Code", "The server's words", "Error", "Retried", "Closes"], rows)


def _field_texts() -> dict[str, str]:
    """Return what the docstring of TransferConfig says of each field."""
    text = inspect.getdoc(TransferConfig) or ""
    section = text.partition("Attributes:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(words.split()) for name, words in entries}


def _shown(value: object) -> str:
    grouped = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}".replace(",", "_") if grouped else f"{value}"


def configuration() -> str:
    """Return every field of the configuration with its variable and its default."""
    texts = _field_texts()
    defaults = TransferConfig()
    rows = []
    for field in dataclasses.fields(TransferConfig):
        default = _shown(getattr(defaults, field.name))
        variable = f"ATXFER_{field.name.upper()}"
        rows.append((f"`{field.name}`", f"`{default}`", texts[field.name], f"`{variable}`"))
    return _table(["Field", "Default", "Meaning", "Variable"], rows)


def presets() -> str:
    """Return what each preset changes."""
    defaults = dataclasses.asdict(TransferConfig())
    rows = []
    for name in ("development", "production", "high_performance", "original"):
        values = dataclasses.asdict(getattr(TransferConfig, name)())
        changes = [f"`{k}={_shown(v)}`" for k, v in values.items() if v != defaults[k]]
        rows.append((f"`TransferConfig.{name}()`", ", ".join(changes) or "nothing: the default"))
    return _table(["Preset", "What it changes"], rows)


def log_events() -> str:
    """Return the events that are logged, with their fields."""
    rows = []
    for name in events.__all__:
        kind = getattr(events, name)
        if inspect.isclass(kind) and issubclass(kind, events.Event) and kind is not events.Event:
            fields = ", ".join(f"`{field.name}`" for field in dataclasses.fields(kind))
            level = logging.getLevelName(kind.level)
            rows.append((f"`{kind.name}`", level, _first_line(kind), fields))
    return _table(["Event", "Level", "Meaning", "Fields"], rows)


PARTS: dict[str, Callable[[], str]] = {
    "exit-codes": exit_codes,
    "errors": error_list,
    "at-codes": at_codes,
    "configuration": configuration,
    "presets": presets,
    "events": log_events,
}


def refreshed(text: str) -> str:
    """Return a page with its generated parts as the code has them now."""
    return _BLOCK.sub(lambda found: found[1] + "\n" + PARTS[found[2]]() + "\n" + found[3], text)


def main() -> None:
    """Bring all pages up to date."""
    for name in [name for name in os.environ if name.startswith("ATXFER_")]:
        del os.environ[name]  # the defaults are wanted, not this machine's
    for page in _PAGES:
        text = page.read_text("utf-8")
        page.write_text(refreshed(text), "utf-8")


if __name__ == "__main__":
    main()
