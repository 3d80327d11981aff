"""Names: atSigns and keys."""

from __future__ import annotations

import pytest

from atxfer.atprotocol.atkey import MAX_KEY_LENGTH, AtKey, normalise_atsign

WHOLE_KEYS = [
    "k1.atxfer@alice",
    "nonamespace@alice",
    "public:p1.atxfer@alice",
    "public:_p2.atxfer@alice",
    "public:__p3.atxfer@alice",
    "public:publickey@alice",
    "@bob:s1.files.atxfer@alice",
    "cached:@bob:s1.files.atxfer@alice",
    "cached:public:p1.atxfer@alice",
    "@alice:signing_privatekey@alice",
    "shared_key.bob@alice",
    "privatekey:at_pkam_publickey",
    "private:blocklist@alice",
    "5093f246-4ea3.default_enc_private_key.__manage@alice",
    "i_❤.atxfer@😀",
]


@pytest.mark.parametrize("text", WHOLE_KEYS)
def test_a_whole_key_is_read_and_written_alike(text: str) -> None:
    """What a server lists reads back to the same text."""
    assert str(AtKey.parse(text)) == text


def test_constructors_make_the_three_kinds() -> None:
    """Public, self and shared keys stand in the application's name space unless told otherwise."""
    assert str(AtKey.public("a", "@alice")) == "public:a.atxfer@alice"
    assert str(AtKey.public("a", "@alice", hidden=True)) == "public:_a.atxfer@alice"
    assert str(AtKey.self_("a.files", "@alice")) == "a.files.atxfer@alice"
    assert str(AtKey.shared("a", "@alice", "@bob", "wavi")) == "@bob:a.wavi@alice"
    assert str(AtKey.public("publickey", "alice", namespace="")) == "public:publickey@alice"


def test_keys_fold_to_lower_case() -> None:
    """The server folds keys, so ours are equal to what it lists."""
    assert AtKey.self_("K1", "@ALICE", "ATXFER") == AtKey.parse("k1.atxfer@alice")


def test_the_parts_of_a_key_can_be_told() -> None:
    """Name, name space, owner and recipient are attributes; the last dot parts the first two."""
    key = AtKey.parse("cached:@bob:s2.files.atxfer@alice")
    assert (key.name, key.namespace, key.owner) == ("s2.files", "atxfer", "@alice")
    assert (key.recipient, key.is_public, key.is_cached) == ("@bob", False, True)
    assert key.plain == "s2.files.atxfer@alice"


@pytest.mark.parametrize("name", [".hidden", "nodot", "trailing."])
def test_a_dot_at_an_end_parts_nothing(name: str) -> None:
    """Name and name space put together again are the name that was given."""
    key = AtKey.parse(f"{name}@alice")
    assert ".".join(filter(None, [key.name, key.namespace])) in (name, name.rstrip("."))
    assert key.entity == name


@pytest.mark.parametrize(
    "name", ["a b", "a:b", "a@b", "a\nb", "", "a/b", "ä", "a\u2028b", "a\ud800"]
)
def test_names_the_server_refuses_are_refused(name: str) -> None:
    """Spaces, colons, @ and letters the server's grammar doesn't know make no key."""
    with pytest.raises(ValueError, match=r"can't be in a key|no key"):
        AtKey.self_(name, "@alice", namespace="")


@pytest.mark.parametrize(
    "text", ["", "k1", "k1.atxfer", "@bob:@alice", "public:@bob:x@alice", "a@b@c", "local:x@alice"]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    """A key has a name and an owner, and one audience at most."""
    with pytest.raises(ValueError, match="key"):
        AtKey.parse(text)


def test_a_key_of_two_audiences_is_refused() -> None:
    """A record is public or for one atSign."""
    with pytest.raises(ValueError, match="both public and shared"):
        AtKey("x.atxfer", "@alice", recipient="@bob", scope="public")


def test_unnormalised_atsigns_are_refused() -> None:
    """Two texts of one atSign would be two keys to us and one to the server."""
    with pytest.raises(ValueError, match="normalise_atsign"):
        AtKey("x.atxfer", "@Alice")


@pytest.mark.parametrize("spare", [0, 1])
def test_248_characters_are_the_most(spare: int) -> None:
    """The whole key counts, audience and owner included."""
    fixed = len("@bob:.atxfer@alice")
    name = "k" * (MAX_KEY_LENGTH - fixed - spare)
    assert AtKey.shared(name, "@alice", "@bob").length == MAX_KEY_LENGTH - spare


@pytest.mark.parametrize("kind", ["public", "self_"])
def test_a_longer_key_is_refused_with_its_length(kind: str) -> None:
    """The error names the length and the limit."""
    with pytest.raises(ValueError, match="254 characters, 248 are allowed"):
        getattr(AtKey, kind)("k" * (254 - (20 if kind == "public" else 13)), "@alice")


def test_length_counts_as_the_server_does() -> None:
    """A pictograph is two of Dart's characters; the prefix of a copy doesn't count."""
    assert AtKey.parse("😀k@alice").length == len("..k@alice")
    assert AtKey.parse("cached:public:k@alice").length == len("public:k@alice")


def test_a_name_of_one_letter_is_refused() -> None:
    """The server stores it, but its look-ups take two characters at least."""
    with pytest.raises(ValueError, match="too short"):
        AtKey.self_("k", "@alice", namespace="")


@pytest.mark.parametrize("text", ["@alice", "alice", " @Alice ", "ALICE"])
def test_an_atsign_has_one_form(text: str) -> None:
    """Lower case, with its @."""
    assert normalise_atsign(text) == "@alice"


@pytest.mark.parametrize(
    "text", ["", "@", "@a b", "a@b", "@a:b", "@" + "a" * 56, "@a.b", "@ä", "@@a"]
)
def test_nonsense_is_no_atsign(text: str) -> None:
    """The error shows what was given and says what is wanted."""
    with pytest.raises(ValueError, match="is no atSign"):
        normalise_atsign(text)
