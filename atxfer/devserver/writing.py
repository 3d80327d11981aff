"""Verbs that change records: ``update``, ``update:meta``, ``delete``."""

from __future__ import annotations

from atxfer.atprotocol import errors
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.verbs import Delete, Update, UpdateMeta
from atxfer.devserver.call import Call
from atxfer.devserver.faults import corrupted
from atxfer.devserver.login import CRAM_SECRET, PKAM_KEY

# What the operating system says when a disk is full, in the words the server passes on.
NO_SPACE = (
    "exception in put: FileSystemException: writeFrom failed"
    " (OS Error: No space left on device, errno = 28)"
)

# Keys that nobody may delete [s]: the server's own pair, and the owner's public key.
_PROTECTED = ("signing_publickey", "signing_privatekey", "publickey")


def update(call: Call, verb: Update) -> str:
    """Store a value, and tell the atSign it is shared with."""
    server = call.server
    _check_own(call, verb.key, "update")
    value = verb.value
    if call.fault == "corrupt":
        value = corrupted(value, server.world.faults.rng)
    call.values.append(len(value))
    commit = server.keys.update(str(verb.key), value, verb.metadata)
    if verb.key.recipient:
        server.tell(verb.key, value)
    return str(commit)


def update_meta(call: Call, verb: UpdateMeta) -> str:
    """Change metadata alone, and have the copy of the recipient follow."""
    server = call.server
    _check_own(call, verb.key, "update:meta")
    call.values.append(0)
    commit = server.keys.update_meta(str(verb.key), verb.metadata)
    if verb.key.recipient:
        server.tell(verb.key, None)
    return str(commit)


def _check_own(call: Call, key: AtKey, operation: str) -> None:
    server = call.server
    if key.owner and key.owner != server.atsign:
        raise errors.InvalidKey(
            f"Invalid update command - sharedBy atsign {key.owner} should be same as current atsign"
            f" {server.atsign}"
        )
    server.enrolments.authorise(call.session.enrollment_id, operation, key)
    if key.scope == "private" or key.is_cached or (key.scope == "privatekey" and key != _PKAM):
        kind = "cachedPublicKey" if key.is_cached else "privateKey"
        raise errors.InvalidKey(f"You may not update keys of type KeyType.{kind}")


_PKAM = AtKey.parse(PKAM_KEY)


def delete(call: Call, verb: Delete) -> str:
    """Remove a record, there or not, and have the copy of the recipient follow."""
    server, key = call.server, verb.key
    if key.owner == server.atsign and key.entity in _PROTECTED and not key.is_cached:
        raise errors.Unauthorized(f"Cannot delete protected key: '{key.entity}{key.owner}'")
    server.enrolments.authorise(call.session.enrollment_id, "delete", key)
    call.deletes += 1
    commit = server.keys.remove(str(key))
    if str(key) == CRAM_SECRET:
        server.keys.put_own("privatekey:at_secret_deleted", "true")
    if key.recipient and key.recipient != server.atsign and not key.is_cached:
        server.tell_deleted(key)
    return str(commit)
