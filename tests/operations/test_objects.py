"""Files that are objects: plain as any program would read them, or sealed with a trailer."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import pytest

from atxfer._engine.engine import Engine
from atxfer._engine.journals import Journals
from atxfer._engine.sources import Readable
from atxfer._operations.cutting import chunk_size_of
from atxfer._operations.objects import Objects
from atxfer._operations.orders import Order, Wish
from atxfer._operations.reach import Reach
from atxfer.config import TransferConfig
from atxfer.errors import (
    ChunkCorrupt,
    FileNotFound,
    IntegrityError,
    ManifestInvalid,
    TransferError,
)
from atxfer.model import Receipt, Result
from atxfer.stores.base import Capabilities
from tests.support.objects import FakeObjects
from tests.support.worlds import content, sha256

CHUNK = 100
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK, 1050]


class Bench:
    """Objects on a fake store, by an engine of their own."""

    def __init__(self, store: FakeObjects, *, encrypt: bool, state: Optional[Path] = None) -> None:
        self.store = store
        config = TransferConfig(backoff_initial=0.0, backoff_max=0.0, chunk_size=CHUNK)
        self.reach = Reach.of("localhost:64", None, config)
        destination = self.reach.engine.destination("fake", 3)
        self.journals = Journals(state)
        self.objects = Objects(
            self.reach, store, destination, encrypt=encrypt, journals=self.journals
        )

    @property
    def engine(self) -> Engine:
        """What moves files."""
        return self.reach.engine

    def upload(self, data: Readable, name: str = "a.bin") -> Receipt:
        """Upload some bytes, or a file."""
        order = Order(data, name, None, None)
        return self.engine.run(lambda transfer: self.objects.upload(order, transfer), name)

    def download(self, address: str, target: Optional[Path] = None) -> tuple[Result, bytes]:
        """Download an object, into memory if no target is named."""
        stream = io.BytesIO()
        wish = Wish(target if target is not None else stream, None)
        result = self.engine.run(
            lambda transfer: self.objects.download(address, wish, transfer), "x"
        )
        return result, stream.getvalue()


@contextmanager
def bench(*, encrypt: bool, script: str = "", state: Optional[Path] = None) -> Iterator[Bench]:
    """Yield a bench whose engine is closed at the end."""
    made = Bench(FakeObjects(script), encrypt=encrypt, state=state)
    try:
        yield made
    finally:
        made.engine.close()


@pytest.mark.parametrize("size", SIZES)
def test_a_plain_file_is_the_object(size: int) -> None:
    """Byte for byte, under its own name, so that every other program reads it."""
    with bench(encrypt=False) as b:
        receipt = b.upload(content(size))
        assert b.store.content == {"mem://a.bin": content(size)}
        assert (receipt.file_id, receipt.link) == ("mem://a.bin", None)
        assert receipt.sha256 == sha256(content(size))
        result, data = b.download(receipt.file_id)
        assert data == content(size)
        assert (result.file.name, result.file.size) == ("a.bin", size)


def test_that_chunks_are_larger_than_asked_for_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not for each of many files, and not where it is not so."""
    least = Capabilities(1 << 20, 1 << 20, 1 << 20, min_chunk_bytes=1500)
    sizes = [chunk_size_of(size, least, 700, overhead=0) for size in (700, 701, 3000, 5000)]
    assert sizes == [700, 1500, 1500, 1500]
    (told,) = caplog.messages
    assert told.startswith("chunk_size.raised asked=700 used=1500 ")


@pytest.mark.parametrize("encrypt", [False, True])
def test_an_upload_that_fails_has_no_id(encrypt: bool) -> None:
    """What it left has no address that delete would take, and one of that name is another file."""
    with bench(encrypt=encrypt, script="404") as b, pytest.raises(TransferError) as caught:
        b.upload(content(4 * CHUNK))
    assert (caught.value.file, caught.value.file_id) == ("a.bin", None)
    assert caught.value.chunks_missing


def test_a_store_may_have_to_learn_what_its_server_can_do() -> None:
    """By a request like any other: under a permit, and tried again; and once."""
    with bench(encrypt=False, script="500 ok") as b:
        b.store.learns = True
        for _ in range(2):
            b.upload(content(CHUNK))
        assert b.store.requests[:3] == ["learn", "learn", "put 0-0"]
        assert b.store.requests.count("learn") == 2


@pytest.mark.parametrize("size", SIZES)
def test_a_sealed_file_comes_back_by_its_link(size: int) -> None:
    """Neither its name nor a byte of it can be read in the store."""
    with bench(encrypt=True) as b:
        receipt = b.upload(content(size), "secretname.bin")
        assert receipt.link is not None
        (stored,) = b.store.content.values()
        assert b"secretname" not in stored
        assert size < 20 or content(size)[:20] not in stored
        assert "secretname" not in receipt.file_id
        result, data = b.download(receipt.link)
        assert data == content(size)
        assert (result.file.name, result.file.sha256) == ("secretname.bin", receipt.sha256)


def test_a_repeated_request_changes_nothing() -> None:
    """The last chunk carries the trailer, and is sealed once."""
    with bench(encrypt=True, script="ok 500 drop dropped ok 503") as b:
        receipt = b.upload(content(1050))
        assert b.download(receipt.link or "")[1] == content(1050)


def test_without_its_key_a_sealed_object_is_noise() -> None:
    """It is fetched as it lies there, for who wants to copy it."""
    with bench(encrypt=True) as b:
        receipt = b.upload(content(500))
        _, data = b.download(receipt.file_id)
        assert data == b.store.content[receipt.file_id]


