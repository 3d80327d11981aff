"""TLS on a simulated network."""

from __future__ import annotations

import socket
import ssl

import pytest

from atxfer.devserver import DevServer
from tests.devserver.conftest import Connect
from tests.support.lines import LineClient
from tests.support.until import until


def test_a_wrong_certificate_is_one_of_another_authority(atserver: DevServer) -> None:
    """A client that verifies goes away; later ones may meet the right one again."""
    atserver.faults.wrong_certificate = True
    with pytest.raises(ssl.SSLCertVerificationError):
        LineClient(atserver)
    atserver.faults.wrong_certificate = False
    with LineClient(atserver) as client:
        assert client.ask("noop:0") == "data:ok"


def test_the_certificate_is_for_name_and_address(atserver: DevServer) -> None:
    """For localhost and 127.0.0.1, and nothing else."""
    context = ssl.create_default_context(cafile=atserver.ca_file)
    for name, good in (("localhost", True), ("127.0.0.1", True), ("example.org", False)):
        raw = socket.create_connection(("127.0.0.1", atserver.servers["@alice"]), 20)
        try:
            with context.wrap_socket(raw, server_hostname=name) as client:
                assert client.recv(1) == b"@"
            assert good
        except ssl.SSLCertVerificationError:
            assert not good
        finally:
            raw.close()


def test_there_is_no_alpn(atserver: DevServer) -> None:
    """The line protocol offers none (facts §2)."""
    context = ssl.create_default_context(cafile=atserver.ca_file)
    context.set_alpn_protocols(["h2"])
    raw = socket.create_connection(("127.0.0.1", atserver.servers["@alice"]), 20)
    with context.wrap_socket(raw, server_hostname="localhost") as client:
        assert client.selected_alpn_protocol() is None


def test_a_black_hole_secures_and_stays_silent(atserver: DevServer, connect: Connect) -> None:
    """Connections that were there fall silent too."""
    before = connect()
    atserver.faults.blackhole = 1.0
    after = connect(greeted=False)
    for client in (before, after):
        client.write("noop:0\n")
    atserver.idle()
    assert before.is_silent
    assert after.is_silent


def test_a_deaf_server_does_not_even_secure(atserver: DevServer) -> None:
    """TCP connects, TLS never comes."""
    atserver.faults.deaf = 1.0
    context = ssl.create_default_context(cafile=atserver.ca_file)
    with socket.create_connection(("127.0.0.1", atserver.servers["@alice"]), 20) as raw:
        raw.settimeout(0.05)
        with pytest.raises(socket.timeout), context.wrap_socket(raw, server_hostname="localhost"):
            raise AssertionError("it was secured")


def test_bytes_are_counted_as_they_are_on_the_wire(atserver: DevServer, log_in: Connect) -> None:
    """Handshakes and framing included."""
    alice = log_in()
    atserver.counters.reset()
    alice.ask("update:k.atxfer@alice " + "x" * 100_000)
    counts = atserver.counters["@alice"]
    assert 100_000 < counts["bytes_in"] < 101_000
    assert 0 < counts["bytes_out"] < 200


def test_distance_and_bandwidth_change_no_byte(atserver: DevServer, log_in: Connect) -> None:
    """A megabyte in pieces, there and back."""
    atserver.faults.latency, atserver.faults.jitter = 0.004, 0.002
    atserver.faults.bandwidth = 100e6
    alice, value = log_in(), "0123456789abcdef" * 65_536
    assert alice.ask(f"update:k.atxfer@alice {value}").startswith("data:")
    assert alice.ask("llookup:k.atxfer@alice") == f"data:{value}"


def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    atserver: DevServer, log_in: Connect
) -> None:
    """Neither a connection nor a request in flight."""
    alice = log_in()
    atserver.faults.play("hang")
    alice.write("scan\n")
    alice.write("scan\n")
    atserver.idle()
    alice.__exit__()
    until(lambda: atserver.counters["@alice"]["connections_now"] == 0)
    until(lambda: atserver.counters["@alice"]["in_flight"] == 0)
