"""Where uploads read from."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tempfile
import threading
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from atxfer._engine.sources import Readable, Source, open_source
from atxfer.errors import Cancelled, FileTooLarge, SourceChanged
from atxfer.waiting import Wait

CONTENT = bytes(range(256)) * 4


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file of 1,024 bytes."""
    path = tmp_path / "report.pdf"
    path.write_bytes(CONTENT)
    return path


class Pipe(io.RawIOBase):
    """A stream that can't seek, and gives less than it is asked for."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Give 100 bytes at most."""
        piece = self._content.read(min(len(buffer), 100))
        buffer[: len(piece)] = piece
        return len(piece)


def read(source: Source, length: int) -> bytes:
    """Read so many bytes."""
    block = memoryview(bytearray(length))
    source.read_into(block)
    return bytes(block)


def whole(source: Source) -> bytes:
    """Read a source in pieces of 100 bytes."""
    pieces = []
    while (left := source.size - sum(map(len, pieces))) > 0:
        pieces.append(read(source, min(100, left)))
    return b"".join(pieces)


def every_kind(path: Path) -> list[Readable]:
    """Return the same content in all forms a source may have."""
    return [
        str(path),
        path,
        CONTENT,
        bytearray(CONTENT),
        memoryview(CONTENT),
        io.BytesIO(CONTENT),
        io.BufferedReader(Pipe(CONTENT)),
        Pipe(CONTENT),  # type: ignore[list-item]  # a binary file by what it does
    ]


def test_every_kind_of_source_gives_its_bytes(file: Path) -> None:
    """Size first, then the bytes in order, and their SHA-256."""
    for kind in every_kind(file):
        with open_source(kind) as source:
            assert source.size == 1024
            assert whole(source) == CONTENT
            assert source.sha256 == hashlib.sha256(CONTENT).hexdigest()
            source.check_unchanged()


def test_an_empty_source_is_a_source() -> None:
    """0 bytes, and the hash of nothing."""
    with open_source(b"") as source:
        assert (source.size, source.sha256) == (0, hashlib.sha256(b"").hexdigest())


def test_a_file_object_is_read_from_where_it_stands(file: Path) -> None:
    """What was read before is no part of the source; the caller's object stays open."""
    with file.open("rb") as stream:
        stream.read(1000)
        with open_source(stream) as source:
            assert source.size == 24
            assert whole(source) == CONTENT[1000:]
        assert not stream.closed


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("report.pdf", "report.pdf"),
        ("folder/report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("", "unnamed"),
        ("/", "unnamed"),
        ("line\nbreak 🎉", "line\nbreak 🎉"),
    ],
)
def test_a_name_has_no_folder(given: str, expected: str) -> None:
    """Only the last part of a name is kept."""
    assert open_source(b"", name=given).name == expected


def test_a_source_has_a_name_of_its_own(file: Path) -> None:
    """Of a path its last part, of a file object its file, of bytes none."""
    with open_source(file) as by_path, file.open("rb") as stream:
        assert by_path.name == "report.pdf"
        assert open_source(stream).name == "report.pdf"
    assert open_source(b"").name == open_source(io.BytesIO()).name == "unnamed"


def test_a_pipe_has_a_number_for_a_name() -> None:
    """Which is no name."""
    reader, writer = os.pipe()
    os.write(writer, b"abc")
    os.close(writer)
    with os.fdopen(reader, "rb") as stream, open_source(stream) as source:
        assert (source.name, source.size, read(source, 3)) == ("unnamed", 3, b"abc")


def test_a_fifo_is_copied_first(tmp_path: Path) -> None:
    """The format needs the size before the first chunk."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(CONTENT))
    writer.start()
    with open_source(fifo) as source:
        assert (source.name, whole(source)) == ("fifo", CONTENT)
    writer.join()


def test_the_copy_of_a_pipe_is_private_and_has_no_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is left in the temporary folder, not even while it is read."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_source(Pipe(CONTENT)) as source:  # type: ignore[arg-type]
        status = os.fstat(source._stream.fileno())
        assert status.st_nlink == 0
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_never_copied_beyond_the_limit() -> None:
    """An endless stream doesn't fill the disk."""

    class Endless(Pipe):
        def readinto(self, buffer: Any) -> int:
            buffer[:] = bytes(len(buffer))
            return len(buffer)

    with pytest.raises(FileTooLarge):
        open_source(Endless(b""), max_file_size=10_000_000)  # type: ignore[arg-type]


