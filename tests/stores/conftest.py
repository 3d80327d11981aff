"""Certificates for loopback, as the tests of the floor below have them."""

from tests.net.conftest import authority, ca_file, server_context

__all__ = ["authority", "ca_file", "server_context"]
