"""An enrolment as its owner and its device see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atxfer.atprotocol.atkey import AtKey

__all__ = ["APPROVED", "DENIED", "PENDING", "REVOKED", "Enrollment", "device_key"]

PENDING, APPROVED, DENIED, REVOKED = "pending", "approved", "denied", "revoked"


@dataclass(frozen=True)
class Enrollment:
    """One device's keys, as the server knows them.

    Attributes:
        id: What the server calls the enrolment.
        app: The application it was requested for.
        device: The device.
        namespaces: What its keys may touch: ``r`` or ``rw`` by name space.
        status: ``pending``, ``approved``, ``denied``, ``revoked`` or ``expired``.
    """

    id: str
    app: str
    device: str
    namespaces: Mapping[str, str]
    status: str

    def as_dict(self) -> dict[str, Any]:
        """Return the enrolment as plain values, ready for JSON."""
        return {
            "id": self.id,
            "app": self.app,
            "device": self.device,
            "namespaces": dict(self.namespaces),
            "status": self.status,
        }


def device_key(atsign: str, app: str, device: str) -> AtKey:
    """Return where a server puts an approved device's public key.

    A name that can't stand there gets as far as the approval, which then ends half-way: the device
    can log in, and no keys wait for it (measured on 3.0.52).

    Raises:
        ValueError: The name can't stand there.
    """
    return AtKey.public(f"{app}.{device}.pkam.__pkams.__public_keys", atsign, "")
