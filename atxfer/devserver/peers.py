"""What atServers do for each other: look-ups, scans, pushed copies.

In the world of the development server they call each other as functions. What a client can notice
of the real servers' conversation is kept: who caches whose public key, what errors say, what the
first contact costs, and that blocked atSigns are refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from atxfer.atprotocol import errors
from atxfer.atprotocol.atkey import AtKey
from atxfer.devserver.call import Call, Host
from atxfer.devserver.records import Record

# How long a copy of a public record lives that names no time to refresh [s].
_PUBLIC_COPY_MS = 86_400_000

_PUBLIC_KEY = "cached:public:publickey@"


def cached(server: Host, key: str) -> Optional[Record]:
    """Return a copy that need not be fetched again yet."""
    record = server.keys.find(key)
    now = server.world.clock.now_ms()
    if record is None or not record.history.active(now):
        return None
    refresh = record.history.refresh_ms
    fresh = record.metadata.ttr_s == -1 or (refresh is not None and now <= refresh)
    return record if fresh else None


def read_shared(call: Call, key: AtKey) -> Record:
    """Read what another atSign shares with the owner, from its server."""
    wanted = f"{call.server.atsign}:{key.plain}"
    return _read(call, key, wanted, f"cached:{wanted}", handshake=True)


def read_public(call: Call, key: AtKey) -> Record:
    """Read a public record from its owner's server, and keep a copy."""
    return _read(call, key, f"public:{key.plain}", f"cached:public:{key.plain}", handshake=False)


def _read(call: Call, key: AtKey, wanted: str, copy: str, *, handshake: bool) -> Record:
    server = call.server
    owner = _contact(call, key.owner, handshake=handshake)
    try:
        record = owner.keys.get_active(wanted)
    except errors.KeyNotFound as error:
        _forget(server, copy)
        raise errors.KeyNotFound(f"Exception: {error.message}") from error
    if record is None:
        _forget(server, copy)
        raise errors.KeyNotFound(
            f"remoteLookUp: remote atServer returned String value 'null' for {key.plain}"
        )
    record = server.world.mixed_up(call, owner, record)
    if owner is server:
        return record
    return _keep(server, copy, record)


def _forget(server: Host, copy: str) -> None:
    """Remove the copy of what is no more; public keys stay [s]."""
    if not copy.startswith(_PUBLIC_KEY) and server.keys.find(copy) is not None:
        server.keys.remove(copy)


def _keep(server: Host, copy: str, record: Record) -> Record:
    """Keep a copy where the metadata allows it; public records always, for a day."""
    metadata = record.metadata
    if not metadata.ttr_s:
        if not copy.startswith("cached:public:"):
            return record
        metadata = replace(metadata, ttl_ms=_PUBLIC_COPY_MS)
    if copy.startswith(_PUBLIC_KEY):
        return _keep_public_key(server, copy, replace(record, metadata=metadata))
    server.keys.put_copy(copy, record.value or "", metadata, record.history.created_by)
    return server.keys.get(copy)


def _keep_public_key(server: Host, copy: str, record: Record) -> Record:
    """Keep the key others encrypt with, for ever; when it changes, keep away from old shared keys.

    A changed key means that its owner began anew: what was encrypted for the old one can't be read
    any more, so the server renames the shared keys and clients make new ones [s].
    """
    old = server.keys.find(copy)
    if old is not None and old.value == record.value:
        return record
    if old is not None:
        _retire_shared_keys(server, copy.rpartition("@")[2])
        server.keys.remove(copy)
    metadata = replace(record.metadata, ttr_s=-1)
    server.keys.put_copy(copy, record.value or "", metadata, record.history.created_by)
    return server.keys.get(copy)


def _retire_shared_keys(server: Host, other: str) -> None:
    now = server.world.clock.now_ms()
    mine, theirs = f"shared_key.{other}{server.atsign}", f"@{other}:shared_key{server.atsign}"
    for key, retired in (
        (mine, f"shared_key.{other}.until.{now}{server.atsign}"),
        (theirs, f"@{other}:shared_key.until.{now}{server.atsign}"),
    ):
        record = server.keys.find(key)
        if record is not None:
            server.keys.remove(key)
            server.keys.put_own(retired, record.value or "", record.metadata)


def scan_shared(call: Call, atsign: str, pattern: Optional[str]) -> list[str]:
    """List what another atSign shares with the owner, by asking its server."""
    owner = _contact(call, atsign, handshake=True)
    front = f"{call.server.atsign}:"
    call.scanned += len(owner.keys.records)
    return [key[len(front) :] for key in owner.keys.active_keys(pattern) if key.startswith(front)]


def _contact(call: Call, atsign: str, *, handshake: bool) -> Host:
    """Return another atSign's server once both know each other."""
    server = call.server
    other = server.world.find(atsign)
    if introduce(server, other, handshake=handshake):
        call.first_contact = True
    return other


def introduce(server: Host, other: Host, *, handshake: bool) -> bool:
    """Let two servers exchange public keys, and return whether this is their first contact.

    Raises:
        SecondaryUnreachable: The other is down.
        HandshakeFailed: It blocks this atSign.
    """
    if not other.running:
        raise errors.SecondaryUnreachable(f"unable to connect to {other.atsign}")
    if handshake and server.atsign in other.blocked:
        raise errors.HandshakeFailed("Exception: Unable to connect")
    if other is server or (other.atsign, handshake) in server.contacts:
        return False
    server.contacts.add((other.atsign, handshake))
    _learn_public_key(server, other)
    if handshake:
        _learn_public_key(other, server)
    return True


def _learn_public_key(server: Host, other: Host) -> None:
    record = other.keys.find(f"public:publickey{other.atsign}")
    if record is not None:
        _keep_public_key(server, f"{_PUBLIC_KEY[:-1]}{other.atsign}", record)
