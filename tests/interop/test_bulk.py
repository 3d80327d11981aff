"""An atSign's keys on its atServer, the bulk of its files in a store that others wrote."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import requests

import atxfer
from atxfer._cli.main import run
from atxfer._operations import links, shares
from atxfer.config import KIB, MIB
from atxfer.devserver import DevServer
from atxfer.errors import (
    ConnectionLost,
    FileExpired,
    FileNotFound,
    LinkRevoked,
    NotShared,
    NotSupported,
)
from tests.servers.s3 import S3Server, VersityGw
from tests.servers.tus import Tusd, TusNode, TusServer
from tests.stores.s3.conftest import _own_account
from tests.support.delayproxy import UP, DelayProxy
from tests.support.worlds import content, sha256

pytestmark = pytest.mark.interop
__all__ = ["_own_account"]

SIZES = [0, 1, 5 * MIB, 12 * MIB + 1]


@pytest.fixture(scope="module")
def _pair() -> Iterator[DevServer]:
    with DevServer(["alice", "bob"], seed=0) as world:
        yield world


@pytest.fixture
def pair(_pair: DevServer) -> DevServer:
    """Return a world of two atSigns, with nothing in it."""
    _pair.reset()
    return _pair


def store_of(store_server: Any) -> dict[str, str]:
    """Return what names a new place on a server."""
    if isinstance(store_server, S3Server):
        return {
            "store": f"s3://{store_server.new_bucket()}/files",
            "endpoint_url": store_server.url,
        }
    return {"store": store_server.url}


@contextmanager
def client_of(
    world: DevServer, tmp_path: Path, atsign: str = "@alice", **how: Any
) -> Iterator[atxfer.Client]:
    """Yield a client in a world."""
    state = tmp_path / atsign
    with atxfer.Client(atsign, state_dir=state, **world.client_options, **how) as client:
        yield client


@pytest.mark.parametrize("size", SIZES)
def test_bob_reads_what_alice_keeps_in_a_store(
    pair: DevServer, store_server: Any, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He has no credentials there; her atServer holds no byte of the file, the store none open."""
    data = content(size)
    place = store_of(store_server)
    with client_of(pair, tmp_path, **place) as alice:
        receipt = alice.upload(data, name="report.bin", share_with=["@bob"])
        assert receipt.sha256 == sha256(data)
        keys = pair.server("@alice").keys()
        assert not any(receipt.file_id + "_" in key for key in keys)
        own = io.BytesIO()
        alice.download(receipt, own)
        assert own.getvalue() == data
        link = alice.link(receipt)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    pair.idle()
    with client_of(pair, tmp_path, "@bob") as bob:
        (shared,) = bob.inbox()
        result = bob.download(shared, tmp_path / "got")
        assert result.file.name == "report.bin"
        assert (tmp_path / "got").read_bytes() == data
    linked = io.BytesIO()
    settings = {k: v for k, v in pair.client_options.items() if k in ("directory", "ca_file")}
    atxfer.download_link(link, linked, **settings)
    assert linked.getvalue() == data


def test_who_has_the_keys_alone_reads_by_the_url(
    pair: DevServer, versitygw: VersityGw, tmp_path: Path
) -> None:
    """Another device of alice, without the store; to delete or extend it takes the store."""
    data = content(9 * MIB)
    place = store_of(versitygw)
    with client_of(pair, tmp_path, **place) as alice:
        receipt = alice.upload(data, name="a")
    with client_of(pair, tmp_path) as device:
        stream = io.BytesIO()
        device.download(receipt.file_id, stream)
        assert stream.getvalue() == data
        for call in (device.delete, lambda f: device.extend(f, 60)):
            with pytest.raises(NotSupported, match="lie in 's3://") as caught:
                call(receipt.file_id)
            assert "as its store (--store" in caught.value.remedy
        assert [file.file_id for file in device.files()] == [receipt.file_id]


