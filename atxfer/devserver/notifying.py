"""Verbs of notifications: ``notify`` and ``monitor`` (facts §8)."""

from __future__ import annotations

import re
from typing import Optional

from atxfer.atprotocol import errors
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import (
    Monitor,
    Notify,
    NotifyAll,
    NotifyList,
    NotifyRemove,
    NotifyStatus,
)
from atxfer.devserver.call import Call
from atxfer.devserver.notices import LIFE_MS, Notice
from atxfer.devserver.reading import compact


def notify(call: Call, verb: Notify) -> str:
    """Send a notification, and give its id."""
    server = call.server
    if not call.session.logged_in:
        raise errors.Unauthenticated("Notify command cannot be executed without authentication")
    owner = verb.owner or server.atsign
    if owner != server.atsign:
        raise errors.Unauthorized(
            f"{owner} is not authorized to send notification as {server.atsign}"
        )
    if verb.strategy == "latest" and verb.notifier is None:
        raise errors.InvalidSyntax("For Strategy latest, notifier cannot be null")
    if verb.recipient is None:
        raise errors.InvalidSyntax("Invalid syntax. e.g notify:@colin:key@kevin")
    return _send(call, verb, verb.recipient, _whole_key(verb, verb.recipient, owner))


def _whole_key(verb: Notify, recipient: str, owner: str) -> str:
    if verb.message_type == "text":
        return f"{recipient}:{verb.subject}"
    if verb.subject.startswith("public"):
        return f"{verb.subject}{owner}"
    return f"{recipient}:{verb.subject}{owner}"


def _send(call: Call, verb: Notify, recipient: str, key: str) -> str:
    server = call.server
    server.enrolments.authorise_text(call.session.enrollment_id, "notify", key)
    now = server.world.clock.now_ms()
    notice = Notice(
        sender=server.atsign,
        recipient=recipient,
        key=key,
        value=verb.value,
        operation=verb.operation or "update",
        epoch_ms=now,
        expires_ms=now + (verb.ttln_ms or LIFE_MS),
        is_encrypted=_is_encrypted(verb),
        metadata=verb.metadata,
        message_type=verb.message_type or "key",
        **({"id": verb.id} if verb.id else {}),
    )
    server.send(notice)
    return notice.id


def _is_encrypted(verb: Notify) -> bool:
    """Return what a notification says of its value; if nothing, a key's is thought encrypted."""
    if verb.message_type == "text":
        return bool(verb.metadata.is_encrypted)
    return not verb.subject.startswith("public") and verb.metadata.is_encrypted is not False


def notify_all(call: Call, verb: NotifyAll) -> str:
    """Send one notification to several atSigns, and give the ids."""
    server = call.server
    if not call.session.logged_in:
        raise errors.Unauthenticated("Command cannot be executed without auth")
    owner = verb.owner or server.atsign
    server.enrolments.authorise_text(call.session.enrollment_id, "notify", f"{verb.subject}{owner}")
    now = server.world.clock.now_ms()
    ids = {}
    for recipient in verb.recipients:
        notice = Notice(
            sender=owner,
            recipient=recipient,
            key=f"{recipient}:{verb.subject}{owner}",
            value=verb.value,
            operation=verb.operation or "update",
            epoch_ms=now,
            expires_ms=now + LIFE_MS,
            metadata=verb.metadata,
        )
        server.send(notice)
        ids[recipient] = notice.id
    return compact(ids)


def notify_list(call: Call, verb: NotifyList) -> Optional[str]:
    """List what was received. Without login there is nothing, and no error (transcript)."""
    if not call.session.logged_in:
        return None
    notices = call.server.notices.received()
    if verb.regex:
        matches = re.compile(verb.regex).search
        notices = [n for n in notices if matches(n.key) or matches(n.sender.lstrip("@"))]
    return compact([notice.as_stored() for notice in notices]) if notices else None


def notify_status(call: Call, verb: NotifyStatus) -> Optional[str]:
    """Tell what became of a notification sent."""
    notice = call.server.notices.find(verb.id, "sent")
    return notice.status if notice is not None else None


def notify_remove(call: Call, verb: NotifyRemove) -> str:
    """Forget a notification received, there or not."""
    call.server.notices.remove(verb.id)
    return "success"


def monitor(call: Call, verb: Monitor) -> None:
    """Push notifications from now on; with a point in time, first those since."""
    try:
        pattern = re.compile(verb.regex or ".*")
    except re.error as error:
        raise errors.InvalidSyntax(
            f"Invalid regular expression. {verb.regex} is not a valid regex"
        ) from error
    since = verb.since_ms
    older = []
    if since is not None:
        kinds = ("received", "self") if verb.own else ("received",)
        older = call.server.notices.those(lambda n: n.kind in kinds and n.epoch_ms > since)
    call.session.listen(pattern, older, own=verb.own)


def copied(notice: Notice) -> Metadata:
    """Return the metadata of the copy that a notification leaves on its recipient's server.

    It has no ``isBinary``, no encoding, no signature, and names times to live and birth even where
    the notification did not (transcript, [s]).
    """
    told = notice.metadata
    return Metadata(
        ttl_ms=told.ttl_ms or 0,
        ttb_ms=told.ttb_ms or 0,
        ttr_s=told.ttr_s,
        ccd=told.ccd if told.ccd is not None else False,
        is_encrypted=notice.is_encrypted,
        shared_key_enc=told.shared_key_enc,
        pub_key_cs=told.pub_key_cs,
        enc_key_name=told.enc_key_name,
        enc_algo=told.enc_algo,
        iv_nonce=told.iv_nonce,
        ske_enc_key_name=told.ske_enc_key_name,
        ske_enc_algo=told.ske_enc_algo,
    )
