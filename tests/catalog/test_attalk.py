"""Metadata and announcements of the AtTalk format: what is sent, and what answers mean."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Optional

import pytest

from atxfer._catalog.attalk import AtTalkCatalog, Message
from atxfer._crypto.readers import RecordOpener
from atxfer._crypto.sharing import open_text, seal_text
from atxfer._format.attalk import Description
from atxfer._net.records import Records
from atxfer._net.relay import Relay
from atxfer.atprotocol.errors import error_for
from atxfer.errors import (
    ChunkCorrupt,
    FileExpired,
    FileNotFound,
    ServerFault,
    TransferError,
)
from atxfer.waiting import Wait
from tests.stores.test_attalk import BOB, ID, OWNER, PAIR_KEY
from tests.support.pools import FakePool, Reply, missing
from tests.support.shelves import Shelf
from tests.support.vectors import alice_keys, rsa_private

FILE = Description("report.pdf", 20_000, 3, "application/pdf", 1752597942.549)
OWN_KEY = f"file_meta_{ID}.attalk@alice"
BOBS_KEY = f"@bob:{OWN_KEY}"


def catalog_on(pool: FakePool, me: str = "@alice", namespace: str = "attalk") -> AtTalkCatalog:
    """Return the catalog of one of two atSigns."""
    keys = alice_keys()
    if me == "@bob":
        private = rsa_private("bob_encryption_private")
        keys = replace(keys, atsign=me, encryption_private=private)
    records, relay = Records(pool), Relay(pool)  # type: ignore[arg-type]
    return AtTalkCatalog(records, relay, RecordOpener(keys), me, namespace)


def written(shelf: Shelf) -> FakePool:
    """Write the metadata for both, and return what that took."""
    pool = FakePool(shelf)
    catalog_on(pool).write(ID, FILE, [OWNER, BOB], 86_400.0, Wait())
    return pool


def test_the_metadata_is_one_request_for_all_its_readers() -> None:
    """Each has a record with all that opens it, and a nonce of its own."""
    shelf = Shelf()
    pool = written(shelf)
    assert len(pool.requests) == 1
    value, metadata = shelf.records[OWN_KEY]
    assert open_text(OWNER.key, value, metadata.pop("ivNonce")) == FILE.to_text()
    assert metadata == {"ttl": 86_400_000, "isEncrypted": True}
    value, metadata = shelf.records[BOBS_KEY]
    assert open_text(PAIR_KEY, value, metadata.pop("ivNonce")) == FILE.to_text()
    assert metadata == {
        "ttl": 86_400_000,
        "isEncrypted": True,
        "sharedKeyEnc": BOB.wrapped,
        "pubKeyCS": BOB.checksum,
    }


def test_a_write_answered_with_null_has_failed() -> None:
    """The server swallows what goes wrong in its data store."""
    shelf = Shelf()
    shelf.lost.add(BOBS_KEY)
    with pytest.raises(ServerFault):
        written(shelf)


def test_the_name_space_is_the_application_s() -> None:
    """It may have a dot, as the one that AtTalk itself begins with."""
    shelf = Shelf()
    catalog = catalog_on(FakePool(shelf), namespace="default.attalk")
    catalog.write(ID, FILE, [OWNER], 60.0, Wait())
    assert list(shelf.records) == [f"file_meta_{ID}.default.attalk@alice"]
    assert catalog.read_own(ID, Wait()).file == FILE


def test_the_owner_reads_it_back() -> None:
    """The description has no SHA-256: the format has none."""
    shelf = Shelf()
    entry = catalog_on(written(shelf)).read_own(ID, Wait())
    assert entry.file == FILE
    remote = entry.remote_file()
    assert (remote.name, remote.size, remote.chunks) == ("report.pdf", 20_000, 3)
    assert (remote.sha256, remote.owner, remote.created_at) == ("", "@alice", 1752597942.549)


def test_a_recipient_reads_it_through_their_own_server() -> None:
    """By the plain name; what comes is a record for them."""
    shelf = Shelf()
    written(shelf)
    pool = FakePool(lambda line: shelf("llookup:all:" + BOBS_KEY))
    entry = catalog_on(pool, "@bob").read_shared(ID, "@alice", Wait())
    assert pool.requests == [f"lookup:all:{OWN_KEY}"]
    assert (entry.file, entry.owner) == (FILE, "@alice")


def test_when_it_was_written_is_what_the_server_says_if_the_writer_does_not() -> None:
    """A time of the year 1970 would be none."""
    value, iv_nonce = seal_text(OWNER.key, '{"fileName":"a","fileSize":0,"totalChunks":0}')
    stamps = {"createdAt": "2026-11-24 07:09:22.919Z", "expiresAt": "2026-11-25 07:09:22.919Z"}
    found = {"key": OWN_KEY, "data": value, "metaData": {"ivNonce": iv_nonce, **stamps}}
    remote = catalog_on(FakePool(lambda line: json.dumps(found))).read_own(ID, Wait()).remote_file()
    assert remote.created_at == pytest.approx(1_795_504_162.919)
    assert remote.expires_at == pytest.approx(1_795_590_562.919)


EXPIRED = error_for("AT0015", "remote atServer returned String value 'null' for x@alice")


@pytest.mark.parametrize(
    ("me", "reply", "error"),
    [
        ("@alice", missing(), FileNotFound),
        ("@alice", "null", FileExpired),
        ("@alice", "nonsense", ChunkCorrupt),
        ("@bob", missing(), FileNotFound),
        ("@bob", EXPIRED, FileExpired),
        ("@bob", "[]", ChunkCorrupt),
    ],
)
def test_missing_expired_and_unreadable_are_told_apart(
    me: str, reply: Reply, error: type[TransferError]
) -> None:
    """By both who can read."""
    catalog = catalog_on(FakePool(lambda line: reply), me)
    own, shared = partial(catalog.read_own, ID), partial(catalog.read_shared, ID, "@alice")
    with pytest.raises(error):
        (own if me == "@alice" else shared)(Wait())


@pytest.mark.parametrize("key", [OWN_KEY, BOBS_KEY.replace(ID, "1_1"), BOBS_KEY])
def test_an_answer_to_another_question_is_not_believed(key: str) -> None:
    """Nor is one that doesn't open; both may be asked again."""
    value, iv_nonce = seal_text(bytes(32), FILE.to_text())
    metadata = {"ivNonce": iv_nonce, "sharedKeyEnc": BOB.wrapped}
    found = json.dumps({"key": key, "data": value, "metaData": metadata})
    with pytest.raises(ChunkCorrupt):
        catalog_on(FakePool(lambda line: found), "@bob").read_shared(ID, "@alice", Wait())


