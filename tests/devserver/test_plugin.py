"""The pytest plugin that users of atxfer test with."""

from __future__ import annotations

import subprocess
import sys
from typing import Callable

import pytest

from atxfer.devserver import DevServer, FaultPlan
from tests.support.lines import LineClient, owner


@pytest.mark.parametrize("run", [1, 2])
def test_each_test_finds_an_empty_server(atserver: DevServer, run: int) -> None:
    """What the test before left is gone."""
    assert "left@alice" not in atserver.server("@alice")
    with owner(atserver) as alice:
        alice.ask("update:left@alice v")


def test_the_plan_is_the_servers(atserver: DevServer, fault_plan: FaultPlan) -> None:
    """What it says happens."""
    fault_plan.play("AT0011")
    with LineClient(atserver) as client:
        assert client.ask("info").startswith("error:AT0011-")


def test_a_factory_makes_others(
    atserver: DevServer, atserver_factory: Callable[..., DevServer]
) -> None:
    """Beside the common one, with options."""
    other = atserver_factory(["carol"], max_connections=1)
    assert set(other.servers) == {"@carol"}
    with LineClient(other, "@carol"), LineClient(other, "@carol", greeted=False) as refused:
        assert refused.read_until(b"\n").startswith("error:AT0012-")


def test_loading_the_plugin_costs_nothing() -> None:
    """Test runs that never use it don't import the server."""
    code = "import atxfer.testing, sys; sys.exit('atxfer.devserver' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
