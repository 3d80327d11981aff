"""Files in the AtTalk format against a server: up, down, for others, and what goes wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atxfer import Client
from atxfer._crypto.primitives import aes_256_ctr_pkcs7_seal, base64_encode
from atxfer._crypto.sharing import open_text, seal_text, unwrap_key
from atxfer._format.base2e15 import encode
from atxfer._net.pool import ConnectionPool
from atxfer._operations.reach import Reach
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import Update
from atxfer.config import MIB
from atxfer.devserver import DevServer
from atxfer.errors import (
    AccessDenied,
    AtSignNotFound,
    ChecksumMismatch,
    ChunkCorrupt,
    ChunkMissing,
    FileExpired,
    FileNotFound,
    FileTooLarge,
    ManifestInvalid,
    NotAuthorized,
    NotSupported,
    SharingFailed,
)
from atxfer.waiting import Wait
from tests.support.lines import keys_of as atkeys_of
from tests.support.worlds import client_of, content, sha256

SIZES = [0, 1, 8191, 8192, 8193, 20_000, 5 * MIB]


def fetched(client: Client, file: Any, **place: Any) -> bytes:
    """Return what a client downloads."""
    target = io.BytesIO()
    client.download(file, target, **place)
    return target.getvalue()


def all_keys(world: DevServer, atsign: str = "@alice") -> list[str]:
    """Return what an atSign has on its server."""
    return world.server(atsign).keys()


def keys_of(world: DevServer, atsign: str = "@alice") -> set[str]:
    """Return what an atSign has on its server of this format."""
    return {key for key in all_keys(world, atsign) if "file_" in key}


# --- there and back


@pytest.mark.parametrize("size", SIZES)
def test_every_size_comes_back_identical(alice: Client, tmp_path: Path, size: int) -> None:
    """At and around every boundary, from none to the most."""
    receipt = alice.upload(content(size), name="report.pdf", format="attalk")
    result = alice.download(receipt, tmp_path)
    assert (tmp_path / "report.pdf").read_bytes() == content(size)
    assert (receipt.chunks, receipt.chunk_size) == (-(-size // 8192), 8192)
    assert receipt.sha256 == sha256(content(size))
    assert result.file.sha256 == ""  # the format has none, so nobody can promise


@pytest.mark.parametrize("size", [0, 1, 8193, 100_000])
def test_a_recipient_reads_what_is_shared(alice: Client, bob: Client, size: int) -> None:
    """By the id and the sender's atSign, as the message tells them."""
    receipt = alice.upload(content(size), name="x", format="attalk", share_with=["@bob"])
    assert fetched(bob, receipt.file_id, from_="@alice") == content(size)


def test_records_lie_where_the_application_looks(alice: Client, crowd: DevServer) -> None:
    """Metadata and chunks, for the owner and for each recipient; nothing else is left behind."""
    share_with = ["@bob", "@carol"]
    receipt = alice.upload(content(20_000), name="x", format="attalk", share_with=share_with)
    names = [f"file_meta_{receipt.file_id}"]
    names += [f"file_chunk_{receipt.file_id}_{index}" for index in range(3)]
    fronts = ["", "@bob:", "@carol:"]
    assert keys_of(crowd) == {f"{front}{name}.attalk@alice" for front in fronts for name in names}
    for key in keys_of(crowd):
        metadata = crowd.server("@alice").metadata(key)
        assert metadata["ttl"] == 86_400_000
        assert metadata["isBinary"] == ("chunk" in key)
        assert metadata.get("ttr") is None


def test_the_receipt_and_the_description_agree(alice: Client, bob: Client) -> None:
    """For the owner and for the recipient."""
    receipt = alice.upload(content(20_000), name="x.pdf", format="attalk", share_with=["@bob"])
    for file in (alice.file(receipt), bob.file(receipt.file_id, from_="@alice")):
        assert (file.file_id, file.name, file.size) == (receipt.file_id, "x.pdf", 20_000)
        assert (file.owner, file.chunks, file.created_at) == ("@alice", 3, receipt.created_at)
        assert file.expires_at == pytest.approx(receipt.expires_at, abs=60)
        assert fetched(bob, file) == content(20_000) if file.owner != "@bob" else True


