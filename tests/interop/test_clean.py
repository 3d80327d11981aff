"""What uploads have left in stores that others wrote, and ``clean`` removes."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import pytest

import atxfer
from atxfer._cli.main import run
from atxfer.config import MIB
from atxfer.devserver import DevServer, FaultPlan
from atxfer.errors import CleaningFailed, ConnectionLost, NotSupported, ServerFault
from tests.interop.test_bulk import _pair, pair
from tests.servers.s3 import S3Server
from tests.servers.tus import Tusd
from tests.stores.s3.conftest import _own_account
from tests.support.delayproxy import UP, DelayProxy
from tests.support.worlds import content

pytestmark = pytest.mark.interop
__all__ = ["_own_account", "_pair", "pair"]

ONCE = atxfer.TransferConfig(max_attempts=1, max_concurrent_uploads=1)
PART = 5 * MIB
HOUR = 3600.0


@dataclass
class Place:
    """A prefix of a new bucket, behind a proxy that can cut connections."""

    server: S3Server
    proxy: DelayProxy
    state: Path
    bucket: str = field(init=False)

    def __post_init__(self) -> None:
        self.bucket = self.server.new_bucket()
        self.boto = self.server.client()

    @property
    def address(self) -> str:
        """What names it."""
        return f"s3://{self.bucket}/some/folder"

    @property
    def endpoint(self) -> str:
        """The way to it."""
        return self.proxy.through(self.server.url)

    @contextmanager
    def client(self, **how: Any) -> Iterator[atxfer.Client]:
        """Yield a client of it that tries nothing twice."""
        settings = {"config": ONCE, "endpoint_url": self.endpoint, "state_dir": self.state, **how}
        with atxfer.Client(self.address, **settings) as client:
            yield client

    def cut(self) -> None:
        """Let the next upload end in its third part."""
        self.proxy.cut(UP, 2 * PART + PART // 2, only="PUT")

    def begin(self, key: str) -> str:
        """Begin an upload as another program does; return its id."""
        upload_id: str = self.boto.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]
        self.boto.upload_part(
            Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumber=1, Body=b"x" * 1000
        )
        return upload_id

    @property
    def begun(self) -> set[str]:
        """The ids of the uploads that did not end, in all of the bucket."""
        listed = self.boto.list_multipart_uploads(Bucket=self.bucket)
        return {upload["UploadId"] for upload in listed.get("Uploads", [])}

    @property
    def keys(self) -> set[str]:
        """The keys of the objects that are whole."""
        listed = self.boto.list_objects_v2(Bucket=self.bucket)
        return {entry["Key"] for entry in listed.get("Contents", [])}


@pytest.fixture
def place(s3: S3Server, delay_proxy: Callable[..., DelayProxy], tmp_path: Path) -> Place:
    """Give a place at each S3 server in turn."""
    return Place(s3, delay_proxy(s3), tmp_path / "state")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Give a file of four parts."""
    path = tmp_path / "report.bin"
    path.write_bytes(content(3 * PART + 7))
    return path


def test_what_did_not_end_is_removed_and_all_else_stays(place: Place, source: Path) -> None:
    """Of ours and of other programs: not the young, nor objects, nor what is not below."""
    mine = place.begin("some/folder/deep/theirs.bin")
    elsewhere = {place.begin("some/folder2/a"), place.begin("some/folder")}
    with place.client() as client:
        client.upload(b"whole", name="report.bin")
        place.cut()
        with pytest.raises(ConnectionLost):
            client.upload(source)
        place.proxy.forget()
        assert len(place.begun) == 4
        assert client.clean(HOUR) == []
        told = client.clean(0, dry_run=True)
        assert {(upload.name, upload.stored) for upload in told} == {
            ("theirs.bin", 1000),
            ("report.bin", 2 * PART),
        }
        assert {upload.file_id for upload in told} == {
            f"{place.address}/deep/theirs.bin",
            f"{place.address}/report.bin",
        }
        assert len(place.begun) == 4
        assert client.clean(0) == told
        assert place.begun == elsewhere
        assert mine not in elsewhere
        assert place.keys == {"some/folder/report.bin"}
        stream = io.BytesIO()
        client.download(f"{place.address}/report.bin", stream)
        assert stream.getvalue() == b"whole"
        assert client.clean(0) == []


def test_an_upload_whose_parts_were_removed_begins_anew(place: Place, source: Path) -> None:
    """By the same call, as its journal says; and it is whole."""
    with place.client() as client:
        place.cut()
        with pytest.raises(ConnectionLost) as caught:
            client.upload(source)
        assert caught.value.resumable
        place.proxy.forget()
        (upload,) = client.clean(0)
        assert upload.name == "report.bin"
        (unfinished,) = atxfer.unfinished_uploads(state_dir=place.state)
        assert unfinished.path == str(source)
        receipt = client.upload(source)
        assert receipt.statistics.resumed_bytes == 0
        stream = io.BytesIO()
        client.download(receipt, stream)
        assert stream.getvalue() == source.read_bytes()
    assert place.begun == set()
    assert atxfer.unfinished_uploads(state_dir=place.state) == []


def test_an_upload_that_is_under_way_is_left_alone(
    s3: S3Server, delay_proxy: Callable[..., DelayProxy], tmp_path: Path, source: Path
) -> None:
    """Whoever asks on this machine, its journal says so."""
    place = Place(s3, delay_proxy(s3, 0.2), tmp_path / "state")
    held = threading.Event()

    def hold(progress: atxfer.Progress) -> None:
        if progress.confirmed and not held.is_set():
            place.proxy.hold(UP)
            held.set()

    config = ONCE.but(progress_interval=0.0)
    with place.client(config=config) as client, place.client(endpoint_url=s3.url) as other:
        transfer = client.submit_upload(source, progress=hold)
        assert held.wait(30)
        assert len(place.begun) == 1
        assert other.clean(0) == []
        place.proxy.heal()
        transfer.result(30)
    assert place.keys == {"some/folder/report.bin"}


