"""How the two S3 servers answer, as docs/http-facts.md has it, asked by boto3 and ``requests``."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from typing import Any, Callable

import pytest
import requests
from botocore.exceptions import ClientError

from tests.fix_servers import ServerFactory
from tests.servers.s3 import MotoServer, S3Server, VersityGw
from tests.support.delayproxy import UP, DelayProxy
from tests.support.sigv4 import UNSIGNED, signed
from tests.support.until import until

pytestmark = pytest.mark.interop

MakeProxy = Callable[..., DelayProxy]

MIB = 1024 * 1024
LEAST_PART = 5 * MIB


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[int, str]:
    """Return status and code of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def code(answer: requests.Response) -> tuple[int, str]:
    """Return status and code of an error in XML."""
    found = re.search("<Code>(.*?)</Code>", answer.text)
    return answer.status_code, found[1] if found else ""


def b64(digest: bytes) -> str:
    """Return a digest as headers have it."""
    return base64.b64encode(digest).decode()


@pytest.fixture(scope="module")
def _clients() -> dict[str, Any]:
    return {}


@pytest.fixture
def client(s3: S3Server, _clients: dict[str, Any]) -> Any:
    """Give a boto3 client of each server in turn, made once."""
    if s3.url not in _clients:
        _clients[s3.url] = s3.client()
    return _clients[s3.url]


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """Give a new bucket."""
    return s3.new_bucket()


def test_a_life(client: Any, bucket: str) -> None:
    """An object is put, told of, read, listed and deleted; its tag is its MD5 in quotes."""
    at = {"Bucket": bucket, "Key": "a/b +ü.txt"}
    tag = f'"{hashlib.md5(b"hello").hexdigest()}"'  # noqa: S324  # that is what it is
    assert client.put_object(**at, Body=b"hello", Metadata={"k": "v"})["ETag"] == tag
    told = client.head_object(**at)
    assert (told["ETag"], told["ContentLength"], told["Metadata"]) == (tag, 5, {"k": "v"})
    assert client.get_object(**at)["Body"].read() == b"hello"
    assert [o["Key"] for o in client.list_objects_v2(Bucket=bucket)["Contents"]] == [at["Key"]]
    for _ in range(2):  # deleting nothing is no error
        assert client.delete_object(**at)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(client.get_object, **at) == (404, "NoSuchKey")
    assert refusal(client.put_object, Bucket="none", Key="k") == (404, "NoSuchBucket")


