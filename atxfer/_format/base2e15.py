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

Character by character that takes 6 ms for 8 KiB; a block at a time, as one large number whose
fields are moved and compared all at once, 0.2 ms [measured].
"""

from __future__ import annotations

import re

__all__ = ["decode", "encode", "encoded_length"]

# First character, first value, bits; in rising order of characters.
_RANGES = (
    (0x3400, 0x347F, 0x0000, 7),
    (0x3480, 0x4DB5, 0x0000, 15),
    (0x4E00, 0x8925, 0x1936, 15),
    (0xAC00, 0xD7A3, 0x545C, 15),
)
# What an encoder writes: characters of 15 bits, and at the end perhaps one of 7.
_REGULAR = re.compile("([\u3480-\u4db5\u4e00-\u8925\uac00-\ud7a3]*)([\u3400-\u347f]?)")


def encoded_length(size: int) -> int:
    """Return how many characters so many bytes take."""
    return -(-size * 8 // 15)


def encode(data: bytes) -> str:
    """Return some bytes as text."""
    padded = data + bytes(-len(data) % _BLOCK)
    text = "".join(
        _letters(padded[start : start + _BLOCK]) for start in range(0, len(padded), _BLOCK)
    )[: encoded_length(len(data))]
    rest = len(data) * 8 % 15
    if 0 < rest <= 7:
        # The last bits are the lowest of the last byte.
        return text[:-1] + chr(0x3400 + ((data[-1] << (7 - rest)) & 0x7F))
    return text


def decode(text: str) -> bytes:
    """Return the bytes of a text; characters that are none of ours are skipped."""
    regular = _REGULAR.fullmatch(text)
    if regular is None:
        return _decode_any(text)
    letters, last = regular[1], regular[2]
    size = (len(letters) * 15 + len(last) * 7) // 8
    if last:
        letters += _letter((ord(last) - 0x3400) << 8)
    letters += _letter(0) * (-len(letters) % _LETTERS)
    starts = range(0, len(letters), _LETTERS)
    return b"".join(_bytes(letters[start : start + _LETTERS]) for start in starts)[:size]


def _decode_any(text: str) -> bytes:
    """Do the same with a text that no encoder wrote as it is."""
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


# --- a block: 1024 fields of 15 bits as a number, and as 16-bit units of UTF-16
#
# To widen, the block is halved again and again, and each upper half moved away from its lower one
# by a bit for each field in it. Then the fields are 16 bits apart, one bit of each is free, and
# ranges can be told apart in all of them at once: to add 0x8000 - n sets that bit where a field is
# n or more.

_LETTERS = 1024
_BLOCK = _LETTERS * 15 // 8
_ONES = int.from_bytes(b"\x00\x01" * _LETTERS, "big")
# Distances in the table above: of the first range from its values, and from one range to the next.
_FIRST, _SECOND, _THIRD = 0x3480, 0x4E00 - 0x1936 - 0x3480, 0xAC00 - 0x545C - 0x4E00 + 0x1936


def _lower_halves(fields: int) -> int:
    """Return a mask of the lower fields of each pair of so many, where pairs are spread already."""
    mask = 0
    for start in range(0, 16 * _LETTERS, 32 * fields):
        mask |= ((1 << 15 * fields) - 1) << start
    return mask


_HALVES = tuple(
    (fields, _lower_halves(fields)) for fields in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
)


def _letters(block: bytes) -> str:
    """Return the characters of a block."""
    values = int.from_bytes(block, "big")
    for fields, lower_halves in reversed(_HALVES):
        lower = values & lower_halves
        values = lower | (values ^ lower) << fields
    second = (values + _ONES * (0x8000 - 0x1936)) >> 15 & _ONES
    third = (values + _ONES * (0x8000 - 0x545C)) >> 15 & _ONES
    codes = values + _ONES * _FIRST + second * _SECOND + third * _THIRD
    return codes.to_bytes(2 * _LETTERS, "big").decode("utf-16-be")


def _bytes(letters: str) -> bytes:
    """Return the block of these characters."""
    values = int.from_bytes(letters.encode("utf-16-be"), "big") - _ONES * _FIRST
    third = (values + _ONES * (0x8000 - (0xAC00 - _FIRST))) >> 15 & _ONES
    values -= third * _THIRD
    second = (values + _ONES * (0x8000 - (0x4E00 - _FIRST))) >> 15 & _ONES
    values -= second * _SECOND
    for fields, lower_halves in _HALVES:
        lower = values & lower_halves
        values = lower | (values ^ lower) >> fields
    return values.to_bytes(_BLOCK, "big")
