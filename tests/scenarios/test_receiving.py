"""A file that another atSign shares, from the inbox to the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

import atxfer
from atxfer import Client, FileExpired, NotFound, SharedFile
from atxfer.devserver import DevServer
from atxfer.errors import ChunkCorrupt, FileNotFound, NotShared
from tests.support.lines import LineClient
from tests.support.worlds import FIVE, client_of, content

SIZE = 300_000


def shared(alice: Client, bob: Client, *, name: str = "report.pdf") -> SharedFile:
    """Share a file with @bob, and return what he finds of it."""
    alice.upload(content(SIZE), name=name, share_with=["@bob"])
    (file,) = bob.inbox()
    return file


def test_each_recipient_gets_an_identical_file(
    crowd: DevServer, alice: Client, tmp_path: Path
) -> None:
    """Verified, under its name, and once."""
    receipt = alice.upload(content(SIZE), name="report.pdf", share_with=FIVE)
    for atsign in FIVE:
        with client_of(crowd, atsign) as client:
            (file,) = client.inbox()
            assert (file.owner, file.name, file.size) == ("@alice", "report.pdf", SIZE)
            (tmp_path / atsign).mkdir()
            result = client.download(file, tmp_path / atsign)
            assert result.path == tmp_path / atsign / "report.pdf"
            assert result.path.read_bytes() == content(SIZE)
            assert result.file.sha256 == receipt.sha256
            assert list(client.inbox()) == []


def test_chunks_come_straight_from_the_owners_server(
    crowd: DevServer, alice: Client, bob: Client, tmp_path: Path
) -> None:
    """Without a login there, several at a time, and with no copy of them on the reader's server."""
    file = shared(alice, bob)
    crowd.counters.reset()
    before = set(crowd.server("@bob").keys())
    bob.download(file, tmp_path)
    counts = crowd.counters.snapshot()
    assert counts["@alice"]["logins"] == 0
    assert counts["@alice"]["commands"]["lookup"] >= file.chunks
    assert 1 < counts["@alice"]["peak_in_flight"] <= bob.config.max_concurrent_downloads
    assert counts["@bob"]["bytes_out"] < 20_000
    assert set(crowd.server("@bob").keys()) == before


def test_a_file_is_found_by_its_id(alice: Client, bob: Client, tmp_path: Path) -> None:
    """Among one's own first, then in the inbox, or with the owner's name at once."""
    file = shared(alice, bob)
    assert bob.download(file.file_id, tmp_path / "a").file.owner == "@alice"
    assert bob.download(file.file_id, tmp_path / "b", from_="alice").file.owner == "@alice"
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == content(SIZE)
    for from_ in (None, "@alice"):
        with pytest.raises(FileNotFound):
            bob.download("a" * 26, tmp_path, from_=from_)


def test_what_was_downloaded_was_seen(alice: Client, bob: Client, tmp_path: Path) -> None:
    """Also where the loop was left before it could ask for the next."""
    alice.upload(b"x", name="x", share_with=["@bob"])
    file = next(bob.inbox())
    assert [again.file_id for again in bob.inbox(include_seen=True)] == [file.file_id]
    bob.download(file, tmp_path)
    assert list(bob.inbox()) == []


