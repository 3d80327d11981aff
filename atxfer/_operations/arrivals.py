"""Shares on their way from a record that was read to the loop that shows them.

What can't be verified is neither shown nor seen. If that is only because its owner's server is not
there, it waits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Callable, Optional, TypeVar, Union

from atxfer._catalog.base import Entry
from atxfer._catalog.received import SealedShare
from atxfer._engine.transfer import Transfer
from atxfer._format.manifest import COMPLETE
from atxfer._operations import receiving
from atxfer._operations.home import Home
from atxfer._operations.patience import Patience
from atxfer._operations.seen import Seen
from atxfer.atprotocol.atkey import AtKey, normalise_atsign
from atxfer.errors import Cancelled, DeadlineExceeded, IntegrityError, NotFound, TransferError
from atxfer.model import SharedFile
from atxfer.waiting import Clock

__all__ = ["Arrivals", "Wanted"]

_log = logging.getLogger("atxfer.inbox")

T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """Which shares a caller wants to see.

    Attributes:
        since: Only those made since, in epoch seconds; None for all.
        owners: Only what these atSigns share, and their servers are asked as well; none for all.
        include_seen: Those that were seen before, too.
        until_downloaded: What was downloaded counts as seen, and nothing else.
    """

    since: Optional[float] = None
    owners: tuple[str, ...] = ()
    include_seen: bool = False
    until_downloaded: bool = False

    @classmethod
    def of(
        cls,
        since: Optional[float],
        from_: Union[str, Iterable[str]],
        *,
        include_seen: bool,
        until_downloaded: bool,
    ) -> Wanted:
        """Return what arguments ask for.

        Raises:
            ValueError: One is no atSign.
        """
        names = [from_] if isinstance(from_, str) else from_
        owners = tuple(dict.fromkeys(normalise_atsign(name) for name in names))
        return cls(since, owners, include_seen, until_downloaded)

    @property
    def leaves_none_out(self) -> bool:
        """Whether whatever comes is shown, by whomever and of whenever it is."""
        return self.since is None and not self.owners

    def includes(self, key: AtKey) -> bool:
        """Whether a share under this key may be one of them."""
        return not self.owners or key.owner in self.owners


class Arrivals:
    """The shares that one look into the inbox has come across.

    Args:
        home: Whose inbox.
        seen: What was seen before.
        wanted: What is to be shown.
        clock: The seam for fake time.

    Threads: not for sharing.
    """

    def __init__(self, home: Home, seen: Seen, wanted: Wanted, clock: Clock) -> None:
        self._home = home
        self._seen = seen
        self._wanted = wanted
        self._asking = Patience(home.config, clock)
        # By key:
        self._values: dict[AtKey, int] = {}  # what was read, as a hash of its value
        self._waiting: dict[AtKey, SealedShare] = {}  # their owners' servers don't answer
        self._ready: dict[AtKey, SharedFile] = {}  # to be shown
        self._is_in_order = True  # whether those stand with the oldest first
        self._shown: dict[AtKey, float] = {}  # and when that was shared
        # By owner, and why:
        self._unreached: dict[str, TransferError] = {}  # those of what waits
        self._unasked: dict[str, TransferError] = {}  # what they share could not be asked for

    # --- what is known

    def knows(self, key: AtKey) -> bool:
        """Whether a record was read, whatever came of it."""
        return key in self._values

    def knows_value(self, key: AtKey, value: Optional[str]) -> bool:
        """Whether a record was read as it is told now; not if its value isn't told."""
        return value is not None and self._values.get(key) == hash(value)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be shown or to be verified."""
        return not (self._ready or self._waiting)

    @property
    def seconds_to_asking(self) -> Optional[float]:
        """In how long to :meth:`ask_again`; None if everybody has answered."""
        return self._asking.seconds if self._waiting or self._unasked else None

    def check_asked(self) -> None:
        """Return if all those whose servers were to be asked have been.

        Raises:
            TransferError: Why one was not.
        """
        for owner in self._wanted.owners:
            if owner in self._unasked:
                raise self._unasked[owner]

    # --- what comes in

    def begin_anew(self, shares: Mapping[AtKey, SealedShare]) -> None:
        """Take in all copies there are, and what those say whose servers are to be asked."""
        owners = self._wanted.owners
        self._values, self._waiting, self._ready, self._unreached = {}, {}, {}, {}
        # Never forgotten while its share can come again.
        self._shown = {
            key: at for key, at in self._shown.items() if key in shares or key.owner in owners
        }
        self.add(shares)
        self._ask(owners)

    def add(self, shares: Mapping[AtKey, SealedShare]) -> None:
        """Take in copies that were read."""
        self._values.update((key, hash(share.value)) for key, share in shares.items())
        self._open(shares)
        self._plan()

    def fetch(self, keys: Iterable[AtKey]) -> None:
        """Read shares that our server has no copies of."""
        for key in keys:
            self._fetch(key)
        self._plan()

    def forget(self, key: AtKey) -> None:
        """Drop a share that its owner has taken back, unless it was shown already."""
        known: tuple[MutableMapping[AtKey, Any], ...]
        known = (self._values, self._waiting, self._ready)
        for shares in known:
            shares.pop(key, None)

    def ask_again(self) -> None:
        """Try once more to verify, and to ask, what could not be."""
        self._open(dict(self._waiting))
        self._ask(list(self._unasked), once=True)

    # --- owners' servers

    def _run(self, body: Callable[[Transfer], T]) -> T:
        return receiving.step(self._home, body)

    def _ask(self, owners: Iterable[str], *, once: bool = False) -> None:
        """Look for what atSigns share with us that our server has no copies of."""
        for owner in owners:
            self._ask_owner(owner, once)
        self._plan()

    def _ask_owner(self, owner: str, once: bool) -> None:
        home = self._home
        try:
            keys = self._run(lambda transfer: receiving.keys_at(home, owner, transfer, once=once))
        except TransferError as error:
            self._put_off(owner, error)
            return
        self._unasked.pop(owner, None)
        for key in keys:
            if not self.knows(key):
                self._fetch(key)

    def _fetch(self, key: AtKey) -> None:
        try:
            entry = self._run(lambda transfer: receiving.from_owner(self._home, key, transfer))
        except NotFound:
            pass  # it is not shared any more
        except IntegrityError as error:
            _refuse(key, error)
        except TransferError as error:
            self._put_off(key.owner, error)
            return
        else:
            self._offer(key, entry)
        self._values.setdefault(key, 0)  # read, whatever it was

    def _put_off(self, owner: str, error: TransferError) -> None:
        """Leave an owner's server for another time, unless we have been ended ourselves."""
        if isinstance(error, (Cancelled, DeadlineExceeded)):
            raise error
        if owner not in self._unasked:
            _log.warning("inbox.not_asked owner=%s reason=%s", owner, type(error).__name__)
        self._unasked[owner] = error

    def _plan(self) -> None:
        """Decide when to ask again those that could not be asked."""
        errors = [*self._unreached.values(), *self._unasked.values()]
        if not errors:
            self._asking.succeeded()
        elif self._asking.seconds == 0:
            self._asking.put_off(errors[0])

    # --- what is shown

    def _open(self, shares: Mapping[AtKey, SealedShare]) -> None:
        """Open shares, and make ready what is to be shown."""
        if not shares:
            return
        done = self._run(lambda transfer: receiving.opened(self._home, shares.values(), transfer))
        for key in shares:
            self._waiting.pop(key, None)
        self._waiting.update(done.waiting)
        for key, error in done.refused.items():
            _refuse(key, error)
        self._note_unreached(done.unreached)
        for key, entry in done.entries.items():
            self._offer(key, entry)

    def _note_unreached(self, unreached: Mapping[str, TransferError]) -> None:
        """Keep, and tell once, why shares wait."""
        counts: dict[str, int] = {}
        for key in self._waiting:
            counts[key.owner] = counts.get(key.owner, 0) + 1
        for owner in set(unreached) - set(self._unreached):
            reason = type(unreached[owner]).__name__
            _log.warning(
                "inbox.unverified owner=%s shares=%d reason=%s", owner, counts[owner], reason
            )
        known = {**self._unreached, **unreached}
        self._unreached = {owner: known[owner] for owner in known if owner in counts}

    def _offer(self, key: AtKey, entry: Entry) -> None:
        """Make a share ready, if it is one that is wanted and new."""
        file, since = entry.shared_file(), self._wanted.since
        if entry.manifest.state != COMPLETE or (since is not None and file.shared_at < since):
            return
        if self._shown.get(key) == file.shared_at and not self._comes_again(file):
            return
        self._seen.met(file)
        if self._is_new(file):
            self._ready[key] = file
            self._is_in_order = False

    def _comes_again(self, file: SharedFile) -> bool:
        """Whether a share was shown in vain: its download has failed."""
        return self._wanted.until_downloaded and file not in self._seen

    def _is_new(self, file: SharedFile) -> bool:
        return self._wanted.include_seen or file not in self._seen

    def take(self) -> Optional[SharedFile]:
        """Take the share that is to be shown next, the oldest; None if there is none now."""
        if not self._is_in_order:
            self._ready = dict(sorted(self._ready.items(), key=lambda item: item[1].shared_at))
            self._is_in_order = True
        while self._ready:
            key = next(iter(self._ready))
            file = self._ready.pop(key)
            if self._is_new(file):  # it may have been downloaded meanwhile, by another thread
                self._shown[key] = file.shared_at
                return file
        return None


def _refuse(key: AtKey, error: TransferError) -> None:
    _log.warning("inbox.refused key=%s reason=%s", key, error.message)