def test_recipients_are_those_of_this_file() -> None:
    """Neither the owner, nor another name space, nor a file whose id begins alike."""
    names = [OWN_KEY, BOBS_KEY, f"@carol:file_meta_{ID}.attalk@alice"]
    names += [f"@dave:file_meta_{ID}.x.attalk@alice", f"@erin:file_meta_{ID}0.attalk@alice"]
    names += [f"@frank:xfile_meta_{ID}.attalk@alice"]
    pool = FakePool(lambda line: json.dumps(names))
    assert catalog_on(pool).recipients(ID, Wait()) == ["@bob", "@carol"]
    assert ":" not in pool.requests[0]  # or the server refuses the expression (facts §5)


def announced(reply: Reply = "the-id", caption: Optional[str] = None) -> str:
    """Announce the file to @bob, and return the line."""
    pool = FakePool(lambda line: reply)
    catalog_on(pool).announce(Message("0a1b-2c", "the text", 86_400.0), BOB, Wait())
    return pool.requests[0]


def test_an_announcement_is_a_notification_of_the_chat() -> None:
    """With an id, so that a repetition is the same one (R10), and encrypted as any shared value."""
    head, _, rest = announced().partition(":ivNonce:")
    assert head == (
        "notify:id:0a1b-2c:update:messageType:key:ttln:86400000:isEncrypted:true"
        f":sharedKeyEnc:{BOB.wrapped}:pubKeyCS:{BOB.checksum}"
    )
    iv_nonce, recipient, key, value = rest.split(":")
    assert (recipient, key) == ("@bob", "message.attalk@alice")
    assert open_text(PAIR_KEY, value, iv_nonce) == "the text"


def test_an_announcement_that_fails_says_so() -> None:
    """As any request."""
    with pytest.raises(TransferError):
        announced(error_for("AT0011", "x"))
