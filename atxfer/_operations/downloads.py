"""Downloads: a manifest that is verified, then its chunks (docs/format.md, "Reading a file")."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from atxfer._catalog.received import file_id_of
from atxfer._engine.engine import Engine
from atxfer._engine.jobs import DownloadJob
from atxfer._engine.transfer import Transfer
from atxfer._format.manifest import COMPLETE, Manifest, chunk_name
from atxfer._format.sealing import SEAL_OVERHEAD, Sealer
from atxfer._operations import receiving
from atxfer._operations.bulk import is_elsewhere
from atxfer._operations.home import Home
from atxfer._operations.orders import Wish
from atxfer._operations.origins import Origin, stored_file
from atxfer._operations.peers import Peer, Peers
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.errors import (
    ChunkMissing,
    FileExpired,
    FileNotFound,
    ManifestInvalid,
    NotShared,
    TransferError,
)
from atxfer.model import RemoteFile, Result, SharedFile

__all__ = [
    "Claim",
    "Note",
    "download_any",
    "download_own",
    "download_shared",
    "fetch",
    "peer_origin",
]


_ASK = "Ask its owner to share it again; the target was left as it was."

Note = Callable[[SharedFile], None]
"""Is told of a file of others' once it has arrived."""


@dataclass(frozen=True)
class Claim:
    """What we know of a file that is said to be shared with us.

    Attributes:
        owner: Whose file it is.
        file_id: The file.
        ends_at: Epoch seconds at which it was to end when we heard of it, if we have.
    """

    owner: str
    file_id: str
    ends_at: Optional[float] = None


def download_own(home: Home, file_id: str, wish: Wish, transfer: Transfer) -> Result:
    """Fetch a file of one's own, and return when it lies whole and verified at its target."""
    entry = home.entry(transfer, file_id)
    if entry.manifest.state != COMPLETE:
        raise FileNotFound("the upload of this file has not ended", file_id=file_id)
    origin = _own_origin(home, entry.manifest, transfer)
    return fetch(home.engine, entry.manifest, entry.remote_file(), origin, wish, transfer)


def _own_origin(home: Home, manifest: Manifest, transfer: Transfer) -> Origin:
    if is_elsewhere(manifest):
        if home.bulk is not None and home.bulk.holds(manifest):
            return home.bulk.origin(manifest, transfer)
        return home.peers.web.origin(manifest, transfer)
    return Origin(
        home.store.open_download(stored_file(manifest), transfer.wait),
        home.store.capabilities,
        home.destination,
    )


def download_any(home: Home, file_id: str, wish: Wish, note: Note, transfer: Transfer) -> Result:
    """Fetch a file of one's own, or one that lies in the inbox.

    Args:
        home: One's own server.
        file_id: The file.
        wish: Where it is wanted.
        note: Told of a file of others' once it has arrived.
        transfer: For whom.
    """
    try:
        return download_own(home, file_id, wish, transfer)
    except FileNotFound:
        keys = home.call(transfer, "inbox", home.received.keys)
        owners = [key.owner for key in keys if file_id_of(key) == file_id]
        if not owners:
            raise
    return download_shared(home, Claim(owners[0], file_id), wish, note, transfer)


def download_shared(home: Home, claim: Claim, wish: Wish, note: Note, transfer: Transfer) -> Result:
    """Fetch a file that another atSign shares with us, straight from their server.

    Raises:
        NotShared: They share it with us no longer.
        FileNotFound: They have deleted it.
        FileExpired: Its time to live is over.
        TransferError: As for a file of one's own.
    """
    owner, file_id = claim.owner, claim.file_id
    peer = home.peers.peer(owner)
    try:
        entry = receiving.shared_entry(home, owner, file_id, transfer)
    except NotShared as error:
        raise _why_not(peer, claim, error, transfer) from error
    shared = entry.shared_file()
    if shared.state != COMPLETE:
        raise ManifestInvalid("what is shared is no complete file", file_id=file_id)
    origin = peer_origin(home.peers, peer, entry.manifest, transfer)
    try:
        result = fetch(home.engine, entry.manifest, shared, origin, wish, transfer)
    except ChunkMissing as error:
        # Our server's copy of the share may live a moment longer than the file.
        what = f"{owner} has deleted this file, or a part of it is gone"
        raise FileNotFound(what, file=shared.name, file_id=file_id, remedy=_ASK) from error
    note(shared)
    return result


def _why_not(peer: Peer, claim: Claim, error: NotShared, transfer: Transfer) -> TransferError:
    """Tell what became of a file that is not shared with us any more, as far as one can know.

    Chunks outlive their manifest by an hour, and can be asked for without a login: while there is
    one, or the mark of a file in a store, the file is there and not for us.
    """
    file_id, ends_at = claim.file_id, claim.ends_at
    if ends_at is not None and ends_at <= time.time():
        return FileExpired("this file's time to live is over", file_id=file_id)
    try:
        peer.value(AtKey.public(chunk_name(file_id, 0), peer.atsign), "chunk 0", transfer)
    except KeyNotFound:
        what = f"{peer.atsign} has no such file, or has deleted it"
        return FileNotFound(what, file_id=file_id, remedy=_ASK)
    except FileExpired:
        return FileExpired("this file's time to live is over", file_id=file_id)
    except TransferError:
        transfer.wait.check()
        return error
    return NotShared(f"{peer.atsign} does not share this file with us any more", file_id=file_id)


def peer_origin(peers: Peers, peer: Peer, manifest: Manifest, transfer: Transfer) -> Origin:
    """Return where the chunks of another atSign's file come from: its server, or a store."""
    if is_elsewhere(manifest):
        return peers.web.origin(manifest, transfer)
    return Origin(
        peer.store.open_download(stored_file(manifest), transfer.wait),
        peer.store.capabilities,
        peer.destination,
    )


def fetch(
    engine: Engine,
    manifest: Manifest,
    remote: RemoteFile,
    origin: Origin,
    wish: Wish,
    transfer: Transfer,
) -> Result:
    """Fetch the chunks of a manifest that is verified and complete, and described so."""
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
