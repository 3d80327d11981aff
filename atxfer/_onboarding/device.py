"""A further device's side of its enrolment (facts §9).

Rules of this file:

1. Half-made keys lie in a file of their own until the owner has decided, so that whoever waits may
   be interrupted, and go on another day.
2. That file goes when there are whole keys, and when there never will be: denied, revoked, expired.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from pathlib import Path

from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.enrolling import DeviceKeys, Sealed
from atxfer._net.connection import AtConnection
from atxfer._onboarding.enrollment import PENDING, Enrollment, device_key
from atxfer._onboarding.site import Site
from atxfer.atprotocol.errors import (
    EnrollmentDenied,
    EnrollmentExpired,
    EnrollmentPending,
    EnrollmentRevoked,
    KeyNotFound,
    NotActivated,
)
from atxfer.atprotocol.verbs import EnrollRequest, KeysGet
from atxfer.errors import KeysNotFound, ProtocolViolation, RetryableError
from atxfer.waiting import Deadline

__all__ = ["Device"]

# Seconds between two looks: a person has to decide, and each look is a login of five round trips.
POLL_INTERVAL = 5.0

_ACCESS = ("r", "rw")


class Device:
    """One device of one atSign.

    Args:
        site: Whose, and where.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._path = site.key_path
        self._draft = self._path.with_name(f"{self._path.name}.pending")

    # --- asking

    def request(self, otp: str, app: str, device: str, namespaces: Mapping[str, str]) -> Enrollment:
        """Ask for an enrolment, and keep the half-made keys.

        Raises:
            ValueError: A name can't be used, or there is no name space.
            FileExistsError: There is a key file, or an enrolment that is pending; nothing was sent.
            PasscodeRefused: The passcode is wrong, used or expired.
            AlreadyEnrolled: The device has an enrolment.
            TransferError: As :meth:`AtConnection.ask` does.
            OSError: The half-made keys can't be written.
        """
        namespaces = dict(namespaces)
        _check_names(self._site.atsign, app, device, namespaces)
        self._check_free()
        with self._site.connected() as connection:
            owner_public = self._site.public_key(connection)
            if owner_public is None:
                raise NotActivated(f"{self._site.atsign} is not activated yet")
            keys = DeviceKeys.generate(self._site.atsign, app, device, namespaces)
            verb = EnrollRequest(
                app, device, keys.pkam_public, namespaces, otp, keys.wrapped(owner_public)
            )
            keys.write(self._draft)  # where the answer can be written, the keys can
            try:
                enrollment_id = _enrollment_id(self._site.ask(connection, verb))
                keys.enrolled(enrollment_id).write(self._draft, replace=True)
            except BaseException:
                self._draft.unlink()
                raise
        return Enrollment(enrollment_id, app, device, namespaces, PENDING)

    def _check_free(self) -> None:
        if self._path.exists():
            raise FileExistsError(errno.EEXIST, "there is a key file already", str(self._path))
        if not self._draft.exists():
            return
        if DeviceKeys.read(self._draft).enrollment_id is not None:
            raise FileExistsError(
                errno.EEXIST,
                "an enrolment is pending already: complete it, or remove this file",
                str(self._draft),
            )
        self._draft.unlink()  # a run ended before the server's answer came: nothing is lost

    # --- waiting

    def complete(self, seconds: float) -> Path:
        """Wait until the owner has decided, and write the key file.

        Args:
            seconds: How long to wait; 0 to look once.

        Raises:
            KeysNotFound: Nothing is pending here.
            FileExistsError: There is another key file.
            EnrollmentPending: Nobody has decided yet; another call goes on.
            EnrollmentDenied, EnrollmentRevoked, EnrollmentExpired: The half-made keys are of no use
                any more, and are removed.
            IntegrityError: What was handed over is not the owner's keys.
            TransferError: As :meth:`AtConnection.open` does, when all the time has passed if it may
                pass.
            OSError: The key file can't be written.
        """
        keys = self._half_made()
        if self._path.exists():
            self._check_same(keys)
        else:
            self._await(keys, seconds).write(self._path)
        self._draft.unlink()
        return self._path

    def _half_made(self) -> DeviceKeys:
        none = KeysNotFound(
            f"no enrolment is pending: there is no {self._draft}",
            remedy="Request one, with a passcode of the owner: `atxfer enroll request --otp OTP`.",
        )
        if not self._draft.exists():
            raise none
        keys = DeviceKeys.read(self._draft)
        if keys.enrollment_id is None:
            raise none
        return keys

    def _check_same(self, keys: DeviceKeys) -> None:
        """Let pass the file of an earlier run that ended between its last two steps."""
        if AtKeys.read(self._path, self._site.atsign).enrollment_id != keys.enrollment_id:
            raise FileExistsError(errno.EEXIST, "there is a key file already", str(self._path))

    def _await(self, keys: DeviceKeys, seconds: float) -> AtKeys:
        wait = self._site.wait
        deadline = Deadline.after(seconds, wait.clock)
        while True:
            try:
                return self._whole(keys)
            except (EnrollmentDenied, EnrollmentRevoked, EnrollmentExpired):
                self._draft.unlink()
                raise
            except (EnrollmentPending, KeyNotFound) as error:
                if deadline.expired:
                    raise _not_yet(keys, error) from error
            except RetryableError:
                if deadline.expired:
                    raise
            wait.sleep(min(POLL_INTERVAL, deadline.remaining() or 0.0))

    def _whole(self, keys: DeviceKeys) -> AtKeys:
        """Log in, and fetch what was handed over."""
        with self._site.connected(keys) as connection:
            private_key = self._handed(connection, keys, "default_enc_private_key")
            self_key = self._handed(connection, keys, "default_self_enc_key")
            public_key = self._site.public_key(connection)
        return keys.completed(private_key, self_key, public_key or "")

    def _handed(self, connection: AtConnection, keys: DeviceKeys, name: str) -> Sealed:
        key = f"{keys.enrollment_id}.{name}.__manage{self._site.atsign}"
        try:
            found = json.loads(self._site.ask(connection, KeysGet(key)))
            # Servers from 3.1.0 on keep the nonce, if the approving client has sent one.
            value, iv = found["value"], found.get("iv")
        except (ValueError, KeyError, TypeError, AttributeError):
            value = iv = None
        if not isinstance(value, str) or not isinstance(iv, (str, type(None))):
            raise ProtocolViolation("the server's answer to keys:get can't be understood")
        return Sealed(value, iv)


