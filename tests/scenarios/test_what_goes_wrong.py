"""Each thing that goes wrong is a typed error with a remedy, and no partial file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import trustme

from atxfer import Client
from atxfer.config import KIB
from atxfer.devserver import DevServer, FaultPlan
from atxfer.errors import (
    AtSignNotFound,
    CertificateRejected,
    ChunkCorrupt,
    ChunkMissing,
    DirectoryUnavailable,
    FileExpired,
    FileNotFound,
    FileTooLarge,
    IntegrityError,
    KeysMismatch,
    KeysNotFound,
    LoginRefused,
    ManifestInvalid,
    RequestTimeout,
    SourceChanged,
    StorageFull,
    TransferError,
)
from tests.support.worlds import QUICK, client_of, content


def _chunk_keys(world: DevServer) -> list[str]:
    keys = world.server("@alice").keys()
    return [key for key in keys if key.startswith("public:_")]


def test_a_certificate_nobody_vouches_for(atserver: DevServer, tmp_path: Path) -> None:
    """A server that our authorities don't know gets nothing from us."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    client = Client(
        "@alice",
        directory=f"{atserver.root_host}:{atserver.root_port}",
        ca_file=other,
        keys_dir=atserver.keys_dir,
        config=QUICK,
    )
    with client, pytest.raises(CertificateRejected) as caught:
        client.upload(b"x", name="x")
    assert "ca_file" in caught.value.remedy


def test_an_atsign_that_no_directory_knows(atserver: DevServer, tmp_path: Path) -> None:
    """The error names the atSign."""
    shutil.copy(Path(atserver.keys_dir) / "@alice_key.atKeys", tmp_path / "@zoe_key.atKeys")
    keys = json.loads((tmp_path / "@zoe_key.atKeys").read_text())
    keys["@zoe"] = keys.pop("@alice")
    (tmp_path / "@zoe_key.atKeys").write_text(json.dumps(keys))
    client = Client(
        "@zoe",
        directory=f"{atserver.root_host}:{atserver.root_port}",
        ca_file=atserver.ca_file,
        keys_dir=tmp_path,
        config=QUICK,
    )
    with client, pytest.raises(AtSignNotFound, match="@zoe"):
        client.upload(b"x", name="x")


def test_keys_that_are_not_there(atserver: DevServer) -> None:
    """The error names the file that was looked for and what to do."""
    with pytest.raises(KeysNotFound, match=r"@carol_key\.atKeys") as caught:
        Client("@carol", keys_dir=atserver.keys_dir)
    assert caught.value.exit_code == 3


def test_keys_of_another_atsign(atserver: DevServer, tmp_path: Path) -> None:
    """Somebody else's key file is noticed before anything is sent."""
    shutil.copy(Path(atserver.keys_dir) / "@bob_key.atKeys", tmp_path / "@alice_key.atKeys")
    with pytest.raises(KeysMismatch):
        Client("@alice", keys_dir=tmp_path)


def test_keys_that_the_server_no_longer_takes(atserver: DevServer, tmp_path: Path) -> None:
    """A refused login is final: it is not tried five times."""
    shutil.copy(Path(atserver.keys_dir) / "@bob_key.atKeys", tmp_path / "@alice_key.atKeys")
    keys = json.loads((tmp_path / "@alice_key.atKeys").read_text())
    keys["@alice"] = keys.pop("@bob")
    (tmp_path / "@alice_key.atKeys").write_text(json.dumps(keys))
    client = Client(
        "@alice",
        directory=f"{atserver.root_host}:{atserver.root_port}",
        ca_file=atserver.ca_file,
        keys_dir=tmp_path,
        config=QUICK.but(max_concurrent_uploads=1),
    )
    with client, pytest.raises(LoginRefused):
        client.upload(b"x", name="x")
    assert atserver.counters.snapshot()["@alice"]["commands"]["pkam"] == 1


def test_a_directory_that_is_down(atserver: DevServer) -> None:
    """The error names the directory, after the configured attempts."""
    client = Client(
        "@alice",
        directory="localhost:1",
        ca_file=atserver.ca_file,
        keys_dir=atserver.keys_dir,
        config=QUICK.but(max_attempts=2),
    )
    with client, pytest.raises(DirectoryUnavailable, match="localhost:1"):
        client.upload(b"x", name="x")


def test_a_file_that_is_too_large_is_refused_before_anything_is_sent(atserver: DevServer) -> None:
    """The limit is checked at the door, and the error names it."""
    with client_of(atserver, max_file_size=1000) as client, pytest.raises(FileTooLarge) as caught:
        client.upload(bytes(1001), name="x")
    assert "max_file_size" in caught.value.remedy
    assert atserver.counters.snapshot()["@alice"]["connections"] == 0


def test_a_server_without_room(atserver: DevServer) -> None:
    """A full disk is final, and says so."""
    atserver.faults = FaultPlan.parse("full=1.0")
    with client_of(atserver) as client, pytest.raises(StorageFull) as caught:
        client.upload(content(100_000), name="x")
    assert caught.value.exit_code == 7