@pytest.mark.parametrize("atsign", ["@mallory", "@carol"])
def test_who_is_not_named_gets_nothing(
    crowd: DevServer, alice: Client, bob: Client, tmp_path: Path, atsign: str
) -> None:
    """Neither in the inbox, nor by the id; a clear refusal, and nothing on the disk."""
    file = shared(alice, bob)
    with client_of(crowd, atsign) as other:
        assert list(other.inbox(from_=["@alice"])) == []
        with pytest.raises(NotShared, match="@alice does not share"):
            other.download(file.file_id, tmp_path, from_="@alice")
        with pytest.raises(NotFound):
            other.download(file, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_anonymous_caller_reads_noise(crowd: DevServer, alice: Client, bob: Client) -> None:
    """The manifest is refused, and the chunks are sealed."""
    file = shared(alice, bob)
    with LineClient(crowd, "@alice") as nobody:
        for key in (f"{file.file_id}.files.atxfer@alice", f"@bob:{file.file_id}.files.atxfer"):
            assert nobody.ask(f"lookup:{key}").startswith("error:")
        assert "files" not in nobody.ask("scan")
        chunk = nobody.ask(f"lookup:_0.{file.file_id}.atxfer@alice")
    assert chunk.startswith("data:")
    assert content(SIZE)[:16] not in chunk.encode()


def test_unshared_is_told_as_such(
    crowd: DevServer, alice: Client, bob: Client, tmp_path: Path
) -> None:
    """The file is there still, but not for us."""
    file = shared(alice, bob)
    alice.unshare(file.file_id, "@bob")
    crowd.idle()
    with pytest.raises(NotShared, match="any more"):
        bob.download(file, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_deleted_is_told_as_such(
    crowd: DevServer, alice: Client, bob: Client, tmp_path: Path
) -> None:
    """Also while our own server has not heard of it yet."""
    file = shared(alice, bob)
    copy = f"cached:@bob:{file.file_id}.files.atxfer@alice"
    crowd.server("@bob").stop()
    alice.delete(file.file_id)
    crowd.advance(600)  # her server has given up telling his
    crowd.server("@bob").start()
    assert copy in crowd.server("@bob")
    with pytest.raises(FileNotFound, match="deleted"):
        bob.download(file, tmp_path)
    crowd.server("@bob").remove(copy)
    with pytest.raises(FileNotFound, match="deleted"):
        bob.download(file, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_swept", [False, True])
def test_expired_is_told_as_such(
    crowd: DevServer, bob: Client, tmp_path: Path, is_swept: bool
) -> None:
    """Before and after the servers have swept it away."""
    with client_of(crowd, ttl=300.0) as alice:
        file = shared(alice, bob)
    crowd.advance(301)
    if is_swept:
        crowd.server("@alice").sweep()
        crowd.server("@bob").sweep()
    with pytest.raises((FileExpired, NotShared)) as caught:
        bob.download(file, tmp_path)
    assert is_swept or isinstance(caught.value, FileExpired)
    assert list(tmp_path.iterdir()) == []


def test_mixed_up_answers_give_no_wrong_byte(
    crowd: DevServer, alice: Client, bob: Client, tmp_path: Path
) -> None:
    """Every look-up between the servers gets another's answer; the file comes all the same."""
    crowd.faults.mixup = 1.0
    files = [content(50_000, seed) for seed in range(3)]
    for seed, data in enumerate(files):
        alice.upload(data, name=f"{seed}", share_with=FIVE)
    for atsign in FIVE:
        (tmp_path / atsign).mkdir()
        with client_of(crowd, atsign) as client:
            for file in client.inbox():
                client.download(file, tmp_path / atsign)
        for seed, data in enumerate(files):
            assert (tmp_path / atsign / f"{seed}").read_bytes() == data


def test_a_mixed_up_share_is_an_error_and_never_another_file(
    crowd: DevServer, alice: Client, bob: Client, tmp_path: Path
) -> None:
    """Without its copy a share must be asked for between servers, and is not believed then."""
    first, second = (
        alice.upload(content(SIZE, seed), name=f"{seed}", share_with=["@bob"]) for seed in (1, 2)
    )
    crowd.idle()
    for receipt in (first, second):
        crowd.server("@bob").remove(f"cached:@bob:{receipt.file_id}.files.atxfer@alice")
    crowd.faults.mixup = 1.0
    for receipt in (first, second):
        with pytest.raises(atxfer.IntegrityError, match="not what the servers gave"):
            bob.download(receipt.file_id, tmp_path / "x", from_="@alice")
    assert list(tmp_path.iterdir()) == []
    crowd.faults.mixup = 0.0
    bob.download(first.file_id, tmp_path / "x", from_="@alice")
    assert (tmp_path / "x").read_bytes() == content(SIZE, 1)


def test_a_changed_chunk_is_noticed_by_the_recipient(
    crowd: DevServer, alice: Client, bob: Client, tmp_path: Path
) -> None:
    """And a chunk of another file in its place as well."""
    file, other = shared(alice, bob), alice.upload(content(SIZE, 2), name="y")
    server = crowd.server("@alice")
    place = f"public:_3.{file.file_id}.atxfer@alice"
    server.alter(place, server.value(f"public:_3.{other.file_id}.atxfer@alice") or "")
    with pytest.raises(ChunkCorrupt) as caught:
        bob.download(file, tmp_path)
    assert caught.value.chunk == 3
    assert list(tmp_path.iterdir()) == []


def test_reading_goes_on_through_faults(
    crowd: DevServer, alice: Client, bob: Client, tmp_path: Path
) -> None:
    """Errors, lost connections and pauses of the owner's server cost time and nothing else."""
    file = shared(alice, bob)
    crowd.faults.error, crowd.faults.drop = 0.05, 0.05
    bob.download(file, tmp_path)
    assert (tmp_path / "report.pdf").read_bytes() == content(SIZE)


def test_the_owners_server_may_be_restarted_meanwhile(
    crowd: DevServer, alice: Client, bob: Client, tmp_path: Path
) -> None:
    """The connections that are kept are found to be gone, and made anew."""
    file = shared(alice, bob)
    bob.download(file, tmp_path / "a")
    crowd.server("@alice").restart()
    bob.download(file, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == content(SIZE)
