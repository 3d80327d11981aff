"""What a journal says: one JSON value a line, each followed by its checksum.

The first line is the head. The others tell, in the order in which it happened, who is at the
upload, what its store knows it by, and the hashes of chunks that were sent and confirmed. Lines are
only ever added; a later one of a kind replaces or completes an earlier one.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Optional

from atxfer._engine.sources import Identity
from atxfer.model import chunk_count

__all__ = [
    "VERSION",
    "Damaged",
    "Head",
    "Record",
    "held_line",
    "process_line",
    "read",
    "sent_line",
    "token_line",
]

VERSION = 1


class Damaged(Exception):
    """A journal can't be followed: it is damaged, or of a version that we don't know."""


@dataclass(frozen=True)
class Head:
    """Which upload it is. Never a key, and nothing of the file's content.

    Attributes:
        destination: Where to.
        path: The file, in full.
        name: The name it is to be kept under.
        share_with: The atSigns it is to be shared with.
        identity: What the file was when the upload was begun.
        file_id: What the server knows it by.
        chunk_size: Bytes of each chunk but the last.
        chunks: How many.
        ttl: Seconds it is to live, or None for ever.
    """

    destination: str
    path: str
    name: str
    share_with: tuple[str, ...]
    identity: Identity
    file_id: str
    chunk_size: int
    chunks: int
    ttl: Optional[float]

    def line(self) -> bytes:
        """Return the first line of a journal."""
        return _line("head", {"version": VERSION, **asdict(self)})

    @classmethod
    def of(cls, values: dict[str, Any]) -> Head:
        """Return the head that a first line holds.

        Raises:
            Damaged: It is of another version.
            TypeError, ValueError, KeyError: It is none.
        """
        version = values.pop("version")
        if version != VERSION:
            raise Damaged(f"it is of version {version!r}, and only {VERSION} is known here")
        values["identity"] = Identity(**values["identity"])
        values["share_with"] = tuple(values["share_with"])
        head = cls(**values)
        # An object store keeps an empty file as one chunk that is empty.
        if max(1, chunk_count(head.identity.size, head.chunk_size)) != max(1, head.chunks):
            raise ValueError("the number of chunks does not fit the size")
        return head


@dataclass
class Record:
    """All that a journal says.

    Attributes:
        head: Which upload it is.
        process: The process that was at it last.
        token: What its store knows it by; empty if nothing was begun there.
        hashes: SHA-256 of the plain chunks that were sent, by index, whatever became of them.
        nonces: By which those of them were sealed that may be there in part.
        confirmed: Those of them that the server has confirmed.
        length: Bytes of the file up to the end of its last sound line.
    """

    head: Head
    process: int = 0
    token: bytes = b""
    hashes: dict[int, bytes] = field(default_factory=dict)
    nonces: dict[int, bytes] = field(default_factory=dict)
    confirmed: set[int] = field(default_factory=set)
    length: int = 0

    @property
    def repeats(self) -> bool:
        """Whether what was sent can be sealed to the same bytes again."""
        return self.hashes.keys() == self.nonces.keys()

    @property
    def stored(self) -> int:
        """Bytes of the file that the server had confirmed."""
        size, step = self.head.identity.size, self.head.chunk_size
        return sum(min(step, size - index * step) for index in self.confirmed)

    def learn(self, kind: str, value: Any) -> None:
        """Take in one line."""
        if kind == "process":
            self.process = int(value)
        elif kind == "token":
            self.token = base64.b64decode(value, validate=True)
        elif kind == "sent":
            for index, text in value.items():
                digest, _, nonce = text.partition(":")
                self.hashes[int(index)] = bytes.fromhex(digest)
                if nonce:
                    self.nonces[int(index)] = bytes.fromhex(nonce)
        elif kind == "held":
            self.confirmed.update(map(int, value))
        else:
            raise ValueError(f"{kind!r} is no line of a journal")


def process_line() -> bytes:
    """Return the line that says who is at the upload from now on."""
    return _line("process", os.getpid())


def token_line(token: bytes) -> bytes:
    """Return the line that says what the store knows the upload by."""
    return _line("token", base64.b64encode(token).decode("ascii"))


def sent_line(hashes: Mapping[int, bytes], nonces: Mapping[int, bytes]) -> bytes:
    """Return the line that says which chunks are about to be sent, and what they are sealed by."""
    texts = {str(index): digest.hex() for index, digest in hashes.items()}
    texts.update((str(i), f"{hashes[i].hex()}:{nonce.hex()}") for i, nonce in nonces.items())
    return _line("sent", texts)


def held_line(indexes: Iterable[int]) -> bytes:
    """Return the line that says which chunks the server has confirmed."""
    return _line("held", list(indexes))


def _line(kind: str, value: object) -> bytes:
    text = json.dumps([kind, value], separators=(",", ":")).encode("ascii")
    return b"%s %08x\n" % (text, zlib.crc32(text))


def read(data: bytes) -> Optional[Record]:
    """Return what a journal says, or None if it has no whole line.

    A last line that is torn or unsound is passed over: it was being written when the power failed.

    Raises:
        Damaged: An earlier line is unsound, or the version is another one.
    """
    lines = data.split(b"\n")[:-1]  # what follows the last newline is torn
    record: Optional[Record] = None
    for place, line in enumerate(lines):
        try:
            kind, value = _parsed(line)
            if record is None:
                record = Record(Head.of(value))
            else:
                record.learn(kind, value)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if record is not None and place == len(lines) - 1:
                break
            raise Damaged(f"line {place + 1} is unsound") from error
        record.length += len(line) + 1
    return record


def _parsed(line: bytes) -> tuple[str, Any]:
    text, _, checksum = line.rpartition(b" ")
    if int(checksum, 16) != zlib.crc32(text):
        raise ValueError("the checksum is another one")
    kind, value = json.loads(text)
    return str(kind), value
