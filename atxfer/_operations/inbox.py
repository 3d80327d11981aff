"""The inbox: what others share with us, each share once, and none missed.

Rules of this file:

1. First the monitor, then the list: what is shared in between is heard, read again, and known.
   After a lost connection both are done again, in this order.
2. A notification is a hint (``_net/monitor.py``): what counts is the record. One that is not yet
   what the notification says is read again a moment later.
3. The server's own notices carry the number of its last change. Where it has moved on, the keys
   are looked through for what no notification told. The first notice of a connection does so in
   any case, and now and then everything is read again.
4. A share counts as seen when the loop asks for the next one, so that a program which fails or is
   killed gets it once more.
5. Every step that asks or waits is a transfer of the engine, so that ``close()`` and Ctrl-C end it.
   Between two steps, and while the loop's body runs, nothing is under way; no permit is held while
   listening.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Callable, Optional, TypeVar

from atxfer._catalog.received import FILE_KEYS, SealedShare
from atxfer._engine.transfer import Transfer
from atxfer._net.monitor import Monitor, Notice
from atxfer._operations import receiving
from atxfer._operations.arrivals import Arrivals, Wanted
from atxfer._operations.home import Home
from atxfer._operations.patience import Patience
from atxfer._operations.seen import Seen
from atxfer.atprotocol.atkey import AtKey
from atxfer.errors import TransferError
from atxfer.model import SharedFile
from atxfer.waiting import SYSTEM_CLOCK, Clock, Deadline

__all__ = ["Inbox"]

_log = logging.getLogger("atxfer.inbox")

T = TypeVar("T")

# The longest single step of listening, in seconds: as often as the server tells of itself.
_STEP = 15.0
# Seconds between two looks through the keys, however fast the server's changes follow each other.
_LOOK_EVERY = 15.0
# Seconds after which everything is read again: for a file that was shared once more under the key
# it had, and whose notification was lost.
_LIST_EVERY = 3600.0
# Seconds after which what was seen is written down, while shares are shown one after another.
_WRITE_EVERY = 1.0


class Inbox:
    """One look into an inbox.

    Args:
        home: Whose.
        seen: What was seen before.
        wanted: What is to be shown.
        wait: Seconds in all to go on listening; None for ever, 0 for only what is there.
        clock: The seam for fake time.

    Threads: not for sharing; any number of them may look into one inbox.
    """

    def __init__(
        self,
        home: Home,
        seen: Seen,
        wanted: Wanted,
        *,
        wait: Optional[float],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._home = home
        self._seen = seen
        self._wanted = wanted
        self._clock = clock
        self._end = Deadline.after(wait, clock)
        self._listens = wait is None or wait > 0
        self._has_heard_out = False
        self._arrivals = Arrivals(home, seen, wanted, clock)
        self._connecting = Patience(home.config, clock)
        self._monitor: Optional[Monitor] = None
        self._list_at: Optional[float] = None  # when to read everything again; None: never read
        self._look_at = 0.0  # when the keys may be looked through again
        self._change: Optional[str] = None  # the server's last one, by its number
        self._has_changed = False  # since the keys were looked through
        self._told: dict[AtKey, Optional[str]] = {}  # by notifications, to be read; and the value
        self._late: dict[AtKey, None] = {}  # told, but the record was not there yet
        self._late_at = 0.0  # when those are read again
        self._heard_ms = 0
        self._is_at_hand = False  # a share, with which the loop's body has to do
        self._written_at = clock.monotonic()

    def files(self) -> Iterator[SharedFile]:
        """Yield the shares, the oldest first of those that are known.

        Raises:
            TransferError: The own server can't be asked; while waiting, only for a cause that does
                not pass by itself. Or the server of an atSign that was named could not be asked;
                then all else was shown before.
            OSError: What was seen can't be read or written down.
        """
        try:
            while True:
                file = self._next()
                if file is None:
                    return
                self._is_at_hand = True
                yield file
                self._is_at_hand = False
                if not self._wanted.until_downloaded:
                    self._seen.mark(file)
        finally:
            self._stop_listening()
            self._write_down()

    # --- what to do next

    def _next(self) -> Optional[SharedFile]:
        """Return the next share as soon as there is one; None when the time is over."""
        while True:
            if self._clock.monotonic() - self._written_at >= _WRITE_EVERY:
                self._write_down()
            if self._monitor is not None and self._monitor.has_news and self._may_hear():
                self._listen(0.0)
            file = self._arrivals.take()
            if file is not None:
                return file
            work = self._due()
            if work is not None:
                work()
                continue
            self._write_down()
            if self._end.expired:
                self._check_complete()
                return None
            self._rest()

    def _may_hear(self) -> bool:
        """Whether there is time to listen; after the end once more, to what came before it."""
        if not self._end.expired:
            return True
        had, self._has_heard_out = self._has_heard_out, True
        return not had

    def _due(self) -> Optional[Callable[[], None]]:
        """Return what can be done now, if anything can."""
        if self._list_at is None and self._connecting.error is None:
            return self._begin  # once, however short the time
        if self._told and self._monitor is not None:
            return self._read_told
        if self._end.expired:
            return None
        if self._monitor is None:
            return self._begin if self._connecting.seconds == 0 else None
        return next((work for work, seconds in self._plans() if seconds <= 0), None)

    def _plans(self) -> Iterator[tuple[Callable[[], None], float]]:
        """Yield what is to be done beside listening, and in how many seconds."""
        now = self._clock.monotonic()
        if self._list_at is not None:
            yield self._list, self._list_at - now
        if self._has_changed:
            yield self._look, self._look_at - now
        if self._late:
            yield self._read_late, self._late_at - now
        asking = self._arrivals.seconds_to_asking
        if asking is not None:
            yield self._arrivals.ask_again, asking

    def _rest(self) -> None:
        """Listen, or sleep, until something is to be done."""
        deadline, left = self._home.config.deadline, self._end.remaining()
        times = [_STEP if deadline is None else min(_STEP, deadline / 2)]
        times += [] if left is None else [left]
        if self._monitor is None:
            times.append(self._connecting.seconds)
        else:
            times += [max(0.0, seconds) for _, seconds in self._plans()]
        self._listen(min(times))

    def _check_complete(self) -> None:
        """Raise what kept us from asking for all that there is."""
        if self._list_at is None and self._connecting.error is not None:
            raise self._connecting.error
        self._arrivals.check_asked()

    # --- connecting and listing

    def _attempted(self, body: Callable[[Transfer], T]) -> Optional[T]:
        """Do a step that needs our server; where that fails for a while, connect anew later.

        Raises:
            TransferError: It failed for good, or nobody waits.
        """
        try:
            return receiving.step(self._home, body)
        except TransferError as error:
            self._stop_listening()
            if not self._listens:
                raise
            self._connecting.failed(error)
            _log.info("inbox.interrupted reason=%s", type(error).__name__)
            return None

    def _begin(self) -> None:
        """Subscribe, then read what is there (rule 1)."""
        if self._listens:
            self._seen.load()  # since when to listen
            self._monitor = self._attempted(self._connected)
            self._change, self._has_changed = None, False
            if self._monitor is None:
                return
        self._list()

    def _connected(self, transfer: Transfer) -> Monitor:
        home, since_ms = self._home, self._seen.heard_ms
        timeout = home.config.request_timeout
        return home.call(
            transfer,
            "monitor",
            lambda wait: Monitor.open(home.pool, FILE_KEYS, since_ms, wait, timeout),
        )

    def _list(self) -> None:
        """Read everything."""
        self._seen.load()  # what other programs have seen meanwhile
        shares = self._attempted(self._copies)
        if shares is not None:
            self._list_at = self._clock.monotonic() + _LIST_EVERY
            self._arrivals.begin_anew(shares)

    def _copies(self, transfer: Transfer) -> dict[AtKey, SealedShare]:
        home = self._home
        keys = home.call(transfer, "list shares", home.received.keys)
        return receiving.copies(home, list(filter(self._wanted.includes, keys)), transfer)

    def _look(self) -> None:
        """Look for records that no notification told of (rule 3)."""
        self._has_changed = False
        self._look_at = self._clock.monotonic() + _LOOK_EVERY
        home = self._home
        keys = self._attempted(lambda transfer: home.call(transfer, "look", home.received.keys))
        for key in filter(self._wanted.includes, keys or ()):
            if not self._arrivals.knows(key):
                self._told.setdefault(key, None)

    def _stop_listening(self) -> None:
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            monitor.close()

    # --- what is told

    def _listen(self, seconds: float) -> None:
        monitor = self._monitor
        if monitor is None:
            receiving.step(self._home, lambda transfer: transfer.wait.sleep(seconds))
            return
        notices = self._attempted(lambda transfer: monitor.hear(transfer.wait, seconds))
        if notices:
            self._connecting.succeeded()  # only now: a list may do where listening does not
        for notice in notices or ():
            self._take_note(notice)

    def _take_note(self, notice: Notice) -> None:
        if notice.is_of_the_server:
            self._has_changed = self._has_changed or notice.value != self._change
            self._change = notice.value
            return
        key = self._home.received.maybe_key(notice.key)
        if key is None or not self._wanted.includes(key):
            return
        self._heard_ms = max(self._heard_ms, notice.epoch_ms)
        if notice.operation == "delete":
            self._told.pop(key, None)
            self._late.pop(key, None)
            self._arrivals.forget(key)
        elif not self._arrivals.knows_value(key, notice.value):
            self._told[key] = notice.value

    def _read_told(self) -> None:
        """Read what notifications told of; what is not there yet, a moment later (rule 2)."""
        told, self._told = self._told, {}
        shares = self._read(told)
        if shares is None:
            self._told = {**told, **self._told}
            return
        for key, value in told.items():
            share = shares.get(key)
            if share is None or (value is not None and value != share.value):
                self._late[key] = None
                self._late_at = self._clock.monotonic() + self._home.config.backoff_initial
        self._arrivals.add(shares)

    def _read_late(self) -> None:
        """Read once more what was told of; of what there is no copy, its owner's record."""
        late, self._late = self._late, {}
        shares = self._read(late)
        if shares is None:
            self._late = {**late, **self._late}
            return
        self._arrivals.add(shares)
        self._arrivals.fetch(key for key in late if key not in shares)

    def _read(self, keys: Iterable[AtKey]) -> Optional[dict[AtKey, SealedShare]]:
        home, wanted = self._home, list(keys)
        return self._attempted(lambda transfer: receiving.copies(home, wanted, transfer))

    # --- what was seen

    def _write_down(self) -> None:
        """Keep on disk what was seen, and what was heard as far as it is dealt with."""
        undone = self._told or self._late or self._is_at_hand or not self._arrivals.is_idle
        if self._wanted.leaves_none_out and not undone:
            self._seen.heard(self._heard_ms)
        self._seen.flush()
        self._written_at = self._clock.monotonic()
