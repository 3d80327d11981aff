"""Verbs that store, read, list and remove records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Optional

from atxfer.atprotocol.atkey import MAX_KEY_LENGTH, AtKey, normalise_atsign
from atxfer.atprotocol.errors import InvalidKey, KeyNotFound
from atxfer.atprotocol.metadata import NO_METADATA, Metadata
from atxfer.atprotocol.verb import (
    AUDIENCE,
    METADATA,
    OWNER,
    PART,
    TEXT,
    Found,
    Mode,
    Verb,
    check_line,
    check_text,
    compose_key,
    grammar,
    read_atsign,
    read_metadata,
)

__all__ = ["Delete", "Llookup", "Lookup", "Plookup", "Scan", "Update", "UpdateMeta"]

# The one record of the server's own that an owner may write (at_commons, syntax.dart).
_PKAM_PUBLIC_KEY = "privatekey:at_pkam_publickey"


@dataclass(frozen=True)
class Update(Verb):
    """Store a record under one's own key.

    Args:
        key: A public, self or shared key.
        value: One line of text; base64 for bytes.
        metadata: What it doesn't name is kept from an older record, or falls to false.

    Raises:
        ValueError: The server would refuse it.
    """

    key: AtKey
    value: str = field(repr=False)
    metadata: Metadata = NO_METADATA

    usage: ClassVar[str] = "e.g. update:@alice:location@bob San Francisco"
    form = grammar(
        rf"update{METADATA}{AUDIENCE}:(?P<entity>{_PKAM_PUBLIC_KEY}|{PART}+)(?:{OWNER})?"
        rf" (?P<value>{TEXT}+)"
    )

    def __post_init__(self) -> None:
        _check_updatable(self.key)
        check_line("the value", self.value)
        if self._line_start().startswith("update:meta"):
            raise ValueError(
                f"the server takes an update of {self.key} without metadata for update:meta:"
                " name a ttl"
            )

    def _line_start(self) -> str:
        return f"update:{self.metadata.encode()}{self.key}"

    def encode(self) -> str:
        """Return the line.

        Raises:
            ValueError: The server would take the value, but lose white space at its end, or answer
                it as it answers an expired record: the text ``null`` (facts §5).
        """
        check_text("the value", self.value)
        if self.value == "null":
            raise ValueError("a value 'null' can't be told from an expired record: encode it first")
        return f"{self._line_start()} {self.value}"

    @classmethod
    def build(cls, found: Found) -> Update:
        """Make the verb from the parts of its line."""
        metadata = read_metadata(found)
        return cls(_read_updatable(found), found["value"] or "", metadata)


@dataclass(frozen=True)
class UpdateMeta(Verb):
    """Change the metadata of a record, not its value. A time to live counts from now.

    The server answers success even where there is no record: it makes one that has no value, and
    lets one that has expired but is not swept yet live again (measured on 3.0.52).

    Args:
        key: The record's key.
        metadata: ``isBinary`` and ``isEncrypted`` fall to false where it doesn't name them; the
            rest is kept.

    Raises:
        ValueError: The server would refuse it.
    """

    key: AtKey
    metadata: Metadata

    usage: ClassVar[str] = "update:meta:ttl:20000:ttb:20000:ttr:20000"
    form = grammar(rf"update:meta{AUDIENCE}:(?P<entity>[^:@](?:(?!::)[^:@])+){OWNER}{METADATA}")

    def __post_init__(self) -> None:
        _check_updatable(self.key)

    def encode(self) -> str:
        """Return the line."""
        return f"update:meta:{self.key}:{self.metadata.encode()}"[:-1]

    @classmethod
    def build(cls, found: Found) -> UpdateMeta:
        """Make the verb from the parts of its line."""
        metadata = read_metadata(found)
        return cls(_read_updatable(found), metadata)


@dataclass(frozen=True)
class Llookup(Verb):
    """Read a record of one's own server, whole key given.

    Args:
        key: The record's key; a cached one too.
        mode: The value, its metadata, or both as JSON.
    """

    key: AtKey
    mode: Mode = Mode.VALUE

    usage: ClassVar[str] = "e.g llookup:location@bob"
    form = grammar(
        rf"llookup(?::(?P<mode>meta|all))?(?P<cached>:cached)?{AUDIENCE}"
        rf":(?P<entity>[^:](?:(?!::)[^@])+){OWNER}"
    )

    def encode(self) -> str:
        """Return the line."""
        return f"llookup:{self.mode.option}{self.key}"

    @classmethod
    def build(cls, found: Found) -> Llookup:
        """Make the verb from the parts of its line."""
        return cls(_read_key(compose_key(found)), Mode.read(found["mode"]))


@dataclass(frozen=True)
class Lookup(Verb):
    """Read a record by its name: public without login; one shared with us, or our own, with it.

    Args:
        key: Its ``public:`` or recipient is left out of the command.
        mode: The value, its metadata, or both as JSON.
        bypass_cache: Ask the owner's server even if the own one has a copy.
    """

    key: AtKey
    mode: Mode = Mode.VALUE
    bypass_cache: bool = False

    requires_login = False
    usage: ClassVar[str] = "e.g lookup:location@bob"
    form = grammar(
        r"lookup:(?:bypassCache:(?P<bypass>true|false):)?(?:(?P<mode>meta|all):)?"
        rf"(?P<entity>[^:]{TEXT}+){OWNER}"
    )
    word: ClassVar[str] = "lookup"

    def encode(self) -> str:
        """Return the line."""
        bypass = "bypassCache:true:" if self.bypass_cache else ""
        return f"{self.word}:{bypass}{self.mode.option}{self.key.plain}"

    @classmethod
    def build(cls, found: Found) -> Lookup:
        """Make the verb from the parts of its line."""
        entity = found["entity"] or ""
        text = compose_key(found)
        if ":" in entity or "@" in entity:
            raise KeyNotFound(f"{text} does not exist in keystore")
        bypass = (found["bypass"] or "").lower() == "true"
        return cls(_read_key(text), Mode.read(found["mode"]), bypass)


@dataclass(frozen=True)
class Plookup(Lookup):
    """Read a public record of any atSign through one's own server, which keeps a copy of it."""

    requires_login = True
    usage: ClassVar[str] = "e.g plookup:location@bob"
    form = grammar(
        r"plookup:(?:bypassCache:(?P<bypass>true|false):)?(?:(?P<mode>meta|all):)?"
        rf"(?P<entity>[^@\s]+){OWNER}"
    )
    word: ClassVar[str] = "plookup"


