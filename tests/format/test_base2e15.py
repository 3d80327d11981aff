"""Base2e15 against the platform's vectors."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atxfer._format.base2e15 import decode, encode, encoded_length
from tests.support.vectors import platform_vectors

SECTION = platform_vectors()["base2e15"]


@pytest.mark.parametrize("vector", SECTION["vectors"], ids=lambda v: v["bytes_hex"][:16] or "empty")
def test_bytes_are_encoded_as_the_platform_does(vector: dict[str, Any]) -> None:
    """Each vector gives its text, character by character, and comes back."""
    data = bytes.fromhex(vector["bytes_hex"])
    assert encode(data) == vector["text"]
    assert [f"{ord(character):04X}" for character in encode(data)] == vector["codepoints_hex"]
    assert decode(vector["text"]) == data


def test_foreign_characters_are_skipped() -> None:
    """What a chat put between the characters does no harm."""
    junk = SECTION["decode_ignores_junk"]
    assert decode(junk["text"]).hex() == junk["bytes_hex"]


@pytest.mark.parametrize("character", "\u33ff\u4db6\u4dff\u8926\uabff\ud7a4\U00020000")
def test_neighbours_of_the_ranges_are_foreign(character: str) -> None:
    """The four ranges end where the table says."""
    assert decode(character) == b""


def one_by_one(data: bytes) -> str:
    """Encode by the table alone: the document's rule, and no way around it."""
    bits = "".join(f"{byte:08b}" for byte in data)
    letters = []
    for start in range(0, len(bits), 15):
        part = bits[start : start + 15]
        if len(part) <= 7:
            letters.append(chr(0x3400 + int(part.ljust(7, "0"), 2)))
            continue
        value = int(part.ljust(15, "0"), 2)
        first = 0x3480 if value < 0x1936 else 0x4E00 if value < 0x545C else 0xAC00
        base = 0 if value < 0x1936 else 0x1936 if value < 0x545C else 0x545C
        letters.append(chr(first + value - base))
    return "".join(letters)


# Around the ends of a block, and the chunks of the applications.
LENGTHS = [*range(32), *range(1900, 1940), 3616, 3840, 3841, 8191, 8192, 8193, 30_000]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_block_at_a_time_gives_what_a_character_at_a_time_does(length: int) -> None:
    """Whatever the length, and wherever a block ends."""
    data = Random(length).randbytes(length)  # noqa: S311  # the same in every run
    text = encode(data)
    assert text == one_by_one(data)
    assert len(text) == encoded_length(length)
    assert decode(text) == data


def test_every_value_of_fifteen_bits() -> None:
    """Each of the 32,768 has its character, and comes back."""
    bits = "".join(f"{value:015b}" for value in range(1 << 15))
    data = int(bits, 2).to_bytes(len(bits) // 8, "big")
    assert encode(data) == one_by_one(data)
    assert decode(encode(data)) == data


@given(st.lists(st.sampled_from("\u3400\u347f\u3480\u4db5\u4e00\u8925\uac00\ud7a3x")))
@settings(max_examples=100, deadline=None)
def test_the_quick_way_and_the_long_way_agree(characters: list[str]) -> None:
    """A foreign character at the end takes the long way, and changes nothing."""
    text = "".join(characters)
    assert decode(text) == decode(f"{text}!")


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_round_trip(data: bytes) -> None:
    """Whatever is encoded is decoded to the same, at 15 bits a character."""
    text = encode(data)
    assert decode(text) == data
    assert len(text) == -(-len(data) * 8 // 15)


@given(st.text())
@settings(max_examples=50, deadline=None)
def test_any_text_decodes(text: str) -> None:
    """A text from elsewhere gives some bytes, at most fifteen bits a character."""
    assert len(decode(text)) <= len(text) * 15 / 8
