"""Downloads: a manifest that is verified, then its chunks (docs/format.md, "Reading a file")."""

from __future__ import annotations

from dataclasses import dataclass

from atxfer._catalog.base import Entry
from atxfer._engine.destination import Destination
from atxfer._engine.engine import Engine
from atxfer._engine.jobs import DownloadJob
from atxfer._engine.transfer import Transfer
from atxfer._format.manifest import COMPLETE, Manifest
from atxfer._format.sealing import SEAL_OVERHEAD, Sealer
from atxfer._operations.files import stored_file
from atxfer._operations.home import Home
from atxfer._operations.orders import Wish
from atxfer._operations.peers import Peer
from atxfer.errors import FileNotFound
from atxfer.model import Result
from atxfer.stores.base import Capabilities, Download

__all__ = ["Origin", "download_own", "fetch", "peer_origin"]


@dataclass(frozen=True)
class Origin:
    """Where the chunks of one file come from.

    Attributes:
        download: The store's side.
        capabilities: What the store can give.
        destination: Whose permits its requests need.
    """

    download: Download
    capabilities: Capabilities
    destination: Destination


def download_own(home: Home, file_id: str, wish: Wish, transfer: Transfer) -> Result:
    """Fetch a file of one's own, and return when it lies whole and verified at its target."""
    entry = home.entry(transfer, file_id)
    if entry.manifest.state != COMPLETE:
        raise FileNotFound("the upload of this file has not ended", file_id=file_id)
    origin = Origin(
        home.store.open_download(stored_file(entry.manifest), transfer.wait),
        home.store.capabilities,
        home.destination,
    )
    return fetch(home.engine, entry, origin, wish, transfer)


def peer_origin(peer: Peer, manifest: Manifest, transfer: Transfer) -> Origin:
    """Return where the chunks on another atSign's server come from."""
    return Origin(
        peer.store.open_download(stored_file(manifest), transfer.wait),
        peer.store.capabilities,
        peer.destination,
    )


def fetch(engine: Engine, entry: Entry, origin: Origin, wish: Wish, transfer: Transfer) -> Result:
    """Fetch the chunks of a manifest that is verified and complete."""
    manifest, remote = entry.manifest, entry.remote_file()
    job = DownloadJob(
        file=remote,
        download=origin.download,
        capabilities=origin.capabilities,
        destination=origin.destination,
        open_=Sealer(manifest.file_key, manifest.file_id, manifest.chunks).open,
        target=wish.target,
        overhead=SEAL_OVERHEAD,
        progress=wish.progress,
    )
    summary = engine.download(job, transfer)
    return Result(remote, summary.path, summary.statistics)
