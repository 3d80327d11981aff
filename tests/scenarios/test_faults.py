"""A server that fails now and then: everything arrives, nothing twice, nothing leaks."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from atxfer.config import MIB
from atxfer.devserver import DevServer, FaultPlan
from tests.support.worlds import client_of, content


@pytest.mark.slow
def test_a_hundred_files_through_a_faulty_server(atserver: DevServer, tmp_path: Path) -> None:
    """5 % error answers and 2 % dropped connections, half of them after the work was done."""
    rng = random.Random(7)  # noqa: S311  # sizes are no secret
    sizes = [0, 1, 2 * MIB] + [rng.randrange(2 * MIB) for _ in range(97)]
    wanted = {f"{place}": content(size, place) for place, size in enumerate(sizes)}
    for name, data in wanted.items():
        (tmp_path / name).write_bytes(data)
    atserver.faults = FaultPlan.parse("error=0.05,drop=0.02", seed=11)
    with client_of(atserver) as client:
        outcomes = list(client.upload_many(tmp_path / name for name in wanted))
        assert [outcome.error for outcome in outcomes if not outcome.ok] == []
        listed = list(client.files())
        assert sorted(f.name for f in listed) == sorted(wanted)
        for file in listed:
            client.download(file, tmp_path / "back")
            assert (tmp_path / "back").read_bytes() == wanted[file.name]
        metrics = client.metrics()
    assert metrics["requests_in_flight"] == 0
    assert sum(metrics["retries"].values()) > 0
    assert atserver.counters.snapshot()["@alice"]["peak_in_flight"] <= 3


@pytest.mark.parametrize("fault", ["drop-before", "drop-after", "AT0011", "AT0012", "missing"])
def test_one_fault_of_each_kind_is_survived(atserver: DevServer, fault: str) -> None:
    """Every retryable fault, at every request in turn, costs a repetition and nothing else."""
    for skipped in range(4):
        atserver.faults = FaultPlan.script("ok " * skipped + fault, verbs={"batch", "update"})
        with client_of(atserver) as client:
            receipt = client.upload(content(400_000, skipped), name="x")
            assert sum(receipt.statistics.retries.values()) >= 1
            client.delete(receipt)
