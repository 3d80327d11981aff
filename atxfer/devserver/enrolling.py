"""Verbs of APKAM: ``otp``, ``enroll``, ``keys`` (facts §9)."""

from __future__ import annotations

from typing import Union

from atxfer.atprotocol import errors
from atxfer.atprotocol.verbs import (
    EnrollApprove,
    EnrollDeny,
    EnrollList,
    EnrollRequest,
    EnrollRevoke,
    KeysGet,
    OtpGet,
    OtpPut,
)
from atxfer.devserver.call import Call
from atxfer.devserver.login import PKAM_KEY
from atxfer.devserver.reading import compact

# A wrong passcode is answered late, and one connection may ask so often (facts §9).
_WRONG_OTP_SECONDS = 1.0
_REQUESTS_A_CONNECTION = 5


def otp_get(call: Call, verb: OtpGet) -> str:
    """Give a passcode for one request."""
    return call.server.enrolments.new_passcode(verb.ttl_ms)


def otp_put(call: Call, verb: OtpPut) -> str:
    """Set the passcode that is good for many."""
    call.server.enrolments.set_passcode(verb.passcode, verb.ttl_ms)
    return "ok"


async def request(call: Call, verb: EnrollRequest) -> str:
    """Enter a request for enrolment."""
    server, session = call.server, call.session
    session.enrol_requests += 1
    if session.enrol_requests > _REQUESTS_A_CONNECTION:
        raise errors.TooManyRequests(
            "Enrollment requests have exceeded the limit within the specified time frame"
        )
    if not session.logged_in and not server.enrolments.accepts(verb.otp or ""):
        await server.world.clock.sleep(_WRONG_OTP_SECONDS)
        raise errors.InternalException("invalid otp. Cannot process enroll request")
    if session.logged_in:
        server.keys.put_own(PKAM_KEY, verb.apkam_public_key)
    return compact(server.enrolments.request(verb, approved=session.logged_in))


def approve(call: Call, verb: EnrollApprove) -> str:
    """Approve a request, and hand the owner's keys over."""
    return _decide(call, verb)


def deny(call: Call, verb: EnrollDeny) -> str:
    """Deny a request."""
    return _decide(call, verb)


def revoke(call: Call, verb: EnrollRevoke) -> str:
    """Revoke an enrolment, and close its connections."""
    answer = _decide(call, verb)
    for session in list(call.server.sessions):
        if session.enrollment_id == verb.enrollment_id and session is not call.session:
            session.hang_up()
    return answer


def _decide(call: Call, verb: Union[EnrollApprove, EnrollDeny, EnrollRevoke]) -> str:
    enrolments = call.server.enrolments
    forced = isinstance(verb, EnrollRevoke) and verb.force
    enrolments.check_manages(
        call.session.enrollment_id, verb.operation, verb.enrollment_id, forced=forced
    )
    handed = (
        (verb.encrypted_private_key, verb.encrypted_self_key)
        if isinstance(verb, EnrollApprove)
        else None
    )
    return compact(enrolments.decide(verb.operation, verb.enrollment_id, handed))


def list_all(call: Call, verb: EnrollList) -> str:
    """List enrolments."""
    listed = call.server.enrolments.listed(call.session.enrollment_id)
    wanted = verb.statuses
    return compact(
        {
            key: enrolment
            for key, enrolment in listed.items()
            if wanted is None or enrolment["status"] in wanted
        }
    )


def keys_get(call: Call, verb: KeysGet) -> str:
    """Give an enrolled device a key that waits for it."""
    if call.session.enrollment_id is None:
        raise errors.InternalException("Keys verb cannot be accessed without an enrollmentId")
    record = call.server.keys.find(verb.key_name)
    if record is None:
        raise errors.KeyNotFound(f"key {verb.key_name} not found in keystore")
    return record.value or ""
