"""tus and S3 stores at 100 ms a round trip: what others need, and what HTTP itself needs.

Each way of doing the same is measured in turn, several rounds of all, against the same server
through the same proxy, which counts as well. A floor sends the requests that are needed over kept
connections, and does nothing else: what it takes, nobody can be below.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

import requests
from boto3.s3.transfer import TransferConfig as S3Config
from s3transfer.manager import TransferManager
from tusclient.client import TusClient

from atxfer import TransferConfig
from tests.bench.ours import upload, upload_to_s3
from tests.servers.install import PACKAGES
from tests.servers.s3 import S3Server, VersityGw
from tests.servers.tus import Tusd
from tests.support.delayproxy import Counts, FarProxy
from tests.support.tus import OCTETS, VERSION

KIB, MIB = 1024, 1024 * 1024
ROUND_TRIP = 0.1
ROUNDS = 5

SMALL, FILES = 8 * KIB, 100
LARGE, CHUNK = 64 * MIB, 8 * MIB
WIDTH = 10
TUS_WIDTH = 4

PARTS = ("small", "tus", "s3")

Way = Callable[[], float]  # does it once, and returns the seconds that it took


@dataclass
class Stage:
    """A server, the proxy in front of it, and files to move.

    Args:
        server: Where files go.
        proxy: What makes it seem far away.
        folder: Where the files are: ``small/0`` to ``small/99``, and ``large``.
    """

    server: Any
    proxy: FarProxy
    folder: Path

    @property
    def url(self) -> str:
        """The server's URL through the proxy."""
        return self.proxy.through(self.server.url)

    @property
    def small(self) -> list[Path]:
        """The many files."""
        return [self.folder / "small" / str(number) for number in range(FILES)]

    @property
    def large(self) -> Path:
        """The large one."""
        return self.folder / "large"


