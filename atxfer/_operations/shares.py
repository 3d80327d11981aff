"""Sharing one's own files with other atSigns (docs/format.md, "Sharing")."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional

from atxfer._catalog.base import Entry
from atxfer._crypto.public_key import PublicKey
from atxfer._engine.transfer import Transfer
from atxfer._format.manifest import COMPLETE, Manifest
from atxfer._operations.home import Home
from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.errors import FileNotFound, SharingFailed, TransferError
from atxfer.waiting import Wait

__all__ = [
    "checked_recipients",
    "extend",
    "public_keys",
    "recipients",
    "renew",
    "share",
    "share_own",
    "unshare",
]

# One request names so many copies, at the most, to delete or extend them: 1.5 KB each.
_COPIES_PER_REQUEST = 64


def checked_recipients(home: Home, names: Iterable[str]) -> Sequence[str]:
    """Return atSigns in their one form, each once, in the order they came.

    Raises:
        ValueError: One is no atSign, or our own.
        TypeError: They are one text, not a list of them.
    """
    if isinstance(names, str):
        raise TypeError(f"share_with takes a list of atSigns: [{names!r}]")
    atsigns = dict.fromkeys(normalise_atsign(name) for name in names)
    if home.owner in atsigns:
        raise ValueError(f"{home.owner} can't share with itself: the file is its own already")
    return list(atsigns)


def public_keys(home: Home, atsigns: Sequence[str], transfer: Transfer) -> Mapping[str, PublicKey]:
    """Return the public keys of atSigns as they are now, each asked of its own server.

    Raises:
        AtSignNotFound: There is no such atSign.
        PublicKeyInvalid: What lies there is no key.
        TransferError: A server can't be asked.
    """

    def ask(atsign: str, wait: Wait) -> PublicKey:
        return home.peers.peer(atsign).read_public_key(wait)

    keys = home.engine.for_each(
        home.destination,
        atsigns,
        ask,
        transfer,
        name="public key",
        at=lambda atsign: home.peers.peer(atsign).destination,
    )
    return dict(zip(atsigns, keys))


def share(
    home: Home,
    manifest: Manifest,
    keys: Mapping[str, PublicKey],
    ttl: Optional[float],
    transfer: Transfer,
) -> None:
    """Share a complete file with the owners of these public keys.

    One that fails does not keep the others from theirs.

    Raises:
        SharingFailed: With some it is not shared.
    """
    shared_at = time.time()

    def write(public: PublicKey, wait: Wait) -> None:
        pair = home.pair_keys.obtain(public, wait)
        home.shares.write(manifest, shared_at, pair, ttl, wait)

    ends = home.engine.outcomes(
        home.destination, list(keys.values()), write, transfer, name="share"
    )
    failures = {atsign: end for atsign, end in zip(keys, ends) if isinstance(end, TransferError)}
    if failures:
        raise SharingFailed.of(failures, file=manifest.name, file_id=manifest.file_id)


def share_own(home: Home, file_id: str, atsigns: Sequence[str], transfer: Transfer) -> None:
    """Share a file that was uploaded earlier."""
    entry = home.entry(transfer, file_id)
    if entry.manifest.state != COMPLETE:
        raise FileNotFound("the upload of this file has not ended", file_id=file_id)
    keys = public_keys(home, atsigns, transfer)
    share(home, entry.manifest, keys, _seconds_left(entry), transfer)


def _seconds_left(entry: Entry) -> Optional[float]:
    """Return how long a copy of a manifest is to live: as long as the manifest."""
    return None if entry.expires_at is None else max(1.0, entry.expires_at - time.time())


def recipients(home: Home, file_id: str, transfer: Transfer) -> Sequence[str]:
    """Return with whom a file is shared."""
    return home.call(transfer, "recipients", lambda wait: home.shares.recipients(file_id, wait))


def unshare(home: Home, file_id: str, atsigns: Sequence[str], transfer: Transfer) -> None:
    """Share a file no longer with these atSigns; with all, if there are none named."""
    gone = atsigns or recipients(home, file_id, transfer)

    def remove(part: Sequence[str], wait: Wait) -> None:
        home.shares.remove(file_id, part, wait)

    home.engine.for_each(home.destination, _parts(gone), remove, transfer, name="unshare")


def extend(home: Home, file_id: str, ttl: float, transfer: Transfer) -> None:
    """Let all copies of a manifest live so many seconds from now."""

    def renew(part: Sequence[str], wait: Wait) -> None:
        home.shares.extend(file_id, part, ttl, wait)

    parts = _parts(recipients(home, file_id, transfer))
    home.engine.for_each(home.destination, parts, renew, transfer, name="extend shares")


def renew(home: Home, manifest: Manifest, ttl: float, transfer: Transfer) -> None:
    """Write all copies of a manifest that has changed anew; they stay the shares they are."""
    keys = public_keys(home, recipients(home, manifest.file_id, transfer), transfer)

    def write(public: PublicKey, wait: Wait) -> None:
        pair = home.pair_keys.obtain(public, wait)
        home.shares.renew(manifest, pair, ttl, wait)

    home.engine.for_each(
        home.destination, list(keys.values()), write, transfer, name="extend shares"
    )


def _parts(atsigns: Sequence[str]) -> list[Sequence[str]]:
    step = _COPIES_PER_REQUEST
    return [atsigns[start : start + step] for start in range(0, len(atsigns), step)]
