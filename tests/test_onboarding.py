"""The whole way to keys, as a program goes it, with nothing secret shown on it."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from pathlib import Path
from typing import Any, Callable

import pytest

from atxfer import Client, TransferConfig, onboarding
from atxfer.devserver import DevServer, FaultPlan
from atxfer.errors import TransferError

SECRET = "0c0ffee0c0ffee"

Factory = Callable[..., DevServer]


@pytest.fixture
def world(atserver_factory: Factory) -> DevServer:
    """Return a world in which @carol is not activated yet."""
    return atserver_factory([], cram_secrets={"carol": SECRET})


def test_from_a_secret_to_a_script_s_first_upload(
    world: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment says where everything is, as for a client."""
    for name, value in world.client_options.items():
        monkeypatch.setenv(f"ATXFER_{name.upper()}", value)
    path = onboarding.activate("@carol", SECRET)
    assert path.parent == Path(world.keys_dir)
    otp = onboarding.new_otp("@carol")
    monkeypatch.setenv("ATXFER_KEYS_DIR", str(tmp_path))
    asked = onboarding.request_enrollment("@carol", otp, device_name="script")
    monkeypatch.setenv("ATXFER_KEYS_DIR", world.keys_dir)
    assert onboarding.enrollments("@carol") == [asked]
    onboarding.approve("@carol", asked.id)
    monkeypatch.setenv("ATXFER_KEYS_DIR", str(tmp_path))
    assert onboarding.complete_enrollment("@carol").parent == tmp_path
    with Client("@carol") as client:
        receipt = client.upload(b"content", name="report")
    monkeypatch.setenv("ATXFER_KEYS_DIR", world.keys_dir)
    onboarding.revoke("@carol", asked.id)
    with Client("@carol") as client:
        assert [file.file_id for file in client.files()] == [receipt.file_id]


def test_the_configuration_says_how_patient(world: DevServer) -> None:
    """A server that doesn't answer is waited for as long as it allows."""
    world.faults = FaultPlan.script("hang", verbs={"lookup"})
    config = TransferConfig(request_timeout=0.2)
    with pytest.raises(TransferError, match="in time"):
        onboarding.activate("@carol", SECRET, config=config, **world.client_options)


@pytest.mark.parametrize(
    "options", [{"directory": "no:port"}, {"ca_file": __file__}], ids=["directory", "ca_file"]
)
def test_misuse_is_told_before_anything_is_asked(world: DevServer, options: dict[str, Any]) -> None:
    """As by a client."""
    with pytest.raises(ValueError, match=r"HOST:PORT|certificate"):
        onboarding.activate("@carol", SECRET, **{**world.client_options, **options})
    with pytest.raises(ValueError, match="no atSign"):
        onboarding.activate("not an atsign", SECRET, **world.client_options)


def test_no_secret_is_logged_or_shown(
    world: DevServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither on the good way nor by an error at any step of it."""
    caplog.set_level(logging.DEBUG)
    owner, device = world.client_options, {**world.client_options, "keys_dir": str(tmp_path)}
    shown: list[str] = []

    def failing(call: Callable[[], object], verb: str) -> None:
        for word in ("AT0011", "AT0003", "drop-before"):
            world.faults = FaultPlan.script(word, verbs={verb})
            with pytest.raises(TransferError) as caught:
                call()
            shown.extend(traceback.format_exception(caught.type, caught.value, caught.tb))
            shown.append(f"{caught.value!r} {vars(caught.value)}")
        world.faults = FaultPlan()

    failing(lambda: onboarding.activate("@carol", SECRET, **owner), "cram")
    failing(lambda: onboarding.activate("@carol", SECRET, **owner), "update")
    path = onboarding.activate("@carol", SECRET, **owner)
    otp = onboarding.new_otp("@carol", **owner)
    failing(lambda: onboarding.request_enrollment("@carol", otp, **device), "enroll")
    asked = onboarding.request_enrollment("@carol", otp, **device)
    half_made = json.loads((tmp_path / "@carol_key.atKeys.pending").read_text())
    failing(lambda: onboarding.approve("@carol", asked.id, **owner), "enroll")
    shown.append(repr(onboarding.approve("@carol", asked.id, **owner)))
    failing(lambda: onboarding.complete_enrollment("@carol", wait=0, **device), "keys")
    onboarding.complete_enrollment("@carol", **device)
    members = json.loads(path.read_text())
    private = {name: base64.b64decode(half_made[name]).hex() for name in _SECRET_MEMBERS}
    secrets = [SECRET, otp, members["selfEncryptionKey"], *private.values()]
    secrets += [half_made[name] for name in _SECRET_MEMBERS]
    everything = "\n".join([*shown, caplog.text])
    assert [secret for secret in secrets if secret in everything] == []


_SECRET_MEMBERS = ("apkamPrivateKey", "apkamSymmetricKey")