def test_ranges(client: Any, bucket: str) -> None:
    """A range is held to a tag by If-Match; beyond the end there is none."""
    at = {"Bucket": bucket, "Key": "k"}
    tag = client.put_object(**at, Body=b"0123456789")["ETag"]
    part = client.get_object(**at, Range="bytes=2-4", IfMatch=tag)
    assert (part["Body"].read(), part["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert part["ETag"] == tag
    assert client.get_object(**at, Range="bytes=8-99")["Body"].read() == b"89"
    changed = refusal(client.get_object, **at, Range="bytes=2-4", IfMatch='"other"')
    assert changed == (412, "PreconditionFailed")
    assert refusal(client.get_object, **at, Range="bytes=10-") == (416, "InvalidRange")
    client.put_object(**at, Body=b"")
    assert refusal(client.get_object, **at, Range="bytes=0-0") == (416, "InvalidRange")


def test_conditional_writes(client: Any, bucket: str) -> None:
    """An object that is there can be kept from being replaced."""
    at = {"Bucket": bucket, "Key": "k", "Body": b"x"}
    client.put_object(**at, IfNoneMatch="*")
    assert refusal(client.put_object, **at, IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refusal(client.put_object, **at, IfMatch='"other"') == (412, "PreconditionFailed")


def test_parts(client: Any, bucket: str) -> None:
    """Parts are listed in pages, may be sent again, and become one object of another tag."""
    at = {"Bucket": bucket, "Key": "k"}
    upload = {**at, "UploadId": client.create_multipart_upload(**at)["UploadId"]}
    bodies = {1: b"a" * LEAST_PART, 3: b"b"}
    for body in (b"lost", b"b"):
        client.upload_part(**upload, PartNumber=3, Body=body)
    client.upload_part(**upload, PartNumber=1, Body=bodies[1])
    first = client.list_parts(**upload, MaxParts=1)
    assert (first["IsTruncated"], first["NextPartNumberMarker"]) == (True, 1)
    parts = client.list_parts(**upload)["Parts"]
    assert [(p["PartNumber"], p["Size"]) for p in parts] == [(1, LEAST_PART), (3, 1)]
    assert client.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["Key"] == "k"
    chosen = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in parts]
    done = client.complete_multipart_upload(**upload, MultipartUpload={"Parts": chosen})
    digests = b"".join(hashlib.md5(body).digest() for body in bodies.values())  # noqa: S324
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'  # noqa: S324
    assert client.get_object(**at)["Body"].read() == b"".join(bodies.values())
    # Asked again, as after a lost answer, it says the same; of the parts nothing is known.
    again = client.complete_multipart_upload(**upload, MultipartUpload={"Parts": chosen})
    assert again["ETag"] == done["ETag"]
    assert refusal(client.list_parts, **upload) == (404, "NoSuchUpload")


def test_parts_that_are_refused(client: Any, bucket: str) -> None:
    """Small parts before the last, unknown parts and none at all do not become an object."""
    at = {"Bucket": bucket, "Key": "k"}
    upload = {**at, "UploadId": client.create_multipart_upload(**at)["UploadId"]}
    tags = [client.upload_part(**upload, PartNumber=n, Body=b"x")["ETag"] for n in (1, 2)]
    small = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
    other = [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}]
    refused = [
        refusal(client.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts})
        for parts in (small, other, [])
    ]
    assert refused == [(400, "EntityTooSmall"), (400, "InvalidPart"), (400, "MalformedXML")]
    assert refusal(client.head_object, **at) == (404, "404")


def test_aborted(client: Any, bucket: str) -> None:
    """Of an upload that was aborted nothing is known, even to a second abort."""
    at = {"Bucket": bucket, "Key": "k"}
    upload = {**at, "UploadId": client.create_multipart_upload(**at)["UploadId"]}
    client.upload_part(**upload, PartNumber=1, Body=b"x")
    client.abort_multipart_upload(**upload)
    assert refusal(client.abort_multipart_upload, **upload) == (404, "NoSuchUpload")
    assert refusal(client.list_parts, **upload) == (404, "NoSuchUpload")


WRONG = [
    {"x-amz-checksum-sha256": b64(hashlib.sha256(b"other").digest())},
    {"x-amz-checksum-crc32": b64(zlib.crc32(b"other").to_bytes(4, "big"))},
    {"x-amz-checksum-crc64nvme": b64(bytes(8))},
    {"content-md5": b64(hashlib.md5(b"other").digest())},  # noqa: S324
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: next(iter(wrong)))
def test_digests(s3: S3Server, client: Any, bucket: str, wrong: dict[str, str]) -> None:
    """A body that has not the digest it says is refused and not stored; not by moto."""
    answers = [signed(s3, "PUT", f"{s3.url}/{bucket}/k", b"body", headers=wrong)]
    upload = client.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    part = f"{s3.url}/{bucket}/m?partNumber=1&uploadId={upload}"
    answers.append(signed(s3, "PUT", part, b"body", headers=wrong))
    if isinstance(s3, VersityGw):
        assert [code(answer) for answer in answers] == [(400, "BadDigest")] * 2
        assert refusal(client.head_object, Bucket=bucket, Key="k") == (404, "404")
        assert "Parts" not in client.list_parts(Bucket=bucket, Key="m", UploadId=upload)
    else:
        assert [answer.status_code for answer in answers] == [200, 200]


