"""Files in S3 servers that others wrote: they judge our signatures, parts and checksums."""

from __future__ import annotations

import dataclasses
import io
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import pytest
import requests
from boto3.s3.transfer import TransferConfig

from atxfer.config import MIB
from atxfer.errors import (
    ChecksumMismatch,
    ChunkCorrupt,
    ChunkMissing,
    ConnectionLost,
    FileNotFound,
    LoginRefused,
    NotFound,
)
from atxfer.model import Chunk
from atxfer.stores.base import ObjectInfo, StoredFile, UploadPlan
from atxfer.waiting import Wait
from tests.servers.s3 import MotoServer, S3Server, VersityGw
from tests.stores.s3.conftest import _own_account
from tests.support.delayproxy import DOWN, UP, DelayProxy
from tests.support.s3 import s3_bench, s3_store
from tests.support.until import until

pytestmark = pytest.mark.interop

MakeProxy = Callable[..., DelayProxy]
Gateway = tuple[VersityGw, str]
__all__ = ["_own_account"]

PART = 5 * MIB


def content(size: int, seed: int = 0) -> bytes:
    """Return bytes that look random."""
    return random.Random(size + seed).randbytes(size)  # noqa: S311  # test data


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """Give a bucket of each server in turn."""
    return s3.new_bucket()


@pytest.fixture
def gateway(versitygw: VersityGw) -> Gateway:
    """Give a bucket of the server that checks signatures and checksums."""
    return versitygw, versitygw.new_bucket()


# --- files of all sizes (scenario 20)


@pytest.mark.parametrize("encrypt", [False, True])
@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 8 * MIB + 1, 2 * PART, 2 * PART + 1])
def test_what_was_uploaded_is_downloaded(
    s3: S3Server, bucket: str, size: int, encrypt: bool
) -> None:
    """Byte for byte, in one request or in parts, plain or sealed."""
    data = content(size)
    with s3_bench(s3.url, bucket, encrypt=encrypt) as bench:
        receipt = bench.upload(data)
        result, back = bench.download(receipt.link or receipt.file_id)
        assert back == data
        assert result.file.size == size
        assert bench.store.leftovers(Wait()) == []


NAMES = ["a b+c%41?d#e&f=g", "\u00fc \u2026 \N{GRINNING FACE}", "a" * 255, "~._-'\"<"]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_urls_and_xml_have_to_encode(s3: S3Server, bucket: str, name: str) -> None:
    """They are signed, stored, listed and linked as they are; boto3 finds them, too."""
    with s3_bench(s3.url, bucket) as bench:
        address = bench.upload(b"abc", name).file_id
        assert address == f"s3://{bucket}/p/{name}"
        (info,) = bench.store.objects(Wait())
        assert (info.address, info.name, info.size) == (address, name, 3)
        url, _ = bench.store.url(info, 60, Wait())
        assert requests.get(url, timeout=30).content == b"abc"
        assert fetched(s3, bucket, name) == b"abc"
        bench.store.delete(stored(info), range(1), Wait())
        assert bench.store.objects(Wait()) == []


def test_a_name_of_two_lines(gateway: Gateway) -> None:
    """Is one name (moto's routes take none)."""
    server, bucket = gateway
    with s3_bench(server.url, bucket) as bench:
        bench.upload(b"abc", "a\nb")
        assert fetched(server, bucket, "a\nb") == b"abc"
        (info,) = bench.store.objects(Wait())
        assert info.name == "a\nb"


def fetched(s3: S3Server, bucket: str, name: str = "a.bin") -> bytes:
    """Return what boto3 finds."""
    # Older moto has the checksum of parts without their number, and boto3 takes it for the whole's.
    validate = "when_required" if isinstance(s3, MotoServer) else "when_supported"
    client = s3.client(response_checksum_validation=validate)
    found: bytes = client.get_object(Bucket=bucket, Key=f"p/{name}")["Body"].read()
    return found


