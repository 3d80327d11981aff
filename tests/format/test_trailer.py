"""The end of a sealed object: found by its last bytes, and opened by its key alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atxfer._format.fragment import key_text, read_key
from atxfer._format.manifest import COMPLETE, UPLOADING, Manifest, new_file_id, new_file_key
from atxfer._format.sealing import SEAL_OVERHEAD
from atxfer._format.trailer import MAX_TRAILER, Trailer, new_object_key, open_trailer
from atxfer.errors import ManifestInvalid

KEY = new_object_key()
BEGUN = Manifest(
    file_id=new_file_id(),
    name="Überweisung.csv",
    size=100,
    chunk_size=64,
    chunks=2,
    file_key=new_file_key(),
    sha256="",
    state=UPLOADING,
    owner="",
    created_at=1_700_000_000.0,
)


def test_its_length_is_known_before_the_hash() -> None:
    """A store is told how long an object will be before the file is read."""
    trailer = Trailer(BEGUN, KEY)
    assert {len(trailer.sealed(digit * 64)) for digit in "09af"} == {trailer.length}


CHUNKS = bytes(BEGUN.size + BEGUN.chunks * SEAL_OVERHEAD)


def opened(whole: bytes, key: bytes = KEY) -> Manifest:
    """Return what a reader makes of an object."""
    return open_trailer(whole[-MAX_TRAILER:], key, len(whole))


def test_the_manifest_is_read_from_the_end() -> None:
    """With all that was known of the file, and its hash."""
    manifest = opened(CHUNKS + Trailer(BEGUN, KEY).sealed("ab" * 32))
    assert (manifest.state, manifest.sha256) == (COMPLETE, "ab" * 32)
    assert (manifest.name, manifest.file_key) == (BEGUN.name, BEGUN.file_key)


@pytest.mark.parametrize("front", [b"", CHUNKS[1:], CHUNKS + b"x", bytes(MAX_TRAILER)])
def test_an_object_of_another_length_is_refused(front: bytes) -> None:
    """A part of it was cut out, or something was put in."""
    with pytest.raises(ManifestInvalid, match="length"):
        opened(front + Trailer(BEGUN, KEY).sealed("ab" * 32))


def test_nothing_of_it_is_in_the_clear() -> None:
    """Neither the name nor the key of the file."""
    sealed = Trailer(BEGUN, KEY).sealed("ab" * 32)
    assert BEGUN.file_key not in sealed
    assert b"berweisung" not in sealed


def test_another_key_does_not_open_it() -> None:
    """And the error says what to do."""
    with pytest.raises(ManifestInvalid, match="whole address"):
        opened(CHUNKS + Trailer(BEGUN, KEY).sealed("ab" * 32), new_object_key())


@given(st.binary(max_size=200))
def test_whatever_is_no_trailer_is_told(tail: bytes) -> None:
    """A plain object, an empty one, a cut one: a typed error, nothing else."""
    with pytest.raises(ManifestInvalid):
        opened(tail)


@given(st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    """Wherever it is."""
    sealed = bytearray(Trailer(BEGUN, KEY).sealed("ab" * 32))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ManifestInvalid):
        opened(CHUNKS + bytes(sealed))


@given(st.binary(min_size=32, max_size=32))
def test_a_key_behind_an_address_is_read_back(key: bytes) -> None:
    """43 letters that no shell, mail or browser changes."""
    assert read_key(key_text(key)) == key


@pytest.mark.parametrize("text", ["", "a" * 42, "a" * 44, "ä" * 43, "a" * 42 + "="])
def test_what_is_no_key_is_refused_and_not_quoted(text: str) -> None:
    """What is left of a key is a secret still."""
    with pytest.raises(ValueError, match="cut short") as caught:
        read_key(text)
    assert not text or text not in str(caught.value)