def test_a_signed_digest(versitygw: VersityGw) -> None:
    """A body whose digest is signed must be the body that comes."""
    url = f"{versitygw.url}/{versitygw.new_bucket()}/k"
    answers = [
        signed(versitygw, "PUT", url, b"body", payload=hashlib.sha256(body).hexdigest())
        for body in (b"body", b"other")
    ]
    assert answers[0].status_code == 200
    assert code(answers[1]) == (400, "XAmzContentSHA256Mismatch")


def test_digests_of_parts(versitygw: VersityGw) -> None:
    """An upload that says which digest its parts have needs it with each, and at the end."""
    client, bucket = versitygw.client(request_checksum_calculation="when_required"), "k"
    at = {"Bucket": versitygw.new_bucket(), "Key": bucket}
    upload = {
        **at,
        "UploadId": client.create_multipart_upload(**at, ChecksumAlgorithm="SHA256")["UploadId"],
    }
    without = refusal(client.upload_part, **upload, PartNumber=1, Body=b"x")
    assert without == (400, "InvalidRequest")
    digest = b64(hashlib.sha256(b"x").digest())
    part = client.upload_part(**upload, PartNumber=1, Body=b"x", ChecksumSHA256=digest)
    assert client.list_parts(**upload)["Parts"][0]["ChecksumSHA256"] == digest
    named = {"PartNumber": 1, "ETag": part["ETag"]}
    end = {"Parts": [named]}
    refused = refusal(client.complete_multipart_upload, **upload, MultipartUpload=end)
    assert refused == (400, "InvalidRequest")
    end = {"Parts": [{**named, "ChecksumSHA256": digest}]}
    client.complete_multipart_upload(**upload, MultipartUpload=end)
    whole = b64(hashlib.sha256(hashlib.sha256(b"x").digest()).digest())
    told = client.head_object(**at, ChecksumMode="ENABLED")
    assert (told["ChecksumSHA256"], told["ChecksumType"]) == (f"{whole}-1", "COMPOSITE")


def half_a_put(server: S3Server, proxy: DelayProxy, path: str, **options: Any) -> None:
    """Send 1,000,000 bytes over a connection that ends after 300,000."""
    proxy.cut(UP, after=300_000)
    with pytest.raises(requests.ConnectionError):
        signed(server, "PUT", f"{proxy.origin}{path}", b"x" * 1_000_000, **options)


def test_a_connection_cut_within_an_unsigned_put(
    versitygw: VersityGw, delay_proxy: MakeProxy
) -> None:
    """A defect of versitygw: half a body becomes an object, and a part padded with zeros."""
    client, bucket, proxy = versitygw.client(), versitygw.new_bucket(), delay_proxy(versitygw)
    half_a_put(versitygw, proxy, f"/{bucket}/k")
    until(lambda: "Contents" in client.list_objects_v2(Bucket=bucket))
    assert client.head_object(Bucket=bucket, Key="k")["ContentLength"] == 300_000
    upload = client.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    half_a_put(versitygw, proxy, f"/{bucket}/m?partNumber=1&uploadId={upload}")
    at = {"Bucket": bucket, "Key": "m", "UploadId": upload}
    until(lambda: "Parts" in client.list_parts(**at))
    assert client.list_parts(**at)["Parts"][0]["Size"] == 1_000_000


BODY = b"x" * 1_000_000
RIGHT: list[dict[str, Any]] = [
    {"payload": hashlib.sha256(BODY).hexdigest()},
    {"headers": {"x-amz-checksum-crc32": b64(zlib.crc32(BODY).to_bytes(4, "big"))}},
    {"headers": {"content-md5": b64(hashlib.md5(BODY).digest())}},  # noqa: S324
]


@pytest.mark.parametrize("options", RIGHT, ids=["signed", "checksum", "md5"])
def test_a_connection_cut_within_a_put(
    reference_server: ServerFactory, delay_proxy: MakeProxy, options: dict[str, Any]
) -> None:
    """With any digest, half a body is nothing."""
    server = reference_server(VersityGw)
    client, bucket, proxy = server.client(), server.new_bucket(), delay_proxy(server)
    half_a_put(server, proxy, f"/{bucket}/k", **options)
    until(lambda: f"PUT | /{bucket}/k" in server.log_tail)
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)