def stored(info: ObjectInfo) -> StoredFile:
    """Return an object as one chunk."""
    return StoredFile("x", "", 1, dataclasses.asdict(info), info.size, info.size)


@pytest.mark.parametrize("size", [100, 2 * PART + 1])
def test_boto3_reads_what_we_wrote(s3: S3Server, bucket: str, size: int) -> None:
    """A plain file is an object like any other."""
    with s3_bench(s3.url, bucket) as bench:
        bench.upload(content(size))
    assert fetched(s3, bucket) == content(size)


@pytest.mark.parametrize("threshold", [8 * MIB, 64 * MIB])
def test_we_read_what_boto3_wrote(s3: S3Server, bucket: str, threshold: int) -> None:
    """In parts of other sizes than ours, or in one."""
    data = content(3 * PART)
    config = TransferConfig(multipart_threshold=threshold)
    s3.client().upload_fileobj(io.BytesIO(data), bucket, "p/a.bin", Config=config)
    with s3_bench(s3.url, bucket) as bench:
        assert bench.download(f"s3://{bucket}/p/a.bin")[1] == data


# --- one object


def test_an_object_that_is_gone_is_told_as_such(s3: S3Server, bucket: str) -> None:
    """To whoever asks for it, reads it, extends it; deleting it again is no error."""
    with s3_bench(s3.url, bucket) as bench:
        store = bench.store
        info = store.stat(bench.upload(b"abc").file_id, Wait())
        store.extend(stored(info), range(1), 60.0, Wait())
        for _ in range(2):
            store.delete(stored(info), range(1), Wait())
        with pytest.raises(FileNotFound):
            store.stat(info.address, Wait())
        with pytest.raises(ChunkMissing):
            store.read(info, 0, 3, Wait())
        with pytest.raises(ChunkMissing):
            store.extend(stored(info), range(1), 60.0, Wait())


def test_an_object_that_was_exchanged_is_not_read_on(s3: S3Server, bucket: str) -> None:
    """The version that was asked for is not there any more (R22)."""
    with s3_bench(s3.url, bucket) as bench:
        info = bench.store.stat(bench.upload(b"abc").file_id, Wait())
        bench.upload(b"xyz")
        with pytest.raises(ChunkCorrupt, match="changed"):
            bench.store.read(info, 0, 3, Wait())


def test_anybody_reads_by_a_link(s3: S3Server, bucket: str) -> None:
    """All of it, or a range."""
    data = content(1000)
    with s3_bench(s3.url, bucket) as bench:
        info = bench.store.stat(bench.upload(data).file_id, Wait())
        url, _ = bench.store.url(info, 60, Wait())
        assert requests.get(url, timeout=30).content == data
        part = requests.get(url, headers={"Range": "bytes=10-19"}, timeout=30)
        assert (part.status_code, part.content) == (206, data[10:20])


