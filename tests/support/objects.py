"""An object store in memory, on top of the scripted one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Optional

from atxfer.errors import ChunkCorrupt, ChunkMissing, FileNotFound, NotSupported
from atxfer.model import Chunk
from atxfer.stores.base import Leftover, ObjectInfo, StoredFile, UploadPlan
from atxfer.waiting import Wait
from tests.support.stores import FakeStore, FakeUpload


class FakeObjects(FakeStore):
    """Keeps whole objects by address; requests take the words of the script as in FakeStore."""

    learns = False

    def __init__(self, script: str = "") -> None:
        super().__init__(script)
        self.content: dict[str, bytes] = {}
        self.lefts: Optional[list[Leftover]] = None  # as examine tells of them

    def open_upload(
        self, plan: UploadPlan, wait: Wait, *, token: Optional[bytes] = None
    ) -> FakeUpload:
        """Begin an upload."""
        return _ObjectUpload(self, plan)

    def open_download(self, stored: StoredFile, wait: Wait) -> FakeObjectDownload:  # type: ignore[override]
        """Begin a download."""
        return FakeObjectDownload(self, stored)

    def info(self, address: str) -> ObjectInfo:
        """Return what is known of an object."""
        name = address.rpartition("/")[2]
        return ObjectInfo(address, name, len(self.content[address]), version="1")

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Connect to nobody."""
        return False

    def learn(self, wait: Wait) -> None:
        """Ask for nothing, and never again."""
        with self.request("learn", wait):
            self.learns = False

    def stat(self, address: str, wait: Wait) -> ObjectInfo:
        """Look whether it is there."""
        with self.request("stat", wait):
            if address not in self.content:
                raise FileNotFound("there is no such object")
            return self.info(address)

    def read(self, info: ObjectInfo, start: int, stop: int, wait: Wait) -> bytes:
        """Return some bytes."""
        with self.request(f"read {start}-{stop}", wait):
            if info.address not in self.content:
                raise ChunkMissing("it is gone")
            if info.version != "1":
                raise ChunkCorrupt("it is another one")
            return self.content[info.address][start:stop]

    def objects(self, wait: Wait) -> Sequence[ObjectInfo]:
        """List all."""
        with self.request("list", wait):
            return [self.info(address) for address in self.content]

    def url(
        self, info: ObjectInfo, ttl: Optional[float], wait: Wait
    ) -> tuple[str, Optional[float]]:
        """Return the address, with a mark."""
        with self.request("url", wait):
            return f"{info.address}?for=anybody", ttl

    def leftovers(self, wait: Wait) -> Sequence[Leftover]:
        """List what is known of them without a closer look."""
        if self.lefts is None:
            raise NotSupported("it lists none")
        with self.request("leftovers", wait):
            return [replace(left, stopped_at=None, stored=0) for left in self.lefts]

    def examine(self, leftover: Leftover, wait: Wait) -> Optional[Leftover]:
        """Look closer."""
        with self.request(f"examine {leftover.token.decode()}", wait):
            found = [left for left in self.lefts or () if left.token == leftover.token]
            return found[0] if found else None

    def address_of(self, name: str) -> Optional[str]:
        """Return the address that ``commit`` gives."""
        return f"mem://{name}"

    def drop(self, leftover: Leftover, wait: Wait) -> None:
        """Remove one."""
        with self.request(f"drop {leftover.token.decode()}", wait):
            self.lefts = [left for left in self.lefts or () if left.token != leftover.token]

    def delete(self, stored: StoredFile, indexes: range, wait: Wait) -> None:
        """Remove the object."""
        with self.request("delete", wait):
            self.content.pop(stored.location["address"], None)


class _ObjectUpload(FakeUpload):
    """One file on its way to FakeObjects."""

    def commit(self, wait: Wait) -> StoredFile:
        """Put the chunks one behind the other."""
        assert isinstance(self.store, FakeObjects)
        plan = self.plan
        with self.store.request("commit", wait):
            whole = b"".join(self.store.fetch(plan.file_id, i) for i in range(plan.chunks))
            assert len(whole) == plan.stored_bytes
            address = f"mem://{plan.name or plan.file_id}"
            self.store.content[address] = whole
            return StoredFile(plan.file_id, "", plan.chunks, asdict(self.store.info(address)))


class FakeObjectDownload:
    """One file on its way from FakeObjects."""

    def __init__(self, store: FakeObjects, stored: StoredFile) -> None:
        self.store = store
        self.stored = stored

    def get(self, indexes: Sequence[int], wait: Wait) -> Sequence[Chunk]:
        """Return chunks by their place."""
        info = ObjectInfo(**self.stored.location)
        spans = [(i, *self.stored.span(range(i, i + 1))) for i in indexes]
        return [Chunk(i, self.store.read(info, start, stop, wait)) for i, start, stop in spans]

    def check(self) -> None:
        """Know nothing of the whole."""
