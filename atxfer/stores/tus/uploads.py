"""Files on their way to a tus server: as one upload in order, or in parts side by side.

A server with ``concatenation`` makes one file of several uploads, each of which is a chunk here.
All others, and files of too many chunks, take one chunk after the other.
"""

from __future__ import annotations

import abc
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Optional

from atxfer.errors import (
    IntegrityError,
    NotFound,
    ProtocolViolation,
    RequestTooLarge,
    ServerFault,
)
from atxfer.model import Chunk
from atxfer.stores.base import Leftover, ObjectInfo, StoredFile, UploadPlan
from atxfer.stores.tus.protocol import metadata_header
from atxfer.stores.tus.resource import Resource
from atxfer.stores.tus.server import TusServer
from atxfer.stores.tus.tokens import Unusable, token_for, token_of, urls_of
from atxfer.waiting import Wait

__all__ = ["MAX_PARTS", "PartsUpload", "StreamUpload", "TusUpload"]

MAX_PARTS = 32
"""So many URLs fit into one header wherever it passes.

nginx lets a header have 8 KiB by default, and Node.js all of them together 16 KiB. URLs of tusd
have 70 bytes or so where it keeps files in a folder, and 230 where it keeps them in S3.
"""

# Bytes of a header that are certain to be too many, by the same numbers.
_LONGEST_HEADER = 15 * 1024

_log = logging.getLogger("atxfer.tus")


class TusUpload(abc.ABC):
    """What both ways have in common.

    Args:
        server: Where to.
        plan: How the file is cut up.
        token: What an earlier process left, or None.

    Threads: chunks may be put side by side where there are parts, and only there.
    """

    commits: bool

    def __init__(self, server: TusServer, plan: UploadPlan, token: Optional[bytes] = None) -> None:
        self._server = server
        self._plan = plan
        header = metadata_header(plan.name)
        self._named = {"Upload-Metadata": header} if header else {}
        self._flaw: Optional[str] = None
        urls: list[Optional[str]] = [None] * self._count
        if token:
            try:
                urls = urls_of(token, plan, self._count, server.owns)
            except Unusable as error:
                self._flaw = str(error)
        self._resources = [self._resource(index, url) for index, url in enumerate(urls)]

    @property
    @abc.abstractmethod
    def _count(self) -> int:
        """How many uploads of the server's it is."""

    @abc.abstractmethod
    def _resource(self, index: int, url: Optional[str]) -> Resource:
        """Return one of them, which may be there already."""

    @property
    def token(self) -> bytes:
        """The URLs; how far they are, the server knows."""
        return token_for(self._plan, [resource.url for resource in self._resources])

    def prepare(self, wait: Wait, enough: int) -> bool:
        """Connect once more, for a part that goes beside others."""
        return self._server.prepare(wait, enough)

    @property
    @abc.abstractmethod
    def begins(self) -> bool:
        """Whether there has to be an upload before there is a chunk for it."""

    @abc.abstractmethod
    def begin(self, wait: Wait) -> None:
        """Make the upload, where that is to be done beforehand."""

    @abc.abstractmethod
    def put(self, chunks: Sequence[Chunk], wait: Wait) -> None:
        """Send chunks, as far as the server has them not."""

    def stored(self, indexes: range, wait: Wait) -> frozenset[int]:
        """Return which of these chunks the server holds.

        Raises:
            NotFound: There is nothing that can be gone on with.
        """
        if self._flaw is not None:
            raise NotFound(f"what an earlier call left can't be gone on with: {self._flaw}")
        try:
            return frozenset(self._held(indexes, wait))
        except ProtocolViolation as error:
            raise NotFound(error.message) from error

    @abc.abstractmethod
    def _held(self, indexes: range, wait: Wait) -> Iterable[int]:
        """Ask the server which of these chunks it holds."""

    @abc.abstractmethod
    def commit(self, wait: Wait) -> StoredFile:
        """Return where the file lies."""

    def abort(self, wait: Wait) -> None:
        """Remove what was stored, where the server lets us."""
        if not self._server.features(wait).has("termination"):
            _log.info("tus.left server=%s reason=%r", self._server.name, "it removes nothing")
            return
        for resource in self._resources:
            if resource.url is not None:
                self._server.terminate(resource.url, wait)
                resource.forget()

    def _end_of(self, index: int) -> int:
        """Return where a stored chunk ends in the whole; the trailer belongs to the last."""
        is_last = index >= self._plan.chunks - 1
        return self._plan.stored_bytes if is_last else self._plan.offset(index + 1)

    def _stored_at(self, url: str) -> StoredFile:
        plan = self._plan
        return StoredFile(
            file_id=plan.file_id,
            owner="",
            chunks=plan.chunks,
            location=asdict(ObjectInfo(url, plan.name, plan.stored_bytes)),
            size=plan.size,
            chunk_size=plan.chunk_size,
            overhead=plan.overhead,
        )


