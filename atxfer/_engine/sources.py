"""Where an upload reads from: a path, bytes, or a binary file object.

Rules of this file (peers.md R21):

1. The size is known before the first chunk is read, because the format needs it. What can't tell
   its size (a pipe) is first copied to an anonymous temporary file, never beyond max_file_size.
2. A source that changes while it is read is ``SourceChanged``, noticed at the next read: it ends
   early, its size or time of change differs, or its name is gone.
3. Bytes are read once, in order, and hashed in that order, though not at once: what was read is
   already on its way then.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Optional, Union, cast

from atxfer._policy.sizing import check_file_size
from atxfer.config import KIB
from atxfer.errors import SourceChanged
from atxfer.waiting import Wait

__all__ = ["Identity", "Readable", "Source", "open_source"]

Readable = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO]

# Read at a time of what is copied: of a pipe, between two looks at cancellation, and of a file
# object that knows no other way than ``read``.
_STEP = 256 * KIB

_UNNAMED = "unnamed"

# Of the first and the last bytes of a file its identity has a hash (peers.md R19).
_END_BLOCK = 64 * KIB


@dataclass(frozen=True)
class Identity:
    """What tells one content of a file from another without reading it all (peers.md R19).

    The device is no part of it: many systems number theirs anew at each start, and after a loss of
    power a file must be known again.

    Attributes:
        size: Bytes.
        mtime_ns: When it was changed last.
        inode: Its number within its file system.
        head: SHA-256 of its first 64 KiB, in hex.
        tail: The same of its last.
    """

    size: int
    mtime_ns: int
    inode: int
    head: str
    tail: str


class Source:
    """A sequence of bytes of known length, read once, in order.

    Attributes:
        name: A name without any folder.
        size: Bytes in all.
        path: Where it lies, in full, if it is a regular file that was named by its path.

    Threads: belongs to the thread that drives the upload; any may ask for the hash.
    """

    def __init__(
        self, stream: BinaryIO, size: int, name: str, *, owned: bool, path: Optional[Path] = None
    ) -> None:
        self.name = name
        self.size = size
        self.path = path
        self._stream = stream
        self._owned = owned
        self._read = 0
        self._hash = hashlib.sha256()
        self._unhashed: deque[memoryview] = deque()
        self._hashing = threading.Lock()  # held by whoever adds to the hash
        self._first_look = self._look()

    @property
    def sha256(self) -> str:
        """The SHA-256, in hex, of what was read so far."""
        self.hash_up()
        return self._hash.hexdigest()

    def hash_up(self) -> None:
        """Hash what was read since, and let go of it."""
        with self._hashing:
            while self._unhashed:
                self._hash.update(self._unhashed.popleft())

    def read_into(self, block: memoryview) -> None:
        """Fill a block with the next bytes; it must not be changed before they are hashed.

        Raises:
            SourceChanged: They are not there any more, or the source has changed.
            OSError: It can't be read.
        """
        missing = block
        while missing:
            count = self._read_some(missing)
            self._read += count
            if not count:
                raise SourceChanged(f"it ended after {self._read:,} of {self.size:,} bytes")
            missing = missing[count:]
        self._unhashed.append(block)
        self.check_unchanged()

    def _read_some(self, block: memoryview) -> int:
        stream: Any = self._stream
        if self._owned:
            count: int = stream.readinto(block)
            return count
        # A caller's object is read by the one method that all have, and that progress bars wrap.
        piece = stream.read(min(len(block), _STEP)) or b""
        block[: len(piece)] = piece
        return len(piece)

    def check_unchanged(self) -> None:
        """Return if the source is what it was when it was opened.

        Raises:
            SourceChanged: It is not.
        """
        if self._look() != self._first_look:
            raise SourceChanged("it was changed while it was read")

    def identity(self) -> Identity:
        """Return by what the file is known again, before anything of it is read.

        Raises:
            OSError: It can't be read.
        """
        status = os.fstat(self._stream.fileno())
        ends = []
        for start in (0, max(0, status.st_size - _END_BLOCK)):
            self._stream.seek(start)
            ends.append(hashlib.sha256(self._stream.read(_END_BLOCK)).hexdigest())
        self._stream.seek(0)
        return Identity(status.st_size, status.st_mtime_ns, status.st_ino, *ends)

    def rewind(self) -> None:
        """Begin anew with the first byte of a file."""
        self._stream.seek(0)
        self._read = 0
        self._hash = hashlib.sha256()
        self._unhashed.clear()

    def close(self) -> None:
        """Close what :func:`open_source` opened; a file object of the caller's stays open."""
        if self._owned:
            self._stream.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _look(self) -> tuple[int, ...]:
        """Return what would differ if somebody wrote to the source."""
        descriptor = _descriptor(self._stream)
        if descriptor is not None:
            status = os.fstat(descriptor)
            # A file replaced or deleted by its name has no link left; one that had none from the
            # start, an anonymous temporary file, is left alone.
            linked = status.st_nlink > 0 or self.path is None
            return status.st_size, status.st_mtime_ns, linked
        here = self._stream.tell()
        end = self._stream.seek(0, io.SEEK_END)
        self._stream.seek(here)
        return (end,)


