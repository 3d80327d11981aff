"""What S3's error codes mean: one table (peers.md R8).

The code comes in the body of an answer, where there is one; without it the status has to do, as for
any HTTP store. An answer with status 200 may hold an error, too.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Optional

from atxfer.errors import (
    ChunkCorrupt,
    ConnectionLost,
    FileTooLarge,
    LoginRefused,
    NotAuthorized,
    NotFound,
    NotSupported,
    Overloaded,
    ProtocolViolation,
    RequestRejected,
    RequestTimeout,
    ServerFault,
    StorageFull,
    Throttled,
    TransferError,
)
from atxfer.stores.http.statuses import error_for_status, retry_after
from atxfer.stores.http.transport import Response
from atxfer.stores.s3.answers import Element, parse

__all__ = ["CLOCK_DIFFERS", "NO_SUCH_UPLOAD", "Failure"]

CLOCK_DIFFERS = "RequestTimeTooSkewed"
NO_SUCH_UPLOAD = "NoSuchUpload"

_LOGIN = "Check the access key, its secret and its session token; `aws sts get-caller-identity`."
_POLICY = (
    "Let them do s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload,"
    " s3:ListMultipartUploadParts, and on the bucket s3:ListBucket and"
    " s3:ListBucketMultipartUploads."
)
_BUCKET = "Check the bucket's name, the region and endpoint_url; atxfer makes no buckets."
_GONE = "Upload the file again."
_DAMAGED = "The data was damaged on its way to the server, more than once: check the network."
_NO_SUCH = "This server has no such operation."
_QUOTA = "Delete files, or have the quota raised."

# The cause, and a remedy where that of the class is about something else.
_CODES: dict[str, tuple[type[TransferError], Optional[str]]] = {
    # who we are, and what we may
    "AccessDenied": (NotAuthorized, _POLICY),
    "AccountProblem": (NotAuthorized, "Ask the provider of the account."),
    "AllAccessDisabled": (NotAuthorized, "Ask the provider of the account."),
    "AuthorizationHeaderMalformed": (
        LoginRefused,
        "Name the bucket's region with AWS_DEFAULT_REGION.",
    ),
    "ExpiredToken": (LoginRefused, "Get new temporary credentials: `aws sso login`, or as before."),
    "InvalidAccessKeyId": (LoginRefused, _LOGIN),
    "InvalidToken": (LoginRefused, _LOGIN),
    CLOCK_DIFFERS: (LoginRefused, "Set this machine's clock, or the server's."),
    "SignatureDoesNotMatch": (LoginRefused, _LOGIN),
    "TokenRefreshRequired": (LoginRefused, _LOGIN),
    # it is not there
    "NoSuchBucket": (NotFound, _BUCKET),
    "NoSuchKey": (NotFound, "List what is there: client.files() or `atxfer list`."),
    NO_SUCH_UPLOAD: (NotFound, _GONE),
    # too much, or not enough
    "EntityTooLarge": (FileTooLarge, "The server takes no object of this size: raise chunk_size."),
    "EntityTooSmall": (RequestRejected, "The server wants larger parts: raise chunk_size."),
    "KeyTooLongError": (RequestRejected, "Shorten the prefix or the file's name."),
    "InsufficientCapacity": (StorageFull, None),
    "QuotaExceeded": (StorageFull, _QUOTA),
    "StorageFull": (StorageFull, None),
    "XMinioStorageFull": (StorageFull, None),
    # not what was sent; the table of retries has it sent once more
    "BadDigest": (ChunkCorrupt, _DAMAGED),
    "InvalidDigest": (ChunkCorrupt, _DAMAGED),
    "XAmzContentChecksumMismatch": (ChunkCorrupt, _DAMAGED),
    "XAmzContentSHA256Mismatch": (ChunkCorrupt, _DAMAGED),
    # it may pass
    "BandwidthLimitExceeded": (Throttled, None),
    "Busy": (Overloaded, None),
    "ConditionalRequestConflict": (ServerFault, None),
    "IncompleteBody": (ConnectionLost, None),
    "InternalError": (ServerFault, None),
    "OperationAborted": (ServerFault, None),
    "RequestLimitExceeded": (Throttled, None),
    "RequestThrottled": (Throttled, None),
    "RequestTimeout": (RequestTimeout, None),
    "ServiceUnavailable": (Overloaded, None),
    "SlowDown": (Overloaded, None),
    "Throttling": (Throttled, None),
    "ThrottlingException": (Throttled, None),
    "TooManyRequests": (Throttled, None),
    # it will not
    "InvalidObjectState": (RequestRejected, "The object is archived: have it restored first."),
    "InvalidPart": (RequestRejected, "The server lost a part, or has another one: upload again."),
    "InvalidPartOrder": (RequestRejected, _GONE),
    "MethodNotAllowed": (NotSupported, _NO_SUCH),
    "PermanentRedirect": (RequestRejected, "Name the bucket's region with AWS_DEFAULT_REGION."),
    "TemporaryRedirect": (RequestRejected, "Name the bucket's region with AWS_DEFAULT_REGION."),
}

_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LOOK_UP = "What the code means is in the S3 documentation of the server."

_MESSAGE = 200  # characters of the server's own words


class Failure:
    """What a server's failure is.

    Args:
        answer: It.
        server: ``host:port``.

    Attributes:
        status: Of the answer.
        headers: Of the answer.
        code: S3's own, or empty.
        region: The region that the server wants, or empty.
    """

    def __init__(self, answer: Response, server: str) -> None:
        told = _told(answer.content)
        self.status = answer.status
        self.headers = answer.headers
        code = told.value("Code")
        self.code = code if _CODE.fullmatch(code) else ""
        self.region = answer.headers.get("x-amz-bucket-region") or told.value("Region")
        self._message = _printable(told.value("Message"))
        self._server = server

    @property
    def text(self) -> str:
        """What happened, in one line."""
        words = f": {self._message}" if self._message else ""
        return f"{self._server} answered {self.status} {self.code}{words}".rstrip(".")

    @property
    def error(self) -> TransferError:
        """What to raise."""
        if self.status == HTTPStatus.NOT_IMPLEMENTED:
            return NotSupported(self.text, remedy=_NO_SUCH)
        if self.code not in _CODES:
            return self._by_status()
        kind, remedy = _CODES[self.code]
        return kind(self.text, remedy=remedy, retry_after=retry_after(self.headers))

    def _by_status(self) -> TransferError:
        # An answer that began as a success, and ended as a failure of the server's.
        status = 500 if self.status < 300 else self.status
        error = error_for_status(status, self.headers, self._server)
        if not self.code:
            return error
        remedy = _LOOK_UP if isinstance(error, RequestRejected) else error.remedy
        return type(error)(self.text, remedy=remedy, retry_after=error.retry_after)


def _told(body: bytes) -> Element:
    """Return the error that a body holds; one without anything if it holds none."""
    try:
        root = parse(body)
    except ProtocolViolation:
        return Element("")
    return root if root.name == "Error" else Element("")


def _printable(text: str) -> str:
    """Return a server's words as one line that can be shown."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean if len(clean) <= _MESSAGE else clean[:_MESSAGE] + "..."
