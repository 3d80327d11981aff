"""For every test: no settings of the machine's, and a gate in which nothing may skip."""

from __future__ import annotations

import importlib.metadata
import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["atxfer.testing", "tests.fix_servers"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this suite."""
    parser.addoption("--soak", action="store_true", help="also run the long soak and fuzz tests")
    parser.addoption("--forbid-skips", action="store_true", help="a test that skips has failed")


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C work: a run in the background starts with it ignored, as do its children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config: pytest.Config) -> str:
    """Name what was found: the suite runs with the oldest and the newest of each."""
    packages = ("requests", "urllib3", "backoff", "cryptography", "click", "rich", "atsdk")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the soak tests unless they are asked for."""
    if config.getoption("--soak"):
        return
    soak = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=soak)
    items[:] = [item for item in items if item not in soak]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Turn a skip into a failure where the gate forbids them."""
    outcome = yield
    report = outcome.get_result()
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and item.config.getoption("--forbid-skips")
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped, where no test may skip: {report.longrepr}"


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
    """Turn the skip of a whole module into a failure, too."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and collector.config.getoption("--forbid-skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped, where no test may skip: {report.longrepr}"


@pytest.fixture(autouse=True)
def _own_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Hide the machine's settings, proxies and keys from every test."""
    for name in list(os.environ):
        ours = name.startswith("ATXFER_") or name == "XDG_STATE_HOME"
        if ours or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(_empty_home(tmp_path_factory)))


def _empty_home(factory: pytest.TempPathFactory) -> Path:
    home = factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    return home