class StreamUpload(TusUpload):
    """One upload, whose chunks come in order."""

    _count = 1
    commits = False

    def _resource(self, index: int, url: Optional[str]) -> Resource:
        return Resource(self._server, self._plan.stored_bytes, self._named, url)

    @property
    def begins(self) -> bool:
        """Whether no chunk can bring the upload with it."""
        if self._resources[0].url is not None:
            return False
        with_upload = self._server.known.has("creation-with-upload")
        return self._plan.chunks == 0 or (self._plan.stored_bytes > 0 and not with_upload)

    def begin(self, wait: Wait) -> None:
        """Make the upload."""
        self._resources[0].create(wait)

    def put(self, chunks: Sequence[Chunk], wait: Wait) -> None:
        """Append chunks."""
        for chunk in chunks:
            self._resources[0].send(self._plan.offset(chunk.index), chunk.data, wait)

    def _held(self, indexes: range, wait: Wait) -> Iterable[int]:
        if self._resources[0].url is None:
            return ()
        offset = self._resources[0].reached(wait)
        torn = [i for i in indexes if self._plan.offset(i) < offset < self._end_of(i)]
        if torn and self._plan.overhead and not self._plan.repeats:
            # Sealed once more, a chunk is another one: what is there of it has no second half.
            raise NotFound("the upload ends within a sealed chunk")
        return (index for index in indexes if self._end_of(index) <= offset)

    def commit(self, wait: Wait) -> StoredFile:
        """Return where the file lies: it is whole with its last byte."""
        url = self._resources[0].url
        assert url is not None  # noqa: S101  # all chunks were put
        return self._stored_at(url)


class PartsUpload(TusUpload):
    """An upload for each chunk, in any order, and one request that makes them a file."""

    begins = False
    commits = True

    def __init__(self, server: TusServer, plan: UploadPlan, token: Optional[bytes] = None) -> None:
        super().__init__(server, plan, token)
        self._final: Optional[str] = None
        self._useless: list[str] = []

    @property
    def _count(self) -> int:
        return self._plan.chunks

    def _resource(self, index: int, url: Optional[str]) -> Resource:
        length = self._end_of(index) - self._plan.offset(index)
        return Resource(self._server, length, {"Upload-Concat": "partial"}, url)

    def begin(self, wait: Wait) -> None:
        """Ask nothing: each chunk makes its own part."""

    def put(self, chunks: Sequence[Chunk], wait: Wait) -> None:
        """Send chunks, each to a part of its own.

        Raises:
            RequestTooLarge: There will be too many parts to be named in one request.
        """
        for chunk in chunks:
            part = self._resources[chunk.index]
            part.send(0, chunk.data, wait)
            self._check_header(part.url or "")

    def _check_header(self, url: str) -> None:
        if (len(url) + 1) * self._count > _LONGEST_HEADER:
            raise RequestTooLarge(
                f"the URLs of {self._count} parts at {self._server.name} don't fit into a header",
                remedy="Raise chunk_size, so that there are fewer.",
            )

    def _held(self, indexes: range, wait: Wait) -> Iterable[int]:
        return (index for index in indexes if self._is_held(self._resources[index], wait))

    def _is_held(self, part: Resource, wait: Wait) -> bool:
        if part.url is None:
            return False
        try:
            part.reached(wait)
        except NotFound:
            part.forget()
            return False
        if self._plan.overhead and not part.is_complete:
            # Sealed once more, the chunk is another one.
            self._useless.append(part.url)
            part.forget()
        return part.is_complete

    def commit(self, wait: Wait) -> StoredFile:
        """Have the parts put together, and see that the whole is as long as it should be.

        Should the answer to the request be lost, the repetition makes a second file; the protocol
        has no way to ask for the first (R10).

        Raises:
            NotFound: A part is gone.
            ServerFault: The server is at it still.
            IntegrityError: The whole has another length.
        """
        if self._final is None:
            urls = " ".join(part.url or "" for part in self._resources)
            headers = {"Upload-Concat": f"final;{urls}", **self._named}
            self._final = self._server.concatenate(headers, wait)
        self._check_whole(self._final, wait)
        removable = self._server.known.has("termination")
        return replace(self._stored_at(self._final), leavings=self._leavings if removable else ())

    def _check_whole(self, url: str, wait: Wait) -> None:
        state = self._server.state(url, wait)
        expected = self._plan.stored_bytes
        length = expected if state.length is None else state.length
        if length == expected and (state.offset is None or state.offset < expected):
            raise ServerFault(f"{self._server.name} is putting the parts together still")
        if (state.offset, length) != (expected, expected):
            raise IntegrityError(
                f"the parts of {expected:,} bytes have become a file of {length:,}",
                remedy="Upload the file again.",
            )

    @property
    def _leavings(self) -> tuple[Leftover, ...]:
        """The parts, which most servers keep: they and the whole take twice its room."""
        urls = [*self._useless, *(part.url for part in self._resources if part.url is not None)]
        return tuple(Leftover(url, token_of(url)) for url in urls)
