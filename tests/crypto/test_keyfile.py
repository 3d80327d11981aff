"""Key files appear whole, private, and never in the place of another."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from atxfer._crypto.keyfile import Document, publish, write_document
from atxfer._crypto.primitives import base64_encode
from atxfer.errors import KeysUnreadable

MEMBERS = {"a": "b"}


def _no_links(source: object, target: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.fixture(params=["links", "no links"])
def _file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a file system on which files may have two names, and one that knows no such thing."""
    if request.param == "no links":
        monkeypatch.setattr(os, "link", _no_links)


@pytest.mark.usefixtures("_file_system")
def test_a_new_file_is_whole_and_private(tmp_path: Path) -> None:
    """Its folder too, and nothing lies beside it."""
    path = tmp_path / "keys" / "file"
    write_document(path, MEMBERS)
    assert json.loads(path.read_text()) == MEMBERS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.usefixtures("_file_system")
def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    """The error names it, and nothing lies beside it."""
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(FileExistsError) as caught:
        write_document(path, MEMBERS)
    assert caught.value.filename == str(path)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("_file_system")
def test_what_can_not_be_published_is_kept(tmp_path: Path) -> None:
    """A draft may be the only copy there is."""
    draft, path = tmp_path / "draft", tmp_path / "file"
    draft.write_text("only copy")
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        publish(draft, path)
    assert (draft.read_text(), path.read_text()) == ("only copy", "precious")
    path.unlink()
    publish(draft, path)
    assert path.read_text() == "only copy"
    assert not draft.exists()


def test_a_file_may_be_replaced_as_a_whole(tmp_path: Path) -> None:
    """Where that is asked for; a write that fails leaves the old one."""
    path = tmp_path / "file"
    write_document(path, MEMBERS)
    write_document(path, {"c": "d"}, replace=True)
    assert json.loads(path.read_text()) == {"c": "d"}
    with pytest.raises(TypeError):
        write_document(path, {"c": b"no text"}, replace=True)
    assert json.loads(path.read_text()) == {"c": "d"}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_folder_that_can_not_be_flushed_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Some network file systems can't do that, and the file is there all the same."""
    flush = os.fsync

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, "no")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_document(tmp_path / "file", MEMBERS)
    assert (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "is missing or holds no texts"),
        ({"a": 1}, "is missing or holds no texts"),
        (["a"], "is missing or holds no texts"),
    ],
)
def test_a_member_that_holds_no_texts_is_named(value: object, why: str) -> None:
    """Without what stands there."""
    with pytest.raises(KeysUnreadable, match=f"file: names {why}"):
        Document(Path("file"), {"names": value}).texts("names")


def test_a_member_that_holds_no_key_is_named() -> None:
    """Base64 of something else is told from what is no base64."""
    document = Document(Path("file"), {"key": base64_encode(b"nonsense")})
    with pytest.raises(KeysUnreadable, match="file: key holds no RSA key"):
        document.open_private_key("key")
