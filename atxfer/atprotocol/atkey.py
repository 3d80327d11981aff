"""Names: atSigns, and the keys under which an atServer holds its records.

A whole key reads, from its left end to its right::

    [cached:] [public: | private: | privatekey: | @bob:] name [.namespace] @alice

Rules (facts §5; the sets of characters are those of the platform's libraries, at_commons 5.0.1):

1. Keys fold to lower case. A name has no space, no ``:`` and no ``@`` in it.
2. A whole key has at most 248 characters; the recipient's server puts ``cached:`` in front of its
   copy, which then has up to 255.
3. The namespace is what follows the name's last dot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

__all__ = ["MAX_KEY_LENGTH", "AtKey", "normalise_atsign"]

# The server counts UTF-16 units, as Dart's strings do (facts §5: 248 is accepted, 254 is not).
MAX_KEY_LENGTH = 248

# Pictographs, as the server's libraries allow them in atSigns and names: whole blocks of code
# points, here without the white space in them, which no rule of the grammar takes.
_PICTOGRAPHS = (
    "\u00a9\u00ae\u200b-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u2fff\u3001-\u3300\ufe00-\ufe0f"
    "\U0001f000-\U0001f7ff\U0001f800-\U0001fbff"
)
_ATSIGN = re.compile(f"@[a-z0-9_\\-{_PICTOGRAPHS}]{{1,55}}")
_ENTITY = re.compile(f"[a-z0-9_.\\-'*\"{_PICTOGRAPHS}]+")
_WHOLE = re.compile(
    r"(?P<cached>cached:)?"
    r"(?:(?P<scope>public|private|privatekey):|(?P<recipient>@[^:@]+):)?"
    r"(?P<entity>[^:@]+)(?P<owner>@[^:@]+)?"
)


def normalise_atsign(text: str) -> str:
    """Return an atSign in its one form: lower case, with its ``@``.

    Raises:
        ValueError: This can't be an atSign.
    """
    atsign = text.strip().lower()
    if not atsign.startswith("@"):
        atsign = f"@{atsign}"
    if _ATSIGN.fullmatch(atsign) is None:
        raise ValueError(
            f"{text!r} is no atSign: write @ and up to 55 letters, digits, '_', '-' or emojis"
        )
    return atsign


@dataclass(frozen=True)
class AtKey:
    """The whole key of a record. Make one with a constructor of its kind, or :meth:`parse`.

    Attributes:
        entity: Name and namespace, as they stand in the key.
        owner: The atSign whose record it is; empty for keys of the server itself.
        recipient: The atSign it is shared with, or None.
        scope: ``public``, ``private``, ``privatekey``, or empty for self and shared keys.
        is_cached: Whether it is the copy on another atSign's server.
    """

    entity: str
    owner: str
    recipient: Optional[str] = None
    scope: str = ""
    is_cached: bool = False

    def __post_init__(self) -> None:
        if _ENTITY.fullmatch(self.entity) is None:
            raise ValueError(
                f"{self.entity!r} can't be in a key: use lower-case letters, digits, '.', '_', '-'"
            )
        for atsign in (self.owner, self.recipient):
            if atsign and atsign != normalise_atsign(atsign):
                raise ValueError(f"{atsign!r} is no normalised atSign: call normalise_atsign first")
        if not self.owner and self.scope != "privatekey":
            raise ValueError(f"the key {self.entity!r} names no owner: add @ and the atSign")
        if self.recipient and self.scope:
            raise ValueError(f"a key can't be both {self.scope} and shared with {self.recipient}")

    @classmethod
    def public(
        cls, name: str, owner: str, namespace: str = "atxfer", *, hidden: bool = False
    ) -> AtKey:
        """Return the key of a record that anybody may read.

        Args:
            name: The name, without its namespace.
            owner: The atSign whose record it is.
            namespace: The application's part; empty for the platform's own keys.
            hidden: Put one underscore in front: in no scan, and no commit entry (facts §5).

        Raises:
            ValueError: The server would refuse it; the same for the other constructors.
        """
        entity = _entity(f"_{name}" if hidden else name, namespace)
        return _within_limits(cls(entity, normalise_atsign(owner), scope="public"))

    @classmethod
    def self_(cls, name: str, owner: str, namespace: str = "atxfer") -> AtKey:
        """Return the key of a record that its owner alone may read."""
        return _within_limits(cls(_entity(name, namespace), normalise_atsign(owner)))

    @classmethod
    def shared(cls, name: str, owner: str, recipient: str, namespace: str = "atxfer") -> AtKey:
        """Return the key of a record for one other atSign."""
        entity = _entity(name, namespace)
        return _within_limits(cls(entity, normalise_atsign(owner), normalise_atsign(recipient)))

    @classmethod
    def parse(cls, text: str) -> AtKey:
        """Read a whole key, as a scan lists it. Its length is not judged: it exists somewhere.

        Raises:
            ValueError: This is no key.
        """
        match = _WHOLE.fullmatch(text.lower())
        if match is None:
            raise ValueError(f"{text!r} is no key: write [public:|@recipient:]name.namespace@owner")
        return cls(
            match["entity"],
            match["owner"] or "",
            match["recipient"],
            match["scope"] or "",
            match["cached"] is not None,
        )

    @property
    def name(self) -> str:
        """The name without its namespace."""
        return self.entity[: -len(self.namespace) - 1] if self.namespace else self.entity

    @property
    def namespace(self) -> str:
        """What follows the last dot of the name; empty if nothing does."""
        name, _, namespace = self.entity.rpartition(".")
        return namespace if name else ""

    @property
    def is_public(self) -> bool:
        """Whether anybody may read it."""
        return self.scope == "public"

    @property
    def length(self) -> int:
        """Its length as the server counts it, without the prefix of a cached copy."""
        text = str(self)[len("cached:") :] if self.is_cached else str(self)
        return len(text.encode("utf-16-le")) // 2

    @property
    def is_too_long(self) -> bool:
        """Whether the server would refuse a record under this key."""
        return self.length > MAX_KEY_LENGTH

    def __str__(self) -> str:
        cached = "cached:" if self.is_cached else ""
        prefix = self.scope or self.recipient
        return f"{cached}{prefix}:{self.entity}{self.owner}" if prefix else f"{cached}{self.plain}"

    @property
    def plain(self) -> str:
        """The form that ``lookup`` and ``plookup`` take: without ``public:`` and recipient."""
        return f"{self.entity}{self.owner}"


def _entity(name: str, namespace: str) -> str:
    return f"{name}.{namespace}".lower() if namespace else name.lower()


def _within_limits(key: AtKey) -> AtKey:
    if key.is_too_long:
        raise ValueError(
            f"the key {str(key)[:40]}... has {key.length} characters, {MAX_KEY_LENGTH} are allowed:"
            " shorten its name"
        )
    if len(key.entity) < 2:
        # update takes a name of one letter, but no look-up finds it (at_commons, syntax.dart).
        raise ValueError(f"the name {key.entity!r} is too short: look-ups need two characters")
    return key
