"""Verbs about the connection and the server: login, checks, settings."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import ClassVar, Optional

from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.atprotocol.dartjson import expect, read_json
from atxfer.atprotocol.errors import IllegalArgument, UnexpectedException
from atxfer.atprotocol.verb import (
    PART,
    TEXT,
    Found,
    Verb,
    check_part,
    check_text,
    grammar,
)

__all__ = [
    "Config",
    "Cram",
    "Exit",
    "From",
    "Info",
    "Noop",
    "Other",
    "Pkam",
    "Stats",
    "SyncFrom",
]


@dataclass(frozen=True)
class From(Verb):
    """Ask for a challenge to log in with.

    Args:
        atsign: Who we are.
        client_version: Errors come as JSON if it is above 3.0.37 (facts §3).
    """

    atsign: str
    client_version: Optional[str] = None

    requires_login = False
    usage: ClassVar[str] = "syntax from:@<atSign> \n e.g from:@alice"
    form = grammar(rf"from:(?P<atsign>@?{PART}+)(?::clientConfig:(?P<config>\{{{TEXT}+\}}))?")

    def __post_init__(self) -> None:
        if self.atsign != normalise_atsign(self.atsign):
            raise ValueError(f"{self.atsign!r} is no normalised atSign")

    def encode(self) -> str:
        """Return the line."""
        if self.client_version is None:
            return f"from:{self.atsign}"
        config = json.dumps({"version": self.client_version}, separators=(",", ":"))
        return f"from:{self.atsign}:clientConfig:{config}"

    @classmethod
    def build(cls, found: Found) -> From:
        """Make the verb from the parts of its line; of the configuration, the version counts."""
        version = None
        if found["config"]:
            config = expect(dict, read_json(found["config"]), "Map<String, dynamic>")
            version = config.get("version")
        try:
            atsign = normalise_atsign(found["atsign"] or "")
        except ValueError as error:
            words = "invalid @sign: Cannot contain !*'`();:&=+$,/?#[]{} characters"
            raise UnexpectedException(words) from error
        return cls(atsign, version if isinstance(version, str) else None)


@dataclass(frozen=True)
class Pkam(Verb):
    """Log in with a signature of the challenge.

    Args:
        signature: RSASSA-PKCS1-v1_5 with SHA-256 of the challenge's text, in base64.
        enrollment_id: The enrolment of these keys, if they have one.
        signing_algo: ``rsa2048`` or ``ecc_secp256r1``; the server's default is the first.
        hashing_algo: ``sha256`` or ``sha512``; the server's default is the first.
    """

    signature: str = field(repr=False)
    enrollment_id: Optional[str] = None
    signing_algo: Optional[str] = None
    hashing_algo: Optional[str] = None

    requires_login = False
    logs_in = True
    usage: ClassVar[str] = "pkam:<signature>"
    form = grammar(
        r"pkam:(?:signingAlgo:(?P<signing>ecc_secp256r1|rsa2048):)?"
        r"(?:hashingAlgo:(?P<hashing>sha256|sha512):)?"
        rf"(?:enrollmentId:(?P<enrollment>{TEXT}+):)?(?P<signature>{TEXT}+)"
    )

    def __post_init__(self) -> None:
        check_text("the signature", self.signature)
        if self.enrollment_id is not None:
            check_part("the enrolment id", self.enrollment_id)

    def encode(self) -> str:
        """Return the line."""
        options = (
            ("signingAlgo", self.signing_algo),
            ("hashingAlgo", self.hashing_algo),
            ("enrollmentId", self.enrollment_id),
        )
        named = "".join(f"{name}:{value}:" for name, value in options if value is not None)
        return f"pkam:{named}{self.signature}"

    @classmethod
    def build(cls, found: Found) -> Pkam:
        """Make the verb from the parts of its line."""
        return cls(
            found["signature"] or "", found["enrollment"], found["signing"], found["hashing"]
        )


@dataclass(frozen=True)
class Cram(Verb):
    """Log in for the first activation of an atSign.

    Args:
        digest: SHA-512 of secret and challenge, in hex.
    """

    digest: str = field(repr=False)

    requires_login = False
    logs_in = True
    usage: ClassVar[str] = "cram:<digest>"
    form = grammar(f"cram:(?P<digest>{TEXT}+)")

    def __post_init__(self) -> None:
        check_text("the digest", self.digest)

    def encode(self) -> str:
        """Return the line."""
        return f"cram:{self.digest}"

    @classmethod
    def build(cls, found: Found) -> Cram:
        """Make the verb from the parts of its line."""
        return cls(found["digest"] or "")


@dataclass(frozen=True)
class Noop(Verb):
    """Do nothing for some milliseconds, at most 5000, and answer ``ok``."""

    delay_ms: int = 0

    requires_login = False
    usage: ClassVar[str] = "noop:<durationInMillis>"
    form = grammar(r"noop:(?P<delay>[0-9]+)")

    def __post_init__(self) -> None:
        if not 0 <= self.delay_ms <= 5000:
            raise ValueError(f"the delay is {self.delay_ms}: the server takes 0 to 5000 ms")

    def encode(self) -> str:
        """Return the line."""
        return f"noop:{self.delay_ms}"

    @classmethod
    def build(cls, found: Found) -> Noop:
        """Make the verb from the parts of its line."""
        try:
            return cls(int(found["delay"] or ""))
        except ValueError as error:
            raise IllegalArgument(
                f"{cls.usage} where the duration maximum is 5000 milliseconds"
            ) from error


@dataclass(frozen=True)
class Info(Verb):
    """Ask for the server's version and uptime; brief gives the uptime in milliseconds."""

    brief: bool = False

    requires_login = False
    usage: ClassVar[str] = "info"
    form = grammar(r"info(?P<brief>:brief)?")

    def encode(self) -> str:
        """Return the line."""
        return "info:brief" if self.brief else "info"

    @classmethod
    def build(cls, found: Found) -> Info:
        """Make the verb from the parts of its line."""
        return cls(found["brief"] is not None)


