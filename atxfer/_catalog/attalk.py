"""Metadata and announcements of files in the AtTalk format, on atServers (docs/attalk.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from atxfer._catalog.answers import check_stored, keys_of
from atxfer._crypto.readers import Reader, RecordOpener, key_for, metadata_for
from atxfer._crypto.sharing import seal_text
from atxfer._format.attalk import ASK_AGAIN, CHUNK_SIZE, MESSAGE, OVER, Description, metadata_name
from atxfer._format.manifest import COMPLETE
from atxfer._net.records import EXPIRED, Records, ttl_ms
from atxfer._net.relay import Relay
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.record import Record
from atxfer.atprotocol.verbs import Delete, Llookup, Lookup, Mode, Notify, Scan, Update
from atxfer.errors import ChunkCorrupt, FileExpired, FileNotFound, IntegrityError
from atxfer.model import RemoteFile
from atxfer.waiting import Wait

__all__ = ["AtTalkCatalog", "AtTalkEntry", "Message"]


@dataclass(frozen=True)
class AtTalkEntry:
    """The metadata of a file, and what its record tells besides.

    Attributes:
        file_id: The file.
        owner: On whose server it lies.
        file: What the metadata says.
        created_at: When the record was written, epoch seconds by the server's clock, or None.
        expires_at: When it ends, likewise.
    """

    file_id: str
    owner: str
    file: Description
    created_at: Optional[float]
    expires_at: Optional[float]

    def remote_file(self) -> RemoteFile:
        """Return the description; the format has no hash, so there is no SHA-256 in it."""
        uploaded_at = self.file.uploaded_at
        written_at = uploaded_at if uploaded_at is not None else self.created_at
        return RemoteFile(
            file_id=self.file_id,
            name=self.file.name,
            size=self.file.size,
            chunk_size=CHUNK_SIZE,
            chunks=self.file.chunks,
            sha256="",
            state=COMPLETE,
            owner=self.owner,
            created_at=written_at if written_at is not None else 0.0,
            expires_at=self.expires_at,
        )


@dataclass(frozen=True)
class Message:
    """A chat message to one recipient.

    Attributes:
        id: By which a repetition is known to be one.
        text: What it says.
        ttl: Seconds it lives.
    """

    id: str
    text: str
    ttl: float


class AtTalkCatalog:
    """The files in this format that one atSign has, or that others have for it.

    Args:
        records: Its own server.
        relay: Others' servers.
        opener: Opens what is encrypted for it.
        me: The atSign.
        namespace: The application's name space.

    Threads: may be shared.
    """

    def __init__(
        self, records: Records, relay: Relay, opener: RecordOpener, me: str, namespace: str
    ) -> None:
        self._records = records
        self._relay = relay
        self._opener = opener
        self._me = me
        self._namespace = namespace

    # --- one's own

    def write(
        self, file_id: str, file: Description, readers: Sequence[Reader], ttl: float, wait: Wait
    ) -> None:
        """Write the metadata for these readers, in one request."""
        updates = [self._metadata(file_id, file.to_text(), reader, ttl) for reader in readers]
        answers = self._records.ask(updates, wait)
        for place in range(len(updates)):
            check_stored(answers.get(place))

    def _metadata(self, file_id: str, text: str, reader: Reader, ttl: float) -> Update:
        value, iv_nonce = seal_text(reader.key, text)
        key = self.key(metadata_name(file_id), reader.recipient)
        return Update(key, value, metadata_for(reader, iv_nonce, ttl_ms(ttl)))

    def read_own(self, file_id: str, wait: Wait) -> AtTalkEntry:
        """Return what is known of a file of one's own.

        Raises:
            FileNotFound: There is none.
            FileExpired: Its time to live is over.
            ChunkCorrupt: What the server gave is not the metadata of this file, or is damaged.
        """
        key = self.key(metadata_name(file_id), None)
        try:
            answer = self._records.ask_one(Llookup(key, Mode.ALL), wait)
        except KeyNotFound as error:
            raise FileNotFound(
                f"there is no file of this id in the name space {self._namespace}",
                file_id=file_id,
                remedy="Name the application's own name space (--namespace), or whose file it is"
                " (--from).",
            ) from error
        return self._entry(file_id, key, answer)

    def recipients(self, file_id: str, wait: Wait) -> Sequence[str]:
        """Return for whom there are copies, in the order of their names."""
        entity = f"{metadata_name(file_id)}.{self._namespace}"
        regex = f"{entity}{self._me}$".replace(".", r"\.")
        keys = keys_of(self._records.ask_one(Scan(regex=regex), wait).data)
        return sorted(key.recipient for key in keys if key.recipient and key.entity == entity)

    def key(self, name: str, recipient: Optional[str]) -> AtKey:
        """Return the key of a record of one's own files, for another atSign or for oneself."""
        return key_for(recipient, name, self._me, self._namespace)

    def remove(self, keys: Sequence[AtKey], wait: Wait) -> None:
        """Remove records in one request, in this order, there or not."""
        answers = self._records.ask([Delete(key) for key in keys], wait)
        for place in range(len(keys)):
            check_stored(answers.get(place))

    def announce(self, message: Message, reader: Reader, wait: Wait) -> None:
        """Send a chat message to one recipient; a repetition has the same id (R10)."""
        value, iv_nonce = seal_text(reader.key, message.text)
        self._records.ask_one(
            Notify(
                recipient=reader.recipient,
                subject=f"{MESSAGE}.{self._namespace}",
                owner=self._me,
                value=value,
                operation="update",
                metadata=metadata_for(reader, iv_nonce, None),
                ttln_ms=ttl_ms(message.ttl),
                message_type="key",
                id=message.id,
            ),
            wait,
        )

    # --- others'

    def read_shared(self, file_id: str, owner: str, wait: Wait) -> AtTalkEntry:
        """Return what is known of a file that another atSign has for us; as :meth:`read_own`."""
        key = AtKey.shared(metadata_name(file_id), owner, self._me, self._namespace)
        try:
            answer = self._relay.ask(Lookup(key, Mode.ALL), wait)
        except KeyNotFound as error:
            raise FileNotFound(
                f"{owner} has no file of this id for {self._me} in the name space"
                f" {self._namespace}",
                file_id=file_id,
                remedy="Ask its sender: early versions of the application share a file with"
                " nobody, and what has expired is removed.",
            ) from error
        return self._entry(file_id, key, answer)

    def _entry(self, file_id: str, key: AtKey, answer: Answer) -> AtTalkEntry:
        if answer.data == EXPIRED:
            raise FileExpired(f"this file has expired: {OVER}", file_id=file_id, remedy=ASK_AGAIN)
        try:
            record = Record.read(answer.data)
        except ValueError as error:
            raise ChunkCorrupt("the server's record can't be read") from error
        if record.key != key:
            raise ChunkCorrupt("the server gave another record")
        try:
            file = Description.from_text(self._opener.open(record))
        except IntegrityError as error:
            raise ChunkCorrupt(error.message) from error
        stamps = record.metadata
        return AtTalkEntry(file_id, key.owner, file, stamps.created_at, stamps.expires_at)
