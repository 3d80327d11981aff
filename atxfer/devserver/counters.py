"""What the servers felt: connections, logins, commands, requests in flight, bytes.

A request is **in flight** from the moment its first byte has reached the server's end of the
client's wire until the last byte of its answer is handed back there. Simulated latency, queueing,
service time and faults all lie in between, so the count is what the client itself would call in
flight: a client with a cap of three must never show more than three. The lines of a login
(``from``, ``pkam``, ``cram``) and of ``monitor``, which is never answered, are no requests.

With latency a command is known only when it has crossed the simulated network, so its beginning is
reported late, with the time it had; the peak is found by sorting the times.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Optional, TypedDict

# Beginnings may be reported so late; older times are settled and folded into the peak.
_SETTLED_AFTER = 10.0
_FOLD_AT = 4096


class Counts(TypedDict):
    """A snapshot of one atServer's counters, or of all together; plain values, fit for JSON."""

    connections: int
    """TCP connections accepted, refused ones included."""
    connections_now: int
    """How many are open."""
    connections_peak: int
    """The most that were open at once."""
    logins: int
    """Successful ``pkam`` and ``cram``."""
    commands: dict[str, int]
    """Lines by verb. The commands inside a batch are not among them ..."""
    batched: dict[str, int]
    """... but here."""
    errors: dict[str, int]
    """Error answers by code, those inside batches included."""
    in_flight: int
    """Requests being served."""
    peak_in_flight: int
    """The most that were being served at once (see the module)."""
    bytes_in: int
    """From clients, as they are on the wire."""
    bytes_out: int
    """To clients."""


class Overlap:
    """The most intervals that covered one moment, whatever order they are reported in."""

    def __init__(self) -> None:
        self._edges: list[tuple[float, int]] = []
        self._settled = 0  # how many cover the moment before the first edge
        self._peak = 0
        self.now = 0

    def begin(self, at: float) -> None:
        """An interval began."""
        self.now += 1
        self._edges.append((at, 1))
        if len(self._edges) >= _FOLD_AT:
            self._fold(at - _SETTLED_AFTER)

    def end(self, at: float) -> None:
        """An interval ended."""
        self.now -= 1
        self._edges.append((at, -1))

    def _fold(self, before: float) -> None:
        self._edges.sort()
        settled = [edge for edge in self._edges if edge[0] < before]
        self._peak = max(self._peak, _highest(settled, self._settled))
        self._settled += sum(step for _, step in settled)
        del self._edges[: len(settled)]

    @property
    def peak(self) -> int:
        """The most at once."""
        self._edges.sort()
        return max(self._peak, _highest(self._edges, self._settled))

    def forget(self) -> None:
        """Start again from what is going on now."""
        self._edges.clear()
        self._settled = self._peak = self.now


def _highest(edges: list[tuple[float, int]], level: int) -> int:
    highest = level
    for _, step in edges:
        level += step
        highest = max(highest, level)
    return highest


class Tally:
    """The live counters of one atServer.

    Threads: written by the event loop, read by any thread.

    Args:
        total: Another tally that everything is added to as well.
    """

    def __init__(self, total: Optional[Tally] = None) -> None:
        self._total = total
        self._lock = threading.Lock()  # guards all that follows
        self._in_flight = Overlap()
        self._connections = Overlap()
        self._opened = 0
        self._logins = 0
        self._commands: Counter[str] = Counter()
        self._batched: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._bytes_in = 0
        self._bytes_out = 0

    def connection_opened(self, at: float) -> None:
        """A connection was accepted."""
        with self._lock:
            self._opened += 1
            self._connections.begin(at)
        if self._total is not None:
            self._total.connection_opened(at)

    def connection_closed(self, at: float) -> None:
        """A connection ended."""
        with self._lock:
            self._connections.end(at)
        if self._total is not None:
            self._total.connection_closed(at)

    def logged_in(self) -> None:
        """A login succeeded."""
        with self._lock:
            self._logins += 1
        if self._total is not None:
            self._total.logged_in()

    def command(self, verb: str, *, batched: bool = False) -> None:
        """A command came."""
        with self._lock:
            (self._batched if batched else self._commands)[verb] += 1
        if self._total is not None:
            self._total.command(verb, batched=batched)

    def error(self, code: str) -> None:
        """An error was answered."""
        with self._lock:
            self._errors[code] += 1
        if self._total is not None:
            self._total.error(code)

    def request_began(self, at: float) -> None:
        """A request came in."""
        with self._lock:
            self._in_flight.begin(at)
        if self._total is not None:
            self._total.request_began(at)

    def request_ended(self, at: float) -> None:
        """A request's answer has left, or its connection is gone."""
        with self._lock:
            self._in_flight.end(at)
        if self._total is not None:
            self._total.request_ended(at)

    def traffic(self, bytes_in: int = 0, bytes_out: int = 0) -> None:
        """Bytes passed."""
        with self._lock:
            self._bytes_in += bytes_in
            self._bytes_out += bytes_out
        if self._total is not None:
            self._total.traffic(bytes_in, bytes_out)

    def snapshot(self) -> Counts:
        """Return what was counted."""
        with self._lock:
            return Counts(
                connections=self._opened,
                connections_now=self._connections.now,
                connections_peak=self._connections.peak,
                logins=self._logins,
                commands=dict(self._commands),
                batched=dict(self._batched),
                errors=dict(self._errors),
                in_flight=self._in_flight.now,
                peak_in_flight=self._in_flight.peak,
                bytes_in=self._bytes_in,
                bytes_out=self._bytes_out,
            )

    def reset(self) -> None:
        """Count from zero again; what is open or in flight stays so."""
        with self._lock:
            self._opened = self._logins = self._bytes_in = self._bytes_out = 0
            for counter in (self._commands, self._batched, self._errors):
                counter.clear()
            self._connections.forget()
            self._in_flight.forget()


class Counters:
    """The tallies of a development server: one for each atSign, and one of all.

    ``counters["@alice"]`` and ``counters.total`` are snapshots.
    """

    def __init__(self) -> None:
        self._total = Tally()
        self._tallies: dict[str, Tally] = {}

    def tally(self, atsign: str) -> Tally:
        """Return the live tally of one atServer, for the server itself to write."""
        return self._tallies.setdefault(atsign, Tally(self._total))

    @property
    def total(self) -> Counts:
        """All atServers together."""
        return self._total.snapshot()

    def __getitem__(self, atsign: str) -> Counts:
        return self._tallies[atsign].snapshot()

    def snapshot(self) -> dict[str, Counts]:
        """Return all counts by atSign, and those of all under ``total``."""
        counts = {atsign: tally.snapshot() for atsign, tally in self._tallies.items()}
        return {**counts, "total": self.total}

    def reset(self) -> None:
        """Count from zero again."""
        for tally in (self._total, *self._tallies.values()):
            tally.reset()
