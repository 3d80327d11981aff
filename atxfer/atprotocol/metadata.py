"""What a record carries beside its value: times to live, and how the value is encrypted.

The server takes the fields of a command in one order only, that of the dataclass below (facts §5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, Optional, Union

__all__ = ["NO_METADATA", "WIRE_NAMES", "Metadata", "parse_time"]

_Value = Union[int, bool, str]

# A text of metadata must not end its field early (the server's grammar: [^:@\s]+).
_TEXT = re.compile(r"[^:@\s\ufeff]+")

# Dart's DateTime ends 8.64e15 ms after 1970; what would pass it makes the server fail (AT0010).
_MAX_MS = 8_600_000_000_000_000


def _wire(name: str) -> Any:
    """Declare a field that goes over the wire under this name."""
    return field(default=None, metadata={"wire": name})


def _stamp(name: str) -> Any:
    """Declare a point in time that the server sets and answers under this name."""
    return field(default=None, metadata={"stamp": name})


@dataclass(frozen=True)
class Metadata:
    """The metadata of a record; None means not named.

    An update keeps the old record's ``ttl``, ``ivNonce`` and ``encoding`` where it names none, and
    sets ``isBinary`` and ``isEncrypted`` to false where it names none (facts §5).

    Attributes:
        ttl_ms: Time to live in milliseconds; 0 for ever.
        ttb_ms: Time to birth in milliseconds.
        ttr_s: Seconds after which the recipient's server refreshes its copy; -1 never.
        ccd: Whether that copy goes when the original is deleted.
        data_signature: The owner's signature of a public value.
        shared_key_status: Where the key for a recipient is on its way.
        is_binary: Whether the value is binary, as Base2e15 text.
        is_encrypted: Whether the value is encrypted.
        shared_key_enc: The shared key, encrypted for the recipient.
        pub_key_cs: Checksum of the recipient's public key.
        encoding: The value's encoding, such as base64.
        enc_key_name: The name of the key that encrypted the value.
        enc_algo: The cipher of the value.
        iv_nonce: The value's initialisation vector, in base64.
        ske_enc_key_name: The name of the key that encrypted the shared key.
        ske_enc_algo: The cipher of the shared key.
        created_at: Epoch seconds; this and the following are set by the server alone.
        updated_at: Epoch seconds.
        expires_at: Epoch seconds, or None if it never expires.
        available_at: Epoch seconds, or None if it was available at once.

    Raises:
        ValueError: The server would refuse a value.
    """

    ttl_ms: Optional[int] = _wire("ttl")
    ttb_ms: Optional[int] = _wire("ttb")
    ttr_s: Optional[int] = _wire("ttr")
    ccd: Optional[bool] = _wire("ccd")
    data_signature: Optional[str] = _wire("dataSignature")
    shared_key_status: Optional[str] = _wire("sharedKeyStatus")
    is_binary: Optional[bool] = _wire("isBinary")
    is_encrypted: Optional[bool] = _wire("isEncrypted")
    shared_key_enc: Optional[str] = _wire("sharedKeyEnc")
    pub_key_cs: Optional[str] = _wire("pubKeyCS")
    encoding: Optional[str] = _wire("encoding")
    enc_key_name: Optional[str] = _wire("encKeyName")
    enc_algo: Optional[str] = _wire("encAlgo")
    iv_nonce: Optional[str] = _wire("ivNonce")
    ske_enc_key_name: Optional[str] = _wire("skeEncKeyName")
    ske_enc_algo: Optional[str] = _wire("skeEncAlgo")
    created_at: Optional[float] = _stamp("createdAt")
    updated_at: Optional[float] = _stamp("updatedAt")
    expires_at: Optional[float] = _stamp("expiresAt")
    available_at: Optional[float] = _stamp("availableAt")

    def __post_init__(self) -> None:
        for name, least in (("ttl_ms", 0), ("ttb_ms", 0), ("ttr_s", -1)):
            value = getattr(self, name)
            if value is not None and not least <= value <= _MAX_MS:
                raise ValueError(f"{name} is {value}: it must be {least} to {_MAX_MS}")
        for attribute, _, value in self._named():
            if isinstance(value, str) and _TEXT.fullmatch(value) is None:
                raise ValueError(f"{attribute} must be text without spaces, ':' and '@'")

    def _named(self) -> Iterator[tuple[str, str, _Value]]:
        """Yield attribute, name on the wire and value of the fields that are named, in order."""
        for attribute, wire in WIRE_NAMES.items():
            value = getattr(self, attribute)
            if value is not None:
                yield attribute, wire, value

    def encode(self) -> str:
        """Return the fields as a command carries them: ``ttl:1000:isEncrypted:true:`` or empty."""
        return "".join(f"{wire}:{_text(value)}:" for _, wire, value in self._named())

    def to_json(self) -> dict[str, _Value]:
        """Return the named fields as a server's answer has them, without its points in time."""
        return {wire: value for _, wire, value in self._named()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Metadata:
        """Read the metadata of an answer or a notification; what it doesn't know is left out.

        Raises:
            ValueError: A field is not of its kind.
        """
        found: dict[str, Any] = {}
        for attribute, wire in WIRE_NAMES.items():
            value = values.get(wire)
            if value is not None and type(value) is not _kind(attribute):
                raise ValueError(f"{wire} is not of its kind in the server's metadata")
            found[attribute] = value
        for attribute, wire in _STAMP_NAMES.items():
            # Notifications write the text "null" for a time that is not set (transcript).
            value = values.get(wire)
            found[attribute] = None if value in (None, "null") else parse_time(value)
        return cls(**found)

    @classmethod
    def from_wire(cls, values: Mapping[str, Optional[str]]) -> Metadata:
        """Read fields that a command named, as the grammar found them.

        Raises:
            ValueError: A value is out of its range.
        """
        found: dict[str, Any] = {}
        for attribute, wire in WIRE_NAMES.items():
            text = values.get(wire)
            if text is not None:
                kind = _kind(attribute)
                found[attribute] = text.lower() == "true" if kind is bool else kind(text)
        return cls(**found)


WIRE_NAMES: Mapping[str, str] = {
    item.name: item.metadata["wire"] for item in fields(Metadata) if "wire" in item.metadata
}
_STAMP_NAMES: Mapping[str, str] = {
    item.name: item.metadata["stamp"] for item in fields(Metadata) if "stamp" in item.metadata
}


NO_METADATA = Metadata()
"""Names no field."""


def _kind(attribute: str) -> type:
    if attribute in ("ttl_ms", "ttb_ms", "ttr_s"):
        return int
    return bool if attribute in ("ccd", "is_binary", "is_encrypted") else str


def _text(value: _Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_time(text: object) -> float:
    """Read a server's point in time, ``2026-11-24 07:09:22.919Z``, as epoch seconds.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(text, str):
        raise ValueError("a time is no text in the server's metadata")
    moment = datetime.fromisoformat(text[:-1] if text.endswith("Z") else text)
    return moment.replace(tzinfo=timezone.utc).timestamp()
