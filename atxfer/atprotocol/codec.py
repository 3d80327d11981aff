"""One connection to an atServer as a value: bytes in, events out. No socket, no clock, no thread.

Both roles have the same three calls: ``send`` (or ``answer``) makes bytes, ``receive_data`` takes
them, ``next_event`` says what they were.

How an answer ends (client; facts §2, transcript):

1. The server writes the prompt ``@`` first, and a prompt behind every answer: ``@`` before login,
   ``@alice@`` after it, from the answer to the login on.
2. ``data:`` is one line. It ends at its line break, and the prompt must follow.
3. ``error:`` may hold line breaks. It ends where the bytes end with a line break and the prompt: a
   client that never sends a second line before the first is answered has nothing behind it.
4. ``notification:`` is one line without a prompt, on a connection that asked for them.
5. A prompt may come later than its answer. Just before the server closes, there is none.

Whatever fits none of these raises :class:`~atxfer.atprotocol.errors.RemoteProtocolError`, then and
at every later call: nothing on such a connection can be believed.
"""

from __future__ import annotations

import enum
import json
import re
from collections import deque
from typing import Optional, Union

from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.atprotocol.errors import LocalProtocolError, RemoteProtocolError
from atxfer.atprotocol.events import (
    NEED_DATA,
    Answer,
    Closed,
    Command,
    Event,
    Failure,
    NeedData,
    Notification,
    Oversized,
)
from atxfer.atprotocol.verb import Verb
from atxfer.errors import RequestTooLarge

__all__ = ["MAX_ANSWER", "MAX_LINE", "Connection", "Role"]

# The server's line buffer, with the line break (facts §2).
MAX_LINE = 10_240_000

# Six of the largest value that a server can hold (MAX_LINE), or a scan of a quarter of a million of
# the longest keys: what is larger answers none of our requests.
MAX_ANSWER = 64 << 20

# What Dart's trim takes off; Python's strip takes four control characters more, and no U+FEFF.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)

_DATA, _ERROR, _NOTIFICATION = b"data:", b"error:", b"notification:"
_CODED = re.compile(r"(?P<code>AT[0-9]{4})[-:]?\s?(?P<message>.*)", re.DOTALL)


class Role(enum.Enum):
    """Which side of the connection we are."""

    CLIENT = "client"
    SERVER = "server"


