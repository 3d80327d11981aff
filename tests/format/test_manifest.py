"""A manifest is read only as its owner signed it, and only if the format allows it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import FrozenInstanceError, replace
from typing import Any, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atxfer._format.manifest import (
    COMPLETE,
    MAX_CHUNK_SIZE,
    MAX_MANIFEST_BYTES,
    UPLOADING,
    Manifest,
    chunk_name,
    is_file_id,
    is_name,
    manifest_name,
    new_file_id,
    new_file_key,
)
from atxfer.errors import ManifestInvalid
from atxfer.model import chunk_count
from tests.support.vectors import alice_keys, sign_as_bob

FILE_ID = "uci2fi5euwtkpkfjvkv2zlnoq4"
KEYS = alice_keys()


def a_manifest(**changes: Any) -> Manifest:
    """Return a small complete manifest of @alice's, some of it changed."""
    values: dict[str, Any] = {
        "file_id": FILE_ID,
        "name": "report.pdf",
        "size": 100_000,
        "chunk_size": 8192,
        "chunks": 13,
        "file_key": bytes(range(32)),
        "sha256": "0" * 64,
        "state": COMPLETE,
        "owner": "@alice",
        "created_at": 1_790_000_000.123,
    }
    return Manifest(**{**values, **changes})


def read(text: str, verify: Callable[[bytes, bytes], bool] = KEYS.verify_data) -> Manifest:
    """Return what a reader makes of a text who wants @alice's one file."""
    return Manifest.from_text(text, verify, expected_owner="@alice", expected_file_id=FILE_ID)


def any_signature(signature: bytes, data: bytes) -> bool:
    """Stand for a reader whose owner signs whatever comes, to reach the checks behind."""
    return True


def trusted(body: str) -> str:
    """Return a text that :func:`any_signature` takes as signed."""
    return body[:-1] + ',"signature":"AAAA"}'


# --- ids, keys, names


def test_ids_and_keys_are_new_each_time() -> None:
    """128 random bits name a file, 256 seal its chunks."""
    ids = {new_file_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(is_file_id(text) and len(text) == 26 for text in ids)
    keys = {new_file_key() for _ in range(200)}
    assert {len(key) for key in keys} == {32}
    assert len(keys) == 200


@pytest.mark.parametrize(
    "text", ["", FILE_ID[:25], FILE_ID + "a", FILE_ID.upper(), FILE_ID + "\n", "0" * 26, "é" * 26]
)
def test_other_texts_are_no_file_ids(text: str) -> None:
    """An id becomes part of a key on a server, so its form is exact."""
    assert not is_file_id(text)


def test_keys_of_records_are_told_apart() -> None:
    """A chunk's key begins with the underscore that hides it; a manifest's key does not."""
    assert chunk_name(FILE_ID, 12) == f"_12.{FILE_ID}"
    assert manifest_name(FILE_ID) == f"{FILE_ID}.files"


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_an_accepted_name_stays_in_its_directory(name: str) -> None:
    """Whatever is accepted is one printable path component of at most 255 bytes."""
    if is_name(name):
        assert 0 < len(name.encode("utf-8")) <= 255
        assert name not in (".", "..")
        assert not set(name) & {"/", "\\", "\0", "\n", "\r", "\t", "\x1b", "\u202e"}


# --- round trip


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp"]), min_size=1
).filter(is_name)
LOCATIONS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=20),
    max_size=4,
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Draw any manifest of this file of @alice's."""
    size = draw(st.integers(0, 1 << 40))
    chunk_size = draw(st.integers(max(1, size >> 23), MAX_CHUNK_SIZE))
    complete = draw(st.booleans())
    return a_manifest(
        name=draw(NAMES),
        size=size,
        chunk_size=chunk_size,
        chunks=chunk_count(size, chunk_size),
        file_key=draw(st.binary(min_size=32, max_size=32)),
        sha256=draw(st.binary(min_size=32, max_size=32)).hex() if complete else "",
        state=COMPLETE if complete else UPLOADING,
        created_at=draw(st.floats(0, 1e11)),
        location=draw(LOCATIONS),
    )


