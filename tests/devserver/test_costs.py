"""The profile ``atserver`` against what was measured on the real one."""

from __future__ import annotations

import random

import pytest

from atxfer.devserver.costs import (
    PAUSE_SECONDS,
    Core,
    Work,
    core_seconds,
    garbage_seconds,
    needs_rewrite,
    rewrite_seconds,
    total_seconds,
    wait_seconds,
)

KIB = 1024


def chunks(count: int, kib: int) -> Work:
    """Return a request that writes so many chunks, as atxfer sends it."""
    value = -(-(kib * KIB + 28) // 3) * 4
    framing = 110 if count > 1 else 90
    return Work(request_bytes=count * (value + framing), values=(value,) * count)


# Facts §10: the request, its service time in ms from and to.
SERVICE = [
    (chunks(1, 8), 2, 5),
    (chunks(8, 8), 13, 13),
    (chunks(16, 8), 26, 26),
    (chunks(24, 8), 39, 56),
    (chunks(32, 8), 100, 126),
    (chunks(48, 8), 345, 400),
    (chunks(64, 8), 500, 500),
    (chunks(256, 8), 1460, 1460),
    (chunks(1, 1024), 700, 700),
    (chunks(1, 4096), 3600, 3600),
    (Work(1_280, 16 * 10_964, reads=16), 19, 19),
    (Work(25_600, 10_000, deletes=256), 100, 100),
]


@pytest.mark.parametrize(("work", "least", "most"), SERVICE)
def test_service_times_are_those_of_the_table(work: Work, least: float, most: float) -> None:
    """Without pauses, within a fifth of what was measured."""
    ms = (core_seconds(work) + wait_seconds(work)) * 1000
    assert least * 0.8 <= ms <= most * 1.22


# Facts §10: the request, payload MB a second with one connection and with three.
RATES = [
    (chunks(1, 8), 8, 3.8, 3.9),
    (chunks(8, 8), 64, 4.6, 5.5),
    (chunks(16, 8), 128, 4.3, 6.8),
    (chunks(24, 8), 192, 2.8, 3.2),
    (chunks(1, 64), 64, 2.5, 3.6),
    (chunks(1, 128), 128, 2.0, 2.3),
    (chunks(1, 256), 256, 2.4, 1.8),
    (chunks(1, 1024), 1024, 1.5, 1.7),
    (chunks(1, 4096), 4096, 1.2, 1.4),
    (chunks(64, 8), 512, 1.3, 1.8),
    (chunks(256, 8), 2048, 1.5, 1.8),
]


@pytest.mark.parametrize(("work", "kib", "alone", "three"), RATES)
def test_rates_are_those_of_the_table(work: Work, kib: int, alone: float, three: float) -> None:
    """With pauses, within two fifths; three connections keep the one core busy."""
    busy = core_seconds(work) + garbage_seconds(work)
    for seconds, measured in (
        (total_seconds(work), alone),
        (max(busy, total_seconds(work) / 3), three),
    ):
        rate = kib * KIB / seconds / 1e6
        assert 0.6 * measured <= rate <= 1.6 * measured


@pytest.mark.parametrize(
    ("work", "measured"), [(chunks(16, 8), 9.2), (chunks(4, 32), 18.8), (chunks(1, 128), 25.0)]
)
def test_64_mib_take_what_they_took(work: Work, measured: float) -> None:
    """Three connections, no delay, 128 KiB a request: within an eighth."""
    busy = core_seconds(work) + garbage_seconds(work)
    assert 512 * busy == pytest.approx(measured, rel=0.125)


@pytest.mark.parametrize(
    ("kib", "width", "measured"),
    [(8, 3, 22.5), (8, 8, 8.4), (32, 3, 5.9), (32, 8, 2.2), (128, 3, 2.0), (128, 8, 1.0)],
)
def test_reading_5_mib_takes_what_it_took(kib: int, width: int, measured: float) -> None:
    """Through 100 ms, one look-up a chunk, 0.3 s to connect: within a fifth."""
    seconds = core_seconds(Work(60, kib * KIB * 4 // 3, reads=1))
    rounds = 5 * 1024 / kib / width
    assert rounds * max(0.1 + seconds, width * seconds) + 0.3 == pytest.approx(measured, rel=0.2)


@pytest.mark.parametrize(
    ("work", "least", "most"), [(chunks(16, 8), 1.75, 2.1), (chunks(4, 32), 2.0, 2.6)]
)
def test_writing_5_mib_takes_what_it_took(work: Work, least: float, most: float) -> None:
    """Through 100 ms, three connections, 40 requests of 128 KiB that cost the client 5 ms each."""
    core = Core(random.Random(1))  # noqa: S311
    free = [0.0, 0.0, 0.0]
    for _ in range(40):
        free.sort()
        free[0] = core.serve(work, free[0] + 0.005 + 0.05) + 0.05
    assert least <= max(free) <= most


def test_the_square_law() -> None:
    """Above 200 KB, twice the request is far more than twice the time."""
    assert core_seconds(chunks(48, 8)) > 8 * core_seconds(chunks(24, 8))
    assert core_seconds(chunks(16, 8)) < 2.1 * core_seconds(chunks(8, 8))


def test_one_core_serves_one_at_a_time() -> None:
    """Three requests at once wait for each other, but not for each other's disk."""
    core, work = Core(random.Random(1)), chunks(16, 8)  # noqa: S311
    done = [core.serve(work, 100.0) for _ in range(3)]
    assert done[0] == pytest.approx(100.0 + core_seconds(work) + wait_seconds(work))
    assert done[2] - done[1] == pytest.approx(core_seconds(work))


def test_an_idle_core_owes_nothing() -> None:
    """Who comes later does not pay for the time when nobody came."""
    core, work = Core(random.Random(1)), chunks(1, 8)  # noqa: S311
    core.serve(work, 100.0)
    assert core.serve(work, 200.0) == pytest.approx(200.0 + total_seconds(work))


def test_large_values_bring_pauses() -> None:
    """On average they cost what was measured, in pieces of 200 to 450 ms."""
    core, work = Core(random.Random(1)), chunks(1, 128)  # noqa: S311
    steps, before = [], 0.0
    for _ in range(400):
        done = core.serve(work, 0.0)
        steps.append(done - before - core_seconds(work))
        before = done
    pauses = [step for step in steps[1:] if step > 0.1]
    assert all(PAUSE_SECONDS[0] <= pause <= PAUSE_SECONDS[1] for pause in pauses)
    assert sum(pauses) == pytest.approx(400 * garbage_seconds(work), rel=0.1)


def test_small_values_bring_none() -> None:
    """8 KiB chunks stay under the size that the collector minds."""
    assert garbage_seconds(chunks(16, 8)) == 0.0


def test_many_deletions_rewrite_the_store() -> None:
    """8.8 s with 600 MB in it, and nobody is served meanwhile."""
    core = Core(random.Random(1))  # noqa: S311
    core.deleted(100, 100, 600_000_000, 10.0)
    assert core.serve(Work(), 10.0) > 10.0 + rewrite_seconds(600_000_000) > 18.0


def test_few_deletions_do_not() -> None:
    """Neither sixty, nor a small share of what is stored."""
    assert not needs_rewrite(60, 10)
    assert not needs_rewrite(100, 1_000)
    assert needs_rewrite(100, 100)
