"""Manifests on an atServer: what is sent, and what every kind of answer means."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from atxfer._catalog.atserver import AtServerCatalog
from atxfer._format.manifest import COMPLETE, UPLOADING, Manifest, new_file_id
from atxfer._net.records import Records
from atxfer.errors import (
    FileExpired,
    FileNotFound,
    ManifestInvalid,
    ProtocolViolation,
    ServerFault,
)
from atxfer.waiting import Wait
from tests.support.pools import FakePool, Reply, missing
from tests.support.vectors import alice_keys

ID = new_file_id()
MANIFEST = Manifest(
    file_id=ID,
    name="report.pdf",
    size=5,
    chunk_size=8192,
    chunks=1,
    file_key=bytes(range(32)),
    sha256="ab" * 32,
    state=COMPLETE,
    owner="@alice",
    created_at=1_700_000_000.0,
)


class Shelf:
    """One record, as a server keeps it."""

    def __init__(self) -> None:
        self.line = ""

    def __call__(self, line: str) -> Reply:
        """Store an update, and give it back to a look-up."""
        if line.startswith("update:ttl"):
            self.line = line
            return "5"
        if line.startswith("llookup:all"):
            head, value = self.line.split(" ")
            nonce = head.split("ivNonce:")[1].split(":")[0]
            meta = {"ivNonce": nonce, "expiresAt": "2026-11-24 07:10:22.982Z"}
            return json.dumps({"key": "k", "data": value, "metaData": meta})
        return "7"


def catalog_on(pool: FakePool) -> AtServerCatalog:
    """Return a catalog of @alice's."""
    return AtServerCatalog(Records(pool), alice_keys())  # type: ignore[arg-type]


def test_a_manifest_comes_back_as_it_was() -> None:
    """Encrypted and signed on the way there, opened and verified on the way back."""
    catalog = catalog_on(FakePool(Shelf()))
    catalog.write(MANIFEST, 60.0, Wait())
    entry = catalog.read(ID, Wait())
    assert entry.manifest == MANIFEST
    assert entry.expires_at == pytest.approx(1_795_504_222.982)


def test_every_write_names_its_end_and_its_nonce() -> None:
    """What an update doesn't name is kept from the record before it (facts §5)."""
    pool = FakePool(Shelf())
    catalog_on(pool).write(replace(MANIFEST, state=UPLOADING, sha256=""), None, Wait())
    assert pool.requests[0].startswith("update:ttl:0:isEncrypted:true:ivNonce:")
    assert f":{ID}.files.atxfer@alice " in pool.requests[0]


def test_nothing_of_the_manifest_is_sent_in_the_clear() -> None:
    """Neither the name nor the key of the file can be read from the line."""
    pool = FakePool(Shelf())
    catalog_on(pool).write(MANIFEST, 60.0, Wait())
    assert "report" not in pool.requests[0]


@pytest.mark.parametrize(("reply", "error"), [(missing(), FileNotFound), ("null", FileExpired)])
def test_missing_and_expired_are_told_apart(reply: Reply, error: type[Exception]) -> None:
    """No record is FileNotFound, one whose time is over FileExpired."""
    with pytest.raises(error):
        catalog_on(FakePool(lambda line: reply)).read(ID, Wait())


@pytest.mark.parametrize("answer", ["[]", "{}", "no json", '{"data":"x","metaData":{}}'])
def test_a_record_that_is_none_is_an_invalid_manifest(answer: str) -> None:
    """Whatever the server answers, the error is ours and typed."""
    with pytest.raises(ManifestInvalid):
        catalog_on(FakePool(lambda line: answer)).read(ID, Wait())


def test_a_write_answered_with_null_has_failed() -> None:
    """The server swallows what goes wrong in its data store."""
    with pytest.raises(ServerFault):
        catalog_on(FakePool(lambda line: "null")).write(MANIFEST, 60.0, Wait())


def test_the_list_leaves_out_what_is_not_a_file_of_ours() -> None:
    """Keys shared with others, and names that are no file id, match the expression as well."""
    keys = [f"{ID}.files.atxfer@alice", f"@bob:{ID}.files.atxfer@alice", "x.files.atxfer@alice"]
    pool = FakePool(lambda line: json.dumps(keys))
    assert catalog_on(pool).file_ids(Wait()) == [ID]
    assert pool.requests == [r"scan \.files\.atxfer@alice$"]


@pytest.mark.parametrize("answer", ["no json", "{}", "null"])
def test_a_list_that_is_none_is_an_error(answer: str) -> None:
    """Not an empty list: a file must not seem to be gone."""
    with pytest.raises(ProtocolViolation):
        catalog_on(FakePool(lambda line: answer)).file_ids(Wait())


def test_one_bad_manifest_does_not_hide_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """It is left out of the list, and told by a warning."""
    shelf, other = Shelf(), new_file_id()
    catalog_on(FakePool(shelf)).write(MANIFEST, 60.0, Wait())
    pool = FakePool(lambda line: "{}" if other in line else shelf(line))
    with caplog.at_level(logging.WARNING, logger="atxfer.catalog"):
        entries = catalog_on(pool).read_many([other, ID], Wait())
    assert list(entries) == [ID]
    assert other in caplog.text


def test_extend_keeps_the_record_encrypted() -> None:
    """The flag isEncrypted would fall to false where it isn't named (facts §5)."""
    pool = FakePool()
    catalog_on(pool).extend(ID, 60.0, Wait())
    assert pool.requests == [f"update:meta:{ID}.files.atxfer@alice:ttl:60000:isEncrypted:true"]