class Connection:
    """The state of one connection.

    Args:
        role: Which side we are.
        atsign: Whose server it is: its name is in the prompt after login.
        max_answer: Bytes of the largest answer that is read (client).

    Threads: not for sharing; a value has no lock.
    """

    def __init__(self, role: Role, *, atsign: str, max_answer: int = MAX_ANSWER) -> None:
        self.role = role
        self.logged_in = False
        """Whether the login was answered with success; the server role sets it itself."""
        self._login_prompt = f"{normalise_atsign(atsign)}@".encode()
        self._max_answer = max_answer
        self._buffer = bytearray()
        self._searched = 0  # bytes at the buffer's front that hold no line break
        self._events: deque[Event] = deque()  # server role: one per packet
        self._outstanding: Optional[Verb] = None
        self._greeted = role is Role.SERVER
        self._monitoring = False
        self._is_oversized = False  # server role: the line passed the buffer
        self._at_end = False
        self._fault: Optional[str] = None  # what ended all belief in this connection

    @property
    def prompt(self) -> bytes:
        """What follows an answer now; a server greets with it."""
        return self._login_prompt if self.logged_in else b"@"

    @property
    def is_awaiting_answer(self) -> bool:
        """Whether a request is still without its answer."""
        return self._outstanding is not None

    # --- client role

    def send(self, verb: Verb) -> bytes:
        """Return the bytes of a request. The server's first prompt need not have come.

        Raises:
            LocalProtocolError: An answer is outstanding, or the connection is over.
            RequestTooLarge: The line would not fit into the server's buffer.
            ValueError: The verb refuses to be sent.
        """
        if self.role is not Role.CLIENT:
            raise LocalProtocolError("only a client sends requests")
        if self._at_end or self._fault is not None:
            raise LocalProtocolError("the connection is over")
        if self._outstanding is not None:
            # Lines sent before an answer are sometimes never answered (facts §2).
            raise LocalProtocolError("the answer to the last request has not come yet")
        line = verb.encode().encode("utf-8") + b"\n"
        if len(line) > MAX_LINE:
            raise RequestTooLarge(
                f"the request has {len(line)} bytes, an atServer takes {MAX_LINE}"
            )
        self._outstanding = None if verb.pushes else verb
        self._monitoring = self._monitoring or verb.pushes
        return line

    # --- server role

    def greeting(self) -> bytes:
        """Return what a server writes first: its prompt."""
        if self.role is not Role.SERVER:
            raise LocalProtocolError("only a server greets")
        return self.prompt

    def answer(self, text: str, *, prompt: bool = True) -> bytes:
        """Return the bytes of an answer.

        Args:
            text: The line, ``data:...`` or ``error:...``, or a notification.
            prompt: Whether the prompt follows; not before closing, and not after a notification.
        """
        if self.role is not Role.SERVER:
            raise LocalProtocolError("only a server answers")
        return text.encode("utf-8") + b"\n" + (self.prompt if prompt else b"")

    # --- both

    def receive_data(self, data: bytes) -> None:
        """Take what was read; empty bytes mean that the other side closed.

        A server gives the bytes of one read at a time: a command ends where a packet ends with a
        line break, so that two lines in one packet are one command, as in the original (facts §2).
        """
        if not data:
            self._at_end = True
        elif self.role is Role.CLIENT:
            self._buffer += data
        elif not self._is_oversized:
            self._receive_command(data)

    def next_event(self) -> Union[Event, NeedData]:
        """Return what the bytes say next, or NEED_DATA.

        Client: :class:`Answer`, :class:`Failure`, :class:`Notification`, :class:`Closed`.
        Server: :class:`Command`, :class:`Oversized`, :class:`Closed`.

        Raises:
            RemoteProtocolError: What came is no answer; it is raised again at every later call.
        """
        if self._fault is not None:
            raise RemoteProtocolError(self._fault)
        if self.role is Role.SERVER:
            if self._events:
                return self._events.popleft()
            return Closed() if self._at_end else NEED_DATA
        try:
            event = self._maybe_answer()
        except RemoteProtocolError as error:
            self._fault = error.message
            self._buffer.clear()
            raise
        if event is not None:
            return event
        return Closed() if self._at_end else NEED_DATA

    # --- reading commands

    def _receive_command(self, data: bytes) -> None:
        if len(self._buffer) + len(data) > MAX_LINE:
            self._buffer.clear()
            self._is_oversized = True
            self._events.append(Oversized())
            return
        self._buffer += data
        if not data.endswith(b"\n"):
            return
        line = bytes(self._buffer)
        self._buffer.clear()
        try:
            self._events.append(Command(line.decode("utf-8").strip(_WHITE_SPACE)))
        except UnicodeDecodeError:
            # The original drops such a line without an answer (inbound_message_listener.dart).
            return

    # --- reading answers

    def _maybe_answer(self) -> Union[Answer, Failure, Notification, None]:
        if not self._greeted and self._buffer.startswith(b"@"):
            self._greeted = True
            self._drop(1)
        if not self._buffer:
            return None
        self._check_opening()
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            self._check_size(self._searched)
            return None
        self._searched = end
        self._check_size(end)
        if self._buffer.startswith(_NOTIFICATION):
            return Notification(self._take(len(_NOTIFICATION), end, b"").strip())
        if self._buffer.startswith(_DATA):
            return self._maybe_data(end)
        return self._maybe_failure()

    def _maybe_data(self, end: int) -> Optional[Answer]:
        """Return the answer once its prompt is there, or None."""
        succeeded = self._outstanding is not None and self._outstanding.logs_in
        succeeded = succeeded and self._buffer[:end] == b"data:success"
        prompt = self._login_prompt if succeeded else self.prompt
        behind = bytes(self._buffer[end + 1 : end + 1 + len(prompt)])
        if behind != prompt:
            if not prompt.startswith(behind):
                raise RemoteProtocolError("the server's answer is not followed by its prompt")
            return None
        text = self._take(len(_DATA), end, prompt)
        self._outstanding = None
        self.logged_in = self.logged_in or succeeded
        return Answer(text)

    def _maybe_failure(self) -> Optional[Failure]:
        """Return the failure once its prompt, or the end of all, is there; or None."""
        prompt = self.prompt
        if self._buffer.endswith(b"\n" + prompt):
            if self._outstanding is None and not self._monitoring:
                raise RemoteProtocolError("the server's answer is out of turn")
        elif self._at_end and self._buffer.endswith(b"\n"):
            prompt = b""  # it closes, and says why: nothing need have been asked
        else:
            self._check_size(len(self._buffer))
            return None
        if self._outstanding is None:
            self._monitoring = False  # the request to monitor is what was refused
        text = self._take(len(_ERROR), len(self._buffer) - len(prompt) - 1, prompt)
        self._outstanding = None
        return _failure(text)

    def _check_opening(self) -> None:
        """Refuse as soon as it can be told what can't become an answer."""
        allowed = [_ERROR]
        if self._greeted and self._outstanding is not None:
            allowed.append(_DATA)
        if self._greeted and self._monitoring:
            allowed.append(_NOTIFICATION)
        opening = bytes(self._buffer[: len(_NOTIFICATION)])
        if not any(opening.startswith(text) or text.startswith(opening) for text in allowed):
            known = opening.startswith((_DATA, _NOTIFICATION))
            what = "out of turn" if known else "of no known form"
            raise RemoteProtocolError(f"the server's answer is {what}")

    def _check_size(self, size: int) -> None:
        if size > self._max_answer:
            raise RemoteProtocolError(f"the server's answer has more than {self._max_answer} bytes")

    def _take(self, start: int, end: int, prompt: bytes) -> str:
        """Remove an answer, its line break and its prompt, and return its text."""
        raw = self._buffer[start:end]
        self._drop(end + 1 + len(prompt))
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            # Without its cause, whose repr holds all that was read.
            raise RemoteProtocolError("the server's answer is no UTF-8") from None

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._searched = 0


def _failure(text: str) -> Failure:
    """Read what follows ``error:``, in any of its three forms (facts §3)."""
    match = _CODED.fullmatch(text)
    if match is not None:
        return Failure(match["code"], match["message"])
    try:
        body = json.loads(text)
        return Failure(str(body["errorCode"]), str(body["errorDescription"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return Failure("", text)
