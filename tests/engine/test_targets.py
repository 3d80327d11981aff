"""Where downloads write to."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atxfer._engine.targets import Writable, atomic_write, open_target, safe_name
from atxfer.errors import ChecksumMismatch

CONTENT = b"0123456789" * 5


def put(target: Writable, name: str = "a.txt", content: bytes = CONTENT) -> Any:
    """Write content to a target, in pieces, the last one first."""
    sha256 = hashlib.sha256(content).hexdigest()
    with open_target(target, name, size=len(content), fsync=True) as sink:
        for start in reversed(range(0, len(content), 7)):
            sink.write_at(start, content[start : start + 7])
        sink.verify(len(content), sha256)
    return sink.path


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_path_gets_the_file(tmp_path: Path) -> None:
    """Whole, and nothing beside it."""
    assert put(tmp_path / "copy.txt") == tmp_path / "copy.txt"
    assert (tmp_path / "copy.txt").read_bytes() == CONTENT
    assert names(tmp_path) == ["copy.txt"]


def test_a_folder_gets_the_file_under_its_own_name(tmp_path: Path) -> None:
    """Also when the folder is given as text with a slash."""
    assert put(tmp_path, "a.txt") == tmp_path / "a.txt"
    assert put(f"{tmp_path}/", "b.txt") == tmp_path / "b.txt"


def test_a_folder_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    """A slash at the end means a folder, never a file of that name."""
    with pytest.raises(NotADirectoryError):
        put(f"{tmp_path}/none/")
    with pytest.raises(FileNotFoundError):
        put(tmp_path / "none" / "a.txt")


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    """Without a chunk there is still a file."""
    put(tmp_path / "empty", content=b"")
    assert (tmp_path / "empty").read_bytes() == b""


def test_an_error_commits_nothing(tmp_path: Path) -> None:
    """The old file stays as it was, and no part is left (R22, R23)."""
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")

    def interrupted() -> None:
        with open_target(target, "a.txt", size=50, fsync=True) as sink:
            sink.write_at(0, CONTENT[:20])
            assert len(names(tmp_path)) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


def test_the_part_lies_beside_the_target(tmp_path: Path) -> None:
    """In the same folder, so that the rename is one step; under a name of its own."""
    with atomic_write(tmp_path / "a.txt", size=3) as part:
        (name,) = names(tmp_path)
        assert name.startswith(".atxfer-")
        assert name.endswith(".part")
        part.write_at(0, b"abc")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_an_existing_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    """And the part is never more open than that."""
    target = tmp_path / "a.txt"
    target.touch()
    target.chmod(mode)
    with atomic_write(target):
        (part,) = [path for path in tmp_path.iterdir() if path != target]
        assert stat.S_IMODE(part.stat().st_mode) == mode
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_new_file_honours_the_umask(tmp_path: Path) -> None:
    """As every program's files do."""
    before = os.umask(0o027)
    try:
        put(tmp_path / "a.txt")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_link_given_by_the_caller_is_followed(tmp_path: Path) -> None:
    """The file behind it is replaced, as with every other program."""
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    put(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == CONTENT


@pytest.mark.parametrize("special", ["fifo", "device"])
def test_what_is_no_file_is_refused(tmp_path: Path, special: str) -> None:
    """A FIFO or a device is never replaced by a file; the message says what to do."""
    target = Path("/dev/null")
    if special == "fifo":
        target = tmp_path / "fifo"
        os.mkfifo(target)
    with pytest.raises(ValueError, match="open it and give the file object"):
        put(target)
    assert not target.is_file()


def test_a_folder_under_the_files_own_name_is_refused(tmp_path: Path) -> None:
    """A folder in the folder is not replaced either."""
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(IsADirectoryError):
        put(tmp_path, "a.txt")


def test_nonsense_is_refused() -> None:
    """What is no target is a TypeError that says what one is."""
    with pytest.raises(TypeError, match="a path or a writable object"):
        put(5)  # type: ignore[arg-type]


# --- verification


def test_a_wrong_hash_is_noticed(tmp_path: Path) -> None:
    """What is compared is what lies in the file."""

    def other() -> None:
        with open_target(tmp_path / "a", "a", size=50, fsync=False) as sink:
            sink.write_at(0, CONTENT)
            sink.verify(50, hashlib.sha256(b"other").hexdigest())

    with pytest.raises(ChecksumMismatch):
        other()
    assert names(tmp_path) == []


def test_a_gap_is_noticed(tmp_path: Path) -> None:
    """The size is right as soon as the last byte is written; the bytes count, not the size."""

    def gap() -> None:
        with open_target(tmp_path / "a", "a", size=50, fsync=False) as sink:
            sink.write_at(0, CONTENT[:10])
            sink.write_at(20, CONTENT[20:])
            sink.verify(50, hashlib.sha256(CONTENT).hexdigest())

    with pytest.raises(ChecksumMismatch):
        gap()


def test_a_disk_that_returns_something_else_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash is of what is read back, not of what was meant to be written."""

    def lying(descriptor: int, data: Any, offset: int) -> int:
        return os.lseek(descriptor, offset, os.SEEK_SET) * 0 + os.write(
            descriptor, b"x" * len(data)
        )

    monkeypatch.setattr(os, "pwrite", lying)
    with pytest.raises(ChecksumMismatch):
        put(tmp_path / "a")


# --- trouble with the disk (scenario 16)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's error is raised, the old file is intact, nothing is left."""
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")

    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        put(target)
    assert (names(tmp_path), target.read_bytes()) == (["a.txt"], b"old")


def test_a_full_disk_is_noticed_before_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file system can promise room, it is asked for at once."""

    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, f"no room for {length}")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="no room for 50"):
        put(tmp_path / "a.txt")
    assert names(tmp_path) == []


def test_a_file_system_that_promises_nothing_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some can't reserve room; that is no reason to refuse."""

    def unsupported(*args: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    put(tmp_path / "a.txt")


def test_a_rename_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no part beside it."""
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")

    def refused(self: Path, other: Path) -> None:
        raise PermissionError(errno.EACCES, "refused")

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(PermissionError):
        put(target)
    assert (names(tmp_path), target.read_bytes()) == (["a.txt"], b"old")


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that takes three bytes at a time gets all of them."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:3], at))
    put(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == CONTENT


def test_without_positioned_writes_it_seeks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every system has pwrite and pread."""
    monkeypatch.delattr(os, "pwrite")
    monkeypatch.delattr(os, "pread")
    put(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == CONTENT


# --- writable objects


def test_an_object_gets_the_bytes_in_order() -> None:
    """Whatever the order in which chunks arrive."""
    stream = io.BytesIO()
    assert put(stream) is None
    assert stream.getvalue() == CONTENT


@pytest.mark.parametrize("taken", [3, None])
def test_an_object_may_take_less_or_say_nothing(taken: Any) -> None:
    """A short write is finished; one that returns None took everything."""
    got = bytearray()

    class Slow:
        def write(self, data: bytes) -> Any:
            got.extend(data[:taken])
            return None if taken is None else len(data[:taken])

    put(Slow())  # type: ignore[arg-type]
    assert bytes(got) == CONTENT


def test_an_object_with_the_wrong_bytes_is_said_to_be_unusable() -> None:
    """What was written can't be taken back, so the remedy says it."""
    with open_target(io.BytesIO(), "a", size=3, fsync=True) as sink:
        sink.write_at(0, b"abc")
        with pytest.raises(ChecksumMismatch, match="must not be used"):
            sink.verify(3, hashlib.sha256(b"abd").hexdigest())
        with pytest.raises(ChecksumMismatch, match="3 bytes were written of 4"):
            sink.verify(4, "")


# --- names that come from others (R24)


@pytest.mark.parametrize(
    ("hostile", "expected"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..", "unnamed"),
        (".", "unnamed"),
        ("", "unnamed"),
        ("a/..", "unnamed"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("C:\\boot.ini", "boot.ini"),
        ("folder/", "folder"),
        ("line\nbreak\x1b[31m", "line_break_[31m"),
        ("nul\0byte", "nul_byte"),
        ("exe\u202efdp.txt", "exe_fdp.txt"),
        ("\udcff.txt", "_.txt"),
        ("  ", "unnamed"),
        ("r\u00e9sum\u00e9 🎉.pdf", "r\u00e9sum\u00e9 🎉.pdf"),
        (".profile", ".profile"),
    ],
)
def test_a_name_is_made_harmless(hostile: str, expected: str) -> None:
    """The last part only, without control or direction characters."""
    assert safe_name(hostile) == expected


@pytest.mark.parametrize("name", ["x" * 300 + ".pdf", "🎉" * 100 + ".pdf", "x" * 300])
def test_a_long_name_is_cut_and_keeps_its_ending(name: str) -> None:
    """To what file systems allow, and never within a character."""
    cut = safe_name(name)
    assert len(cut.encode()) <= 255
    assert len(cut.encode()) > 250
    assert Path(cut).suffix == Path(name).suffix


@given(st.text(st.characters(), max_size=300))
def test_name_never_leaves_target_directory(name: str) -> None:
    """Whatever a manifest calls a file, it is one plain name."""
    safe = safe_name(name)
    folder = Path("/folder")
    assert Path(os.path.normpath(folder / safe)).parent == folder
    assert len(os.fsencode(safe)) <= 255
    assert safe.isprintable() or " " in safe or not safe.isascii()
    assert not set(safe) & {"/", "\\", "\0", "\n"}


def test_a_hostile_name_does_not_follow_a_link_out_of_the_folder(tmp_path: Path) -> None:
    """A link that lies in the target folder is replaced, not followed."""
    (tmp_path / "outside").write_bytes(b"untouched")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a.txt").symlink_to(tmp_path / "outside")
    put(inside, "../inside/a.txt")
    assert (tmp_path / "outside").read_bytes() == b"untouched"
    assert not (inside / "a.txt").is_symlink()
    assert (inside / "a.txt").read_bytes() == CONTENT
