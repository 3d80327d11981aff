"""Notifications: what one atServer tells another, and what a monitor hears (facts §8)."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Callable, Optional

from atxfer.atprotocol.metadata import Metadata
from atxfer.devserver.clock import ServerClock, timestamp
from atxfer.devserver.records import Records

# A notification that names no time of its own is kept for so long.
LIFE_MS = 15 * 60 * 1000


@dataclass(frozen=True)
class Notice:
    """One notification.

    Attributes:
        id: Its id, the same on both servers.
        sender: The atSign it is from.
        recipient: The atSign it is for.
        key: The whole key it is about, or a text.
        value: The record's value, or None.
        operation: ``update`` or ``delete``.
        epoch_ms: When it was made.
        expires_ms: When it is forgotten.
        is_encrypted: What it says of its value.
        metadata: What else it says of the record.
        message_type: ``key`` or ``text``.
        kind: ``sent``, ``received`` or ``self``.
        status: ``queued``, ``delivered`` or ``errored``.
    """

    sender: str
    recipient: str
    key: str
    value: Optional[str] = field(repr=False)
    operation: str
    epoch_ms: int
    expires_ms: int
    is_encrypted: bool = True
    metadata: Metadata = field(default_factory=Metadata, repr=False)
    message_type: str = "key"
    kind: str = "sent"
    status: str = "queued"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def _json(self, more: dict[str, Any]) -> dict[str, Any]:
        metadata = self.metadata
        return {
            "id": self.id,
            "from": self.sender,
            "to": self.recipient,
            "key": self.key,
            "value": self.value,
            "operation": self.operation,
            "epochMillis": self.epoch_ms,
            "messageType": f"MessageType.{self.message_type}",
            "isEncrypted": self.is_encrypted,
            "metadata": {
                "encKeyName": metadata.enc_key_name,
                "encAlgo": metadata.enc_algo,
                "ivNonce": metadata.iv_nonce,
                "skeEncKeyName": metadata.ske_enc_key_name,
                "skeEncAlgo": metadata.ske_enc_algo,
                **more,
            },
        }

    def as_stored(self) -> dict[str, Any]:
        """Return the form of ``notify:list``, and of a monitor that asked for older ones."""
        return self._json({"availableAt": "null", "expiresAt": timestamp(self.expires_ms)})

    def as_live(self) -> dict[str, Any]:
        """Return the form a monitor hears when it comes."""
        return self._json({"sharedKeyEnc": self.metadata.shared_key_enc})

    def dump(self) -> str:
        """Return a text that :meth:`load` reads."""
        fields = asdict(replace(self, metadata=Metadata()))
        return json.dumps({**fields, "metadata": self.metadata.to_json()})

    @classmethod
    def load(cls, text: str) -> Notice:
        """Read what :meth:`dump` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "metadata": Metadata.from_json(fields["metadata"])})


class NoticeBook:
    """The notifications one server sent and received, until they expire.

    Args:
        records: Where they are kept.
        clock: The server's time.
    """

    def __init__(self, records: Records, clock: ServerClock) -> None:
        self._records = records
        self._clock = clock
        self._notices = {
            name: Notice.load(text)
            for name, text in records.notes().items()
            if name.startswith(_FRONT)
        }

    def put(self, notice: Notice) -> None:
        """Keep a notification, in place of an earlier one of its id and kind."""
        self._notices[_name(notice)] = notice
        self._records.put_note(_name(notice), notice.dump())

    def find(self, id_: str, kind: str) -> Optional[Notice]:
        """Return a notification that has not expired, or None."""
        notice = self._notices.get(f"{_FRONT}{kind}:{id_}")
        return notice if notice is not None and self._alive(notice) else None

    def remove(self, id_: str) -> None:
        """Forget what was received under this id, there or not."""
        self._forget(f"{_FRONT}received:{id_}")

    def _forget(self, name: str) -> None:
        self._notices.pop(name, None)
        self._records.put_note(name, None)

    def _alive(self, notice: Notice) -> bool:
        return notice.expires_ms > self._clock.now_ms()

    def those(self, wanted: Callable[[Notice], bool]) -> list[Notice]:
        """Return the notifications one wants, oldest first."""
        found = [n for n in self._notices.values() if self._alive(n) and wanted(n)]
        return sorted(found, key=lambda notice: notice.epoch_ms)

    def received(self) -> list[Notice]:
        """Return what others sent, oldest first."""
        return self.those(lambda notice: notice.kind == "received")

    def sweep(self) -> None:
        """Forget what has expired."""
        for name, notice in list(self._notices.items()):
            if not self._alive(notice):
                self._forget(name)


_FRONT = "notice:"


def _name(notice: Notice) -> str:
    return f"{_FRONT}{notice.kind}:{notice.id}"
