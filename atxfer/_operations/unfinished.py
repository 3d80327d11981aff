"""The uploads of this machine that did not end, and where their journals lie."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from atxfer._engine.journals import Journals
from atxfer._operations.seen import state_folder
from atxfer.config import StrPath, TransferConfig
from atxfer.model import UnfinishedUpload

__all__ = ["journals_in", "unfinished_uploads"]


def journals_in(state: Path, config: Optional[TransferConfig] = None) -> Journals:
    """Return the journals of a state folder, or none if the configuration wants none."""
    wanted = config is None or config.journal
    return Journals(state / "uploads" if wanted else None)


def unfinished_uploads(*, state_dir: Optional[StrPath] = None) -> list[UnfinishedUpload]:
    """Return the uploads of this machine that did not end, the oldest first.

    The same call of ``upload`` goes on with each of them. Those whose time on the server is over
    are forgotten.

    Args:
        state_dir: As for :class:`atxfer.Client`.
    """
    return journals_in(state_folder(state_dir)).unfinished()