@given(manifests())
@settings(max_examples=50, deadline=None)
def test_round_trip(manifest: Manifest) -> None:
    """What is written is read as the same, in one line of JSON."""
    text = manifest.to_text(KEYS.sign_data)
    assert read(text) == manifest
    assert "\n" not in text
    assert json.loads(text)["name"] == manifest.name


def test_times_are_kept_to_the_millisecond() -> None:
    """Other languages keep integers exactly, so the text has milliseconds."""
    manifest = a_manifest(created_at=1_790_000_000.123456)
    assert manifest.created_at == 1_790_000_000.123
    assert read(manifest.to_text(KEYS.sign_data)).created_at == 1_790_000_000.123


def test_the_two_phases_differ_in_state_and_hash_only() -> None:
    """The second writing completes the first."""
    first = a_manifest(state=UPLOADING, sha256="")
    second = replace(first, state=COMPLETE, sha256="f" * 64)
    assert read(second.to_text(KEYS.sign_data)) == second
    assert read(first.to_text(KEYS.sign_data)) == first


# --- the signature


def test_another_signer_is_refused() -> None:
    """A manifest that @bob signed is not @alice's, though it says so."""
    with pytest.raises(ManifestInvalid, match="not signed by its owner") as caught:
        read(a_manifest().to_text(sign_as_bob))
    assert caught.value.file_id == FILE_ID


SIGNED = a_manifest().to_text(KEYS.sign_data)


@given(st.integers(0, len(SIGNED) - 1), st.characters(codec="utf-8"))
@settings(max_examples=200, deadline=None)
def test_any_changed_character_is_noticed(place: int, character: str) -> None:
    """The platform's encryption has no tag; the signature notices what it can't."""
    text = SIGNED[:place] + character + SIGNED[place + 1 :]
    if text == SIGNED:
        assert read(text) == a_manifest()
    else:
        with pytest.raises(ManifestInvalid):
            read(text)


@given(st.integers(0, len(SIGNED) - 1))
@settings(max_examples=50, deadline=None)
def test_a_truncated_text_is_noticed(length: int) -> None:
    """A value that was cut off somewhere is no manifest."""
    with pytest.raises(ManifestInvalid):
        read(SIGNED[:length])


def test_a_signature_inside_the_body_counts_for_nothing() -> None:
    """A text with an old signature within is verified by the one at its end."""
    stuffed = SIGNED[:-1] + ',"signature":"AAAA"}'
    with pytest.raises(ManifestInvalid, match="not signed by its owner"):
        read(stuffed)
    assert read(stuffed, any_signature) == a_manifest()


def test_a_signature_has_one_form() -> None:
    """Base64 with stray bits at its end decodes to the same bytes, and is refused."""
    assert SIGNED[-5] in "AQgw"  # 256 bytes leave four bits unused
    with pytest.raises(ManifestInvalid, match="no signature at its end"):
        read(SIGNED[:-5] + chr(ord(SIGNED[-5]) + 1) + SIGNED[-4:])


# --- whose, and which


@pytest.mark.parametrize("changes", [{"owner": "@mallory"}, {"file_id": "a" * 26}])
def test_a_sound_manifest_of_another_file_is_refused(changes: dict[str, str]) -> None:
    """A server that answers with another record doesn't pass it off as this one."""
    text = a_manifest(**changes).to_text(KEYS.sign_data)
    with pytest.raises(ManifestInvalid, match="another file's"):
        read(text)


def test_a_later_version_asks_for_an_upgrade() -> None:
    """The remedy is the program's, whatever else such a manifest holds, and however it's signed."""
    with pytest.raises(ManifestInvalid, match="version") as caught:
        read(trusted('{"version":2}'))
    assert caught.value.remedy == "Upgrade atxfer."
    assert caught.value.file_id == FILE_ID


# --- hostile texts


@given(st.text() | st.text(st.characters()).map(trusted))
@settings(max_examples=200, deadline=None)
def test_hostile_texts_give_one_error(text: str) -> None:
    """Whatever a server answers for a manifest, only ManifestInvalid comes out of it."""
    with pytest.raises(ManifestInvalid):
        read(text, any_signature)


