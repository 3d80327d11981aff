"""Whether an upload goes on with an earlier one that was interrupted, or begins anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional, TypeVar

from atxfer._engine.journal import Journal
from atxfer._engine.record import Record
from atxfer._engine.sources import Source
from atxfer.errors import NotFound, TransferError
from atxfer.stores.base import Store, Upload, UploadPlan
from atxfer.waiting import Wait

__all__ = ["Load", "Outdated", "or_anew"]

T = TypeVar("T")


class Outdated(TransferError):
    """What the journal remembers can't be gone on with; an upload has to be begun anew."""


@dataclass(frozen=True)
class Load:
    """What is to be sent, and what an earlier call has left of it.

    Attributes:
        source: Where it is read from.
        journal: Its journal, or None if it has none.
        record: What there is to go on with, or None to begin anew.
    """

    source: Source
    journal: Optional[Journal]
    record: Optional[Record]

    def chunk_size(self, chosen: int, *, is_explicit: bool) -> int:
        """Return how large the chunks are: as they were; or as is chosen for a new upload.

        Args:
            chosen: The size that a new upload would have.
            is_explicit: Whether no other will do.

        Raises:
            Outdated: Another size is asked for.
        """
        if self.record is None:
            return chosen
        if is_explicit and chosen != self.record.head.chunk_size:
            raise Outdated("another chunk_size is asked for")
        return self.record.head.chunk_size

    def open_at(self, store: Store, plan: UploadPlan, wait: Wait) -> Upload:
        """Open the upload at its store, or the earlier one again.

        Raises:
            Outdated: The store knows of the earlier one no more.
        """
        if self.record is None:
            return store.open_upload(plan, wait)
        try:
            return store.open_upload(plan, wait, token=self.record.token)
        except NotFound as error:
            raise Outdated(error.message) from error


def or_anew(journal: Optional[Journal], source: Source, attempt: Callable[[Load], T]) -> T:
    """Go on with an interrupted upload, or begin one if there is none, or none to go on with.

    Args:
        journal: Says what there is to go on with.
        source: Is read once more, from its first byte, for a second attempt.
        attempt: Uploads; raises Outdated only if it is given a record.
    """
    if journal is not None and journal.record is not None:
        try:
            if not journal.record.token:
                raise Outdated("nothing was sent yet")
            return attempt(Load(source, journal, journal.record))
        except Outdated as error:
            journal.forget(error.message)
            source.rewind()
    return attempt(Load(source, journal, None))
