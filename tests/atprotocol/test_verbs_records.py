"""Verbs that store, read, list and remove records."""

from __future__ import annotations

import pytest

from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import AtError, InvalidKey, InvalidSyntax, KeyNotFound
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import (
    Delete,
    Llookup,
    Lookup,
    Mode,
    Plookup,
    Scan,
    Update,
    UpdateMeta,
    Verb,
    parse,
)

KEY = AtKey.self_("k1", "@alice")
SHARED = AtKey.shared("s1.files", "@alice", "@bob")
HIDDEN = AtKey.public("p2", "@alice", hidden=True)
PKAM = AtKey.parse("privatekey:at_pkam_publickey")

BOTH_WAYS = [
    (Update(KEY, "v1"), "update:k1.atxfer@alice v1"),
    (Update(KEY, "  in front kept"), "update:k1.atxfer@alice   in front kept"),
    (Update(KEY, 'a@b:c "q" {j:1}'), 'update:k1.atxfer@alice a@b:c "q" {j:1}'),
    (Update(KEY, "héllo 😀"), "update:k1.atxfer@alice héllo 😀"),
    (Update(PKAM, "MIIB"), "update:privatekey:at_pkam_publickey MIIB"),
    (
        Update(SHARED, "C", Metadata(ttl_ms=0, ttr_s=-1, ccd=True, is_encrypted=True)),
        "update:ttl:0:ttr:-1:ccd:true:isEncrypted:true:@bob:s1.files.atxfer@alice C",
    ),
    (
        Update(HIDDEN, "v", Metadata(ttl_ms=60000)),
        "update:ttl:60000:public:_p2.atxfer@alice v",
    ),
    (
        UpdateMeta(SHARED, Metadata(ttl_ms=60000, is_encrypted=True)),
        "update:meta:@bob:s1.files.atxfer@alice:ttl:60000:isEncrypted:true",
    ),
    (UpdateMeta(HIDDEN, Metadata(ttl_ms=1)), "update:meta:public:_p2.atxfer@alice:ttl:1"),
    (Llookup(KEY), "llookup:k1.atxfer@alice"),
    (Llookup(SHARED, Mode.ALL), "llookup:all:@bob:s1.files.atxfer@alice"),
    (Llookup(HIDDEN, Mode.META), "llookup:meta:public:_p2.atxfer@alice"),
    (
        Llookup(AtKey.parse("cached:@bob:s1.files.atxfer@alice")),
        "llookup:cached:@bob:s1.files.atxfer@alice",
    ),
    (Llookup(AtKey.parse("cached:public:k.atxfer@bob")), "llookup:cached:public:k.atxfer@bob"),
    (Lookup(KEY), "lookup:k1.atxfer@alice"),
    (Lookup(KEY, Mode.ALL, bypass_cache=True), "lookup:bypassCache:true:all:k1.atxfer@alice"),
    (Plookup(KEY, Mode.META), "plookup:meta:k1.atxfer@alice"),
    (Plookup(KEY, bypass_cache=True), "plookup:bypassCache:true:k1.atxfer@alice"),
    (Delete(SHARED), "delete:@bob:s1.files.atxfer@alice"),
    (Delete(AtKey.parse("privatekey:at_secret")), "delete:privatekey:at_secret"),
    (Scan(), "scan"),
    (Scan(show_hidden=True), "scan:showhidden:true"),
    (Scan(atsign="@alice"), "scan:@alice"),
    (Scan(r"cached.@bob.*\.atxfer@"), r"scan cached.@bob.*\.atxfer@"),
    (Scan("k1", "@alice", show_hidden=True), "scan:showhidden:true:@alice k1"),
]


@pytest.mark.parametrize(("verb", "line"), BOTH_WAYS, ids=[line for _, line in BOTH_WAYS])
def test_a_verb_is_its_line_and_the_line_is_the_verb(verb: Verb, line: str) -> None:
    """What one end encodes the other end reads as the same value."""
    assert verb.encode() == line
    assert parse(line) == verb


def test_a_lookup_leaves_the_audience_to_the_server() -> None:
    """Whether a key is public or for us, the server finds out."""
    assert Lookup(HIDDEN).encode() == "lookup:_p2.atxfer@alice"
    assert Plookup(SHARED).encode() == "plookup:s1.files.atxfer@alice"


@pytest.mark.parametrize("value", ["", "a\nb", "a\rb", "a\u2028b", "a\u2029", "a\ud800"])
def test_values_the_server_refuses_make_no_update(value: str) -> None:
    """Empty, broken in lines as Dart breaks them, or no Unicode."""
    with pytest.raises(ValueError, match="the value"):
        Update(KEY, value)


@pytest.mark.parametrize("value", ["null", "a ", "a\t", "   ", "a\ufeff"])
def test_values_that_would_come_back_otherwise_are_not_sent(value: str) -> None:
    """The server takes them; it loses white space at the end, and null reads as expired."""
    with pytest.raises(ValueError, match="encode it first"):
        Update(KEY, value).encode()