def test_a_server_that_never_answers(atserver: DevServer) -> None:
    """A black hole ends at request_timeout, not never."""
    atserver.faults = FaultPlan.parse("blackhole=1.0")
    client = client_of(atserver, request_timeout=0.2, max_attempts=2)
    with client, pytest.raises(RequestTimeout) as caught:
        client.upload(b"x", name="x")
    assert caught.value.attempts == 2


def test_a_file_that_is_not_there(atserver: DevServer, tmp_path: Path) -> None:
    """An unknown id is FileNotFound, and no file appears."""
    with client_of(atserver) as client, pytest.raises(FileNotFound):
        client.download("a" * 26, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_an_expired_file(atserver: DevServer, tmp_path: Path) -> None:
    """A file whose time is over is FileExpired, not missing."""
    with client_of(atserver) as client:
        receipt = client.upload(content(50_000), name="x", ttl=60.0)
        atserver.advance(61.0)
        with pytest.raises(FileExpired):
            client.download(receipt, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_gone_on_the_server(atserver: DevServer, tmp_path: Path) -> None:
    """The error names the chunk; an existing target stays as it was."""
    (tmp_path / "x").write_bytes(b"old")
    with client_of(atserver) as client:
        receipt = client.upload(content(50_000), name="x")
        atserver.server("@alice").remove(sorted(_chunk_keys(atserver))[2])
        with pytest.raises(ChunkMissing) as caught:
            client.download(receipt, tmp_path / "x")
    assert caught.value.chunk == 2
    assert (tmp_path / "x").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_chunk_altered_on_the_server(atserver: DevServer, tmp_path: Path) -> None:
    """One changed character is noticed, and no byte of the chunk is used."""
    with client_of(atserver) as client:
        receipt = client.upload(content(50_000), name="x")
        key = sorted(_chunk_keys(atserver))[1]
        value = atserver.server("@alice").value(key)
        atserver.server("@alice").alter(key, ("B" if value[0] != "B" else "C") + value[1:])
        with pytest.raises(ChunkCorrupt) as caught:
            client.download(receipt, tmp_path / "x")
    assert caught.value.chunk == 1
    assert list(tmp_path.iterdir()) == []


def test_two_chunks_exchanged_on_the_server(atserver: DevServer, tmp_path: Path) -> None:
    """A chunk that is sound but in the wrong place is corrupt."""
    alice = atserver.server("@alice")
    with client_of(atserver) as client:
        receipt = client.upload(content(50_000), name="x")
        first, second = sorted(_chunk_keys(atserver))[:2]
        one, two = alice.value(first), alice.value(second)
        alice.alter(first, two)
        alice.alter(second, one)
        with pytest.raises(ChunkCorrupt):
            client.download(receipt, tmp_path / "x")


def test_a_manifest_altered_on_the_server(atserver: DevServer, tmp_path: Path) -> None:
    """The platform's encryption would not notice; the signature does."""
    alice = atserver.server("@alice")
    with client_of(atserver) as client:
        receipt = client.upload(b"x" * 100, name="x")
        key = f"{receipt.file_id}.files.atxfer@alice"
        value = alice.value(key)
        alice.alter(key, value[:40] + ("B" if value[40] != "B" else "C") + value[41:])
        with pytest.raises(IntegrityError) as caught:
            client.download(receipt, tmp_path / "x")
        assert isinstance(caught.value, ManifestInvalid)
        assert list(client.files()) == []


def test_a_failed_upload_is_not_a_file(atserver: DevServer) -> None:
    """Nobody sees a file whose upload did not end; what is left of it can be deleted."""
    before = set(atserver.server("@alice").keys())
    with client_of(atserver, max_attempts=2, chunk_size=8 * KIB) as client:
        atserver.faults = FaultPlan.parse("error=1.0@batch")
        with pytest.raises(TransferError) as caught:
            client.upload(content(400_000), name="x")
        atserver.faults = FaultPlan()
        assert caught.value.chunks_missing
        assert caught.value.file_id is not None
        assert list(client.files()) == []
        assert [f.state for f in client.files(incomplete=True)] == ["uploading"]
        client.delete(caught.value.file_id)
    assert set(atserver.server("@alice").keys()) == before


def test_a_source_that_shrinks_while_it_is_read(atserver: DevServer, tmp_path: Path) -> None:
    """A truncated source is SourceChanged, and nothing is committed."""
    source = tmp_path / "x"
    source.write_bytes(content(2_000_000))

    def shrink(progress: object) -> None:
        source.write_bytes(b"")

    with client_of(atserver, progress_interval=0.0, max_concurrent_uploads=1) as client:
        with pytest.raises(SourceChanged):
            client.upload(source, progress=shrink)
        assert list(client.files()) == []


def test_no_error_tells_a_secret(atserver: DevServer, tmp_path: Path) -> None:
    """Neither keys nor values appear in what is printed of an error."""
    with client_of(atserver) as client:
        receipt = client.upload(content(50_000), name="x")
        key = sorted(_chunk_keys(atserver))[0]
        value = atserver.server("@alice").value(key)
        atserver.server("@alice").alter(key, value[:-8] + "AAAAAAA=")
        with pytest.raises(ChunkCorrupt) as caught:
            client.download(receipt, tmp_path / "x")
    assert value[:40] not in repr(caught.value) + str(caught.value)