def test_the_command_line(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what the environment names."""
    monkeypatch.setenv("ATXFER_STATE_DIR", str(place.state))
    where = ["--destination", place.address, "--endpoint-url", place.server.url]
    place.begin("some/folder/a.bin")
    assert run(["clean", *where]) == 0
    assert capsys.readouterr().out == ""
    for words, begun in ((["--dry-run"], 1), ([], 0)):
        assert run(["clean", "--older-than", "0", "--quiet", *words, *where]) == 0
        assert capsys.readouterr().out == f"{place.address}/a.bin\n"
        assert len(place.begun) == begun


# --- the bulk of an atSign's files


@contextmanager
def hybrid(world: DevServer, place: Place, **how: Any) -> Iterator[atxfer.Client]:
    """Yield a client of @alice with her files there."""
    settings = {"store": place.address, "endpoint_url": place.endpoint, "config": ONCE, **how}
    with atxfer.Client("@alice", state_dir=place.state, **world.client_options, **settings) as made:
        yield made


def test_manifest_and_bulk_go_together(pair: DevServer, place: Place, source: Path) -> None:
    """They are one upload; what has no manifest is told by its address."""
    with hybrid(pair, place) as alice:
        whole = alice.upload(b"whole", name="whole")
        place.cut()
        with pytest.raises(ConnectionLost) as caught:
            alice.upload(source)
        place.proxy.forget()
        place.begin("some/folder/stray")
        assert alice.clean(HOUR) == []
        told = {upload.file_id: upload for upload in alice.clean(0, dry_run=True)}
        file_id = str(caught.value.file_id)
        assert told.keys() == {file_id, f"{place.address}/stray"}
        assert (told[file_id].name, told[file_id].size) == ("report.bin", source.stat().st_size)
        assert told[file_id].stored >= 2 * PART
        assert {upload.file_id for upload in alice.clean(0)} == told.keys()
        assert place.begun == set()
        assert [file.file_id for file in alice.files(incomplete=True)] == [whole.file_id]
        assert place.keys == {f"some/folder/{whole.file_id}"}
        assert alice.clean(0) == []


def test_an_object_whose_manifest_was_never_completed_goes(pair: DevServer, place: Place) -> None:
    """Nobody could ever find its key."""
    with hybrid(pair, place) as alice:
        pair.faults = FaultPlan.script("ok AT0011", verbs={"update"})
        with pytest.raises(ServerFault) as caught:
            alice.upload(content(1000), name="a")
        pair.faults = FaultPlan()
        assert place.keys == {f"some/folder/{caught.value.file_id}"}
        assert alice.clean(HOUR) == []
        (upload,) = alice.clean(0)
        assert (upload.file_id, upload.size) == (caught.value.file_id, 1000)
        assert upload.stored > 1000
        assert place.keys == set()
        assert list(alice.files(incomplete=True)) == []


def test_what_is_not_in_the_store_is_removed_as_well(pair: DevServer, place: Place) -> None:
    """The client had no store when it was uploaded, or the upload came not so far."""
    with atxfer.Client("@alice", state_dir=place.state, config=ONCE, **pair.client_options) as own:
        pair.faults = FaultPlan.script("ok AT0011", verbs={"batch"})
        with pytest.raises(ServerFault) as caught:
            own.upload(content(MIB), name="a")
        pair.faults = FaultPlan()
    with hybrid(pair, place) as alice:
        (upload,) = alice.clean(0)
        assert (upload.file_id, upload.size) == (caught.value.file_id, MIB)
        assert 0 < upload.stored < MIB
    keys = pair.server("@alice").keys()
    assert not [key for key in keys if upload.file_id in key]


def test_a_manifest_stays_as_long_as_its_bulk(pair: DevServer, place: Place, source: Path) -> None:
    """So the next call finds both."""
    with hybrid(pair, place) as alice:
        place.cut()
        with pytest.raises(ConnectionLost) as caught:
            alice.upload(source)
        place.proxy.forget()
        place.proxy.cut(UP, only="DELETE")
        with pytest.raises(CleaningFailed) as failed:
            alice.clean(0)
        ((upload, cause),) = failed.value.failures
        assert (upload.file_id, failed.value.removed) == (caught.value.file_id, [])
        assert isinstance(cause, ConnectionLost)
        place.proxy.forget()
        assert [file.file_id for file in alice.files(incomplete=True)] == [upload.file_id]
        assert alice.clean(0) == [upload]
        assert place.begun == set()
        assert list(alice.files(incomplete=True)) == []


def test_a_store_that_lists_nothing_is_passed_over(
    pair: DevServer, tusd: Tusd, tmp_path: Path
) -> None:
    """The manifest goes; what is at the tus server ends by itself. Alone, it is an error."""
    options = {**pair.client_options, "state_dir": tmp_path, "store": tusd.url, "config": ONCE}
    with atxfer.Client("@alice", **options) as alice:
        pair.faults = FaultPlan.script("ok AT0011", verbs={"update"})
        with pytest.raises(ServerFault) as caught:
            alice.upload(content(1000), name="a")
        pair.faults = FaultPlan()
        assert [upload.file_id for upload in alice.clean(0)] == [caught.value.file_id]
        assert list(alice.files(incomplete=True)) == []
    with atxfer.Client(tusd.url) as client, pytest.raises(NotSupported, match="does not list"):
        client.clean()
