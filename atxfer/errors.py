"""What can go wrong, by cause.

::

    TransferError ............................ 1
    +-- KeysError ............................ 3   the .atKeys file
    |   +-- KeysNotFound, KeysUnreadable, KeysNotPrivate
    |   +-- PassphraseRequired, WrongPassphrase, KeysMismatch
    +-- AccessDenied ......................... 4   the server knows us not, or lets us not
    |   +-- LoginRefused, NotAuthorized, AlreadyActivated
    +-- NotFound ............................. 5   it is not there (any more)
    |   +-- AtSignNotFound, FileNotFound, FileExpired, ChunkMissing
    |   +-- NotShared, LinkRevoked
    +-- IntegrityError ....................... 6   it is there, but not what was stored
    |   +-- ChunkCorrupt, ManifestInvalid, ChecksumMismatch
    |   +-- PublicKeyInvalid, SharedKeyUnreadable
    +-- LimitExceeded ........................ 7   too large, or no room
    |   +-- FileTooLarge, RequestTooLarge, StorageFull
    +-- SourceChanged ........................ 8   the file changed while it was read
    +-- NetworkError ......................... 9   no answer came
    |   +-- DirectoryUnavailable*, ConnectFailed*, ConnectionLost*, RequestTimeout*
    |   +-- CertificateRejected, ProxyRefused
    +-- ServerError ......................... 10   an answer came, and it was a failure
    |   +-- ServerFault*, Overloaded*, Throttled*, AnswerMissing*
    |   +-- RequestRejected, ProtocolViolation, RetryAfterTooLong
    +-- SharingFailed ................... as its causes   the file is there, but not shared
    +-- CleaningFailed .................. as its causes   some of an old upload is still there
    +-- NotSupported ........................ 13   this kind of store can't do that
    +-- UploadInProgress .................... 14   another process is at the same upload
    +-- DeadlineExceeded .................... 11
    +-- Cancelled ........................... 12

The number is the exit code of the command line; ``*`` marks causes that may be tried again
(:class:`RetryableError`). Each error says what happened, to which file and chunk, how often it was
tried, and what to do about it. All are picklable. Errors of the atProtocol, one class per code,
derive from these in :mod:`atxfer.atprotocol.errors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

__all__ = [
    "AccessDenied",
    "AlreadyActivated",
    "AnswerMissing",
    "AtSignNotFound",
    "Cancelled",
    "CertificateRejected",
    "ChecksumMismatch",
    "ChunkCorrupt",
    "ChunkMissing",
    "CleaningFailed",
    "ConnectFailed",
    "ConnectionLost",
    "DeadlineExceeded",
    "DirectoryUnavailable",
    "FileExpired",
    "FileNotFound",
    "FileTooLarge",
    "IntegrityError",
    "KeysError",
    "KeysMismatch",
    "KeysNotFound",
    "KeysNotPrivate",
    "KeysUnreadable",
    "LimitExceeded",
    "LinkRevoked",
    "LoginRefused",
    "ManifestInvalid",
    "NetworkError",
    "NotAuthorized",
    "NotFound",
    "NotShared",
    "NotSupported",
    "Overloaded",
    "PassphraseRequired",
    "ProtocolViolation",
    "ProxyRefused",
    "PublicKeyInvalid",
    "RequestRejected",
    "RequestTimeout",
    "RequestTooLarge",
    "RetryAfterTooLong",
    "RetryableError",
    "ServerError",
    "ServerFault",
    "SharedKeyUnreadable",
    "SharingFailed",
    "SourceChanged",
    "StorageFull",
    "Throttled",
    "TransferError",
    "UploadInProgress",
    "WrongPassphrase",
]


_RESUMES = "The same upload, called again, goes on where this one ended."


class TransferError(Exception):
    """The root of every error that atxfer raises of its own.

    Args:
        message: What happened, without a full stop.
        remedy: What the reader can do about it; the class has a general one.
        file: The name of the file it happened to.
        file_id: Its id, where it has one: an upload that failed on its way can be deleted by it.
            One into a store without an atSign has none.
        chunk: The index of the chunk it happened to.
        attempts: How often the failing request was tried.
        chunks_missing: Indexes of the chunks that are not stored, when a transfer failed.
        retry_after: Seconds the server asked us to wait, if it did.

    Attributes:
        resumable: Whether the same call goes on with the upload where it ended.
    """

    exit_code: int = 1
    default_remedy: str = ""

    def __init__(
        self,
        message: str = "",
        *,
        remedy: Optional[str] = None,
        file: Optional[str] = None,
        file_id: Optional[str] = None,
        chunk: Optional[int] = None,
        attempts: Optional[int] = None,
        chunks_missing: Optional[tuple[int, ...]] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.file_id = file_id
        self.chunk = chunk
        self.attempts = attempts
        self.chunks_missing = chunks_missing
        self.retry_after = retry_after
        self.resumable = False
        self._remedy = remedy

    @property
    def remedy(self) -> str:
        """What the reader can do about it."""
        remedy = self._remedy if self._remedy is not None else self.default_remedy
        return f"{remedy} {_RESUMES}".lstrip() if self.resumable else remedy

    @property
    def retryable(self) -> bool:
        """Whether the cause may pass by itself, so that the same call may succeed later."""
        return isinstance(self, RetryableError)

    def with_context(
        self,
        *,
        file: Optional[str] = None,
        file_id: Optional[str] = None,
        chunk: Optional[int] = None,
        attempts: Optional[int] = None,
        chunks_missing: Optional[tuple[int, ...]] = None,
        resumable: bool = False,
    ) -> TransferError:
        """Fill in what is not known yet, and return the same error.

        The floor that raises knows the cause; the floors above know the chunk, then the file.
        """
        self.file = self.file if self.file is not None else file
        self.file_id = self.file_id if self.file_id is not None else file_id
        self.chunk = self.chunk if self.chunk is not None else chunk
        self.attempts = self.attempts if self.attempts is not None else attempts
        if self.chunks_missing is None:
            self.chunks_missing = chunks_missing
        self.resumable = self.resumable or resumable
        return self

    @property
    def summary(self) -> str:
        """What happened, to which file and chunk, and how often it was tried; without a remedy."""
        where = []
        if self.file is not None:
            where.append(self.file)
        if self.file_id is not None:
            where.append(f"file id {self.file_id}")
        if self.chunk is not None:
            where.append(f"chunk {self.chunk}")
        if self.attempts is not None and self.attempts > 1:
            where.append(f"{self.attempts} attempts")
        if self.chunks_missing:
            where.append(f"missing {_spans(self.chunks_missing)}")
        text = self.message or type(self).__name__
        return f"{text} ({', '.join(where)})" if where else text

    def __str__(self) -> str:
        return f"{self.summary}. {self.remedy}" if self.remedy else self.summary

    def __reduce__(self) -> tuple[Any, ...]:
        # The keyword arguments are restored as attributes: exceptions unpickle by position only.
        return type(self), (self.message,), self.__dict__.copy()


def _spans(indexes: tuple[int, ...], most: int = 8) -> str:
    """Return indexes as ranges, ``0-3, 7``, cut after a few."""
    spans: list[list[int]] = []
    for index in sorted(indexes):
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    texts = [str(a) if a == b else f"{a}-{b}" for a, b in spans]
    cut = ", ..." if len(texts) > most else ""
    return "chunks " + ", ".join(texts[:most]) + cut


class RetryableError(TransferError):
    """Base of the causes that may be tried again; the retry table has the last word."""


# --- the key file


class KeysError(TransferError):
    """The .atKeys file can't be used."""

    exit_code = 3


