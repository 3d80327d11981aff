"""Several commands in one request."""

from __future__ import annotations

import json

import pytest

from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import (
    AtError,
    InternalError,
    InvalidSyntax,
    KeyNotFound,
    RemoteProtocolError,
    StoreFull,
    UnexpectedException,
    UnknownVerb,
)
from atxfer.atprotocol.events import Answer
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import (
    Batch,
    BatchEntry,
    BatchRequest,
    Llookup,
    Noop,
    Scan,
    Update,
    parse,
)

KEY = AtKey.public("b1", "@alice", hidden=True)


def test_commands_get_the_ids_one_to_n() -> None:
    """In their order, as integers; text stays as it is."""
    line = Batch((Update(KEY, "é"), Noop())).encode()
    assert line == (
        'batch:[{"id":1,"command":"update:public:_b1.atxfer@alice é"},{"id":2,"command":"noop:0"}]'
    )


def test_a_server_reads_the_commands_of_a_batch() -> None:
    """Each with its id, as text: what of it is a command is found out one by one."""
    commands = (Update(KEY, "v", Metadata(ttl_ms=5)), Llookup(KEY))
    read = parse(Batch(commands).encode())
    assert isinstance(read, BatchRequest)
    assert [entry.number for entry in read.entries] == [1, 2]
    assert tuple(parse(entry.line, in_batch=True) for entry in read.entries) == commands
    assert Batch.from_line(Batch(commands).encode()) == read


def test_a_server_takes_any_integer_or_no_id() -> None:
    """The original answers with the same id, twice if it is there twice (transcript)."""
    line = 'batch:[{"command":"noop:0"},{"id":3,"command":"x"},{"id":3,"command":""}]'
    assert parse(line) == BatchRequest(
        (BatchEntry(None, "noop:0"), BatchEntry(3, "x"), BatchEntry(3, ""))
    )
    assert parse("batch:[]") == BatchRequest(())


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("", InvalidSyntax, "Invalid syntax. e.g batch:"),
        (
            "not json",
            UnexpectedException,
            "FormatException: Unexpected character (at character 1)\nnot json\n^\n",
        ),
        ('[{"id":1,}]', UnexpectedException, "FormatException: Unexpected character"),
        ("[" * 100_000, InternalError, "Stack Overflow"),
        ("{}", InternalError, "is not a subtype of type 'Iterable<dynamic>'"),
        ("[1]", InternalError, "type 'int' is not a subtype of type 'Map<String, dynamic>'"),
        ('[{"id":1}]', InternalError, "type 'Null' is not a subtype of type 'String'"),
        (
            '[{"id":"a","command":"noop:0"}]',
            InternalError,
            "type 'String' is not a subtype of type 'int?'",
        ),
        ('[{"id":true,"command":"noop:0"}]', InternalError, "type 'bool' is not a subtype"),
    ],
)
def test_a_server_refuses_as_the_original_does(text: str, kind: type[AtError], words: str) -> None:
    """Bad JSON is AT0011 and closes; JSON of another shape is AT0010 and doesn't (transcript)."""
    with pytest.raises(kind) as caught:
        parse(f"batch:{text}")
    assert words in caught.value.message


def test_commands_of_a_batch_are_not_folded() -> None:
    """The original folds lines, not commands: capitals are no verb, a colon in a scan is one."""
    with pytest.raises(UnknownVerb):
        parse("UPDATE:k1.atxfer@alice v", in_batch=True)
    with pytest.raises(UnknownVerb):
        parse("@exit", in_batch=True)
    assert parse("scan ^public:", in_batch=True) == Scan("^public:")


def test_white_space_around_commands_of_a_batch_is_theirs() -> None:
    """Only lines are trimmed."""
    verb = parse("update:k1.atxfer@alice v  ", in_batch=True)
    assert verb == Update(AtKey.self_("k1", "@alice"), "v  ")


def test_answers_are_read_by_id() -> None:
    """Data, errors with their class, and nothing for what the server left out (transcript)."""
    answers = Batch.read(
        '[{"id":1,"response":{"data":"-1"}},{"id":3,"response":{"error_code":"AT0015",'
        '"error_message":"key not found"}},{"id":4,"response":{"error_message":"odd"}}]'
    )
    assert answers[1] == Answer("-1")
    assert answers[1].data == "-1"
    assert isinstance(answers[3], KeyNotFound)
    assert isinstance(answers[4], AtError)
    assert sorted(answers) == [1, 3, 4]


def test_a_response_without_data_reads_as_null() -> None:
    """So does an expired record outside a batch (at_commons, response.dart)."""
    assert Batch.read('[{"id":1,"response":{}},{"id":2,"response":{"data":null}}]') == {
        1: Answer("null"),
        2: Answer("null"),
    }


def test_a_full_disk_is_told_in_a_batch_too() -> None:
    """By the words of the response."""
    response = {"error_code": "AT0011", "error_message": "No space left on device"}
    answers = Batch.read(json.dumps([{"id": 1, "response": response}]))
    assert isinstance(answers[1], StoreFull)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "5",
        "{}x",
        '{"id":1}',
        "[1]",
        '[{"id":1}]',
        '[{"id":1,"response":5}]',
        '[{"id":1,"response":{"data":5}}]',
        '[{"id":1,"response":{"error_code":5}}]',
        '[{"id":1,"response":{"error_message":["x"]}}]',
        '[{"id":null,"response":{"data":"x"}}]',
        '[{"id":true,"response":{"data":"x"}}]',
        '[{"id":[],"response":{"data":"x"}}]',
        '[{"id":1,"response":{"data":"x"}},{"id":1,"response":{"data":"y"}}]',
        "[" * 100_000,
    ],
)
def test_what_is_no_answer_to_a_batch_is_refused(text: str) -> None:
    """Nothing of it is believed: an id twice could be another's answer."""
    with pytest.raises(RemoteProtocolError):
        Batch.read(text)


def test_values_of_a_batch_are_in_no_repr() -> None:
    """Neither on our side nor on the server's."""
    batch = Batch((Update(KEY, "secret"),))
    assert "secret" not in repr(batch)
    assert "secret" not in repr(parse(batch.encode()))