@dataclass(frozen=True)
class Delete(Verb):
    """Remove a record; one that is not there doesn't matter."""

    key: AtKey

    usage: ClassVar[str] = "syntax delete:@<atkey> \n e.g delete:phone@alice"
    form = grammar(
        rf"delete(?::priority:(?:low|medium|high))?(?P<cached>:cached)?{AUDIENCE}"
        rf":(?P<entity>privatekey:at_secret|{PART}+)(?:{OWNER})?"
    )

    def encode(self) -> str:
        """Return the line."""
        return f"delete:{self.key}"

    @classmethod
    def build(cls, found: Found) -> Delete:
        """Make the verb from the parts of its line."""
        text = compose_key(found)
        try:
            return cls(AtKey.parse(text))
        except ValueError as error:
            raise InvalidKey(f"{text} is not a valid key") from error


@dataclass(frozen=True)
class Scan(Verb):
    """List keys, as JSON.

    Args:
        regex: A regular expression that keys must match somewhere; no white space.
        atsign: List what this atSign shares with us, by asking its server.
        show_hidden: List keys that begin with two underscores too.

    Raises:
        ValueError: The server would refuse it.
    """

    regex: Optional[str] = None
    atsign: Optional[str] = None
    show_hidden: bool = False

    requires_login = False
    usage: ClassVar[str] = "scan"
    form = grammar(
        rf"scan(?::showhidden:(?P<hidden>true|false))?(?::(?P<atsign>@{PART}+))?(?::page:[0-9]+)?"
        r"(?: (?P<regex>[^\s\ufeff]+))?"
    )

    def __post_init__(self) -> None:
        if self.regex is not None and (not self.regex or any(c.isspace() for c in self.regex)):
            raise ValueError("the expression of a scan must have no white space: write . for it")
        if self.atsign is not None and self.atsign != normalise_atsign(self.atsign):
            raise ValueError(f"{self.atsign!r} is no normalised atSign")

    def encode(self) -> str:
        """Return the line."""
        line = "scan"
        if self.show_hidden:
            line += ":showhidden:true"
        elif (
            self.regex
            and not self.atsign
            and (":" in self.regex or self.regex.lower() != self.regex)
        ):
            # The server folds all in front of a line's first colon, or the whole line if it has
            # none: an option in front keeps the expression as it is.
            line += ":showhidden:false"
        if self.atsign:
            line += f":{self.atsign}"
        return f"{line} {self.regex}" if self.regex else line

    @classmethod
    def build(cls, found: Found) -> Scan:
        """Make the verb from the parts of its line."""
        atsign = read_atsign(found["atsign"]) if found["atsign"] else None
        return cls(found["regex"], atsign, (found["hidden"] or "").lower() == "true")


def _check_updatable(key: AtKey) -> None:
    if key.is_too_long:
        raise ValueError(
            f"the key has {key.length} characters, {MAX_KEY_LENGTH} are allowed: shorten its name"
        )
    if key.is_cached or (key.scope in ("private", "privatekey") and str(key) != _PKAM_PUBLIC_KEY):
        raise ValueError(f"the server lets nobody update {key}: use a public, self or shared key")


def _read_updatable(found: Found) -> AtKey:
    """Read the key of an update, or answer as the server does (transcript)."""
    try:
        key = AtKey.parse(compose_key(found))
    except ValueError as error:
        raise InvalidKey("You may not update keys of type KeyType.invalidKey") from error
    if key.is_too_long:
        raise InvalidKey(
            f"key length {key.length} is greater than max allowed {MAX_KEY_LENGTH} chars"
        )
    return key


def _read_key(text: str) -> AtKey:
    """Read a key to be looked up. One that can't be stored is not found."""
    try:
        return AtKey.parse(text)
    except ValueError as error:
        raise KeyNotFound(f"{text} does not exist in keystore") from error
