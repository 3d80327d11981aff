"""A store in memory whose faults are a script you can read: ``"ok ok 503 drop ok"``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Callable, Optional

from atxfer.errors import (
    AnswerMissing,
    ChecksumMismatch,
    ChunkMissing,
    ConnectionLost,
    FileNotFound,
    LoginRefused,
    Overloaded,
    RequestRejected,
    RequestTimeout,
    ServerFault,
    Throttled,
    TransferError,
)
from atxfer.model import Chunk
from atxfer.stores.base import Capabilities, ChunksFailed, StoredFile, UploadPlan
from atxfer.waiting import Wait

WORDS: dict[str, Callable[[], BaseException]] = {
    "500": lambda: ServerFault("500"),
    "503": lambda: Overloaded("503"),
    "429": lambda: Throttled("429"),
    "timeout": lambda: RequestTimeout("no answer in time"),
    "refused": lambda: LoginRefused("who are you"),
    "400": lambda: RequestRejected("400"),
    "404": lambda: FileNotFound("404"),
    "interrupt": KeyboardInterrupt,
}


class FakeStore:
    """Keeps chunks in a dictionary, and counts on its own side what is in flight.

    Args:
        script: What happens to one request after the other, of whatever kind; ``ok`` when it is
            over. ``drop`` loses the connection before the work, ``dropped`` after it, ``part``
            stores every second chunk only, ``hang`` waits until aborted, ``retry:2.5`` is a 503
            with that Retry-After, and see ``WORDS``.
        always: What happens to every request of a kind, as ``{"prepare": "hang"}``; such requests
            take no word of the script.
        capabilities: What it can take; small chunks, four to a request, if not given.
        begins: Whether uploads have to be begun.
        before: Called with the name of each request and the number of those in flight, before it
            is done.
    """

    def __init__(
        self,
        script: str = "",
        *,
        always: Optional[Mapping[str, str]] = None,
        capabilities: Optional[Capabilities] = None,
        begins: bool = False,
        before: Optional[Callable[[str, int], None]] = None,
    ) -> None:
        self.capabilities = capabilities if capabilities is not None else small()
        self.chunks: dict[tuple[str, int], bytes] = {}
        self.requests: list[str] = []
        self.tokens: list[Optional[bytes]] = []
        self.writes: dict[tuple[str, int], int] = {}
        self.in_flight = 0
        self.peak = 0
        self.begins = begins
        self.has_wrong_checksum = False
        self.needs_connections = False
        self.before = before
        self.always = dict(always or {})
        self._script = iter(script.split())
        self._lock = threading.Lock()  # guards everything above

    def say(self, script: str) -> None:
        """Replace the rest of the script."""
        with self._lock:
            self._script = iter(script.split())

    @contextmanager
    def request(self, name: str, wait: Wait) -> Iterator[str]:
        """Count a request, and let happen to it what the script says."""
        with self._lock:
            self.requests.append(name)
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            word, now = self._word(name.split()[0]), self.in_flight
        try:
            if self.before is not None:
                self.before(name, now)
            self._fail_before(word, wait)
            yield word
            if word == "dropped":
                raise ConnectionLost("after the work")
        finally:
            with self._lock:
                self.in_flight -= 1

    def _word(self, kind: str) -> str:
        return self.always[kind] if kind in self.always else next(self._script, "ok")

    @staticmethod
    def _fail_before(word: str, wait: Wait) -> None:
        if word in WORDS:
            raise WORDS[word]()
        if word == "drop":
            raise ConnectionLost("before the work")
        if word.startswith("retry:"):
            error = Overloaded("503")
            error.retry_after = float(word[6:])
            raise error
        if word == "hang":
            aborted = threading.Event()
            with wait.abortable(aborted.set):
                wait.acquire(aborted.wait)
            raise ConnectionLost("aborted")

    # --- the store

    def open_upload(
        self, plan: UploadPlan, wait: Wait, *, token: Optional[bytes] = None
    ) -> FakeUpload:
        """Begin an upload, or go on with one."""
        self.tokens.append(token)
        return FakeUpload(self, plan, token)

    def open_download(self, stored: StoredFile, wait: Wait) -> FakeDownload:
        """Begin a download."""
        return FakeDownload(self, stored.file_id)

    def delete(self, stored: StoredFile, indexes: range, wait: Wait) -> None:
        """Remove chunks."""
        with self.request("delete", wait):
            for index in indexes:
                self.chunks.pop((stored.file_id, index), None)

    def extend(self, stored: StoredFile, indexes: range, ttl: float, wait: Wait) -> None:
        """Only look whether the chunks are there."""
        with self.request("extend", wait):
            for index in indexes:
                self.fetch(stored.file_id, index)

    def fetch(self, file_id: str, index: int) -> bytes:
        """Return a stored chunk."""
        with self._lock:
            if (file_id, index) not in self.chunks:
                raise ChunkMissing("it is not there", chunk=index)
            return self.chunks[file_id, index]

    def keep(self, file_id: str, chunk: Chunk) -> None:
        """Store a chunk."""
        with self._lock:
            self.chunks[file_id, chunk.index] = chunk.data
            self.writes[file_id, chunk.index] = self.writes.get((file_id, chunk.index), 0) + 1


class FakeUpload:
    """One file on its way to a FakeStore."""

    commits = True

    def __init__(self, store: FakeStore, plan: UploadPlan, token: Optional[bytes] = None) -> None:
        self.store = store
        self.plan = plan
        self.begins = store.begins and token is None
        self.committed = False

    @property
    def token(self) -> bytes:
        """The file id, once it has begun."""
        return b"" if self.begins else self.plan.file_id.encode()

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Count a login."""
        with self.store.request("prepare", wait):
            return self.store.needs_connections

    def begin(self, wait: Wait) -> None:
        """Count it."""
        with self.store.request("begin", wait):
            self.begins = False

    def abort(self, wait: Wait) -> None:
        """Count it."""
        with self.store.request("abort", wait):
            pass

    def put(self, chunks: Sequence[Chunk], wait: Wait) -> None:
        """Store chunks, as far as the script lets it."""
        with self.store.request(f"put {chunks[0].index}-{chunks[-1].index}", wait) as word:
            failed: dict[int, TransferError] = {}
            for place, chunk in enumerate(chunks):
                if word == "part" and place % 2:
                    failed[chunk.index] = AnswerMissing("passed over")
                else:
                    self.store.keep(self.plan.file_id, chunk)
            if failed:
                raise ChunksFailed("some", failed)

    def stored(self, indexes: range, wait: Wait) -> frozenset[int]:
        """Return which chunks are there."""
        with self.store.request(f"stored {indexes[0]}-{indexes[-1]}", wait):
            return frozenset(i for i in indexes if (self.plan.file_id, i) in self.store.chunks)

    def commit(self, wait: Wait) -> StoredFile:
        """End the upload."""
        with self.store.request("commit", wait):
            self.committed = True
            return StoredFile(self.plan.file_id, "", self.plan.chunks)


