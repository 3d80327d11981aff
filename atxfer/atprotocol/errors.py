"""Errors of the atProtocol: one class per code of the server, each with its general cause.

The table is the platform's own (at_commons, error_message.dart) with what was measured on real
servers about the connection afterwards (facts §3). A class says by its second base whether the
cause may pass: those of :class:`atxfer.errors.RetryableError` may.
"""

from __future__ import annotations

import json
import re
from typing import ClassVar, Optional

from atxfer import errors as causes

__all__ = [
    "AlreadyEnrolled",
    "AtError",
    "Blocked",
    "BufferOverflow",
    "CannotRevokeSelf",
    "ClientFault",
    "DataStoreFailed",
    "EnrollmentDenied",
    "EnrollmentExpired",
    "EnrollmentPending",
    "EnrollmentRevoked",
    "HandshakeFailed",
    "IllegalArgument",
    "InboundLimit",
    "InternalError",
    "InternalException",
    "InvalidEnrollmentState",
    "InvalidKey",
    "InvalidSyntax",
    "KeyNotFound",
    "LocalProtocolError",
    "NotActivated",
    "NotManager",
    "OutboundLimit",
    "PasscodeRefused",
    "RemoteProtocolError",
    "SecondaryNotFound",
    "SecondaryTimeout",
    "SecondaryUnreachable",
    "ServerException",
    "ServerPaused",
    "SocketFailed",
    "StoreFull",
    "TooManyRequests",
    "Unauthenticated",
    "Unauthorized",
    "UnexpectedException",
    "UnknownVerb",
    "UnlistedError",
    "encode_error",
    "error_for",
]


class LocalProtocolError(RuntimeError):
    """We used the protocol wrongly: a defect of ours, not of the server."""


class RemoteProtocolError(causes.ProtocolViolation):
    """What came is no answer: malformed, oversized, or out of turn. The connection is of no use."""


class AtError(causes.TransferError):
    """The root of what an atServer answers with ``error:``.

    Attributes:
        code: The server's code.
        description: The server's words for the code.
        closes_connection: Whether the server closes the connection after it.
        is_plain: Whether its line is ``error:CODE:words`` whatever the client's version, without
            the description (the APKAM ones, transcript).
    """

    code: str = ""
    description: str = ""
    closes_connection: bool = False
    is_plain: bool = False
    by_code: ClassVar[dict[str, type[AtError]]] = {}

    def __init_subclass__(cls, code: Optional[str] = None, description: str = "") -> None:
        super().__init_subclass__()
        if code is not None:
            cls.code = code
            cls.description = description
            AtError.by_code[code] = cls


# --- the server itself


class ServerException(AtError, causes.ServerFault, code="AT0001", description="Server exception"):
    """Something failed in the server."""


class DataStoreFailed(
    AtError, causes.ServerFault, code="AT0002", description="DataStore exception"
):
    """The server's store failed: its disk, most often."""

    closes_connection = True


class StoreFull(AtError, causes.StorageFull):
    """The server's disk is full: AT0002, AT0010 or AT0011, by its text."""

    code = "AT0002"
    description = "DataStore exception"
    closes_connection = True


class SocketFailed(AtError, causes.ServerFault, code="AT0004", description="Socket error"):
    """A connection of the server's own failed."""


class InternalError(
    AtError, causes.ServerFault, code="AT0010", description="Internal server error"
):
    """A defect of the server."""


class InternalException(
    AtError, causes.ServerFault, code="AT0011", description="Internal server exception"
):
    """The server failed; also its answer to a wrong OTP, or when it can't reach the directory."""


class UnexpectedException(InternalException):
    """AT0011 as the server answers what it did not foresee, bad JSON for instance: it closes."""

    closes_connection = True


class InboundLimit(
    AtError, causes.Overloaded, code="AT0012", description="Inbound connection limit exceeded"
):
    """The server has as many connections as it takes."""

    closes_connection = True


class ServerPaused(AtError, causes.Overloaded, code="AT0024", description="Server is paused"):
    """The server is about to restart."""

    closes_connection = True


class TooManyRequests(AtError, causes.Throttled, code="AT0028", description="Too Many Requests"):
    """The server counts requests of this kind, and had too many."""


