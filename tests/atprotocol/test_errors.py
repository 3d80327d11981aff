"""Errors: the published table, both ways, and texts that are safe to show."""

from __future__ import annotations

import json
import pickle

import pytest

from atxfer import errors as causes
from atxfer.atprotocol import errors
from atxfer.atprotocol.errors import AtError, encode_error, error_for

# The platform's table of codes and words (at_commons, error_message.dart), with facts §3: whether
# the server closes after it, and whether the cause may pass.
PUBLISHED = {
    "AT0001": ("Server exception", False, True),
    "AT0002": ("DataStore exception", True, True),
    "AT0003": ("Invalid syntax", False, False),
    "AT0004": ("Socket error", False, True),
    "AT0005": ("Buffer limit exceeded", True, False),
    "AT0006": ("Outbound connection limit exceeded", False, True),
    "AT0007": ("Secondary server not found", False, False),
    "AT0008": ("Handshake failure", False, True),
    "AT0009": ("UnAuthorized client in request", False, False),
    "AT0010": ("Internal server error", False, True),
    "AT0011": ("Internal server exception", False, True),
    "AT0012": ("Inbound connection limit exceeded", True, True),
    "AT0013": ("Connection Exception", True, False),
    "AT0014": ("Unknown AtClient exception", False, False),
    "AT0015": ("key not found", False, False),
    "AT0016": ("Invalid key", False, False),
    "AT0021": ("Unable to connect to secondary", False, True),
    "AT0022": ("Illegal arguments", False, False),
    "AT0023": ("Timeout waiting for response", False, True),
    "AT0024": ("Server is paused", True, True),
    "AT0025": ("Apkam Auth Denied", False, False),
    "AT0026": ("Apkam Auth Failed", False, False),
    "AT0027": ("Apkam Access Revoked", False, False),
    "AT0028": ("Too Many Requests", False, True),
    "AT0029": ("Apkam Enrollment Expired", False, False),
    "AT0030": ("Invalid Enrollment Status", False, False),
    "AT0031": ("Cannot revoke self enrollment", False, False),
    "AT0401": ("Client authentication failed", False, False),
}

CAUSES = {
    "AT0003": causes.RequestRejected,
    "AT0005": causes.RequestTooLarge,
    "AT0007": causes.AtSignNotFound,
    "AT0009": causes.NotAuthorized,
    "AT0012": causes.Overloaded,
    "AT0015": causes.NotFound,
    "AT0024": causes.Overloaded,
    "AT0026": causes.LoginRefused,
    "AT0028": causes.Throttled,
    "AT0401": causes.LoginRefused,
}


def classes() -> list[type[AtError]]:
    """Return every class of the tree."""
    found, rest = [], [AtError]
    while rest:
        kind = rest.pop()
        found.append(kind)
        rest.extend(kind.__subclasses__())
    return found


def test_the_table_and_the_classes_are_the_same_set() -> None:
    """No published code without a class, and no class without a published code."""
    assert set(AtError.by_code) == set(PUBLISHED)
    assert {kind.code for kind in classes()} - {""} == set(PUBLISHED)


@pytest.mark.parametrize("code", PUBLISHED)
def test_a_code_has_its_words_and_what_follows_from_it(code: str) -> None:
    """Words, what becomes of the connection, and whether the cause may pass, by code."""
    error = error_for(code, "some words")
    assert error.code == code
    assert (error.description, error.closes_connection, error.retryable) == PUBLISHED[code]
    assert code in str(error)
    assert error.remedy


@pytest.mark.parametrize("code", CAUSES)
def test_a_code_has_its_general_cause(code: str) -> None:
    """Callers above the protocol know the cause only."""
    assert isinstance(error_for(code, ""), CAUSES[code])


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_every_error_is_listed_and_survives_pickling(kind: type[AtError]) -> None:
    """An error may come from another process; each is a public name."""
    error = kind("words")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert (type(again), again.message, again.code) == (kind, "words", kind.code)
    assert kind.__name__ in errors.__all__


