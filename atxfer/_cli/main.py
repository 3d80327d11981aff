"""Arguments, exit codes and signals: the only ``try`` around a command."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, Optional, TextIO, cast

import click

from atxfer._cli.failure import INTERRUPTED, MISUSE, TERMINATED, Failure, failure_of
from atxfer._cli.options import shared
from atxfer._cli.settings import Settings
from atxfer._version import __version__
from atxfer.errors import TransferError

__all__ = ["COMMANDS", "READER_GONE", "cli", "run"]

COMMANDS = (
    *("upload", "resume", "download", "list", "delete", "clean", "extend"),
    *("share", "unshare", "link", "unlink", "inbox"),
    *("activate", "enroll", "doctor", "devserver", "demo"),
)
READER_GONE = 141  # 128 + SIGPIPE: what a shell reports of a program whose reader closed the pipe


class Terminated(KeyboardInterrupt):
    """SIGTERM came: end as Ctrl-C does, but with its own exit code."""


class ReaderGone(Exception):
    """Nobody reads what we print any more. Its own class, as click has other plans for EPIPE."""


class _Commands(click.Group):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"atxfer._cli.{cmd_name}")
        return cast(click.Command, module.command)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error


@click.group("atxfer", cls=_Commands)
@shared(environment=True)
@click.version_option(__version__, prog_name="atxfer")
def cli() -> None:
    """Move files to and from atServers, sealed, and HTTP stores; several chunks at a time.

    The options below may stand before or after the command. Exit codes: 0 done, 1 local file, 2
    usage, 3 key file, 4 access, 5 not found, 6 integrity, 7 limit, 8 source changed, 9 network,
    10 server, 11 deadline, 12 cancelled, 13 not supported, 14 under way elsewhere, 130 interrupted.
    """


def run(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: What stands after the program's name; by default what this process was given.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    settings = Settings()
    try:
        with _terminable():
            code = cli.main(words, "atxfer", standalone_mode=False, obj=settings)
        return cast(int, code) if code else settings.output.exit_code
    except ReaderGone:
        _silence(sys.stdout)
        return READER_GONE
    except click.Abort as abort:
        failure = _interrupted(abort)
    except click.UsageError as error:
        if _is_help(error):
            settings.output.line(error.format_message())
            return MISUSE
        failure = failure_of(error)
    except (TransferError, click.ClickException, OSError, ValueError) as error:
        failure = failure_of(error)
    # Where the options could not even be read, those that were typed still count.
    settings.json = settings.json or "--json" in words
    settings.output.error(failure)
    return failure.exit_code


def _is_help(error: click.UsageError) -> bool:
    """Whether no command was named: click from 8.2 on tells that as an error that holds help."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _interrupted(abort: click.Abort) -> Failure:
    if isinstance(abort.__cause__, Terminated):
        return Failure("Interrupted", "terminated", "", TERMINATED)
    return Failure("Interrupted", "interrupted", "", INTERRUPTED)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that temporary files go and connections close."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread alone
        return

    def terminate(number: int, frame: Optional[FrameType]) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _silence(stream: TextIO) -> None:
    """Point a closed pipe at nothing: the interpreter flushes it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
