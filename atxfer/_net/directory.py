"""Where the atServer of an atSign listens: asked of the atDirectory, and remembered (facts §1).

Rules of this file:

1. What is asked by several threads at the same time is asked once: the others wait, and share the
   outcome, failure included. Only a cancelled asker leaves the next one to ask for itself.
2. An address that was forgotten still serves while the directory doesn't answer: the server may
   have come back where it was.
"""

from __future__ import annotations

import logging
import ssl
import threading
from typing import Optional, Union

from atxfer._net.address import DEFAULT_PORT, Address, parse_address
from atxfer._net.stream import Stream, connect, interruptible, tls_context
from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.config import StrPath, TransferConfig, setting
from atxfer.errors import (
    AtSignNotFound,
    ConnectFailed,
    ConnectionLost,
    DirectoryUnavailable,
    RequestTimeout,
)
from atxfer.waiting import Deadline, Wait

__all__ = ["DEFAULT_DIRECTORY", "DEFAULT_PORT", "Directory", "parse_address"]

_log = logging.getLogger("atxfer.net")

# The atPlatform's own (facts §1).
DEFAULT_DIRECTORY = "root.atsign.org:64"

# Bytes of an answer: a host name has at most 253 characters.
_MAX_ANSWER = 1024

_Outcome = Union[Address, AtSignNotFound, DirectoryUnavailable]


class Directory:
    """An atDirectory, and what it has told so far.

    Args:
        address: Where it listens.
        context: From :func:`atxfer._net.stream.tls_context`.
        timeout: Seconds for one look-up, connecting included.

    Threads: may be shared.
    """

    def __init__(self, address: Address, context: ssl.SSLContext, *, timeout: float) -> None:
        self.address = address
        self.context = context
        self._timeout = timeout
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()  # guards _entries

    @classmethod
    def of(
        cls, directory: Optional[str], ca_file: Optional[StrPath], config: TransferConfig
    ) -> Directory:
        """Return the one that arguments, environment and defaults name; nothing is sent.

        Args:
            directory: ``HOST:PORT``; ``ATXFER_DIRECTORY``, or :data:`DEFAULT_DIRECTORY`.
            ca_file: Authorities to trust instead of the system's; ``ATXFER_CA_FILE``.
            config: How patient.

        Raises:
            ValueError: The directory is no ``HOST:PORT``, or the file holds no certificate.
            OSError: The file can't be read.
        """
        address = parse_address(setting(directory, "ATXFER_DIRECTORY") or DEFAULT_DIRECTORY)
        context = tls_context(setting(ca_file, "ATXFER_CA_FILE"))
        return cls(address, context, timeout=config.connect_timeout)

    def resolve(self, atsign: str, wait: Wait) -> Address:
        """Return where the atServer listens.

        Raises:
            ValueError: This is no atSign.
            AtSignNotFound: The directory doesn't know it.
            DirectoryUnavailable: The directory can't be reached, or talks nonsense.
            CertificateRejected, ProxyRefused: As :func:`atxfer._net.stream.connect` does.
            Cancelled, DeadlineExceeded: As :meth:`Wait.check` does.
        """
        atsign = normalise_atsign(atsign)
        entry = self._entry(atsign)
        if not entry.is_fresh:
            asked = entry.times_asked
            with wait.turn(entry.asking):
                if entry.times_asked == asked:  # nobody has asked while we waited for our turn
                    entry.learn(self._outcome(atsign, wait))
        return entry.told()

    def forget(self, atsign: str) -> None:
        """Have the next look-up ask again: a server that can't be reached may have moved."""
        self._entry(normalise_atsign(atsign)).is_fresh = False

    def moved_from(self, atsign: str, address: Address, wait: Wait) -> Optional[Address]:
        """Ask again after an address failed; return the new one, or None if it is the same.

        Raises:
            TransferError: As :meth:`resolve` does.
        """
        self.forget(atsign)
        now = self.resolve(atsign, wait)
        if now == address:
            return None
        _log.debug("server.moved atsign=%s from=%s to=%s", atsign, address, now)
        return now

    def drop(self) -> None:
        """Begin anew in a forked child, where the askers of the parent don't exist."""
        self._lock = threading.Lock()
        self._entries = {}

    def _entry(self, atsign: str) -> _Entry:
        with self._lock:
            return self._entries.setdefault(atsign, _Entry())

    def _outcome(self, atsign: str, wait: Wait) -> _Outcome:
        try:
            return self._ask(atsign, wait)
        except (AtSignNotFound, DirectoryUnavailable) as error:
            return error
        except (ConnectFailed, ConnectionLost, RequestTimeout) as error:
            unavailable = DirectoryUnavailable(
                f"the atDirectory {self.address} gives no answer: {error.message}"
            )
            unavailable.__cause__ = error
            return unavailable

    def _ask(self, atsign: str, wait: Wait) -> Address:
        deadline = wait.deadline.capped(self._timeout)
        stream = connect(self.address, self.context, wait=wait, timeout=deadline.remaining())
        try:
            with interruptible(stream, wait):
                # Sent without waiting for the prompt, which saves a round trip.
                stream.write(f"{atsign[1:]}\n".encode(), deadline)
                answer = _read_answer(stream, deadline)
        finally:
            stream.close()
        if answer == "null":
            raise AtSignNotFound(f"the atDirectory {self.address} doesn't know {atsign}")
        try:
            return parse_address(answer, default_port=None)
        except ValueError as error:
            raise DirectoryUnavailable(
                f"{self.address} doesn't answer as an atDirectory does"
            ) from error


def _read_answer(stream: Stream, deadline: Deadline) -> str:
    """Return the line between the two prompts; whatever came, if there is none."""
    received = b""
    while not received.endswith(b"\n@") and len(received) < _MAX_ANSWER:
        data = stream.read(_MAX_ANSWER, deadline)
        if not data:
            raise ConnectionLost("it ended the connection")
        received += data
    text = received.decode("utf-8", "replace")
    return text[1:-1].rstrip("\r\n") if text.startswith("@") and text.endswith("\n@") else text


class _Entry:
    """What is known of one atSign."""

    def __init__(self) -> None:
        self.asking = threading.Lock()  # held by whoever asks; guards what learn() writes
        self.times_asked = 0
        self.is_fresh = False
        self._address: Optional[Address] = None
        self._failure: Union[AtSignNotFound, DirectoryUnavailable, None] = None

    def learn(self, outcome: _Outcome) -> None:
        """Keep the outcome of a look-up."""
        self.times_asked += 1
        if isinstance(outcome, Address):
            self._address, self._failure, self.is_fresh = outcome, None, True
        else:
            self._failure = outcome
            if isinstance(outcome, AtSignNotFound):
                self._address = None

    def told(self) -> Address:
        """Return the address, or raise why there is none."""
        address = self._address
        if address is not None:
            return address
        assert self._failure is not None  # noqa: S101  # one of them is there after learn()
        # Each of those who share a failure gets one of its own: errors take on their context.
        failure = type(self._failure)(self._failure.message)
        raise failure from self._failure.__cause__