@pytest.mark.parametrize("code", ["AT0099", "", "XX"])
def test_an_unknown_code_falls_back_and_keeps_its_name(code: str) -> None:
    """What the table doesn't have may pass, like any fault of the server."""
    error = error_for(code, "odd")
    assert type(error) is errors.UnlistedError
    assert (error.code, error.retryable) == (code, True)


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        ("AT0011", "FileSystemException: No space left on device, errno = 28", errors.StoreFull),
        ("AT0002", "disk is full", errors.StoreFull),
        ("AT0010", "storage quota exceeded", errors.StoreFull),
        ("AT0002", "hive box is closed", errors.DataStoreFailed),
        ("AT0003", "no space left", errors.InvalidSyntax),
        (
            "AT0015",
            "Exception: privatekey:at_pkam_publickey does not exist in keystore",
            errors.NotActivated,
        ),
        ("AT0015", "k1.atxfer@alice does not exist in keystore", errors.KeyNotFound),
        ("AT0028", "enrollment_id: 5 is expired or invalid", errors.EnrollmentExpired),
        ("AT0028", "Enrollment requests have exceeded the limit", errors.TooManyRequests),
        ("AT0011", "Exception: invalid otp. Cannot process", errors.PasscodeRefused),
        ("AT0022", "invalid otp. Cannot process enroll request", errors.PasscodeRefused),
        (
            "AT0011",
            "Another enrollment with id 5 exists with the app name: a and device name: d in",
            errors.AlreadyEnrolled,
        ),
        (
            "AT0011",
            "Failed to approve enrollment id: 5. No. Only pending enrollments can be approved",
            errors.InvalidEnrollmentState,
        ),
        (
            "AT0032",
            "Failed to deny enrollment id: 5. Only pending enrollments can be denied",
            errors.InvalidEnrollmentState,
        ),
        (
            "AT0011",
            'Failed to deny enrollment id: 5. The approving enrollment has no "__manage"',
            errors.NotManager,
        ),
        (
            "AT0009",
            "Failed to deny enrollment id: 5. Client is not authorized for namespaces in the",
            errors.NotManager,
        ),
        ("AT0011", "Failed to read enrollment", errors.InternalException),
    ],
)
def test_some_codes_are_told_apart_by_their_words(
    code: str, words: str, kind: type[AtError]
) -> None:
    """One code has several causes, and what to do differs."""
    error = error_for(code, words)
    assert type(error) is kind
    assert error.code == code


def test_a_full_disk_is_not_tried_again() -> None:
    """Room doesn't come by waiting."""
    error = error_for("AT0011", "No space left on device")
    assert isinstance(error, causes.StorageFull)
    assert not error.retryable


def test_words_are_cut_to_their_first_line_and_a_sane_length() -> None:
    """Further lines of a server quote the command that failed, and with it what it carried."""
    error = error_for("AT0011", f"bad\x1b[31m{'x' * 500}\nsecret value\n^")
    assert "secret" not in str(error)
    assert "\x1b" not in str(error)
    assert len(error.message) < 260


def test_the_first_line_may_be_empty() -> None:
    """A server without words still has a code."""
    assert error_for("AT0015", "").message == "the server answered AT0015"
    assert "without code" in error_for("", "").message


@pytest.mark.parametrize(
    ("logged_in", "line"),
    [
        (True, "error:AT0015-key not found : x does not exist"),
        (False, "error:AT0015-Exception: x does not exist"),
    ],
)
def test_a_server_words_an_error_by_the_login(logged_in: bool, line: str) -> None:
    """The description stands in front for the owner only (transcript)."""
    assert encode_error(errors.KeyNotFound("x does not exist"), logged_in=logged_in) == line


def test_a_server_writes_json_for_newer_clients() -> None:
    """The same words, in an object (transcript)."""
    line = encode_error(errors.Unauthenticated('no "auth"'), logged_in=False, as_json=True)
    assert json.loads(line[len("error:") :]) == {
        "errorCode": "AT0401",
        "errorDescription": 'Exception: no "auth"',
    }


def test_errors_of_enrolments_have_a_form_of_their_own() -> None:
    """A colon, no description, and never JSON (transcript)."""
    error = errors.EnrollmentPending("enrollment_id: 5 is pending")
    for as_json in (False, True):
        line = encode_error(error, logged_in=False, as_json=as_json)
        assert line == "error:AT0026:enrollment_id: 5 is pending"


def test_a_broken_answer_is_the_servers_fault_and_a_broken_call_ours() -> None:
    """The first is told to the user, the second is a defect."""
    assert issubclass(errors.RemoteProtocolError, causes.ProtocolViolation)
    assert not issubclass(errors.LocalProtocolError, causes.TransferError)