@pytest.mark.parametrize(
    "text",
    [
        "cached:public:x.y@bob",
        "private:blocklist@alice",
        "privatekey:at_secret",
        f"public:{'k' * 300}@alice",
    ],
)
def test_keys_that_nobody_may_update_make_no_update(text: str) -> None:
    """Copies and the server's own records are not ours to write; long keys nobody's."""
    for make in (lambda key: Update(key, "v"), lambda key: UpdateMeta(key, Metadata(ttl_ms=1))):
        with pytest.raises(ValueError, match=r"nobody update|are allowed"):
            make(AtKey.parse(text))


def test_an_update_is_not_mistaken_for_update_meta() -> None:
    """The server looks at the line's beginning only (update_verb_handler.dart)."""
    key = AtKey.self_("metal", "@alice")
    with pytest.raises(ValueError, match="name a ttl"):
        Update(key, "v")
    assert parse(Update(key, "v", Metadata(ttl_ms=0)).encode()) == Update(
        key, "v", Metadata(ttl_ms=0)
    )


def test_values_are_in_no_repr() -> None:
    """A log of requests shows keys, never what is stored under them."""
    assert "secret" not in repr(Update(KEY, "secret"))
    assert "k1.atxfer" in repr(Update(KEY, "secret"))


@pytest.mark.parametrize("regex", ["^public:", "K1", r"\S", "cached:@bob"])
def test_an_expression_is_kept_from_being_folded(regex: str) -> None:
    """An option in front of the line's first colon lets any expression through as it is."""
    line = Scan(regex).encode()
    assert line == f"scan:showhidden:false {regex}"
    assert parse(line) == Scan(regex)


@pytest.mark.parametrize("regex", ["", "a b", "a\tb"])
def test_an_expression_of_a_scan_has_no_white_space(regex: str) -> None:
    """The server's grammar ends it there."""
    with pytest.raises(ValueError, match="white space"):
        Scan(regex)


def test_a_scan_of_a_misspelt_atsign_is_refused() -> None:
    """An atSign has one form."""
    with pytest.raises(ValueError, match="normalised"):
        Scan(atsign="bob")


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("update:k6.atxfer@alice", InvalidSyntax, "Invalid syntax. e.g. update:@alice:"),
        ("update:k6.atxfer@alice ", InvalidSyntax, "Invalid syntax. e.g. update:"),
        ("update:ttl:abc:k6.atxfer@alice v", InvalidSyntax, "Invalid syntax. e.g. update:"),
        ("update:ttb:1:ttl:1:k6.atxfer@alice v", InvalidSyntax, "Invalid syntax. e.g. update:"),
        ("update:k6.atxfer@alice a\nupdate:k7@alice b", InvalidSyntax, "Invalid syntax."),
        ("update:k6.atxfer@alice a\rb", InvalidSyntax, "Invalid syntax. e.g. update:"),
        ("update:k6.atxfer@alice a\u2028b", InvalidSyntax, "Invalid syntax. e.g. update:"),
        ("update:ttl:-1:k6.atxfer@alice v", InvalidSyntax, "Valid value for TTL should"),
        ("update:ttb:-1:k6.atxfer@alice v", InvalidSyntax, "Valid value for TTB should"),
        ("update:ttr:-2:k6.atxfer@alice v", InvalidSyntax, "Valid values for TTR are -1"),
        ("update:k6 v", InvalidKey, "You may not update keys of type KeyType.invalidKey"),
        (f"update:{'k' * 249}@a v", InvalidKey, "key length 251 is greater than max allowed 248"),
        ("update:k!x@alice v", InvalidKey, "KeyType.invalidKey"),
        ("update:meta:k6:ttl:1", InvalidSyntax, "Invalid syntax. update:meta:ttl"),
        ("llookup:k1@alice\nllookup:k2@alice", InvalidSyntax, "e.g llookup:location@bob"),
        ("llookup:k1", InvalidSyntax, "e.g llookup:location@bob"),
        ("llookup:a key@alice", KeyNotFound, "a key@alice does not exist in keystore"),
        ("lookup:public:p1@alice", KeyNotFound, "public:p1@alice does not exist in keystore"),
        ("lookup:k@alice", InvalidSyntax, "e.g lookup:location@bob"),
        ("plookup:public key@alice", InvalidSyntax, "e.g plookup:location@bob"),
        ("delete:k1", InvalidKey, "k1 is not a valid key"),
        ("scan a b", InvalidSyntax, "Invalid syntax. scan"),
        ("scanner", InvalidSyntax, "Invalid syntax. scan"),
        ("scan:@a!b", InvalidSyntax, "invalid atSign"),
    ],
)
def test_a_server_refuses_as_the_original_does(line: str, kind: type[AtError], words: str) -> None:
    """The code is exact; the words are the original's where the transcript has them."""
    with pytest.raises(kind) as caught:
        parse(line)
    assert words in caught.value.message
    assert type(caught.value) is kind


def test_a_server_reads_what_no_client_of_ours_sends() -> None:
    """Any client's values are stored: null, options we don't use, letters in any case."""
    assert parse("update:k1.atxfer@alice null") == Update(KEY, "null")
    assert parse("UPDATE:TTL:5:ISBINARY:TRUE:K1.ATXFER@ALICE V") == Update(
        KEY, "V", Metadata(ttl_ms=5, is_binary=True)
    )
    assert parse("delete:priority:high:k1.atxfer@alice") == Delete(KEY)
    assert parse("scan:page:2") == Scan()
