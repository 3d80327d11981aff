"""Files on their way to S3, and every kind of answer they may meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from atxfer._policy.sizing import choose_chunk_size
from atxfer.config import KIB, MIB
from atxfer.errors import (
    ChecksumMismatch,
    ChunkCorrupt,
    ChunkMissing,
    NotFound,
    NotSupported,
    Overloaded,
    ProtocolViolation,
    RequestRejected,
    ServerFault,
    TransferError,
)
from atxfer.model import Chunk
from atxfer.stores.base import Leftover, StoredFile, UploadPlan
from atxfer.stores.s3 import S3Store
from atxfer.stores.s3.checksums import composite_crc32, composite_etag, crc32, md5_hex
from atxfer.waiting import Wait
from tests.support.s3 import (
    ScriptedS3,
    error,
    error_body,
    parts_listed,
    s3_bench,
    scripted,
    xml,
)
from tests.support.web import Heard, answer

ID = "ucq2fi5euwtkpkfjvkv2zlnov4"
PARTS = [b"aaaaa", b"bbbbb", b"cc"]
CRCS = [crc32(part) for part in PARTS]
ETAGS = [md5_hex(part) for part in PARTS]
ETAG = str(composite_etag(ETAGS))
TOKEN = b'{"key": "p/x", "upload_id": "u1"}'
CREATED = xml("InitiateMultipartUploadResult", UploadId="u1")


def plan(chunks: int = 3, **changes: Any) -> UploadPlan:
    """Return the plan of a file of three small parts, or of one."""
    values: dict[str, Any] = {"file_id": ID, "size": 12, "chunk_size": 5, "chunks": chunks}
    return UploadPlan(**{**values, "ttl": None, "name": "x", **changes})


def taken(body: bytes, **headers: str) -> bytes:
    """Return the answer to a body by a server that knows no checksums."""
    return answer(b"", ETag=f'"{md5_hex(body)}"', **headers)


def echoed(body: bytes) -> bytes:
    """Return the answer by one that does."""
    return taken(body, x_amz_checksum_crc32=crc32(body))


def completed(etag: str = ETAG, **values: str) -> bytes:
    """Return the answer to Complete."""
    return xml("CompleteMultipartUploadResult", ETag=f'"{etag}"', **values)


def send(store: S3Store, chunks: Sequence[bytes] = PARTS) -> StoredFile:
    """Send a file in parts, one after the other."""
    upload = store.open_upload(plan(), Wait())
    upload.begin(Wait())
    for index, data in enumerate(chunks):
        upload.put([Chunk(index, data)], Wait())
    return upload.commit(Wait())


def put(store: S3Store, data: bytes = b"abc") -> StoredFile:
    """Send a file of one chunk."""
    upload = store.open_upload(plan(1, size=len(data), chunk_size=5), Wait())
    upload.put([Chunk(0, data)], Wait())
    return upload.commit(Wait())


# --- one request


def test_a_small_file_is_one_request() -> None:
    """No question before it, no Expect, no second request behind it (R7)."""
    with ScriptedS3(echoed(b"abc")) as server, s3_bench(server.url(""), "bucket") as bench:
        receipt = bench.upload(b"abc", "x")
        (heard,) = server.heard
        assert server.asked == ["PUT /x"]
        assert heard.body == b"abc"
        assert heard.headers["x-amz-checksum-crc32"] == crc32(b"abc")
        assert "expect" not in heard.headers
        assert receipt.file_id == "s3://bucket/p/x"


def test_an_empty_file_is_one_request() -> None:
    """With chunks counted as one or as none."""
    with scripted(echoed(b""), echoed(b"")) as (server, store):
        assert not store.open_upload(plan(1, size=0), Wait()).commits
        put(store, b"")
        upload = store.open_upload(plan(0, size=0), Wait())
        assert upload.commits
        upload.begin(Wait())
        upload.prepare(Wait(), 9)
        upload.commit(Wait())
        upload.abort(Wait())
        assert server.asked == ["PUT /x", "PUT /x"]
        assert server.heard[0].headers["content-length"] == "0"


def test_the_file_lies_where_its_receipt_says() -> None:
    """A location has what ObjectInfo has, under the same names."""
    with scripted(echoed(b"abc")) as (_, store):
        stored = put(store)
        assert dict(stored.location) == {
            "address": "s3://bucket/p/x",
            "name": "x",
            "size": 3,
            "version": md5_hex(b"abc"),
            "modified_at": None,
            "expires_at": None,
            "proof": f"part=0 crc32={crc32(b'abc')}",
        }


def test_a_file_whose_name_is_secret_is_called_by_its_id() -> None:
    """Sealed files have no name that a store may know."""
    with scripted(echoed(b"abc")) as (server, store):
        upload = store.open_upload(plan(1, name=""), Wait())
        upload.put([Chunk(0, b"abc")], Wait())
        assert server.asked == [f"PUT /{ID}"]


def test_nothing_of_a_single_request_is_kept_for_later() -> None:
    """There is no token, and nothing stored, until all is there."""
    with scripted() as (_, store):
        upload = store.open_upload(plan(1), Wait())
        assert upload.token == b""
        assert upload.stored(range(1), Wait()) == frozenset()


# --- what the server says of a body (scenario 14)


@pytest.mark.parametrize(
    "said", [taken(b"xyz"), taken(b"abc", x_amz_checksum_crc32=crc32(b"xyz")), echoed(b"xyz")]
)
def test_a_server_that_has_something_else_is_found_out(said: bytes) -> None:
    """By its checksum, or by its MD5; the engine sends the chunk once more, and then gives up."""
    with ScriptedS3(said, said) as server, s3_bench(server.url(""), "bucket") as bench:
        with pytest.raises(ChunkCorrupt, match="something else than was sent") as caught:
            bench.upload(b"abc")
        assert len(server.heard) == 2
        assert caught.value.attempts == 2


def test_damage_on_the_way_is_repaired() -> None:
    """The server refuses what its checksum is not that of; sent again, it is right."""
    script = [error("XAmzContentChecksumMismatch", 400), echoed(b"abc")]
    with ScriptedS3(*script) as server, s3_bench(server.url(""), "bucket") as bench:
        bench.upload(b"abc")
        assert len(server.heard) == 2


@pytest.mark.parametrize(
    "said",
    [
        taken(b"abc"),
        answer(b""),
        answer(b"", ETag='"0x8DC"'),
        answer(b"", ETag=f'"{md5_hex(b"key")}"', x_amz_server_side_encryption="aws:kms"),
    ],
)
def test_a_server_that_says_nothing_to_compare_is_believed(said: bytes) -> None:
    """It has verified the signature, which holds the SHA-256 of the body."""
    with scripted(said) as (_, store):
        assert put(store).location["proof"] == "part=0 crc32="


def test_a_server_that_knows_no_checksums_is_asked_without() -> None:
    """It says so once; the next attempt leaves them out, and so do all that follow."""
    refused = error("Unknown", 501)
    with scripted(refused, taken(b"abc"), CREATED) as (server, store):
        with pytest.raises(ServerFault, match="without newer checksums"):
            put(store)
        put(store)
        store.open_upload(plan(), Wait()).begin(Wait())
        assert "x-amz-checksum-crc32" in server.heard[0].headers
        assert "x-amz-checksum-crc32" not in server.heard[1].headers
        assert "x-amz-checksum-algorithm" not in server.heard[2].headers


def test_a_server_that_knows_something_else_not_is_told_of() -> None:
    """A second 501 is about something that can't be left out."""
    refused = error("Unknown", 501)
    with scripted(refused, refused) as (_, store):
        with pytest.raises(ServerFault):
            put(store)
        with pytest.raises(NotSupported):
            put(store)


