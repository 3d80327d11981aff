"""What a look-up with ``all:`` answers."""

from __future__ import annotations

import json

import pytest

from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.record import Record

FOUND = {
    "data": "CIPHER1",
    "metaData": {"createdBy": "@alice", "ttl": 86_400_000, "isEncrypted": True, "ivNonce": "abcd"},
    "key": "@bob:s1.files.atxfer@alice",
}


def test_a_record_has_key_value_and_metadata() -> None:
    """As the transcript has one."""
    record = Record.read(json.dumps(FOUND))
    assert record.key == AtKey.shared("s1.files", "@alice", "@bob")
    assert (record.value, record.metadata.iv_nonce) == ("CIPHER1", "abcd")


def test_a_copy_goes_by_the_key_of_its_original() -> None:
    """Where it was found is not what it is."""
    copy = {**FOUND, "key": f"cached:{FOUND['key']}"}
    assert Record.read(json.dumps(copy)) == Record.read(json.dumps(FOUND))


def test_a_value_is_not_shown() -> None:
    """It may be what somebody wanted to keep."""
    assert "CIPHER1" not in repr(Record.read(json.dumps(FOUND)))


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", '"x"', "{}", "[" * 100_000]
    + [json.dumps({**FOUND, **change}) for change in ({"key": None}, {"data": 3}, {"metaData": []})]
    + [json.dumps({**FOUND, "key": "x"}), json.dumps({**FOUND, "metaData": {"ttl": "soon"}})],
)
def test_what_is_none_is_refused(text: str) -> None:
    """One kind of error, whatever is wrong."""
    with pytest.raises(ValueError, match="this is no record"):
        Record.read(text)
