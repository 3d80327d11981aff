"""A sealed chunk opens in its own place only."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atxfer._format.manifest import MAX_CHUNKS, new_file_id, new_file_key
from atxfer._format.sealing import SEAL_FRAME, SEAL_OVERHEAD, Sealer
from atxfer.errors import ChunkCorrupt
from atxfer.model import Chunk

FILE_ID = "uci2fi5euwtkpkfjvkv2zlnoq4"
OTHER_ID = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
KEY = bytes(range(32))


def sealer(key: bytes = KEY, file_id: str = FILE_ID, chunks: int = 8) -> Sealer:
    """Return the sealer of a file of eight chunks."""
    return Sealer(key, file_id, chunks)


@given(st.binary(max_size=2000), st.integers(0, 7))
@settings(max_examples=50, deadline=None)
def test_round_trip(data: bytes, index: int) -> None:
    """A sealed chunk keeps its index, is 28 bytes longer, and opens to the same."""
    sealed = sealer().seal(Chunk(index, data))
    assert sealed.index == index
    assert len(sealed.data) == len(data) + SEAL_OVERHEAD
    assert sealer().open(sealed) == Chunk(index, data)


@given(st.binary(max_size=2000), st.integers(0, 500))
@settings(max_examples=50, deadline=None)
def test_a_framed_chunk_is_sealed_and_opened_where_it_lies(data: bytes, room: int) -> None:
    """No memory but its own block holds it, and what lies behind the frame is left alone."""
    frame = replace(SEAL_FRAME, after=SEAL_FRAME.after + room)
    block = frame.block(len(data))
    plain = frame.within(block, len(data))
    plain[:] = data
    sealed = sealer().seal(Chunk(3, plain, block))
    assert sealed.block is block
    assert sealed.data == block[: len(data) + SEAL_OVERHEAD]
    assert bytes(block[len(block) - room :]) == bytes(room)
    opened = sealer().open(sealed)
    assert opened == Chunk(3, data)
    assert plain == data


def test_what_can_t_be_written_to_is_left_as_it_is() -> None:
    """Bytes are sealed and opened as copies."""
    data = b"data"
    sealed = bytes(sealer().seal(Chunk(3, data)).data)
    before = bytes(bytearray(sealed))
    assert sealer().open(Chunk(3, sealed)) == Chunk(3, b"data")
    assert (data, sealed) == (b"data", before)


@given(st.binary(min_size=1, max_size=100), st.data())
@settings(max_examples=100, deadline=None)
def test_any_flipped_bit_is_noticed(data: bytes, draw: st.DataObject) -> None:
    """In nonce, ciphertext or tag: the chunk doesn't open."""
    sealed = bytearray(sealer().seal(Chunk(3, data)).data)
    bit = draw.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ChunkCorrupt):
        sealer().open(Chunk(3, bytes(sealed)))


@given(st.binary(max_size=100))
@settings(max_examples=100, deadline=None)
def test_foreign_bytes_are_noticed(data: bytes) -> None:
    """What was never sealed doesn't open, whatever its length."""
    with pytest.raises(ChunkCorrupt):
        sealer().open(Chunk(0, data))


@pytest.mark.parametrize("length", range(SEAL_OVERHEAD))
def test_a_truncated_chunk_is_noticed(length: int) -> None:
    """A chunk that is cut off within its overhead is as corrupt as any other."""
    with pytest.raises(ChunkCorrupt):
        sealer().open(Chunk(0, sealer().seal(Chunk(0, b"")).data[:length]))


@pytest.mark.parametrize(
    "other",
    [
        sealer(key=bytes(32)),
        sealer(file_id=OTHER_ID),
        sealer(chunks=7),
        sealer(chunks=9),
        sealer(chunks=80),
    ],
)
def test_a_chunk_of_another_file_is_noticed(other: Sealer) -> None:
    """Another key, another id, or another number of chunks: it was not sealed for this file."""
    with pytest.raises(ChunkCorrupt):
        sealer().open(other.seal(Chunk(1, b"data")))


def test_exchanged_chunks_are_noticed() -> None:
    """A server can't pass one chunk off for another; the error names the place and the file."""
    sealed = sealer().seal(Chunk(1, b"data"))
    with pytest.raises(ChunkCorrupt) as caught:
        sealer().open(Chunk(2, sealed.data))
    assert (caught.value.chunk, caught.value.file_id) == (2, FILE_ID)
    assert not caught.value.retryable


def test_places_are_unambiguous() -> None:
    """Chunk 1 of 11 is not chunk 11 of 1, nor 11 of 11: the numbers are set apart."""
    sealed = bytes(sealer(chunks=11).seal(Chunk(1, b"data")).data)
    for index, chunks in ((11, 1), (111, 111), (1, 1), (11, 11)):
        with pytest.raises(ChunkCorrupt):
            sealer(chunks=chunks).open(Chunk(index, sealed))


def test_each_sealing_takes_a_new_nonce() -> None:
    """A resumed upload may seal other content for the same chunk; a nonce must not come twice."""
    nonces = {bytes(sealer().seal(Chunk(0, b"data")).data[:12]) for _ in range(200)}
    assert len(nonces) == 200


def test_a_nonce_that_is_given_is_taken() -> None:
    """So a chunk that is there in part is sealed to the same bytes once more."""
    first = sealer().seal(Chunk(0, b"data"))
    assert first.nonce == first.data[:12]
    again = sealer().seal(Chunk(0, b"data", nonce=first.nonce))
    assert (again.data, again.nonce) == (first.data, first.nonce)


@pytest.mark.parametrize("index", [-1, 8, 1 << 40])
def test_there_is_no_chunk_beyond_the_last(index: int) -> None:
    """Sealing one is a mistake of the caller, an index of a server's is a corrupt chunk."""
    with pytest.raises(ValueError, match="of 8"):
        sealer().seal(Chunk(index, b""))
    with pytest.raises(ChunkCorrupt):
        sealer().open(Chunk(index, bytes(40)))


@pytest.mark.parametrize(
    ("key", "file_id", "chunks"),
    [
        (bytes(16), FILE_ID, 1),
        (b"", FILE_ID, 1),
        (KEY, "a:b", 1),
        (KEY, FILE_ID.upper(), 1),
        (KEY, FILE_ID, -1),
        (KEY, FILE_ID, MAX_CHUNKS + 1),
    ],
)
def test_a_sealer_wants_a_file(key: bytes, file_id: str, chunks: int) -> None:
    """A short key, an id that could blur the place, or too many chunks are refused."""
    with pytest.raises(ValueError, match=r"no file id|32 bytes"):
        Sealer(key, file_id, chunks)


def test_one_sealer_serves_many_threads() -> None:
    """Chunks of one file are sealed and opened side by side."""
    shared = sealer(new_file_key(), new_file_id(), 256)
    chunks = [Chunk(index, bytes([index]) * 5000) for index in range(256)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda chunk: shared.open(shared.seal(chunk)), chunks)) == chunks


def test_no_key_or_content_is_shown() -> None:
    """Neither repr nor error shows the key; a sealer can't be pickled with it."""
    assert repr(sealer()) == f"<Sealer of 8 chunks of {FILE_ID}>"
    assert repr(sealer().seal(Chunk(1, b"data"))) == "Chunk(index=1)"
    with pytest.raises(TypeError):
        pickle.dumps(sealer())