def test_copying_a_pipe_can_be_cancelled() -> None:
    """A stream that never ends is left when the transfer is."""
    wait = Wait()

    class Endless(Pipe):
        def readinto(self, buffer: Any) -> int:
            wait.cancel()
            return len(buffer)

    with pytest.raises(Cancelled):
        open_source(Endless(b""), wait=wait)  # type: ignore[arg-type]


def test_a_file_that_is_too_large_is_refused_unread(file: Path) -> None:
    """The limit is checked before anything is sent."""
    with pytest.raises(FileTooLarge, match=r"report\.pdf"):
        open_source(file, max_file_size=1023)


@pytest.mark.parametrize("wrong", [None, 5, ["a"]])
def test_nonsense_is_refused(wrong: Any) -> None:
    """What is no source is a TypeError that says what one is."""
    with pytest.raises(TypeError, match="a path, bytes or a binary file"):
        open_source(wrong)


def test_a_text_file_is_refused(file: Path) -> None:
    """Its bytes are not those of the file."""
    with file.open("r", encoding="latin-1") as stream, pytest.raises(TypeError, match="'rb'"):
        open_source(stream)  # type: ignore[arg-type]


def test_an_object_that_reads_text_is_refused() -> None:
    """Also one that does not look like a text file."""

    class Text:
        def read(self, size: int) -> str:
            return "text"

    with pytest.raises(TypeError, match="'rb'"):
        open_source(Text())  # type: ignore[arg-type]


def test_what_is_not_there_is_the_systems_own_error(tmp_path: Path) -> None:
    """A missing file or a folder is an OSError, as everywhere in Python."""
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        open_source(tmp_path)


# --- sources that change (R21, scenario 10)


def truncate(path: Path) -> None:
    """Cut the file off after 500 bytes."""
    os.truncate(path, 500)


def grow(path: Path) -> None:
    """Add a byte."""
    with path.open("ab") as stream:
        stream.write(b"!")


def edit(path: Path) -> None:
    """Change a byte in the middle, the size staying the same."""
    status = path.stat()
    with path.open("r+b") as stream:
        stream.seek(700)
        stream.write(b"!")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def replace(path: Path) -> None:
    """Put another file in its place, as editors do."""
    other = path.with_name("other")
    other.write_bytes(CONTENT)
    other.replace(path)


def remove(path: Path) -> None:
    """Delete it."""
    path.unlink()


@pytest.mark.parametrize("change", [truncate, grow, edit, replace, remove])
def test_a_file_that_changes_is_noticed_at_the_next_read(file: Path, change: Any) -> None:
    """Whatever happens to it, nothing of the new state is taken for the old one."""
    with open_source(file) as source:
        read(source, 450)
        change(file)
        with pytest.raises(SourceChanged):
            read(source, 100)


@pytest.mark.parametrize("change", [truncate, grow, edit, replace, remove])
def test_a_change_after_the_last_read_is_noticed_too(file: Path, change: Any) -> None:
    """It is looked at once more before the commit."""
    with open_source(file) as source:
        whole(source)
        change(file)
        with pytest.raises(SourceChanged, match="changed while it was read"):
            source.check_unchanged()


def test_an_object_in_memory_that_changes_is_noticed() -> None:
    """Growing and shrinking; a stream without a file has nothing else to look at."""
    stream = io.BytesIO(CONTENT)
    source = open_source(stream)
    stream.truncate(200)
    with pytest.raises(SourceChanged, match="after 200 of 1,024 bytes"):
        read(source, 400)


def test_a_changed_bytearray_does_not_matter() -> None:
    """It was copied when the upload was called for."""
    content = bytearray(CONTENT)
    source = open_source(content)
    content[0] ^= 1
    assert whole(source) == CONTENT


def test_an_anonymous_temporary_file_is_a_source() -> None:
    """It never had a name, so that it has none is no change."""
    with tempfile.TemporaryFile() as stream:
        stream.write(CONTENT)
        stream.seek(0)
        assert whole(open_source(stream)) == CONTENT


def test_an_object_with_read_alone_is_a_source() -> None:
    """Neither seekable() nor fileno() is needed."""

    class Plain:
        def __init__(self) -> None:
            self.read = io.BytesIO(CONTENT).read

    stream: BinaryIO = Plain()  # type: ignore[assignment]
    with open_source(stream) as source:
        assert whole(source) == CONTENT