@pytest.fixture
def presigned(s3: S3Server, client: Any, bucket: str) -> Callable[..., str]:
    """Make URLs for an object of ten digits."""
    client.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    arguments = {"Params": {"Bucket": bucket, "Key": "k"}}
    return lambda seconds=60: client.generate_presigned_url(
        "get_object", **arguments, ExpiresIn=seconds
    )


def test_presigned_urls(presigned: Callable[..., str]) -> None:
    """Whoever has the URL can read, in ranges and held to a tag, without more of a signature."""
    url = presigned()
    answer = requests.get(url, headers={"Range": "bytes=2-4"}, timeout=5)
    assert (answer.status_code, answer.content) == (206, b"234")
    other = {"Range": "bytes=2-4", "If-Match": '"other"'}
    assert code(requests.get(url, headers=other, timeout=5)) == (412, "PreconditionFailed")


def test_presigned_urls_that_are_refused(s3: S3Server, presigned: Callable[..., str]) -> None:
    """An expired, a changed and a bare URL, and another method, are refused; not by moto."""
    url, short = presigned(), presigned(1)
    bare = url.split("?")[0]
    if isinstance(s3, MotoServer):
        assert requests.get(f"{url[:-4]}0000", timeout=5).status_code == 200
        return
    assert code(requests.get(bare, timeout=5)) == (403, "AccessDenied")
    assert code(requests.get(f"{url[:-4]}0000", timeout=5)) == (403, "SignatureDoesNotMatch")
    assert requests.head(url, timeout=5).status_code == 403
    until(lambda: requests.get(short, timeout=5).status_code == 403)
    assert code(requests.get(short, timeout=5)) == (403, "AccessDenied")


@pytest.mark.parametrize("late", [-20 * 60, 20 * 60])
def test_a_wrong_clock(versitygw: VersityGw, late: float) -> None:
    """Over 15 minutes off, a request is refused with the server's time; below, it is not."""
    url = f"{versitygw.url}/{versitygw.new_bucket()}/k"
    answer = signed(versitygw, "PUT", url, b"x", late=late)
    assert code(answer) == (403, "RequestTimeTooSkewed")
    assert "<MaxAllowedSkewMilliseconds>900000<" in answer.text
    assert "<ServerTime>" in answer.text
    assert "Date" in answer.headers
    assert signed(versitygw, "PUT", url, b"x", late=late * 0.7).status_code == 200


def test_a_wrong_secret(versitygw: VersityGw) -> None:
    """A signature by another secret is refused."""
    url = f"{versitygw.url}/{versitygw.new_bucket()}/k"
    answer = signed(versitygw, "PUT", url, b"x", secret="other")
    assert code(answer) == (403, "SignatureDoesNotMatch")


def test_a_refusal_before_the_end_of_the_body(versitygw: VersityGw) -> None:
    """A large body that is not wanted is not read; the answer can be, all the same."""
    url = f"{versitygw.url}/{versitygw.new_bucket()}/k"
    answer = signed(versitygw, "PUT", url, bytes(16 * MIB), secret="other", payload=UNSIGNED)
    assert code(answer) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("kind", "options", "connections"),
    [(VersityGw, {}, 1), (VersityGw, {"keep_alive": False}, 5), (MotoServer, {}, 5)],
)
def test_kept_connections(
    reference_server: ServerFactory,
    delay_proxy: MakeProxy,
    kind: type[S3Server],
    options: dict[str, Any],
    connections: int,
) -> None:
    """Connections are kept by versitygw when it is told to; moto closes each."""
    server = reference_server(kind, **options)
    proxy = delay_proxy(server)
    client, bucket = server.client(proxy.origin), server.new_bucket()
    for number in range(5):
        client.put_object(Bucket=bucket, Key=str(number), Body=b"x")
    assert (proxy.counts.connections, proxy.counts.requests) == (connections, 5)
    # boto3 asks before it sends a body, which costs a round trip; the servers would not.
    assert {exchange.header("expect") for exchange in proxy.exchanges} == {"100-continue"}
