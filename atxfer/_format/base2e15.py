"""Base2e15: binary data as text of 15 bits a character, as the platform's apps store it (facts §5).

==================  ====================  =====================
characters          values                bits
==================  ====================  =====================
U+3480 to U+4DB5    0x0000 to 0x1935      15
U+4E00 to U+8925    0x1936 to 0x545B      15
U+AC00 to U+D7A3    0x545C to 0x7FFF      15
U+3400 to U+347F    0x00 to 0x7F          7, at the end
==================  ====================  =====================

Bits that are missing at the end are zeros.
"""

from __future__ import annotations

__all__ = ["decode", "encode"]

# First character, first value, bits; in rising order of characters.
_RANGES = (
    (0x3400, 0x347F, 0x0000, 7),
    (0x3480, 0x4DB5, 0x0000, 15),
    (0x4E00, 0x8925, 0x1936, 15),
    (0xAC00, 0xD7A3, 0x545C, 15),
)


def encode(data: bytes) -> str:
    """Return some bytes as text."""
    letters = []
    value = bits = 0
    for byte in data:
        value, bits = value << 8 | byte, bits + 8
        if bits >= 15:
            bits -= 15
            letters.append(_letter(value >> bits))
            value &= (1 << bits) - 1
    if bits > 7:
        letters.append(_letter(value << (15 - bits)))
    elif bits:
        letters.append(chr(0x3400 + (value << (7 - bits))))
    return "".join(letters)


def decode(text: str) -> bytes:
    """Return the bytes of a text; characters that are none of ours are skipped."""
    data = bytearray()
    value = bits = 0
    for character in text:
        code = ord(character)
        for first, last, base, width in _RANGES:
            if first <= code <= last:
                value, bits = value << width | (code - first + base), bits + width
        while bits >= 8:
            bits -= 8
            data.append(value >> bits)
            value &= (1 << bits) - 1
    return bytes(data)


def _letter(value: int) -> str:
    """Return the character of 15 bits."""
    first, base = next((first, base) for first, _, base, _ in reversed(_RANGES) if value >= base)
    return chr(first + value - base)