GOOD = json.loads(SIGNED)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=30)
    | st.sampled_from(
        [2**53, -1, 0, 10**400, "\ud800", "..", UPLOADING, "@alice\n", GOOD["sha256"]]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)) | st.text(max_size=5), VALUES, max_size=4))
@settings(max_examples=300, deadline=None)
def test_hostile_members_give_one_error(changes: dict[str, Any]) -> None:
    """Signed or not, a member of any type and size gives a valid manifest or ManifestInvalid."""
    body = json.dumps({**GOOD, **changes})
    with contextlib.suppress(ManifestInvalid):
        manifest = read(trusted(body), any_signature)
        assert (manifest.owner, manifest.file_id) == ("@alice", FILE_ID)
        assert is_name(manifest.name)


@pytest.mark.parametrize(
    "body",
    [
        "[" * 30_000 + "]" * 30_000,
        '{"a":' * 12_000 + "1" + "}" * 12_000,
        '{"version":' + "9" * 20_000 + "}",
        "{}",
        "}",
        "",
        '"version"',
        '{"version":"\ud800"}',
        json.dumps({**GOOD, "created_at_ms": 10**400}),
    ],
)
def test_pathological_json_is_refused(body: str) -> None:
    """Depth, digits and stray surrogates end in the one error, not in the interpreter's."""
    with pytest.raises(ManifestInvalid):
        read(trusted(body), any_signature)


def test_a_large_text_is_refused_before_it_is_parsed() -> None:
    """A reader spends no more than 64 KiB of work on what a server sends."""
    with pytest.raises(ManifestInvalid, match=f"more than {MAX_MANIFEST_BYTES} bytes"):
        read(trusted("[" * MAX_MANIFEST_BYTES), any_signature)


# --- what a writer can't make


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"file_id": "x"}, "file id"),
        ({"name": "../passwd"}, "no path separator"),
        ({"name": "\udcff.txt"}, "no control character"),
        ({"size": -1}, "a size is from 0"),
        ({"chunk_size": 0}, "a size is from 0"),
        ({"chunks": 12}, "number of chunks"),
        ({"size": 1 << 25, "chunk_size": 1, "chunks": 1 << 25}, "chunk size is too small"),
        ({"file_key": b"short"}, "32 bytes"),
        ({"state": "half"}, "uploading or complete"),
        ({"sha256": ""}, "SHA-256"),
        ({"state": UPLOADING}, "SHA-256"),
        ({"owner": "alice"}, "atSign"),
        ({"owner": "@Alice"}, "atSign"),
        ({"created_at": -1.0}, "since 1970"),
        ({"created_at": float("nan")}, "since 1970"),
        ({"created_at": float("inf")}, "since 1970"),
    ],
)
def test_a_manifest_that_exists_is_valid(changes: dict[str, Any], why: str) -> None:
    """What no reader would take can't be made, so it can't be written."""
    with pytest.raises(ValueError, match=why):
        a_manifest(**changes)


@pytest.mark.parametrize("location", [{"x": "y" * MAX_MANIFEST_BYTES}, {"x": float("nan")}])
def test_a_location_that_no_reader_takes_is_not_written(location: dict[str, Any]) -> None:
    """It is too large, or no JSON."""
    with pytest.raises(ValueError, match=r"at most|JSON compliant"):
        a_manifest(location=location).to_text(KEYS.sign_data)


def test_a_manifest_does_not_change() -> None:
    """It is a value; and its key is in no repr."""
    manifest = a_manifest()
    with pytest.raises(FrozenInstanceError):
        manifest.size = 1  # type: ignore[misc]
    assert "key" not in repr(manifest)
    assert "sha256" in repr(manifest)


def test_an_error_never_quotes_the_text() -> None:
    """It holds the file key; neither the message nor a cause shows it."""
    key = GOOD["file_key"]
    for text in (SIGNED.replace("13", "14"), SIGNED[:-400], trusted(SIGNED[:-1] + ",}")):
        with pytest.raises(ManifestInvalid) as caught:
            read(text, any_signature)
        assert key not in f"{caught.value}{caught.value.__cause__!r}"
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
