"""Every tunable of a transfer, with its unit, its range, and where its number comes from.

Durations are seconds (float), sizes are bytes (int). Each default can be overridden by the
environment variable ``ATXFER_`` + the field's name in capitals; a value given in code wins.
"""

from __future__ import annotations

import functools
import math
import os
import re
from dataclasses import dataclass, field, fields, replace
from typing import Any, Callable, Optional, TypeVar, Union, cast

__all__ = [
    "KIB",
    "MIB",
    "TransferConfig",
    "parse_duration",
    "parse_size",
    "setting",
]

KIB = 1024
MIB = 1024 * KIB

T = TypeVar("T")
StrPath = Union[str, "os.PathLike[str]"]
"""A path, as it is given by a caller."""


def parse_size(text: str) -> int:
    """Read a number of bytes, or of anything else: ``180000``, ``8KiB``, ``64 MiB``."""
    folded = text.strip().lower().replace("_", "")
    for suffix, unit in (("kib", KIB), ("mib", MIB), ("gib", 1024 * MIB)):
        if folded.endswith(suffix):
            return int(folded[: -len(suffix)].strip()) * unit
    return int(folded)


_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def parse_duration(text: str) -> float:
    """Read seconds: ``3600``, ``2.5``, ``100ms``, ``90s``, ``15m``, ``2h``, ``1d`` or ``1w``."""
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(ms|[smhdw]?)", text.strip().lower())
    if match is None:
        raise ValueError("expected seconds, or a number with ms, s, m, h, d or w")
    return float(match[1]) * _UNITS[match[2]]


def setting(value: Optional[StrPath], variable: str) -> Optional[str]:
    """Return what was given, or else what the environment says; an empty variable says nothing."""
    return os.fspath(value) if value is not None else os.environ.get(variable) or None


def _boolean(text: str) -> bool:
    folded = text.strip().lower()
    if folded in ("1", "true", "yes", "on"):
        return True
    if folded in ("0", "false", "no", "off"):
        return False
    raise ValueError("expected true or false")


def _optional(read: Callable[[str], T]) -> Callable[[str], Optional[T]]:
    return lambda text: None if text.strip().lower() in ("", "none") else read(text)


def _tunable(name: str, default: object, read: Callable[[str], object]) -> Any:
    """Return a field whose default the environment may override."""
    variable = f"ATXFER_{name.upper()}"

    def value() -> object:
        text = os.environ.get(variable)
        if text is None:
            return default
        try:
            return read(text)
        except ValueError as error:
            raise ValueError(f"{variable}={text!r} is not usable: {error}") from error

    return field(default_factory=value)


_C = TypeVar("_C", bound=type)


def _keyword_only(cls: _C) -> _C:
    """Refuse positional arguments: dataclasses learnt that only with Python 3.10."""
    init = cast(Any, cls).__init__

    @functools.wraps(init)
    def keywords(self: object, **values: object) -> None:
        init(self, **values)

    cast(Any, cls).__init__ = keywords
    return cls


