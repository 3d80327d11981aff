"""The server's own count of what it felt: never above the cap, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from atxfer import TransferConfig
from atxfer.devserver import DevServer
from tests.support.worlds import client_of, content


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_the_server_never_sees_more_than_the_cap(
    atserver: DevServer, tmp_path: Path, width: int
) -> None:
    """Peak in flight, counted by the server, is at most max_concurrent_uploads, up and down."""
    with client_of(atserver, max_concurrent_uploads=width) as client:
        receipt = client.upload(content(3_000_000), name="x")
        client.download(receipt, tmp_path / "x")
        client.delete(receipt)
    assert 1 <= atserver.counters.snapshot()["@alice"]["peak_in_flight"] <= width


def test_all_transfers_of_a_client_share_one_cap(atserver: DevServer) -> None:
    """Ten files at once are no more load than one."""
    with client_of(atserver, max_concurrent_uploads=3) as client:
        sources = [content(200_000, seed) for seed in range(10)]
        assert all(outcome.ok for outcome in client.upload_many(sources))
        assert client.metrics()["requests_in_flight"] == 0
    assert atserver.counters.snapshot()["@alice"]["peak_in_flight"] <= 3


@pytest.mark.parametrize(("cap", "most"), [(1, 1), (2, 4), (3, 6)])
def test_as_many_files_again_are_made_ready(atserver: DevServer, cap: int, most: int) -> None:
    """No permit waits for the next file; but what nobody can send yet is not read."""
    begun, ended, under_way = 0, 0, []

    def sources() -> Iterator[bytes]:
        nonlocal begun
        for seed in range(12):
            begun += 1
            under_way.append(begun - ended)
            yield content(20_000, seed)

    with client_of(atserver, max_concurrent_uploads=cap) as client:
        for outcome in client.upload_many(sources()):
            assert outcome.ok
            ended += 1
    assert (ended, max(under_way)) == (12, most)
    assert atserver.counters.snapshot()["@alice"]["peak_in_flight"] <= cap


def test_each_connection_logs_in_once(atserver: DevServer) -> None:
    """As many connections as permits, each logged in once and used again."""
    with client_of(atserver, max_concurrent_uploads=3) as client:
        for seed in range(3):
            client.upload(content(1_000_000, seed), name="x")
    felt = atserver.counters.snapshot()["@alice"]
    assert felt["connections"] <= 3
    assert felt["logins"] == felt["connections"]


def test_the_evidence_is_what_the_server_counted(atserver: DevServer) -> None:
    """Requests in the receipt are those that the server was asked, no more and no less."""
    with client_of(atserver) as client:
        receipt = client.upload(content(1_000_000), name="x")
    commands = atserver.counters.snapshot()["@alice"]["commands"]
    assert receipt.statistics.requests == commands["batch"] + commands["update"]


def test_the_original_settings_send_one_chunk_a_request(atserver: DevServer) -> None:
    """TransferConfig.original() is that system to the letter, seen from the server."""
    original = TransferConfig.original()
    with client_of(
        atserver,
        chunk_size=original.chunk_size,
        max_chunks_per_request=original.max_chunks_per_request,
    ) as client:
        receipt = client.upload(content(100_000), name="x")
    assert receipt.chunks == 13
    commands = atserver.counters.snapshot()["@alice"]["commands"]
    assert commands["update"] == 13 + 2
    assert "batch" not in commands
