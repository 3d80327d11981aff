"""Uploads of an atSign that did not end: their manifests, chunks, and bulk in a store.

An upload has a manifest from its first request on, and is neither shared nor linked to before it is
complete. In a store its object is called as its file id. What of it was written last, wherever that
lies, says how old it is; so what is there of the chunks is asked for before any is removed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Callable, Optional, TypeVar, Union

from atxfer._catalog.base import Entry
from atxfer._engine.destination import Destination
from atxfer._engine.transfer import Transfer
from atxfer._format.manifest import COMPLETE
from atxfer._operations import files
from atxfer._operations.bulk import Bulk
from atxfer._operations.home import Home
from atxfer._operations.leftovers import Report, Sorted, Terms, named
from atxfer._operations.origins import stored_file
from atxfer._policy.sizing import chunks_per_delete, ranges
from atxfer.errors import FileNotFound, NotSupported, TransferError
from atxfer.model import AbandonedUpload
from atxfer.stores.base import Leftover, ObjectInfo
from atxfer.waiting import Wait

__all__ = ["clean"]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class _Case:
    """An upload whose manifest is there.

    Attributes:
        entry: Its manifest.
        stopped_at: Epoch seconds of what was written of it last.
        stored: Bytes of it that are there.
        chunks: The ranges in which chunks are on the atServer.
        lefts: What is in the store.
        whole: The object in the store, if it came so far.
    """

    entry: Entry
    stopped_at: float
    stored: int = 0
    chunks: tuple[range, ...] = ()
    lefts: tuple[Leftover, ...] = ()
    whole: Optional[ObjectInfo] = None

    @property
    def file_id(self) -> str:
        """What it is known by."""
        return self.entry.manifest.file_id

    def with_chunks(self, indexes: range, written: dict[int, float]) -> _Case:
        """Return it with those chunks of a range that are there."""
        if not written:
            return self
        size, step = self.entry.manifest.size, self.entry.manifest.chunk_size
        return replace(
            self,
            stopped_at=max(self.stopped_at, *written.values()),
            stored=self.stored + sum(min(step, size - index * step) for index in written),
            chunks=(*self.chunks, indexes),
        )

    def with_bulk(self, lefts: Sequence[Leftover], whole: Optional[ObjectInfo]) -> _Case:
        """Return it with what is in the store."""
        times = [self.stopped_at, *(left.stopped_at for left in lefts)]
        sizes = [self.stored, *(left.stored for left in lefts)]
        if whole is not None:
            times.append(whole.modified_at)
            sizes.append(whole.size)
        return replace(
            self,
            stopped_at=max(math.inf if at is None else at for at in times),
            stored=sum(sizes),
            lefts=tuple(lefts),
            whole=whole,
        )

    def upload(self) -> AbandonedUpload:
        """Return what is told of it."""
        manifest = self.entry.manifest
        return AbandonedUpload(
            file_id=manifest.file_id,
            name=manifest.name,
            size=manifest.size,
            stored=self.stored,
            begun_at=manifest.created_at,
            stopped_at=self.stopped_at,
        )


def clean(
    home: Home, terms: Terms, transfer: Transfer, *, dry_run: bool
) -> Sequence[AbandonedUpload]:
    """Remove uploads that did not end and are old; return which, and only that with ``dry_run``.

    Raises:
        CleaningFailed: Some are still there.
        TransferError: The servers can't be asked.
    """
    report = Report()
    begun = [e for e in files.entries(home, transfer) if e.manifest.state != COMPLETE]
    bulk = _sorted_bulk(home, terms, report, transfer)
    busy = terms.file_ids | bulk.names
    old = [
        _Case(entry, entry.written_at)
        for entry in begun
        if entry.written_at is not None
        and terms.are_met_by(entry.written_at)
        and entry.manifest.file_id not in busy
    ]
    work = _Work(home, transfer, report)
    cases = work.with_bulk(work.with_chunks(old), bulk.old)
    cases = [case for case in cases if terms.are_met_by(case.stopped_at)]
    kept = {entry.manifest.file_id for entry in begun} | terms.file_ids
    strays = [left for left in bulk.old if named(left) not in kept]
    if home.bulk is not None:
        home.bulk.leftovers.remove(strays, report, transfer, dry_run=dry_run)
    for case in cases if dry_run else work.remove(cases):
        report.note(case.upload(), None)
    return report.outcome()


def _sorted_bulk(home: Home, terms: Terms, report: Report, transfer: Transfer) -> Sorted:
    """Return the uploads to the store; none where there is no store, or it lists none."""
    if home.bulk is None:
        return Sorted()
    try:
        return home.bulk.leftovers.sort(terms, report, transfer)
    except NotSupported:
        return Sorted()


class _Work:
    """What is asked and removed, a kind of request at a time, of all cases side by side.

    A case of which one request fails is reported, and nothing more is done about it.

    Args:
        home: Whose server it is.
        transfer: For whom.
        report: Is told of failures.
    """

    def __init__(self, home: Home, transfer: Transfer, report: Report) -> None:
        self._home = home
        self._transfer = transfer
        self._report = report

    def with_chunks(self, cases: Sequence[_Case]) -> list[_Case]:
        """Return them with what is on the atServer of each."""
        home = self._home
        step = chunks_per_delete(home.store.capabilities)

        def written(case: _Case, indexes: range, wait: Wait) -> dict[int, float]:
            return home.store.written(stored_file(case.entry.manifest), indexes, wait)

        asked = [(c, indexes) for c in cases for indexes in ranges(c.entry.manifest.chunks, step)]
        found = {case.file_id: case for case in cases}
        for (case, indexes), answer in self._each(home.destination, asked, written, found):
            found[case.file_id] = found[case.file_id].with_chunks(indexes, answer)
        return list(found.values())

    def with_bulk(self, cases: Sequence[_Case], lefts: Sequence[Leftover]) -> list[_Case]:
        """Return them with what is in the store of each."""
        bulk = self._home.bulk
        if bulk is None:
            return list(cases)

        def stat(case: _Case, address: str, wait: Wait) -> Optional[ObjectInfo]:
            try:
                return bulk.store.stat(address, wait)
            except FileNotFound:
                return None

        places = [(case, bulk.store.address_of(case.file_id)) for case in cases]
        asked = [(case, address) for case, address in places if address is not None]
        found = {case.file_id: case for case in cases}
        for (case, _), whole in self._each(bulk.destination, asked, stat, found):
            own = [left for left in lefts if named(left) == case.file_id]
            found[case.file_id] = case.with_bulk(own, whole)
        return list(found.values())

    def remove(self, cases: Sequence[_Case]) -> list[_Case]:
        """Remove them, the manifests last; return those that are gone.

        So what was interrupted is found by the next call.
        """
        home = self._home
        left = {case.file_id: case for case in cases}
        if home.bulk is not None:
            self._remove_bulk(home.bulk, left)

        def delete(case: _Case, indexes: range, wait: Wait) -> None:
            home.store.delete(stored_file(case.entry.manifest), indexes, wait)

        def forget(case: _Case, file_id: str, wait: Wait) -> None:
            home.catalog.remove(file_id, wait)

        parts = [(case, indexes) for case in left.values() for indexes in case.chunks]
        self._each(home.destination, parts, delete, left)
        manifests = [(case, case.file_id) for case in left.values()]
        self._each(home.destination, manifests, forget, left)
        return list(left.values())

    def _remove_bulk(self, bulk: Bulk, left: dict[str, _Case]) -> None:
        def drop(case: _Case, item: Leftover, wait: Wait) -> None:
            bulk.store.drop(item, wait)

        def delete(case: _Case, whole: ObjectInfo, wait: Wait) -> None:
            bulk.remove(case.entry.manifest, whole, wait)

        lefts = [(case, item) for case in left.values() for item in case.lefts]
        self._each(bulk.destination, lefts, drop, left)
        wholes = [(case, case.whole) for case in left.values() if case.whole is not None]
        self._each(bulk.destination, wholes, delete, left)

    def _each(
        self,
        destination: Destination,
        asked: Sequence[tuple[_Case, T]],
        ask: Callable[[_Case, T, Wait], R],
        left: dict[str, _Case],
    ) -> Iterable[tuple[tuple[_Case, T], R]]:
        """Ask for each, and return the answers of the cases without a failure.

        Args:
            destination: Where to.
            asked: A case, and what to ask for of it.
            ask: Asks.
            left: The cases by file id; those with a failure are taken out.
        """

        def ask_one(pair: tuple[_Case, T], wait: Wait) -> R:
            return ask(*pair, wait)

        answers: Sequence[Union[R, TransferError]] = self._home.engine.outcomes(
            destination, asked, ask_one, self._transfer, name="leftover"
        )
        found: list[tuple[tuple[_Case, T], R]] = []
        for pair, answer in zip(asked, answers):
            if not isinstance(answer, TransferError):
                found.append((pair, answer))
            elif left.pop(pair[0].file_id, None) is not None:
                self._report.note(pair[0].upload(), answer)
        return [end for end in found if end[0][0].file_id in left]
