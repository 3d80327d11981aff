"""Link records on the owner's server, and the note of each link's key (docs/format.md, "Links").

A hidden record is in no scan, and its key is in the link alone; so the owner keeps a note of it, a
self key, by which the same link is given again instead of a second one that nobody can revoke.
"""

from __future__ import annotations

import json
from typing import Optional

from atxfer._catalog.answers import check_stored, maybe_value, record_of
from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.primitives import AES_KEY_BYTES, CryptoError, base64_decode, base64_encode
from atxfer._crypto.sharing import open_self, seal_self
from atxfer._format.link import Link, link_name, link_note_name
from atxfer._format.manifest import Manifest
from atxfer._net.records import Records, ttl_ms
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import Delete, Llookup, Mode, Update
from atxfer.errors import IntegrityError
from atxfer.waiting import Wait

__all__ = ["AtServerLinks"]


class AtServerLinks:
    """The links to one atSign's files, on its own server.

    Args:
        records: The server, by connections that are logged in as its owner.
        keys: The owner's keys.
    """

    def __init__(self, records: Records, keys: AtKeys) -> None:
        self._records = records
        self._keys = keys

    def find(self, file_id: str, wait: Wait) -> Optional[Link]:
        """Return the link of a file, or None if it has none.

        A note that can't be read counts as none: its link is replaced, and opens nothing any more.
        """
        try:
            reply = self._records.ask_one(Llookup(self._note_key(file_id), Mode.ALL), wait)
        except KeyNotFound:
            return None
        text = maybe_value(reply)
        if text is None:
            return None
        try:
            value, metadata = record_of(text, file_id)
            note = json.loads(open_self(self._keys, value, metadata.iv_nonce))
            key = base64_decode(note["key"])
        except (IntegrityError, CryptoError, ValueError, KeyError, TypeError):
            return None
        return Link(self._keys.atsign, file_id, key) if len(key) == AES_KEY_BYTES else None

    def write(self, link: Link, manifest: Manifest, ttl: Optional[float], wait: Wait) -> None:
        """Let a link lead to a file for so many seconds; None is for ever."""
        note, iv_nonce = seal_self(self._keys, json.dumps({"key": base64_encode(link.key)}))
        noted = Metadata(ttl_ms=ttl_ms(ttl), is_encrypted=True, iv_nonce=iv_nonce)
        sealed = link.seal(manifest.to_text(self._keys.sign_data))
        updates = [
            Update(self._note_key(link.file_id), note, noted),
            Update(self._link_key(link.file_id), sealed, Metadata(ttl_ms=ttl_ms(ttl))),
        ]
        answers = self._records.ask(updates, wait)
        for place in range(len(updates)):
            check_stored(answers.get(place))

    def remove(self, file_id: str, wait: Wait) -> None:
        """Let the link of a file lead nowhere, there or not."""
        deletes = [Delete(self._link_key(file_id)), Delete(self._note_key(file_id))]
        answers = self._records.ask(deletes, wait)
        for place in range(len(deletes)):
            check_stored(answers.get(place))

    def _link_key(self, file_id: str) -> AtKey:
        return AtKey.public(link_name(file_id), self._keys.atsign)

    def _note_key(self, file_id: str) -> AtKey:
        return AtKey.self_(link_note_name(file_id), self._keys.atsign)
