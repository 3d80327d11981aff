"""Links: one line, read strictly, and a record that only it opens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atxfer._crypto.primitives import base64_decode, base64_encode
from atxfer._format.link import Link, is_link
from atxfer._format.manifest import new_file_id
from atxfer.errors import ManifestInvalid

ID = "ucq2fi5euwtkpkfjvkv2zlnov4"
KEY = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8"
TEXT = f"atxfer://alice/{ID}#{KEY}"
LINK = Link("@alice", ID, bytes(range(0x40, 0x60)))


def test_the_form_of_a_link() -> None:
    """Owner, file id, and behind the # the key, which no server is ever told."""
    assert str(LINK) == TEXT
    assert Link.parse(TEXT) == LINK


@pytest.mark.parametrize(
    "text",
    [
        f"  {TEXT}\n",
        TEXT.replace("alice", "@alice"),
        TEXT.replace("alice", "ALICE"),
        TEXT.replace("atxfer:", "ATXFER:"),
    ],
)
def test_what_mail_and_shells_do_to_a_link_does_no_harm(text: str) -> None:
    """White space around it, capitals in the name, an @ in front."""
    assert Link.parse(text) == LINK


@pytest.mark.parametrize(
    "text",
    [
        "",
        "atxfer:",
        f"https://alice/{ID}#{KEY}",
        f"atxfer:///{ID}#{KEY}",
        f"atxfer://alice/{ID}",
        f"atxfer://alice/{ID[:-1]}#{KEY}",
        f"atxfer://alice/{ID}#{KEY[:-1]}",
        f"atxfer://alice/{ID}#{KEY}A",
        f"atxfer://alice/{ID}?a=b#{KEY}",
        f"atxfer://alice/../{ID}#{KEY}",
        f"atxfer://[alice/{ID}#{KEY}",
    ],
)
def test_what_is_no_link_is_refused(text: str) -> None:
    """As misuse, and without quoting what may be a key."""
    with pytest.raises(ValueError, match=r"link|URL|cut short") as caught:
        Link.parse(text)
    assert KEY not in str(caught.value)


@given(st.binary(min_size=32, max_size=32), st.sampled_from(["@alice", "@bob-2", "@🦄"]))
def test_every_link_is_read_back(key: bytes, owner: str) -> None:
    """Whatever its key, and emojis in the atSign too."""
    link = Link(owner, new_file_id(), key)
    assert str(link).isascii()
    assert Link.parse(str(link)) == link


def test_what_is_a_link_is_seen_by_its_scheme() -> None:
    """So that a damaged link is told as one, not as an unknown file id."""
    assert is_link("atxfer:nonsense")
    assert not is_link(ID)


def test_a_record_opens_with_its_link_alone() -> None:
    """Another key, another file, another owner, another bit: none opens it."""
    value = LINK.seal("manifest")
    assert LINK.open(value) == "manifest"
    data = base64_decode(value)
    others = [Link("@alice", ID, bytes(32)), Link("@alice", new_file_id(), LINK.key)]
    others.append(Link("@bob", ID, LINK.key))
    for other in others:
        with pytest.raises(ManifestInvalid):
            other.open(value)
    for damaged in (data[:-1] + bytes([data[-1] ^ 1]), data[:5], b""):
        with pytest.raises(ManifestInvalid):
            LINK.open(base64_encode(damaged))


def test_the_key_is_in_no_repr() -> None:
    """Who holds it can read the file."""
    assert KEY not in repr(LINK)
    assert repr(LINK.key) not in repr(LINK)
