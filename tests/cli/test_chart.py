"""Bars on a terminal and as a picture."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atxfer._cli.chart import WIDTH, Bar, drawn, svg

BARS = [
    Bar("sequential", 64.0, "64.0 s *"),
    Bar("original", 16.0, "16 s"),
    Bar("atxfer", 0.0, "0 s"),
]

lengths = st.lists(st.floats(0, 1e9), min_size=1, max_size=6)


@given(lengths, st.booleans())
def test_no_bar_is_wider_than_the_terminal(values: list[float], blocks: bool) -> None:
    """Every line fits into 80 columns, whatever the values."""
    bars = [Bar("label", value, f"{value:.1f} s") for value in values]
    assert max(len(line) for line in drawn(bars, blocks=blocks)) <= WIDTH


@pytest.mark.parametrize("block", ["█", "#"])
def test_bars_are_in_proportion(block: str) -> None:
    """A quarter of the time is a quarter of the bar."""
    lines = drawn(BARS, blocks=block == "█")
    assert lines[0].count(block) == pytest.approx(4 * lines[1].count(block), abs=4)


def test_a_value_of_nothing_is_still_to_be_seen() -> None:
    """The shortest bar is a sliver, not a gap."""
    assert drawn(BARS)[2].split()[1] == "▏"


def test_the_picture_is_one_file_of_its_own() -> None:
    """The SVG is well-formed, holds each bar, and asks nobody for anything."""
    picture = svg("<Seconds>", BARS, "* extrapolated")
    root = ET.fromstring(picture)  # noqa: S314  # our own text
    bars = [node for node in root.iter() if node.tag.endswith("rect")][1:]
    assert [float(bar.attrib["width"]) for bar in bars] == [400.0, 100.0, 2.0]
    assert picture.count("http") == 1
