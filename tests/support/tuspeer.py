"""A small tus server that does as the protocol says, until a test makes it say something else."""

from __future__ import annotations

import ssl
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Callable, Optional, Union

from tests.support.web import Heard, WebServer, answer

Odd = Union[bytes, str, Callable[[Heard], Optional[bytes]]]

ALL = "creation,creation-with-upload,termination,concatenation"
PLAIN = "creation,creation-with-upload,termination"


@dataclass
class Held:
    """An upload as this server keeps it."""

    length: int
    headers: dict[str, str]
    data: bytearray = field(default_factory=bytearray)


class TusPeer(WebServer):
    """Keeps uploads in memory.

    Args:
        extensions: What it says that it has, and has.
        options: Further headers of its answer to ``OPTIONS``.
        context: Its certificate; None for plain HTTP.

    Attributes:
        uploads: What it keeps, by path.
        gives_parts: Whether it obeys ``Range``.
    """

    def __init__(
        self, extensions: str = PLAIN, context: Optional[ssl.SSLContext] = None, **options: str
    ) -> None:
        super().__init__(self._answer, context)
        self.extensions = extensions
        self.options = options
        self.uploads: dict[str, Held] = {}
        self.gives_parts = True
        self._odd: dict[str, deque[Odd]] = defaultdict(deque)
        self._lock = threading.Lock()  # guards uploads

    @property
    def creation(self) -> str:
        """The URL that uploads are created at."""
        return self.url("/files/")

    def say(self, method: str, *odd: Odd) -> None:
        """Answer the next requests of a method like this, one after the other.

        Bytes are sent without doing the work; ``cut`` ends the connection without it, ``lost``
        after it; a function may do as it likes.
        """
        self._odd[method].extend(odd)

    @property
    def asked(self) -> list[str]:
        """The methods of all requests, in order."""
        return [heard.line.split(" ")[0] for heard in self.heard]

    def count(self, method: str) -> int:
        """Return how many requests of a method came."""
        return self.asked.count(method)

    @property
    def whole(self) -> bytes:
        """The content of the one complete upload that is no part."""
        (found,) = [
            bytes(held.data)
            for held in self.uploads.values()
            if held.headers.get("upload-concat") != "partial" and len(held.data) == held.length
        ]
        return found

    def work(self, heard: Heard) -> bytes:
        """Do what a request asks for, as the protocol says."""
        with self._lock:
            return getattr(self, f"_{heard.line.split(' ')[0].lower()}")(heard)  # type: ignore[no-any-return]

    def _answer(self, heard: Heard) -> Optional[bytes]:
        odd = self._odd[heard.line.split(" ")[0]]
        word = odd.popleft() if odd else self.work
        if word == "cut":
            return None
        if word == "lost":
            self.work(heard)
            return None
        return word(heard) if callable(word) else word  # type: ignore[return-value]

    def _options(self, heard: Heard) -> bytes:
        told = {"Tus_Version": "1.0.0", "Tus_Extension": self.extensions, **self.options}
        return said(204, **told)

    def _post(self, heard: Heard) -> bytes:
        concat = heard.headers.get("upload-concat", "")
        if concat.startswith("final;"):
            return self._put_together(heard, concat[6:].split(" "))
        path = self._new(int(heard.headers["upload-length"]), heard.headers)
        if "content-type" not in heard.headers:
            return said(201, Location=self.url(path))
        self.uploads[path].data += heard.body
        return said(201, Location=self.url(path), Upload_Offset=str(len(heard.body)))

    def _put_together(self, heard: Heard, urls: list[str]) -> bytes:
        paths = [url[url.index("/files/") :] for url in urls]
        if any(path not in self.uploads for path in paths):
            return said(404)
        data = b"".join(bytes(self.uploads[path].data) for path in paths)
        path = self._new(len(data), heard.headers)
        self.uploads[path].data += data
        return said(201, Location=path)

    def _new(self, length: int, headers: dict[str, str]) -> str:
        path = f"/files/{len(self.uploads)}"
        self.uploads[path] = Held(length, headers)
        return path

    def _patch(self, heard: Heard) -> bytes:
        held = self.uploads.get(heard.target)
        if held is None:
            return said(404)
        if int(heard.headers["upload-offset"]) != len(held.data):
            return said(409)
        held.data += heard.body
        return said(204, Upload_Offset=str(len(held.data)))

    def _head(self, heard: Heard) -> bytes:
        held = self.uploads.get(heard.target)
        if held is None:
            return said(404)
        told = {"Upload_Offset": str(len(held.data)), "Upload_Length": str(held.length)}
        if "upload-metadata" in held.headers:
            told["Upload_Metadata"] = held.headers["upload-metadata"]
        return said(200, **told)

    def _delete(self, heard: Heard) -> bytes:
        return said(404 if self.uploads.pop(heard.target, None) is None else 204)

    def _get(self, heard: Heard) -> bytes:
        held = self.uploads.get(heard.target)
        if held is None:
            return answer(b"not found", 404)
        data = bytes(held.data)
        asked = heard.headers.get("range", "")
        if not (asked and self.gives_parts):
            return answer(data)
        first, _, last = asked[len("bytes=") :].partition("-")
        start, stop = int(first), int(last) + 1
        return answer(data[start:stop], 206, Content_Range=f"bytes {start}-{stop - 1}/{len(data)}")


def said(status: int, **headers: str) -> bytes:
    """Return an answer of tus without content."""
    lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items())
    length = "" if status == 204 else "Content-Length: 0\r\n"
    return f"HTTP/1.1 {status} Said\r\nTus-Resumable: 1.0.0\r\n{length}{lines}\r\n".encode("ascii")
