"""Logins without keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass
class FakeLogin:
    """A login whose signatures show what was signed."""

    atsign: str = "@alice"
    enrollment_id: Optional[str] = None

    def sign(self, challenge: str) -> str:
        """Return something that only stands for a signature."""
        return f"signed-{challenge}"