def _check_names(atsign: str, app: str, device: str, namespaces: Mapping[str, str]) -> None:
    if not app or not device:
        raise ValueError("an enrolment needs the name of an application and of a device")
    device_key(atsign, app, device)
    if not namespaces:
        raise ValueError("an enrolment needs at least one name space")
    for name, access in namespaces.items():
        if not name or access not in _ACCESS:
            raise ValueError(f"the access to name space {name!r} must be r or rw, not {access!r}")


def _enrollment_id(answer: str) -> str:
    try:
        found = json.loads(answer)["enrollmentId"]
    except (ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, str) or not found:
        raise ProtocolViolation("the server's answer to enroll:request can't be understood")
    return found


def _not_yet(keys: DeviceKeys, error: Exception) -> EnrollmentPending:
    """Return what to raise when the time has passed."""
    if isinstance(error, KeyNotFound):  # a server approves first, and lays the keys ready then
        return EnrollmentPending(
            f"the enrolment {keys.enrollment_id} is approved, but no keys are handed over",
            remedy="Try again; if it stays so, have the owner revoke it, and request another.",
        )
    return EnrollmentPending(
        f"nobody has approved the enrolment {keys.enrollment_id} yet",
        remedy=f"Have the owner approve it, `atxfer enroll approve {keys.enrollment_id}`, and go on"
        " with `atxfer enroll request`.",
    )
