"""Files on their way from S3: the bytes that were asked for, of one version, or an error."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from atxfer.errors import (
    ChecksumMismatch,
    ChunkCorrupt,
    ChunkMissing,
    ConnectionLost,
    NotAuthorized,
    NotFound,
    ProtocolViolation,
    TransferError,
)
from atxfer.stores.base import ObjectInfo, StoredFile
from atxfer.stores.s3 import S3Store
from atxfer.stores.s3.checksums import composite_crc32, composite_etag, crc32, md5_hex
from atxfer.stores.s3.proof import Proof
from atxfer.waiting import Wait
from tests.support.s3 import ScriptedS3, error, s3_bench, scripted
from tests.support.web import Heard, answer

DATA = b"aaaaabbbbbcc"
PARTS = [b"aaaaa", b"bbbbb", b"cc"]
ETAG = str(composite_etag([md5_hex(part) for part in PARTS]))
COMPOSITE = composite_crc32([crc32(part) for part in PARTS])
ADDRESS = "s3://bucket/p/x"


def stored(chunks: int = 3, **changes: Any) -> StoredFile:
    """Return a file of three chunks, or of one."""
    values: dict[str, Any] = {"address": ADDRESS, "name": "x", "size": 12, "version": ETAG}
    info = ObjectInfo(**{**values, **changes})
    size = 5 if chunks == 3 else 12
    return StoredFile("x", "", chunks, asdict(info), size=12, chunk_size=size)


def part(data: bytes, start: int, total: Any = 12, etag: str = ETAG, **headers: str) -> bytes:
    """Return the answer that is a range."""
    told = f"bytes {start}-{start + len(data) - 1}/{total}"
    return answer(data, 206, Content_Range=told, ETag=f'"{etag}"', **headers)


RANGES = [part(data, start) for data, start in zip(PARTS, (0, 5, 10))]


def get(store: S3Store, file: StoredFile, *indexes: int) -> bytes:
    """Read chunks one after the other, and check the whole."""
    download = store.open_download(file, Wait())
    wanted = indexes or range(file.chunks)
    data = b"".join(download.get([index], Wait())[0].data for index in wanted)
    download.check()
    return data


def test_a_chunk_is_a_range_of_the_version_that_is_wanted() -> None:
    """Which the server is told, so that it gives no other (R22)."""
    with scripted(*RANGES) as (server, store):
        assert get(store, stored()) == DATA
        heard = [request.headers for request in server.heard]
        assert [headers["range"] for headers in heard] == ["bytes=0-4", "bytes=5-9", "bytes=10-11"]
        assert {headers["if-match"] for headers in heard} == {f'"{ETAG}"'}


def test_several_chunks_come_in_the_order_asked_for() -> None:
    """Each with its index, of sealed ones with the bytes that sealing added."""
    with scripted(part(b"cc++", 14, 18), part(b"aaaaa++", 0, 18)) as (_, store):
        file = stored(size=18)
        sealed = StoredFile("x", "", 3, file.location, 12, 5, overhead=2)
        chunks = store.open_download(sealed, Wait()).get([2, 0], Wait())
        assert [(chunk.index, chunk.data) for chunk in chunks] == [(2, b"cc++"), (0, b"aaaaa++")]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(answer(DATA, ETag=f'"{ETAG}"'), id="all of it instead of a part"),
        pytest.param(answer(b"bbbbb", 206, ETag=f'"{ETAG}"'), id="which part is not said"),
        pytest.param(answer(b"bbbbb", 206, Content_Range="bytes 5-9"), id="half a Content-Range"),
        pytest.param(part(b"aaaaa", 0), id="another part"),
        pytest.param(part(b"bbbb", 5), id="less than asked for"),
        pytest.param(part(b"bbbbbc", 5), id="more than asked for"),
        pytest.param(part(b"bbbbb", 5, 13), id="of another size"),
        pytest.param(answer(bytes(100_000), ETag=f'"{ETAG}"'), id="more than fits"),
    ],
)
def test_other_bytes_are_never_taken_for_those_asked_for(said: bytes) -> None:
    """A server or a proxy that knows no ranges answers with all of it (scenario 15)."""
    with scripted(said) as (_, store), pytest.raises(ProtocolViolation):
        get(store, stored(), 1)


def test_a_range_without_a_total_is_a_range() -> None:
    """HTTP allows a star."""
    with scripted(part(b"bbbbb", 5, "*")) as (_, store):
        assert get(store, stored(), 1) == b"bbbbb"


def test_all_of_it_is_right_where_all_was_asked_for() -> None:
    """A file of one chunk may come with 200."""
    with scripted(answer(DATA, ETag=f'"{md5_hex(DATA)}"')) as (_, store):
        assert get(store, stored(1, version=md5_hex(DATA))) == DATA


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(error("PreconditionFailed", 412), id="412"),
        pytest.param(error("InvalidRange", 416), id="416"),
        pytest.param(part(b"bbbbb", 5, etag="other"), id="If-Match is not known"),
    ],
)
def test_an_object_that_changes_while_it_is_read_is_told_of(said: bytes) -> None:
    """No file is put together of two (scenario 15)."""
    with scripted(said) as (_, store), pytest.raises(ChunkCorrupt, match="changed while it was"):
        get(store, stored(), 1)


def test_without_a_version_the_first_answer_s_is_the_one() -> None:
    """And all others have to be of it."""
    with scripted(RANGES[0], RANGES[1], part(b"cc", 10, etag="other")) as (server, store):
        with pytest.raises(ChunkCorrupt, match="changed"):
            get(store, stored(version=""))
        assert "if-match" not in server.heard[0].headers
        assert server.heard[1].headers["if-match"] == f'"{ETAG}"'


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (error("NoSuchKey", 404), ChunkMissing),
        (answer(b"", 404), ChunkMissing),
        (error("NoSuchBucket", 404), NotFound),
        (error("AccessDenied", 403), NotAuthorized),
    ],
)
def test_a_chunk_that_cannot_be_had_says_why(said: bytes, kind: type[TransferError]) -> None:
    """Gone with its bucket or without, or not ours."""
    with scripted(said) as (_, store), pytest.raises(kind) as caught:
        get(store, stored(), 1)
    assert type(caught.value) is kind


def test_an_answer_that_is_cut_off_is_a_lost_connection() -> None:
    """Which may be tried again; what came of it is thrown away."""

    def cut(heard: Heard) -> None:
        sock = vars(server)["_sockets"][0]
        sock.sendall(RANGES[1][:-2])

    with scripted(cut) as (server, store), pytest.raises(ConnectionLost):
        get(store, stored(), 1)


# --- the whole


@pytest.mark.parametrize(
    ("proof", "etag", "chunks"),
    [
        pytest.param(Proof(0, crc32(DATA)), "any", 3, id="of all of it"),
        pytest.param(Proof(5, COMPOSITE), "any", 3, id="of the parts"),
        pytest.param(Proof(0, crc32(DATA)), "any", 1, id="of one piece"),
        pytest.param(Proof(), md5_hex(DATA), 1, id="the ETag of one piece"),
    ],
)
def test_the_whole_is_compared_with_what_the_store_knows(
    proof: Proof, etag: str, chunks: int
) -> None:
    """Bytes that changed where they lie, or on the way, are found out (scenario 14)."""
    file = stored(chunks, version=etag, proof=str(proof))
    cuts = [(DATA, 0)] if chunks == 1 else list(zip(PARTS, (0, 5, 10)))
    said = [part(data, start, etag=etag) for data, start in cuts]
    with scripted(*said) as (_, store):
        assert get(store, file) == DATA
    said[-1] = said[-1][:-1] + b"x"
    with scripted(*said) as (_, store), pytest.raises(ChecksumMismatch):
        get(store, file)


@pytest.mark.parametrize("known", [True, False])
def test_an_etag_of_parts_counts_where_the_server_makes_them_of_md5s(known: bool) -> None:
    """Elsewhere it is any text, and no check is claimed."""
    file = stored(proof=str(Proof(5)))
    ranges = [*RANGES[:2], part(b"xx", 10)]
    with scripted(*ranges) as (_, store):
        vars(store)["_bucket"].etags_are_md5s = known
        if known:
            with pytest.raises(ChecksumMismatch):
                get(store, file)
        else:
            assert get(store, file) == b"aaaaabbbbbxx"


def test_some_encryptions_leave_nothing_to_compare() -> None:
    """The ETag of an object under a key of a key service is no MD5."""
    etag = md5_hex(b"something else")
    said = part(DATA, 0, etag=etag, x_amz_server_side_encryption="aws:kms")
    with scripted(said) as (_, store):
        assert get(store, stored(1, version=etag)) == DATA


def test_a_part_of_a_file_is_not_compared() -> None:
    """A download that goes on has read only the rest; a trailer is read elsewhere."""
    file = stored(proof=str(Proof(0, crc32(b"something else"))))
    with scripted(*RANGES[1:]) as (_, store):
        assert get(store, file, 1, 2) == b"bbbbbcc"


def test_the_engine_fetches_once_more_what_changed_and_then_says_so() -> None:
    """The error names the object, and nothing is written."""
    changed = error("PreconditionFailed", 412)
    head = answer(b"", ETag='"v1"').replace(b"Content-Length: 0", b"Content-Length: 12")
    with ScriptedS3(head, changed, changed) as server, s3_bench(server.url(""), "bucket") as bench:
        with pytest.raises(ChunkCorrupt, match="changed") as caught:
            bench.download(ADDRESS)
        assert caught.value.attempts == 2
        assert "Download it again" in caught.value.remedy
