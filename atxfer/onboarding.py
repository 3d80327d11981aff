"""Getting keys: an atSign's first ones, and limited ones for each further device or script.

::

    from atxfer import onboarding

    onboarding.activate("@alice", secret)                 # once in an atSign's life

    otp = onboarding.new_otp("@alice")                    # the owner, with the keys of above
    asked = onboarding.request_enrollment("@alice", otp)  # the script, on its own machine
    onboarding.approve("@alice", asked.id)                # the owner again
    onboarding.complete_enrollment("@alice")              # the script: its key file is there

Both write the key file that :class:`atxfer.Client` looks for. None is ever overwritten.

Every function takes these by name, as :class:`atxfer.Client` does: ``directory``
(``ATXFER_DIRECTORY``), ``ca_file`` (``ATXFER_CA_FILE``), ``keys_dir`` (``ATXFER_KEYS_DIR``),
``config``, and the owner's ones ``passphrase`` (``ATXFER_PASSPHRASE``). Nothing is tried twice: a
call that failed for a cause that may pass is called again.

Every function raises ``TransferError`` for what goes wrong at the server, ``OSError`` for what goes
wrong with files, and ``ValueError`` for an atSign, a directory or a name that is none.

Threads: for any thread; one call at a time for one key file.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Optional

from atxfer._crypto.atkeys import AtKeys, find, path_of
from atxfer._net.directory import Directory
from atxfer._onboarding.activation import Activation
from atxfer._onboarding.device import Device
from atxfer._onboarding.enrollment import Enrollment
from atxfer._onboarding.owner import Owner
from atxfer._onboarding.site import Site
from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.config import StrPath, TransferConfig, setting

__all__ = [
    "NAMESPACES",
    "Enrollment",
    "activate",
    "approve",
    "complete_enrollment",
    "deny",
    "enrollments",
    "new_otp",
    "request_enrollment",
    "revoke",
]


NAMESPACES: Mapping[str, str] = MappingProxyType({"atxfer": "rw"})
"""What atxfer needs: to read and write its own name space."""


def activate(
    atsign: str,
    secret: str,
    *,
    directory: Optional[str] = None,
    ca_file: Optional[StrPath] = None,
    keys_dir: Optional[StrPath] = None,
    config: Optional[TransferConfig] = None,
) -> Path:
    """Make the first keys of an atSign, and return their file.

    The keys are on the disk, as ``@alice_key.atKeys.new``, before the server learns of them. A call
    that was interrupted, wherever it was, is finished by the next one.

    ``secret`` is the CRAM secret that the atSign's registrar gave out for this.

    Raises:
        FileExistsError: There is a key file; nothing was asked or changed.
        AlreadyActivated: Somebody has activated the atSign.
        LoginRefused: This is not its secret.
    """
    site = _site(atsign, directory, ca_file, keys_dir, config)
    return Activation(site).run(secret)


# --- the device


def request_enrollment(
    atsign: str,
    otp: str,
    *,
    app_name: str = "atxfer",
    device_name: Optional[str] = None,
    namespaces: Mapping[str, str] = NAMESPACES,
    directory: Optional[str] = None,
    ca_file: Optional[StrPath] = None,
    keys_dir: Optional[StrPath] = None,
    config: Optional[TransferConfig] = None,
) -> Enrollment:
    """Ask the owner for keys of this device's own; return what is to be approved.

    The half-made keys wait in ``@alice_key.atKeys.pending`` for :func:`complete_enrollment`.

    ``otp`` is the owner's passcode. ``app_name`` and ``device_name``, by default the name of this
    machine, tell the owner who asks; together they must be new to the server. ``namespaces`` says
    ``r`` or ``rw`` by name space.

    Raises:
        FileExistsError: There is a key file, or an enrolment that is pending; nothing was asked.
        LoginRefused: The passcode is wrong, used or expired; told after a second or more.
        RequestRejected: The device has an enrolment.
        ValueError: A name can't be used, or there is no name space.
    """
    site = _site(atsign, directory, ca_file, keys_dir, config)
    return Device(site).request(otp, app_name, device_name or _this_machine(), namespaces)


def complete_enrollment(
    atsign: str,
    *,
    wait: float = 600.0,
    directory: Optional[str] = None,
    ca_file: Optional[StrPath] = None,
    keys_dir: Optional[StrPath] = None,
    config: Optional[TransferConfig] = None,
) -> Path:
    """Wait until the owner has decided, fetch the keys, and return their file.

    ``wait`` is how many seconds to wait: 0 to look once, ``math.inf`` for ever.

    Raises:
        KeysNotFound: Nothing is pending here.
        LoginRefused: Nobody has decided yet (``EnrollmentPending``): call again to go on. Or it was
            denied, revoked, or has expired (``EnrollmentDenied``, ``EnrollmentRevoked``,
            ``EnrollmentExpired``): the half-made keys are of no use any more, and are removed.
        IntegrityError: What was handed over is not the owner's keys.
    """
    site = _site(atsign, directory, ca_file, keys_dir, config)
    return Device(site).complete(wait)


# --- the owner


def new_otp(
    atsign: str,
    *,
    ttl: Optional[float] = None,
    directory: Optional[str] = None,
    ca_file: Optional[StrPath] = None,
    keys_dir: Optional[StrPath] = None,
    passphrase: Optional[str] = None,
    config: Optional[TransferConfig] = None,
) -> str:
    """Return a passcode with which one device may ask for an enrolment.

    ``ttl`` is how many seconds it is good for; None takes the server's five minutes.
    """
    return _owner(atsign, directory, ca_file, keys_dir, passphrase, config).new_otp(ttl)


def enrollments(
    atsign: str,
    *,
    directory: Optional[str] = None,
    ca_file: Optional[StrPath] = None,
    keys_dir: Optional[StrPath] = None,
    passphrase: Optional[str] = None,
    config: Optional[TransferConfig] = None,
) -> list[Enrollment]:
    """Return all enrolments, pending ones first. The keys of a device see their own alone."""
    return _owner(atsign, directory, ca_file, keys_dir, passphrase, config).enrollments()


def approve(
    atsign: str,
    enrollment_id: str,
    *,
    directory: Optional[str] = None,
    ca_file: Optional[StrPath] = None,
    keys_dir: Optional[StrPath] = None,
    passphrase: Optional[str] = None,
    config: Optional[TransferConfig] = None,
) -> Enrollment:
    """Let a device have keys, and return its enrolment.

    Raises:
        NotFound: There is no such enrolment, or it has expired.
        RequestRejected: It is not pending, or the device has a name that can't be used.
        NotAuthorized: These are a device's own keys.
        IntegrityError: It was not requested for these keys.
    """
    owner = _owner(atsign, directory, ca_file, keys_dir, passphrase, config)
    return owner.approve(enrollment_id)


def deny(
    atsign: str,
    enrollment_id: str,
    *,
    directory: Optional[str] = None,
    ca_file: Optional[StrPath] = None,
    keys_dir: Optional[StrPath] = None,
    passphrase: Optional[str] = None,
    config: Optional[TransferConfig] = None,
) -> Enrollment:
    """Let a device have no keys, and return its enrolment.

    Raises:
        NotFound: There is no such enrolment, or it has expired.
        RequestRejected: It is not pending.
        NotAuthorized: These are a device's own keys.
    """
    owner = _owner(atsign, directory, ca_file, keys_dir, passphrase, config)
    return owner.deny(enrollment_id)


def revoke(
    atsign: str,
    enrollment_id: str,
    *,
    directory: Optional[str] = None,
    ca_file: Optional[StrPath] = None,
    keys_dir: Optional[StrPath] = None,
    passphrase: Optional[str] = None,
    config: Optional[TransferConfig] = None,
) -> Enrollment:
    """Take a device's keys out of use, and return its enrolment. Its connections end.

    Raises:
        NotFound: There is no such enrolment, or it has expired.
        RequestRejected: It is not approved, or it is that of the keys in use here.
        NotAuthorized: These are a device's own keys.
    """
    owner = _owner(atsign, directory, ca_file, keys_dir, passphrase, config)
    return owner.revoke(enrollment_id)


# --- what they have in common


def _site(
    atsign: str,
    directory: Optional[str],
    ca_file: Optional[StrPath],
    keys_dir: Optional[StrPath],
    config: Optional[TransferConfig],
) -> Site:
    owner = normalise_atsign(atsign)
    config = config if config is not None else TransferConfig()
    known = Directory.of(directory, ca_file, config)
    path = path_of(owner, setting(keys_dir, "ATXFER_KEYS_DIR"))
    return Site(owner, path, known, known.context, config)


def _owner(
    atsign: str,
    directory: Optional[str],
    ca_file: Optional[StrPath],
    keys_dir: Optional[StrPath],
    passphrase: Optional[str],
    config: Optional[TransferConfig],
) -> Owner:
    site = _site(atsign, directory, ca_file, keys_dir, config)
    path = find(site.atsign, site.key_path.parent)
    return Owner(site, AtKeys.read(path, site.atsign, setting(passphrase, "ATXFER_PASSPHRASE")))


def _this_machine() -> str:
    """Return the name of this machine as one that can stand in a key."""
    name = platform.node().partition(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-") or "device"
