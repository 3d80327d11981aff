"""Shares made from the side of whoever shares, one or a thousand of them in a few requests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Optional

from atxfer._catalog.pairkeys import PairKey, PairKeys
from atxfer._catalog.shares import AtServerShares
from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.public_key import PublicKey
from atxfer._format.manifest import COMPLETE, Manifest, new_file_id, new_file_key
from atxfer._net.address import Address
from atxfer._net.directory import Directory
from atxfer._net.pool import ConnectionPool
from atxfer._net.records import Records
from atxfer._net.stream import tls_context
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.verbs import Verb
from atxfer.config import TransferConfig
from atxfer.devserver import DevServer
from atxfer.waiting import Wait
from tests.support.lines import keys_of

_PER_REQUEST = 64


def a_manifest(owner: str = "@alice", **changes: Any) -> Manifest:
    """Return the manifest of a file whose chunks nobody has stored."""
    values: dict[str, Any] = {
        "file_id": new_file_id(),
        "name": "report.pdf",
        "size": 5,
        "chunk_size": 8192,
        "chunks": 1,
        "file_key": new_file_key(),
        "sha256": "ab" * 32,
        "state": COMPLETE,
        "owner": owner,
        "created_at": 1_700_000_000.0,
    }
    return Manifest(**{**values, **changes})


class _Collected:
    """Records that only collect what is to be written."""

    def __init__(self) -> None:
        self.verbs: list[Verb] = []

    def ask_one(self, verb: Verb, wait: Wait) -> Answer:
        """Keep an update."""
        self.verbs.append(verb)
        return Answer("1")


class Sharer:
    """Shares files of one atSign with others; the files themselves are nowhere.

    Args:
        world: The development server.
        keys: Of whoever shares.
        pool: Connections that are logged in.
    """

    def __init__(self, world: DevServer, keys: AtKeys, pool: ConnectionPool) -> None:
        self.atsign = keys.atsign
        self._world = world
        self._keys = keys
        self._records = Records(pool)
        self._pairs = PairKeys(self._records, keys)
        self._shares = AtServerShares(self._records, keys)
        self._shared_at = 0.0

    def _pair(self, to: str) -> PairKey:
        public = PublicKey(to, keys_of(self._world, to).encryption_public)
        return self._pairs.obtain(public, Wait())

    def share(
        self,
        name: str = "report.pdf",
        *,
        to: str = "@bob",
        ttl: Optional[float] = 86_400.0,
        shared_at: Optional[float] = None,
        **changes: Any,
    ) -> str:
        """Share one file; return its id when all servers know of it."""
        manifest = a_manifest(self.atsign, name=name, **changes)
        if shared_at is None:
            # An inbox is in the order of these times, and they are told in whole milliseconds.
            self._shared_at = shared_at = max(time.time(), self._shared_at + 0.001)
        self._shares.write(manifest, shared_at, self._pair(to), ttl, Wait())
        self._world.idle()
        return manifest.file_id

    def share_many(self, count: int, to: str = "@bob") -> list[str]:
        """Share so many files, a second apart; return their ids, oldest first."""
        collected = _Collected()
        shares = AtServerShares(collected, self._keys)  # type: ignore[arg-type]
        pair, began = self._pair(to), round(time.time()) - count
        manifests = [a_manifest(self.atsign, name=f"{n}.pdf") for n in range(count)]
        for number, manifest in enumerate(manifests):
            shares.write(manifest, began + number, pair, 86_400.0, Wait())
        for start in range(0, count, _PER_REQUEST):
            self._records.ask(collected.verbs[start : start + _PER_REQUEST], Wait())
        self._world.idle()
        return [manifest.file_id for manifest in manifests]

    def unshare(self, file_id: str, to: str = "@bob") -> None:
        """Take a share back."""
        self._shares.remove(file_id, [to], Wait())
        self._world.idle()


@contextlib.contextmanager
def sharer(world: DevServer, atsign: str = "@alice") -> Iterator[Sharer]:
    """Log in as one of the world's atSigns, to share."""
    context = tls_context(world.ca_file)
    root = Directory(Address(world.root_host, world.root_port), context, timeout=10.0)
    keys = keys_of(world, atsign)
    pool = ConnectionPool(root, atsign, login=keys, context=context, config=TransferConfig())
    try:
        yield Sharer(world, keys, pool)
    finally:
        pool.close()
