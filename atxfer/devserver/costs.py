"""What a request costs the real atServer: the profile ``atserver``.

The real server runs on one core: all connections share it, and what one request uses, all others
wait for. Facts §10 has what was measured (2 cores, atServer 3.0.52). Beside it, what the formulas
here give; ``core`` is what others wait for, pauses in it, ``total`` what the request itself takes
when it is alone; rates are payload bytes a second, for one connection and for three.

===========================  =============  =====  =====  ============  ==========
one request                  measured       core   total  measured      here
                             (service time) (ms)   (ms)   (MB/s, 1/3)   (MB/s, 1/3)
===========================  =============  =====  =====  ============  ==========
update, 8 KiB (11 KB line)   2 to 5 ms          2      2  3.8 / 3.9     3.4 / 4.0
batch of 8 x 8 KiB           13 ms             10     14  4.6 / 5.5     4.8 / 6.4
batch of 16 x 8 KiB          26 ms             20     26  4.3 / 6.8     5.0 / 6.6
batch of 24                  39 to 56 ms       41     51  2.8 / 3.2     3.9 / 4.8
batch of 32                  100 to 126 ms    102    115  1.8 / 1.5     2.3 / 2.6
batch of 48                  345 to 400 ms    357    376  1.3 / 1.6     1.0 / 1.1
batch of 64                  500 ms           448    474  1.3 / 1.8     1.1 / 1.2
batch of 256                 1.46 s          1.51   1.61  1.5 / 1.8     1.3 / 1.4
update, 64 KiB               12 ms + pauses    22     26  2.5 / 2.2-5   2.6 / 2.9
update, 128 KiB              32 ms + pauses    48     55  2.0 / 2.3     2.4 / 2.7
update, 256 KiB              62 ms            128    141  2.4 / 1.8     1.9 / 2.0
update, 1 MiB                0.7 s           0.83   0.88  1.5 / 1.7     1.2 / 1.3
update, 4 MiB                3.6 s           2.95   3.16  1.2 / 1.4     1.3 / 1.4
llookup, 16 x 8 KiB          19 ms             19     19  7 / -         6.7 / 6.7
delete, batch of 256         0.1 s            103    104
===========================  =============  =====  =====  ============  ==========

The shape: reading and parsing costs per byte; above 200 KB the server copies its whole buffer at
every packet, so the cost grows with the square, until packets grow too (530 KB) and it is linear
again. Larger values bring garbage collections, from 64 KiB on of 200 to 450 ms at a time, which
stop everything; that is why 64 MiB as 8 KiB x 16 took 9.2 s, as 32 KiB x 4 18.8 s and as 128 KiB
x 1 25.0 s. Deleting makes the store rewrite itself (8.8 s with 600 MB in it). Everything here is a
pure function of what was asked, but for :class:`Core`, which keeps the one core's time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

_KB = 1e-3  # per byte: sizes below are in KB of 1000 bytes, times in ms

# Writing, from the first four rows of the table: fixed, and per KB of line.
_REQUEST_MS = 0.8
_PARSE_MS = 0.107
# Waiting for the disk, which others needn't wait for: the difference between width 1 and width 3.
_DISK_MS = 0.037
# The square law.
_SQUARE_FROM, _SQUARE_TO = 200.0, 530.0
_SQUARE_MS = 0.00274
_BEYOND_MS = 0.40
# Garbage: ms that each KB of a value costs above a size that costs none. With these, 64 MiB without
# delay take 17.2 s as 32 KiB x 4 (18.8 measured) and 24.6 s as 128 KiB x 1 (25.0). Pauses were seen
# with values of 64 KiB and more; smaller ones cost as much, spread over the requests, as 5 MiB at
# 100 ms show: 2.1 s as 32 KiB x 4 (2.0 to 2.6). Above 128 KiB the square law has it already.
_GARBAGE_MS = 0.19
_NO_GARBAGE, _MOST_GARBAGE = 25.0, 175.0
_PAUSING = 60.0
# Reading: 16 llookups in a batch took 19 ms, and one lookup of 128 KiB about 9 ms.
_READ_MS, _READ_KB_MS = 0.7, 0.047
_DELETE_MS = 0.38
_SCANNED_MS = 0.03  # per key in the store: 10 to 70 ms at a thousand (facts §5)
# A login took 0.6 s at 100 ms a round trip, five of them (facts §4): 0.1 s of work, not all of it
# the server's.
_LOGIN_MS = {"tls": 20.0, "from": 5.0, "pkam": 25.0, "cram": 5.0}
_REMOTE_MS = 250.0  # the first contact with another server (facts §7)
# Hive rewrites its box at more than 60 deletions that are more than 15 % of the entries [s].
_REWRITE_DELETIONS, _REWRITE_SHARE = 60, 0.15
_REWRITE_SECONDS_PER_BYTE = 8.8 / 600e6

PAUSE_SECONDS = (0.2, 0.45)


@dataclass(frozen=True)
class Work:
    """What one request asked of a server.

    Attributes:
        request_bytes: The line.
        answer_bytes: Its answer.
        values: Sizes of the values it wrote, as on the wire.
        reads: How many records it read.
        deletes: How many it deleted.
        scanned: How many keys a scan went through.
        login: ``tls``, ``from``, ``pkam`` or ``cram``, if it was one.
        first_contact: Whether it had to connect to another atServer.
    """

    request_bytes: int = 0
    answer_bytes: int = 0
    values: tuple[int, ...] = ()
    reads: int = 0
    deletes: int = 0
    scanned: int = 0
    login: str = ""
    first_contact: bool = False


def core_seconds(work: Work) -> float:
    """Return how long the request keeps the core, without pauses."""
    if work.login:
        return _LOGIN_MS[work.login] / 1000
    size = work.request_bytes * _KB
    ms = _REQUEST_MS if work.values or not work.reads else 0.0
    ms += _PARSE_MS * size + _square_ms(size)
    ms += sum(_garbage_ms(value) for value in work.values if value * _KB < _PAUSING)
    ms += work.reads * _READ_MS + work.answer_bytes * _KB * _READ_KB_MS
    ms += work.deletes * _DELETE_MS
    ms += work.scanned * _SCANNED_MS
    return ms / 1000


def _square_ms(size: float) -> float:
    within = max(0.0, min(size, _SQUARE_TO) - _SQUARE_FROM)
    beyond = max(0.0, size - _SQUARE_TO)
    return _SQUARE_MS * within**2 + _BEYOND_MS * beyond


def wait_seconds(work: Work) -> float:
    """Return how long the request itself waits beside that, while the core serves others."""
    ms = _DISK_MS * work.request_bytes * _KB if work.values else 0.0
    if work.first_contact:
        ms += _REMOTE_MS
    return ms / 1000


def garbage_seconds(work: Work) -> float:
    """Return how much of a pause the request brings nearer."""
    return sum(_garbage_ms(value) for value in work.values if value * _KB >= _PAUSING) / 1000


def _garbage_ms(value: int) -> float:
    return _GARBAGE_MS * max(0.0, min(value * _KB, _MOST_GARBAGE) - _NO_GARBAGE)


def total_seconds(work: Work) -> float:
    """Return what a request takes on average when it is alone."""
    return core_seconds(work) + wait_seconds(work) + garbage_seconds(work)


def rewrite_seconds(stored_bytes: int) -> float:
    """Return how long the store takes to rewrite itself."""
    return stored_bytes * _REWRITE_SECONDS_PER_BYTE


def needs_rewrite(deletions: int, records: int) -> bool:
    """Return whether the store rewrites itself now."""
    return deletions > _REWRITE_DELETIONS and deletions > records * _REWRITE_SHARE


class Core:
    """The one core of one atServer: who asks for time gets it after those who asked before.

    It only reckons; whoever asks waits by itself.

    Args:
        rng: How long pauses are.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._free_at = 0.0
        self._garbage = 0.0
        self._pause = rng.uniform(*PAUSE_SECONDS)
        self._deletions = 0

    def serve(self, work: Work, now: float) -> float:
        """Return the time at which the answer to this request may leave."""
        self._free_at = max(self._free_at, now) + core_seconds(work)
        done = self._free_at + wait_seconds(work)
        self._garbage += garbage_seconds(work)
        # A collection stops everybody after this answer, and sometimes several are due.
        while self._garbage >= self._pause:
            self._garbage -= self._pause
            self._free_at += self._pause
            self._pause = self._rng.uniform(*PAUSE_SECONDS)
        return done

    def deleted(self, deletions: int, records: int, stored_bytes: int, now: float) -> None:
        """Take note of deletions, after which the store may rewrite itself."""
        self._deletions += deletions
        if needs_rewrite(self._deletions, records):
            self._deletions = 0
            self._free_at = max(self._free_at, now) + rewrite_seconds(stored_bytes)
