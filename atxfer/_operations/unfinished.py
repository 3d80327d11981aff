"""The uploads of this machine that did not end, and where their journals lie."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Optional

from atxfer._engine.journals import Journals
from atxfer._operations.seen import NO_HOME, state_folder
from atxfer.config import StrPath, TransferConfig
from atxfer.model import UnfinishedUpload

__all__ = ["journals_in", "unfinished_uploads"]


_log = logging.getLogger("atxfer.journal")


def journals_in(state: Optional[Path], config: Optional[TransferConfig] = None) -> Journals:
    """Return the journals of a state folder, or none if the configuration wants none.

    Where there is no such folder, the log says so, once, and uploads go on without.
    """
    if config is not None and not config.journal:
        return Journals(None)
    if state is None:
        _tell_of_no_home()
        return Journals(None)
    return Journals(state / "uploads")


@functools.cache
def _tell_of_no_home() -> None:
    _log.warning("journal.failed path=None error=%r", NO_HOME)


def unfinished_uploads(*, state_dir: Optional[StrPath] = None) -> list[UnfinishedUpload]:
    """Return the uploads of this machine that did not end, the oldest first.

    The same call of ``upload`` goes on with each of them. Those whose time on the server is over
    are forgotten.

    Args:
        state_dir: As for :class:`atxfer.Client`.
    """
    return journals_in(state_folder(state_dir)).unfinished()
