"""Which function serves which verb, and the form of its answer."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Mapping
from typing import Any, Callable, Optional, Union

from atxfer.atprotocol import errors, verbs
from atxfer.devserver import enrolling, housekeeping, login, notifying, reading, writing
from atxfer.devserver.call import Call

_Text = Optional[str]
_Service = Callable[[Call, Any], Union[_Text, Awaitable[_Text]]]

# Not an answer: the connection is closed without one, or stays silent as a monitor's.
GOODBYE = ""
SILENCE: _Text = None

_WORD = re.compile(r"@?[a-z]+")
_WORDS = frozenset(
    {"from", "pkam", "cram", "update", "llookup", "lookup", "plookup", "delete", "scan", "batch"}
    | {"notify", "monitor", "otp", "enroll", "keys", "stats", "info", "config", "noop", "sync"}
    | {"@exit"}
)

# Answers that begin with a space (transcript).
_SPACED = (verbs.Stats, verbs.NotifyAll)


def first_word(line: str) -> str:
    """Return what a line is by its first word, ``unknown`` if it is nothing of ours."""
    match = _WORD.match(line.lower())
    return match[0] if match and match[0] in _WORDS else "unknown"


async def perform(call: Call, line: str) -> _Text:
    """Do what a line asks, and return the answer without line break and prompt.

    Raises:
        AtError: What the server answers instead.
    """
    verb = verbs.parse(line, logged_in=call.session.logged_in)
    if isinstance(verb, verbs.Exit):
        return GOODBYE
    text = await _serve(call, verb)
    if verb.pushes:
        return SILENCE
    return f"data:{' ' if isinstance(verb, _SPACED) else ''}{'null' if text is None else text}"


async def _serve(call: Call, verb: verbs.Verb) -> _Text:
    text = _SERVICES[type(verb)](call, verb)
    return await text if inspect.isawaitable(text) else text


async def _batch(call: Call, verb: verbs.BatchRequest) -> str:
    """Do several commands, one after another; what fits no verb is left out (facts §6)."""
    plan = call.server.world.faults
    spoilt = plan.rng.randrange(len(verb.entries)) if verb.entries else 0
    fault, answers = call.fault, []
    with call.server.keys.records.transaction():
        for place, entry in enumerate(verb.entries):
            call.fault = fault if place == spoilt else "ok"
            response = await _respond(call, entry.line)
            if response is not None:
                answers.append({"id": entry.number, "response": response})
    if fault == "missing" and answers:
        del answers[plan.rng.randrange(len(answers))]
    return reading.compact(answers)


async def _respond(call: Call, line: str) -> Optional[dict[str, str]]:
    """Return the response to one command of a batch; None to leave it out."""
    word, server = first_word(line), call.server
    try:
        server.tally.command(word, batched=True)
        if server.world.faults.happens("inside", word, server.atsign):
            raise errors.AtError.by_code[server.world.faults.error_code]()
        text = await _serve(call, verbs.parse(line, in_batch=True))
    except errors.UnknownVerb:
        return None
    except errors.AtError as error:
        server.tally.error(error.code)
        return {"error_code": error.code, "error_message": error.description}
    return {} if text is None else {"data": text}


def _other(call: Call, verb: verbs.Other) -> str:
    raise errors.InternalError("the development server has no use for this verb")


_SERVICES: Mapping[type[verbs.Verb], _Service] = {
    verbs.From: login.say_from,
    verbs.Pkam: login.pkam,
    verbs.Cram: login.cram,
    verbs.Update: writing.update,
    verbs.UpdateMeta: writing.update_meta,
    verbs.Delete: writing.delete,
    verbs.Llookup: reading.llookup,
    verbs.Lookup: reading.lookup,
    verbs.Plookup: reading.plookup,
    verbs.Scan: reading.scan,
    verbs.BatchRequest: _batch,
    verbs.Notify: notifying.notify,
    verbs.NotifyAll: notifying.notify_all,
    verbs.NotifyList: notifying.notify_list,
    verbs.NotifyStatus: notifying.notify_status,
    verbs.NotifyRemove: notifying.notify_remove,
    verbs.Monitor: notifying.monitor,
    verbs.OtpGet: enrolling.otp_get,
    verbs.OtpPut: enrolling.otp_put,
    verbs.EnrollRequest: enrolling.request,
    verbs.EnrollApprove: enrolling.approve,
    verbs.EnrollDeny: enrolling.deny,
    verbs.EnrollRevoke: enrolling.revoke,
    verbs.EnrollList: enrolling.list_all,
    verbs.KeysGet: enrolling.keys_get,
    verbs.Stats: housekeeping.stats,
    verbs.Info: housekeeping.info,
    verbs.Config: housekeeping.config,
    verbs.Noop: housekeeping.noop,
    verbs.SyncFrom: housekeeping.sync_from,
    verbs.Other: _other,
}
