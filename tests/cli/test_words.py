"""Numbers, times and foreign text as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atxfer._cli.words import counted, duration_text, moment_text, printable, size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1500, "1.5 KiB"),
        (8192, "8 KiB"),
        (5 << 20, "5 MiB"),
        (3 << 40, "3072 GiB"),
    ],
)
def test_a_size_has_the_unit_that_suits_it(size: int, text: str) -> None:
    """Units are powers of 1,024 and say so."""
    assert size_text(size) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 chunks"), (1, "1 chunk"), (2, "2 chunks")])
def test_one_thing_is_not_several(count: int, text: str) -> None:
    """The plural is for all numbers but one."""
    assert counted(count, "chunk") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.314, "2.31 s"), (59.9, "59.90 s"), (245, "4 min 05 s"), (12e3, "3 h 20 min")],
)
def test_a_duration_is_as_precise_as_it_matters(seconds: float, text: str) -> None:
    """Seconds below a minute, minutes below an hour, then hours."""
    assert duration_text(seconds) == text


def test_what_never_ends_says_so() -> None:
    """None is no moment."""
    assert moment_text(None) == "never"


@given(st.text())
def test_foreign_text_cannot_steer_the_terminal(text: str) -> None:
    """No control character of a file's name reaches the screen."""
    assert printable(text).isprintable()


def test_what_is_printable_stays_as_it_is() -> None:
    """Letters of any alphabet are shown; an escape sequence is shown as text."""
    assert printable("Grüße 😀 \x1b[2J") == "Grüße 😀 \\x1b[2J"
