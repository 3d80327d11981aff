"""Addresses, as users and directories write them."""

from __future__ import annotations

import pytest

from atxfer._net.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("root.atsign.org:64", "root.atsign.org", 64),
        ("root.atsign.org", "root.atsign.org", 64),
        ("127.0.0.1:39543", "127.0.0.1", 39543),
        ("[::1]:6464", "::1", 6464),
        ("[::1]", "::1", 64),
        ("dev_box:1", "dev_box", 1),
    ],
)
def test_reads(text: str, host: str, port: int) -> None:
    """Names, numbers and bracketed IPv6 are read; the port is 64 where none is named."""
    assert parse_address(text) == Address(host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("", ":64", "host:", "host:0", "host:65536", "host:-1", "host:64x"),
        *("::1", "[::1", "[host]:1", "a b:64", "host:64\n", "-host:64", "x" * 254 + ":64"),
        *("http://host:64", "host/path:64"),
    ],
)
def test_refuses(text: str) -> None:
    """Anything else is refused by an error that says what is expected."""
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        parse_address(text)


def test_insists_on_a_port() -> None:
    """Without a default, a port must be named."""
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        parse_address("host", default_port=None)


@pytest.mark.parametrize("text", ["host:64", "[::1]:64"])
def test_shows_what_it_reads(text: str) -> None:
    """An address is shown as it is written."""
    assert str(parse_address(text)) == text
