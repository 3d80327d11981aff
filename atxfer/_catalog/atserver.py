"""Manifests on an atServer: self keys, encrypted and signed, that any client of the owner reads."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Optional

from atxfer._catalog.answers import check_stored, keys_of, record_of
from atxfer._catalog.base import Entry
from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.sharing import open_self, seal_self
from atxfer._format.manifest import Manifest, is_file_id, manifest_name
from atxfer._net.records import EXPIRED, Records, ttl_ms
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import Delete, Llookup, Mode, Scan, Update, UpdateMeta
from atxfer.errors import (
    FileExpired,
    FileNotFound,
    IntegrityError,
    ManifestInvalid,
)
from atxfer.waiting import Wait

__all__ = ["AtServerCatalog"]

_log = logging.getLogger("atxfer.catalog")


class AtServerCatalog:
    """The manifests of one atSign, on its own server, by its owner.

    Args:
        records: The server, by connections that are logged in as its owner.
        keys: The owner's keys.
    """

    def __init__(self, records: Records, keys: AtKeys) -> None:
        self._records = records
        self._keys = keys

    def write(self, manifest: Manifest, ttl: Optional[float], wait: Wait) -> None:
        """Write a manifest, over an earlier one of the same file; ttl in seconds."""
        value, iv_nonce = seal_self(self._keys, manifest.to_text(self._keys.sign_data))
        # An update keeps the old record's ttl and ivNonce where it names none (facts §5).
        metadata = Metadata(ttl_ms=ttl_ms(ttl), is_encrypted=True, iv_nonce=iv_nonce)
        update = Update(self._key(manifest.file_id), value, metadata)
        check_stored(self._records.ask_one(update, wait))

    def read(self, file_id: str, wait: Wait) -> Entry:
        """Return one file's entry."""
        try:
            answer = self._records.ask_one(Llookup(self._key(file_id), Mode.ALL), wait)
        except KeyNotFound as error:
            raise FileNotFound("there is no file of this id", file_id=file_id) from error
        return self._entry(file_id, answer)

    def read_many(self, file_ids: Sequence[str], wait: Wait) -> Mapping[str, Entry]:
        """Return the entries of those files that have a valid one, in one request."""
        answers = self._records.ask(
            [Llookup(self._key(file_id), Mode.ALL) for file_id in file_ids], wait
        )
        entries: dict[str, Entry] = {}
        for place, file_id in enumerate(file_ids):
            answer = answers.get(place)
            try:
                if isinstance(answer, Answer):
                    entries[file_id] = self._entry(file_id, answer)
            except FileExpired:
                continue
            except IntegrityError as error:
                _log.warning("catalog.unreadable file_id=%s reason=%s", file_id, error.message)
        return entries

    def file_ids(self, wait: Wait) -> Sequence[str]:
        """Return the ids of all files, in no order.

        The server filters by a regular expression that must not hold a colon (facts §5), so keys
        shared with others match as well and are left out here.
        """
        suffix = str(self._key("x"))[1:]
        answer = self._records.ask_one(Scan(regex=suffix.replace(".", r"\.") + "$"), wait)
        keys = keys_of(answer.data)
        ids = (key.entity.partition(".")[0] for key in keys if str(key) == key.plain)
        return [file_id for file_id in ids if is_file_id(file_id)]

    def extend(self, file_id: str, ttl: float, wait: Wait) -> None:
        """Let a manifest live so many seconds from now."""
        # isEncrypted would fall to false where it isn't named (facts §5).
        metadata = Metadata(ttl_ms=ttl_ms(ttl), is_encrypted=True)
        try:
            self._records.ask_one(UpdateMeta(self._key(file_id), metadata), wait)
        except KeyNotFound as error:
            raise FileNotFound("there is no file of this id", file_id=file_id) from error

    def remove(self, file_id: str, wait: Wait) -> None:
        """Remove a manifest; the server doesn't mind one that is not there."""
        self._records.ask_one(Delete(self._key(file_id)), wait)

    def _key(self, file_id: str) -> AtKey:
        return AtKey.self_(manifest_name(file_id), self._keys.atsign)

    def _entry(self, file_id: str, answer: Answer) -> Entry:
        if answer.data == EXPIRED:
            raise FileExpired("this file's time to live is over", file_id=file_id)
        value, metadata = record_of(answer.data, file_id)
        try:
            text = open_self(self._keys, value, metadata.iv_nonce)
        except IntegrityError as error:
            what = "the manifest doesn't open with the owner's key"
            raise ManifestInvalid(what, file_id=file_id) from error
        manifest = Manifest.from_text(
            text,
            self._keys.verify_data,
            expected_owner=self._keys.atsign,
            expected_file_id=file_id,
        )
        return Entry(manifest, metadata.expires_at, metadata.updated_at)
