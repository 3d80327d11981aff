"""XML from a server is read, and never trusted."""

from __future__ import annotations

import pytest

from atxfer.errors import ProtocolViolation
from atxfer.stores.s3.answers import parse


def test_what_an_element_holds() -> None:
    """Names are told without name spaces, however the server writes them."""
    root = parse(
        b'<?xml version="1.0"?><s3:List xmlns:s3="x"><s3:Part><ETag>"a&amp;b"</ETag></s3:Part>'
        b"<Part><ETag/></Part></s3:List>"
    )
    assert root.name == "List"
    assert [part.value("ETag") for part in root.all("Part")] == ['"a&b"', ""]
    assert root.value("Nothing") == ""


@pytest.mark.parametrize(
    "body", [b'  \n<?xml version="1.0"?><A>x</A>', b'<?xml version="1.0"?>   \n  <A>x</A>']
)
def test_blanks_that_keep_a_connection_alive_are_passed_over(body: bytes) -> None:
    """A server may send them while it works, before its answer or within it."""
    assert parse(body).text == "x"


BOMB = (
    b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;&x;&x;">]><a>&y;</a>'
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no XML",
        b"<a><b></a>",
        b"<a>" * 10,
        b"<a>\xff</a>",
        BOMB,
        BOMB.decode().encode("utf-16"),
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>&undefined;</a>",
    ],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    """No entity is ever declared, expanded or fetched, in whatever encoding."""
    with pytest.raises(ProtocolViolation, match="no XML"):
        parse(body)


def test_depth_costs_no_stack() -> None:
    """An answer of nothing but tags within tags is read as any other."""
    assert parse(b"<a>" * 100_000 + b"</a>" * 100_000).name == "a"