def test_checksums_can_be_turned_off_as_for_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable that users of older servers have set already."""
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    with scripted(taken(b"abc")) as (server, store):
        put(store)
        assert not any("checksum" in name for name in server.heard[0].headers)


# --- parts


def test_a_file_in_parts_is_begun_sent_and_completed() -> None:
    """Each chunk is a part; the list of them names their ETags and checksums."""
    told = completed(ChecksumCRC32=composite_crc32(CRCS))
    script = [CREATED, *map(echoed, PARTS), told]
    with scripted(*script) as (server, store):
        stored = send(store)
        assert server.asked == [
            "POST /x?uploads",
            *(f"PUT /x?partNumber={number}&uploadId=u1" for number in (1, 2, 3)),
            "POST /x?uploadId=u1",
        ]
        begun = server.heard[0].headers
        assert begun["x-amz-checksum-algorithm"] == "CRC32"
        assert begun["x-amz-meta-atxfer-id"] == ID
        assert begun["x-amz-meta-atxfer-part"] == "5"
        entry = '<Part><PartNumber>2</PartNumber><ETag>"{}"</ETag><ChecksumCRC32>{}</ChecksumCRC32>'
        assert entry.format(ETAGS[1], CRCS[1]) in server.heard[-1].body.decode()
        assert stored.location["version"] == ETAG
        assert stored.location["proof"] == f"part=5 crc32={composite_crc32(CRCS)}"


def test_an_upload_that_gets_no_id_has_not_begun() -> None:
    """Without one, parts would go nowhere."""
    with scripted(xml("Whatever")) as (server, store):
        upload = store.open_upload(plan(), Wait())
        with pytest.raises(ProtocolViolation):
            upload.begin(Wait())
        assert upload.begins
        assert upload.token == b""
        upload.abort(Wait())
        assert len(server.heard) == 1


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (answer(error_body("InternalError")), ServerFault),
        (answer(b"  \n" + error_body("SlowDown")), Overloaded),
        (answer(error_body("BrandNew")), ServerFault),
        (answer(b""), ServerFault),
        (answer(b"<Complete"), ServerFault),
        (error("InvalidPart", 400), RequestRejected),
        (error("InternalError", 500), ServerFault),
        (error("NoSuchBucket", 404), NotFound),
    ],
)
def test_complete_may_fail_with_a_success(said: bytes, kind: type[TransferError]) -> None:
    """Its body is read; what is no answer has to be asked again (scenario 13)."""
    with scripted(CREATED, *map(taken, PARTS), said) as (server, store):
        with pytest.raises(kind):
            send(store)
        assert len(server.heard) == 5


GONE = error("NoSuchUpload", 404)


def stat(size: int = 12, file_id: str = ID, etag: str = ETAG) -> bytes:
    """Return the answer to a HEAD."""
    head = answer(b"", ETag=f'"{etag}"', x_amz_meta_atxfer_id=file_id)
    return head.replace(b"Content-Length: 0", b"Content-Length: %d" % size)


def test_an_upload_that_is_gone_may_have_succeeded() -> None:
    """The answer of the first Complete was lost; the object is known by its id (R9, scenario 7)."""
    with scripted(CREATED, *map(taken, PARTS), GONE, stat()) as (server, store):
        assert send(store).location["version"] == ETAG
        assert server.asked[-1] == "HEAD /x"


@pytest.mark.parametrize("said", [stat(file_id="another"), answer(b"", 404), answer(b"")])
def test_an_object_of_somebody_else_is_no_success(said: bytes) -> None:
    """It was there before, or came since."""
    gone = pytest.raises(NotFound, match="NoSuchUpload")
    with scripted(CREATED, *map(taken, PARTS), GONE, said) as (_, store), gone:
        send(store)


def test_complete_is_tried_again_by_the_engine() -> None:
    """And nothing else is: each part is sent once."""
    data = bytes(8 * MIB + 1)
    sent = [data[: 5 * MIB], data[5 * MIB :]]
    etag = str(composite_etag([md5_hex(part) for part in sent]))

    def part(heard: Heard) -> bytes:
        return taken(heard.body)

    failed = answer(error_body("InternalError"))
    lost = None
    done = [failed, lost, completed(etag)]
    with ScriptedS3(CREATED, part, part, *done) as server:
        with s3_bench(server.url(""), "bucket") as bench:
            bench.upload(data, "x")
        assert sorted(server.asked[1:3]) == [
            f"PUT /x?partNumber={number}&uploadId=u1" for number in (1, 2)
        ]
        assert server.asked[3:] == ["POST /x?uploadId=u1"] * 3


# --- the whole


def test_a_whole_that_its_parts_do_not_make_is_found_out() -> None:
    """The server put something else together; the object is left, and the error says so."""
    wrong = completed(ChecksumCRC32=composite_crc32(CRCS[::-1]))
    with scripted(CREATED, *map(echoed, PARTS), wrong) as (server, store):
        with pytest.raises(ChecksumMismatch) as caught:
            send(store)
        assert "left where it is" in caught.value.remedy
        assert not any(line.startswith("DELETE") for line in server.asked)


@pytest.mark.parametrize("etag", ["0123456789abcdef0123456789abcdef-3", "whatever"])
def test_not_every_server_makes_etags_of_md5s(etag: str) -> None:
    """There the size is asked for; it is the least that can be known."""
    script = [CREATED, *map(taken, PARTS), completed(etag), stat(12)]
    with scripted(*script) as (server, store):
        assert send(store).location["version"] == etag
        assert server.asked[-1] == "HEAD /x"


def test_a_whole_of_another_size_is_found_out() -> None:
    """A part was lost, and the server said nothing."""
    script = [CREATED, *map(taken, PARTS), completed("whatever"), stat(7)]
    told = pytest.raises(ChecksumMismatch, match="has 7 bytes instead of 12")
    with scripted(*script) as (_, store), told:
        send(store)


def test_a_server_that_was_seen_to_make_etags_of_md5s_is_held_to_it() -> None:
    """Then another ETag is another object."""
    once = [CREATED, *map(taken, PARTS)]
    script = [*once, completed(), *once, completed("0123456789abcdef0123456789abcdef-3")]
    with scripted(*script) as (_, store):
        send(store)
        with pytest.raises(ChecksumMismatch, match="ETag"):
            send(store)


def test_some_encryptions_make_other_etags_there_too() -> None:
    """A server that makes ETags of MD5s makes none of what a key service encrypts."""
    encrypted = [taken(part, x_amz_server_side_encryption="aws:kms") for part in PARTS]
    other = completed("0123456789abcdef0123456789abcdef-3")
    with scripted(CREATED, *encrypted, other, stat(12)) as (server, store):
        vars(store)["_bucket"].etags_are_md5s = True
        send(store)
        assert server.asked[-1] == "HEAD /x"


# --- an upload that goes on


def test_a_token_opens_the_same_upload() -> None:
    """Its parts are asked for, those of the right size are held, and the rest is sent."""
    listed = parts_listed([(1, ETAGS[0], 5), (2, "x", 3)])
    script = [listed, taken(PARTS[1]), taken(PARTS[2]), completed()]
    with scripted(*script) as (server, store):
        upload = store.open_upload(plan(), Wait(), token=TOKEN)
        assert not upload.begins
        assert upload.token == TOKEN
        assert upload.stored(range(3), Wait()) == {0}
        for index in (1, 2):
            upload.put([Chunk(index, PARTS[index])], Wait())
        assert upload.commit(Wait()).location["version"] == ETAG
        assert server.asked[0] == "GET /x?uploadId=u1&part-number-marker=0"


def test_the_token_is_what_begin_made() -> None:
    """It can be kept as soon as there is something to go on with."""
    with scripted(CREATED) as (_, store):
        upload = store.open_upload(plan(), Wait())
        assert upload.token == b""
        upload.begin(Wait())
        assert upload.token == TOKEN


def test_parts_of_an_earlier_run_are_asked_for_at_the_end() -> None:
    """If nobody asked before: without their ETags there is no Complete."""
    listed = parts_listed([(n, etag, 5 if n < 3 else 2) for n, etag in enumerate(ETAGS, 1)])
    with scripted(listed, completed()) as (_, store):
        upload = store.open_upload(plan(), Wait(), token=TOKEN)
        assert upload.commit(Wait()).location["version"] == ETAG


def test_a_part_that_is_missing_is_not_completed_without() -> None:
    """The object would be another file."""
    listed = parts_listed([(1, ETAGS[0], 5), (2, ETAGS[1], 4)])
    with scripted(listed) as (_, store):
        upload = store.open_upload(plan(), Wait(), token=TOKEN)
        with pytest.raises(ChunkMissing) as caught:
            upload.commit(Wait())
        assert caught.value.chunk == 1


def test_parts_are_listed_page_by_page() -> None:
    """From the first that is asked for to the last, and no further."""
    first = parts_listed([(2, "a", 5)], IsTruncated="true", NextPartNumberMarker=2)
    second = parts_listed([(3, "b", 5), (4, "c", 5)])
    with scripted(first, second) as (server, store):
        upload = store.open_upload(plan(4, size=20), Wait(), token=TOKEN)
        assert upload.stored(range(1, 3), Wait()) == {1, 2}
        assert [line.rpartition("=")[2] for line in server.asked] == ["1", "2"]


@pytest.mark.parametrize(
    ("overhead", "trailer", "held"), [(0, 0, {1}), (1, 0, {0}), (0, 5, {1, 2}), (1, 4, {0, 2})]
)
def test_a_part_is_as_large_as_what_is_sealed(overhead: int, trailer: int, held: set[int]) -> None:
    """Each by the overhead, and the last by the trailer."""
    listed = parts_listed([(1, "a", 6), (2, "b", 5), (3, "c", 7)])
    with scripted(listed) as (_, store):
        upload = store.open_upload(plan(overhead=overhead, trailer=trailer), Wait(), token=TOKEN)
        assert upload.stored(range(3), Wait()) == held


def test_an_upload_that_is_gone_is_told_as_such() -> None:
    """Whoever resumes begins anew (R19)."""
    with scripted(GONE, GONE) as (_, store):
        upload = store.open_upload(plan(), Wait(), token=TOKEN)
        with pytest.raises(NotFound):
            upload.stored(range(3), Wait())
        with pytest.raises(NotFound):
            upload.put([Chunk(0, PARTS[0])], Wait())


@pytest.mark.parametrize(
    "token",
    [b"", b"x", b"[]", b"{}", b'{"key": "p/x"}', b'{"key": "q/x", "upload_id": "u"}', b"\xff"],
)
def test_a_token_of_something_else_is_refused(token: bytes) -> None:
    """It may be another store's, or of another prefix; an empty one says nothing."""
    with scripted() as (_, store):
        if not token:
            assert store.open_upload(plan(), Wait(), token=token).begins
            return
        with pytest.raises(ValueError, match=r"token|no address"):
            store.open_upload(plan(), Wait(), token=token)
        with pytest.raises(ValueError, match=r"token|no address"):
            store.drop(Leftover("s3://bucket/p/x", token), Wait())


