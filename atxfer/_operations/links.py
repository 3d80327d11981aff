"""Links to one's own files, and files that a link leads to (docs/format.md, "Links")."""

from __future__ import annotations

import time
from typing import Optional

from atxfer._catalog.base import Entry
from atxfer._engine.engine import Engine
from atxfer._engine.transfer import Transfer
from atxfer._format.link import Link, link_name
from atxfer._format.manifest import COMPLETE, Manifest
from atxfer._operations.downloads import fetch, peer_origin
from atxfer._operations.home import Home
from atxfer._operations.orders import Wish
from atxfer._operations.peers import Peer, Peers
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.errors import ChunkMissing, FileNotFound, LinkRevoked
from atxfer.model import Result

__all__ = ["download", "link", "renew", "unlink"]


def link(home: Home, file_id: str, ttl: Optional[float], transfer: Transfer) -> str:
    """Return the link of a file; the same one again, with a new end, while it has one.

    Args:
        home: The owner's server.
        file_id: The file.
        ttl: Seconds the link is to lead there, or None for as long as the file lives.
        transfer: For whom.
    """
    entry = home.entry(transfer, file_id)
    if entry.manifest.state != COMPLETE:
        raise FileNotFound("the upload of this file has not ended", file_id=file_id)
    known = home.call(transfer, "link", lambda wait: home.links.find(file_id, wait))
    found = known if known is not None else Link.new(home.owner, file_id)
    seconds = _shorter(ttl, entry)
    home.call(transfer, "link", lambda wait: home.links.write(found, entry.manifest, seconds, wait))
    return str(found)


def renew(home: Home, entry: Entry, transfer: Transfer) -> None:
    """Let the link of a file, if it has one, lead to the manifest as it is now."""
    known = home.call(transfer, "link", lambda wait: home.links.find(entry.manifest.file_id, wait))
    if known is not None:
        found, ttl = known, _shorter(None, entry)
        home.call(transfer, "link", lambda wait: home.links.write(found, entry.manifest, ttl, wait))


def _shorter(ttl: Optional[float], entry: Entry) -> Optional[float]:
    """Return the time to live of a link: never longer than that of the file."""
    if entry.expires_at is None:
        return ttl
    left = max(1.0, entry.expires_at - time.time())
    return left if ttl is None else min(ttl, left)


def unlink(home: Home, file_id: str, transfer: Transfer) -> None:
    """Let the link of a file lead nowhere."""
    home.call(transfer, "unlink", lambda wait: home.links.remove(file_id, wait))


def download(engine: Engine, peers: Peers, at: Link, wish: Wish, transfer: Transfer) -> Result:
    """Fetch the file that a link leads to; no keys are needed.

    Raises:
        LinkRevoked: It leads nowhere (any more).
        ManifestInvalid: The link was copied wrongly, or the record is not its owner's.
    """
    peer = peers.peer(at.owner)
    manifest = _followed(peer, at, transfer)
    origin = peer_origin(peers, peer, manifest, transfer)
    try:
        remote = Entry(manifest, None).remote_file()
        return fetch(engine, manifest, remote, origin, wish, transfer)
    except ChunkMissing as error:
        raise LinkRevoked("the file that the link led to is gone", file_id=at.file_id) from error


def _followed(peer: Peer, at: Link, transfer: Transfer) -> Manifest:
    key = AtKey.public(link_name(at.file_id), at.owner)
    try:
        value = peer.value(key, "link", transfer)
    except KeyNotFound as error:
        raise LinkRevoked("the link leads nowhere (any more)", file_id=at.file_id) from error
    return Manifest.from_text(
        at.open(value),
        peer.public_key(transfer).verify,
        expected_owner=at.owner,
        expected_file_id=at.file_id,
    )