def test_a_server_is_the_same_whoever_names_it(
    pair: DevServer, versitygw: VersityGw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an argument or by boto3's configuration: the file lies in the store that is given."""
    place = store_of(versitygw)
    with client_of(pair, tmp_path, **place) as alice:
        receipt = alice.upload(b"x" * 1000, name="a")
    monkeypatch.setenv("AWS_ENDPOINT_URL", place["endpoint_url"])
    with client_of(pair, tmp_path, store=place["store"] + "/") as same:
        assert same.destination == alice.destination
        same.delete(receipt)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with client_of(pair, tmp_path, store=place["store"]) as other:
        assert other.destination != alice.destination


def test_delete_leaves_nothing_in_the_store(
    pair: DevServer, store_server: Any, tmp_path: Path
) -> None:
    """And nobody is led there any more."""
    place = store_of(store_server)
    with client_of(pair, tmp_path, **place) as alice:
        receipt = alice.upload(content(6 * MIB), name="a", share_with=["@bob"])
        link = alice.link(receipt)
        pair.idle()
        with client_of(pair, tmp_path, "@bob") as bob:
            (shared,) = bob.inbox()
            alice.delete(receipt)
            pair.idle()
            with pytest.raises((FileNotFound, NotShared)):
                bob.download(shared, io.BytesIO())
        with pytest.raises(LinkRevoked):
            alice.download(link, io.BytesIO())
        with pytest.raises(FileNotFound):
            alice.download(receipt, io.BytesIO())
    if isinstance(store_server, S3Server):
        bucket = place["store"].split("/")[2]
        assert store_server.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_bob_is_told_why_he_gets_a_file_no_longer(
    pair: DevServer, tusd: Tusd, tmp_path: Path
) -> None:
    """As of any other file: it is unshared, or it is gone; and nothing stays that says so."""
    with client_of(pair, tmp_path, store=tusd.url) as alice:
        before = set(pair.server("@alice").keys())
        receipt = alice.upload(content(1000), name="a", share_with=["@bob"])
        pair.idle()
        with client_of(pair, tmp_path, "@bob") as bob:
            (shared,) = bob.inbox()
            alice.unshare(receipt)
            pair.idle()
            with pytest.raises(NotShared, match="does not share this file with us any more"):
                bob.download(shared, io.BytesIO())
            alice.extend(receipt, 7200)
            with pytest.raises(NotShared, match="any more"):
                bob.download(receipt.file_id, io.BytesIO(), from_="@alice")
            alice.delete(receipt)
            with pytest.raises(FileNotFound, match="has deleted it"):
                bob.download(shared, io.BytesIO())
        left = set(pair.server("@alice").keys()) - before
        assert not any(receipt.file_id in key for key in left)


def test_an_upload_leaves_no_parts_behind(pair: DevServer, tusd: Tusd, tmp_path: Path) -> None:
    """The server has put them together; kept, they would take as much room again."""
    before = set(tusd.data.iterdir())
    with client_of(pair, tmp_path, store=tusd.url) as alice:
        alice.upload(content(12 * MIB), name="a")
    assert len(set(tusd.data.iterdir()) - before) == 2  # the object, and what is known of it


def test_extend_renews_the_address_for_all_who_may_read(
    pair: DevServer, versitygw: VersityGw, tmp_path: Path
) -> None:
    """It stays the same share, and the same link."""
    data = content(6 * MIB)
    place = store_of(versitygw)
    with client_of(pair, tmp_path, **place) as alice:
        receipt = alice.upload(data, name="a", ttl=600, share_with=["@bob"])
        link = alice.link(receipt)
        pair.idle()
        with client_of(pair, tmp_path, "@bob") as bob:
            (shared,) = bob.inbox()
            extended = alice.extend(receipt, 86_400)
            assert (extended.expires_at or 0) > (receipt.expires_at or 0) + 3600
            pair.idle()
            assert list(bob.inbox()) == []
            (again,) = bob.inbox(include_seen=True)
            assert again.shared_at == shared.shared_at
            assert (again.expires_at or 0) > (receipt.expires_at or 0) + 3600
            stream = io.BytesIO()
            bob.download(again, stream)
            assert stream.getvalue() == data
        assert alice.link(receipt) == link


def test_an_address_that_has_ended_is_renewed(
    pair: DevServer, versitygw: VersityGw, tmp_path: Path
) -> None:
    """Who reads is told that it has ended, and by whom it can be renewed; its owner can."""
    data = content(6 * MIB)
    with client_of(pair, tmp_path, **store_of(versitygw)) as alice:
        receipt = alice.upload(data, name="a", ttl=None, share_with=["@bob"])
        link = alice.link(receipt)
        age(alice, receipt.file_id)
        pair.idle()
        with client_of(pair, tmp_path, "@bob") as bob:
            (shared,) = bob.inbox(until_downloaded=True)
            for read in (lambda t: bob.download(shared, t), lambda t: alice.download(link, t)):
                with pytest.raises(FileExpired, match="the address of this file has ended") as told:
                    read(io.BytesIO())
                assert "extend" in told.value.remedy
            alice.extend(receipt, 86_400)
            pair.idle()
            for read in (lambda t: bob.download(shared, t), lambda t: alice.download(link, t)):
                stream = io.BytesIO()
                read(stream)
                assert stream.getvalue() == data


def age(client: atxfer.Client, file_id: str) -> None:
    """Let a file's address be one that was made eight days ago, everywhere it stands."""
    home: Any = client._site._home  # type: ignore[attr-defined]  # what an upload does, at another time
    bucket = home.bulk.store._bucket

    def body(transfer: Any) -> None:
        manifest = home.entry(transfer, file_id).manifest
        key = bucket.place.key_of(manifest.location["address"])
        url, ends_at = bucket._account.presigned(
            bucket._endpoint.of(bucket.place.bucket, key, VersityGw.region, {}),
            region=VersityGw.region,
            now=time.time() - 8 * 86_400,
            seconds=7 * 86_400,
            wait=transfer.wait,
        )
        old = replace(
            manifest, location={**manifest.location, "url": url, "url_expires_at": ends_at}
        )
        home.catalog.write(old, None, transfer.wait)
        shares.renew(home, old, 86_400, transfer)
        links.renew(home, home.entry(transfer, file_id), transfer)

    client._engine.run(body, "age")


def test_a_tus_server_that_lets_files_expire_says_so(
    pair: DevServer, tus_node: TusNode, tmp_path: Path
) -> None:
    """Extending the manifest alone would promise what the store does not keep."""
    with client_of(pair, tmp_path, **store_of(tus_node)) as alice:
        receipt = alice.upload(content(1000), name="a")
        try:
            alice.extend(receipt, 86_400)
        except NotSupported as error:
            assert "decides itself" in error.message  # noqa: PT017  # one of two answers
        stream = io.BytesIO()
        alice.download(receipt, stream)
        assert stream.getvalue() == content(1000)


@pytest.mark.parametrize("size", [0, 8 * KIB, 20 * KIB, 12 * MIB])
def test_the_original_chunks_are_as_large_as_the_store_wants_them(
    pair: DevServer, versitygw: VersityGw, tmp_path: Path, size: int
) -> None:
    """S3 takes no parts of 8 KiB, but of a file that is no larger; with an atSign, or without."""
    config, place = atxfer.TransferConfig.original(), store_of(versitygw)
    endpoint = place["endpoint_url"]
    bare = atxfer.Client(
        place["store"], endpoint_url=endpoint, config=config, state_dir=tmp_path / "bare"
    )
    with client_of(pair, tmp_path, config=config, **place) as alice, bare:
        for client in (alice, bare):
            receipt = client.upload(content(size), name="a")
            assert receipt.chunk_size == (8 * KIB if size <= 8 * KIB else 5 * MIB)
            stream = io.BytesIO()
            client.download(receipt, stream)
            assert stream.getvalue() == content(size)


def test_what_lies_in_the_store_is_sealed(
    pair: DevServer, versitygw: VersityGw, tmp_path: Path
) -> None:
    """And its name is the file id."""
    place = store_of(versitygw)
    with client_of(pair, tmp_path, **place) as alice:
        receipt = alice.upload(b"secret words " * 1000, name="secret-name.txt")
    bucket = place["store"].split("/")[2]
    s3 = versitygw.client()
    (entry,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert entry["Key"] == f"files/{receipt.file_id}"
    stored = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
    assert b"secret" not in stored
    assert len(stored) == receipt.size + 28 * receipt.chunks


@pytest.mark.parametrize("chunk_size", [None, 8 * KIB])
def test_an_upload_that_stopped_goes_on(
    pair: DevServer, versitygw: VersityGw, tmp_path: Path, chunk_size: Optional[int]
) -> None:
    """Under the file key that its first manifest has; parts that are there are not sent again."""
    source = tmp_path / "large.bin"
    source.write_bytes(content(40 * MIB))
    place = store_of(versitygw)
    config = atxfer.TransferConfig(max_concurrent_uploads=1, chunk_size=chunk_size)

    with client_of(pair, tmp_path, config=config, **place) as alice:
        transfer = alice.submit_upload(source, progress=lambda p: _cancel_at(p, lambda: transfer))
        with pytest.raises(atxfer.TransferError):
            transfer.result()
    with client_of(pair, tmp_path, config=config, **place) as alice:
        receipt = alice.upload(source)
        assert receipt.statistics.resumed_bytes > 0
        stream = io.BytesIO()
        alice.download(receipt, stream)
        assert stream.getvalue() == content(40 * MIB)


def test_an_upload_goes_on_within_a_sealed_chunk(
    pair: DevServer, tus: TusServer, delay_proxy: Callable[..., DelayProxy], tmp_path: Path
) -> None:
    """Where chunks go one after the other, as those of a large file: what is there is kept."""
    source, proxy = tmp_path / "large.bin", delay_proxy(tus)
    data = content(40 * MIB + 5)
    source.write_bytes(data)
    store = proxy.through(tus.url)
    config = atxfer.TransferConfig(chunk_size=MIB, max_attempts=1)
    proxy.cut(UP, 20 * MIB + MIB // 2, only="PATCH|POST")
    with (
        client_of(pair, tmp_path, config=config, store=store) as alice,
        pytest.raises(ConnectionLost) as caught,
    ):
        alice.upload(source)
    assert proxy.faults_left == 0
    with client_of(pair, tmp_path, config=config, store=store) as alice:
        before = proxy.counts.bytes_up
        receipt = alice.upload(source)
        assert receipt.file_id == caught.value.file_id
        assert receipt.statistics.resumed_bytes >= 19 * MIB
        assert proxy.counts.bytes_up - before < 20 * MIB + MIB * 3 // 4
        back = io.BytesIO()
        alice.download(receipt, back)
        assert back.getvalue() == data


def _cancel_at(progress: Any, transfer: Any) -> None:
    if progress.confirmed >= 16 * MIB:
        transfer().cancel()


def test_a_store_goes_with_an_atsign() -> None:
    """A store has no keys to give."""
    with pytest.raises(ValueError, match="goes with an atSign"):
        atxfer.Client("s3://bucket", store="s3://bucket")
    with pytest.raises(ValueError, match="are of stores"):
        atxfer.Client("@alice", store="s3://bucket", encrypt=True)


def test_the_command_line(
    pair: DevServer,
    store_server: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By --store, or the environment."""
    for name, value in pair.client_options.items():
        if name in ("directory", "ca_file", "keys_dir"):
            monkeypatch.setenv(f"ATXFER_{name.upper()}", str(value))
    monkeypatch.setenv("ATXFER_ATSIGN", "@alice")
    monkeypatch.setenv("ATXFER_STATE_DIR", str(tmp_path / "state"))
    place = store_of(store_server)
    words = ["--store", place["store"]]
    if "endpoint_url" in place:
        words += ["--endpoint-url", place["endpoint_url"]]
    source = tmp_path / "report.bin"
    source.write_bytes(content(100_000))
    assert run(["upload", str(source), "--quiet", *words]) == 0
    file_id = capsys.readouterr().out.strip()
    assert run(["download", file_id, str(tmp_path / "got")]) == 0
    assert (tmp_path / "got").read_bytes() == content(100_000)
    assert run(["delete", file_id, *words]) == 0
    assert run(["list", "--quiet", "--destination", "@alice"]) == 0


def test_a_url_needs_no_header_of_ours(
    pair: DevServer, versitygw: VersityGw, tmp_path: Path
) -> None:
    """Any program that is given it can fetch the sealed bytes."""
    from atxfer._operations.home import Home

    with client_of(pair, tmp_path, **store_of(versitygw)) as alice:
        receipt = alice.upload(content(1000), name="a")
        home: Home = alice._site._home  # type: ignore[attr-defined]  # the manifest is not shown
        entry = alice._engine.run(lambda t: home.entry(t, receipt.file_id), "x")
    answer = requests.get(entry.manifest.location["url"], timeout=30)
    assert answer.status_code == 200
    assert len(answer.content) == 1028
