"""``atxfer activate``: the first keys of an atSign."""

from __future__ import annotations

import os
import sys
from typing import Optional, TextIO

import click

from atxfer import onboarding
from atxfer._cli.options import subcommand
from atxfer._cli.settings import Settings

_VARIABLE = "ATXFER_CRAM_SECRET"


@subcommand("activate")
@click.argument("name", metavar="[ATSIGN]", required=False)
@click.option(
    "--secret-file", type=click.File(), metavar="FILE", help="Holds the secret; - for stdin."
)
def command(settings: Settings, name: Optional[str], secret_file: Optional[TextIO]) -> None:
    """Make the first keys of an atSign.

    That takes the secret that its registrar gave out. It comes from --secret-file, from
    ATXFER_CRAM_SECRET, or is asked for; never from the command line, which others on this machine
    can see. A run that was interrupted is finished by the next one. No key file is ever
    overwritten.
    """
    settings.atsign = name or settings.atsign
    path = onboarding.activate(settings.address(), _secret(secret_file), **settings.places)
    text = f"activated; the keys are in {path}\nKeep a copy: there is no other."
    settings.output.result({"status": "activated", "keys": str(path)}, text, str(path))


def _secret(file: Optional[TextIO]) -> str:
    if file is not None:
        secret = file.read()
    elif os.environ.get(_VARIABLE):
        secret = os.environ[_VARIABLE]
    elif sys.stdin.isatty():
        secret = click.prompt("Secret", hide_input=True, err=True)
    else:
        raise click.UsageError(f"no secret: give it with --secret-file, or in {_VARIABLE}")
    if not secret.strip():
        raise click.UsageError("the secret is empty")
    return secret.strip()
