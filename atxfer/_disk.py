"""What several floors ask of the file system: to keep a name, and to lock a file."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import ModuleType
from typing import Optional

fcntl: Optional[ModuleType]
try:
    import fcntl
except ImportError:  # this is no POSIX system
    fcntl = None

__all__ = ["HAS_LOCKS", "sync_folder", "try_lock"]

HAS_LOCKS = fcntl is not None
"""Whether :func:`try_lock` keeps other programs out."""


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some network file systems can't
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock a file for its one writer; return False if another holds the lock.

    Where there are no locks, everybody gets one.

    Raises:
        OSError: Its file system knows no locks.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
