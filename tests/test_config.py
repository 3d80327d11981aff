"""The one configuration value: ranges, environment, presets."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atxfer.config import KIB, MIB, TransferConfig, parse_duration


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clear what the machine may have set."""
    for field in dataclasses.fields(TransferConfig):
        monkeypatch.delenv(f"ATXFER_{field.name.upper()}", raising=False)


def test_the_defaults_are_those_of_the_original_system_where_it_had_any() -> None:
    """Three in flight, 30 seconds a request, one day to live (design §2)."""
    config = TransferConfig()
    assert config.max_concurrent_uploads == 3
    assert config.request_timeout == 30.0
    assert config.ttl == 86_400.0


@pytest.mark.parametrize(
    ("preset", "width"), [("development", 2), ("production", 3), ("high_performance", 5)]
)
def test_a_preset_sets_the_width(preset: str, width: int) -> None:
    """The presets' names and widths are the original system's."""
    assert getattr(TransferConfig, preset)().max_concurrent_uploads == width


def test_original_is_that_system_to_the_letter() -> None:
    """8 KiB chunks, one a request, three in flight, three attempts after 2 s and 4 s."""
    config = TransferConfig.original()
    assert (config.chunk_size, config.max_chunks_per_request) == (8 * KIB, 1)
    assert config.max_concurrent_uploads == 3
    assert (config.max_attempts, config.backoff_initial, config.backoff_max) == (3, 2.0, 4.0)
    assert not config.backoff_jitter


def test_a_preset_takes_changes() -> None:
    """What is named beside a preset wins over it."""
    config = TransferConfig.original(max_concurrent_uploads=1, ttl=None)
    assert config.max_concurrent_uploads == 1
    assert config.ttl is None


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("max_concurrent_uploads", "7", 7),
        ("chunk_size", "64 KiB", 64 * KIB),
        ("max_file_size", "1GiB", 1024 * MIB),
        ("max_file_size", "none", None),
        ("deadline", "2.5", 2.5),
        ("ttl", "2d", 172_800.0),
        ("request_timeout", "500ms", 0.5),
        ("fsync", "off", False),
    ],
)
def test_the_environment_overrides_a_default(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, expected: object
) -> None:
    """Each field has its variable."""
    monkeypatch.setenv(f"ATXFER_{name.upper()}", text)
    assert getattr(TransferConfig(), name) == expected


def test_a_value_in_code_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment overrides defaults, not decisions."""
    monkeypatch.setenv("ATXFER_MAX_CONCURRENT_UPLOADS", "7")
    assert TransferConfig(max_concurrent_uploads=2).max_concurrent_uploads == 2


@pytest.mark.parametrize("text", ["many", "", "0", "-1", "65", "nan"])
def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """An unusable variable is an error that names it or its field, not a silent default."""
    monkeypatch.setenv("ATXFER_MAX_CONCURRENT_UPLOADS", text)
    with pytest.raises(ValueError, match=r"(?i)max_concurrent_uploads"):
        TransferConfig()


@pytest.mark.parametrize(
    "values",
    [
        {"max_concurrent_uploads": 0},
        {"max_concurrent_uploads": 65},
        {"chunk_size": 0},
        {"max_request_bytes": 1},
        {"ttl": 0.5},
        {"ttl": float("nan")},
        {"request_timeout": 0},
        {"max_attempts": 0},
        {"retry_budget": 1.5},
        {"backoff_initial": 30.0, "backoff_max": 1.0},
    ],
)
def test_a_value_out_of_range_is_refused(values: dict[str, object]) -> None:
    """Every limit is checked at the door, and the field is named."""
    with pytest.raises(ValueError, match=next(iter(values)).split("_")[0]):
        TransferConfig(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values",
    [
        {"max_concurrent_uploads": 2.5},
        {"max_concurrent_uploads": True},
        {"max_concurrent_uploads": None},
        {"chunk_size": "8"},
        {"fsync": 1},
    ],
)
def test_a_value_of_another_type_is_refused(values: dict[str, object]) -> None:
    """A wrong type is a TypeError that names the field."""
    with pytest.raises(TypeError, match=next(iter(values))):
        TransferConfig(**values)  # type: ignore[arg-type]


def test_positional_arguments_are_refused() -> None:
    """Twenty numbers in a row would mean nothing to a reader."""
    with pytest.raises(TypeError):
        TransferConfig(3)  # type: ignore[misc]


def test_it_is_frozen() -> None:
    """A configuration can be shared without fear."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        TransferConfig().ttl = 5.0  # type: ignore[misc]


@given(st.integers(1, 64), st.integers(1, 1 << 40))
def test_but_changes_only_what_is_named(width: int, size: int) -> None:
    """A changed copy keeps everything else."""
    base = TransferConfig()
    changed = base.but(max_concurrent_uploads=width, chunk_size=size)
    assert changed.but(max_concurrent_uploads=3, chunk_size=None) == base


@pytest.mark.parametrize(
    ("text", "seconds"), [("3600", 3600), ("90 s", 90), ("1.5h", 5400), ("1W", 604_800)]
)
def test_a_duration_is_seconds_or_has_a_unit(text: str, seconds: float) -> None:
    """People write 2h; programs write 7200; both mean the same."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1", "1 fortnight", "nan", "1e3"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A unit that is not known is an error, never taken for seconds."""
    with pytest.raises(ValueError, match="seconds"):
        parse_duration(text)
