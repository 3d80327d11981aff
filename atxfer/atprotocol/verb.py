"""What all verbs have in common: the face of a verb, the grammar's pieces, and checks of texts.

The grammar of each verb is the server's (at_commons 5.0.1, as atServer 3.0.52 uses it), with its
leniency: keys and words match in any case, and a line break is never part of a value.
"""

from __future__ import annotations

import enum
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Optional

from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.atprotocol.errors import InvalidSyntax
from atxfer.atprotocol.metadata import WIRE_NAMES, Metadata

__all__ = [
    "AUDIENCE",
    "METADATA",
    "OWNER",
    "PART",
    "TEXT",
    "Found",
    "Mode",
    "Verb",
    "check_line",
    "check_part",
    "check_text",
    "compose_key",
    "grammar",
    "read_atsign",
    "read_metadata",
]

Found = Mapping[str, Optional[str]]
"""The named parts of a line, as its grammar found them."""

# --- pieces of grammar

PART = r"[^:@\s\ufeff]"  # a character of a name
TEXT = r"[^\n\r\u2028\u2029]"  # a character of a value: Dart's dot leaves these four out
OWNER = rf"@(?P<owner>{PART}+)"
AUDIENCE = rf"(?::(?:(?P<public>public)|@(?P<recipient>{PART}+)))?"

_NUMBER, _FLAG = "-?[0-9]+", "true|false"
_VALUES = {
    "ttl": _NUMBER,
    "ttb": _NUMBER,
    "ttr": _NUMBER,
    "ccd": _FLAG,
    "isBinary": _FLAG,
    "isEncrypted": _FLAG,
}
METADATA = "".join(
    f"(?::{wire}:(?P<{wire}>{_VALUES.get(wire, f'{PART}+')}))?" for wire in WIRE_NAMES.values()
)


def grammar(pattern: str) -> re.Pattern[str]:
    """Compile the form of a whole line; the server compares in any case."""
    return re.compile(pattern, re.IGNORECASE)


# --- verbs


class Mode(enum.Enum):
    """What a look-up returns."""

    VALUE = "value"
    META = "meta"
    ALL = "all"

    @property
    def option(self) -> str:
        """Its text in a command."""
        return "" if self is Mode.VALUE else f"{self.value}:"

    @classmethod
    def read(cls, text: Optional[str]) -> Mode:
        """Read the option, if a command has one."""
        return cls(text.lower()) if text else cls.VALUE


class Verb(ABC):
    """One request to an atServer: a value that becomes a line, and is read from one.

    Construction refuses with ValueError what the server would refuse.
    """

    requires_login: ClassVar[bool] = True
    """Whether the server refuses it before login with AT0401."""
    logs_in: ClassVar[bool] = False
    """Whether the connection is logged in once it is answered with success."""
    pushes: ClassVar[bool] = False
    """Whether it has no answer, but notifications from now on."""
    closes: ClassVar[bool] = False
    """Whether the server closes the connection in answer to it."""
    usage: ClassVar[str] = ""
    """The server's words about it in a syntax error."""
    form: ClassVar[re.Pattern[str]]
    """The form of its whole line."""
    _plain_form: ClassVar[re.Pattern[str]]
    """The same for lines without the three breaks that Python's dot takes and Dart's doesn't."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "form" in cls.__dict__:
            # Ten times as quick as the set of characters, on the 40 KB of a chunk [measured].
            cls._plain_form = re.compile(cls.form.pattern.replace(TEXT, "."), cls.form.flags)

    @abstractmethod
    def encode(self) -> str:
        """Return the line, without its line break."""

    @classmethod
    def from_line(cls, line: str) -> Verb:
        """Read a line that opens with this verb (server role).

        Raises:
            AtError: What the server would answer.
        """
        form = cls.form if _has_any("\r\u2028\u2029", line) else cls._plain_form
        match = form.fullmatch(line)
        words = f"Invalid syntax. {cls.usage}"
        if match is None:
            raise InvalidSyntax(words)
        try:
            return cls.build(match.groupdict())
        except ValueError as error:
            # The original would take it or leave it; we can't make a value of it.
            raise InvalidSyntax(words) from error

    @classmethod
    @abstractmethod
    def build(cls, found: Found) -> Verb:
        """Make the verb from the parts of its line (server role)."""


# --- texts


def check_line(what: str, text: str) -> str:
    """Return a text that may stand in a line.

    Raises:
        ValueError: The server would refuse it.
    """
    if not text:
        raise ValueError(f"{what} is empty: the server takes no empty text")
    if _has_any("\n\r\u2028\u2029", text):
        raise ValueError(f"{what} holds a line break: encode it first, in base64 for instance")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # Without its cause, whose repr holds the whole text.
        raise ValueError(f"{what} is no valid Unicode text: encode it first") from None
    return text


def check_text(what: str, text: str) -> str:
    """Return a text that may end a line.

    Raises:
        ValueError: The server would refuse it, or lose a part of it.
    """
    check_line(what, text)
    if text[-1].isspace() or text[-1] == "\ufeff":
        raise ValueError(f"{what} ends with white space, which the server loses: encode it first")
    return text


def check_part(what: str, text: str) -> str:
    """Return a text that may stand between two colons.

    Raises:
        ValueError: It would end its field early.
    """
    if _PART.fullmatch(text) is None:
        raise ValueError(f"{what} must be text without spaces, ':' and '@'")
    return text


def _has_any(breaks: str, text: str) -> bool:
    """Return whether a text holds one of these line breaks."""
    plain = text.isascii()  # then there is no need to look for most of them
    return any(character in text for character in breaks if character.isascii() or not plain)


_PART = re.compile(f"{PART}+")


# --- what several verbs read


def compose_key(found: Found) -> str:
    """Return the whole key that a line names, in its one form."""
    cached = "cached:" if found.get("cached") else ""
    audience = "public:" if found.get("public") else ""
    if found.get("recipient"):
        audience = f"@{found['recipient']}:"
    owner = f"@{found['owner']}" if found.get("owner") else ""
    return f"{cached}{audience}{found['entity']}{owner}".lower()


def read_metadata(found: Found) -> Metadata:
    """Read the metadata that a line names.

    Raises:
        InvalidSyntax: A number is out of its range, in the server's words.
    """
    for name in ("ttl", "ttb"):
        if (found[name] or "").startswith("-"):
            words = f"Valid value for {name.upper()} should be greater than or equal to 0"
            raise InvalidSyntax(words)
    try:
        return Metadata.from_wire(found)
    except ValueError as error:
        words = "Valid values for TTR are -1 and greater than or equal to 1"
        raise InvalidSyntax(words) from error


def read_atsign(text: str) -> str:
    """Read an atSign that a line names, with or without its ``@``.

    Raises:
        InvalidSyntax: It is none.
    """
    try:
        return normalise_atsign(text)
    except ValueError as error:
        raise InvalidSyntax("invalid atSign") from error
