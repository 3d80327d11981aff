"""A world with an owner and a device, each with a folder for keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atxfer import onboarding
from atxfer._onboarding.site import Site
from atxfer.devserver import DevServer
from atxfer.waiting import Wait
from tests.support.clock import FakeClock

SECRET = "5f2cab00"


class Enrolling:
    """@alice, who owns a server, and one further device of hers.

    Attributes:
        owner: What to call her functions with.
        device: What to call the device's functions with.
        key_file: The device's.
        pending: The device's half-made keys.
    """

    def __init__(self, world: DevServer, folder: Path) -> None:
        self.world = world
        self.owner: dict[str, Any] = world.client_options
        self.device: dict[str, Any] = {**world.client_options, "keys_dir": str(folder)}
        self.key_file = folder / "@alice_key.atKeys"
        self.pending = folder / "@alice_key.atKeys.pending"

    def request(self, **options: Any) -> onboarding.Enrollment:
        """Request an enrolment with a fresh passcode."""
        otp = onboarding.new_otp("@alice", **self.owner)
        return onboarding.request_enrollment("@alice", otp, **{**self.device, **options})

    def approved(self, **options: Any) -> onboarding.Enrollment:
        """Have an enrolment requested and approved."""
        return onboarding.approve("@alice", self.request(**options).id, **self.owner)

    def complete(self, wait: float = 0.0) -> Path:
        """Fetch the keys, or fail."""
        return onboarding.complete_enrollment("@alice", wait=wait, **self.device)

    def site(self, clock: FakeClock) -> Site:
        """Return the device's surroundings with a clock of one's own."""
        found = onboarding._site("@alice", **self.device, config=None)
        return Site(
            found.atsign,
            found.key_path,
            found.directory,
            found.context,
            found.config,
            Wait(clock=clock),
        )


@pytest.fixture
def enrolling(atserver: DevServer, tmp_path: Path) -> Enrolling:
    """Return @alice and a device of hers."""
    return Enrolling(atserver, tmp_path / "device")


@pytest.fixture(scope="module")
def _module_carol() -> Iterator[DevServer]:
    with DevServer([], cram_secrets={"@carol": SECRET}) as world:
        yield world


@pytest.fixture
def carol(_module_carol: DevServer) -> Iterator[DevServer]:
    """Return a world in which @carol is not activated yet."""
    _module_carol.reset()
    yield _module_carol
    for failure in _module_carol.failures:
        raise failure
