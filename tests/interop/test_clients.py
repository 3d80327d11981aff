"""Clients of HTTP stores, and the command line, by servers that others wrote."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import requests

import atxfer
from atxfer._cli.main import run
from atxfer.config import MIB
from atxfer.errors import FileNotFound, IntegrityError, NotAuthorized, NotSupported
from tests.servers.s3 import S3Server, VersityGw
from tests.servers.tus import Tusd, TusServer
from tests.stores.s3.conftest import _own_account
from tests.support.worlds import content, sha256

pytestmark = pytest.mark.interop
__all__ = ["_own_account"]

SIZES = [0, 1, 5 * MIB, 12 * MIB + 1]


@contextmanager
def client_of(store_server: Any, tmp_path: Path, **how: Any) -> Iterator[atxfer.Client]:
    """Yield a client of a new place on a server."""
    if isinstance(store_server, S3Server):
        how.setdefault("endpoint_url", store_server.url)
        address = f"s3://{store_server.new_bucket()}/some/folder"
    else:
        address = store_server.url
    with atxfer.Client(address, state_dir=tmp_path / "state", **how) as client:
        yield client


@pytest.mark.parametrize("encrypt", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_what_was_uploaded_is_downloaded(
    store_server: Any, tmp_path: Path, size: int, encrypt: bool
) -> None:
    """By its receipt, to its own name, and then it is deleted."""
    source = tmp_path / "report.bin"
    source.write_bytes(content(size))
    with client_of(store_server, tmp_path, encrypt=encrypt) as client:
        receipt = client.upload(source)
        assert (receipt.size, receipt.owner, receipt.link is not None) == (size, "", encrypt)
        assert receipt.sha256 == sha256(content(size))
        (tmp_path / "down").mkdir()
        result = client.download(receipt, tmp_path / "down")
        assert result.path == tmp_path / "down" / "report.bin"
        assert result.path.read_bytes() == content(size)
        described = client.file(receipt)
        assert (described.name, described.size) == ("report.bin", size)
        client.delete(receipt)
        with pytest.raises(FileNotFound):
            client.download(receipt, io.BytesIO())
    assert atxfer.unfinished_uploads(state_dir=tmp_path / "state") == []


def test_a_plain_file_is_anybodys(tusd: Tusd, tmp_path: Path) -> None:
    """Every program that can fetch reads it, at its address, and so does download_link."""
    with client_of(tusd, tmp_path) as client:
        receipt = client.upload(content(1000), name="a.bin")
        assert requests.get(receipt.file_id, timeout=30).content == content(1000)
        link = client.link(receipt)
    stream = io.BytesIO()
    atxfer.download_link(link, stream)
    assert stream.getvalue() == content(1000)


@pytest.mark.parametrize("encrypt", [False, True])
def test_a_link_needs_no_credentials(
    s3: S3Server, tmp_path: Path, encrypt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is presigned; a sealed file's key stands behind it, and never gets to the server."""
    data = content(9 * MIB)
    with client_of(s3, tmp_path, encrypt=encrypt) as client:
        receipt = client.upload(data, name="a.bin")
        link = client.link(receipt, ttl=600)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = atxfer.download_link(link, tmp_path / "got.bin")
    assert result.path is not None
    assert result.path.read_bytes() == data
    stored = requests.get(link.partition("#")[0], timeout=30).content
    assert (stored == data) is not encrypt
    if encrypt:
        with pytest.raises(ValueError, match="cut short"):
            atxfer.download_link(link[:-5], io.BytesIO())
        wrong = link[:-4] + ("AAAA" if not link.endswith("AAAA") else "BBBB")
        with pytest.raises((IntegrityError, ValueError)):
            atxfer.download_link(wrong, io.BytesIO())


def test_a_link_that_was_tampered_with_is_refused(versitygw: VersityGw, tmp_path: Path) -> None:
    """By the server; the error says what to do."""
    with client_of(versitygw, tmp_path) as client:
        link = client.link(client.upload(b"abc", name="a"), ttl=600)
    with pytest.raises(NotAuthorized, match="ask its owner"):
        atxfer.download_link(link.replace("X-Amz-Expires=600", "X-Amz-Expires=601"), io.BytesIO())


def test_the_list_is_what_lies_below_the_address(s3: S3Server, tmp_path: Path) -> None:
    """As S3 keeps it, and nothing of the neighbours."""
    with client_of(s3, tmp_path) as client:
        receipts = [client.upload(b"x" * n, name=f"{n}.bin") for n in range(1, 4)]
        assert {file.file_id for file in client.files()} == {r.file_id for r in receipts}
        bucket = receipts[0].file_id.split("/")[2]
        with atxfer.Client(f"s3://{bucket}/some/fold", endpoint_url=s3.url) as other:
            assert list(other.files()) == []


def test_many_files_go_under_one_cap(store_server: Any, tmp_path: Path) -> None:
    """And come out with their names."""
    sources = []
    for index in range(12):
        sources.append(tmp_path / f"{index}.bin")
        sources[-1].write_bytes(content(1000 + index))
    with client_of(store_server, tmp_path) as client:
        ends = list(client.upload_many(sources))
        assert [end.error for end in ends] == [None] * 12
        for end in ends:
            assert end.receipt is not None
            assert client.file(end.receipt).size == end.receipt.size


