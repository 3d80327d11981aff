"""``atxfer enroll``: limited keys for a further device or script, and who has some."""

from __future__ import annotations

from typing import Optional

import click

from atxfer import onboarding
from atxfer._cli.options import duration, subcommand, subcommands
from atxfer._cli.output import Row
from atxfer._cli.settings import Settings
from atxfer._cli.words import printable
from atxfer.onboarding import Enrollment

_COLUMNS = ("ID", "STATUS", "APP", "DEVICE", "NAME SPACES")


# --- the owner


@subcommand("otp")
@click.option("--ttl", type=duration, help="How long it is good for; by default five minutes.")
def otp(settings: Settings, ttl: Optional[float]) -> None:
    """Show a passcode for the request of one device."""
    code = onboarding.new_otp(settings.address(), ttl=ttl, **settings.places)
    settings.output.result({"otp": code}, code, code)


@subcommand("list")
@click.option("--status", help="Only those in this state, as pending or approved.")
def listing(settings: Settings, status: Optional[str]) -> None:
    """List the enrolments, pending ones first."""
    found = onboarding.enrollments(settings.address(), **settings.places)
    rows = [Row(e.as_dict(), _cells(e)) for e in found if status in (None, e.status)]
    if rows:
        settings.output.table(_COLUMNS, rows)
    else:
        settings.output.note("There are no enrolments.")


@subcommand("approve")
@click.argument("enrollment_id", metavar="ID")
def approve(settings: Settings, enrollment_id: str) -> None:
    """Let a device have keys. Look at `atxfer enroll list` first: who asks, and for what."""
    _tell(settings, onboarding.approve(settings.address(), enrollment_id, **settings.places))


@subcommand("deny")
@click.argument("enrollment_id", metavar="ID")
def deny(settings: Settings, enrollment_id: str) -> None:
    """Let a device have no keys."""
    _tell(settings, onboarding.deny(settings.address(), enrollment_id, **settings.places))


@subcommand("revoke")
@click.argument("enrollment_id", metavar="ID")
def revoke(settings: Settings, enrollment_id: str) -> None:
    """Take a device's keys out of use; its connections end."""
    _tell(settings, onboarding.revoke(settings.address(), enrollment_id, **settings.places))


# --- the device


@subcommand("request")
@click.option("--otp", "code", metavar="OTP", help="The owner's passcode. Without: wait on.")
@click.option("--device", metavar="NAME", help="Where the keys are used: this machine's name.")
@click.option("--app", metavar="NAME", default="atxfer", show_default=True, help="What for.")
@click.option(
    "--namespace",
    "namespaces",
    metavar="NAME[:r|rw]",
    multiple=True,
    default=["atxfer"],
    show_default="atxfer:rw",
    help="What the keys may touch; may be repeated.",
)
@click.option("--wait", type=duration, default="10m", show_default=True, help="For the owner.")
def request(
    settings: Settings,
    code: Optional[str],
    device: Optional[str],
    app: str,
    namespaces: tuple[str, ...],
    wait: float,
) -> None:
    """Request keys for this device, and wait for the owner.

    It ends when the owner has approved. Whoever waits may be interrupted, or run out of time: the
    same command without --otp goes on.
    """
    owner = settings.address()
    if code is not None:
        _tell(
            settings,
            onboarding.request_enrollment(
                owner,
                code.strip(),
                app_name=app,
                device_name=device,
                namespaces=dict(map(_access, namespaces)),
                **settings.places,
            ),
        )
    settings.output.note("Waiting for the owner to approve; Ctrl-C is safe.")
    path = onboarding.complete_enrollment(owner, wait=wait, **settings.places)
    text = f"approved; the keys are in {path}"
    settings.output.result({"status": "approved", "keys": str(path)}, text, str(path))


def _access(text: str) -> tuple[str, str]:
    name, colon, access = text.partition(":")
    if not name or (colon and access not in ("r", "rw")):
        raise click.BadParameter(f"{text!r} is no name space, as atxfer, or attalk:r")
    return name, access or "rw"


# --- words


def _spaces(enrollment: Enrollment) -> str:
    return ", ".join(f"{name}:{access}" for name, access in enrollment.namespaces.items())


def _cells(enrollment: Enrollment) -> tuple[str, ...]:
    return (
        enrollment.id,
        enrollment.status,
        enrollment.app,
        enrollment.device,
        _spaces(enrollment),
    )


def _tell(settings: Settings, enrollment: Enrollment) -> None:
    who = f"{enrollment.app} on {enrollment.device}, for {_spaces(enrollment)}"
    settings.output.result(
        enrollment.as_dict(), f"{enrollment.status}  {enrollment.id}  {printable(who)}"
    )


@subcommands("enroll", otp, request, listing, approve, deny, revoke)
def command() -> None:
    """Get limited keys for a device, and decide who has some."""
