"""One file up and down again, of every size and kind."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from atxfer import Client
from atxfer.config import KIB
from atxfer.devserver import DevServer
from tests.support.worlds import client_of, content, sha256

SIZES = [0, 1, 8 * KIB - 1, 8 * KIB, 8 * KIB + 1, 176 * KIB, 256 * KIB, 256 * KIB + 1, 1_500_000]


@pytest.mark.parametrize("size", SIZES)
def test_every_size_comes_back_identical(atserver: DevServer, tmp_path: Path, size: int) -> None:
    """What is uploaded is what is downloaded, at and around every boundary."""
    source = tmp_path / "report.pdf"
    source.write_bytes(content(size))
    with client_of(atserver) as client:
        receipt = client.upload(source)
        result = client.download(receipt.file_id, tmp_path / "copy.pdf")
    assert (tmp_path / "copy.pdf").read_bytes() == content(size)
    assert receipt.sha256 == result.file.sha256 == sha256(content(size))
    assert (receipt.name, receipt.size) == ("report.pdf", size)


def test_bytes_have_a_name_of_the_callers_choice(atserver: DevServer, tmp_path: Path) -> None:
    """Bytes are a source like any other."""
    with client_of(atserver) as client:
        receipt = client.upload(b"hello", name="greeting.txt")
        result = client.download(receipt, tmp_path)
    assert result.path == tmp_path / "greeting.txt"
    assert (tmp_path / "greeting.txt").read_bytes() == b"hello"


class _Pipe(io.RawIOBase):
    """A source that can't seek and reads in small pieces."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        size = min(1000, len(buffer))
        piece, self._rest = self._rest[:size], self._rest[size:]
        buffer[: len(piece)] = piece
        return len(piece)


def test_a_source_that_cannot_seek(atserver: DevServer) -> None:
    """A pipe is uploaded though its size is not known beforehand."""
    target = io.BytesIO()
    with client_of(atserver) as client:
        receipt = client.upload(_Pipe(content(50_000)), name="pipe")
        client.download(receipt, target)
    assert target.getvalue() == content(50_000)


def test_a_file_object_is_read_from_where_it_stands(atserver: DevServer) -> None:
    """What was read before the call is not part of the file."""
    source = io.BytesIO(b"headerbody")
    source.seek(6)
    target = io.BytesIO()
    with client_of(atserver) as client:
        client.download(client.upload(source, name="body"), target)
    assert target.getvalue() == b"body"


@pytest.mark.parametrize("name", ["emoji 😀.txt", "a" * 200 + ".bin", "..hidden", "with space"])
def test_names_survive(atserver: DevServer, tmp_path: Path, name: str) -> None:
    """A name is kept as it was, whatever alphabet it is in."""
    with client_of(atserver) as client:
        receipt = client.upload(b"x", name=name)
        assert client.download(receipt, tmp_path).path == tmp_path / name


def test_the_list_shows_what_is_there(atserver: DevServer) -> None:
    """Files appear when they are complete and go when they are deleted."""
    with client_of(atserver) as client:
        kept = client.upload(b"kept", name="kept")
        gone = client.upload(b"gone", name="gone")
        assert {f.file_id for f in client.files()} == {kept.file_id, gone.file_id}
        client.delete(gone.file_id)
        assert [f.name for f in client.files()] == ["kept"]


def test_delete_leaves_nothing(atserver: DevServer) -> None:
    """Neither chunks nor the manifest stay behind."""
    before = set(atserver.server("@alice").keys())
    with client_of(atserver) as client:
        receipt = client.upload(content(300_000), name="x")
        assert len(set(atserver.server("@alice").keys()) - before) == receipt.chunks + 1
        client.delete(receipt)
    assert set(atserver.server("@alice").keys()) == before


def test_the_receipt_says_when_the_file_ends(atserver: DevServer) -> None:
    """A file lives as long as was asked for, and extend moves its end."""
    with client_of(atserver) as client:
        receipt = client.upload(b"x", name="x", ttl=600.0)
        assert receipt.expires_at is not None
        assert receipt.expires_at - receipt.created_at == pytest.approx(600.0, abs=30.0)
        longer = client.extend(receipt, 7200.0)
    assert longer.expires_at is not None
    assert longer.expires_at - receipt.expires_at == pytest.approx(6600.0, abs=30.0)


def test_a_file_can_live_for_ever(atserver: DevServer) -> None:
    """ttl=None in the configuration sets no end."""
    with client_of(atserver, ttl=None) as client:
        assert client.upload(b"x", name="x").expires_at is None


def test_another_client_of_the_same_atsign_reads_it(atserver: DevServer, tmp_path: Path) -> None:
    """The manifest on the server is all that is needed, besides the keys."""
    with client_of(atserver) as client:
        receipt = client.upload(content(100_000), name="x")
    with client_of(atserver) as other:
        other.download(receipt.file_id, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == content(100_000)


def test_nothing_on_the_server_is_in_the_clear(atserver: DevServer) -> None:
    """The server sees neither the name nor a byte of the content."""
    with client_of(atserver) as client:
        client.upload(b"SECRETCONTENT" * 100, name="secretname.txt")
    stored = repr(list(atserver.server("@alice").values()))
    assert "secretname" not in stored
    assert "SECRETCONTENT" not in stored


def test_progress_only_grows_and_ends_at_the_whole(atserver: DevServer) -> None:
    """Confirmed bytes never shrink, and the last callback says all of them."""
    seen: list[int] = []
    with client_of(atserver, progress_interval=0.0) as client:
        client.upload(content(400_000), name="x", progress=lambda p: seen.append(p.confirmed))
    assert seen == sorted(seen)
    assert seen[-1] == 400_000


def test_handles_and_many_files(atserver: DevServer, tmp_path: Path) -> None:
    """submit_upload returns at once; upload_many tells how each file ended."""
    good = tmp_path / "good"
    good.write_bytes(content(10_000))
    with client_of(atserver) as client:
        assert client.submit_upload(good).result(timeout=60).size == 10_000
        outcomes = list(client.upload_many([good, tmp_path / "missing", b"bytes"]))
    assert sorted(outcome.ok for outcome in outcomes) == [False, True, True]
    (failed,) = (outcome for outcome in outcomes if not outcome.ok)
    assert isinstance(failed.error, FileNotFoundError)


@pytest.mark.parametrize("address", ["", "ftp://host/files", "@", "@a b"])
def test_what_is_no_atsign_is_refused(address: str) -> None:
    """A wrong address is an error of the call, before anything is read or sent."""
    with pytest.raises(ValueError, match="atSign"):
        Client(address)
