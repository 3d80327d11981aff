"""The owner's side of enrolments: passcodes, and decisions (facts §9)."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any, Optional

from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.enrolling import hand_over
from atxfer._net.connection import AtConnection
from atxfer._onboarding.enrollment import (
    APPROVED,
    DENIED,
    PENDING,
    REVOKED,
    Enrollment,
    device_key,
)
from atxfer._onboarding.site import Site
from atxfer.atprotocol.errors import EnrollmentExpired, InvalidEnrollmentState, NotManager
from atxfer.atprotocol.verbs import (
    EnrollApprove,
    EnrollDeny,
    EnrollList,
    EnrollRevoke,
    Info,
    OtpGet,
    Verb,
)
from atxfer.errors import NotFound, ProtocolViolation, RequestRejected

__all__ = ["Owner"]

# The name space of those who may decide on enrolments.
_MANAGE = "__manage"

# The first server that keeps the nonces of what is handed over (at_server, CHANGELOG).
_KEEPS_NONCES = (3, 1, 0)


class Owner:
    """The owner of one atSign.

    Args:
        site: Whose, and where.
        keys: The owner's; those of a device may do next to nothing here.
    """

    def __init__(self, site: Site, keys: AtKeys) -> None:
        self._site = site
        self._keys = keys

    def new_otp(self, ttl: Optional[float]) -> str:
        """Return a passcode that lets one device ask.

        Args:
            ttl: Seconds it is good for; None for the server's five minutes.

        Raises:
            ValueError: That is no time.
        """
        if ttl is not None and not 0 < ttl < math.inf:
            raise ValueError(f"a passcode is good for some seconds, not {ttl!r}")
        verb = OtpGet(None if ttl is None else math.ceil(ttl * 1000))
        with self._site.connected(self._keys) as connection:
            return self._site.ask(connection, verb)

    def enrollments(self) -> list[Enrollment]:
        """Return all enrolments, those that wait for a decision first."""
        with self._site.connected(self._keys) as connection:
            found = [enrollment for enrollment, _ in self._listed(connection).values()]
        return sorted(found, key=lambda e: (e.status != PENDING, e.status, e.app, e.device, e.id))

    def approve(self, enrollment_id: str) -> Enrollment:
        """Hand the keys over to a device.

        Raises:
            NotFound: There is no such enrolment.
            InvalidEnrollmentState: It is not pending.
            RequestRejected: The name of the device is one that the server would trip over.
            IntegrityError: The request was not made for these keys.
        """
        with self._site.connected(self._keys) as connection:
            enrollment, wrapped = self._find(connection, enrollment_id, PENDING)
            _check_name(self._site.atsign, enrollment)
            with_ivs = self._version(connection) >= _KEEPS_NONCES
            private_key, self_key = hand_over(self._keys, wrapped, with_ivs=with_ivs)
            verb = EnrollApprove(
                enrollment.id, private_key.value, self_key.value, private_key.iv, self_key.iv
            )
            return self._decided(connection, verb, replace(enrollment, status=APPROVED))

    def deny(self, enrollment_id: str) -> Enrollment:
        """Refuse a device.

        Raises:
            NotFound: There is no such enrolment.
            InvalidEnrollmentState: It is not pending. Older servers would deny it all the same, and
                leave the device its connections.
        """
        with self._site.connected(self._keys) as connection:
            enrollment, _ = self._find(connection, enrollment_id, PENDING)
            verb = EnrollDeny(enrollment.id)
            return self._decided(connection, verb, replace(enrollment, status=DENIED))

    def revoke(self, enrollment_id: str) -> Enrollment:
        """Take a device's keys out of use; its connections end.

        Raises:
            NotFound: There is no such enrolment.
            InvalidEnrollmentState: It is not approved.
        """
        with self._site.connected(self._keys) as connection:
            enrollment, _ = self._find(connection, enrollment_id, APPROVED)
            verb = EnrollRevoke(enrollment.id)
            return self._decided(connection, verb, replace(enrollment, status=REVOKED))

    # --- how it is done

    def _decided(self, connection: AtConnection, verb: Verb, enrollment: Enrollment) -> Enrollment:
        try:
            self._site.ask(connection, verb)
        except EnrollmentExpired as error:
            raise _unknown(enrollment.id) from error
        return enrollment

    def _find(
        self, connection: AtConnection, enrollment_id: str, needed: str
    ) -> tuple[Enrollment, str]:
        """Return an enrolment in the state that is needed, and its sealed AES key."""
        listed = self._listed(connection)
        if enrollment_id not in listed:
            own, _ = listed.get(self._keys.enrollment_id or "", (None, ""))
            if own is not None and _MANAGE not in own.namespaces:
                raise NotManager("these are the keys of a device: they see no enrolment but theirs")
            raise _unknown(enrollment_id)
        enrollment, wrapped = listed[enrollment_id]
        if enrollment.status != needed:
            raise InvalidEnrollmentState(
                f"the enrolment {enrollment_id} is {enrollment.status}, not {needed}"
            )
        return enrollment, wrapped

    def _listed(self, connection: AtConnection) -> dict[str, tuple[Enrollment, str]]:
        answer = self._site.ask(connection, EnrollList())
        try:
            members = json.loads(answer)
            entries = [_read(key, values) for key, values in members.items()]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ProtocolViolation("the server's list of enrolments can't be read") from None
        return {enrollment.id: (enrollment, wrapped) for enrollment, wrapped in entries}

    def _version(self, connection: AtConnection) -> tuple[int, ...]:
        """Return the server's version; nothing for one that can't be read."""
        answer = self._site.ask(connection, Info(brief=True))
        try:
            text = str(json.loads(answer)["version"])
            return tuple(int(number) for number in text.partition("+")[0].split("."))
        except (ValueError, KeyError, TypeError):
            return ()


def _read(key: str, values: dict[str, Any]) -> tuple[Enrollment, str]:
    """Read one entry of a list: ``<id>.new.enrollments.__manage@alice`` and what stands there."""
    enrollment = Enrollment(
        id=key.partition(".")[0],
        app=str(values["appName"]),
        device=str(values["deviceName"]),
        namespaces={str(name): str(access) for name, access in values["namespace"].items()},
        status=str(values["status"]),
    )
    # The enrolment of an activation has none.
    return enrollment, str(values.get("encryptedAPKAMSymmetricKey") or "")


def _check_name(atsign: str, enrollment: Enrollment) -> None:
    try:
        device_key(atsign, enrollment.app, enrollment.device)
    except ValueError as error:
        raise RequestRejected(
            f"no keys can be handed over to {enrollment.device!r} of {enrollment.app!r}",
            remedy="Deny it, and have it ask again under a name of letters, digits and hyphens.",
        ) from error


def _unknown(enrollment_id: str) -> NotFound:
    return NotFound(
        f"there is no enrolment {enrollment_id!r}, or it has expired",
        remedy="List what there is: `atxfer enroll list`.",
    )
