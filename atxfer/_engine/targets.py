"""Where a download writes to: a path, a folder, or a writable object.

Rules of this file (peers.md R22 to R24):

1. A file appears under its name only when it is whole and verified: it is written beside it,
   under a name of its own, and then renamed. An error commits nothing and leaves nothing.
2. A name that came from a manifest never leaves the folder it is put into.
3. What is verified is what was written, read back; not what was meant to be written.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Optional, Protocol, Union

from atxfer._buffers import Buffer
from atxfer._disk import sync_folder
from atxfer.config import KIB
from atxfer.errors import ChecksumMismatch

__all__ = ["Part", "Sink", "Writable", "atomic_write", "open_target", "safe_name"]

Writable = Union[str, "os.PathLike[str]", BinaryIO]

# The longest name a file may have on the file systems in use, in bytes.
_LONGEST_NAME = 255
_BLOCK = 256 * KIB


class Sink(Protocol):
    """What a download writes chunks to, in any order."""

    @property
    def path(self) -> Optional[Path]:
        """Where the file will lie, if it is one."""
        ...

    @property
    def in_order(self) -> bool:
        """Whether chunks that come early are held back."""
        ...

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write a chunk at its place."""
        ...

    def verify(self, size: int, sha256: Optional[str]) -> None:
        """Return if the whole is what it should be; called once, after the last chunk.

        Args:
            size: Bytes it must have.
            sha256: In hex; None where nobody knows it.

        Raises:
            ChecksumMismatch: It is not.
        """
        ...


class Part:
    """A file that is being written, under a temporary name. Used by one thread, its driver."""

    in_order = False

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._written: dict[int, int] = {}

    @property
    def path(self) -> Path:
        """Where the file will lie."""
        return self._path

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write a chunk at its place."""
        view = memoryview(data)
        done = 0
        while done < len(view):
            done += _pwrite(self._descriptor, view[done:], offset + done)
        self._written[offset] = len(data)
        while self._hashed in self._written:
            self._hash_on(self._written.pop(self._hashed))

    def verify(self, size: int, sha256: Optional[str]) -> None:
        """Compare size and SHA-256 of what lies in the file."""
        _compare(os.fstat(self._descriptor).st_size, self._hashed, size)
        if sha256 is not None and self._hash.hexdigest() != sha256:
            raise ChecksumMismatch("the SHA-256 of the file is not that of the manifest")

    def _hash_on(self, length: int) -> None:
        """Read back what was written, as far as it has no gap, while it is still in memory."""
        end = self._hashed + length
        while self._hashed < end:
            block = _pread(self._descriptor, min(_BLOCK, end - self._hashed), self._hashed)
            if not block:
                raise ChecksumMismatch("the file was cut short while it was written")
            self._hash.update(block)
            self._hashed += len(block)


def _pwrite(descriptor: int, data: memoryview, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, data, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.write(descriptor, data)


def _pread(descriptor: int, length: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, length)


class _Stream:
    """A writable object: chunks are written in order, early ones are held back."""

    path = None
    in_order = True

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self._written = 0
        self._early: dict[int, Buffer] = {}

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write a chunk, and those that waited for it."""
        self._early[offset] = data
        while self._written in self._early:
            chunk = self._early.pop(self._written)
            self._hash.update(chunk)
            _write_all(self._stream, chunk)
            self._written += len(chunk)

    def verify(self, size: int, sha256: Optional[str]) -> None:
        """Compare size and SHA-256 of what was handed over."""
        _compare(self._written, self._written, size)
        if sha256 is not None and self._hash.hexdigest() != sha256:
            raise ChecksumMismatch(
                "the SHA-256 of the file is not that of the manifest",
                remedy="What was written to the file object must not be used.",
            )


def _compare(there: int, seen: int, size: int) -> None:
    if there != size or seen != size:
        raise ChecksumMismatch(f"{there:,} bytes were written of {size:,}")


def _write_all(stream: Any, data: Buffer) -> None:
    view = memoryview(data)
    while len(view):
        written = stream.write(view)
        # Objects that are no files often return nothing, and mean everything.
        view = view[len(view) if written is None else written :]


@contextlib.contextmanager
def open_target(target: Writable, name: str, *, size: int, fsync: bool) -> Iterator[Sink]:
    """Yield what a download writes to; a file takes its name when the block ends well.

    Args:
        target: A path, an existing folder, or an object with ``write``.
        name: What the file is called in a folder; only its last part is used.
        size: Bytes that will be written.
        fsync: Whether the file is flushed to disk before it takes its name.

    Raises:
        TypeError: The target is none of these.
        ValueError: It is something a file can't replace, as a FIFO or a device.
        OSError: It can't be written.
    """
    if isinstance(target, (str, os.PathLike)):
        with atomic_write(_resolve(target, name), size=size, fsync=fsync) as part:
            yield part
    elif hasattr(target, "write"):
        yield _Stream(target)
    else:
        raise TypeError(f"a target is a path or a writable object, not {type(target).__name__}")


def _resolve(target: Union[str, os.PathLike[str]], name: str) -> Path:
    """Return the path of the file to write."""
    path = Path(target)
    if path.is_dir():
        # Not resolved: a link that lies in the folder is replaced, not followed (rule 2).
        return path / safe_name(name)
    if os.fspath(target).endswith(os.sep):
        raise NotADirectoryError(errno.ENOTDIR, "there is no such folder", os.fspath(target))
    return Path(os.path.realpath(path))  # the caller's own link: what it points to is replaced


def safe_name(name: str) -> str:
    """Return a name, from whatever source, as one that can only lie in the folder it is put into.

    The last part of a path of any system, without control and direction characters, not longer
    than file systems allow. The ending is kept.
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    # C: control, format, surrogate, private, unassigned. Format ones turn the reading direction.
    kept = "".join(c if unicodedata.category(c)[0] != "C" else "_" for c in last).strip()
    if kept in ("", ".", ".."):
        return "unnamed"
    stem, dot, ending = kept.rpartition(".")
    if not stem or len(ending.encode()) > 32:
        stem, dot, ending = kept, "", ""
    room = _LONGEST_NAME - len((dot + ending).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + ending


@contextlib.contextmanager
def atomic_write(path: Path, *, size: int = 0, fsync: bool = True) -> Iterator[Part]:
    """Write a file that appears whole, or not at all.

    Args:
        path: Where it is to lie. An existing file keeps its permissions, and its content until
            the new one is complete.
        size: Bytes it will have, as far as known, so that a full disk is noticed at once.
        fsync: Whether it is flushed to disk before it takes its name.

    Raises:
        ValueError: Something lies there that is no file.
        OSError: It can't be written.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    mode = _mode_of(path)
    temporary = path.with_name(f".atxfer-{secrets.token_hex(8)}.part")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    # Never more open than the file it replaces, not even for a moment; a new one honours umask.
    descriptor = os.open(temporary, flags, 0o666 if mode is None else mode)
    try:
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)
            _reserve(descriptor, size)
            yield Part(descriptor, path)
            if fsync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    if fsync:
        sync_folder(path.parent)


def _mode_of(path: Path) -> Optional[int]:
    """Return the permissions of the file that lies there, or None if there is none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder lies there", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is a FIFO, socket or device; open it and give the file object")
    return stat.S_IMODE(status.st_mode) & 0o777


def _reserve(descriptor: int, size: int) -> None:
    """Ask the file system for room, where it can promise it."""
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