class KeysNotFound(KeysError):
    """There is no .atKeys file for this atSign."""

    default_remedy = (
        "Copy the .atKeys file of this atSign there, or name its folder with keys_dir (--keys-dir)."
    )


class KeysUnreadable(KeysError):
    """The .atKeys file can't be read, or is none."""

    default_remedy = "Export the .atKeys file again from the application that made it."


class KeysNotPrivate(KeysError):
    """Other users of this machine could read the .atKeys file."""

    default_remedy = "Make it yours alone: chmod 600 FILE."


class PassphraseRequired(KeysError):
    """The .atKeys file is wrapped with a passphrase, and none was given."""

    default_remedy = "Give it with passphrase= or the environment variable ATXFER_PASSPHRASE."


class WrongPassphrase(KeysError):
    """The passphrase doesn't open the .atKeys file."""

    default_remedy = "Check the passphrase; the file is intact, nothing was changed."


class KeysMismatch(KeysError):
    """The .atKeys file belongs to another atSign."""

    default_remedy = "Use the .atKeys file that was made for this atSign."


# --- who we are to the server


class AccessDenied(TransferError):
    """The server does not let us do this."""

    exit_code = 4


class LoginRefused(AccessDenied):
    """The server doesn't accept our keys."""

    default_remedy = "Check that the .atKeys file is the current one of this atSign."