def open_source(
    source: Readable,
    *,
    name: Optional[str] = None,
    max_file_size: Optional[int] = None,
    wait: Optional[Wait] = None,
) -> Source:
    """Open what an upload is to read.

    Args:
        source: A path, bytes, or a binary file object, which is read from where it stands.
        name: What to call it, or None for its own name; folders in it are left out.
        max_file_size: The most bytes that are accepted, or None.
        wait: Ends the copying of a pipe, if given.

    Raises:
        TypeError: It is none of these, or a text file.
        FileTooLarge: It is larger than ``max_file_size``.
        OSError: It can't be opened.
    """
    opened = _open(source, name, max_file_size, wait if wait is not None else Wait())
    try:
        check_file_size(opened.size, max_file_size, opened.name)
    except BaseException:
        opened.close()
        raise
    return opened


def _open(source: Readable, name: Optional[str], most: Optional[int], wait: Wait) -> Source:
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = io.BytesIO(source)
        return Source(data, data.getbuffer().nbytes, _base(name), owned=True)
    if isinstance(source, (str, os.PathLike)):
        return _open_path(Path(source), name, most, wait)
    if not hasattr(source, "read"):
        raise TypeError(f"a source is a path, bytes or a binary file, not {type(source).__name__}")
    stream: Any = source
    if isinstance(stream, io.TextIOBase):
        raise TypeError("the source is open as text; open it with mode 'rb'")
    chosen = _base(name if name is not None else _own_name(source))
    if not _is_seekable(source):
        return _spool(source, chosen, most, wait)
    here = source.tell()
    end = source.seek(0, io.SEEK_END)
    source.seek(here)
    return Source(source, max(0, end - here), chosen, owned=False)


def _open_path(path: Path, name: Optional[str], most: Optional[int], wait: Wait) -> Source:
    chosen = _base(name if name is not None else path.name)
    stream = path.open("rb")
    try:
        status = os.fstat(stream.fileno())
        if stat.S_ISREG(status.st_mode):
            real = Path(os.path.realpath(path))
            return Source(stream, status.st_size, chosen, owned=True, path=real)
        with stream:
            return _spool(stream, chosen, most, wait)
    except BaseException:
        stream.close()
        raise


def _spool(stream: Any, name: str, most: Optional[int], wait: Wait) -> Source:
    """Copy a stream of unknown length to a temporary file that has no name and only we can read."""
    spool = cast(BinaryIO, tempfile.TemporaryFile(prefix="atxfer-"))  # noqa: SIM115  # Source closes
    try:
        size = 0
        while piece := stream.read(_STEP):
            if not isinstance(piece, (bytes, bytearray, memoryview)):
                raise TypeError("the source is open as text; open it with mode 'rb'")
            size += len(piece)
            check_file_size(size, most, name)
            wait.check()
            spool.write(piece)
        spool.seek(0)
        return Source(spool, size, name, owned=True)
    except BaseException:
        spool.close()
        raise


def _is_seekable(stream: Any) -> bool:
    seekable = getattr(stream, "seekable", None)
    return bool(seekable()) if seekable is not None else hasattr(stream, "seek")


def _descriptor(stream: Any) -> Optional[int]:
    """Return the file descriptor under a stream, if there is one."""
    try:
        return int(stream.fileno())
    except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
        return None


def _own_name(stream: Any) -> Optional[str]:
    name = getattr(stream, "name", None)  # of a pipe it is a number
    return name if isinstance(name, str) else None


def _base(name: Optional[str]) -> str:
    return Path(name).name or _UNNAMED if name else _UNNAMED
