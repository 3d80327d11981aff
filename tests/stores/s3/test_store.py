"""What a store tells of its objects, and of uploads that did not end."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from urllib.parse import parse_qs, urlsplit

import pytest

from atxfer.config import TransferConfig
from atxfer.errors import (
    AccessDenied,
    ChunkCorrupt,
    ChunkMissing,
    FileNotFound,
    NotAuthorized,
    NotFound,
    NotSupported,
    ProtocolViolation,
    TransferError,
)
from atxfer.stores.base import Leftover, ObjectInfo, StoredFile
from atxfer.stores.http import HttpTransport, https_context
from atxfer.stores.s3 import S3Store
from atxfer.waiting import Wait
from tests.support.s3 import error, scripted, xml
from tests.support.web import answer

ADDRESS = "s3://bucket/p/x"
INFO = ObjectInfo(ADDRESS, "x", 12, "v1")
STORED = StoredFile("x", "", 1, asdict(INFO))


def head(size: int = 12, **headers: str) -> bytes:
    """Return the answer to a HEAD."""
    return answer(b"", **headers).replace(b"Content-Length: 0", b"Content-Length: %d" % size)


# --- one object


def test_what_a_store_says_of_an_object() -> None:
    """Size, version, times, and what it can be verified by."""
    said = head(
        12,
        ETag='"v1"',
        Last_Modified="Fri, 24 May 2013 00:00:00 GMT",
        x_amz_expiration='expiry-date="Sat, 25 May 2013 00:00:00 GMT", rule-id="1"',
        x_amz_checksum_crc32="AAAAAA==",
    )
    with scripted(said) as (server, store):
        assert store.stat(ADDRESS, Wait()) == ObjectInfo(
            ADDRESS, "x", 12, "v1", 1369353600.0, 1369440000.0, "part=0 crc32=AAAAAA=="
        )
        assert server.asked == ["HEAD /x"]
        assert server.heard[0].headers["x-amz-checksum-mode"] == "ENABLED"


def test_an_object_of_five_tebibytes_has_a_size() -> None:
    """The answer to a HEAD holds the length of what does not come."""
    with scripted(head(5 << 40)) as (_, store):
        assert store.stat(ADDRESS, Wait()).size == 5 << 40


def test_an_object_that_is_not_there_is_told_as_such() -> None:
    """An address elsewhere is a mistake of the caller, and nothing is asked."""
    with scripted(answer(b"", 404)) as (server, store):
        with pytest.raises(FileNotFound, match=ADDRESS):
            store.stat(ADDRESS, Wait())
        with pytest.raises(ValueError, match="no address below"):
            store.stat("s3://bucket/q/x", Wait())
        assert len(server.heard) == 1


def test_an_object_without_a_size_is_no_answer() -> None:
    """Nothing could be read of it."""
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with scripted(said) as (_, store), pytest.raises(ProtocolViolation):
        store.stat(ADDRESS, Wait())


def test_some_bytes_of_an_object() -> None:
    """Exactly those asked for, of the version that is meant; of no bytes, nothing is asked."""
    said = answer(b"bb", 206, Content_Range="bytes 3-4/12", ETag='"v1"')
    with scripted(said, error("PreconditionFailed", 412)) as (server, store):
        assert store.read(INFO, 3, 5, Wait()) == b"bb"
        assert store.read(INFO, 3, 3, Wait()) == b""
        with pytest.raises(ChunkCorrupt):
            store.read(INFO, 3, 5, Wait())
        assert len(server.heard) == 2


@pytest.mark.parametrize(
    "said", [answer(b"", 204), answer(b""), answer(b"", 404), error("NoSuchKey", 404)]
)
def test_deleting_what_is_not_there_is_no_error(said: bytes) -> None:
    """It is not there any more, which was wanted."""
    with scripted(said) as (server, store):
        store.delete(STORED, range(1), Wait())
        assert server.asked == ["DELETE /x"]


@pytest.mark.parametrize(
    ("said", "kind"),
    [(error("NoSuchBucket", 404), NotFound), (error("AccessDenied", 403), NotAuthorized)],
)
def test_deleting_may_fail(said: bytes, kind: type[TransferError]) -> None:
    """Then the object may be there."""
    with scripted(said) as (_, store), pytest.raises(kind):
        store.delete(STORED, range(1), Wait())


def test_an_object_has_no_time_to_live_that_could_be_extended() -> None:
    """It is asked whether it is there, and that is all."""
    with scripted(head(), answer(b"", 404)) as (_, store):
        store.extend(STORED, range(1), 60.0, Wait())
        with pytest.raises(ChunkMissing):
            store.extend(STORED, range(1), 60.0, Wait())


# --- links


def test_a_link_is_good_for_as_long_as_it_says() -> None:
    """Nothing is asked for it; without a time it is good for as long as may be."""
    with scripted() as (_, store):
        url, until = store.url(INFO, 3600.0, Wait())
        query = parse_qs(urlsplit(url).query)
        assert query["X-Amz-Expires"] == ["3600"]
        assert until == pytest.approx(time.time() + 3600, abs=5)
        url, until = store.url(INFO, None, Wait())
        assert until == pytest.approx(time.time() + 7 * 86_400, abs=5)


@pytest.mark.parametrize("ttl", [0.5, 7 * 86_400 + 1])
def test_no_link_is_good_for_longer_than_a_signature(ttl: float) -> None:
    """Seven days, by SigV4."""
    with scripted() as (_, store), pytest.raises(ValueError, match="1 second to 7 days"):
        store.url(INFO, ttl, Wait())


# --- lists


def entry(key: str, etag: str = "v1") -> str:
    """Return an object of a list."""
    return (
        f"<Contents><Key>{key}</Key><LastModified>2013-05-24T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag><Size>12</Size></Contents>"
    )


def test_objects_are_listed_page_by_page() -> None:
    """By keys as they are, and without the marks that some programs leave for folders."""
    first = xml(
        "ListBucketResult",
        entry("p/a%2Bb+%0A"),
        entry("p/sub/"),
        EncodingType="url",
        IsTruncated="true",
        NextContinuationToken="t=/1",
    )
    second = xml("ListBucketResult", entry("p/sub/a+b%41"), IsTruncated="false")
    with scripted(first, second) as (server, store):
        assert store.objects(Wait()) == [
            ObjectInfo("s3://bucket/p/a+b \n", "a+b \n", 12, "v1", 1369353600.0),
            ObjectInfo("s3://bucket/p/sub/a+b%41", "a+b%41", 12, "v1", 1369353600.0),
        ]
        asked = "GET /?list-type=2&prefix=p%2F&encoding-type=url"
        assert server.asked == [asked, f"{asked}&continuation-token=t%3D%2F1"]


@pytest.mark.parametrize(
    "page",
    [
        xml("ListBucketResult", IsTruncated="true"),
        xml("ListBucketResult", IsTruncated="true", NextContinuationToken="again"),
        xml("ListBucketResult", entry("p/a").replace("12", "many"), IsTruncated="false"),
        answer(b"<html>"),
    ],
)
def test_a_list_that_is_none_is_told_of(page: bytes) -> None:
    """Nor is one followed round in circles."""
    with scripted(page, page, page) as (_, store), pytest.raises(ProtocolViolation):
        store.objects(Wait())


def test_a_server_that_cannot_list_is_told_as_such() -> None:
    """Files can be up- and downloaded all the same."""
    with scripted(error("Unknown", 501)) as (_, store), pytest.raises(NotSupported):
        store.objects(Wait())


def upload(key: str, upload_id: str, begun: str = "2013-05-24T00:00:00.000Z") -> str:
    """Return an upload of a list."""
    return (
        f"<Upload><Key>{key}</Key><UploadId>{upload_id}</UploadId>"
        f"<Initiated>{begun}</Initiated></Upload>"
    )


def test_uploads_that_did_not_end_are_listed_page_by_page() -> None:
    """Several of one key are several (R20)."""
    first = xml(
        "ListMultipartUploadsResult",
        upload("p/a+b", "u1"),
        EncodingType="url",
        IsTruncated="true",
        NextKeyMarker="p/a+b",
        NextUploadIdMarker="u1",
    )
    second = xml("ListMultipartUploadsResult", upload("p/a b", "u2", "once"), IsTruncated="false")
    with scripted(first, second) as (server, store):
        found = store.leftovers(Wait())
        assert [(left.address, left.begun_at) for left in found] == [
            ("s3://bucket/p/a b", 1369353600.0),
            ("s3://bucket/p/a b", None),
        ]
        assert [json.loads(left.token)["upload_id"] for left in found] == ["u1", "u2"]
        asked = "GET /?uploads&prefix=p%2F&encoding-type=url"
        assert server.asked == [asked, f"{asked}&key-marker=p%2Fa%20b&upload-id-marker=u1"]


def test_what_was_listed_can_be_removed() -> None:
    """By the token, which names the key and the upload."""
    with scripted(answer(b"", 204)) as (server, store):
        token = b'{"key": "p/a b", "upload_id": "u/1"}'
        store.drop(Leftover("s3://bucket/p/a b", token), Wait())
        assert server.asked == ["DELETE /a%20b?uploadId=u%2F1"]


def part(number: int, size: int, at: str) -> str:
    """Return a part of a list."""
    return (
        f"<Part><PartNumber>{number}</PartNumber><LastModified>{at}</LastModified>"
        f"<ETag>e</ETag><Size>{size}</Size></Part>"
    )


LEFT = Leftover("s3://bucket/p/a", b'{"key": "p/a", "upload_id": "u"}', 1369353600.0)


def test_how_much_is_stored_of_an_upload_and_since_when() -> None:
    """Of all its parts, page by page; in whatever order they came."""
    first = xml(
        "ListPartsResult",
        part(1, 5, "2013-05-26T00:00:00.000Z"),
        IsTruncated="true",
        NextPartNumberMarker="1",
    )
    second = xml("ListPartsResult", part(2, 7, "2013-05-25T00:00:00.000Z"), IsTruncated="false")
    with scripted(first, second) as (server, store):
        found = store.examine(LEFT, Wait())
        assert found == replace(LEFT, stored=12, stopped_at=1369353600.0 + 2 * 86400)
        assert server.asked == ["GET /a?uploadId=u", "GET /a?uploadId=u&part-number-marker=1"]


def test_an_upload_without_parts_stopped_when_it_was_begun() -> None:
    """One of which the server tells no time has none."""
    nothing = xml("ListPartsResult", IsTruncated="false")
    with scripted(nothing, nothing) as (_, store):
        assert store.examine(LEFT, Wait()) == replace(LEFT, stopped_at=LEFT.begun_at)
        unknown = replace(LEFT, begun_at=None)
        assert store.examine(unknown, Wait()) == unknown


def test_an_upload_that_has_ended_meanwhile_is_gone() -> None:
    """That is no failure; any other answer is."""
    with scripted(error("NoSuchUpload", 404), error("AccessDenied", 403)) as (_, store):
        assert store.examine(LEFT, Wait()) is None
        with pytest.raises(NotAuthorized):
            store.examine(LEFT, Wait())


def test_where_an_object_of_a_name_lies() -> None:
    """Below the prefix, as an upload of that name puts it."""
    assert made().address_of("a b") == "s3://bucket/p/a b"


# --- how it is made


def made(**how: str) -> S3Store:
    """Return a store that is never asked."""
    config = TransferConfig()
    return S3Store("s3://bucket/p", HttpTransport(https_context(), config, width=1), config, **how)


def test_endpoint_and_region_are_those_given_or_else_those_configured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is given goes before what boto3's configuration says, and that before Amazon's."""
    url = made().url(INFO, 60.0, Wait())[0]
    assert url.startswith("https://bucket.s3.us-east-1.amazonaws.com/p/x?")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://host:9000")
    url = made().url(INFO, 60.0, Wait())[0]
    assert url.startswith("http://host:9000/bucket/p/x?")
    assert "%2Feu-west-1%2Fs3%2F" in url
    url = made(endpoint_url="https://other", region="eu-west-2").url(INFO, 60.0, Wait())[0]
    assert url.startswith("https://other/bucket/p/x?")
    assert "%2Feu-west-2%2Fs3%2F" in url


def test_what_can_be_known_beforehand_is_told_when_the_store_is_made() -> None:
    """An address that is none, an endpoint that is none, a profile that is not there."""
    config = TransferConfig()
    transport = HttpTransport(https_context(), config, width=1)
    with pytest.raises(ValueError, match="names no bucket"):
        S3Store("s3://", transport, config)
    with pytest.raises(ValueError, match="endpoint_url"):
        made(endpoint_url="localhost:9000")
    with pytest.raises(AccessDenied, match="nobody"):
        made(profile="nobody")


def test_what_is_shown_of_a_store() -> None:
    """Where it is."""
    assert repr(made()) == "<S3Store s3://bucket/p>"
