"""Two S3 servers: versitygw, a real one on a plain folder, and moto, in memory and slow."""

from __future__ import annotations

import functools
import itertools
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from tests.servers.install import VERSITYGW
from tests.servers.running import HOST, Server

_numbers = itertools.count(1)


class S3Server(Server):
    """An S3 endpoint ``url`` that knows one user, who may do all.

    Buckets are addressed by path.
    """

    access_key = "atxfer-tests"
    secret_key = "loopback-only-secret"
    region = "us-east-1"

    @property
    def url(self) -> str:
        """The endpoint, without a slash at its end."""
        return self.origin

    def client(self, endpoint: Optional[str] = None, **config: Any) -> Any:
        """Return a boto3 client that tries once and signs as all servers understand it.

        Args:
            endpoint: Where to reach the server, where that is through a proxy.
            config: Keywords for botocore's ``Config``.
        """
        import boto3
        from botocore.config import Config

        options = {
            "retries": {"max_attempts": 0},
            "s3": {"addressing_style": "path"},
            "signature_version": "s3v4",  # or else presigned URLs are of version 2
            **config,
        }
        with warnings.catch_warnings():
            # That a release ends its support for an old Python is no failure of a test.
            warnings.filterwarnings("ignore", message="Boto3 will no longer support")
            return boto3.session.Session().client(
                "s3",
                endpoint_url=endpoint or self.url,
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
                region_name=self.region,
                config=Config(**options),
            )

    def new_bucket(self) -> str:
        """Make a bucket that nobody has used, and return its name."""
        bucket = f"bucket-{next(_numbers)}"
        self._own_client.create_bucket(Bucket=bucket)
        return bucket

    @functools.cached_property
    def _own_client(self) -> Any:
        return self.client()  # which takes longer than most requests


class VersityGw(S3Server):
    """versitygw, its buckets folders below ``data``.

    Args:
        folder: An empty folder on a file system with extended attributes.
        keep_alive: Whether connections outlive an answer; versitygw's own default is that they
            don't.
    """

    name = "versitygw"

    def __init__(self, folder: Path, *, keep_alive: bool = True) -> None:
        super().__init__(folder)
        self.keep_alive = keep_alive

    def command(self) -> Sequence[str]:
        """Return the program and its arguments."""
        return [
            *(str(VERSITYGW.path), "--port", f"{HOST}:{self.port}", "--region", self.region),
            *(["--keep-alive"] if self.keep_alive else []),
            *("posix", str(self.data)),
        ]

    def environment(self) -> dict[str, str]:
        """Return the credentials, which have no place among arguments that others can list."""
        return {"ROOT_ACCESS_KEY_ID": self.access_key, "ROOT_SECRET_ACCESS_KEY": self.secret_key}


class MotoServer(S3Server):
    """moto's server: everything in memory, gone when it ends; any credentials will do."""

    name = "moto"

    def command(self) -> Sequence[str]:
        """Return the program and its arguments."""
        return [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(self.port)]

    def probe(self) -> tuple[str, str]:
        """Return a question to moto itself, that needs no signature."""
        return "GET", "/moto-api/data.json"
