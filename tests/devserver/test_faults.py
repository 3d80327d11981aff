"""Fault plans: scripts, rates, and how they are read."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from atxfer.devserver import faults
from atxfer.devserver.faults import WORDS, BadFaults, FaultPlan, corrupted, seconds


def decisions(plan: FaultPlan, count: int, verb: str = "update") -> list[str]:
    """Return what happens to so many commands of @alice."""
    return [plan.decide(verb, "@alice") for _ in range(count)]


def test_a_script_is_played_in_order() -> None:
    """Word by word, then nothing more happens."""
    plan = FaultPlan.script("ok AT0011 drop-after")
    assert decisions(plan, 4) == ["ok", "AT0011", "drop-after", "ok"]
    assert plan.played


def test_a_script_may_wait_for_its_verbs_and_servers() -> None:
    """Other commands pass it by."""
    plan = FaultPlan.script("hang", verbs={"batch"}, atsigns={"@alice"})
    assert plan.decide("update", "@alice") == "ok"
    assert plan.decide("batch", "@bob") == "ok"
    assert plan.decide("batch", "@alice") == "hang"


@pytest.mark.parametrize(
    ("word", "passed_by", "met_by"),
    [("missing", "update", "batch"), ("full", "llookup", "update"), ("mixup", "update", "lookup")],
)
def test_a_word_waits_for_what_can_meet_it(word: str, passed_by: str, met_by: str) -> None:
    """A fault that a command can't have is not used up on it."""
    plan = FaultPlan.script(word)
    assert plan.decide(passed_by, "@alice") == "ok"
    assert plan.decide(met_by, "@alice") == word


def test_two_scripts_are_played_side_by_side() -> None:
    """Each for its own verbs."""
    plan = FaultPlan()
    plan.play("AT0011 AT0011", verbs={"batch"})
    plan.play("drop-before", verbs={"scan"})
    assert plan.decide("scan", "@alice") == "drop-before"
    assert decisions(plan, 3, "batch") == ["AT0011", "AT0011", "ok"]


@pytest.mark.parametrize("word", ["oops", "AT9999", "DROP"])
def test_unknown_words_are_refused(word: str) -> None:
    """The error lists what there is."""
    with pytest.raises(BadFaults, match="drop-after"):
        FaultPlan.script(f"ok {word}")


def test_rates_are_kept_over_many_commands() -> None:
    """Half of the drops come before the work, half after it."""
    plan = FaultPlan.parse("error=0.05,drop=0.02,pause=0.1", seed=3)
    counts = Counter(decisions(plan, 20_000))
    assert counts["AT0011"] == pytest.approx(1000, rel=0.15)
    assert counts["pause"] == pytest.approx(2000, rel=0.15)
    assert counts["drop-before"] == pytest.approx(200, rel=0.3)
    assert counts["drop-after"] == pytest.approx(200, rel=0.3)


def test_a_seed_repeats_the_faults() -> None:
    """The same commands in the same order meet the same ones."""
    first, second = (FaultPlan.parse("error=0.3,drop=0.3", seed=5) for _ in range(2))
    assert decisions(first, 50) == decisions(second, 50)


def test_a_rate_may_name_its_verbs() -> None:
    """Behind an @, joined by a plus."""
    plan = FaultPlan.parse("error=1@batch+scan")
    assert decisions(plan, 1, "batch") == decisions(plan, 1, "scan") == ["AT0011"]
    assert decisions(plan, 1, "update") == ["ok"]


def test_a_rate_may_name_its_servers() -> None:
    """Others are healthy."""
    plan = FaultPlan(error=1.0, atsigns={"@bob"})
    assert plan.decide("scan", "@bob") == "AT0011"
    assert plan.decide("scan", "@alice") == "ok"


def test_missing_is_for_batches_alone() -> None:
    """Its rate does not touch what has no ids."""
    plan = FaultPlan(missing=1.0)
    assert decisions(plan, 1, "batch") == ["missing"]
    assert decisions(plan, 1, "update") == ["ok"]


def test_attributes_may_be_set_at_any_time() -> None:
    """A test changes its mind while the server runs."""
    plan = FaultPlan()
    assert decisions(plan, 1) == ["ok"]
    plan.error, plan.error_code = 1.0, "AT0023"
    assert decisions(plan, 1) == ["AT0023"]


def test_states_are_read_from_text() -> None:
    """As the command line writes them."""
    plan = FaultPlan.parse(
        "latency=100ms, jitter=0.02s, bandwidth=1e6, max-connections=20, clock-skew=-60,"
        "wrong-certificate, directory-down=no, error_code=AT0010, pause_seconds=2"
    )
    assert (plan.latency, plan.jitter, plan.bandwidth) == (0.1, 0.02, 1_000_000)
    assert (plan.max_connections, plan.clock_skew, plan.pause_seconds) == (20, -60.0, 2.0)
    assert (plan.wrong_certificate, plan.directory_down) == (True, False)
    assert plan.error_code == "AT0010"


@pytest.mark.parametrize(
    "text",
    [
        "error=2",
        "error=x",
        "error",
        "nonsense=1",
        "latency=fast",
        "down=1",
        "error_code=7",
        "rng=1",
    ],
)
def test_what_can_not_be_read_is_refused(text: str) -> None:
    """With words for the person who typed it."""
    with pytest.raises(BadFaults):
        FaultPlan.parse(text)


@pytest.mark.parametrize(
    ("text", "value"), [("100ms", 0.1), ("0.1s", 0.1), ("0.1", 0.1), (" 2 s ", 2.0), ("0", 0.0)]
)
def test_times_have_units(text: str, value: float) -> None:
    """Milliseconds or seconds; seconds where none is named."""
    assert seconds(text) == value


def test_corruption_changes_one_character_of_base64() -> None:
    """Never the padding, and never to the same."""
    rng = random.Random(1)  # noqa: S311
    for text in ("QUJD", "QUI=", "QQ==", "B"):
        for _ in range(20):
            other = corrupted(text, rng)
            assert sum(a != b for a, b in zip(text, other)) == 1
            assert other.count("=") == text.count("=")
    assert corrupted("", rng) == ""


def test_every_word_is_explained() -> None:
    """The module's table is complete."""
    assert [word for word in WORDS if f"\n{word} " not in str(faults.__doc__)] == []