def test_another_name_space_is_another_place(alice: Client, bob: Client) -> None:
    """As the application's own, default.attalk; it is named on both sides."""
    there = {"namespace": "default.attalk"}
    receipt = alice.upload(b"x", name="x", format="attalk", share_with=["@bob"], **there)
    assert fetched(alice, receipt, **there) == b"x"
    assert fetched(bob, receipt.file_id, from_="@alice", **there) == b"x"
    assert alice.file(receipt, **there).size == 1
    with pytest.raises(FileNotFound, match="name space attalk"):
        alice.download(receipt, io.BytesIO())
    alice.delete(receipt, **there)
    with pytest.raises(FileNotFound):
        alice.file(receipt, **there)


def test_many_files_share_the_cap(alice: Client, crowd: DevServer) -> None:
    """upload_many and submit_upload take the format, too."""
    sources = [content(30_000, seed) for seed in range(4)]
    outcomes = list(alice.upload_many(sources, format="attalk"))
    assert all(outcome.ok for outcome in outcomes)
    receipt = alice.submit_upload(b"x", name="x", format="attalk").result(timeout=60)
    assert alice.submit_download(receipt, io.BytesIO()).result(timeout=60).file.size == 1
    assert crowd.counters.snapshot()["@alice"]["peak_in_flight"] <= 3


def test_delete_takes_all_of_it_away(alice: Client, bob: Client, crowd: DevServer) -> None:
    """Chunks, copies and metadata; another file stays."""
    kept = alice.upload(b"kept", name="kept", format="attalk")
    receipt = alice.upload(content(900_000), name="x", format="attalk", share_with=["@bob"])
    with pytest.raises(NotAuthorized):
        bob.delete(bob.file(receipt.file_id, from_="@alice"))
    alice.delete(receipt.file_id)
    assert len(keys_of(crowd)) == 2
    assert fetched(alice, kept) == b"kept"
    for client in (alice, bob):
        with pytest.raises(FileNotFound):
            client.file(receipt)


def test_nothing_on_the_server_is_in_the_clear(alice: Client, crowd: DevServer) -> None:
    """Neither the name, nor the content, nor the caption."""
    secret = b"SECRETCONTENT" * 100
    options = {"share_with": ["@bob"], "caption": "secretcaption"}
    alice.upload(secret, name="secretname.txt", format="attalk", **options)
    crowd.idle()
    stored = repr(list(crowd.server("@alice").values())) + repr(crowd.server("@bob").notices())
    for clear in ("secretname", "SECRETCONTENT", "secretcaption", encode(secret)[:8]):
        assert clear not in stored


# --- the message


def messages(world: DevServer, atsign: str) -> list[dict[str, Any]]:
    """Return the chat messages that an atSign was sent, opened as the platform's clients do.

    A notification that is kept has no ``sharedKeyEnc``: its key is what the sender holds for them.
    """
    world.idle()
    found = []
    for notice in world.server(atsign).notices():
        if notice["key"] == f"{atsign}:message.attalk@alice":
            wrapped = world.server("@alice").value(f"{atsign}:shared_key@alice") or ""
            key = unwrap_key(wrapped, atkeys_of(world, atsign).encryption_private)
            iv_nonce = notice["metadata"]["ivNonce"]
            found.append(json.loads(open_text(key, notice["value"], iv_nonce)))
    return found


def test_a_recipient_is_told_with_all_that_the_application_wants(
    alice: Client, crowd: DevServer
) -> None:
    """One message, once everything is stored."""
    options = {"format": "attalk", "share_with": ["@bob"], "caption": "look"}
    receipt = alice.upload(content(20_000), name="photo.jpg", **options)
    assert messages(crowd, "@bob") == [
        {
            "type": "file",
            "fileId": receipt.file_id,
            "fileName": "photo.jpg",
            "fileSize": 20_000,
            "mimeType": "image/jpeg",
            "attachmentType": "image",
            "caption": "look",
            "msg": "look",
            "isGroup": False,
            "group": ["@alice", "@bob"],
            "instanceId": "@alice,@bob",
            "from": "@alice",
        }
    ]


