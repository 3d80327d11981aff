"""The HTTP proxy between us and a server: which one, what to say to it, what its answer means.

No socket here: :mod:`atxfer._net.stream` sends the request and reads the reply.
"""

from __future__ import annotations

import base64
import re
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Optional

from atxfer._net.address import Address
from atxfer.errors import ConnectFailed, ProxyRefused

__all__ = ["MAX_REPLY", "Proxy", "find_proxy"]

# Bytes of a proxy's reply up to the empty line; Squid and Apache send at most a few hundred.
MAX_REPLY = 16 * 1024

# What a proxy answers when it is willing but could not reach the server (RFC 9110 §15.6): the same
# as a failed connection of our own, which may pass.
_UNREACHABLE = (502, 503, 504)


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy; ``str`` gives ``host:port`` without the credentials.

    Attributes:
        address: Where it listens.
        authorization: The value of ``Proxy-Authorization``, or None.
    """

    address: Address
    authorization: Optional[str] = field(default=None, repr=False)

    def __str__(self) -> str:
        return str(self.address)

    def request(self, target: str) -> bytes:
        """Return the request for a tunnel to ``host:port`` (RFC 9110 §9.3.6)."""
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self.authorization is not None:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    def check(self, reply: bytes, target: str) -> None:
        """Return if the reply opens the tunnel.

        Raises:
            ProxyRefused: It doesn't.
            ConnectFailed: The proxy could not reach the target.
        """
        head, _, rest = reply.partition(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.[01] (\d{3})(?: ([ -~]*))?(?:\r\n|$)", head)
        if status is None:
            raise ProxyRefused(f"the proxy {self} doesn't answer as an HTTP proxy does")
        code, phrase = int(status[1]), (status[2] or b"").decode("ascii").strip()
        said = f"{code} {phrase}".strip()
        if code in _UNREACHABLE:
            raise ConnectFailed(f"{target} can't be reached: the proxy {self} answered {said}")
        if code == 407:
            raise ProxyRefused(
                f"the proxy {self} asks for a login ({said})",
                remedy="Put name and password into HTTPS_PROXY: http://NAME:PASSWORD@HOST:PORT.",
            )
        if not 200 <= code < 300:
            raise ProxyRefused(f"the proxy {self} refuses to connect to {target} ({said})")
        if rest:  # in TLS it is on us to speak first
            raise ProxyRefused(f"the proxy {self} sent more than its answer")


def find_proxy(authority: str) -> Optional[Proxy]:
    """Return the proxy that the environment names for ``https://host:port``, as requests does.

    Args:
        authority: The server's ``host:port``, with brackets around IPv6.

    Raises:
        ProxyRefused: The environment names one that can't be used.
    """
    if not urllib.request.getproxies():
        return None  # without a proxy, requests need not be imported
    from requests import utils

    url = f"https://{authority}"
    proxy = utils.select_proxy(url, utils.get_environ_proxies(url))
    return _parse(proxy) if proxy else None


def _parse(url: str) -> Proxy:
    # Errors here name no more of the URL than its scheme: it may hold a password.
    parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http":
        raise ProxyRefused(
            f"a proxy that is spoken to by {parts.scheme}:// is not supported",
            remedy="Name it as http://HOST:PORT in HTTPS_PROXY; what goes through is TLS anyway.",
        )
    try:
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        raise ProxyRefused("the port of the proxy is no port number") from error
    if not host:
        raise ProxyRefused("the address of the proxy names no host")
    return Proxy(Address(host, port), _authorization(parts.username, parts.password))


def _authorization(name: Optional[str], password: Optional[str]) -> Optional[str]:
    if name is None:
        return None
    pair = f"{urllib.parse.unquote(name)}:{urllib.parse.unquote(password or '')}"
    return "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")
