"""What others share with us: copies of their manifests, on our server or on theirs.

Rules of this file:

1. The copy on our own server comes first: it is there however long ago the share was made, and
   reading it asks nobody else (facts §8).
2. What has to be asked of another's server goes through our own, and answers between servers get
   mixed up under concurrency (facts §7). So that is done one at a time in this process, and nothing
   is believed but what opens, is signed by the owner, and names the file that was asked for.
3. Keys are named here as their owner names them, ``@bob:<file id>.files.atxfer@alice``, wherever a
   record was read.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from atxfer._catalog.answers import keys_of, maybe_value, record_of
from atxfer._catalog.base import Entry
from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.sharing import open_text, unwrap_key
from atxfer._format.manifest import Manifest, Verify, is_file_id, manifest_name
from atxfer._net.records import EXPIRED, Records
from atxfer._net.relay import Relay
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import Llookup, Lookup, Mode, Scan
from atxfer.errors import (
    FileExpired,
    IntegrityError,
    ManifestInvalid,
    NotShared,
    ServerFault,
    SharedKeyUnreadable,
)
from atxfer.waiting import Wait

__all__ = ["FILE_KEYS", "Received", "SealedShare", "file_id_of"]

_log = logging.getLogger("atxfer.catalog")

# Ends of the keys of files, for a server's expressions: neither colons nor capitals (facts §5).
FILE_KEYS = r"\.files\.atxfer@"
_NAME = manifest_name("").rpartition(".")[2]  # what stands between file id and name space
# Pair keys that are kept unwrapped: unwrapping takes a millisecond, and there is one a sender.
_KEYS_KEPT = 1024


@dataclass(frozen=True)
class SealedShare:
    """A share as a server gave it, not opened and not believed yet.

    Attributes:
        key: The record's key, as its owner names it.
        value: The encrypted manifest.
        metadata: How it is encrypted, and when it ends.
    """

    key: AtKey
    value: str = field(repr=False)
    metadata: Metadata = field(repr=False)


def file_id_of(key: AtKey) -> Optional[str]:
    """Return the id of the file whose manifest lies under a key; None if it is no such key."""
    file_id, _, kind = key.name.partition(".")
    fits = key.namespace == "atxfer" and kind == _NAME and is_file_id(file_id) and key.owner
    return file_id if fits else None


class Received:
    """What others share with one atSign, as its own server gives it.

    Args:
        records: The server, by connections that are logged in as its owner.
        relay: The same, for whose turn it is to have it ask others.
        keys: The owner's keys.

    Threads: may be shared.
    """

    def __init__(self, records: Records, relay: Relay, keys: AtKeys) -> None:
        self._records = records
        self._relay = relay
        self._keys = keys
        self._unwrapped = functools.lru_cache(maxsize=_KEYS_KEPT)(self._unwrap)

    def key(self, owner: str, file_id: str) -> AtKey:
        """Return the key of a file that its owner shares with us."""
        return AtKey.shared(manifest_name(file_id), owner, self._keys.atsign)

    def maybe_key(self, text: str) -> Optional[AtKey]:
        """Return the key of a share that a notification names; None if it names something else."""
        try:
            key = AtKey.parse(text)
        except ValueError:
            return None
        return key if self._is_share(key) and not key.is_cached else None

    def _is_share(self, key: AtKey) -> bool:
        return key.recipient == self._keys.atsign and file_id_of(key) is not None

    # --- what there is

    def keys(self, wait: Wait) -> Sequence[AtKey]:
        """Return the keys of all copies on the own server, in no order."""
        regex = f"cached.{self._keys.atsign}.*{FILE_KEYS}"
        found = keys_of(self._records.ask_one(Scan(regex=regex), wait).data)
        return [replace(key, is_cached=False) for key in found if self._is_copy(key)]

    def _is_copy(self, key: AtKey) -> bool:
        return key.is_cached and self._is_share(key)

    def keys_at(self, owner: str, wait: Wait) -> Sequence[AtKey]:
        """Return the keys of what an atSign shares with us, as their server says.

        Raises:
            AtSignNotFound: There is no such atSign.
            ServerFault: Their server can't be reached by ours, or ours answered something else.
        """
        with self._relay.turn(wait):
            text = self._records.ask_one(Scan(regex=FILE_KEYS, atsign=owner), wait).data
        found = [] if text == EXPIRED else keys_of(text)
        if any(key.owner != owner for key in found):
            raise ServerFault(f"the server answered something else than what {owner} shares")
        ids = (file_id_of(key) for key in found if key.recipient in (None, self._keys.atsign))
        return [self.key(owner, file_id) for file_id in ids if file_id is not None]

    # --- one record or several

    def read_many(self, keys: Sequence[AtKey], wait: Wait) -> Mapping[AtKey, SealedShare]:
        """Return the copies on the own server, in one request; without those that are gone.

        Raises:
            TransferError: The server did not say of each whether it is there.
        """
        answers = self._records.ask([Llookup(_copy(key), Mode.ALL) for key in keys], wait)
        texts = [maybe_value(answers.get(place)) for place in range(len(keys))]
        shares: dict[AtKey, SealedShare] = {}
        for key, text in zip(keys, texts):
            try:
                if text is not None:
                    shares[key] = _sealed(key, text)
            except ManifestInvalid as error:
                _log.warning("catalog.unreadable key=%s reason=%s", key, error.message)
        return shares

    def read(self, owner: str, file_id: str, wait: Wait) -> SealedShare:
        """Return what an atSign shares with us: the copy, or else what their server has.

        Raises:
            NotShared: They don't share it with us, or not any more.
            FileExpired: Its time to live is over.
            ManifestInvalid: What is there is no record.
            TransferError: A server can't be asked.
        """
        key = self.key(owner, file_id)
        expired: Optional[FileExpired] = None
        try:
            answer = self._records.ask_one(Llookup(_copy(key), Mode.ALL), wait)
            return self._with_pair_key(_sealed(key, _current(file_id, answer)), wait)
        except KeyNotFound:
            pass
        except FileExpired as error:
            expired = error
        # The original may have been renewed without our server's having heard of it.
        try:
            return self.read_from_owner(owner, file_id, wait)
        except NotShared:
            if expired is not None:
                raise expired from None
            raise

    def read_from_owner(self, owner: str, file_id: str, wait: Wait) -> SealedShare:
        """Return what an atSign shares with us, as their server has it now.

        The answer comes through our own server, which also keeps it as its copy. It may be another
        question's answer: believe it when :meth:`open` does, and else ask again.

        Raises:
            NotShared, FileExpired, ManifestInvalid, TransferError: As :meth:`read` does.
        """
        key = self.key(owner, file_id)
        with self._relay.turn(wait):
            try:
                answer = self._records.ask_one(Lookup(key, Mode.ALL, bypass_cache=True), wait)
            except KeyNotFound as error:
                raise NotShared(f"{owner} does not share this file", file_id=file_id) from error
        return self._with_pair_key(_sealed(key, _current(file_id, answer)), wait)

    def _with_pair_key(self, share: SealedShare, wait: Wait) -> SealedShare:
        """Return a share with the pair key in it that other clients' records leave out."""
        if share.metadata.shared_key_enc is not None:
            return share
        key = AtKey.shared("shared_key", share.key.owner, self._keys.atsign, "")
        wrapped = maybe_value(self._records.ask([Llookup(_copy(key))], wait).get(0))
        if wrapped is None:
            with self._relay.turn(wait), contextlib.suppress(KeyNotFound):
                wrapped = self._records.ask_one(Lookup(key, bypass_cache=True), wait).data
        try:
            return replace(share, metadata=replace(share.metadata, shared_key_enc=wrapped))
        except ValueError as error:
            raise _unreadable(share.key) from error

    # --- what is in it

    def open(self, share: SealedShare, verify: Verify) -> Entry:
        """Open a share, and check that it is what its key says. Sends nothing.

        Args:
            share: From wherever it came.
            verify: Knows the owner's public key, as the owner's own server gives it.

        Raises:
            SharedKeyUnreadable: Its key was not encrypted for our present keys.
            ManifestInvalid: It doesn't open, is another file's, or is not signed by its owner.
        """
        file_id = file_id_of(share.key) or ""
        wrapped = share.metadata.shared_key_enc
        try:
            if wrapped is None:
                raise IntegrityError("it names no key")
            key = self._unwrapped(wrapped)
        except IntegrityError as error:
            raise _unreadable(share.key).with_context(file_id=file_id) from error
        try:
            text = open_text(key, share.value, share.metadata.iv_nonce)
        except IntegrityError as error:
            what = "the manifest doesn't open with the key that came with it"
            raise ManifestInvalid(what, file_id=file_id) from error
        manifest = Manifest.from_text(
            text, verify, expected_owner=share.key.owner, expected_file_id=file_id
        )
        return Entry(manifest, share.metadata.expires_at)

    def _unwrap(self, wrapped: str) -> bytes:
        return unwrap_key(wrapped, self._keys.encryption_private)


def _copy(key: AtKey) -> AtKey:
    return replace(key, is_cached=True)


def _current(file_id: str, answer: Answer) -> str:
    if answer.data == EXPIRED:
        raise FileExpired("this file's time to live is over", file_id=file_id)
    return answer.data


def _sealed(key: AtKey, text: str) -> SealedShare:
    value, metadata = record_of(text, file_id_of(key) or "")
    return SealedShare(key, value, metadata)


def _unreadable(key: AtKey) -> SharedKeyUnreadable:
    return SharedKeyUnreadable(
        f"what {key.owner} shares here was not encrypted for our present keys",
        remedy=f"Ask {key.owner} to share it again, or use the key file it was shared for.",
    )