def test_several_recipients_are_a_group(alice: Client, crowd: DevServer) -> None:
    """All get the same message."""
    alice.upload(b"x", name="x", format="attalk", share_with=["@carol", "@bob"])
    (told,) = messages(crowd, "@bob")
    assert messages(crowd, "@carol") == [told]
    assert told["isGroup"] is True
    assert told["group"] == ["@alice", "@carol", "@bob"]
    assert told["instanceId"] == "@alice,@bob,@carol"
    assert told["msg"] == "Sent a file: x"


def test_nobody_is_told_of_a_file_for_oneself(alice: Client, crowd: DevServer) -> None:
    """There is nobody to tell."""
    alice.upload(b"x", name="x", format="attalk")
    assert messages(crowd, "@bob") == []


def test_an_answer_that_is_lost_tells_nobody_twice(alice: Client, crowd: DevServer) -> None:
    """A repeated announcement has the id of the first (R10)."""
    crowd.faults.play("drop-after", verbs={"notify"})
    alice.upload(b"x", name="x", format="attalk", share_with=["@bob"])
    assert len(messages(crowd, "@bob")) == 1


def test_nobody_is_told_of_a_file_that_is_not_there(alice: Client, crowd: DevServer) -> None:
    """The message comes after the last chunk, or not at all; what was stored can be removed."""
    options = {"name": "x", "format": "attalk", "share_with": ["@bob"]}
    alice.delete(alice.upload(b"x", **options))  # so that the key for @bob is there
    crowd.faults.play("ok ok AT0009", verbs={"batch"})
    with pytest.raises(AccessDenied) as caught:
        alice.upload(content(300_000), **options)
    assert len(messages(crowd, "@bob")) == 1
    assert caught.value.chunks_missing
    assert 0 < len(keys_of(crowd)) < 2 * 38
    assert crowd.faults.played
    alice.delete(caught.value.file_id)
    assert keys_of(crowd) == set()


def test_a_message_that_fails_is_told_and_the_file_is_there(
    alice: Client, bob: Client, crowd: DevServer
) -> None:
    """With the receipt, and with whom it failed; the others have theirs."""
    crowd.faults.play("AT0009", verbs={"notify"})
    with pytest.raises(SharingFailed, match="not announced to @") as caught:
        alice.upload(b"x", name="x", format="attalk", share_with=["@bob", "@carol"])
    receipt = caught.value.receipt
    assert len(caught.value.failures) == 1
    assert len(messages(crowd, "@bob")) + len(messages(crowd, "@carol")) == 1
    assert f"atxfer download {receipt.file_id} --from @alice" in caught.value.remedy
    assert fetched(bob, receipt.file_id, from_="@alice") == b"x"


# --- what is refused


def untouched(world: DevServer) -> bool:
    """Return whether no record of this format came to @alice's server, and nobody was told."""
    return keys_of(world) == set() and messages(world, "@bob") == []


@pytest.mark.parametrize("source", [bytes(5 * MIB + 1), "pipe"])
def test_a_file_that_is_too_large_is_refused_before_anything_is_sent(
    alice: Client, crowd: DevServer, source: Any
) -> None:
    """With the way out: the native format."""
    if source == "pipe":
        source = io.BufferedReader(_Endless())  # type: ignore[arg-type]
    with pytest.raises(FileTooLarge, match="5,242,880") as caught:
        alice.upload(source, name="x", format="attalk", share_with=["@bob"])
    assert "native format" in caught.value.remedy
    assert untouched(crowd)
    assert "shared_key.bob@alice" not in all_keys(crowd)


