"""Each thing that can be wrong is found, named, and has a remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme

from atxfer.devserver import DevServer, FaultPlan
from atxfer.doctor import Finding, diagnose

ALL = ["keys", "directory", "connection", "server", "login", "name space", "requests", "limits"]


def _findings(world: DevServer, atsign: str = "@alice", **options: Any) -> dict[str, Finding]:
    found = diagnose(atsign, **{**world.client_options, **options})
    return {finding.check: finding for finding in found}


def test_a_healthy_world(atserver: DevServer) -> None:
    """Every check is made, in order, and all is well."""
    findings = _findings(atserver)
    assert list(findings) == ALL
    assert all(f.ok and f.exit_code == 0 and not f.remedy for f in findings.values())


def test_it_changes_nothing(atserver: DevServer) -> None:
    """Neither a record nor a commit is left behind."""
    before = atserver.server("@alice").keys()
    _findings(atserver)
    assert atserver.server("@alice").keys() == before


def test_without_keys_the_rest_is_still_checked(atserver: DevServer, tmp_path: Path) -> None:
    """What needs no login is told all the same."""
    findings = _findings(atserver, keys_dir=tmp_path)
    assert list(findings) == ["keys", "directory", "connection", "server"]
    assert [name for name, finding in findings.items() if not finding.ok] == ["keys"]
    assert findings["keys"].exit_code == 3
    assert "keys_dir" in findings["keys"].remedy


def test_an_unknown_atsign_ends_at_the_directory(atserver: DevServer) -> None:
    """Without an address there is no server to ask."""
    findings = _findings(atserver, "@nobody")
    assert list(findings) == ["keys", "directory"]
    assert findings["directory"].exit_code == 5


def test_a_directory_that_is_down(atserver: DevServer) -> None:
    """The finding names the address that was tried."""
    finding = _findings(atserver, directory="localhost:1")["directory"]
    assert (finding.ok, finding.exit_code) == (False, 9)
    assert "localhost:1" in finding.detail


def test_a_certificate_that_nobody_vouches_for(atserver: DevServer, tmp_path: Path) -> None:
    """The remedy names the option."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    finding = _findings(atserver, ca_file=tmp_path / "ca.pem")["directory"]
    assert not finding.ok
    assert "--ca-file" in finding.remedy


@pytest.mark.parametrize(
    ("fault", "verb", "check"),
    [
        ("AT0401", "pkam", "login"),
        ("AT0009", "delete", "name space"),
        ("missing", "batch", "requests"),
        ("AT0003", "batch", "requests"),
        ("garbage", "info", "server"),
        ("drop-before", "stats", "limits"),
    ],
)
def test_what_the_server_refuses_is_found(
    atserver: DevServer, fault: str, verb: str, check: str
) -> None:
    """The check that met it fails; those before it are as they were."""
    atserver.faults = FaultPlan.script(fault, verbs={verb})
    findings = _findings(atserver)
    failed = [name for name, finding in findings.items() if not finding.ok]
    assert failed[0] == check
    assert findings[check].exit_code > 0


def test_a_crowded_server_is_told(atserver: DevServer) -> None:
    """Where our connections would not fit, the remedy is to take fewer."""
    atserver.faults = FaultPlan.parse("max_connections=0")
    findings = _findings(atserver)
    assert not all(finding.ok for finding in findings.values())


@pytest.mark.parametrize("options", [{"directory": "no:port"}, {"ca_file": __file__}])
def test_misuse_is_no_finding(atserver: DevServer, options: dict[str, str]) -> None:
    """What can't be understood is an error of the call, before anything is asked."""
    with pytest.raises(ValueError, match=r"HOST:PORT|certificate"):
        _findings(atserver, **options)