@_keyword_only
@dataclass(frozen=True)
class TransferConfig:
    """How fast, how patient, how large. Frozen; :meth:`but` makes a changed copy.

    Attributes:
        max_concurrent_uploads: Requests in flight to one destination, at most, 1 to 64. The cap
            of the semaphore; it also bounds what the owner reads back. 3 is what the original
            system ran in production; an atServer gives 200 connections to everybody together
            (facts §2), so 64 is far from it.
        max_concurrent_downloads: The same for what is read from another atSign's server without
            a login, 1 to 64. Each of them reads one chunk, so this decides how long the way counts:
            at 100 ms 5 MiB took 4.4 s with 6 and 3.5 s with 8 (python -m tests.bench sharing).
        chunk_size: Bytes of a plain chunk, or None for what suits the file and the store. An
            explicit size is obeyed. A store that takes no chunks so small (S3: 5 MiB, 10,000 of
            them) gets the smallest that it takes, and the log says so (``chunk_size.raised``).
        max_request_bytes: The largest request on the wire, from 16 KiB. Above 256 KB an atServer's
            time grows with the square of the request; 180,000 measured best (facts §10).
        max_chunks_per_request: How many chunks one request may carry, or None for as many as fit.
        max_file_size: The largest file accepted, checked before anything is sent, or None. By
            default 256 MiB, which an atServer takes in about a minute (facts §10).
        ttl: How long an uploaded file lives, from 1 second, or None for ever. One day, as in the
            original system.
        connect_timeout: For connection, TLS and login, each.
        request_timeout: For one request, from its first byte to the end of its answer. 30 s, as
            in the original system.
        deadline: For a whole transfer, or None for no end.
        max_attempts: How often one request is tried in all, 1 to 20. The original system tried
            three times; with 7 % of faults three attempts lose one request in 3,000 and five one in
            600,000.
        backoff_initial: The upper end of the first wait before a retry; each next one doubles.
        backoff_max: The longest such wait.
        backoff_jitter: Whether the wait is a random part of that (full jitter) or all of it.
        retry_after_cap: When a server asks for a longer wait than this, the call fails with
            RetryAfterTooLong instead of sleeping.
        retry_budget: The part of the traffic to one destination that may be retries, 0 to 1.
        retry_burst: Retries allowed before that counts, for small transfers.
        memory_budget: Bytes of file content held in memory by one client, from 1 MiB; a chunk that
            is larger is moved alone. The default holds six parts of S3's least size.
        idle_timeout: How long an unused connection is kept. An atServer closes idle ones itself
            after 10 minutes (facts §2).
        progress_interval: The shortest time between two progress callbacks.
        fsync: Whether a download is flushed to disk before it takes its name.
        journal: Whether an upload from a path keeps a record on this machine, by which the same
            call goes on after an interruption.

    Raises:
        ValueError: A value is out of range, or an environment variable can't be read.
        TypeError: A value is given by position, or is of the wrong type.
    """

    max_concurrent_uploads: int = _tunable("max_concurrent_uploads", 3, parse_size)
    max_concurrent_downloads: int = _tunable("max_concurrent_downloads", 8, parse_size)
    chunk_size: Optional[int] = _tunable("chunk_size", None, _optional(parse_size))
    max_request_bytes: int = _tunable("max_request_bytes", 180_000, parse_size)
    max_chunks_per_request: Optional[int] = _tunable(
        "max_chunks_per_request", None, _optional(parse_size)
    )
    max_file_size: Optional[int] = _tunable("max_file_size", 256 * MIB, _optional(parse_size))
    ttl: Optional[float] = _tunable("ttl", 86_400.0, _optional(parse_duration))
    connect_timeout: float = _tunable("connect_timeout", 10.0, parse_duration)
    request_timeout: float = _tunable("request_timeout", 30.0, parse_duration)
    deadline: Optional[float] = _tunable("deadline", None, _optional(parse_duration))
    max_attempts: int = _tunable("max_attempts", 5, parse_size)
    backoff_initial: float = _tunable("backoff_initial", 0.5, parse_duration)
    backoff_max: float = _tunable("backoff_max", 20.0, parse_duration)
    backoff_jitter: bool = _tunable("backoff_jitter", True, _boolean)
    retry_after_cap: float = _tunable("retry_after_cap", 60.0, parse_duration)
    retry_budget: float = _tunable("retry_budget", 0.1, float)
    retry_burst: int = _tunable("retry_burst", 20, parse_size)
    memory_budget: int = _tunable("memory_budget", 32 * MIB, parse_size)
    idle_timeout: float = _tunable("idle_timeout", 300.0, parse_duration)
    progress_interval: float = _tunable("progress_interval", 0.1, parse_duration)
    fsync: bool = _tunable("fsync", True, _boolean)
    journal: bool = _tunable("journal", True, _boolean)

    def __post_init__(self) -> None:
        for name, (kind, low, high) in _RANGES.items():
            _check(name, getattr(self, name), kind, low, high)
        if self.backoff_max < self.backoff_initial:
            raise ValueError("backoff_max must not be smaller than backoff_initial")

    def but(self, **changes: object) -> TransferConfig:
        """Return a copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # checked at run time

    @classmethod
    def development(cls, **changes: object) -> TransferConfig:
        """Two requests in flight: gentle to a server on the same machine."""
        return cls().but(**{"max_concurrent_uploads": 2, **changes})

    @classmethod
    def production(cls, **changes: object) -> TransferConfig:
        """Three requests in flight: the default."""
        return cls().but(**{"max_concurrent_uploads": 3, **changes})

    @classmethod
    def high_performance(cls, **changes: object) -> TransferConfig:
        """Five requests in flight: for a server that has little else to do."""
        return cls().but(**{"max_concurrent_uploads": 5, **changes})

    @classmethod
    def original(cls, **changes: object) -> TransferConfig:
        """The original system to the letter: 8 KiB chunks, one a request, three in flight.

        Three attempts, with waits of 2 s and 4 s, 30 s a request, one day to live.
        """
        letter: dict[str, object] = {
            "max_concurrent_uploads": 3,
            "max_concurrent_downloads": 3,
            "chunk_size": 8 * KIB,
            "max_chunks_per_request": 1,
            "ttl": 86_400.0,
            "request_timeout": 30.0,
            "max_attempts": 3,
            "backoff_initial": 2.0,
            "backoff_max": 4.0,
            "backoff_jitter": False,
        }
        return cls().but(**{**letter, **changes})


_INT, _FLOAT, _BOOL = "a whole number", "a number of seconds", "true or false"
_RANGES: dict[str, tuple[str, float, float]] = {
    "max_concurrent_uploads": (_INT, 1, 64),
    "max_concurrent_downloads": (_INT, 1, 64),
    "chunk_size": (_INT, 1, math.inf),
    "max_request_bytes": (_INT, 16 * KIB, math.inf),
    "max_chunks_per_request": (_INT, 1, math.inf),
    "max_file_size": (_INT, 0, math.inf),
    "ttl": (_FLOAT, 1.0, 1e9),
    "connect_timeout": (_FLOAT, 0.001, 1e6),
    "request_timeout": (_FLOAT, 0.001, 1e6),
    "deadline": (_FLOAT, 0.001, 1e9),
    "max_attempts": (_INT, 1, 20),
    "backoff_initial": (_FLOAT, 0.0, 1e4),
    "backoff_max": (_FLOAT, 0.0, 1e4),
    "backoff_jitter": (_BOOL, 0, 1),
    "retry_after_cap": (_FLOAT, 0.0, 1e6),
    "retry_budget": ("a part of the traffic", 0.0, 1.0),
    "retry_burst": (_INT, 0, 1e6),
    "memory_budget": (_INT, MIB, math.inf),
    "idle_timeout": (_FLOAT, 0.0, 1e6),
    "progress_interval": (_FLOAT, 0.0, 1e4),
    "fsync": (_BOOL, 0, 1),
    "journal": (_BOOL, 0, 1),
}
_NULLABLE = {"chunk_size", "max_chunks_per_request", "max_file_size", "ttl", "deadline"}


def _check(name: str, value: object, kind: str, low: float, high: float) -> None:
    if value is None and name in _NULLABLE:
        return
    accepted: tuple[type, ...] = {_INT: (int,), _BOOL: (bool,)}.get(kind, (int, float))
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind != _BOOL):
        raise TypeError(f"{name} must be {kind}, not {value!r}")
    if not low <= cast(float, value) <= high:
        end = "" if math.isinf(high) else f" to {high:g}"
        raise ValueError(f"{name} must be {kind} from {low:g}{end}, not {value!r}")


if {f.name for f in fields(TransferConfig)} != set(_RANGES):  # pragma: no cover
    raise AssertionError("every field has a range")
