"""Uploads that are killed at random points go on at servers that others wrote, and are whole.

A few rounds run always; ``python -m pytest --soak tests/interop/test_kills.py`` does a hundred, and
seventy with the keys on an atServer. The seed is printed; ``KILLS_SEED`` sets it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import pytest
import requests

import atxfer
from atxfer.config import MIB
from atxfer.devserver import DevServer
from tests.servers.s3 import S3Server
from tests.servers.tus import TusServer
from tests.stores.s3.conftest import _own_account
from tests.support.worlds import content

pytestmark = pytest.mark.interop
__all__ = ["_own_account"]

ROOT = Path(__file__).resolve().parent.parent.parent
SIZE = 64 * MIB + 7

_UPLOADER = """
import json, sys
from atxfer import Client
how = json.loads(sys.argv[1])
with Client(**how) as client:
    print("ready", flush=True)
    receipt = client.upload(sys.argv[2])
    print(json.dumps([receipt.file_id, receipt.statistics.resumed_bytes]), flush=True)
"""


@dataclass
class Count:
    """What became of the rounds.

    Attributes:
        rounds: How many files came through.
        kills: How many processes were killed before that.
        resumed: How many files were gone on with at last.
    """

    rounds: int = 0
    kills: int = 0
    resumed: int = 0


@dataclass
class Field:
    """A place to upload to, whose processes are killed.

    Args:
        server: Where the bulk goes.
        how: The arguments of the client.
        folder: Of sources and journals.
        rng: Says when to kill.

    Attributes:
        seconds: How long an upload takes that is not killed.
        count: What became of the rounds.
    """

    server: Union[TusServer, S3Server]
    how: dict[str, Any]
    folder: Path
    rng: random.Random
    seconds: float = 0.0
    count: Count = field(default_factory=Count)

    def round(self) -> None:
        """Upload a file, in as many processes as it takes, and look at what has come of it."""
        source = self.folder / f"{self.count.rounds}.bin"
        data = content(SIZE, self.rng.randrange(1 << 30))
        source.write_bytes(data)
        file_id, resumed = self._through(source)
        assert self._digest(file_id) == hashlib.sha256(data).hexdigest()
        assert atxfer.unfinished_uploads(state_dir=self.how["state_dir"]) == []
        self._remove(file_id)
        source.unlink()
        self.count.rounds += 1
        self.count.resumed += resumed > 0

    def _through(self, source: Path) -> tuple[str, int]:
        while True:
            # The first of all is not killed: it tells how long one takes here.
            patience = self.rng.uniform(0.0, self.seconds) if self.seconds else 100.0
            told = self._process(source, patience)
            if told:
                file_id, resumed = json.loads(told)
                return file_id, resumed
            self.count.kills += 1

    def _process(self, source: Path, patience: float) -> str:
        """Return what a process has told at its end; nothing if it was killed before."""
        command = [sys.executable, "-c", _UPLOADER, json.dumps(self.how), str(source)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as uploader:
            assert uploader.stdout is not None
            assert uploader.stdout.readline() == "ready\n"
            began = time.monotonic()
            try:
                assert uploader.wait(patience) == 0
                self.seconds = self.seconds or time.monotonic() - began
            except subprocess.TimeoutExpired:
                uploader.kill()
            last = uploader.stdout.read()
        return last if last.endswith("\n") else ""

    def _digest(self, file_id: str) -> str:
        """Return the hash of what lies there, read without any of our code but in the hybrid."""
        digest = hashlib.sha256()
        if not self.how["address"].startswith("@"):
            for block in self._blocks(file_id):
                digest.update(block)
            return digest.hexdigest()
        back = self.folder / "back"
        with atxfer.Client(**self.how) as client:
            client.download(file_id, back)
        digest.update(back.read_bytes())
        return digest.hexdigest()

    def _blocks(self, file_id: str) -> Iterator[bytes]:
        if isinstance(self.server, TusServer):
            with requests.get(file_id, stream=True, timeout=30) as answer:
                assert answer.status_code == 200
                yield from answer.iter_content(MIB)
        else:
            bucket, _, key = file_id[len("s3://") :].partition("/")
            body = self.server.client().get_object(Bucket=bucket, Key=key)["Body"]
            yield from body.iter_chunks(MIB)

    def _remove(self, file_id: str) -> None:
        with atxfer.Client(**self.how) as client:
            client.delete(file_id)


@pytest.fixture(
    params=[
        *("versitygw", "tusd", "tus_node"),
        *(
            pytest.param(f"@alice {name}", marks=pytest.mark.soak)
            for name in ("versitygw", "tusd", "tus_node")
        ),
    ]
)
def killing(request: pytest.FixtureRequest, tmp_path: Path, atserver: DevServer) -> Field:
    """Give each kind of place in turn."""
    owner, _, name = request.param.rpartition(" ")
    server = request.getfixturevalue(name)
    address = server.url
    how: dict[str, Any] = {"state_dir": str(tmp_path / "state")}
    if isinstance(server, S3Server):
        address, how["endpoint_url"] = f"s3://{server.new_bucket()}/killed", server.url
    if owner:
        options = {name: str(value) for name, value in atserver.client_options.items()}
        how.update(options, store=address)
        address = owner
    seed = int(os.environ.get("KILLS_SEED", random.randrange(1 << 32)))  # noqa: S311  # no secret
    print(f"KILLS_SEED={seed}")
    return Field(server, {"address": address, **how}, tmp_path, random.Random(seed))  # noqa: S311


@pytest.mark.slow
def test_whenever_an_upload_is_killed_the_next_one_goes_on(killing: Field) -> None:
    """The bytes agree, by another program's reading."""
    for _ in range(3):
        killing.round()


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_hundred_files_of_which_each_is_killed_at_random(
    killing: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same, a hundred times at three servers."""
    for _ in range(34):
        killing.round()
    with capsys.disabled():
        print(f" {killing.count} of {killing.seconds:.1f} s each", end="")
    assert killing.count.kills > 10
    assert killing.count.resumed > 5
