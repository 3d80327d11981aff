"""The XML of S3's answers, read without trusting it.

expat reads it; nothing it might resolve, expand or fetch is let through: a document type is refused
before any entity can be declared in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from atxfer.errors import ProtocolViolation

__all__ = ["Element", "parse"]

_REMEDY = "Check that the address is that of an S3 server."


class Element:
    """One element: its name without a name space, its text, and what is in it."""

    def __init__(self, name: str) -> None:
        self.name = name.rpartition(":")[2]
        self.text = ""
        self.children: list[Element] = []

    def all(self, name: str) -> Iterator[Element]:
        """Yield the children of this name."""
        return (child for child in self.children if child.name == name)

    def value(self, name: str) -> str:
        """Return the text of the first child of this name; empty if there is none."""
        return next((child.text for child in self.all(name)), "")


class _Forbidden(Exception):
    """Raised within expat to leave it."""


class _Builder:
    """Collects what expat tells."""

    def __init__(self) -> None:
        self.root = Element("")
        self._open = [self.root]

    def start(self, name: str, _: dict[str, str]) -> None:
        """Begin an element."""
        element = Element(name)
        self._open[-1].children.append(element)
        self._open.append(element)

    def end(self, _: str) -> None:
        """End it."""
        self._open.pop()

    def text(self, data: str) -> None:
        """Add to its text."""
        self._open[-1].text += data


def _forbid(*_: Any) -> None:
    raise _Forbidden


def parse(body: bytes) -> Element:
    """Return the root of a document.

    A server may send blanks while it works, before the document or behind its declaration.

    Raises:
        ProtocolViolation: It is none, or has a document type.
    """
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = _forbid
    try:
        parser.Parse(body.lstrip(), True)
    except (expat.ExpatError, _Forbidden) as error:
        raise ProtocolViolation("the answer is no XML of S3's", remedy=_REMEDY) from error
    return builder.root.children[0]
