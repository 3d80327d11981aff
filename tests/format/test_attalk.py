"""The AtTalk format: what is written is the application's to the byte; what is read may be odd."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from atxfer._format.attalk import (
    CHUNK_SIZE,
    MAX_SIZE,
    TTL,
    Description,
    announcement,
    attachment_type,
    chunk_name,
    is_attalk_id,
    metadata_name,
    new_id,
)
from atxfer._format.base2e15 import encode
from atxfer._format.manifest import is_file_id, new_file_id
from atxfer.errors import ManifestInvalid

ID = "1752597942549_9396"
PDF = Description("report.pdf", 20_000, 3, "application/pdf", 1752597942.549)


def test_the_limits_are_those_of_the_application() -> None:
    """8 KiB, 5 MiB, a day."""
    assert (CHUNK_SIZE, MAX_SIZE, TTL) == (8192, 5 * 1024 * 1024, 86_400.0)


@pytest.mark.parametrize(
    ("size", "characters", "stored"), [(8192, 4370, 17496), (3616, 1929, 7724)]
)
def test_a_chunk_grows_as_the_dart_client_has_it_grow(
    size: int, characters: int, stored: int
) -> None:
    """Base2e15, UTF-8, a padding of 1 to 16 bytes, base64: as measured of the Dart client."""
    text = encode(bytes(size))
    padded = len(text.encode("utf-8")) // 16 * 16 + 16
    assert (len(text), -(-padded // 3) * 4) == (characters, stored)


# --- ids and names


def test_an_id_is_a_time_and_a_draw() -> None:
    """Milliseconds since 1970, and a number below 10,000."""
    ids = {new_id(1752597942.549, Random(seed)) for seed in range(50)}  # noqa: S311
    assert all(is_attalk_id(file_id) for file_id in ids)
    assert {file_id.partition("_")[0] for file_id in ids} == {"1752597942549"}
    assert len(ids) > 40


@pytest.mark.parametrize("text", [ID, "1_0", "1752597942549_0", "1752597942549_9999"])
def test_what_is_an_id(text: str) -> None:
    """Both numbers as Dart writes them, in decimal."""
    assert is_attalk_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "_", "1_", "_1", "0_1", "-1_1", "1_1\n", "\u0661_\u0661", f"{ID}.attalk", f" {ID}"]
    + [f"1752597942549_{draw}" for draw in ("10000", "01", "455421")]
    + ["11111111111111111_1"],
)
def test_what_is_no_id(text: str) -> None:
    """Above all nothing that could be more than a part of a key's name."""
    assert not is_attalk_id(text)


def test_no_id_is_of_both_formats() -> None:
    """So that an id says of itself how its file is kept."""
    assert not is_file_id(ID)
    assert not is_attalk_id(new_file_id())


def test_names_of_keys() -> None:
    """As the application looks them up."""
    assert metadata_name(ID) == "file_meta_1752597942549_9396"
    assert chunk_name(ID, 12) == "file_chunk_1752597942549_9396_12"


# --- metadata


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (
            PDF,
            (
                '{"fileName":"report.pdf","fileSize":20000,"totalChunks":3,'
                '"mimeType":"application/pdf","uploadTimestamp":1752597942549}'
            ),
        ),
        (
            Description('a "b" 😀 ä', 0, 0, None, 1.0),
            (
                r'{"fileName":"a \"b\" 😀 ä","fileSize":0,"totalChunks":0,'
                '"mimeType":null,"uploadTimestamp":1000}'
            ),
        ),
    ],
)
def test_metadata_is_written_byte_for_byte_as_dart_does(file: Description, text: str) -> None:
    """Order, no spaces, null and not left out, nothing escaped but what must be."""
    assert file.to_text() == text
    assert Description.from_text(text) == file


@pytest.mark.parametrize(
    ("size", "chunks"), [(0, 0), (1, 1), (8191, 1), (8192, 1), (8193, 2), (MAX_SIZE, 640)]
)
def test_the_number_of_chunks_is_counted(size: int, chunks: int) -> None:
    """An empty file has metadata and no chunk."""
    assert Description.of("a", size, None, 1.0).chunks == chunks


def changed(**members: Any) -> str:
    """Return the metadata with some members set, or with `...` left out."""
    found = {**json.loads(PDF.to_text()), **members}
    return json.dumps({name: value for name, value in found.items() if value is not ...})


