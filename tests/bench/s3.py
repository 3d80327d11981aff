"""atxfer's ways to put files into a bucket, each with a client that has no connection yet."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

from atxfer._engine.many import each_as_it_ends
from atxfer._engine.transfer import Transfer
from atxfer._operations.objects import Objects
from atxfer._operations.orders import Order
from atxfer._operations.reach import Reach
from atxfer.config import MIB, TransferConfig
from atxfer.model import Receipt
from atxfer.stores.http import HttpTransport, https_context
from atxfer.stores.s3 import S3Store
from tests.servers.s3 import S3Server

__all__ = ["upload"]


def upload(
    server: S3Server, url: str, bucket: str, paths: Sequence[Path], *, width: int, budget: int
) -> float:
    """Upload files, and return the seconds from the first request to the last answer.

    Args:
        server: Whose credentials are used.
        url: Where it is reached.
        bucket: Where the files go.
        paths: The files.
        width: Requests in flight, at most.
        budget: MiB of file content held in memory.
    """
    os.environ["AWS_ACCESS_KEY_ID"] = server.access_key
    os.environ["AWS_SECRET_ACCESS_KEY"] = server.secret_key
    config = TransferConfig(max_concurrent_uploads=width, memory_budget=budget * MIB)
    reach = Reach.of("localhost:64", None, config)
    with contextlib.closing(HttpTransport(https_context(), config, width=width)) as transport:
        store = S3Store(f"s3://{bucket}/atxfer", transport, config, endpoint_url=url)
        destination = reach.engine.destination(url, width)
        objects = Objects(reach, store, destination, encrypt=False)

        def body(path: Path) -> Callable[[Transfer], Receipt]:
            return lambda transfer: objects.upload(Order(path, None, None, None), transfer)

        began = time.perf_counter()
        ends = each_as_it_ends(reach.engine, paths, body, name=str, width=width)
        failures = [end.error for end in ends if end.error is not None]
        seconds = time.perf_counter() - began
        reach.engine.close()
    if failures:
        raise failures[0]
    return seconds
