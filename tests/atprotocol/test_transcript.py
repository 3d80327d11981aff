"""Both ends against what real servers and their clients said to each other.

The transcript's connection to the atDirectory is not of this protocol and is left out.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Union

import pytest

from atxfer.atprotocol.codec import Connection, Role
from atxfer.atprotocol.errors import AtError, UnknownVerb, encode_error
from atxfer.atprotocol.events import (
    NEED_DATA,
    Answer,
    Closed,
    Command,
    Event,
    Failure,
    Notification,
)
from atxfer.atprotocol.verb import Verb
from atxfer.atprotocol.verbs import Batch, Other, parse
from tests.atprotocol.reading import Line, read, splits

_TRANSCRIPT = Path(__file__).parents[1] / "data" / "atprotocol-transcript.json"
_EVENTS = [
    event
    for event in json.loads(_TRANSCRIPT.read_text(encoding="utf-8"))["events"]
    if "conn" in event and event["conn"] != "dir"
]
NAMES = sorted({event["conn"] for event in _EVENTS})
# Four lines sent without waiting, which we never do; see facts §2.
_PIPELINED = [event for event in _EVENTS if len(event.get("send_raw", [])) > 2]


def of(name: str) -> list[dict[str, Any]]:
    """Return the events of one connection."""
    return [event for event in _EVENTS if event["conn"] == name]


def atsign_of(name: str) -> str:
    """Return whose server a connection goes to."""
    return next(event["open"] for event in of(name) if "open" in event)


def expected(text: str) -> list[Event]:
    """Return the events of a recorded answer, read by hand: the prompt follows its last line."""
    if text == "@":
        return []
    if text.startswith("notification:"):
        return [Notification(line[14:]) for line in text.splitlines() if line]
    body = text[: text.rindex("\n")]
    if body.startswith("data:"):
        return [Answer(body[5:])]
    if body.startswith("error:{"):
        values = json.loads(body[6:])
        return [Failure(values["errorCode"], values["errorDescription"])]
    assert body[6:8] == "AT"
    return [Failure(body[6:12], body[13:])]


def exchange(name: str) -> list[tuple[Connection, str, Connection]]:
    """Return, for each recorded answer, the connection before it, its text, and that after it."""
    steps = []
    connection = Connection(Role.CLIENT, atsign=atsign_of(name))
    pipelined = False
    for event in of(name):
        if "send" in event:
            connection.send(Line(event["send"]))
        elif "send_raw" in event:
            pipelined = event in _PIPELINED
            connection.send(Line("".join(event["send_raw"]).strip()))
        elif "recv" in event and not pipelined:
            before = copy.deepcopy(connection)
            read(connection, [event["recv"].encode()])
            steps.append((before, event["recv"], connection))
    return steps


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_of_the_transcript_is_read_however_it_is_split(name: str) -> None:
    """Whole, byte by byte, and small ones cut at every place."""
    for before, text, _ in exchange(name):
        for pieces in splits(text.encode()):
            at_end = [b""] if text.startswith("error:AT0012") else []
            events = read(copy.deepcopy(before), pieces + at_end)
            assert events[: len(events) - len(at_end)] == expected(text)


@pytest.mark.parametrize("name", NAMES)
def test_closed_connections_of_the_transcript_end(name: str) -> None:
    """Where the real server closed, the last event is the end; where not, more may come."""
    connection = Connection(Role.CLIENT, atsign=atsign_of(name))
    steps = exchange(name)
    connection = steps[-1][2] if steps else connection
    was_closed = any("closed" in event for event in of(name))
    if was_closed:
        connection.receive_data(b"")
    last = connection.next_event()
    while was_closed and isinstance(last, Failure):
        last = connection.next_event()
    assert last == (Closed() if was_closed else NEED_DATA)


def sent() -> list[tuple[str, bool, str]]:
    """Return each line that was sent, whether its connection was logged in, and its answer."""
    lines = []
    for name in NAMES:
        logged_in = False
        events = of(name)
        for place, event in enumerate(events):
            answer = next((e["recv"] for e in events[place + 1 :] if "recv" in e), "")
            if "send" in event:
                lines.append((event["send"], logged_in, answer))
                opens = event["send"].startswith(("pkam:", "cram:"))
                logged_in = logged_in or (opens and answer.startswith("data:success"))
    return lines


SENT = sent()


def parsed(line: str, **state: bool) -> Union[Verb, AtError]:
    """Return the verb that a line is, or the error it is answered with."""
    try:
        return parse(line, **state)
    except AtError as error:
        return error


def test_the_transcript_has_all_verbs() -> None:
    """So that the following tests can't pass for want of lines."""
    assert len(SENT) > 220
    verbs = {line.split(":")[0].split(" ")[0].lower() for line, _, _ in SENT}
    assert {"from", "pkam", "cram", "update", "llookup", "lookup", "plookup", "scan"} < verbs
    assert {"delete", "batch", "notify", "monitor", "enroll", "otp", "keys", "sync"} < verbs


@pytest.mark.parametrize("index", range(len(SENT)))
def test_every_line_of_the_transcript_is_read_as_the_server_read_it(index: int) -> None:
    """It is a verb that encodes to a line of the same meaning, or the recorded error."""
    line, logged_in, answer = SENT[index]
    [event] = read(Connection(Role.SERVER, atsign="@alice"), [line[:99999].encode() + b"\n"])
    assert isinstance(event, Command)
    outcome = parsed(event.line, logged_in=logged_in)
    if isinstance(outcome, AtError):
        assert answer.startswith(encode_error(outcome, logged_in=logged_in) + "\n")
    else:
        assert "Invalid syntax" not in answer[:40]
        assert not isinstance(outcome, Other)
        assert parse(outcome.encode()) == outcome


BATCHES = [answer for line, _, answer in SENT if line.startswith("batch:") and "data:" in answer]


def test_answers_to_batches_of_the_transcript_are_read_by_id() -> None:
    """All but the two that no client of ours can get: an id that is null, and one that is twice."""
    read_back = []
    for answer in BATCHES:
        text = answer[5 : answer.rindex("\n")]
        ids = [entry["id"] for entry in json.loads(text)]
        if None not in ids and len(set(ids)) == len(ids):
            assert sorted(Batch.read(text)) == sorted(ids)
            read_back.append(len(ids))
    assert len(read_back) == len(BATCHES) - 2
    assert max(read_back) >= 6


def test_commands_of_batches_of_the_transcript_are_answered_as_parsed() -> None:
    """What is no verb has no answer, what is wrong has its code."""
    line, _, answer = next(item for item in SENT if '"command":"garbage"' in item[0])
    outcomes = {entry["id"]: entry["response"] for entry in json.loads(answer[5:-8])}
    for entry in parse(line).entries:  # type: ignore[attr-defined]
        outcome = parsed(entry.line, in_batch=True)
        if isinstance(outcome, UnknownVerb):
            assert entry.number not in outcomes
        elif isinstance(outcome, AtError):
            assert outcomes[entry.number]["error_code"] == outcome.code
        else:
            assert entry.number in outcomes