def test_a_link_of_somebody_else_opens_nothing(gateway: Gateway) -> None:
    """Its signature is checked."""
    server, bucket = gateway
    with s3_bench(server.url, bucket) as bench:
        info = bench.store.stat(bench.upload(b"abc").file_id, Wait())
        url, _ = bench.store.url(info, 60, Wait())
    assert (
        requests.get(url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"), timeout=30).status_code
        == 403
    )


def test_who_is_not_known_is_told_so(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what to check; nothing is tried again."""
    server, bucket = gateway
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another secret")
    with s3_bench(server.url, bucket) as bench, pytest.raises(LoginRefused) as caught:
        bench.upload(b"abc")
    assert caught.value.attempts == 1
    assert "another secret" not in str(caught.value)


def test_a_bucket_that_is_not_there_is_told_of(s3: S3Server) -> None:
    """With what to do."""
    with s3_bench(s3.url, "no-such-bucket") as bench:
        for data in (b"abc", bytes(2 * PART)):
            with pytest.raises(NotFound, match="NoSuchBucket") as caught:
                bench.upload(data)
            assert "endpoint_url" in caught.value.remedy


# --- uploads that don't end


def plan(name: str = "a.bin", size: int = 4 * PART) -> UploadPlan:
    """Return the plan of a file in parts."""
    return UploadPlan("id", size, PART, -(-size // PART), None, name)


def put(upload: Any, data: bytes, *indexes: int) -> None:
    """Send some parts."""
    for index in indexes:
        upload.put([Chunk(index, data[index * PART : (index + 1) * PART])], Wait())


def test_an_upload_goes_on_where_it_stopped(s3: S3Server, bucket: str) -> None:
    """With the token alone: what is stored is known, and is not sent again."""
    data = content(4 * PART)
    with s3_store(s3.url, bucket) as store:
        upload = store.open_upload(plan(), Wait())
        upload.begin(Wait())
        put(upload, data, 0, 2)
        token = upload.token
    with s3_store(s3.url, bucket) as store:
        upload = store.open_upload(plan(), Wait(), token=token)
        assert upload.stored(range(4), Wait()) == {0, 2}
        assert upload.stored(range(1, 3), Wait()) == {2}
        put(upload, data, 1, 3)
        upload.commit(Wait())
    assert fetched(s3, bucket) == data


def test_the_same_call_goes_on_with_what_the_server_holds(
    gateway: Gateway, delay_proxy: MakeProxy, tmp_path: Path
) -> None:
    """No part that is there is sent again, and no upload is left behind."""
    server, bucket = gateway
    proxy = delay_proxy(server)
    file = tmp_path / "a.bin"
    file.write_bytes(content(6 * PART))
    proxy.cut(UP, only="partNumber=4&")
    with s3_bench(
        proxy.through(server.url), bucket, width=1, state=tmp_path, max_attempts=1
    ) as bench:
        with pytest.raises(ConnectionLost) as caught:
            bench.upload(file)
        assert caught.value.resumable
    proxy.forget()
    with s3_bench(proxy.through(server.url), bucket, width=1, state=tmp_path) as bench:
        bench.upload(file)
        assert bench.store.leftovers(Wait()) == []
    sent = [line for line in (each.line for each in proxy.exchanges) if line.startswith("PUT")]
    assert len(sent) == 3
    assert fetched(server, bucket) == content(6 * PART)


def test_what_did_not_end_is_listed_and_removed(s3: S3Server, bucket: str) -> None:
    """Below the store's address, and nowhere else (R20)."""
    with s3_store(s3.url, bucket) as store:
        uploads = [store.open_upload(plan(name), Wait()) for name in ("a b+", "c")]
        for upload in uploads:
            upload.begin(Wait())
        put(uploads[0], content(4 * PART), 0)
        s3.client().create_multipart_upload(Bucket=bucket, Key="q/elsewhere")
        found = store.leftovers(Wait())
        assert {left.address for left in found} == {f"s3://{bucket}/p/a b+", f"s3://{bucket}/p/c"}
        assert all(left.begun_at for left in found)
        for left in found * 2:
            store.drop(left, Wait())
        uploads[0].abort(Wait())
        assert store.leftovers(Wait()) == []


def test_parts_of_an_upload_that_is_gone_are_refused(gateway: Gateway) -> None:
    """As an error of their own, upon which one begins anew (R19; moto answers 500)."""
    server, bucket = gateway
    with s3_store(server.url, bucket) as store:
        upload = store.open_upload(plan(), Wait())
        upload.begin(Wait())
        upload.abort(Wait())
        with pytest.raises(NotFound, match="NoSuchUpload"):
            put(upload, content(4 * PART), 1)
        with pytest.raises(NotFound, match="NoSuchUpload"):
            upload.stored(range(4), Wait())


# --- requests, connections, faults


def test_a_small_file_is_one_request_on_a_kept_connection(
    gateway: Gateway, delay_proxy: MakeProxy
) -> None:
    """As many connections as requests in flight, and no Expect."""
    server, bucket = gateway
    proxy = delay_proxy(server)
    callers = ThreadPoolExecutor(10)
    with s3_bench(proxy.through(server.url), bucket, width=5) as bench, callers:
        list(callers.map(lambda n: bench.upload(content(8192, n), f"{n}"), range(40)))
    counts = proxy.counts
    assert counts.requests == 40
    assert counts.connections <= 5
    assert counts.peak_in_flight <= 5
    assert all(exchange.header("expect") is None for exchange in proxy.exchanges)


def test_a_file_in_parts_keeps_to_the_cap(gateway: Gateway, delay_proxy: MakeProxy) -> None:
    """Counted where the server is: begin, parts and end (B8)."""
    server, bucket = gateway
    proxy = delay_proxy(server, delay=0.02)
    with s3_bench(proxy.through(server.url), bucket, width=3) as bench:
        bench.upload(content(7 * PART))
    assert proxy.counts.requests == 9
    assert proxy.counts.peak_in_flight == 3
    assert proxy.counts.connections <= 4


def test_a_server_that_restarts_in_the_middle_costs_nothing_but_time(
    gateway: Gateway, delay_proxy: MakeProxy
) -> None:
    """What it holds it keeps; what was on its way is sent again."""
    server, bucket = gateway
    proxy = delay_proxy(server)
    data = content(5 * PART)
    caller = ThreadPoolExecutor(1)
    with s3_bench(proxy.through(server.url), bucket, width=2, max_attempts=20) as bench, caller:
        done = caller.submit(bench.upload, data)
        until(lambda: proxy.counts.requests >= 3)
        proxy.hold(DOWN)
        server.restart()
        proxy.heal()
        done.result()
    assert fetched(server, bucket) == data


@pytest.mark.parametrize("size", [8192, 2 * PART])
def test_damage_on_the_way_up_is_repaired(
    gateway: Gateway, delay_proxy: MakeProxy, size: int
) -> None:
    """The server finds it out, and the chunk is sent once more (scenario 14)."""
    server, bucket = gateway
    proxy = delay_proxy(server)
    proxy.corrupt(UP, after=100, only="PUT")
    with s3_bench(proxy.through(server.url), bucket) as bench:
        receipt = bench.upload(content(size))
    assert proxy.faults_left == 0
    assert receipt.statistics.retries == {"ChunkCorrupt": 1}
    assert fetched(server, bucket) == content(size)


@pytest.mark.parametrize("size", [8192, 2 * PART])
def test_damage_on_the_way_down_is_found_out(
    gateway: Gateway, delay_proxy: MakeProxy, size: int
) -> None:
    """By the checksum that the server has of the whole."""
    server, bucket = gateway
    proxy = delay_proxy(server)
    with s3_bench(proxy.through(server.url), bucket) as bench:
        receipt = bench.upload(content(size))
        proxy.corrupt(DOWN, after=100, only="GET")
        with pytest.raises(ChecksumMismatch):
            bench.download(receipt.file_id)


@pytest.mark.parametrize("only", ["uploads", "partNumber=2", "uploadId=[^&]*$"])
@pytest.mark.parametrize("direction", [UP, DOWN], ids=["before", "after"])
def test_a_connection_that_ends_before_or_after_the_work_leaves_one_object(
    s3: S3Server, bucket: str, delay_proxy: MakeProxy, only: str, direction: Any
) -> None:
    """Whether Create, a part or Complete was done or not: there is one file, and it is whole."""
    proxy = delay_proxy(s3)
    proxy.cut(direction, only=f"^(POST|PUT) .*{only}")
    data = content(2 * PART)
    with s3_bench(proxy.through(s3.url), bucket) as bench:
        receipt = bench.upload(data)
        assert [info.address for info in bench.store.objects(Wait())] == [receipt.file_id]
        assert bench.download(receipt.file_id)[1] == data
    assert proxy.faults_left == 0