class NotAuthorized(AccessDenied):
    """We are logged in, but these keys may not do this."""

    default_remedy = "Use keys that are enrolled for the name space atxfer."


class AlreadyActivated(AccessDenied):
    """Somebody has activated this atSign already, with keys of their own."""

    default_remedy = (
        "Copy its .atKeys file from where that was done, or get keys of this device's own:"
        " `atxfer enroll`."
    )


# --- it is not there


class NotFound(TransferError):
    """What was asked for is not there."""

    exit_code = 5


class AtSignNotFound(NotFound):
    """The atDirectory doesn't know this atSign."""

    default_remedy = "Check the spelling, and which directory is asked (--directory)."


class FileNotFound(NotFound):
    """No file of this id lies on the server, or its upload never ended."""

    default_remedy = "List what is there: client.files() or `atxfer list`."


class FileExpired(NotFound):
    """The file's time to live is over."""

    default_remedy = "Upload it again; a longer ttl or `atxfer extend` keeps a file."


class ChunkMissing(NotFound):
    """A chunk that the manifest names is not on the server."""

    default_remedy = "Upload the file again; the target was left as it was."


class NotShared(NotFound):
    """The file is there, but its owner does not share it with us, or not any more."""

    default_remedy = "Ask its owner to share it again; the target was left as it was."


class LinkRevoked(NotFound):
    """The link leads nowhere: it was revoked, or the file was deleted."""

    default_remedy = "Ask whoever made the link for a new one."


# --- it is not what was stored


class IntegrityError(TransferError):
    """What the server gave is not what was stored there."""

    exit_code = 6
    default_remedy = "Nothing was written to the target. Upload the file again from its source."


class ChunkCorrupt(IntegrityError):
    """A chunk doesn't open with the file's key: it was altered, moved or exchanged."""


class ManifestInvalid(IntegrityError):
    """A manifest can't be read, or is not signed by the owner it names."""


class ChecksumMismatch(IntegrityError):
    """All chunks are sound, but the whole has not the SHA-256 that the manifest names."""


class PublicKeyInvalid(IntegrityError):
    """An atSign has no public key, or what lies there is no key."""

    default_remedy = "Nothing can be exchanged with this atSign until its owner mends that."


class SharedKeyUnreadable(IntegrityError):
    """The key that we share with another atSign was not made for our present keys."""

    default_remedy = (
        "Use the key file it was made with; or delete the record the error names, which makes what"
        " was encrypted under it unreadable to its sender."
    )


# --- too much


class LimitExceeded(TransferError):
    """A limit of ours or of the server is in the way."""

    exit_code = 7


class FileTooLarge(LimitExceeded):
    """The file is larger than max_file_size."""

    default_remedy = (
        "Give the client a store for the bulk, or raise max_file_size if there is room."
    )


class RequestTooLarge(LimitExceeded):
    """The server refused a request for its size."""

    default_remedy = "Lower max_request_bytes or chunk_size."


class StorageFull(LimitExceeded):
    """The server has no room for this."""

    default_remedy = "Delete files (`atxfer list`, `atxfer delete`) or enlarge the server."


class SourceChanged(TransferError):
    """The source changed, shrank or grew while it was read; nothing was committed."""

    exit_code = 8
    default_remedy = "Upload again when nothing writes to the file."


# --- no answer


class NetworkError(TransferError):
    """No answer came."""

    exit_code = 9


class DirectoryUnavailable(NetworkError, RetryableError):
    """The atDirectory can't be reached or doesn't answer."""

    default_remedy = "Check the network, and the directory's address (--directory HOST:PORT)."


class ConnectFailed(NetworkError, RetryableError):
    """The server can't be reached."""

    default_remedy = "Check the network; the server may be restarting."