REFUSED: list[tuple[str, Callable[[atxfer.Client], object]]] = [
    ("shares", lambda c: c.upload(b"x", name="a", share_with=["@bob"])),
    ("how long", lambda c: c.upload(b"x", name="a", ttl=60)),
    ("messages", lambda c: c.upload(b"x", name="a", format="attalk")),
    ("shares", lambda c: c.download("x", from_="@bob")),
    ("times to live", lambda c: c.extend("x", 60)),
    ("shares", lambda c: c.share("x", "@bob")),
    ("shares", lambda c: c.unshare("x")),
    ("shares", lambda c: c.shared_with("x")),
    ("taken back", lambda c: c.unlink("x")),
    ("inbox", lambda c: list(c.inbox())),
    ("does not list its uploads", lambda c: c.clean()),
]


@pytest.mark.parametrize(("why", "call"), REFUSED)
def test_what_a_store_can_not_do_is_said_before_anything_is_sent(
    why: str, call: Callable[[atxfer.Client], object]
) -> None:
    """With the remedy, and without a connection."""
    with atxfer.Client("https://files.example/") as client:
        with pytest.raises(NotSupported, match=why) as caught:
            call(client)
        assert caught.value.remedy
        assert client.metrics()["connections"] == {"opened": 0}


@pytest.mark.parametrize(
    ("address", "how", "why"),
    [
        ("ftp://host/", {}, "atSign"),
        ("https://", {}, "URL"),
        ("s3://", {}, "s3://"),
        ("s3://bucket", {"headers": {"A": "b"}}, "for tus servers"),
        ("s3://bucket", {"auth": ("a", "b")}, "for tus servers"),
        ("https://host/files/", {"endpoint_url": "http://localhost"}, "is for S3"),
        ("@alice", {"encrypt": True}, "are of stores"),
        ("@alice", {"auth": ("a", "b")}, "are of stores"),
    ],
)
def test_what_names_no_store_is_refused(address: str, how: dict[str, Any], why: str) -> None:
    """And so is what doesn't go with one."""
    with pytest.raises(ValueError, match=why):
        atxfer.Client(address, **how)


def test_an_address_of_another_server_gets_no_credentials(tus: TusServer, tmp_path: Path) -> None:
    """It is refused before anything is sent (R24)."""
    with (
        client_of(tus, tmp_path, auth=("me", "secret")) as client,
        pytest.raises(ValueError, match="expected the URL of a file at"),
    ):
        client.download("https://elsewhere.example/files/1", io.BytesIO())


@pytest.mark.parametrize(
    "url", ["http://files.example/a", "https://me:secret@files.example/a", "https:///a"]
)
def test_only_https_is_followed(url: str) -> None:
    """Without a login, to a named server."""
    with pytest.raises(ValueError, match="https:// alone"):
        atxfer.download_link(url, io.BytesIO())


# --- the command line


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command."""
    code = run(words)
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_line(
    store_server: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up, down and away, by what the environment names."""
    monkeypatch.setenv("ATXFER_STATE_DIR", str(tmp_path / "state"))
    endpoint: Optional[str] = store_server.url
    if isinstance(store_server, S3Server):
        monkeypatch.setenv("ATXFER_DESTINATION", f"s3://{store_server.new_bucket()}")
        monkeypatch.setenv("ATXFER_ENDPOINT_URL", str(endpoint))
    else:
        monkeypatch.setenv("ATXFER_DESTINATION", str(endpoint))
    source = tmp_path / "report.bin"
    source.write_bytes(content(100_000))
    code, out, _ = said(capsys, "upload", str(source), "--encrypt", "--json")
    assert code == 0
    link = json.loads(out)["link"]
    assert said(capsys, "download", link, str(tmp_path / "got"))[0] == 0
    assert (tmp_path / "got").read_bytes() == content(100_000)
    code, out, _ = said(capsys, "upload", str(source), "--encrypt", "--quiet")
    assert said(capsys, "download", out.strip(), str(tmp_path / "again"))[0] == 0
    assert (tmp_path / "again").read_bytes() == content(100_000)
    code, out, _ = said(capsys, "upload", str(source), "--quiet")
    file_id = out.strip()
    code, out, _ = said(capsys, "link", file_id, "--quiet")
    assert code == 0
    monkeypatch.delenv("ATXFER_DESTINATION")
    assert said(capsys, "download", out.strip(), str(tmp_path / "linked"))[0] == 0
    assert (tmp_path / "linked").read_bytes() == content(100_000)


def test_the_command_line_says_what_a_store_can_not_do(
    tusd: Tusd, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the exit code of that, and what to do."""
    code, _, err = said(capsys, "list", "--destination", tusd.url)
    assert code == 13
    assert "does not list its files" in err
    code, _, err = said(capsys, "share", "x", "@bob", "--destination", tusd.url)
    assert code == 13
    code, _, err = said(capsys, "upload", __file__, "--ttl", "1h", "--destination", tusd.url)
    assert code == 13
