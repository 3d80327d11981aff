"""``atxfer doctor``: what is wrong, and how to mend it."""

from __future__ import annotations

import dataclasses

from atxfer import doctor
from atxfer._cli.options import subcommand
from atxfer._cli.settings import Settings


@subcommand("doctor")
def command(settings: Settings) -> None:
    """Check what an atSign needs, one thing after another.

    Keys, directory, certificate, login, server and limits. Nothing is changed. The exit code is
    that of the first thing that is wrong.
    """
    output = settings.output
    findings = doctor.diagnose(
        settings.address(),
        directory=settings.directory,
        ca_file=settings.ca_file,
        keys_dir=settings.keys_dir,
    )
    for finding in findings:
        text = f"{'ok  ' if finding.ok else 'FAIL'}  {finding.check:<10}  {finding.detail}"
        if finding.remedy:
            text += f"\n{'':18}{finding.remedy}"
        output.result(dataclasses.asdict(finding), text)
        output.exit_code = output.exit_code or finding.exit_code