class ConnectionLost(NetworkError, RetryableError):
    """The connection ended before the answer; the work may or may not have been done."""

    default_remedy = "Try again; repeating is safe."


class RequestTimeout(NetworkError, RetryableError):
    """The answer did not come in time; the work may or may not have been done."""

    default_remedy = "Try again, or raise request_timeout; repeating is safe."


class CertificateRejected(NetworkError):
    """The server's certificate is not one we trust, or is for another host."""

    default_remedy = "Name the right certificate authority with ca_file (--ca-file)."


class ProxyRefused(NetworkError):
    """The HTTP proxy of the environment doesn't let us through."""

    default_remedy = "Check HTTPS_PROXY and NO_PROXY."


# --- an answer, but a failure


class ServerError(TransferError):
    """The server answered with a failure."""

    exit_code = 10


class ServerFault(ServerError, RetryableError):
    """The server failed at something that may work the next time."""

    default_remedy = "Try again later."


class Overloaded(ServerError, RetryableError):
    """The server has too much to do, or is paused; it asks for fewer or later requests."""

    default_remedy = "Try again later, or lower max_concurrent_uploads."


class Throttled(ServerError, RetryableError):
    """The server counts our requests and had too many of them."""

    default_remedy = "Try again later, or lower max_concurrent_uploads."


class AnswerMissing(ServerError, RetryableError):
    """The server left one command of a batch without an answer."""

    default_remedy = "Try again; repeating is safe."


class RequestRejected(ServerError):
    """The server refused the request as it stands; sending it again would not help."""

    default_remedy = "The server may be too old: see `atxfer doctor`."


class ProtocolViolation(ServerError):
    """The server's answer is none: malformed, oversized, or out of turn."""

    default_remedy = "Check that the address is an atServer's; see `atxfer doctor`."


class RetryAfterTooLong(ServerError):
    """The server asked for a longer wait than retry_after_cap allows."""

    default_remedy = "Call again after error.retry_after seconds."


class SharingFailed(TransferError):
    """The file is safely there, but is not shared with all who were named.

    Attributes:
        failures: The cause, by atSign.
        receipt: What ``upload`` would have returned, if it was an upload.
    """

    default_remedy = "Share it with them again: client.share(file_id, ...) or `atxfer share`."

    def __init__(
        self,
        message: str = "",
        *,
        failures: Optional[Mapping[str, TransferError]] = None,
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.failures: dict[str, TransferError] = dict(failures or {})
        self.receipt: Any = None
        if self.failures:
            self.exit_code = next(iter(self.failures.values())).exit_code

    @classmethod
    def of(cls, failures: Mapping[str, TransferError], *, file: str, file_id: str) -> SharingFailed:
        """Return the error that tells of these failures."""
        causes = "; ".join(f"with {atsign}: {error.message}" for atsign, error in failures.items())
        failed = cls(
            f"the file is there, but not shared {causes}",
            failures=failures,
            file=file,
            file_id=file_id,
        )
        failed.__cause__ = next(iter(failures.values()))
        return failed


class CleaningFailed(TransferError):
    """Some uploads that did not end are still there; all others were removed.

    Attributes:
        failures: What is still there, as :class:`atxfer.AbandonedUpload`, each with the cause.
        removed: What ``clean`` would have returned.
    """

    default_remedy = "Call clean again: what is removed already doesn't matter."

    def __init__(
        self,
        message: str = "",
        *,
        failures: Sequence[tuple[Any, TransferError]] = (),
        removed: Sequence[Any] = (),
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.failures = list(failures)
        self.removed = list(removed)
        if self.failures:
            self.exit_code = self.failures[0][1].exit_code


class NotSupported(TransferError):
    """The store, or the server behind it, has no such thing."""

    exit_code = 13


class UploadInProgress(TransferError):
    """Another process is uploading the same file to the same place."""

    exit_code = 14
    default_remedy = (
        "Let it finish; or, to upload the file a second time, switch its journal off with"
        " journal=False (ATXFER_JOURNAL=0)."
    )


# --- ended by us


class DeadlineExceeded(TransferError):
    """The transfer's own deadline passed."""

    exit_code = 11
    default_remedy = "Raise the deadline, or try again."


class Cancelled(TransferError):
    """The transfer was cancelled, or its client closed."""

    exit_code = 12
