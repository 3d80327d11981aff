"""Base2e15 against the platform's vectors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atxfer._format.base2e15 import decode, encode
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