def test_a_writer_may_leave_out_what_nobody_needs() -> None:
    """No mimeType, no time, other members, other spaces, another order."""
    file = Description.from_text(changed(mimeType=..., uploadTimestamp=..., groupName="x"))
    assert (file.name, file.size, file.chunks) == ("report.pdf", 20_000, 3)
    assert (file.mime_type, file.uploaded_at) == (None, None)


@pytest.mark.parametrize("chunks", [1, 2, 3, 7, 20_000])
def test_chunks_of_any_length_are_read(chunks: int) -> None:
    """The number in the record counts, not what 8 KiB would give."""
    assert Description.from_text(changed(totalChunks=chunks)).chunks == chunks


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{", '"x"', "{}", "[" * 100_000, changed(note="x" * 70_000)]
    + [
        changed(fileName=name)
        for name in (..., None, 3, "", "..", "../x", "a/b", "a\nb", "a\u202eb")
    ]
    + [changed(fileSize=size) for size in (..., None, "20000", 2e4, True, -1, 0, 2, 2**53)]
    + [changed(totalChunks=chunks) for chunks in (..., None, "3", 3.0, True, -1, 0, 20_001)]
    + [changed(mimeType=3), changed(uploadTimestamp="now"), changed(uploadTimestamp=-1)]
    + [changed(uploadTimestamp=2**60), changed(uploadTimestamp=1.5)]
    + [changed(fileSize=2**50, totalChunks=2**40), changed(fileSize=0, totalChunks=1)],
)
def test_what_is_no_metadata_is_refused(text: str) -> None:
    """Hostile names, sizes that contradict each other, other types, no JSON."""
    with pytest.raises(ManifestInvalid):
        Description.from_text(text)


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 256, "a\x00b"])
def test_a_name_that_could_not_be_read_is_not_written(name: str) -> None:
    """Both sides have the same rule."""
    with pytest.raises(ValueError, match="name"):
        Description.of(name, 1, None, 1.0)


# --- announcement


def message(recipients: Sequence[str], caption: str | None = None) -> str:
    """Return how @alice announces her report."""
    return announcement(ID, PDF, sender="@alice", recipients=recipients, caption=caption)


def test_an_announcement_is_written_byte_for_byte_as_dart_does() -> None:
    """All members in the application's order; without a caption an empty one."""
    assert message(["@bob"]) == (
        '{"type":"file","fileId":"1752597942549_9396","fileName":"report.pdf","fileSize":20000,'
        '"mimeType":"application/pdf","attachmentType":"document","caption":"",'
        '"msg":"Sent a file: report.pdf","isGroup":false,"group":["@alice","@bob"],'
        '"instanceId":"@alice,@bob","from":"@alice"}'
    )


def test_a_caption_is_the_message() -> None:
    """It stands in two members, escaped as JSON demands and no further."""
    told = message(["@bob"], 'look: "ü"\n\x01')
    assert r'"caption":"look: \"ü\"\n\u0001","msg":"look: \"ü\"\n\u0001"' in told


def test_from_three_members_on_it_is_a_group() -> None:
    """Its id is the members sorted, whoever sends."""
    told = json.loads(message(["@zoe", "@bob"]))
    assert told["isGroup"] is True
    assert told["group"] == ["@alice", "@zoe", "@bob"]
    assert told["instanceId"] == "@alice,@bob,@zoe"


def test_members_are_sorted_as_dart_sorts() -> None:
    """By UTF-16 units: an emoji stands before some signs that Python puts before it."""
    told = json.loads(message(["@\ufe0f", "@😀"]))
    assert told["instanceId"] == "@alice,@😀,@\ufe0f"


@pytest.mark.parametrize(
    ("mime_type", "kind"),
    [
        ("image/jpeg", "image"),
        ("audio/mpeg", "audio"),
        ("video/mp4", "video"),
        ("text/csv", "document"),
        ("application/pdf", "document"),
        ("application/msword", "document"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "document"),
        ("application/zip", "other"),
        ("application/json", "other"),
        (None, "other"),
    ],
)
def test_the_kind_of_attachment_follows_from_the_content(mime_type: str | None, kind: str) -> None:
    """As the application derives it."""
    assert attachment_type(mime_type) == kind
