"""What a store says of itself."""

from __future__ import annotations

from atxfer.stores.base import Capabilities


def test_files_of_too_many_chunks_are_sent_in_order() -> None:
    """A store may send chunks side by side only as long as they are few."""
    limited = Capabilities(1, 1, 1, parallel_chunks=3)
    assert limited.for_chunks(3).parallel
    assert not limited.for_chunks(4).parallel
    assert Capabilities(1, 1, 1).for_chunks(10**6).parallel
    assert not Capabilities(1, 1, 1, parallel=False).for_chunks(1).parallel