class UnlistedError(AtError, causes.ServerFault):
    """A code that the table doesn't have."""


# --- the request


class InvalidSyntax(AtError, causes.RequestRejected, code="AT0003", description="Invalid syntax"):
    """The server doesn't understand the command."""


class UnknownVerb(InvalidSyntax):
    """AT0003 as the server answers a line that begins with no verb; a batch leaves it out."""


class BufferOverflow(
    AtError, causes.RequestTooLarge, code="AT0005", description="Buffer limit exceeded"
):
    """The line was longer than the server's buffer."""

    closes_connection = True


class ClientFault(
    AtError, causes.RequestRejected, code="AT0014", description="Unknown AtClient exception"
):
    """The server holds the request for a mistake of ours."""


class KeyNotFound(AtError, causes.NotFound, code="AT0015", description="key not found"):
    """There was never such a record, or it was deleted."""

    default_remedy = "Check the name; the record may have been deleted."


class InvalidKey(AtError, causes.RequestRejected, code="AT0016", description="Invalid key"):
    """The key is another atSign's, too long, or none."""

    default_remedy = "Use a key of this atSign, of 248 characters at most."


class IllegalArgument(
    AtError, causes.RequestRejected, code="AT0022", description="Illegal arguments"
):
    """An argument of the command is out of its range."""


# --- other servers


class OutboundLimit(
    AtError, causes.Overloaded, code="AT0006", description="Outbound connection limit exceeded"
):
    """The server has as many connections to other servers as it makes."""


class SecondaryNotFound(
    AtError, causes.AtSignNotFound, code="AT0007", description="Secondary server not found"
):
    """The atDirectory doesn't know the other atSign."""


class HandshakeFailed(AtError, causes.ServerFault, code="AT0008", description="Handshake failure"):
    """The servers could not log in to each other."""


class SecondaryUnreachable(
    AtError, causes.ServerFault, code="AT0021", description="Unable to connect to secondary"
):
    """The other atSign's server can't be reached."""


class SecondaryTimeout(
    AtError, causes.ServerFault, code="AT0023", description="Timeout waiting for response"
):
    """The other atSign's server did not answer in time."""


# --- who we are


class Unauthorized(
    AtError, causes.NotAuthorized, code="AT0009", description="UnAuthorized client in request"
):
    """Our enrolment doesn't reach this name space."""


class Blocked(AtError, causes.NotAuthorized, code="AT0013", description="Connection Exception"):
    """The owner of the server blocks us."""

    closes_connection = True
    default_remedy = "Ask the owner of the atServer to unblock this atSign."


class NotActivated(AtError, causes.LoginRefused):
    """AT0015 in answer to a login: the server holds no key to check it with."""

    code = "AT0015"
    description = "key not found"
    default_remedy = "Activate the atSign first: `atxfer activate`."


class EnrollmentDenied(
    AtError, causes.LoginRefused, code="AT0025", description="Apkam Auth Denied"
):
    """The owner denied the enrolment of these keys."""

    is_plain = True
    default_remedy = "Enrol again, and have the owner approve it."


class EnrollmentPending(
    AtError, causes.LoginRefused, code="AT0026", description="Apkam Auth Failed"
):
    """Nobody has approved the enrolment of these keys yet."""

    is_plain = True
    default_remedy = "Have the owner approve the enrolment, then try again."


class EnrollmentRevoked(
    AtError, causes.LoginRefused, code="AT0027", description="Apkam Access Revoked"
):
    """The owner revoked the enrolment of these keys."""

    is_plain = True
    default_remedy = "Enrol again, and have the owner approve it."


class EnrollmentExpired(
    AtError, causes.LoginRefused, code="AT0029", description="Apkam Enrollment Expired"
):
    """The enrolment of these keys has expired."""

    is_plain = True
    default_remedy = "Enrol again, and have the owner approve it."


class PasscodeRefused(AtError, causes.LoginRefused):
    """AT0011, or AT0022 from newer servers: the passcode of a request for enrolment is wrong."""

    code = "AT0011"
    description = "Internal server exception"
    default_remedy = (
        "Ask the owner for another, `atxfer enroll otp`; each is good for one request, and soon"
        " expires."
    )


