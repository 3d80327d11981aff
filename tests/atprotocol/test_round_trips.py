"""What one end encodes, the other reads as the same value: for any value there is."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.codec import Connection, Role
from atxfer.atprotocol.events import Answer, Command
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import (
    Batch,
    BatchRequest,
    Delete,
    EnrollRequest,
    Llookup,
    Lookup,
    Mode,
    Monitor,
    Notify,
    Pkam,
    Plookup,
    Scan,
    Update,
    UpdateMeta,
    Verb,
    parse,
)
from tests.atprotocol.reading import asking, read

NAMES = st.text("abz09_.'*\"❤😀-", min_size=2, max_size=40)
ATSIGNS = st.text("abz09_😀-", min_size=1, max_size=20).map("@{}".format)
KEYS = st.one_of(
    st.builds(AtKey.self_, NAMES, ATSIGNS),
    st.builds(AtKey.public, NAMES, ATSIGNS, hidden=st.booleans()),
    st.builds(AtKey.shared, NAMES, ATSIGNS, ATSIGNS, NAMES.map(lambda name: name.strip("."))),
)
PLAIN_KEYS = st.builds(AtKey.self_, NAMES, ATSIGNS)
LINES = (
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
    .map(lambda text: text.translate(dict.fromkeys(map(ord, "\n\r\u2028\u2029"), "-")))
    .filter(lambda text: not text[-1].isspace() and text[-1] != "\ufeff" and text != "null")
)
PARTS = st.text("AZaz09+/=_-", min_size=1, max_size=12)
NUMBERS = st.integers(0, 8 * 10**15)
METADATA = st.builds(
    Metadata,
    ttl_ms=st.none() | NUMBERS,
    ttb_ms=st.none() | NUMBERS,
    ttr_s=st.none() | st.integers(-1, 10**9),
    ccd=st.none() | st.booleans(),
    data_signature=st.none() | PARTS,
    shared_key_status=st.none() | PARTS,
    is_binary=st.none() | st.booleans(),
    is_encrypted=st.none() | st.booleans(),
    shared_key_enc=st.none() | PARTS,
    pub_key_cs=st.none() | PARTS,
    encoding=st.none() | PARTS,
    enc_key_name=st.none() | PARTS,
    enc_algo=st.none() | PARTS,
    iv_nonce=st.none() | PARTS,
    ske_enc_key_name=st.none() | PARTS,
    ske_enc_algo=st.none() | PARTS,
)
NAMED = METADATA.filter(lambda metadata: metadata.encode() != "")
EXPRESSIONS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)

UPDATES = st.builds(Update, KEYS, LINES, NAMED)
VERBS: st.SearchStrategy[Verb] = st.one_of(
    UPDATES,
    st.builds(UpdateMeta, KEYS, NAMED),
    st.builds(Llookup, KEYS, st.sampled_from(Mode)),
    st.builds(Lookup, PLAIN_KEYS, st.sampled_from(Mode), st.booleans()),
    st.builds(Plookup, PLAIN_KEYS, st.sampled_from(Mode), st.booleans()),
    st.builds(Delete, KEYS),
    st.builds(Scan, st.none() | EXPRESSIONS, st.none() | ATSIGNS, st.booleans()),
    st.builds(Monitor, NUMBERS, st.none() | EXPRESSIONS, st.booleans()),
    st.builds(Pkam, PARTS, st.none() | PARTS),
    st.builds(
        Notify, ATSIGNS, NAMES, ATSIGNS, st.none() | LINES, st.just("update"), metadata=METADATA
    ),
    st.builds(EnrollRequest, LINES, LINES, LINES, st.none() | st.dictionaries(LINES, LINES)),
)


@given(VERBS)
@settings(max_examples=200, deadline=None)
def test_a_verb_reads_back(verb: Verb) -> None:
    """Through the line, and through the bytes of both ends."""
    assert parse(verb.encode()) == verb
    server = Connection(Role.SERVER, atsign="@alice")
    client = Connection(Role.CLIENT, atsign="@alice")
    assert read(server, [client.send(verb)]) == [Command(verb.encode())]


@given(st.lists(UPDATES, max_size=2).map(tuple))
@settings(max_examples=30, deadline=None)
def test_a_batch_reads_back(commands: tuple[Verb, ...]) -> None:
    """Each command as it was, whatever its value quotes."""
    request = parse(Batch(commands).encode())
    assert isinstance(request, BatchRequest)
    assert tuple(parse(entry.line, in_batch=True) for entry in request.entries) == commands


@given(METADATA)
@settings(max_examples=100, deadline=None)
def test_metadata_reads_back_from_json(metadata: Metadata) -> None:
    """Through the text of an answer."""
    assert Metadata.from_json(json.loads(json.dumps(metadata.to_json()))) == metadata


@given(KEYS)
@settings(max_examples=100, deadline=None)
def test_a_key_reads_back(key: AtKey) -> None:
    """Through the text of a scan."""
    assert AtKey.parse(str(key)) == key


@given(LINES, st.booleans(), st.data())
@settings(max_examples=150, deadline=None)
def test_an_answer_reads_back_however_it_is_split(
    text: str, logged_in: bool, data: st.DataObject
) -> None:
    """What a server answers is what its client reads, at any three cuts."""
    server = Connection(Role.SERVER, atsign="@alice")
    server.logged_in = logged_in
    raw = server.answer(f"data:{text}")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), min_size=3, max_size=3)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)])]
    events = read(asking(logged_in=logged_in), [piece for piece in pieces if piece])
    assert events == [Answer(text)]
