"""Horizontal bars, for a terminal and as SVG. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["WIDTH", "Bar", "drawn", "svg"]

WIDTH = 80  # columns of the narrowest usual terminal

_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True)
class Bar:
    """One bar: what it stands for, how long it is, and what is written behind it."""

    label: str
    value: float
    caption: str


def drawn(bars: Sequence[Bar], *, width: int = WIDTH, blocks: bool = True) -> list[str]:
    """Return one line a bar, none wider than ``width``; without ``blocks``, in plain ASCII."""
    label = max(len(bar.label) for bar in bars)
    room = width - label - 2 - max(len(bar.caption) for bar in bars)
    longest = max(bar.value for bar in bars) or 1.0
    return [
        f"{bar.label:<{label}} {_block(bar.value / longest * room, blocks)} {bar.caption}"
        for bar in bars
    ]


def _block(length: float, blocks: bool) -> str:
    """Return a bar of so many columns, at least a sliver."""
    if not blocks:
        return "#" * max(1, round(length))
    eighths = max(1, round(length * 8))
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def svg(title: str, bars: Sequence[Bar], note: str) -> str:
    """Return the bars as a picture of its own: no style sheet, font or script from elsewhere."""
    longest = max(bar.value for bar in bars) or 1.0
    height = 74 + 40 * len(bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" font-size="14">',
        '<g font-family="sans-serif">',
        f'<rect width="760" height="{height}" fill="#fff"/>',
        f'<text x="16" y="28" font-size="16" font-weight="bold">{escape(title)}</text>',
    ]
    for place, bar in enumerate(bars):
        y = 46 + 40 * place
        length = max(2.0, bar.value / longest * 400)
        parts += [
            f'<text x="186" y="{y + 19}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect x="196" y="{y}" width="{length:.1f}" height="28" rx="3" fill="#2b7a78"/>',
            f'<text x="{204 + length:.1f}" y="{y + 19}">{escape(bar.caption)}</text>',
        ]
    parts += [
        f'<text x="16" y="{height - 12}" fill="#555">{escape(note)}</text>',
        "</g>",
        "</svg>",
        "",
    ]
    return "\n".join(parts)