@pytest.mark.parametrize("said", [answer(b"", 204), GONE, answer(b"", 404)])
def test_parts_are_removed_when_told_to(said: bytes) -> None:
    """There or not (R20)."""
    with scripted(said, said) as (server, store):
        store.open_upload(plan(), Wait(), token=TOKEN).abort(Wait())
        store.drop(Leftover("s3://bucket/p/x", TOKEN), Wait())
        assert server.asked == ["DELETE /x?uploadId=u1"] * 2


def test_parts_that_were_not_removed_are_told_of() -> None:
    """A bucket that is gone is not an upload that is gone."""
    told = pytest.raises(NotFound, match="NoSuchBucket")
    with scripted(error("NoSuchBucket", 404)) as (_, store), told:
        store.open_upload(plan(), Wait(), token=TOKEN).abort(Wait())


# --- sizes (scenario 20)


@pytest.mark.parametrize("overhead", [0, 28])
@pytest.mark.parametrize(
    ("size", "chunk_size"),
    [
        (0, 8 * MIB),
        (8 * MIB, 8 * MIB),
        (8 * MIB + 1, 5 * MIB),
        (10_000 * 5 * MIB, 5 * MIB),
        (10_000 * 5 * MIB + 1, 10 * MIB),
        (5 * MIB * MIB, 640 * MIB),
    ],
)
def test_the_chunk_size_suits_the_file(size: int, chunk_size: int, overhead: int) -> None:
    """One request, or parts as small as may be and never more than 10,000, up to 5 TiB."""
    chosen = choose_chunk_size(size, S3Store.capabilities, overhead=overhead)
    assert chosen == chunk_size
    assert -(-size // chosen) <= 10_000
    assert S3Store.capabilities.max_chunk_bytes == 5 * 1024 * MIB


def test_no_part_is_too_small_for_the_server() -> None:
    """None is below 5 MiB, and there are 10,000 at most: else the store refuses the upload."""
    for size, chunk_size in ((9 * MIB, 5 * MIB), (60_000 * MIB, 6 * MIB), (8 * KIB, 8 * KIB)):
        assert choose_chunk_size(size, S3Store.capabilities, 8 * KIB) == chunk_size
    huge = plan(10_001, size=10_001 * 5 * MIB, chunk_size=5 * MIB)
    told = pytest.raises(ValueError, match="chunk_size must be at least")
    with scripted() as (_, store), told:
        store.open_upload(huge, Wait())
