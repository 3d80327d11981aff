"""Uploads that did not end: which of them are to be removed, and those that stores keep apart.

Rules of this file:

1. What counts is when an upload was gone on with last, by the server's clock, and not only when it
   was begun: S3's own rule and rclone go by the latter, and end large uploads that are under way.
2. One that a process of this machine is at, as its journal says, is never removed. One that a
   journal could go on with is: the next call of the same upload begins it anew.
3. One of which nobody says how old it is, is left alone.
4. One that can't be removed does not disturb the others, and is told of in the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

from atxfer._engine.destination import Destination
from atxfer._engine.engine import Engine
from atxfer._engine.journals import Journals
from atxfer._engine.transfer import Transfer
from atxfer.errors import CleaningFailed, TransferError
from atxfer.model import AbandonedUpload
from atxfer.stores.base import Leftover, ObjectStore

__all__ = ["Leftovers", "Report", "Sorted", "Terms", "named"]


@dataclass(frozen=True)
class Terms:
    """Which uploads are to be removed.

    Attributes:
        until: The epoch second since which nothing may have come of them.
        file_ids: Of the uploads that a process of this machine is at.
        tokens: What their stores know them by.
    """

    until: float
    file_ids: frozenset[str] = frozenset()
    tokens: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, older_than: float, journals: Journals) -> Terms:
        """Return what a caller has asked for.

        Args:
            older_than: Seconds; 0 for all, whatever the difference between two clocks.
            journals: Of the uploads of this machine.
        """
        until = time.time() - older_than if older_than else math.inf
        records = journals.under_way()
        return cls(
            until,
            frozenset(record.head.file_id for record in records),
            frozenset(record.token for record in records if record.token),
        )

    def are_met_by(self, at: Optional[float]) -> bool:
        """Return whether an upload that was gone on with last at this second is old enough."""
        return at is not None and at <= self.until and at < math.inf


@dataclass
class Report:
    """What came of it.

    Attributes:
        removed: What is gone, or would be.
        failures: What is still there, and why.
    """

    removed: list[AbandonedUpload] = field(default_factory=list)
    failures: list[tuple[AbandonedUpload, TransferError]] = field(default_factory=list)

    def note(self, upload: AbandonedUpload, error: Optional[TransferError]) -> None:
        """Take in how one ended."""
        if error is None:
            self.removed.append(upload)
        else:
            self.failures.append((upload, error))

    def outcome(self) -> Sequence[AbandonedUpload]:
        """Return what is gone, the oldest first.

        Raises:
            CleaningFailed: Something is still there.
        """
        removed = sorted(self.removed, key=lambda upload: (upload.stopped_at, upload.file_id))
        if not self.failures:
            return removed
        first, cause = self.failures[0]
        more = f", and {len(self.failures) - 1} more" if len(self.failures) > 1 else ""
        raise CleaningFailed(
            f"what an upload has left could not be removed{more}: {cause.message}",
            failures=self.failures,
            removed=removed,
            file=first.name,
            file_id=first.file_id,
        ) from cause


@dataclass(frozen=True)
class Sorted:
    """The uploads to a store that did not end.

    Attributes:
        old: Those that are to be removed.
        names: The names of the objects of all others.
    """

    old: Sequence[Leftover] = ()
    names: frozenset[str] = frozenset()


class Leftovers:
    """The uploads to one store that did not end.

    Args:
        engine: Sends the requests.
        store: Where they lie.
        destination: What all requests to it share.
    """

    def __init__(self, engine: Engine, store: ObjectStore, destination: Destination) -> None:
        self._engine = engine
        self._store = store
        self._destination = destination

    def sort(self, terms: Terms, report: Report, transfer: Transfer) -> Sorted:
        """Return which are to be removed; a request for each that is old enough to be asked about.

        Raises:
            NotSupported: The store does not list them.
            TransferError: It can't be asked.
        """
        listed = self._engine.call(
            self._destination, "list uploads", self._store.leftovers, transfer
        )
        asked = [
            left
            for left in listed
            if terms.are_met_by(left.begun_at) and left.token not in terms.tokens
        ]
        answers = self._engine.outcomes(
            self._destination, asked, self._store.examine, transfer, name="examine"
        )
        old, gone = [], set()
        for left, answer in zip(asked, answers):
            if isinstance(answer, TransferError):
                report.note(described(left), answer)
            elif answer is None:
                gone.add(left.token)
            elif terms.are_met_by(answer.stopped_at):
                old.append(answer)
        others = gone.union(left.token for left in old)
        return Sorted(old, frozenset(named(left) for left in listed if left.token not in others))

    def remove(
        self, lefts: Sequence[Leftover], report: Report, transfer: Transfer, *, dry_run: bool
    ) -> None:
        """Report how the removal of each ended; with ``dry_run``, how it would."""
        ends: Sequence[Optional[TransferError]] = [None] * len(lefts)
        if not dry_run:
            ends = self._engine.outcomes(
                self._destination, lefts, self._store.drop, transfer, name="drop"
            )
        for left, end in zip(lefts, ends):
            report.note(described(left), end)

    def clean(
        self, terms: Terms, transfer: Transfer, *, dry_run: bool
    ) -> Sequence[AbandonedUpload]:
        """Remove those that are old, and return which; only the latter with ``dry_run``.

        Raises:
            CleaningFailed: Some are still there.
            NotSupported: The store does not list them.
            TransferError: It can't be asked.
        """
        report = Report()
        old = self.sort(terms, report, transfer).old
        self.remove(old, report, transfer, dry_run=dry_run)
        return report.outcome()


def named(left: Leftover) -> str:
    """Return what the object would have been called."""
    return left.address.rpartition("/")[2]


def described(left: Leftover) -> AbandonedUpload:
    """Return what is told of an upload to a store."""
    begun_at = left.begun_at or 0.0
    return AbandonedUpload(
        file_id=left.address,
        name=named(left),
        size=None,
        stored=left.stored,
        begun_at=begun_at,
        stopped_at=begun_at if left.stopped_at is None else left.stopped_at,
    )