@dataclass
class Row:
    """What one way took, and what the proxy saw of it in the last round."""

    what: str
    seconds: list[float] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    @property
    def median(self) -> float:
        """The seconds that count."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        counts = self.counts
        return (
            f"{self.what:<50}{self.median:7.2f} s  {min(self.seconds):6.2f} to"
            f" {max(self.seconds):.2f}  requests {counts.requests:>3}  connections"
            f" {counts.connections:>3}  at once {counts.peak_in_flight:>2}"
        )


def measured(stage: Stage, ways: dict[str, Way]) -> list[Row]:
    """Measure all ways in turn, round after round."""
    rows = [Row(what) for what in ways]
    for _ in range(ROUNDS):
        for row, way in zip(rows, ways.values()):
            stage.proxy.take_counts()
            row.seconds.append(way())
            row.counts = stage.proxy.take_counts()
    return rows


@contextlib.contextmanager
def timed() -> Iterator[list[float]]:
    """Give a list into which the seconds of the block go."""
    seconds: list[float] = []
    began = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - began)


# Ours


def ours(part: str, stage: Stage) -> dict[str, Way]:
    """Return the ways of atxfer to do a part."""
    if part == "tus":
        wide = TransferConfig(max_concurrent_uploads=TUS_WIDTH, memory_budget=TUS_WIDTH * CHUNK)
        return {
            "64 MiB to tus, atxfer": lambda: _tus_upload(stage, TransferConfig()),
            "64 MiB to tus, atxfer, 1 part": lambda: _tus_upload(
                stage, TransferConfig(max_concurrent_uploads=1, chunk_size=CHUNK)
            ),
            f"64 MiB to tus, atxfer, {TUS_WIDTH} parts of 8 MiB at a time": lambda: _tus_upload(
                stage, wide.but(chunk_size=CHUNK)
            ),
        }
    wide = TransferConfig(max_concurrent_uploads=WIDTH)
    if part == "small":
        return {"100 x 8 KiB to S3, atxfer": lambda: _s3_upload(stage, stage.small, wide)}
    return {
        "64 MiB to S3, atxfer": lambda: _s3_upload(stage, [stage.large], wide),
        "64 MiB to S3, atxfer, 64 MiB of memory": lambda: _s3_upload(
            stage, [stage.large], wide.but(memory_budget=64 * MIB)
        ),
    }


def _tus_upload(stage: Stage, config: TransferConfig) -> float:
    return upload(stage.url, [stage.large], config)


def _s3_upload(stage: Stage, paths: Sequence[Path], config: TransferConfig) -> float:
    server: S3Server = stage.server
    return upload_to_s3(server, stage.url, paths, config)


# S3: s3transfer, and the floors


class S3Ways:
    """Ways to put files into a bucket, each with a client that has no connection yet."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._server: S3Server = stage.server
        self._bucket = self._server.new_bucket()

    def _client(self) -> Any:
        return self._server.client(self._stage.url, max_pool_connections=WIDTH)

    def s3transfer(self, paths: Sequence[Path]) -> float:
        """Upload with s3transfer's manager, which boto3's ``upload_file`` uses as well."""
        config = S3Config(max_concurrency=WIDTH, multipart_chunksize=CHUNK)
        client = self._client()
        with timed() as seconds, TransferManager(client, config) as manager:
            futures = [manager.upload(str(p), self._bucket, f"t/{p.name}") for p in paths]
            for future in futures:
                future.result()
        return seconds[0]

    def _urls(self, names: Sequence[str]) -> list[str]:
        client = self._client()
        return [
            client.generate_presigned_url(
                "put_object", {"Bucket": self._bucket, "Key": f"f/{name}"}
            )
            for name in names
        ]

    def floor_of_requests(self, paths: Sequence[Path]) -> float:
        """Put each file with one request, on a session a thread."""
        local = threading.local()

        def put(url: str, path: Path) -> None:
            if not hasattr(local, "session"):
                local.session = requests.Session()
            answer = local.session.put(url, data=path.read_bytes())
            answer.raise_for_status()

        urls = self._urls([path.name for path in paths])
        with timed() as seconds, ThreadPoolExecutor(WIDTH) as pool:
            list(pool.map(put, urls, paths))
        return seconds[0]

    def floor_of_sockets(self, paths: Sequence[Path]) -> float:
        """Put each file with one request of ``http.client``, on a connection a thread."""
        local = threading.local()

        def put(url: str, path: Path) -> None:
            if not hasattr(local, "connection"):
                local.connection = connection_to(url)
            exchange(local.connection, "PUT", url, path.read_bytes())

        urls = self._urls([path.name for path in paths])
        with timed() as seconds, ThreadPoolExecutor(WIDTH) as pool:
            list(pool.map(put, urls, paths))
        return seconds[0]

    def floor_of_parts(self) -> float:
        """Create, put all parts at once, complete: with ``http.client``, a thread a part."""
        client = self._client()
        upload = {"Bucket": self._bucket, "Key": "f/large"}
        near = self._server.client()
        upload["UploadId"] = near.create_multipart_upload(**upload)["UploadId"]
        urls = [
            client.generate_presigned_url("upload_part", {**upload, "PartNumber": number + 1})
            for number in range(LARGE // CHUNK)
        ]
        create = client.generate_presigned_url(
            "create_multipart_upload", {"Bucket": self._bucket, "Key": "f/other"}
        )

        def put(index: int) -> str:
            connection = connection_to(urls[index])
            body = piece(self._stage.large, index)
            return exchange(connection, "PUT", urls[index], body)["ETag"]

        with timed() as seconds, ThreadPoolExecutor(WIDTH) as pool:
            # Another upload than the one whose parts are signed beforehand; it takes as long.
            first = connection_to(create)
            exchange(first, "POST", create)
            tags = list(pool.map(put, range(len(urls))))
            parts = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
            exchange(first, "POST", *self._completion(client, upload, parts))
        return seconds[0]

    def _completion(
        self, client: Any, upload: dict[str, str], parts: list[dict[str, Any]]
    ) -> tuple[str, bytes]:
        url = client.generate_presigned_url("complete_multipart_upload", upload)
        items = "".join(
            f"<Part><PartNumber>{p['PartNumber']}</PartNumber><ETag>{p['ETag']}</ETag></Part>"
            for p in parts
        )
        return url, f"<CompleteMultipartUpload>{items}</CompleteMultipartUpload>".encode()


def connection_to(url: str) -> http.client.HTTPConnection:
    """Return a connection to the host of a URL; it connects with the first request."""
    return http.client.HTTPConnection(urlsplit(url).netloc)


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    url: str,
    body: bytes = b"",
    headers: Optional[dict[str, str]] = None,
) -> http.client.HTTPMessage:
    """Send one request, and return the headers of its answer."""
    connection.request(method, url[url.index("/", 8) :], body, headers or {})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise AssertionError(f"{method}: {answer.status} {text[:300]!r}")
    return answer.headers


def piece(path: Path, index: int, size: int = CHUNK) -> bytes:
    """Return a chunk of a file."""
    with path.open("rb") as source:
        source.seek(index * size)
        return source.read(size)


# tus: tuspy, tus-js-client, and the floors