class _Endless(io.RawIOBase):
    """A source that never ends and can't seek."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return len(buffer)


def test_a_smaller_limit_of_the_user_s_own_is_told_as_such(crowd: DevServer) -> None:
    """max_file_size is the user's to change."""
    with (
        client_of(crowd, max_file_size=10) as client,
        pytest.raises(FileTooLarge, match="max_file_size"),
    ):
        client.upload(bytes(11), name="x", format="attalk")


def test_a_recipient_that_does_not_exist_is_told_before_anything_is_sent(
    alice: Client, crowd: DevServer
) -> None:
    """As in the native format."""
    with pytest.raises(AtSignNotFound):
        alice.upload(b"x", name="x", format="attalk", share_with=["@bob", "@nobody"])
    assert untouched(crowd)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ttl": 86_401.0}, "86400 seconds"),
        ({"ttl": 0.5}, "ttl"),
        ({"namespace": "a b"}, "can't be in a key"),
        ({"namespace": ""}, "name space"),
        ({"caption": "\ud800"}, "surrogates"),
        ({"name": "a\nb"}, "a name has"),
        ({"share_with": ["@alice"]}, "itself"),
        ({"format": "zip"}, "'native' or 'attalk'"),
        ({"format": "native", "caption": "x"}, "of format attalk"),
        ({"format": "native", "namespace": "x"}, "of format attalk"),
    ],
)
def test_what_the_format_does_not_allow_is_a_mistake(
    alice: Client, crowd: DevServer, options: dict[str, Any], words: str
) -> None:
    """Told at once, as of any wrong argument."""
    with pytest.raises(ValueError, match=words):
        alice.upload(b"x", **{"name": "x", "format": "attalk", **options})
    assert untouched(crowd)


def test_a_chunk_size_of_ones_own_is_a_mistake(crowd: DevServer) -> None:
    """8 KiB is the format's; to ask for it does no harm."""
    with client_of(crowd, chunk_size=8192) as client:
        assert fetched(client, client.upload(b"x", name="x", format="attalk")) == b"x"
    with (
        client_of(crowd, chunk_size=16_384) as client,
        pytest.raises(ValueError, match="8192 bytes"),
    ):
        client.upload(b"x", name="x", format="attalk")


@pytest.mark.parametrize(("config", "asked", "seconds"), [(None, None, 86_400), (60.0, None, 60)])
@pytest.mark.parametrize("ttl", [None, 600.0])
def test_a_file_lives_a_day_or_less(
    crowd: DevServer, config: Any, asked: Any, seconds: int, ttl: Any
) -> None:
    """Less where the configuration or the call says so."""
    with client_of(crowd, ttl=config) as client:
        receipt = client.upload(b"x", name="x", format="attalk", ttl=ttl)
    expected = seconds if ttl is None else 600
    assert receipt.expires_at - receipt.created_at == pytest.approx(expected)
    for key in keys_of(crowd):
        assert crowd.server("@alice").metadata(key)["ttl"] == expected * 1000


def test_what_the_format_cannot_do_is_told_as_such(alice: Client) -> None:
    """Extend, share later, and links are the native format's."""
    receipt = alice.upload(b"x", name="x", format="attalk")
    for call in (
        lambda: alice.extend(receipt, 60.0),
        lambda: alice.share(receipt, "@bob"),
        lambda: alice.link(receipt),
    ):
        with pytest.raises(NotSupported, match="format attalk"):
            call()


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("no-id", {"format": "attalk"}),
        ("ucq2fi5euwtkpkfjvkv2zlnov4", {"format": "attalk"}),
        ("ucq2fi5euwtkpkfjvkv2zlnov4", {"namespace": "attalk"}),
        ("1752597942549_9396", {"from_": "@a b"}),
        ("1752597942549_9396", {"namespace": "a:b"}),
        ("1752597942549_9396", {"format": "zip"}),
    ],
)
def test_a_place_that_cannot_be_is_a_mistake(
    alice: Client, file: str, options: dict[str, Any]
) -> None:
    """Told before anything is asked."""
    with pytest.raises(ValueError):  # noqa: PT011  # each has words of its own
        alice.download(file, io.BytesIO(), **options)


# --- what goes wrong


