"""A chunk and its records, one for each who can read it.

Rules of this file (docs/attalk.md):

1. A sealed chunk on its way up is nonces and ciphertexts for all readers, one behind the other.
   Each is encrypted once, and a repetition sends the same bytes.
2. A sealed chunk on its way down is the server's record as it came. It is looked at when it is
   opened, so that a wrong one is asked for once more.
3. The format has neither hash nor tag. What shows is all that is noticed: another record's key, a
   padding that is none, text that is no Base2e15, the record of another chunk.
4. By its key alone no record is known: where servers mix answers up, the recipient's writes the key
   that was asked for beside whatever value came (measured on 3.0.52: 33 of 40).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Optional, Union

from atxfer._crypto.primitives import (
    AES_BLOCK,
    aes_256_ctr_pkcs7_seal,
    base64_encode,
    random_bytes,
)
from atxfer._crypto.readers import Reader, RecordOpener, key_for, metadata_for
from atxfer._format.attalk import ASK_AGAIN, OVER, chunk_name
from atxfer._format.base2e15 import decode, encode, encoded_length
from atxfer._net.records import EXPIRED
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import AtError
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.record import Record
from atxfer.atprotocol.verbs import Update
from atxfer.errors import ChunkCorrupt, FileExpired, IntegrityError
from atxfer.model import Chunk
from atxfer.stores.base import StoredFile

__all__ = ["ChunkOpener", "Copies", "sealed_record"]


class Copies:
    """For whom a chunk is written, and where.

    Args:
        owner: The atSign whose chunks they are.
        namespace: The application's name space.
        readers: For whom each chunk is there, the owner first.

    Threads: may be shared.
    """

    def __init__(self, owner: str, namespace: str, readers: Sequence[Reader]) -> None:
        self.owner = owner
        self.namespace = namespace
        self.readers = tuple(readers)

    def seal(self, chunk: Chunk) -> Chunk:
        """Return a chunk encrypted for all its readers; each call makes another."""
        text = encode(bytes(chunk.data)).encode("utf-8")
        sealed = []
        for reader in self.readers:
            iv = random_bytes(AES_BLOCK)
            sealed += [iv, aes_256_ctr_pkcs7_seal(reader.key, iv, text)]
        return Chunk(chunk.index, b"".join(sealed))

    def keys(self, file_id: str, index: int) -> Sequence[AtKey]:
        """Return the keys of a chunk's records, in the order of its readers."""
        name = chunk_name(file_id, index)
        return [
            key_for(reader.recipient, name, self.owner, self.namespace) for reader in self.readers
        ]

    def updates(self, file_id: str, ttl_ms: int, chunk: Chunk) -> Iterator[Update]:
        """Yield what stores a sealed chunk, in the order of its readers."""
        data = bytes(chunk.data)
        size = len(data) // len(self.readers)
        for place, key in enumerate(self.keys(file_id, chunk.index)):
            sealed = data[place * size : (place + 1) * size]
            # No ttr: the copy that it leaves on the recipient's server has lost isBinary, and the
            # Dart client then gives its Base2e15 text (facts §8).
            metadata = metadata_for(
                self.readers[place], base64_encode(sealed[:AES_BLOCK]), ttl_ms, is_binary=True
            )
            yield Update(key, base64_encode(sealed[AES_BLOCK:]), metadata)


class ChunkOpener:
    """Opens the records of one file's chunks.

    Args:
        opener: Opens records that were encrypted for us.
        stored: The file.
        namespace: The application's name space.
        me: For whom the records are; None where they are one's own.

    Threads: may be shared.
    """

    def __init__(
        self, opener: RecordOpener, stored: StoredFile, namespace: str, me: Optional[str] = None
    ) -> None:
        self._opener = opener
        self._stored = stored
        self._namespace = namespace
        self._me = me
        self._lock = threading.Lock()  # guards _seen
        self._seen: dict[tuple[str, int], int] = {}

    def key(self, index: int) -> AtKey:
        """Return the key of a chunk's record."""
        name = chunk_name(self._stored.file_id, index)
        return key_for(self._me, name, self._stored.owner, self._namespace)

    def open(self, chunk: Chunk) -> Chunk:
        """Return the plain chunk.

        Raises:
            ChunkCorrupt: It is another record than was asked for, or is damaged so that it shows.
        """
        try:
            record = Record.read(str(chunk.data, "utf-8"))
        except ValueError:
            # The cause would hold the record.
            raise ChunkCorrupt("the record can't be read", chunk=chunk.index) from None
        if record.key != self.key(chunk.index):
            raise ChunkCorrupt("the server gave another record", chunk=chunk.index)
        try:
            text = self._opener.open(record)
            self._check_own(chunk.index, record)
        except IntegrityError as error:
            raise ChunkCorrupt(error.message, chunk=chunk.index) from error
        data = decode(text)
        if len(text) != encoded_length(len(data)):
            raise ChunkCorrupt("the record holds something else than bytes", chunk=chunk.index)
        return Chunk(chunk.index, data)

    def _check_own(self, index: int, record: Record) -> None:
        """Remember whose record this is, and refuse it for another chunk."""
        iv_nonce = record.metadata.iv_nonce
        if iv_nonce is None:
            return  # of a writer that uses none: there equal records are equal chunks
        with self._lock:
            other = self._seen.setdefault((iv_nonce, hash(record.value)), index)
        if other != index:
            raise IntegrityError(f"the server gave the record of chunk {other}")


def sealed_record(index: int, answer: Union[Answer, AtError]) -> Chunk:
    """Return a record as it came.

    Raises:
        FileExpired: Its time to live is over.
    """
    assert isinstance(answer, Answer)  # noqa: S101  # failures were raised before
    if answer.data == EXPIRED:
        raise FileExpired(f"chunk {index} has expired: {OVER}", chunk=index, remedy=ASK_AGAIN)
    return Chunk(index, answer.data.encode("utf-8"))
