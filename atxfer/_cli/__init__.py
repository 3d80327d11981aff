"""The command line: arguments in, calls of the client, words or JSON out."""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["start"]

_EXTRA = "atxfer: the command line needs packages of its own: pip install 'atxfer[cli]'"


def start() -> NoReturn:
    """Run the command that the arguments name, and end the process with its exit code."""
    try:
        from atxfer._cli.main import run
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        print(_EXTRA, file=sys.stderr)
        raise SystemExit(2) from None
    raise SystemExit(run())
