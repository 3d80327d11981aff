"""docs/format.md says what the program does: its examples, members, limits and errors."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

import atxfer.errors
from atxfer._format.manifest import MAX_CHUNK_SIZE, MAX_CHUNKS, MAX_MANIFEST_BYTES, MAX_NAME_BYTES
from atxfer._format.sealing import SEAL_OVERHEAD
from tests.support.vectors import format_vectors

PAGE = (Path(__file__).parent.parent.parent / "docs" / "format.md").read_text("utf-8")
CHUNK = format_vectors()["chunks"][0]
MANIFEST = format_vectors()["manifests"][0]


@pytest.mark.parametrize(
    "member", ["file_id", "additional", "plain_hex", "nonce_hex", "sealed_hex", "key", "value"]
)
def test_the_worked_chunk_is_the_vectors(member: str) -> None:
    """Who follows the example on the page gets the bytes of the vectors."""
    assert CHUNK[member] in PAGE


def test_the_worked_id_is_the_vectors() -> None:
    """The page shows the id of these bytes."""
    example = format_vectors()["file_ids"][1]
    assert f"bytes    {example['bytes_hex']}\nfile id  {example['file_id']}" in PAGE


def test_the_worked_manifest_is_the_vectors() -> None:
    """The page shows the body that is signed, and what its hash is."""
    assert MANIFEST["signed"] in PAGE
    assert hashlib.sha256(MANIFEST["signed"].encode("utf-8")).hexdigest() in PAGE


def test_the_page_lists_the_members_of_a_manifest() -> None:
    """No member is missing in the table, and none is too many."""
    table = PAGE.partition("## The manifest")[2].partition("**Names**")[0]
    listed = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(listed) == sorted([*json.loads(MANIFEST["text"]), "shared_at_ms"])


def test_the_page_names_the_limits() -> None:
    """The numbers on the page are those that the program checks."""
    assert (MAX_CHUNKS, MAX_CHUNK_SIZE, SEAL_OVERHEAD) == (2**24, 2**30, 12 + 16)
    words = " ".join(PAGE.split())
    for limit in ("at most 2²⁴ chunks", "1 to 2³⁰", "nonce (12)", "tag (16)"):
        assert limit in words
    assert f"at most {MAX_MANIFEST_BYTES:,} bytes" in words
    assert f"1 to {MAX_NAME_BYTES} bytes of UTF-8" in words


def test_the_page_names_errors_that_exist() -> None:
    """Each error of the table can be caught by this name."""
    table = PAGE.partition("## Errors")[2].partition("## Versions")[0]
    names = re.findall(r"\| `(\w+)`", table)
    assert len(names) == 12
    assert set(names) <= set(atxfer.errors.__all__)
