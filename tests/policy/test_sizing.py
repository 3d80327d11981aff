"""How files are cut into chunks, and chunks grouped into requests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atxfer._policy.sizing import (
    check_file_size,
    choose_chunk_size,
    chunks_per_delete,
    chunks_per_read,
    chunks_per_request,
    ranges,
)
from atxfer.config import KIB, MIB
from atxfer.errors import FileTooLarge
from atxfer.stores.base import Capabilities

SEAL = 28  # nonce and tag of AES-GCM

# As an atServer describes itself (design §7, facts §10).
ATSERVER = Capabilities(
    max_request_bytes=180_000,
    max_read_bytes=360_000,
    max_chunk_bytes=7 * MIB,
    max_chunks_per_request=1024,
    max_chunks_per_read=1024,
    max_chunks_per_delete=256,
    chunk_expansion=4 / 3,
    chunk_overhead=134,
    chunk_ladder=((256 * KIB, 8 * KIB), (64 * MIB, 32 * KIB)),
    max_default_chunk=128 * KIB,
    target_chunks=2048,
)
# As S3 does: parts of 5 MiB at least, one a request.
S3 = Capabilities(
    max_request_bytes=64 * MIB,
    max_read_bytes=64 * MIB,
    max_chunk_bytes=5 << 30,
    min_chunk_bytes=5 * MIB,
    max_default_chunk=512 * MIB,
    target_chunks=10_000,
)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, 8 * KIB),
        (1, 8 * KIB),
        (256 * KIB, 8 * KIB),
        (256 * KIB + 1, 32 * KIB),
        (64 * MIB, 32 * KIB),
        (64 * MIB + 1, 64 * KIB),
        (128 * MIB, 64 * KIB),
        (128 * MIB + 1, 128 * KIB),
        (10 << 30, 128 * KIB),
    ],
)
def test_the_table_of_the_design(size: int, expected: int) -> None:
    """Small chunks for small files, then the power of two that keeps the file under 2,048."""
    assert choose_chunk_size(size, ATSERVER, overhead=SEAL) == expected


def test_a_store_with_large_parts_gets_them() -> None:
    """Never below the smallest chunk, and doubled for the number of chunks."""
    assert choose_chunk_size(1, S3, overhead=SEAL) == 5 * MIB
    assert choose_chunk_size(5 * MIB * 10_000 + 1, S3, overhead=SEAL) == 10 * MIB


def test_a_default_chunk_fits_into_a_request() -> None:
    """With a smaller max_request_bytes the chunks get smaller, not the requests larger."""
    tight = Capabilities(16 * KIB, 16 * KIB, MIB, chunk_ladder=((MIB, 32 * KIB),))
    size = choose_chunk_size(MIB, tight, overhead=SEAL)
    assert size == 8 * KIB
    assert tight.wire_bytes(size + SEAL) <= 16 * KIB


def test_an_explicit_size_is_obeyed() -> None:
    """Also one that the ladder would never choose."""
    assert choose_chunk_size(100 * MIB, ATSERVER, 1000, overhead=SEAL) == 1000


def test_an_explicit_size_above_the_largest_chunk_is_refused() -> None:
    """The store's own limit, less what sealing adds; the message names it."""
    with pytest.raises(ValueError, match="at most 7,340,004"):
        choose_chunk_size(1, ATSERVER, 7 * MIB, overhead=SEAL)


@pytest.mark.parametrize("overhead", [0, SEAL])
def test_an_explicit_size_below_the_smallest_chunk_is_raised_to_it(overhead: int) -> None:
    """Unless the file has one chunk only, which may always be short."""
    assert choose_chunk_size(2 * MIB, S3, MIB, overhead=overhead) == 5 * MIB
    assert choose_chunk_size(MIB, S3, MIB, overhead=overhead) == MIB
    assert choose_chunk_size(9 * MIB, S3, 6 * MIB, overhead=overhead) == 6 * MIB


def test_an_explicit_size_is_raised_where_there_would_be_too_many_chunks() -> None:
    """To the smallest that the store can take of this file."""
    few = replace(S3, max_chunks=10)
    assert choose_chunk_size(100 * MIB, few, 6 * MIB) == 10 * MIB
    assert choose_chunk_size(100 * MIB + 1, few, 6 * MIB) == 10 * MIB + 1
    assert choose_chunk_size(100 * MIB, few, 20 * MIB) == 20 * MIB


def test_chunks_share_a_request_as_far_as_they_fit() -> None:
    """16 of 8 KiB, 4 of 32 KiB, 1 of 128 KiB: what measured best (facts §10)."""
    counts = [chunks_per_request(kib * KIB + SEAL, ATSERVER) for kib in (8, 32, 64, 128, 1024)]
    assert counts == [16, 4, 2, 1, 1]


def test_answers_may_be_larger_than_requests() -> None:
    """Reading has a limit of its own."""
    assert chunks_per_read(32 * KIB + SEAL, ATSERVER) == 8


def test_the_users_limit_counts_for_both() -> None:
    """max_chunks_per_request=1 is one chunk a request, up and down."""
    assert chunks_per_request(8 * KIB, ATSERVER, 1) == 1
    assert chunks_per_read(8 * KIB, ATSERVER, 1) == 1


def test_the_stores_limit_counts() -> None:
    """However small the chunks, a store that takes one a request gets one."""
    assert chunks_per_request(1, S3) == 1
    assert chunks_per_delete(ATSERVER) == 256


def test_a_file_that_is_too_large_is_refused_with_a_way_out() -> None:
    """The error names both sizes, the file, and what else to do."""
    check_file_size(10, 10)
    check_file_size(1 << 60, None)
    with pytest.raises(FileTooLarge, match=r"11 bytes are more than max_file_size, 10 \(a\)") as e:
        check_file_size(11, 10, "a")
    assert "max_file_size" in e.value.remedy


@given(st.integers(0, 300), st.integers(1, 40))
def test_groups_cover_all_chunks_once_in_order(chunks: int, per_request: int) -> None:
    """No chunk is left out, none is in two groups, none of the groups is too large."""
    groups = list(ranges(chunks, per_request))
    assert [index for group in groups for index in group] == list(range(chunks))
    assert all(len(group) <= per_request for group in groups)


@given(st.integers(0, 1 << 40))
def test_whatever_the_size_the_store_can_take_the_chunks(size: int) -> None:
    """A chosen size is within the limits of the store."""
    for store in (ATSERVER, S3):
        chosen = choose_chunk_size(size, store, overhead=SEAL)
        assert store.min_chunk_bytes <= chosen <= store.max_chunk_bytes - SEAL
        assert store.wire_bytes(chosen + SEAL) <= max(store.max_request_bytes, 6 * MIB)
