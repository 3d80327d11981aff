"""atxfer's way to upload, as its users go it: a new client, without a connection, for each time."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from atxfer import Client, TransferConfig
from tests.servers.s3 import S3Server

__all__ = ["upload", "upload_to_s3"]


def upload(
    address: str,
    paths: Sequence[Path],
    config: TransferConfig,
    *,
    endpoint_url: Optional[str] = None,
) -> float:
    """Upload files, and return the seconds from the first request until the last file is there.

    Args:
        address: Of the store.
        paths: The files.
        config: How.
        endpoint_url: Where S3 is reached.
    """
    with (
        tempfile.TemporaryDirectory() as state,
        Client(address, endpoint_url=endpoint_url, config=config, state_dir=state) as client,
    ):
        began = time.perf_counter()
        if len(paths) == 1:
            client.upload(paths[0])
        else:
            for outcome in client.upload_many(paths):
                if outcome.error is not None:
                    raise outcome.error
        return time.perf_counter() - began


def upload_to_s3(
    server: S3Server, url: str, paths: Sequence[Path], config: TransferConfig
) -> float:
    """Do so into a new bucket.

    Args:
        server: Whose credentials are used.
        url: Where it is reached.
        paths: The files.
        config: How.
    """
    os.environ["AWS_ACCESS_KEY_ID"] = server.access_key
    os.environ["AWS_SECRET_ACCESS_KEY"] = server.secret_key
    return upload(f"s3://{server.new_bucket()}/atxfer", paths, config, endpoint_url=url)
