"""Options: those that every command takes, before or after its name, and how values are read."""

from __future__ import annotations

import math
from typing import Any, Callable, TypeVar

import click
from click.core import ParameterSource

from atxfer._cli.settings import Settings
from atxfer.config import parse_duration, parse_size

__all__ = ["NEVER", "duration", "shared", "size", "subcommand", "subcommands"]

F = TypeVar("F", bound=Callable[..., Any])
NEVER = math.inf


def _merge(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Keep a value that was really given; a later one, after the command, replaces it."""
    name, settings = str(parameter.name), context.ensure_object(Settings)
    source = context.get_parameter_source(name)
    if source in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT):
        setattr(settings, name, value)
    if source is ParameterSource.COMMANDLINE:
        settings.typed.add(name)
    return value


class SharedOption(click.Option):
    """An option of every command, shown under a heading of its own."""


_SHARED: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--atsign",), {"metavar": "ATSIGN", "help": "Whose server: @alice, or alice."}),
    (
        ("--destination",),
        {
            "metavar": "ADDRESS",
            "help": "The same; or a store, https://HOST/FILES/ or s3://BUCKET/PREFIX.",
        },
    ),
    (
        ("--store",),
        {"metavar": "URL", "help": "With an atSign: a store for its bulk."},
    ),
    (("--endpoint-url",), {"metavar": "URL", "help": "Of S3: a server other than Amazon's."}),
    (("--directory",), {"metavar": "HOST:PORT", "help": "The atDirectory to ask."}),
    (("--ca-file",), {"metavar": "FILE", "help": "Certificate authorities to trust, in PEM."}),
    (("--keys-dir",), {"metavar": "DIR", "help": "Where @alice_key.atKeys lies."}),
    (("--json",), {"is_flag": True, "help": "One JSON object a line, for programs."}),
    (("--quiet", "-q"), {"is_flag": True, "help": "No progress; of results only the id."}),
    (("--verbose", "-v"), {"count": True, "help": "The log on stderr; twice for every request."}),
)


def shared(*, environment: bool) -> Callable[[F], F]:
    """Return a decorator that adds the options of every command.

    Args:
        environment: Whether they also come from ``ATXFER_*``. Only where they stand before the
            command, or the environment would win over what was typed there.
    """

    def decorate(function: F) -> F:
        for names, details in reversed(_SHARED):
            variable = f"ATXFER_{names[0][2:].replace('-', '_').upper()}"
            function = click.option(
                *names,
                cls=SharedOption,
                expose_value=False,
                callback=_merge,
                envvar=variable if environment and "metavar" in details else None,
                show_envvar=environment,
                **details,
            )(function)
        return function

    return decorate


class Command(click.Command):
    """A command whose help shows its own options first, and that runs with the log it asks for."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with ctx.ensure_object(Settings).output.logging():
            return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write its own options, then those of every command."""
        _write_options(self, ctx, formatter)


class Commands(click.Group):
    """Several commands under one name, whose help is as that of a command."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        _write_options(self, ctx, formatter)


def _write_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    own: list[tuple[str, str]] = []
    common: list[tuple[str, str]] = []
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if isinstance(parameter, click.Option) and record is not None:
            (common if isinstance(parameter, SharedOption) else own).append(record)
    for heading, records in (("Options", own), ("Options of every command", common)):
        with formatter.section(heading):
            formatter.write_dl(records)


def subcommand(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Return a decorator that makes a command of a function ``(settings, ...)``."""

    def decorate(function: Callable[..., None]) -> click.Command:
        passed = click.make_pass_decorator(Settings, ensure=True)(function)
        return click.command(name, cls=Command)(shared(environment=False)(passed))

    return decorate


def subcommands(name: str, *commands: click.Command) -> Callable[[Callable[[], None]], click.Group]:
    """Return a decorator that makes a name for several commands of a function without a body."""

    def decorate(function: Callable[[], None]) -> click.Group:
        group = click.group(name, cls=Commands, commands=commands, no_args_is_help=False)
        return group(shared(environment=False)(function))

    return decorate


def size(text: str) -> int:
    """Read the value of an option that is a size."""
    try:
        return parse_size(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no size, as 8192, 32KiB or 64MiB") from None


def duration(text: str) -> float:
    """Read the value of an option that is a duration; :data:`NEVER` is one, too."""
    if text.lower() in ("none", "never"):
        return NEVER
    try:
        return parse_duration(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no duration, as 3600, 90s, 2h or 1d") from None
