"""An error as the command line tells it: what happened, what to do, and the exit code."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from atxfer.errors import TransferError

__all__ = ["INTERRUPTED", "MISUSE", "TERMINATED", "Failure", "failure_of"]

MISUSE = 2  # as click and most shells have it
INTERRUPTED = 130  # 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM

_DETAILS = ("file", "file_id", "chunk", "attempts", "chunks_missing", "retry_after")


@dataclass(frozen=True)
class Failure:
    """What is shown of an error.

    Attributes:
        kind: The name of the error's class, stable for programs.
        message: What happened, in one line.
        remedy: What to do about it; may be empty.
        exit_code: What the process ends with.
        details: What else is known: file, chunk, attempts.
        trace: Where it happened and what caused it, for ``--verbose``.
    """

    kind: str
    message: str
    remedy: str
    exit_code: int
    details: Mapping[str, Any] = field(default_factory=dict)
    trace: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the failure as plain values, ready for JSON."""
        return {
            "error": self.kind,
            "message": self.message,
            "remedy": self.remedy,
            "exit_code": self.exit_code,
            **self.details,
        }


def failure_of(error: BaseException) -> Failure:
    """Return what is shown of an error that a command let out."""
    kind = type(error).__name__
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    details: dict[str, Any] = {}
    message, remedy, exit_code = str(error), "", 1
    if isinstance(error, TransferError):
        message, remedy, exit_code = error.summary, error.remedy, error.exit_code
        details = {name: getattr(error, name) for name in _DETAILS}
        details = {name: value for name, value in details.items() if value is not None}
        details["retryable"] = error.retryable
    elif isinstance(error, click.ClickException):
        message, remedy, exit_code = error.format_message(), _usage_of(error), error.exit_code
    elif isinstance(error, OSError):
        path = f": {error.filename}" if error.filename is not None else ""
        message = f"{error.strerror or error}{path}"
    elif isinstance(error, ValueError):
        exit_code = MISUSE
    return Failure(kind, message, remedy, exit_code, details, trace)


def _usage_of(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"Try `{context.command_path} --help`." if context is not None else ""