def test_an_expired_chunk_says_so(alice: Client, bob: Client, crowd: DevServer) -> None:
    """To the owner and to the recipient, with the chunk."""
    receipt = alice.upload(content(30_000), name="x", format="attalk", share_with=["@bob"])
    for front in ("", "@bob:"):
        crowd.server("@alice").expire(f"{front}file_chunk_{receipt.file_id}_2.attalk@alice")
    for client, place in ((alice, {}), (bob, {"from_": "@alice"})):
        with pytest.raises(FileExpired, match="chunk 2 has expired") as caught:
            client.download(receipt.file_id, io.BytesIO(), **place)
        assert caught.value.chunk == 2


def test_an_expired_file_says_so(alice: Client, bob: Client, crowd: DevServer) -> None:
    """To the owner and to the recipient."""
    receipt = alice.upload(b"x", name="x", format="attalk", share_with=["@bob"])
    for front in ("", "@bob:"):
        crowd.server("@alice").expire(f"{front}file_meta_{receipt.file_id}.attalk@alice")
    for client, place in ((alice, {}), (bob, {"from_": "@alice"})):
        with pytest.raises(FileExpired, match="a day at most"):
            client.download(receipt.file_id, io.BytesIO(), **place)


def test_a_missing_chunk_says_so(alice: Client, bob: Client, crowd: DevServer) -> None:
    """A file whose sender did not share it all, or whose upload is under way."""
    receipt = alice.upload(content(30_000), name="x", format="attalk", share_with=["@bob"])
    for front in ("", "@bob:"):
        crowd.server("@alice").remove(f"{front}file_chunk_{receipt.file_id}_1.attalk@alice")
    for client, place in ((alice, {}), (bob, {"from_": "@alice"})):
        with pytest.raises(ChunkMissing) as caught:
            client.download(receipt.file_id, io.BytesIO(), **place)
        assert caught.value.chunk == 1


def test_what_was_not_shared_cannot_be_had(alice: Client, bob: Client) -> None:
    """As early versions of the application leave every file."""
    receipt = alice.upload(b"x", name="x", format="attalk")
    with pytest.raises(FileNotFound, match="@alice has no file of this id for @bob"):
        bob.download(receipt.file_id, io.BytesIO(), from_="@alice")


def test_a_damaged_chunk_shows(alice: Client, crowd: DevServer, tmp_path: Path) -> None:
    """It is asked for once more, then told; nothing takes the target's name."""
    receipt = alice.upload(content(30_000), name="x", format="attalk")
    crowd.server("@alice").alter(f"file_chunk_{receipt.file_id}_1.attalk@alice", "QUJD")
    with pytest.raises(ChunkCorrupt) as caught:
        alice.download(receipt, tmp_path)
    assert (caught.value.chunk, caught.value.attempts) == (1, 2)
    assert list(tmp_path.iterdir()) == []


def test_answers_that_are_mixed_up_are_asked_for_once_more(
    bob: Client, alice: Client, crowd: DevServer
) -> None:
    """Another program of @bob's disturbs one look-up of the metadata, and one of a chunk."""
    receipt = alice.upload(content(30_000), name="x", format="attalk", share_with=["@bob"])
    crowd.faults.play("mixup ok ok mixup", verbs={"lookup"}, atsigns={"@bob"})
    assert fetched(bob, receipt.file_id, from_="@alice") == content(30_000)
    assert crowd.faults.played


