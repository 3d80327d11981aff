"""How a file is cut into chunks, and how many chunks share a request.

Sizes in bytes. The numbers come from what the store says of itself and from the user's
configuration; nothing is assumed about any protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional, Protocol

from atxfer.errors import FileTooLarge

__all__ = [
    "StoreLimits",
    "check_file_size",
    "choose_chunk_size",
    "chunks_per_delete",
    "chunks_per_read",
    "chunks_per_request",
    "ranges",
]


class StoreLimits(Protocol):
    """What sizing must know of a store; ``stores.base.Capabilities`` says what each means."""

    @property
    def max_request_bytes(self) -> int: ...

    @property
    def max_read_bytes(self) -> int: ...

    @property
    def max_chunk_bytes(self) -> int: ...

    @property
    def min_chunk_bytes(self) -> int: ...

    @property
    def max_chunks(self) -> Optional[int]: ...

    @property
    def max_chunks_per_request(self) -> int: ...

    @property
    def max_chunks_per_read(self) -> int: ...

    @property
    def max_chunks_per_delete(self) -> int: ...

    @property
    def chunk_ladder(self) -> tuple[tuple[int, int], ...]: ...

    @property
    def max_default_chunk(self) -> int: ...

    @property
    def target_chunks(self) -> int: ...

    def wire_bytes(self, chunk_bytes: int) -> int: ...


def check_file_size(size: int, max_file_size: Optional[int], name: Optional[str] = None) -> None:
    """Refuse a file that is too large, before anything is sent.

    Args:
        size: Bytes of the file.
        max_file_size: The most that is accepted, or None.
        name: The file, for the error.

    Raises:
        FileTooLarge: It is.
    """
    if max_file_size is not None and size > max_file_size:
        text = f"{size:,} bytes are more than max_file_size, {max_file_size:,}"
        raise FileTooLarge(text, file=name)


def choose_chunk_size(
    size: int, store: StoreLimits, explicit: Optional[int] = None, *, overhead: int = 0
) -> int:
    """Return how large the plain chunks of a file should be (design §7, "Chunk size").

    Args:
        size: Bytes of the file.
        store: What the store can take, and its ladder of sizes.
        explicit: What the user asks for. It is obeyed, but raised to the smallest chunk that the
            store takes of this file, as boto3 does; a file of one chunk may be as short as it is.
        overhead: Bytes that sealing adds to a chunk.

    Raises:
        ValueError: The store can't take chunks as large as the explicit size.
    """
    if explicit is not None:
        most = store.max_chunk_bytes - overhead
        if explicit > most:
            raise ValueError(
                f"chunk_size must be at most {most:,} for this store, not {explicit:,}"
            )
        return explicit if explicit >= size else max(explicit, _least(size, store))
    chosen = _by_ladder(size, store)
    # A request of one chunk should not be larger than what is efficient.
    while store.wire_bytes(chosen + overhead) > store.max_request_bytes and chosen > 1:
        chosen //= 2
    return max(1, min(max(chosen, store.min_chunk_bytes), store.max_chunk_bytes - overhead))


def _by_ladder(size: int, store: StoreLimits) -> int:
    for largest_file, chunk_size in store.chunk_ladder:
        if size <= largest_file:
            return chunk_size
    chosen = store.chunk_ladder[-1][1] if store.chunk_ladder else store.min_chunk_bytes
    while chosen * store.target_chunks < size and chosen < store.max_default_chunk:
        chosen = min(2 * chosen, store.max_default_chunk)
    return chosen


def _least(size: int, store: StoreLimits) -> int:
    by_number = -(-size // store.max_chunks) if store.max_chunks is not None else 0
    return max(store.min_chunk_bytes, by_number)


def chunks_per_request(chunk_bytes: int, store: StoreLimits, most: Optional[int] = None) -> int:
    """Return how many sealed chunks of this size one request carries up.

    Args:
        chunk_bytes: Bytes of a sealed chunk.
        store: What the store can take.
        most: The user's own limit, or None.
    """
    fitting = store.max_request_bytes // max(1, store.wire_bytes(chunk_bytes))
    return _within(fitting, store.max_chunks_per_request, most)


def chunks_per_read(chunk_bytes: int, store: StoreLimits, most: Optional[int] = None) -> int:
    """Return how many sealed chunks of this size one answer carries down."""
    fitting = store.max_read_bytes // max(1, store.wire_bytes(chunk_bytes))
    return _within(fitting, store.max_chunks_per_read, most)


def chunks_per_delete(store: StoreLimits) -> int:
    """Return how many chunks one request may name, to delete them or extend their life."""
    return max(1, store.max_chunks_per_delete)


def _within(fitting: int, store_limit: int, user_limit: Optional[int]) -> int:
    limit = store_limit if user_limit is None else min(store_limit, user_limit)
    return max(1, min(fitting, limit))


def ranges(chunks: int, per_request: int) -> Iterator[range]:
    """Yield the chunks of a file in order, as the groups that share a request."""
    for start in range(0, chunks, per_request):
        yield range(start, min(start + per_request, chunks))
