"""Faults on demand, as a script that can be read and as rates.

A script says what happens to the next commands, one word each::

    server.faults = FaultPlan.script("ok ok AT0011 drop-before drop-after", verbs={"batch"})

=============  ========================================================================
word           what happens to the command
=============  ========================================================================
ok             it is served
AT0011 ...     this error is answered (any code of the table), nothing is done
drop-before    the connection is cut, nothing is done
drop-after     it is done, then the connection is cut without an answer
pause          it is served, and answered ``pause_seconds`` later
hang           it is never answered
corrupt        one character of the value that it stores or reads is another one
missing        one id is left out of the answer; waits for a batch
garbage        the answer is none of the protocol's
full           there is no space left; waits for an update or a batch
mixup          the value of another key is answered, as between real servers (facts §7); waits
               for a look-up
unheard        the line is never answered, because it came before the answer to the last (facts §2)
=============  ========================================================================

Rates are probabilities for each command, and states hold until they are changed; both are plain
attributes that may be set while the server runs. ``FaultPlan.parse("error=0.05,drop=0.02@batch")``
reads them from a command line. With a seed, the same commands in the same order meet the same
faults.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Optional

from atxfer.atprotocol.errors import AtError

WORDS = frozenset(
    {"ok", "drop-before", "drop-after", "pause", "hang", "corrupt"}
    | {"missing", "garbage", "full", "mixup", "unheard"}
)

# The rates that decide between words, in this order; the others are asked for where they matter.
_BY_CHANCE = ("error", "drop", "pause", "hang", "corrupt", "garbage", "full", "missing")

# Faults that only these commands can meet; in a script, their word waits for one.
_ONLY: dict[str, frozenset[str]] = {
    "missing": frozenset({"batch"}),
    "full": frozenset({"batch", "update"}),
    "mixup": frozenset({"lookup", "plookup"}),
}


class BadFaults(ValueError):
    """A fault plan can't be read."""


def _can_meet(word: str, verb: str) -> bool:
    return word not in _ONLY or verb in _ONLY[word]


@dataclass
class _Script:
    """Words for the next commands of some kind."""

    words: list[str]
    verbs: Optional[frozenset[str]]
    atsigns: Optional[frozenset[str]]

    def applies(self, verb: str, atsign: str) -> bool:
        """Whether the next word is for this command."""
        return (
            bool(self.words)
            and _can_meet(self.words[0], verb)
            and (self.verbs is None or verb in self.verbs)
            and (self.atsigns is None or atsign in self.atsigns)
        )


def _rate() -> Any:
    return field(default=0.0, metadata={"kind": "rate"})


def _state(default: object) -> Any:
    return field(default=default, metadata={"kind": "state"})


