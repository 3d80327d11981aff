"""All verbs, and how a server tells which of them a line is.

A client makes a verb and sends its :meth:`~atxfer.atprotocol.verb.Verb.encode`; a server calls
:func:`parse`, which is as lenient as the original is.
"""

from __future__ import annotations

from typing import Optional

from atxfer.atprotocol.errors import Unauthenticated, UnknownVerb
from atxfer.atprotocol.verb import Mode, Verb
from atxfer.atprotocol.verbs_batch import Batch, BatchEntry, BatchRequest
from atxfer.atprotocol.verbs_enrollment import (
    Enroll,
    EnrollApprove,
    EnrollDeny,
    EnrollList,
    EnrollRequest,
    EnrollRevoke,
    KeysGet,
    OtpGet,
    OtpPut,
)
from atxfer.atprotocol.verbs_notify import (
    Monitor,
    Notify,
    NotifyAll,
    NotifyList,
    NotifyRemove,
    NotifyStatus,
)
from atxfer.atprotocol.verbs_records import (
    Delete,
    Llookup,
    Lookup,
    Plookup,
    Scan,
    Update,
    UpdateMeta,
)
from atxfer.atprotocol.verbs_session import (
    Config,
    Cram,
    Exit,
    From,
    Info,
    Noop,
    Other,
    Pkam,
    Stats,
    SyncFrom,
)

__all__ = [
    "Batch",
    "BatchEntry",
    "BatchRequest",
    "Config",
    "Cram",
    "Delete",
    "Enroll",
    "EnrollApprove",
    "EnrollDeny",
    "EnrollList",
    "EnrollRequest",
    "EnrollRevoke",
    "Exit",
    "From",
    "Info",
    "KeysGet",
    "Llookup",
    "Lookup",
    "Mode",
    "Monitor",
    "Noop",
    "Notify",
    "NotifyAll",
    "NotifyList",
    "NotifyRemove",
    "NotifyStatus",
    "Other",
    "OtpGet",
    "OtpPut",
    "Pkam",
    "Plookup",
    "Scan",
    "Stats",
    "SyncFrom",
    "Update",
    "UpdateMeta",
    "Verb",
    "parse",
]

# The verb by the opening of its line; the first that fits counts, as in the original. None is a
# line that opens like a verb and is none (`update:metadata ...`: an oddity of the original).
_OPENINGS: tuple[tuple[str, Optional[type[Verb]]], ...] = (
    ("from:", From),
    ("cram:", Cram),
    ("pkam:", Pkam),
    ("update:meta:", UpdateMeta),
    ("update:meta", None),
    ("update:", Update),
    ("llookup:", Llookup),
    ("plookup:", Plookup),
    ("lookup:", Lookup),
    ("scan", Scan),
    ("delete:", Delete),
    ("stats", Stats),
    ("config:", Config),
    ("monitor", Monitor),
    ("notify:list", NotifyList),
    ("notify:status", NotifyStatus),
    ("notify:all", NotifyAll),
    ("notify:remove:", NotifyRemove),
    ("notify:remove", None),
    ("notify:fetch", Other),
    ("notify:", Notify),
    ("batch:", BatchRequest),
    ("sync:from", SyncFrom),
    ("noop:", Noop),
    ("enroll:request", EnrollRequest),
    ("enroll:approve", EnrollApprove),
    ("enroll:deny", EnrollDeny),
    ("enroll:revoke", EnrollRevoke),
    ("enroll:list", EnrollList),
    ("enroll:", Other),
    ("otp:put", OtpPut),
    ("otp:", OtpGet),
    ("keys:get", KeysGet),
    ("keys:", Other),
    ("stream", Other),
)
_WHOLE_LINES: dict[str, type[Verb]] = {"info": Info, "info:brief": Info, "pol": Other}


def parse(line: str, *, logged_in: bool = True, in_batch: bool = False) -> Verb:
    """Read a line as the original server does.

    Args:
        line: Without its line break and the white space around it.
        logged_in: Whether the connection is.
        in_batch: Whether it is a command of a batch: these are taken as they are, in lower case.

    Raises:
        UnknownVerb: It opens with no verb; a batch leaves such a command out of its answer.
        AtError: What the server answers instead: AT0401 before the syntax is looked at, AT0003 for
            the syntax, AT0016 for a key that can't be.
    """
    if not in_batch:
        if line == "@exit":
            return Exit.from_line(line)
        line = _fold(line)
    kind = _verb_of(line)
    if kind is None:
        raise UnknownVerb("invalid command")
    if kind.requires_login and not logged_in:
        raise Unauthenticated("Command cannot be executed without auth")
    return kind.from_line(line)


def _fold(line: str) -> str:
    """Lower the verb's letters and drop its spaces, as the original does.

    The verb is all in front of the first colon, or the whole line: this is why ``scan ^public:`` is
    refused and ``scan K1`` finds k1.
    """
    verb, colon, rest = line.partition(":")
    return verb.lower().replace(" ", "") + colon + rest if colon else line.lower()


def _verb_of(line: str) -> Optional[type[Verb]]:
    if line in _WHOLE_LINES:
        return _WHOLE_LINES[line]
    for opening, kind in _OPENINGS:
        if line.startswith(opening):
            return kind
    return None
