"""Certificates for loopback."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from atxfer._net.stream import tls_context


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Return a certificate authority of our own."""
    return trustme.CA()


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """Return what a server on localhost needs to speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the PEM file of the authority."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def context(ca_file: Path) -> ssl.SSLContext:
    """Return a client's context that trusts the authority."""
    return tls_context(ca_file)
