"""Link records and notes: what is sent, and what is found again."""

from __future__ import annotations

import pytest

from atxfer._catalog.links import AtServerLinks
from atxfer._format.link import Link
from atxfer._format.manifest import Manifest
from atxfer._net.records import Records
from atxfer.errors import ServerFault
from atxfer.waiting import Wait
from tests.catalog.test_atserver import ID, MANIFEST
from tests.support.pools import FakePool
from tests.support.shelves import Shelf
from tests.support.vectors import alice_keys

LINK = Link("@alice", ID, bytes(range(32)))
RECORD, NOTE = f"public:_link.{ID}.atxfer@alice", f"{ID}.links.atxfer@alice"


def links_on(shelf: Shelf) -> AtServerLinks:
    """Return @alice's links."""
    return AtServerLinks(Records(FakePool(shelf)), alice_keys())  # type: ignore[arg-type]


def test_a_link_leads_to_the_signed_manifest() -> None:
    """Under a key that is in no scan; only the link's key opens it."""
    shelf = Shelf()
    links_on(shelf).write(LINK, MANIFEST, 60.0, Wait())
    value, metadata = shelf.records[RECORD]
    assert metadata == {"ttl": 60000}
    manifest = Manifest.from_text(
        LINK.open(value), alice_keys().verify_data, expected_owner="@alice", expected_file_id=ID
    )
    assert manifest == MANIFEST


def test_the_link_is_found_again() -> None:
    """By the owner, whose note nobody else can read."""
    shelf = Shelf()
    assert links_on(shelf).find(ID, Wait()) is None
    links_on(shelf).write(LINK, MANIFEST, None, Wait())
    assert links_on(shelf).find(ID, Wait()) == LINK
    assert str(LINK).partition("#")[2] not in str(shelf.records)


@pytest.mark.parametrize("value", ["no base64", "AAAA", "x" * 64])
def test_a_note_that_can_not_be_read_counts_as_none(value: str) -> None:
    """Then the link is made anew."""
    shelf = Shelf()
    links_on(shelf).write(LINK, MANIFEST, None, Wait())
    shelf.records[NOTE] = value, shelf.records[NOTE][1]
    assert links_on(shelf).find(ID, Wait()) is None


def test_remove_leaves_nothing() -> None:
    """Neither the record nor the note; a second time does no harm."""
    shelf = Shelf()
    links_on(shelf).write(LINK, MANIFEST, None, Wait())
    links_on(shelf).remove(ID, Wait())
    links_on(shelf).remove(ID, Wait())
    assert shelf.records == {}


@pytest.mark.parametrize("lost", [RECORD, NOTE], ids=["record", "note"])
def test_half_a_link_is_none(lost: str) -> None:
    """Without its record it leads nowhere, without its note nobody could revoke it."""
    shelf = Shelf()
    shelf.lost.add(lost)
    with pytest.raises(ServerFault):
        links_on(shelf).write(LINK, MANIFEST, None, Wait())