class AlreadyEnrolled(AtError, causes.RequestRejected):
    """AT0011: an enrolment of this application and device is pending or approved."""

    code = "AT0011"
    description = "Internal server exception"
    default_remedy = (
        "Name another device, or have the owner deny or revoke that enrolment; the passcode is"
        " used up."
    )


class NotManager(AtError, causes.NotAuthorized):
    """AT0011: our enrolment may not decide on others."""

    code = "AT0011"
    description = "Internal server exception"
    default_remedy = "Use the owner's own keys: those that the atSign was activated with."


class InvalidEnrollmentState(
    AtError, causes.RequestRejected, code="AT0030", description="Invalid Enrollment Status"
):
    """The enrolment is not in a state for this."""

    default_remedy = "List the enrolments to see its state."


class CannotRevokeSelf(
    AtError, causes.RequestRejected, code="AT0031", description="Cannot revoke self enrollment"
):
    """An enrolment can't revoke itself."""

    default_remedy = "Revoke it with other keys of this atSign."


class Unauthenticated(
    AtError, causes.LoginRefused, code="AT0401", description="Client authentication failed"
):
    """We are not logged in, or the signature is wrong."""


# --- to and from the wire

_MAX_TEXT = 200  # characters: one line of a terminal or two; server texts name keys of up to 248
_FULL = r"no space left|(disk|storage|quota)[^.]{0,40}(full|exceeded)"

# One code has several causes; these are told apart by their words. None for the code: any.
_BY_WORDS: tuple[tuple[Optional[str], re.Pattern[str], type[AtError]], ...] = tuple(
    (code, re.compile(words, re.IGNORECASE), kind)
    for code, words, kind in (
        ("AT0002", _FULL, StoreFull),
        ("AT0010", _FULL, StoreFull),
        ("AT0011", _FULL, StoreFull),
        ("AT0015", r"privatekey:at_pkam_publickey\b.*does not exist", NotActivated),
        # 3.0.52 answers AT0028 for an expired enrolment, newer ones AT0029.
        ("AT0028", r"enrollment.*expired", EnrollmentExpired),
        # AT0011 in 3.0.52 (measured), codes of their own in newer ones (at_server 3.16.3).
        (None, r"\binvalid otp\b", PasscodeRefused),
        (None, r"another enrollment with id \S+ exists", AlreadyEnrolled),
        (None, r"failed to \w+ enrollment.*only \w+ enrollments can be", InvalidEnrollmentState),
        (None, r"failed to \w+ enrollment.*(__manage|not authorized)", NotManager),
    )
)


def error_for(code: str, message: str) -> AtError:
    """Return the error for a server's code and words.

    Args:
        code: Such as ``AT0015``; an unknown one falls back to :class:`UnlistedError`.
        message: The server's words. Only the first line is kept, and not all of a long one:
            further lines quote the command that failed (transcript, bad JSON).
    """
    kind = _class_for(code, message)
    first = message.strip().partition("\n")[0]
    words = "".join(c if c.isprintable() else "?" for c in first.strip())
    if len(words) > _MAX_TEXT:
        words = words[:_MAX_TEXT] + "..."
    label = f"the server answered {code}" if code else "the server answered an error without code"
    error = kind(f"{label}: {words}" if words else label)
    error.code = code
    return error


def _class_for(code: str, message: str) -> type[AtError]:
    for of_code, words, kind in _BY_WORDS:
        if of_code in (code, None) and words.search(message):
            return kind
    return AtError.by_code.get(code, UnlistedError)


def encode_error(error: AtError, *, logged_in: bool, as_json: bool = False) -> str:
    """Return the line a server answers for an error, without line break and prompt.

    Args:
        error: Its message is the server's own words.
        logged_in: Decides between the code's description and ``Exception`` in front (transcript).
        as_json: The form for clients that named a version above 3.0.37 (facts §3).
    """
    if error.is_plain:
        return f"error:{error.code}:{error.message}"
    front = f"{error.description} : " if logged_in else "Exception: "
    text = front + error.message
    if as_json:
        body = json.dumps(
            {"errorCode": error.code, "errorDescription": text},
            separators=(",", ":"),
            ensure_ascii=False,
        )
        return f"error:{body}"
    return f"error:{error.code}-{text}"
