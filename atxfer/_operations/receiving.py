"""What others share with us: read from our server, believed when its owner's key says so.

The owner's public key is asked of the owner's own server (design §7); everything that belongs to
one owner is judged with it at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Callable, TypeVar, Union

from atxfer._catalog.base import Entry
from atxfer._catalog.received import SealedShare, file_id_of
from atxfer._crypto.public_key import PublicKey
from atxfer._engine.transfer import Transfer
from atxfer._operations.home import Home
from atxfer.atprotocol.atkey import AtKey
from atxfer.errors import (
    Cancelled,
    IntegrityError,
    ManifestInvalid,
    NotFound,
    RetryableError,
    TransferError,
)
from atxfer.waiting import Wait

__all__ = ["Opened", "copies", "from_owner", "keys_at", "opened", "shared_entry", "step"]

T = TypeVar("T")

# Shares are read so many to a request: each is about 2 KB of answer.
_SHARES_PER_REQUEST = 64
# How often what goes through our own server is asked before it counts as wrong: under load three
# of four answers were another question's (facts §7).
_TRIES = 3
# Copies that don't open, and are asked for again of their owner's server, in one go: each costs up
# to three requests one after another, and whoever shares nonsense with us must not choose how many.
_SECOND_LOOKS = 16

_MIXED_UP = (
    "Try again later: answers between servers get mixed up under load. If it stays so, ask its"
    " owner to share it again."
)


@dataclass
class Opened:
    """What became of shares that were to be opened.

    Attributes:
        entries: Those that are what their keys say.
        waiting: Those whose owner's server could not be asked now.
        refused: Those that can't be believed, and why.
        unreached: Why an owner's server could not be asked.
    """

    entries: dict[AtKey, Entry] = field(default_factory=dict)
    waiting: dict[AtKey, SealedShare] = field(default_factory=dict)
    refused: dict[AtKey, TransferError] = field(default_factory=dict)
    unreached: dict[str, TransferError] = field(default_factory=dict)


def step(home: Home, body: Callable[[Transfer], T]) -> T:
    """Run one step of a longer look into the inbox, in the calling thread.

    Raises:
        Cancelled: The client was closed, during the step or between two.
        TransferError: What ``body`` failed with.
    """
    try:
        return home.engine.run(body, "inbox")
    except ValueError as error:
        if not home.engine.is_closed:
            raise
        raise Cancelled("the client was closed") from error


def copies(home: Home, keys: Sequence[AtKey], transfer: Transfer) -> dict[AtKey, SealedShare]:
    """Return the copies that our server has of these records."""
    step = _SHARES_PER_REQUEST
    groups = [keys[start : start + step] for start in range(0, len(keys), step)]
    found = home.engine.for_each(
        home.destination, groups, home.received.read_many, transfer, name="shares"
    )
    return {key: share for shares in found for key, share in shares.items()}


def keys_at(home: Home, owner: str, transfer: Transfer, *, once: bool = False) -> Sequence[AtKey]:
    """Return the keys of what an atSign shares with us, as their server says.

    Args:
        home: Whose inbox.
        owner: The other atSign.
        transfer: For whom.
        once: Whether it is tried only once, because it will be asked again later. For as long as a
            server is away, its absence must not use up the retries of requests to our own.

    Raises:
        TransferError: It can't be asked.
    """

    def ask(wait: Wait) -> Union[Sequence[AtKey], RetryableError]:
        try:
            return home.received.keys_at(owner, wait)
        except RetryableError as error:
            if not once:
                raise
            return error

    answer = home.call(transfer, "scan", ask)
    if isinstance(answer, RetryableError):
        raise answer
    return answer


def opened(home: Home, shares: Iterable[SealedShare], transfer: Transfer) -> Opened:
    """Open shares, of any number of owners; one that can't be opened doesn't disturb the others.

    Raises:
        Cancelled, DeadlineExceeded: As :meth:`Wait.check` does.
    """
    shares = list(shares)
    owners = list(dict.fromkeys(share.key.owner for share in shares))
    known = {owner for owner in owners if home.peers.peer(owner).last_public_key is not None}
    keys = _public_keys(home, owners, transfer)
    done = Opened()
    doubtful: list[SealedShare] = []
    for share in shares:
        transfer.wait.check()
        key = keys[share.key.owner]
        if isinstance(key, TransferError):
            _put_off(share, key, done)
        elif not _has_opened(home, share, key, done):
            doubtful.append(share)
    changed = {share.key.owner for share in doubtful} & known
    fresh = _changed_keys(home, changed, keys, transfer)
    doubtful = [
        share
        for share in doubtful
        if share.key.owner not in fresh
        or not _has_opened(home, share, fresh[share.key.owner], done)
    ]
    for share in doubtful[:_SECOND_LOOKS]:
        _look_again(home, share, done, transfer)
    return done


def _public_keys(
    home: Home, owners: Sequence[str], transfer: Transfer
) -> Mapping[str, Union[PublicKey, TransferError]]:
    """Return the public keys of owners, side by side; those that are known are not asked for."""

    def ask(owner: str, wait: Wait) -> PublicKey:
        peer = home.peers.peer(owner)
        return peer.last_public_key or peer.read_public_key(wait)

    keys = home.engine.outcomes(
        home.destination,
        owners,
        ask,
        transfer,
        name="public key",
        at=lambda owner: home.peers.peer(owner).destination,
    )
    return dict(zip(owners, keys))


def _changed_keys(
    home: Home,
    owners: Iterable[str],
    keys: Mapping[str, Union[PublicKey, TransferError]],
    transfer: Transfer,
) -> Mapping[str, PublicKey]:
    """Return the public keys of those owners that have another one than they had."""
    changed: dict[str, PublicKey] = {}
    for owner in owners:
        before = keys[owner]
        try:
            now = home.peers.peer(owner).public_key(transfer)
        except TransferError:
            transfer.wait.check()
            continue
        if isinstance(before, PublicKey) and now.checksum != before.checksum:
            changed[owner] = now
    return changed


def _put_off(share: SealedShare, error: TransferError, done: Opened) -> None:
    if error.retryable:
        done.waiting[share.key] = share
        done.unreached[share.key.owner] = error
    else:
        done.refused[share.key] = error


def _has_opened(home: Home, share: SealedShare, key: PublicKey, done: Opened) -> bool:
    try:
        done.entries[share.key] = home.received.open(share, key.verify)
    except IntegrityError as error:
        done.refused[share.key] = error
        return False
    done.refused.pop(share.key, None)
    return True


def _look_again(home: Home, share: SealedShare, done: Opened, transfer: Transfer) -> None:
    """Ask the owner's server for what our copy of it is not."""
    try:
        entry = from_owner(home, share.key, transfer)
    except NotFound:
        del done.refused[share.key]  # it is shared no more: nothing is amiss
    except TransferError as error:
        transfer.wait.check()
        if error.retryable:
            del done.refused[share.key]
            _put_off(share, error, done)
    else:
        del done.refused[share.key]
        done.entries[share.key] = entry