def test_a_chunk_that_is_mixed_up_twice_is_told(
    bob: Client, alice: Client, crowd: DevServer, tmp_path: Path
) -> None:
    """Rather no file than one with a part twice."""
    receipt = alice.upload(content(30_000), name="x", format="attalk", share_with=["@bob"])
    crowd.faults.play("ok ok mixup mixup", verbs={"lookup"}, atsigns={"@bob"})
    with pytest.raises(ChunkCorrupt) as caught:
        bob.download(receipt.file_id, tmp_path, from_="@alice")
    assert (caught.value.chunk, caught.value.attempts) == (1, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_bad_line_harms_nothing(alice: Client, crowd: DevServer) -> None:
    """What fails passes, chunk by chunk."""
    crowd.faults.play("AT0011 drop-before drop-after missing", verbs={"batch"})
    receipt = alice.upload(content(400_000), name="x", format="attalk")
    assert receipt.statistics.retries
    crowd.faults.play("AT0011 drop-before missing", verbs={"batch"})
    assert fetched(alice, receipt) == content(400_000)


# --- what others have written


class Writer:
    """Another program of @alice's that writes files in this format."""

    def __init__(self, world: DevServer) -> None:
        keys = atkeys_of(world, "@alice")
        reach = Reach.of(f"{world.root_host}:{world.root_port}", world.ca_file, None)
        self.key = keys.self_key
        self.pool = ConnectionPool(
            reach.directory, "@alice", login=keys, context=reach.context, config=reach.config
        )

    def metadata(self, file_id: str, **members: Any) -> None:
        """Write the metadata."""
        value, iv_nonce = seal_text(self.key, json.dumps(members))
        self._put(f"file_meta_{file_id}", value, Metadata(ttl_ms=60_000, iv_nonce=iv_nonce))

    def chunk(self, file_id: str, index: int, data: bytes) -> None:
        """Write a chunk as the Dart client does by default: with an IV of zeros, and no nonce."""
        text = encode(data).encode("utf-8")
        value = base64_encode(aes_256_ctr_pkcs7_seal(self.key, bytes(16), text))
        metadata = Metadata(ttl_ms=60_000, is_binary=True, is_encrypted=True)
        self._put(f"file_chunk_{file_id}_{index}", value, metadata)

    def _put(self, name: str, value: str, metadata: Metadata) -> None:
        key = AtKey.self_(name, "@alice", "attalk")
        self.pool.ask(Update(key, value, metadata), Wait())


@pytest.fixture
def writer(crowd: DevServer) -> Iterator[Writer]:
    """Return another program of @alice's."""
    writer = Writer(crowd)
    yield writer
    writer.pool.close()


ID = "1752597942549_9396"


def test_a_file_that_the_dart_client_wrote_is_read(alice: Client, writer: Writer) -> None:
    """Zero IV, no ivNonce, no mimeType, and no time."""
    writer.metadata(ID, fileName="dart.bin", fileSize=20_000, totalChunks=3)
    for index in range(3):
        writer.chunk(ID, index, content(20_000)[8192 * index : 8192 * (index + 1)])
    assert fetched(alice, ID) == content(20_000)
    assert alice.file(ID).created_at > 1.6e9


@pytest.mark.parametrize("lengths", [[20_000], [5000, 15_000], [1] * 40, [9000, 1, 0, 999]])
def test_chunks_of_any_length_are_read(alice: Client, writer: Writer, lengths: list[int]) -> None:
    """The number of chunks in the record counts."""
    data, start = content(sum(lengths)), 0
    writer.metadata(ID, fileName="x", fileSize=len(data), totalChunks=len(lengths))
    for index, length in enumerate(lengths):
        writer.chunk(ID, index, data[start : start + length])
        start += length
    assert fetched(alice, ID) == data


@pytest.mark.parametrize("size", [9_999, 10_001])
def test_a_file_of_another_length_is_refused(
    alice: Client, writer: Writer, tmp_path: Path, size: int
) -> None:
    """The length is all that the format knows of the whole."""
    writer.metadata(ID, fileName="x", fileSize=size, totalChunks=2)
    for index in range(2):
        writer.chunk(ID, index, bytes(5000))
    with pytest.raises(ChecksumMismatch):
        alice.download(ID, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a\nb", ".."])
def test_a_hostile_name_is_refused(
    alice: Client, writer: Writer, tmp_path: Path, name: str
) -> None:
    """Before anything is written."""
    writer.metadata(ID, fileName=name, fileSize=1, totalChunks=1)
    with pytest.raises(ManifestInvalid) as caught:
        alice.download(ID, tmp_path)
    assert caught.value.file_id == ID
    assert list(tmp_path.iterdir()) == []
