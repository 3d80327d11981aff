"""Numbers, times and foreign text as people read them. Pure functions."""

from __future__ import annotations

import datetime as dt
from typing import Optional

__all__ = ["counted", "duration_text", "moment_text", "printable", "size_text"]


def size_text(size: float) -> str:
    """Return bytes with the unit that suits them: ``512 B``, ``1.5 KiB``, ``5 MiB``."""
    if size < 1024:
        return f"{size:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024 or unit == "GiB":
            break
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"


def counted(count: int, thing: str) -> str:
    """Return ``1 chunk``, ``2 chunks``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def duration_text(seconds: float) -> str:
    """Return seconds as ``2.31 s``, ``4 min 05 s`` or ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def moment_text(epoch: Optional[float]) -> str:
    """Return epoch seconds as local date and minute, or ``never``."""
    if epoch is None:
        return "never"
    return dt.datetime.fromtimestamp(epoch).strftime("%Y-%m-%d %H:%M")


def printable(text: str) -> str:
    """Return text that can't move the cursor or ring the bell: a file's name is foreign input."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
