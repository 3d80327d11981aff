"""JSON in a client's line, as the original server fails at it (server role).

Text that is no JSON is an exception the original doesn't foresee: AT0011, and it closes. JSON of
another shape is an error in its own program: AT0010, and it goes on (measured on 3.0.52).
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from atxfer.atprotocol.errors import InternalError, UnexpectedException

__all__ = ["expect", "read_json"]

_T = TypeVar("_T")

_DART_NAMES: dict[type, str] = {
    bool: "bool",
    dict: "_Map<String, dynamic>",
    float: "double",
    int: "int",
    list: "List<dynamic>",
    str: "String",
    type(None): "Null",
}


def read_json(text: str) -> Any:
    """Return what a text says.

    Raises:
        UnexpectedException: It is no JSON.
        InternalError: It is nested too deeply.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise UnexpectedException(_format_exception(text, error)) from error
    except RecursionError as error:
        raise InternalError("Stack Overflow") from error


def expect(kind: type[_T], value: Any, dart_name: str) -> _T:
    """Return a value of this very kind.

    Raises:
        InternalError: It is of another, in Dart's words.
    """
    if type(value) is not kind:
        actual = _DART_NAMES[type(value)]
        raise InternalError(f"type '{actual}' is not a subtype of type '{dart_name}'")
    return value


def _format_exception(text: str, error: ValueError) -> str:
    """Return the server's words for text that is no JSON: three lines, with a pointer to it."""
    place = error.pos if isinstance(error, json.JSONDecodeError) else 0
    start = max(0, place - 36)  # Dart shows about 78 characters around the place
    shown = text[start : start + 78]
    return (
        f"FormatException: Unexpected character (at character {place + 1})\n{shown}\n"
        f"{' ' * (place - start)}^\n"
    )
