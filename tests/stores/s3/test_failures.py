"""S3's error codes: each is one of our causes, and tells what to do."""

from __future__ import annotations

import pytest

from atxfer._policy.retry import row_for
from atxfer.errors import (
    AccessDenied,
    ChunkCorrupt,
    FileTooLarge,
    LoginRefused,
    NotAuthorized,
    NotFound,
    NotSupported,
    Overloaded,
    RequestRejected,
    RequestTimeout,
    ServerFault,
    StorageFull,
    Throttled,
    TransferError,
)
from atxfer.stores.http import Response
from atxfer.stores.s3 import failures
from atxfer.stores.s3.failures import Failure
from tests.support.s3 import error_body

SERVER = "s3.example.org:9000"


def failure(code: str, status: int = 400, message: str = "Words.", **headers: str) -> Failure:
    """Return what an answer with this code is."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Failure(Response(status, fields, error_body(code, message)), SERVER)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (503, "SlowDown", Overloaded),
        (503, "ServiceUnavailable", Overloaded),
        (429, "TooManyRequests", Throttled),
        (500, "InternalError", ServerFault),
        (400, "RequestTimeout", RequestTimeout),
        (409, "OperationAborted", ServerFault),
        (403, "AccessDenied", NotAuthorized),
        (403, "SignatureDoesNotMatch", LoginRefused),
        (403, "InvalidAccessKeyId", LoginRefused),
        (400, "ExpiredToken", LoginRefused),
        (404, "NoSuchBucket", NotFound),
        (404, "NoSuchUpload", NotFound),
        (400, "EntityTooLarge", FileTooLarge),
        (507, "XMinioStorageFull", StorageFull),
        (400, "BadDigest", ChunkCorrupt),
        (400, "XAmzContentSHA256Mismatch", ChunkCorrupt),
        (400, "InvalidPart", RequestRejected),
        (501, "Whatever", NotSupported),
    ],
)
def test_a_code_is_a_cause(status: int, code: str, kind: type[TransferError]) -> None:
    """The table of retries decides by the cause (R8)."""
    error = failure(code, status).error
    assert type(error) is kind
    assert error.message == f"{SERVER} answered {status} {code}: Words"
    assert error.remedy


@pytest.mark.parametrize("code", sorted(failures._CODES))
def test_every_cause_has_a_remedy_that_is_not_about_atservers(code: str) -> None:
    """Whoever uses S3 has no .atKeys file, and no atxfer doctor to ask."""
    error = failure(code).error
    if not error.retryable:
        assert error.remedy
    assert "atKeys" not in error.remedy
    assert "doctor" not in error.remedy
    assert "enrolled" not in error.remedy


def test_a_checksum_that_does_not_hold_is_sent_once_more() -> None:
    """Damage on the way is repaired by sending again, once; a second time is told (scenario 14)."""
    assert row_for(failure("BadDigest").error).tries == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, RequestRejected), (403, AccessDenied), (404, NotFound), (500, ServerFault)],
)
def test_without_a_known_code_the_status_decides(status: int, kind: type[TransferError]) -> None:
    """A server may have codes of its own, or answer a HEAD, which has no body."""
    assert isinstance(failure("BrandNew", status).error, kind)
    assert failure("BrandNew", status).error.message.endswith("BrandNew: Words")
    assert isinstance(Failure(Response(status, {}, b""), SERVER).error, kind)
    assert isinstance(Failure(Response(status, {}, b"<html>"), SERVER).error, kind)


def test_a_success_that_holds_an_error_is_a_failure_of_the_server() -> None:
    """Complete answers 200 before it knows (scenario 13)."""
    assert isinstance(failure("BrandNew", 200).error, ServerFault)
    assert isinstance(failure("InternalError", 200).error, ServerFault)


def test_how_long_to_wait_is_told() -> None:
    """A floor for the next attempt (R13)."""
    assert failure("SlowDown", 503, Retry_After="7").error.retry_after == 7.0
    assert failure("BrandNew", 503, Retry_After="7").error.retry_after == 7.0


def test_a_server_s_words_are_one_line_of_some_length() -> None:
    """They may be hostile, and stand in logs and on terminals (R24)."""
    error = failure("AccessDenied", message="a\x1b[31m\n\tb" + "x" * 1000).error
    assert error.message.startswith(f"{SERVER} answered 400 AccessDenied: a [31m bxxx")
    assert error.message.isprintable()
    assert len(error.message) < 300
    assert failure("not a\ncode").code == ""


def test_a_region_is_told_by_header_or_body() -> None:
    """A HEAD has no body; some servers send no header."""
    assert failure("PermanentRedirect", 301, x_amz_bucket_region="eu-west-1").region == "eu-west-1"
    body = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-2</Region></Error>"
    assert Failure(Response(400, {}, body), SERVER).region == "eu-west-2"
