"""Where a server listens."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Optional

__all__ = ["DEFAULT_PORT", "Address", "parse_address"]

# The port of the atDirectory (facts §1).
DEFAULT_PORT = 64

_PATTERN = re.compile(r"(?:\[(?P<ip>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[0-9]{1,5}))?")
_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")


@dataclass(frozen=True)
class Address:
    """A host and a port; ``str`` gives ``host:port``, with brackets around IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, *, default_port: Optional[int] = DEFAULT_PORT) -> Address:
    """Read ``host:port``, ``host``, ``[::1]:port`` or ``[::1]``.

    Args:
        text: The address; names in ASCII, as in a certificate.
        default_port: The port where none is named; None to insist on one.

    Raises:
        ValueError: It is no such address.
    """
    match = _PATTERN.fullmatch(text)
    if match is not None:
        port = int(match["port"]) if match["port"] else default_port
        host = match["name"] if match["ip"] is None else _ipv6(match["ip"])
        if port and port <= 65_535 and host and (match["ip"] or _NAME.fullmatch(host)):
            return Address(host, port)
    raise ValueError(f"expected HOST:PORT with a port from 1 to 65535, not {text!r}")


def _ipv6(text: str) -> Optional[str]:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        return None