@dataclass
class FaultPlan:
    """What goes wrong, and how often.

    Threads: attributes may be set, and scripts played, from any thread.

    Attributes:
        error: How many commands are answered with ``error_code``, nothing done.
        drop: How many lose their connection: half of them before the work, half after it.
        pause: How many are answered ``pause_seconds`` late.
        hang: How many are never answered.
        corrupt: How many get a changed value, stored or read.
        missing: How many batches are answered without one of their ids.
        inside: How many commands inside a batch are answered with ``error_code``.
        garbage: How many get an answer that is none.
        full: How many updates find no space left.
        mixup: How many look-ups of another atSign's key get the value of another key.
        unheard: How many lines that come before the last one was answered are never answered.
        unpushed: How many notifications no monitor hears of, though they and what they leave are
            there (facts §8).
        blackhole: How many connections are accepted and secured, and nothing on them is answered.
        deaf: How many connections are accepted, and not even secured.
        error_code: The code of ``error`` and ``inside``.
        pause_seconds: How long a pause is.
        latency: Seconds a round trip, instead of the server's own; None to leave it.
        jitter: Up to so many seconds more each way.
        bandwidth: Bytes a second each way of each connection; None for no limit.
        max_connections: Connections to one server, instead of the server's own limit.
        clock_skew: Seconds that the servers' clocks are wrong by.
        wrong_certificate: Whether new connections meet a certificate of another authority.
        directory_down: Whether the atDirectory cuts all connections.
        verbs: Which verbs a rate applies to, by the rate's name; none named means all.
        atsigns: Which atSigns' servers rates apply to; None for all.
        rng: Where chance comes from; seed it.
    """

    error: float = _rate()
    drop: float = _rate()
    pause: float = _rate()
    hang: float = _rate()
    corrupt: float = _rate()
    missing: float = _rate()
    inside: float = _rate()
    garbage: float = _rate()
    full: float = _rate()
    mixup: float = _rate()
    unheard: float = _rate()
    unpushed: float = _rate()
    blackhole: float = _rate()
    deaf: float = _rate()
    error_code: str = _state("AT0011")
    pause_seconds: float = _state(1.0)
    latency: Optional[float] = _state(None)
    jitter: float = _state(0.0)
    bandwidth: Optional[float] = _state(None)
    max_connections: Optional[int] = _state(None)
    clock_skew: float = _state(0.0)
    wrong_certificate: bool = _state(False)
    directory_down: bool = _state(False)
    verbs: dict[str, frozenset[str]] = field(default_factory=dict)
    atsigns: Optional[Collection[str]] = None
    rng: random.Random = field(default_factory=random.Random, repr=False)
    _scripts: list[_Script] = field(default_factory=list, repr=False)

    @classmethod
    def parse(cls, text: str, *, seed: Optional[int] = None) -> FaultPlan:
        """Read ``error=0.05,drop=0.02@batch+update,latency=100ms``.

        Names are those of the attributes, with ``-`` or ``_``; a rate may name its verbs.

        Args:
            text: Names and values, separated by commas; a name alone switches a state on.
            seed: Makes the faults repeatable.

        Raises:
            BadFaults: It can't be read.
        """
        plan = cls(rng=random.Random(seed))  # noqa: S311  # chance, not secrets
        for item in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = item.partition("=")
            plan._set(name.strip().lower().replace("-", "_"), value.strip())
        return plan

    @classmethod
    def script(
        cls,
        words: str,
        *,
        verbs: Optional[Iterable[str]] = None,
        atsigns: Optional[Iterable[str]] = None,
    ) -> FaultPlan:
        """Return a plan that plays one script; see :meth:`play`."""
        plan = cls()
        plan.play(words, verbs=verbs, atsigns=atsigns)
        return plan

    def _set(self, name: str, text: str) -> None:
        if name in _RATES:
            value, _, verbs = text.partition("@")
            setattr(self, name, _probability(name, value))
            if verbs:
                self.verbs[name] = frozenset(verbs.split("+"))
        elif name in _STATES:
            setattr(self, name, _state_value(name, text))
        else:
            known = ", ".join(sorted([*_RATES, *_STATES]))
            raise BadFaults(f"{name!r} is no fault. There are: {known}")

    def play(
        self,
        script: str,
        *,
        verbs: Optional[Iterable[str]] = None,
        atsigns: Optional[Iterable[str]] = None,
    ) -> None:
        """Let a script decide what happens to the next commands, before any rate does.

        Args:
            script: Words of the table above.
            verbs: Which commands take a word each; None for all, those of the login too.
            atsigns: Whose servers; None for all.

        Raises:
            BadFaults: There is no such word.
        """
        words = script.split()
        for word in words:
            if word not in WORDS and word not in AtError.by_code:
                raise BadFaults(f"{word!r} is no fault. There are: {', '.join(sorted(WORDS))}")
        self._scripts.append(
            _Script(
                words,
                frozenset(verbs) if verbs is not None else None,
                frozenset(atsigns) if atsigns is not None else None,
            )
        )

    @property
    def played(self) -> bool:
        """Whether every script has come to its end."""
        return not any(script.words for script in self._scripts)

    def decide(self, verb: str, atsign: str) -> str:
        """Return the word for a command: ``ok`` as a rule."""
        for script in self._scripts:
            if script.applies(verb, atsign):
                return script.words.pop(0)
        left = self.rng.random()
        for name in _BY_CHANCE:
            rate = self._rate_for(name, verb, atsign) if _can_meet(name, verb) else 0.0
            if left < rate:
                return self._word(name)
            left -= rate
        return "ok"

    def _word(self, rate: str) -> str:
        if rate == "error":
            return self.error_code
        if rate == "drop":
            return self.rng.choice(("drop-before", "drop-after"))
        return rate

    def _rate_for(self, name: str, verb: str, atsign: str) -> float:
        if self.atsigns is not None and atsign not in self.atsigns:
            return 0.0
        reaches = name not in self.verbs or verb in self.verbs[name]
        return float(getattr(self, name)) if reaches else 0.0

    def happens(self, name: str, verb: str, atsign: str) -> bool:
        """Return whether the fault of one rate meets this command."""
        rate = self._rate_for(name, verb, atsign)
        return rate > 0 and self.rng.random() < rate


def _names(kind: str) -> frozenset[str]:
    return frozenset(item.name for item in fields(FaultPlan) if item.metadata.get("kind") == kind)


_RATES = _names("rate")
_STATES = _names("state")


def _probability(name: str, value: str) -> float:
    rate = _number(name, value)
    if not 0 <= rate <= 1:
        raise BadFaults(f"{name} is a probability, from 0 to 1, not {value!r}")
    return rate


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise BadFaults(f"{name} needs a number, not {value!r}") from None


def _state_value(name: str, value: str) -> object:
    if name == "error_code":
        if value not in AtError.by_code:
            raise BadFaults(f"{value!r} is no code of the atProtocol: write AT0011")
        return value
    if name in ("pause_seconds", "clock_skew", "latency", "jitter"):
        return seconds(value)
    if name in ("max_connections", "bandwidth"):
        return int(_number(name, value))
    if value.lower() in ("", "1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off"):
        return False
    raise BadFaults(f"{name} is on or off, not {value!r}")


_SECONDS = re.compile(r"(-?\d+(?:\.\d+)?)\s*(ms|s|)")


def seconds(text: str) -> float:
    """Read a time such as ``100ms``, ``0.1s`` or ``0.1``, in seconds.

    Raises:
        BadFaults: It is none.
    """
    match = _SECONDS.fullmatch(text.strip().lower())
    if match is None:
        raise BadFaults(f"{text!r} is no time: write 100ms or 0.1s")
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


def corrupted(text: str, rng: random.Random) -> str:
    """Return a text with one character changed to another of base64."""
    if not text:
        return text
    place = rng.randrange(len(text))
    # Not the padding: a change there may decode to the same bytes.
    while text[place] == "=" and place > 0:
        place -= 1
    other = "B" if text[place] != "B" else "C"
    return text[:place] + other + text[place + 1 :]
