"""What ``import atxfer`` offers, what it costs, and what the pages say of it."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import atxfer
import atxfer.config
import atxfer.doctor
import atxfer.errors
import atxfer.model
import atxfer.onboarding
import atxfer.stores.base

ROOT = Path(__file__).resolve().parent.parent

# Loaded only by what needs them: the budget of a plain import.
HEAVY = ("requests", "urllib3", "cryptography", "backoff", "click", "rich", "asyncio", "ssl")
HEAVY_OF_OURS = ("atxfer.client", "atxfer._engine", "atxfer._net", "atxfer.devserver")

MODULES = (
    *(atxfer, atxfer.config, atxfer.doctor, atxfer.errors),
    *(atxfer.model, atxfer.onboarding, atxfer.stores.base),
)


def _loaded_by(code: str) -> set[str]:
    command = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code", ["import atxfer", "from atxfer import TransferError, TransferConfig"]
)
def test_a_plain_import_loads_nothing_heavy(code: str) -> None:
    """A program that imports atxfer and does nothing with it pays next to nothing."""
    loaded = _loaded_by(code)
    assert loaded.isdisjoint({*HEAVY, *HEAVY_OF_OURS, "concurrent.futures.thread"})


def test_a_client_loads_neither_the_command_line_nor_the_development_server() -> None:
    """What a program doesn't use it doesn't load; asyncio comes with backoff."""
    loaded = _loaded_by("from atxfer import Client")
    assert "atxfer._engine.engine" in loaded
    assert loaded.isdisjoint({"click", "rich", "atxfer._cli", "atxfer.devserver"})


def test_the_reference_has_every_public_name_and_no_other() -> None:
    """The page lists what the package offers."""
    page = (ROOT / "docs" / "reference.md").read_text("utf-8")
    documented = re.findall(r"^\.\. auto\w+:: atxfer\.(\w+)$", page, re.MULTILINE)
    assert sorted(documented) == sorted([*atxfer.__all__, "doctor", "onboarding"])


@pytest.mark.parametrize("name", atxfer.__all__)
def test_every_name_is_there(name: str) -> None:
    """A lazy name can be had, and is listed by ``dir``."""
    assert getattr(atxfer, name) is not None
    assert name in dir(atxfer)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """A typing mistake is told as of any other module."""
    with pytest.raises(AttributeError, match="Cleint"):
        atxfer.Cleint  # noqa: B018


def _members(thing: Any) -> list[tuple[str, Any]]:
    if not inspect.isclass(thing):
        return []
    own = [(name, member) for name, member in vars(thing).items() if not name.startswith("_")]
    return [
        (name, member)
        for name, member in own
        if inspect.isfunction(member) or isinstance(member, (property, classmethod))
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_is_explained(module: Any) -> None:
    """Functions, classes and their public members have a docstring."""
    things = {name: getattr(module, name) for name in module.__all__}
    members = {f"{n}.{m}": member for n, t in things.items() for m, member in _members(t)}
    silent = [
        name
        for name, thing in {**things, **members}.items()
        if (callable(thing) or isinstance(thing, (property, classmethod)))
        and not inspect.getdoc(thing)
    ]
    assert silent == []


def test_the_version_is_the_package_s() -> None:
    """One number, in one place."""
    text = (ROOT / "atxfer" / "_version.py").read_text("utf-8")
    assert f'"{atxfer.__version__}"' in text
    assert (ROOT / "CHANGELOG.md").read_text("utf-8").count(f"## {atxfer.__version__}") == 1