class TusWays:
    """Ways to upload the large file."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def tuspy(self) -> float:
        """Upload in chunks, one after another."""
        client = TusClient(self._stage.url)
        with timed() as seconds:
            client.uploader(str(self._stage.large), chunk_size=CHUNK).upload()
        return seconds[0]

    def tus_js(self, width: int = 1) -> float:
        """Upload in chunks; where ``width`` is above 1, as so many uploads that become one."""
        node = shutil.which("node")
        if node is None:
            raise AssertionError("node is not on the path")
        script = str(Path(__file__).parent / "node" / "tus_upload.mjs")
        arguments = [PACKAGES.path, self._stage.url, self._stage.large, CHUNK, width]
        command = [node, script, *(str(argument) for argument in arguments)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return float(done.stdout)

    def floor(self) -> float:
        """Create, then append chunk after chunk, on one connection."""
        connection = connection_to(self._stage.url)
        with timed() as seconds:
            self._upload(connection, range(LARGE // CHUNK))
        return seconds[0]

    def floor_of_whole_parts(self) -> float:
        """The same with one request a part, which is created with all of its bytes."""
        size = LARGE // TUS_WIDTH
        connections = [connection_to(self._stage.url) for _ in range(TUS_WIDTH)]
        headers = {**VERSION, "Upload-Concat": "partial", "Upload-Length": str(size)}

        def create(index: int) -> str:
            body = piece(self._stage.large, index, size)
            typed = {**headers, "Content-Type": OCTETS}
            answer = exchange(connections[index], "POST", self._stage.url, body, typed)
            return str(answer["Location"])

        with timed() as seconds, ThreadPoolExecutor(TUS_WIDTH) as pool:
            self._join(connections[0], list(pool.map(create, range(TUS_WIDTH))))
        return seconds[0]

    def floor_of_parts(self) -> float:
        """Upload so many partial files side by side, a connection each, and join them."""
        count = LARGE // CHUNK // TUS_WIDTH
        ranges = [range(n * count, (n + 1) * count) for n in range(TUS_WIDTH)]
        connections = [connection_to(self._stage.url) for _ in ranges]
        partial = {"Upload-Concat": "partial"}
        with timed() as seconds, ThreadPoolExecutor(TUS_WIDTH) as pool:
            urls = list(pool.map(lambda c, r: self._upload(c, r, partial), connections, ranges))
            self._join(connections[0], urls)
        return seconds[0]

    def _join(self, connection: http.client.HTTPConnection, urls: list[str]) -> None:
        final = {**VERSION, "Upload-Concat": f"final;{' '.join(urls)}"}
        exchange(connection, "POST", self._stage.url, b"", final)

    def _upload(
        self,
        connection: http.client.HTTPConnection,
        indices: range,
        extra: Optional[dict[str, str]] = None,
    ) -> str:
        length = str(len(indices) * CHUNK)
        headers = {**VERSION, **(extra or {}), "Upload-Length": length}
        url = exchange(connection, "POST", self._stage.url, b"", headers)["Location"]
        for number, index in enumerate(indices):
            headers = {**VERSION, "Content-Type": OCTETS, "Upload-Offset": str(number * CHUNK)}
            exchange(connection, "PATCH", url, piece(self._stage.large, index), headers)
        return str(url)


# What is measured


def ways_of(part: str, stage: Stage) -> dict[str, Way]:
    """Return the ways of a part: floors, peers, ours."""
    if part == "tus":
        tus = TusWays(stage)
        others: dict[str, Way] = {
            "64 MiB to tus, keep-alive floor": tus.floor,
            f"64 MiB to tus, floor of {TUS_WIDTH} parts": tus.floor_of_parts,
            f"64 MiB to tus, floor of {TUS_WIDTH} parts, a request each": tus.floor_of_whole_parts,
            "64 MiB to tus, tuspy": tus.tuspy,
            "64 MiB to tus, tus-js-client": tus.tus_js,
            f"64 MiB to tus, tus-js-client, {TUS_WIDTH} parts": lambda: tus.tus_js(TUS_WIDTH),
        }
    elif part == "small":
        bucket = S3Ways(stage)
        others = {
            "100 x 8 KiB to S3, floor of http.client": lambda: bucket.floor_of_sockets(stage.small),
            "100 x 8 KiB to S3, floor of requests": lambda: bucket.floor_of_requests(stage.small),
            "100 x 8 KiB to S3, s3transfer": lambda: bucket.s3transfer(stage.small),
        }
    else:
        bucket = S3Ways(stage)
        others = {
            "64 MiB to S3, floor of http.client": bucket.floor_of_parts,
            "64 MiB to S3, s3transfer": lambda: bucket.s3transfer([stage.large]),
        }
    return {**others, **ours(part, stage)}


def make_files(folder: Path) -> None:
    """Write the files to move."""
    (folder / "small").mkdir()
    for number in range(FILES):
        (folder / "small" / str(number)).write_bytes(os.urandom(SMALL))
    (folder / "large").write_bytes(os.urandom(LARGE))


def run(only: Optional[str]) -> int:
    """Measure and print; return the exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder)
        for part in PARTS:
            if only not in (None, part):
                continue
            kind: type[Any] = Tusd if part == "tus" else VersityGw
            home = folder / f"server-{part}"
            home.mkdir()
            with kind(home) as server, FarProxy(server.port, ROUND_TRIP) as proxy:
                stage = Stage(server, proxy, folder)
                for row in measured(stage, ways_of(part, stage)):
                    print(row, flush=True)
    return 0
