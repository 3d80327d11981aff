"""Verbs that read: ``llookup``, ``lookup``, ``plookup``, ``scan``."""

from __future__ import annotations

import json
from typing import Any, Optional

from atxfer.atprotocol.verbs import Llookup, Lookup, Mode, Plookup, Scan
from atxfer.devserver import peers
from atxfer.devserver.call import Call
from atxfer.devserver.faults import corrupted
from atxfer.devserver.keystore import is_hidden
from atxfer.devserver.records import Record


def compact(value: Any) -> str:
    """Return JSON as the servers write it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _shown(call: Call, record: Optional[Record], mode: Mode, key: str) -> Optional[str]:
    """Return a record as an answer, or None for ``null``."""
    call.reads += 1
    if record is None:
        return None
    if mode is Mode.META:
        return compact(record.metadata_json())
    value = record.value
    if call.fault == "corrupt" and value is not None:
        value = corrupted(value, call.server.world.faults.rng)
    if mode is Mode.VALUE:
        return value
    return compact({"key": key, "data": value, "metaData": record.metadata_json()})


def _shown_from_afar(call: Call, record: Record, mode: Mode, key: str) -> Optional[str]:
    """The same for a record of another server, whose key stands last (transcript)."""
    if mode is not Mode.ALL:
        return _shown(call, record, mode, key)
    call.reads += 1
    return compact({"data": record.value, "metaData": record.metadata_json(), "key": key})


def llookup(call: Call, verb: Llookup) -> Optional[str]:
    """Read a record of this server by its whole key."""
    if not verb.key.is_public:
        call.server.enrolments.authorise(call.session.enrollment_id, "llookup", verb.key)
    key = str(verb.key)
    return _shown(call, call.server.keys.get_active(key), verb.mode, key)


def lookup(call: Call, verb: Lookup) -> Optional[str]:
    """Read by name: anybody what is public, the owner what others share with her.

    Logged in, the server looks for the record that is shared with its owner, so that she does not
    find her own public records this way (transcript, [s]).
    """
    server, plain = call.server, verb.key.plain
    if not call.session.logged_in:
        key = f"public:{plain}"
        return _shown(call, server.keys.get_active(key), verb.mode, key)
    key = f"{server.atsign}:{plain}"
    server.enrolments.authorise_text(call.session.enrollment_id, "lookup", key)
    if verb.key.owner == server.atsign:
        return _shown(call, server.keys.get(key), verb.mode, key)
    copy = peers.cached(server, f"cached:{key}")
    if copy is not None and not verb.bypass_cache:
        return _shown(call, copy, verb.mode, f"cached:{key}")
    record = peers.read_shared(call, verb.key)
    return _shown_from_afar(call, record, verb.mode, key)


def plookup(call: Call, verb: Plookup) -> Optional[str]:
    """Read a public record of any atSign, and keep a copy of it (facts §7)."""
    key = f"cached:public:{verb.key.plain}"
    copy = peers.cached(call.server, key)
    if copy is not None and not verb.bypass_cache:
        return _shown(call, copy, verb.mode, key)
    record = peers.read_public(call, verb.key)
    return _shown_from_afar(call, record, verb.mode, f"public:{verb.key.plain}")


def scan(call: Call, verb: Scan) -> str:
    """List keys: one's own, what is public, or what another atSign shares with the owner."""
    server, session = call.server, call.session
    if verb.atsign is not None and verb.atsign != server.atsign:
        return compact(peers.scan_shared(call, verb.atsign, verb.regex))
    call.scanned += len(server.keys.records)
    keys = server.keys.active_keys(verb.regex)
    if not session.logged_in:
        return compact(_public_names(keys))
    keys = [key for key in keys if not is_hidden(key, show_hidden=verb.show_hidden)]
    return compact(server.enrolments.visible(session.enrollment_id, keys))


def _public_names(keys: list[str]) -> list[str]:
    front = "public:"
    return [key[len(front) :] for key in keys if key.startswith(front) and key[len(front)] != "_"]
