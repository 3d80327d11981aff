"""Which proxy the environment names, what it is told, what its answer means."""

from __future__ import annotations

import base64

import pytest

from atxfer._net.address import Address
from atxfer._net.proxy import Proxy, find_proxy
from atxfer.errors import ConnectFailed, ProxyRefused

PROXY = Proxy(Address("proxy.example", 3128))
TARGET = "alice.example:6464"


def test_none_named() -> None:
    """Without a proxy in the environment there is none."""
    assert find_proxy(TARGET) is None


@pytest.mark.parametrize(
    "url", ["http://proxy.example:3128", "proxy.example:3128", "HTTP://proxy.example:3128/"]
)
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_named(monkeypatch: pytest.MonkeyPatch, variable: str, url: str) -> None:
    """The variables that requests knows name a proxy, with or without http://."""
    monkeypatch.setenv(variable, url)
    assert find_proxy(TARGET) == PROXY


def test_default_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy without a port listens on 80, as with requests."""
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    assert find_proxy(TARGET) == Proxy(Address("proxy.example", 80))


def test_http_proxy_alone_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy for http:// alone is not asked: what we speak is TLS."""
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    assert find_proxy(TARGET) is None


@pytest.mark.parametrize("rule", ["alice.example", ".example", "alice.example:6464", "*"])
def test_bypassed(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    """NO_PROXY exempts a host as it does for requests."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", rule)
    assert find_proxy(TARGET) is None


def test_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name and password of the URL become a Basic header, and are shown nowhere."""
    monkeypatch.setenv("https_proxy", "http://me:p%40ss@proxy.example:3128")
    proxy = find_proxy(TARGET)
    assert proxy is not None
    basic = base64.b64encode(b"me:p@ss").decode()
    assert f"Proxy-Authorization: Basic {basic}\r\n".encode() in proxy.request(TARGET)
    assert basic not in f"{proxy} {proxy!r}"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://me:secret@proxy.example:3128", "https:// is not supported"),
        ("socks5://me:secret@proxy.example:1080", "socks5:// is not supported"),
        ("http://me:secret@proxy.example:port", "no port number"),
        ("http://me:secret@:3128", "names no host"),
    ],
)
def test_unusable(monkeypatch: pytest.MonkeyPatch, url: str, message: str) -> None:
    """A proxy that can't be used is named as the problem, without its password."""
    monkeypatch.setenv("https_proxy", url)
    with pytest.raises(ProxyRefused, match=message) as caught:
        find_proxy(TARGET)
    assert "secret" not in str(caught.value)


def test_request() -> None:
    """The request names the target twice and ends with an empty line."""
    expected = b"CONNECT alice.example:6464 HTTP/1.1\r\nHost: alice.example:6464\r\n\r\n"
    assert PROXY.request(TARGET) == expected


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200\r\nVia: squid\r\n\r\n",
        b"HTTP/1.1 299 \r\n\r\n",
    ],
)
def test_tunnel_open(reply: bytes) -> None:
    """Any 2xx opens the tunnel (RFC 9110 §9.3.6)."""
    PROXY.check(reply, TARGET)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "asks for a login"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\nno such port", "refuses to connect to alice.example"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n", "refuses"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "doesn't answer as an HTTP proxy"),
        (b"", "doesn't answer as an HTTP proxy"),
        (b"HTTP/1.1 200 OK\r\n\r\n@", "sent more than its answer"),
    ],
)
def test_refused(reply: bytes, message: str) -> None:
    """Other answers are refusals, and name the proxy."""
    with pytest.raises(ProxyRefused, match=message) as caught:
        PROXY.check(reply, TARGET)
    assert "proxy.example:3128" in str(caught.value)


@pytest.mark.parametrize("code", [502, 503, 504])
def test_server_not_reached(code: int) -> None:
    """A proxy that could not reach the server is a failed connection, which may pass."""
    with pytest.raises(ConnectFailed, match=rf"proxy.example:3128 answered {code}"):
        PROXY.check(b"HTTP/1.1 %d Bad Gateway\r\n\r\n" % code, TARGET)
