"""An engine with a FakeStore behind it, and the parts that a client would add."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from atxfer._engine.earlier import Load, or_anew
from atxfer._engine.engine import Engine
from atxfer._engine.jobs import DownloadJob, DownloadSummary, UploadJob, UploadSummary
from atxfer._engine.journal import Errand
from atxfer._engine.journals import Journals
from atxfer._engine.sources import open_source
from atxfer._engine.transfer import Transfer
from atxfer.config import TransferConfig
from atxfer.errors import ChunkCorrupt
from atxfer.model import Chunk, RemoteFile, chunk_count
from atxfer.stores.base import StoredFile, UploadPlan
from atxfer.waiting import SYSTEM_CLOCK, Clock, Wait
from tests.support.stores import FakeStore

FILE_ID = "f"


class World:
    """One engine, one store, one destination."""

    def __init__(
        self,
        script: str = "",
        *,
        cap: int = 3,
        chunk_size: int = 10,
        clock: Clock = SYSTEM_CLOCK,
        store: Optional[FakeStore] = None,
        state: Optional[Path] = None,
        **config: object,
    ) -> None:
        self.store = store if store is not None else FakeStore(script)
        self.cap = cap
        self.chunk_size = chunk_size
        settings = {"backoff_initial": 0.0, "backoff_max": 0.0, **config}
        self.engine = Engine(TransferConfig().but(**settings), clock=clock)
        self.destination = self.engine.destination("fake", cap)
        self.catalog = True
        self.journals = Journals(state)
        self.file_ids: list[str] = []  # of uploads that were begun
        self.manifests: list[str] = []
        self.sealed: list[int] = []
        self.nonces: dict[int, Optional[bytes]] = {}

    def upload(self, source: Any, *, name: str = "a.bin", progress: Any = None) -> UploadSummary:
        """Upload in this thread."""
        return self.engine.run(lambda t: self.do_upload(t, source, name, progress), name)

    def submit(self, source: Any, *, name: str = "a.bin", progress: Any = None) -> Transfer:
        """Upload in a thread of its own."""
        return self.engine.submit(lambda t: self.do_upload(t, source, name, progress), name)

    def do_upload(
        self, transfer: Transfer, source: Any, name: str, progress: Any = None
    ) -> UploadSummary:
        """Upload as a client would."""
        with (
            open_source(source, name=name, wait=transfer.wait) as opened,
            self.journals.claim(Errand(opened, "fake"), transfer.wait) as journal,
        ):
            return or_anew(
                journal,
                opened,
                lambda load: self.engine.upload(self._job(transfer, load, progress), transfer),
            )

    def _job(self, transfer: Transfer, load: Load, progress: Any) -> UploadJob:
        count = chunk_count(load.source.size, self.chunk_size)
        if load.record is None:
            # Without a journal, every upload of a test is of the same file.
            self.file_ids.append(f"{FILE_ID}{len(self.file_ids)}" if load.journal else FILE_ID)
        file_id = load.record.head.file_id if load.record is not None else self.file_ids[-1]
        plan = UploadPlan(file_id, load.source.size, self.chunk_size, count, None)
        return UploadJob(
            name=load.source.name,
            source=load.source,
            plan=plan,
            upload=load.open_at(self.store, plan, transfer.wait),
            capabilities=self.store.capabilities,
            destination=self.destination,
            seal=self._seal,
            begin=(lambda wait: self._write("uploading", wait)) if self.catalog else None,
            commit=(lambda sha, stored, wait: self._write(sha, wait)) if self.catalog else None,
            overhead=1,
            progress=progress,
            journal=load.journal,
        )

    def download(
        self, content: bytes, target: Any, *, name: str = "a.bin", progress: Any = None
    ) -> DownloadSummary:
        """Download what should be ``content``."""
        return self.engine.run(
            lambda t: self.engine.download(self.download_job(content, target, name, progress), t),
            name,
        )

    def download_job(
        self, content: bytes, target: Any, name: str = "a.bin", progress: Any = None
    ) -> DownloadJob:
        """Return the job of a download of what should be ``content``."""
        count = chunk_count(len(content), self.chunk_size)
        sha256 = hashlib.sha256(content).hexdigest()
        file = RemoteFile(
            FILE_ID, name, len(content), self.chunk_size, count, sha256, "complete", "", 0.0, None
        )
        stored = StoredFile(FILE_ID, "", count)
        return DownloadJob(
            file=file,
            download=self.store.open_download(stored, Wait()),
            capabilities=self.store.capabilities,
            destination=self.destination,
            open_=unseal,
            target=target,
            overhead=1,
            progress=progress,
        )

    def hold(self, content: bytes) -> None:
        """Put a file into the store, without the engine."""
        for index in range(chunk_count(len(content), self.chunk_size)):
            start = index * self.chunk_size
            self.store.keep(FILE_ID, seal(Chunk(index, content[start : start + self.chunk_size])))

    def content(self, file_id: str = FILE_ID) -> bytes:
        """Return what the store holds of a file."""
        count = sum(key[0] == file_id for key in self.store.chunks)
        return b"".join(unseal(Chunk(i, self.store.fetch(file_id, i))).data for i in range(count))

    def _seal(self, chunk: Chunk) -> Chunk:
        self.sealed.append(chunk.index)
        sealed = seal(chunk)
        self.nonces[chunk.index] = sealed.nonce
        return sealed

    def _write(self, manifest: str, wait: Wait) -> None:
        with self.store.request("manifest", wait):
            self.manifests.append(manifest)


def seal(chunk: Chunk) -> Chunk:
    """Add a check byte, as a real cipher adds its tag."""
    data, nonce = bytes(chunk.data), chunk.nonce or os.urandom(12)
    return Chunk(chunk.index, data + bytes([(sum(data) + chunk.index) % 256]), nonce=nonce)


def unseal(chunk: Chunk) -> Chunk:
    """Check and remove the check byte."""
    plain = Chunk(chunk.index, chunk.data[:-1])
    if seal(plain) != chunk:
        raise ChunkCorrupt("it does not open")
    return plain


@contextmanager
def world(*args: Any, **kwargs: Any) -> Iterator[World]:
    """Yield a world whose engine is closed at the end, with nothing left behind."""
    made = World(*args, **kwargs)
    try:
        yield made
    finally:
        made.engine.close()
    assert made.destination.permits.in_flight == 0
    assert made.engine.metrics()["memory"]["held_bytes"] == 0
