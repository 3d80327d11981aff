"""Verbs that push, list and watch notifications (facts §8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Optional

from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.atprotocol.metadata import NO_METADATA, Metadata
from atxfer.atprotocol.verb import (
    METADATA,
    OWNER,
    PART,
    TEXT,
    Found,
    Verb,
    check_part,
    check_text,
    grammar,
    read_atsign,
    read_metadata,
)

__all__ = [
    "Monitor",
    "Notify",
    "NotifyAll",
    "NotifyList",
    "NotifyRemove",
    "NotifyStatus",
]

_ID = r"[a-z0-9_-]+"
_DATE = r"[0-9]{4}-[01]?[0-9]?-[0-3]?[0-9]?"


@dataclass(frozen=True)
class Notify(Verb):
    """Send a notification to another atSign.

    Args:
        recipient: The atSign; None for a public key.
        subject: The name and name space of a key; with message type ``text``, the text itself.
        owner: The key's owner, if it is a key.
        value: What the notification carries.
        operation: ``update`` or ``delete``; None is an update.
        metadata: How the value is encrypted, and what becomes of the recipient's copy.
        ttln_ms: Milliseconds the notification lives; the server's default is 15 minutes.
        message_type: ``key`` or ``text``.
        priority: ``low``, ``medium`` or ``high``.
        strategy: ``all`` or ``latest``.
        latest_n: With ``latest``, how many to keep.
        notifier: The application.
        id: A name for the notification, instead of the server's.

    Raises:
        ValueError: The server would refuse it.
    """

    recipient: Optional[str]
    subject: str = field(repr=False)
    owner: Optional[str] = None
    value: Optional[str] = field(default=None, repr=False)
    operation: Optional[str] = None
    metadata: Metadata = NO_METADATA
    ttln_ms: Optional[int] = None
    message_type: Optional[str] = None
    priority: Optional[str] = None
    strategy: Optional[str] = None
    latest_n: Optional[int] = None
    notifier: Optional[str] = None
    id: Optional[str] = None

    requires_login = False  # the server refuses it after the syntax, not before (transcript)
    usage: ClassVar[str] = "e.g notify:@colin:key@kevin"
    form = grammar(
        rf"notify(?::id:(?P<id>{_ID}))?(?::(?P<operation>update|delete))?"
        r"(?::messageType:(?P<type>key|text))?(?::priority:(?P<priority>low|medium|high))?"
        r"(?::strategy:(?P<strategy>all|latest))?(?::latestN:(?P<latest>[0-9]+))?"
        rf"(?::notifier:(?P<notifier>[^\s:]+))?(?::ttln:(?P<ttln>[0-9]+))?{METADATA}"
        rf":(?:(?P<public>public)|@(?P<recipient>{PART}+))"
        rf":(?P<subject>[^:@](?:(?!::)[^@])+)(?:{OWNER})?(?::(?P<value>{TEXT}+))?"
    )

    def __post_init__(self) -> None:
        for atsign in (self.recipient, self.owner):
            if atsign is not None and atsign != normalise_atsign(atsign):
                raise ValueError(f"{atsign!r} is no normalised atSign")
        check_text("the subject", self.subject)
        if self.value is not None:
            check_text("the value", self.value)
        match = self.form.fullmatch(self.encode())
        if match is None or (match["subject"], match["value"]) != (self.subject, self.value):
            # Without an owner, what follows the name's colon is a part of the name (measured).
            raise ValueError(
                "the server would read this notification otherwise: a value needs the key's owner,"
                " and names must be the protocol's"
            )

    def encode(self) -> str:
        """Return the line."""
        options = (
            ("id", self.id),
            ("", self.operation),
            ("messageType", self.message_type),
            ("priority", self.priority),
            ("strategy", self.strategy),
            ("latestN", self.latest_n),
            ("notifier", self.notifier),
            ("ttln", self.ttln_ms),
        )
        named = "".join(
            f"{name}:{value}:" if name else f"{value}:"
            for name, value in options
            if value is not None
        )
        line = f"notify:{named}{self.metadata.encode()}{self.recipient or 'public'}:{self.subject}"
        line += self.owner or ""
        return f"{line}:{self.value}" if self.value is not None else line

    @classmethod
    def build(cls, found: Found) -> Notify:
        """Make the verb from the parts of its line."""
        return cls(
            recipient=read_atsign(found["recipient"]) if found["recipient"] else None,
            subject=found["subject"] or "",
            owner=read_atsign(found["owner"]) if found["owner"] else None,
            value=found["value"],
            operation=_lower(found["operation"]),
            metadata=read_metadata(found),
            ttln_ms=_number(found["ttln"]),
            message_type=_lower(found["type"]),
            priority=_lower(found["priority"]),
            strategy=_lower(found["strategy"]),
            latest_n=_number(found["latest"]),
            notifier=found["notifier"],
            id=found["id"],
        )


@dataclass(frozen=True)
class NotifyAll(Verb):
    """Send one notification to several atSigns.

    Args:
        recipients: The atSigns.
        subject: The name and name space of a key.
        owner: The key's owner.
        value: What the notification carries.
        operation: ``update`` or ``delete``; None is an update.
        metadata: Of it, only the times and ``ccd`` go with this verb.
    """

    recipients: tuple[str, ...]
    subject: str
    owner: Optional[str] = None
    value: Optional[str] = field(default=None, repr=False)
    operation: Optional[str] = None
    metadata: Metadata = NO_METADATA

    requires_login = False
    usage: ClassVar[str] = "e.g notify:all:@alice,@bob:key1@colin"
    form = grammar(
        r"notify:all:(?:(?P<operation>update|delete):)?(?:messageType:(?:key|text):)?"
        r"(?:ttl:(?P<ttl>[0-9]+):)?(?:ttb:(?P<ttb>[0-9]+):)?(?:ttr:(?P<ttr>-?[0-9]+):)?"
        r"(?:ccd:(?P<ccd>true|false):)?(?P<recipients>[^:\s,]+(?:,[^:\s,]+)*)"
        rf":(?P<subject>{PART}+)(?:{OWNER})?(?::(?P<value>{TEXT}+))?"
    )

    def __post_init__(self) -> None:
        for atsign in (*self.recipients, *filter(None, [self.owner])):
            if atsign != normalise_atsign(atsign):
                raise ValueError(f"{atsign!r} is no normalised atSign")
        check_part("the subject", self.subject)
        if self.value is not None:
            check_text("the value", self.value)
        match = self.form.fullmatch(self.encode())
        if match is None or match["recipients"] != ",".join(self.recipients):
            raise ValueError("notify:all needs a recipient, and no metadata but times and ccd")

    def encode(self) -> str:
        """Return the line."""
        operation = f"{self.operation}:" if self.operation else ""
        recipients = ",".join(self.recipients)
        line = f"notify:all:{operation}{self.metadata.encode()}{recipients}:{self.subject}"
        line += self.owner or ""
        return f"{line}:{self.value}" if self.value is not None else line

    @classmethod
    def build(cls, found: Found) -> NotifyAll:
        """Make the verb from the parts of its line."""
        return cls(
            recipients=tuple(read_atsign(text) for text in (found["recipients"] or "").split(",")),
            subject=found["subject"] or "",
            owner=read_atsign(found["owner"]) if found["owner"] else None,
            value=found["value"],
            operation=_lower(found["operation"]),
            metadata=read_metadata(found),
        )


@dataclass(frozen=True)
class NotifyList(Verb):
    """List the notifications received.

    Args:
        regex: An expression their keys must match; no colon.
        since: The first day, ``2026-11-24``.
        until: The last day.
    """

    regex: Optional[str] = None
    since: Optional[str] = None
    until: Optional[str] = None

    requires_login = False
    usage: ClassVar[str] = "e.g notify:list [regular expression]"
    # What follows is ignored: 3.0.52 answers `notify:list s1` with all of them (transcript), and
    # `notify:list:s1` with those that match (measured).
    form = grammar(
        rf"notify:list(?::(?P<since>{_DATE}))?(?::(?P<until>{_DATE}))?(?::(?P<regex>[^:]+))?(?s:.*)"
    )

    def __post_init__(self) -> None:
        if self.regex is not None and (not self.regex.strip() or ":" in self.regex):
            raise ValueError("the expression of notify:list must be a text without colon")
        if self.until is not None and self.since is None:
            raise ValueError("notify:list takes a last day only with a first day")

    def encode(self) -> str:
        """Return the line."""
        options = (self.since, self.until, self.regex)
        return "notify:list" + "".join(f":{option}" for option in options if option is not None)

    @classmethod
    def build(cls, found: Found) -> NotifyList:
        """Make the verb from the parts of its line."""
        return cls(found["regex"], found["since"], found["until"])


@dataclass(frozen=True)
class NotifyStatus(Verb):
    """Ask what became of a notification that was sent."""

    id: str

    requires_login = False
    usage: ClassVar[str] = "e.g notify:status:<notification-id>"
    form = grammar(r"notify:status:(?P<id>\S+)")

    def __post_init__(self) -> None:
        check_part("the id", self.id)

    def encode(self) -> str:
        """Return the line."""
        return f"notify:status:{self.id}"

    @classmethod
    def build(cls, found: Found) -> NotifyStatus:
        """Make the verb from the parts of its line."""
        return cls(found["id"] or "")


@dataclass(frozen=True)
class NotifyRemove(Verb):
    """Remove a notification from those received."""

    id: str

    usage: ClassVar[str] = "e.g notify:remove:<notificationId>"
    form = grammar(rf"notify:remove:(?P<id>{_ID})(?s:.*)")

    def __post_init__(self) -> None:
        check_part("the id", self.id)

    def encode(self) -> str:
        """Return the line."""
        return f"notify:remove:{self.id}"

    @classmethod
    def build(cls, found: Found) -> NotifyRemove:
        """Make the verb from the parts of its line."""
        return cls(found["id"] or "")


@dataclass(frozen=True)
class Monitor(Verb):
    """Have notifications pushed on this connection from now on.

    Args:
        since_ms: Those received since this point in time come first; milliseconds since 1970.
        regex: An expression that sender or key must match.
        strict: Leave out the server's own notices too where they don't match.
        own: Push what this atSign sends to itself as well.
        multiplexed: Hold notifications back while a request of this connection is under way.

    Raises:
        ValueError: The server would refuse it, or fold the expression.
    """

    since_ms: Optional[int] = None
    regex: Optional[str] = None
    strict: bool = False
    own: bool = False
    multiplexed: bool = False

    pushes = True
    usage: ClassVar[str] = "e.g. monitor or monitor .wavi"
    form = grammar(
        r"monitor(?P<strict>:strict)?(?P<own>:selfNotifications)?(?P<multiplexed>:multiplexed)?"
        rf"(?::(?P<since>[0-9]+))?(?: (?P<regex>{TEXT}+))?"
    )

    def __post_init__(self) -> None:
        if self.since_ms is not None and self.since_ms < 0:
            raise ValueError("since_ms is a time after 1970")
        if self.regex is None:
            return
        check_text("the expression", self.regex)
        plain = ":" not in self._options()
        if plain and (":" in self.regex or self.regex != self.regex.lower()):
            # The server folds all in front of a line's first colon.
            raise ValueError(
                "an expression with colons or capitals needs an option: since_ms or strict"
            )

    def _options(self) -> str:
        flags = (
            ("strict", self.strict),
            ("selfNotifications", self.own),
            ("multiplexed", self.multiplexed),
        )
        options = "".join(f":{name}" for name, is_on in flags if is_on)
        return f"{options}:{self.since_ms}" if self.since_ms is not None else options

    def encode(self) -> str:
        """Return the line."""
        line = f"monitor{self._options()}"
        return f"{line} {self.regex}" if self.regex is not None else line

    @classmethod
    def build(cls, found: Found) -> Monitor:
        """Make the verb from the parts of its line."""
        return cls(
            since_ms=_number(found["since"]),
            regex=found["regex"],
            strict=found["strict"] is not None,
            own=found["own"] is not None,
            multiplexed=found["multiplexed"] is not None,
        )


def _lower(text: Optional[str]) -> Optional[str]:
    return text.lower() if text is not None else None


def _number(text: Optional[str]) -> Optional[int]:
    return int(text) if text is not None else None
