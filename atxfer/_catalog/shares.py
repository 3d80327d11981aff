"""What is shared of one's own files: a copy of the manifest for each recipient (docs/format.md).

One record a recipient and file, which is one notification; the recipient's own server keeps a copy
that goes when ours goes (``ttr:-1:ccd:true``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from atxfer._catalog.answers import check_stored, keys_of, maybe_value, record_of
from atxfer._catalog.pairkeys import PairKey
from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.sharing import open_text, seal_text
from atxfer._format.manifest import Manifest, manifest_name
from atxfer._net.records import Records, ttl_ms
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import Delete, Llookup, Mode, Scan, Update
from atxfer.waiting import Wait

__all__ = ["AtServerShares"]


class AtServerShares:
    """The copies of one atSign's manifests for others, on its own server.

    Args:
        records: The server, by connections that are logged in as its owner.
        keys: The owner's keys.
    """

    def __init__(self, records: Records, keys: AtKeys) -> None:
        self._records = records
        self._keys = keys

    def write(
        self, manifest: Manifest, shared_at: float, pair: PairKey, ttl: Optional[float], wait: Wait
    ) -> None:
        """Write the copy for one recipient, over an earlier one.

        Args:
            manifest: Of a complete file.
            shared_at: Epoch seconds; what tells this share from an earlier one.
            pair: The key shared with the recipient.
            ttl: Seconds the copy is to live, or None for ever.
            wait: Cancellation and deadline of the transfer this is for.
        """
        text = replace(manifest, shared_at=shared_at).to_text(self._keys.sign_data)
        value, iv_nonce = seal_text(pair.key, text)
        metadata = Metadata(
            ttl_ms=ttl_ms(ttl),
            ttr_s=-1,
            ccd=True,
            is_encrypted=True,
            shared_key_enc=pair.wrapped,
            pub_key_cs=pair.checksum,
            iv_nonce=iv_nonce,
        )
        key = self._key(manifest.file_id, pair.recipient)
        check_stored(self._records.ask_one(Update(key, value, metadata), wait))

    def renew(self, manifest: Manifest, pair: PairKey, ttl: Optional[float], wait: Wait) -> None:
        """Write the copy for one recipient anew, as a share of the time it was; gone stays gone."""
        file_id = manifest.file_id
        key = self._key(file_id, pair.recipient)
        text = maybe_value(self._records.ask([Llookup(key, Mode.ALL)], wait).get(0))
        if text is None:
            return
        value, metadata = record_of(text, file_id)
        known = Manifest.from_text(
            open_text(pair.key, value, metadata.iv_nonce),
            self._keys.verify_data,
            expected_owner=self._keys.atsign,
            expected_file_id=file_id,
        )
        shared_at = known.shared_at if known.shared_at is not None else known.created_at
        self.write(manifest, shared_at, pair, ttl, wait)

    def recipients(self, file_id: str, wait: Wait) -> Sequence[str]:
        """Return with whom a file is shared, in the order of their names."""
        regex = rf"{manifest_name(file_id)}.atxfer{self._keys.atsign}$".replace(".", r"\.")
        keys = keys_of(self._records.ask_one(Scan(regex=regex), wait).data)
        return sorted(key.recipient for key in keys if key.recipient and not key.is_cached)

    def remove(self, file_id: str, recipients: Sequence[str], wait: Wait) -> None:
        """Remove the copies for these recipients, in one request, there or not."""
        deletes = [Delete(self._key(file_id, recipient)) for recipient in recipients]
        answers = self._records.ask(deletes, wait)
        for place in range(len(deletes)):
            check_stored(answers.get(place))

    def extend(self, file_id: str, recipients: Sequence[str], ttl: float, wait: Wait) -> None:
        """Let copies live so many seconds from now; those that are gone stay gone.

        They are written again as they are: the copies of the recipients' servers follow an update
        of the value.
        """
        reads = [Llookup(self._key(file_id, recipient), Mode.ALL) for recipient in recipients]
        answers = self._records.ask(reads, wait)
        texts = [maybe_value(answers.get(place)) for place in range(len(reads))]
        updates = [
            self._extended(read.key, text, file_id, ttl)
            for read, text in zip(reads, texts)
            if text is not None
        ]
        if updates:
            answers = self._records.ask(updates, wait)
        for place in range(len(updates)):
            check_stored(answers.get(place))

    def _extended(self, key: AtKey, text: str, file_id: str, ttl: float) -> Update:
        value, known = record_of(text, file_id)
        metadata = Metadata(
            ttl_ms=ttl_ms(ttl),
            ttr_s=-1,
            ccd=True,
            is_encrypted=True,
            shared_key_enc=known.shared_key_enc,
            pub_key_cs=known.pub_key_cs,
            iv_nonce=known.iv_nonce,
        )
        return Update(key, value, metadata)

    def _key(self, file_id: str, recipient: str) -> AtKey:
        return AtKey.shared(manifest_name(file_id), self._keys.atsign, recipient)