@dataclass(frozen=True)
class Stats(Verb):
    """Ask for the server's counters: all, or those of some ids. The answer begins with a space."""

    ids: tuple[int, ...] = ()
    regex: Optional[str] = None

    usage: ClassVar[str] = "stats:1,2,3"
    form = grammar(
        rf"stats(?::(?P<ids>(?!0)[0-9]+(?:,[0-9]+)*))?(?::(?P<regex>(?<=:3:|15:){TEXT}+))?"
    )

    def __post_init__(self) -> None:
        if any(number < 1 for number in self.ids):
            raise ValueError("the ids of counters begin at 1")
        if self.regex is not None and self.ids not in ((3,), (15,)):
            raise ValueError("only the counters 3 and 15 take an expression")

    def encode(self) -> str:
        """Return the line."""
        ids = ":" + ",".join(str(number) for number in self.ids) if self.ids else ""
        return f"stats{ids}:{self.regex}" if self.regex is not None else f"stats{ids}"

    @classmethod
    def build(cls, found: Found) -> Stats:
        """Make the verb from the parts of its line."""
        ids = tuple(int(number) for number in (found["ids"] or "").split(",") if int(number or 0))
        return cls(ids, found["regex"])


_BLOCK = re.compile(rf"@{PART}+(?: @[^\s@]+)*")


@dataclass(frozen=True)
class Config(Verb):
    """Change or show a setting of the server.

    Args:
        operation: ``block:add``, ``block:remove``, ``block:show``, ``set``, ``reset`` or ``print``.
        argument: atSigns to block, separated by spaces; or ``name=value``, or ``name``.
    """

    operation: str
    argument: str = ""

    usage: ClassVar[str] = (
        "configure block syntax config:block:<action>:@<atSign> \n e.g config:block:add:@alice \n"
        " view syntax config:show:<type> \n e.g config:shoe:allow \n configure set syntax \n"
        " e.g. config:set:<configName>=<configValue> \n config:reset(or)print:<configName>"
    )
    form = grammar(
        r"config:(?:(?P<show>block:show)\s?|"
        rf"(?P<block>block:add|block:remove):(?P<atsigns>{_BLOCK.pattern})|"
        rf"(?P<change>set|reset|print):(?P<setting>{TEXT}+))"
    )

    def __post_init__(self) -> None:
        if self.form.fullmatch(self.encode()) is None:
            raise ValueError(
                f"config:{self.operation} doesn't take this: name block:add and atSigns,"
                " block:show, or set and name=value"
            )

    @property
    def atsigns(self) -> tuple[str, ...]:
        """The atSigns to block or unblock."""
        return tuple(self.argument.split()) if self.operation.startswith("block:") else ()

    def encode(self) -> str:
        """Return the line."""
        return f"config:{self.operation}" + (f":{self.argument}" if self.argument else "")

    @classmethod
    def build(cls, found: Found) -> Config:
        """Make the verb from the parts of its line."""
        operation = found["show"] or found["block"] or found["change"] or ""
        return cls(operation.lower(), found["atsigns"] or found["setting"] or "")


@dataclass(frozen=True)
class SyncFrom(Verb):
    """List the changes since a commit, as other devices of the owner fetch them."""

    start: int
    limit: int
    regex: Optional[str] = None

    usage: ClassVar[str] = "syntax sync:from:1:limit:10:.wavi"
    form = grammar(
        rf"sync:from:(?P<start>[0-9]+|-1):limit:(?P<limit>[0-9]+)(?::(?P<regex>{TEXT}+))?"
    )

    def __post_init__(self) -> None:
        if self.start < -1 or self.limit < 0:
            raise ValueError("a sync starts at a commit id or -1, and its limit is not negative")

    def encode(self) -> str:
        """Return the line."""
        line = f"sync:from:{self.start}:limit:{self.limit}"
        return f"{line}:{self.regex}" if self.regex is not None else line

    @classmethod
    def build(cls, found: Found) -> SyncFrom:
        """Make the verb from the parts of its line."""
        return cls(int(found["start"] or ""), int(found["limit"] or ""), found["regex"])


@dataclass(frozen=True)
class Exit(Verb):
    """End the connection; the server answers by closing it."""

    requires_login = False
    closes = True
    form = grammar("@exit")

    def encode(self) -> str:
        """Return the line."""
        return "@exit"

    @classmethod
    def build(cls, found: Found) -> Exit:
        """Make the verb from the parts of its line."""
        return cls()


@dataclass(frozen=True)
class Other(Verb):
    """A verb of the original that atxfer has no use for: ``pol``, ``stream:``, and some more."""

    line: str = field(repr=False)

    requires_login = False
    form = grammar(f"(?P<line>{TEXT}+)")

    def __post_init__(self) -> None:
        check_text("the command", self.line)

    def encode(self) -> str:
        """Return the line."""
        return self.line

    @classmethod
    def build(cls, found: Found) -> Other:
        """Make the verb from the parts of its line."""
        return cls(found["line"] or "")