class FakeDownload:
    """One file on its way from a FakeStore."""

    def __init__(self, store: FakeStore, file_id: str) -> None:
        self.store = store
        self.file_id = file_id

    def check(self) -> None:
        """Compare what was got with the checksum of the whole, which is a wrong one if told so."""
        if self.store.has_wrong_checksum:
            raise ChecksumMismatch("the whole is another one")

    def get(self, indexes: Sequence[int], wait: Wait) -> Sequence[Chunk]:
        """Return chunks; ``flip`` changes a bit of the first one, ``cut`` shortens it."""
        with self.store.request(f"get {indexes[0]}-{indexes[-1]}", wait) as word:
            chunks = [Chunk(index, self.store.fetch(self.file_id, index)) for index in indexes]
            if word == "flip":
                data = chunks[0].data
                chunks[0] = Chunk(indexes[0], bytes([data[0] ^ 1]) + data[1:])
            elif word == "cut":
                chunks[0] = Chunk(indexes[0], chunks[0].data[:-1])
            return chunks


def small(**changes: object) -> Capabilities:
    """Return the capabilities of a store that takes four small chunks a request."""
    values: dict[str, object] = {
        "max_request_bytes": 1 << 20,
        "max_read_bytes": 1 << 20,
        "max_chunk_bytes": 1 << 16,
        "max_chunks_per_request": 4,
        "max_chunks_per_read": 4,
        "max_chunks_per_delete": 4,
    }
    return Capabilities(**{**values, **changes})  # type: ignore[arg-type]
