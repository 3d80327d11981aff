"""Checksums, and what they prove of an object."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atxfer.errors import ChecksumMismatch
from atxfer.stores.s3.checksums import (
    composite_crc32,
    composite_etag,
    crc32,
    crc32_of_whole,
    has_md5_etags,
    md5_hex,
    plain_etag,
)
from atxfer.stores.s3.proof import Piece, Proof

PARTS = [b"aaaaa", b"bbbbb", b"cc"]
CRCS = [crc32(part) for part in PARTS]
MD5S = [md5_hex(part) for part in PARTS]
PIECES = [Piece(len(part), crc32(part), md5_hex(part)) for part in PARTS]


def test_checksums_are_written_as_s3_does() -> None:
    """The example of Amazon's documentation of CRC-32: that of the empty object, in base64."""
    assert crc32(b"") == "AAAAAA=="
    assert crc32(b"123456789") == "y/Q5Jg=="  # the check value cbf43926


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_the_checksum_of_the_whole_comes_from_those_of_any_pieces(pieces: list[bytes]) -> None:
    """However the object was cut, and whatever the pieces' sizes are."""
    whole = crc32_of_whole([crc32(piece) for piece in pieces], [len(piece) for piece in pieces])
    assert whole == crc32(b"".join(pieces))


def test_an_object_in_parts_has_an_etag_of_md5s() -> None:
    """And a checksum of checksums; each with the number of parts behind it."""
    md5s = b"".join(hashlib.md5(part).digest() for part in PARTS)  # noqa: S324  # as S3 does
    assert composite_etag(MD5S) == f"{hashlib.md5(md5s).hexdigest()}-3"  # noqa: S324
    assert composite_crc32(CRCS).endswith("-3")
    assert composite_etag([*MD5S, "0x8D8"]) is None


@pytest.mark.parametrize(
    ("headers", "are"),
    [
        ({}, True),
        ({"x-amz-server-side-encryption": "AES256"}, True),
        ({"x-amz-server-side-encryption": "aws:kms"}, False),
        ({"x-amz-server-side-encryption": "aws:kms:dsse"}, False),
        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, False),
    ],
)
def test_some_encryptions_make_etags_something_else(headers: dict[str, str], are: bool) -> None:
    """Then nothing can be told from one."""
    assert has_md5_etags(headers) is are


def test_quotes_are_no_part_of_an_etag() -> None:
    """Some servers send them, some don't."""
    assert plain_etag(' "abc-2" ') == plain_etag("abc-2") == "abc-2"


WHOLE = crc32(b"".join(PARTS))
COMPOSITE = composite_crc32(CRCS)
ETAG = str(composite_etag(MD5S))


@pytest.mark.parametrize(
    ("proof", "etag", "etags_are_md5s"),
    [
        (Proof(0, WHOLE), "x", False),
        (Proof(5, COMPOSITE), "x", False),
        (Proof(5), ETAG, True),
    ],
)
def test_what_was_read_is_compared_by_the_best_there_is(
    proof: Proof, etag: str, etags_are_md5s: bool
) -> None:
    """A checksum of the whole, or one of the parts, or an ETag; another content is found out."""
    assert proof.check(PIECES, etag, etags_are_md5s=etags_are_md5s)
    others = [*PIECES[:2], Piece(2, crc32(b"xx"), md5_hex(b"xx"))]
    with pytest.raises(ChecksumMismatch, match="what was read"):
        proof.check(others, etag, etags_are_md5s=etags_are_md5s)


def test_an_object_of_one_part_has_its_md5_as_etag() -> None:
    """As all that came in one PUT."""
    piece = Piece(2, crc32(b"cc"), md5_hex(b"cc"))
    assert Proof().check([piece], md5_hex(b"cc"), etags_are_md5s=True)
    with pytest.raises(ChecksumMismatch):
        Proof().check([piece], md5_hex(b"xx"), etags_are_md5s=True)


@pytest.mark.parametrize(
    ("proof", "etag", "etags_are_md5s"),
    [
        (Proof(), ETAG, True),  # how large the parts are is not known
        (Proof(6, COMPOSITE), ETAG, True),  # or they are not what was read
        (Proof(5, "AAAAAA==-2"), "x-2", True),
        (Proof(5), ETAG, False),
        (Proof(5), md5_hex(b"x"), True),
        (Proof(), "", True),
    ],
)
def test_nothing_is_claimed_where_nothing_can_be_compared(
    proof: Proof, etag: str, etags_are_md5s: bool
) -> None:
    """A check that was not made is told as none."""
    assert not proof.check(PIECES, etag, etags_are_md5s=etags_are_md5s)


def test_a_piece_without_an_md5_proves_nothing_by_md5() -> None:
    """They are made only where they are needed."""
    pieces = [Piece(5, CRCS[0]), *PIECES[1:]]
    assert not Proof(5).check(pieces, ETAG, etags_are_md5s=True)


@pytest.mark.parametrize("proof", [Proof(), Proof(5), Proof(0, WHOLE), Proof(5, COMPOSITE)])
def test_a_proof_is_read_as_it_was_written(proof: Proof) -> None:
    """It travels as a text, in an ObjectInfo."""
    assert Proof.parse(str(proof)) == proof


@pytest.mark.parametrize("text", ["", "part=x crc32=", "part=5 crc32=<>", "part=5"])
def test_an_unknown_proof_is_none(text: str) -> None:
    """One of another version is no error."""
    assert Proof.parse(text) == Proof()


@pytest.mark.parametrize(
    ("headers", "proof"),
    [
        ({"ETag": '"x"', "x-amz-checksum-crc32": WHOLE}, Proof(0, WHOLE)),
        ({"ETag": '"x-2"', "x-amz-checksum-crc32": COMPOSITE}, Proof(0, COMPOSITE)),
        ({"ETag": '"x-2"', "x-amz-checksum-crc32": WHOLE}, Proof()),
        (
            {
                "ETag": '"x-2"',
                "x-amz-checksum-crc32": WHOLE,
                "x-amz-checksum-type": "FULL_OBJECT",
            },
            Proof(0, WHOLE),
        ),
        ({"x-amz-meta-atxfer-part": "5"}, Proof(5)),
        ({"x-amz-meta-atxfer-part": "many"}, Proof()),
    ],
)
def test_what_a_server_tells_of_an_object(headers: dict[str, str], proof: Proof) -> None:
    """One without the number of parts, as moto has it, is of nobody knows what."""
    assert Proof.told(headers) == proof
