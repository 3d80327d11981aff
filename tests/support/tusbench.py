"""Files in a tus server, moved by an engine as a client moves them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from atxfer._engine.journals import Journals
from atxfer._operations.objects import Objects
from atxfer._operations.orders import Order, Wish
from atxfer._operations.reach import Reach
from atxfer.config import TransferConfig
from atxfer.model import Chunk, Receipt
from atxfer.stores.base import UploadPlan
from atxfer.stores.http import HttpTransport, https_context
from atxfer.stores.tus import TusStore
from atxfer.stores.tus.credentials import Auth
from atxfer.stores.tus.uploads import TusUpload
from atxfer.waiting import Wait

CHUNK = 64 * 1024


class TusBench:
    """One client of one server.

    Args:
        address: The URL that uploads are created at.
        cap: Requests in flight.
        encrypt: Whether files are sealed.
        headers: For each request.
        auth: For each request.
        journals: Where journals of uploads lie, or None to keep none.
        config: Further fields of the configuration.
    """

    def __init__(
        self,
        address: str,
        *,
        cap: int = 3,
        encrypt: bool = False,
        headers: Optional[Mapping[str, str]] = None,
        auth: Optional[Auth] = None,
        journals: Optional[Path] = None,
        **config: Any,
    ) -> None:
        settings = {"chunk_size": CHUNK, "backoff_initial": 0.0, "backoff_max": 0.0, **config}
        self.config = TransferConfig().but(max_concurrent_uploads=cap, **settings)
        self.transport = HttpTransport(https_context(), self.config, width=cap)
        self.store = TusStore(address, self.transport, self.config, headers=headers, auth=auth)
        self.reach = Reach.of("localhost:64", None, self.config)
        self.engine = self.reach.engine
        self.destination = self.engine.destination("tus", cap)
        self.objects = Objects(
            self.reach,
            self.store,
            self.destination,
            encrypt=encrypt,
            journals=Journals(journals),
        )

    def upload(self, source: Any, name: str = "a.bin", progress: Any = None) -> Receipt:
        """Upload something."""
        order = Order(source, name, None, progress)
        return self.engine.run(lambda transfer: self.objects.upload(order, transfer), name)

    def download(self, address: str) -> bytes:
        """Download an object, by its address or link."""
        stream = io.BytesIO()
        wish = Wish(stream, None)
        self.engine.run(lambda transfer: self.objects.download(address, wish, transfer), "x")
        return stream.getvalue()

    def delete(self, address: str) -> None:
        """Delete an object."""
        self.engine.run(lambda transfer: self.objects.delete(address, transfer), "x")

    def close(self) -> None:
        """End all."""
        self.engine.close()
        self.transport.close()


@contextmanager
def tus_bench(address: str, **how: Any) -> Iterator[TusBench]:
    """Yield a client that is closed at the end, with nothing left behind."""
    bench = TusBench(address, **how)
    try:
        yield bench
    finally:
        bench.close()
    assert bench.destination.permits.in_flight == 0
    assert bench.engine.metrics()["memory"]["held_bytes"] == 0


def opened(
    bench: TusBench,
    data: bytes,
    chunk: int,
    token: Optional[bytes] = None,
    *,
    overhead: int = 0,
    repeats: bool = False,
) -> TusUpload:
    """Open an upload of what is to lie there, without an engine.

    Args:
        bench: Whose store.
        data: What is to lie there.
        chunk: Bytes of each chunk of that.
        token: What an earlier upload has left.
        overhead: How many of them sealing has added.
        repeats: Whether chunks are sealed to the same bytes again.
    """
    chunks = -(-len(data) // chunk)
    size = len(data) - chunks * overhead
    plan = UploadPlan(
        "id", size, chunk - overhead, chunks, None, overhead=overhead, repeats=repeats
    )
    return bench.store.open_upload(plan, Wait(), token=token)


def put(upload: TusUpload, data: bytes, index: int, chunk: int) -> None:
    """Put one chunk of this size."""
    upload.put([Chunk(index, data[index * chunk : (index + 1) * chunk])], Wait())