def test_a_wrong_key_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    """As is a key for an object that is plain; nothing is left at the target."""
    with bench(encrypt=True) as b:
        first, second = b.upload(content(500)), b.upload(content(500))
        key = (second.link or "").partition("#")[2]
        b.store.content["mem://plain"] = bytes(500)
        for address in (f"{first.file_id}#{key}", f"mem://plain#{key}"):
            with pytest.raises(ManifestInvalid):
                b.download(address, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fragment", ["#", "#short", "#" + "a" * 44])
def test_a_damaged_key_is_misuse(fragment: str) -> None:
    """Without asking the store, and never taken for a part of a name."""
    with bench(encrypt=True) as b:
        with pytest.raises(ValueError, match="cut short"):
            b.download(f"mem://x{fragment}")
        assert b.store.requests == []


@pytest.mark.parametrize("place", [0, 127, 128, 700, -1, -20, -200])
def test_a_changed_byte_is_noticed(tmp_path: Path, place: int) -> None:
    """In a chunk or in the trailer; nothing takes the target's name."""
    with bench(encrypt=True) as b:
        receipt = b.upload(content(1050))
        data = bytearray(b.store.content[receipt.file_id])
        data[place] ^= 1
        b.store.content[receipt.file_id] = bytes(data)
        with pytest.raises((IntegrityError, ChunkCorrupt)):
            b.download(receipt.link or "", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_that_was_cut_out_is_noticed(tmp_path: Path) -> None:
    """The trailer tells the length of the whole."""
    with bench(encrypt=True) as b:
        receipt = b.upload(content(1050))
        data = b.store.content[receipt.file_id]
        b.store.content[receipt.file_id] = data[:128] + data[256:]
        with pytest.raises(ManifestInvalid, match="length"):
            b.download(receipt.link or "", tmp_path / "copy")


def test_what_is_there_is_listed_described_and_deleted() -> None:
    """A sealed file is described by its manifest only to who holds its key."""
    with bench(encrypt=True) as b:
        receipt = b.upload(content(500), "name.bin")
        run = b.engine.run
        assert [f.file_id for f in run(b.objects.files, "list")] == [receipt.file_id]
        named = run(lambda t: b.objects.file(receipt.link or "", t), "file")
        bare = run(lambda t: b.objects.file(receipt.file_id, t), "file")
        assert (named.name, named.size) == ("name.bin", 500)
        assert bare.name != "name.bin"
        run(lambda t: b.objects.delete(receipt.link or "", t), "delete")
        assert b.store.content == {}
        with pytest.raises(FileNotFound):
            run(lambda t: b.objects.delete(receipt.file_id, t), "delete")


def test_a_link_for_anybody_carries_the_key_on() -> None:
    """Behind the #, which no server is told."""
    with bench(encrypt=True) as b:
        receipt = b.upload(content(5))
        link = b.engine.run(lambda t: b.objects.link(receipt.link or "", 60.0, t), "link")
        assert link == (receipt.link or "").replace("#", "?for=anybody#")
        plain = b.engine.run(lambda t: b.objects.link(receipt.file_id, None, t), "link")
        assert plain == f"{receipt.file_id}?for=anybody"


def test_the_key_is_in_no_repr() -> None:
    """Receipts are printed and logged."""
    with bench(encrypt=True) as b:
        receipt = b.upload(content(5))
        assert (receipt.link or "").partition("#")[2] not in repr(receipt)


# --- the journals of plain files


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a folder for journals that is not there yet."""
    return tmp_path / "state" / "uploads"


@pytest.mark.parametrize("size", [0, 1, CHUNK])
def test_what_is_one_request_asks_for_no_journal(tmp_path: Path, state: Path, size: int) -> None:
    """It leaves nothing to go on with: the folder is not even made."""
    file = tmp_path / "a.bin"
    file.write_bytes(content(size))
    with bench(encrypt=False, state=state) as b:
        b.upload(file)
    assert not state.exists()


def test_what_is_several_requests_has_a_journal(tmp_path: Path, state: Path) -> None:
    """A later call can go on with those that got through."""
    file = tmp_path / "a.bin"
    file.write_bytes(content(5 * CHUNK))
    with bench(encrypt=False, state=state) as b:
        b.store.always["commit"] = "404"
        with pytest.raises(TransferError) as caught:
            b.upload(file)
        assert caught.value.resumable
        assert [left.path for left in b.journals.unfinished()] == [str(file)]


def test_the_server_is_asked_before_a_file_counts_as_one_request(
    tmp_path: Path, state: Path
) -> None:
    """A store may append what a server like it takes at once, until it has learnt which this is."""
    file = tmp_path / "a.bin"
    file.write_bytes(content(CHUNK))
    with bench(encrypt=False, state=state) as b:
        b.store.learns = True
        b.upload(file)
    assert state.exists()


def test_what_a_longer_file_has_left_is_given_up(
    tmp_path: Path, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that has become one request ends the upload that its path had before."""
    file = tmp_path / "a.bin"
    file.write_bytes(content(5 * CHUNK))
    with bench(encrypt=False, state=state) as b:
        b.store.always["commit"] = "404"
        with pytest.raises(TransferError):
            b.upload(file)
        b.store.always.clear()
        file.write_bytes(content(CHUNK))
        b.upload(file)
        assert b.journals.unfinished() == []
    assert "upload.abandoned" in caplog.text