def from_owner(home: Home, key: AtKey, transfer: Transfer) -> Entry:
    """Return what an atSign shares with us, as their server has it now.

    It is asked for through our own server, and again where the answer is not what was asked for.

    Raises:
        NotShared: They don't share it with us, or not any more.
        FileExpired: Its time to live is over.
        ManifestInvalid: No answer was what was asked for.
        TransferError: A server can't be asked.
    """
    file_id = file_id_of(key) or ""
    for _ in range(_TRIES):
        try:
            share = home.call(
                transfer,
                "share",
                lambda wait: home.received.read_from_owner(key.owner, file_id, wait),
            )
            return _verified(home, share, transfer)
        except IntegrityError as error:
            last = error
    what = f"what {key.owner} shares here is not what the servers gave: {last.message}"
    raise ManifestInvalid(what, file_id=file_id, remedy=_MIXED_UP) from last


def shared_entry(home: Home, owner: str, file_id: str, transfer: Transfer) -> Entry:
    """Return what an atSign shares with us, verified: our server's copy, or what theirs has.

    Raises:
        NotShared, FileExpired, ManifestInvalid, TransferError: As :func:`from_owner` does.
    """
    try:
        share = home.call(transfer, "share", lambda wait: home.received.read(owner, file_id, wait))
        return _verified(home, share, transfer)
    except IntegrityError:
        return from_owner(home, home.received.key(owner, file_id), transfer)


def _verified(home: Home, share: SealedShare, transfer: Transfer) -> Entry:
    """Open a share with its owner's public key: as it is known, or else as it is now."""
    peer = home.peers.peer(share.key.owner)
    known = peer.last_public_key
    if known is not None:
        try:
            return home.received.open(share, known.verify)
        except ManifestInvalid:
            if peer.public_key(transfer).checksum == known.checksum:
                raise
    return home.received.open(share, peer.known_public_key(transfer).verify)
