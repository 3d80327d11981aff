"""The memory that chunks lie in."""

from __future__ import annotations

import mmap
import weakref

import pytest

from atxfer._buffers import Frame, new_buffer


@pytest.mark.parametrize("size", [0, 1, 131_071, 131_072, 5_000_001])
def test_a_buffer_is_as_long_as_was_asked_for(size: int) -> None:
    """It is writable to its last byte, and all zeros."""
    buffer = new_buffer(size)
    assert (len(buffer), buffer.readonly) == (size, False)
    assert bytes(buffer) == bytes(size)
    if size:
        buffer[-1] = 7
        assert buffer[-1] == 7


def test_a_large_buffer_goes_back_with_its_last_view() -> None:
    """As long as any part of it is looked at it stays; then the system has its pages."""
    view = new_buffer(1 << 20)[10:20]
    pages = weakref.ref(view.obj)
    assert isinstance(pages(), mmap.mmap)
    del view
    assert pages() is None


def test_a_frame_is_room_around_a_chunk() -> None:
    """Before and behind it; where it lies is known from its length."""
    frame = Frame(3, 2)
    block = frame.block(4)
    frame.within(block, 4)[:] = b"data"
    assert bytes(block) == b"\0\0\0data\0\0"
