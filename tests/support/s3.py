"""S3 for tests: a server whose answers are a script, and files that go through the engine."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable, Optional, Union
from xml.sax.saxutils import escape

from atxfer._engine.journals import Journals
from atxfer._operations.objects import Objects
from atxfer._operations.orders import Order, Wish
from atxfer._operations.reach import Reach
from atxfer.config import TransferConfig
from atxfer.model import Receipt, Result
from atxfer.stores.http import HttpTransport, https_context
from atxfer.stores.s3 import S3Store
from tests.support.web import Heard, WebServer, answer

Line = Union[bytes, Callable[[Heard], Optional[bytes]], None]


def error_body(code: str, message: str = "Words.") -> bytes:
    """Return what a server tells of a failure."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{escape(code)}</Code>'
        f"<Message>{escape(message.replace(chr(27), ' '))}</Message></Error>"
    ).encode()


def error(code: str, status: int, **headers: str) -> bytes:
    """Return the answer that is a failure."""
    return answer(error_body(code), status, **headers)


def xml(root: str, *lists: str, **values: object) -> bytes:
    """Return an answer of these values, and of lists that are XML already."""
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in values.items())
    return answer(f"<{root}>{inner}{''.join(lists)}</{root}>".encode())


class ScriptedS3(WebServer):
    """A server that answers line by line, in the order of the requests.

    Args:
        script: What it answers; a function is given the request.
    """

    def __init__(self, *script: Line) -> None:
        super().__init__(self._next)
        self.script = list(script)

    def _next(self, heard: Heard) -> Optional[bytes]:
        line = self.script.pop(0)
        return line(heard) if callable(line) else line

    @property
    def asked(self) -> list[str]:
        """The request lines so far, without bucket, prefix and version."""
        lines = [heard.line.rpartition(" ")[0] for heard in self.heard]
        return [line.replace("/bucket/p/", "/").replace("/bucket", "/") for line in lines]


@contextlib.contextmanager
def s3_store(
    url: str, bucket: str = "bucket", *, ca_file: Any = None, width: int = 3, **config: Any
) -> Iterator[S3Store]:
    """Yield a store on a server, with connections of its own."""
    settings = TransferConfig().but(**config)
    with contextlib.closing(
        HttpTransport(https_context(ca_file), settings, width=width)
    ) as transport:
        yield S3Store(f"s3://{bucket}/p", transport, settings, endpoint_url=url)


@contextlib.contextmanager
def scripted(*script: Line, **config: Any) -> Iterator[tuple[ScriptedS3, S3Store]]:
    """Yield a server that answers by a script, and a store on it."""
    with ScriptedS3(*script) as server, s3_store(server.url(""), **config) as store:
        yield server, store


class Bench:
    """Files in a store, by an engine of their own."""

    def __init__(
        self, store: S3Store, width: int, *, encrypt: bool, state: Optional[Path], **config: Any
    ) -> None:
        settings = {"backoff_initial": 0.0, "backoff_max": 0.0, "memory_budget": 64 << 20, **config}
        self.store = store
        self.reach = Reach.of("localhost:64", None, TransferConfig().but(**settings))
        self.destination = self.reach.engine.destination("s3", width)
        self.objects = Objects(
            self.reach, store, self.destination, encrypt=encrypt, journals=Journals(state)
        )

    def upload(self, data: Any, name: Optional[str] = "a.bin") -> Receipt:
        """Upload a file."""
        order = Order(data, name, None, None)
        return self.reach.engine.run(lambda transfer: self.objects.upload(order, transfer), "up")

    def download(self, address: str) -> tuple[Result, bytes]:
        """Download an object into memory."""
        stream = io.BytesIO()
        result = self.reach.engine.run(
            lambda transfer: self.objects.download(address, Wish(stream, None), transfer), "down"
        )
        return result, stream.getvalue()


@contextlib.contextmanager
def s3_bench(
    url: str,
    bucket: str,
    *,
    width: int = 3,
    encrypt: bool = False,
    state: Optional[Path] = None,
    **config: Any,
) -> Iterator[Bench]:
    """Yield a bench on a server, with journals in a folder; at the end nothing is in flight."""
    with s3_store(url, bucket, width=width) as store:
        bench = Bench(store, width, encrypt=encrypt, state=state, **config)
        try:
            yield bench
        finally:
            bench.reach.engine.close()
        assert bench.destination.permits.in_flight == 0


def parts_listed(parts: Sequence[tuple[int, str, int]], **values: object) -> bytes:
    """Return a list of parts: number, ETag and size of each."""
    entries = [
        f"<Part><PartNumber>{n}</PartNumber><ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size></Part>"
        for n, etag, size in parts
    ]
    return xml("ListPartsResult", *entries, **{"IsTruncated": "false", **values})
