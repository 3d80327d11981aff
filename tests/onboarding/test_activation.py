"""An atSign is activated once, and its keys are never lost on the way."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from atxfer import Client, onboarding
from atxfer._crypto.atkeys import AtKeys
from atxfer.devserver import DevServer, FaultPlan
from atxfer.errors import AlreadyActivated, ConnectionLost, KeysNotPrivate, LoginRefused
from tests.onboarding.conftest import SECRET

# What one activation sends: from and the look-up of the public key, from and cram, the PKAM key,
# the public key, from and pkam of the login that tries them, and the farewell to the secret.
STEPS = ("lookup", "from", "cram", "update", "update", "from", "pkam", "delete")


@pytest.fixture
def options(carol: DevServer, tmp_path: Path) -> dict[str, Any]:
    """Return what to call the functions with."""
    return {**carol.client_options, "keys_dir": str(tmp_path)}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Return where the keys are to lie."""
    return tmp_path / "@carol_key.atKeys"


def _activated(carol: DevServer, options: dict[str, Any], key_file: Path) -> bool:
    """Expect a whole activation: keys that work, alone in their folder, and no secret any more."""
    with Client("@carol", **options) as client:
        assert list(client.files()) == []
    server = carol.server("@carol")
    keys = AtKeys.read(key_file, "@carol")
    assert server.value("public:publickey@carol") == keys.encryption_public
    assert server.value("privatekey:at_pkam_publickey") == keys.pkam_public
    assert "privatekey:at_secret" not in server
    assert list(key_file.parent.iterdir()) == [key_file]
    return stat.S_IMODE(key_file.stat().st_mode) == 0o600


def test_the_keys_of_an_activation_work(
    carol: DevServer, options: dict[str, Any], key_file: Path
) -> None:
    """Its file is private, and alone in its folder; the secret is gone."""
    assert onboarding.activate("Carol", SECRET, **options) == key_file
    assert _activated(carol, options, key_file)
    commands = carol.counters.snapshot()["@carol"]["commands"]
    assert {name: commands[name] for name in ("cram", "update", "delete")} == {
        "cram": 1,
        "update": 2,
        "delete": 1,
    }


def test_a_key_file_is_never_overwritten(
    carol: DevServer, options: dict[str, Any], key_file: Path
) -> None:
    """The error names it, and nobody was asked anything."""
    key_file.write_text("precious")
    with pytest.raises(FileExistsError) as caught:
        onboarding.activate("@carol", SECRET, **options)
    assert caught.value.filename == str(key_file)
    assert key_file.read_text() == "precious"
    assert carol.counters.snapshot()["@carol"]["connections"] == 0


def test_a_wrong_secret_leaves_nothing(
    carol: DevServer, options: dict[str, Any], tmp_path: Path
) -> None:
    """Neither a file nor a record, and the right one still works."""
    before = carol.server("@carol").keys()
    with pytest.raises(LoginRefused, match="doesn't accept this secret") as caught:
        onboarding.activate("@carol", "wrong-secret", **options)
    assert "wrong-secret" not in f"{caught.value!r} {caught.value}"
    assert list(tmp_path.iterdir()) == []
    assert carol.server("@carol").keys() == before
    onboarding.activate("@carol", SECRET, **options)


def test_nobody_activates_twice(carol: DevServer, options: dict[str, Any], tmp_path: Path) -> None:
    """Not even with the secret: the keys in use stay in use."""
    path = onboarding.activate("@carol", SECRET, **options)
    there = carol.server("@carol").value("public:publickey@carol")
    with pytest.raises(AlreadyActivated, match="@carol") as caught:
        onboarding.activate("@carol", SECRET, **{**options, "keys_dir": tmp_path / "other"})
    assert caught.value.exit_code == 4
    assert "atxfer enroll" in caught.value.remedy
    assert carol.server("@carol").value("public:publickey@carol") == there
    assert not (tmp_path / "other").exists()
    assert path.exists()


def test_a_secret_that_is_used_up(carol: DevServer, options: dict[str, Any]) -> None:
    """Where a server has neither a public key nor a secret, only its keeper can help."""
    carol.server("@carol").remove("privatekey:at_secret")
    with pytest.raises(LoginRefused, match="no secret any more") as caught:
        onboarding.activate("@carol", SECRET, **options)
    assert "registrar" in caught.value.remedy


@pytest.mark.parametrize("word", ["drop-before", "drop-after"])
@pytest.mark.parametrize("step", range(len(STEPS)), ids=[f"{i}-{s}" for i, s in enumerate(STEPS)])
def test_a_run_that_ends_anywhere_is_finished_by_the_next(
    carol: DevServer, options: dict[str, Any], key_file: Path, step: int, word: str
) -> None:
    """Whether the server did what it was asked last, nobody knows, and it doesn't matter."""
    carol.faults = FaultPlan.script(" ".join([*["ok"] * step, word]))
    with pytest.raises(ConnectionLost):
        onboarding.activate("@carol", SECRET, **options)
    assert carol.faults.played
    assert not key_file.exists()
    carol.faults = FaultPlan()
    onboarding.activate("@carol", SECRET, **options)
    assert _activated(carol, options, key_file)


def test_the_second_run_needs_no_secret_where_the_first_has_used_it(
    carol: DevServer, options: dict[str, Any], key_file: Path
) -> None:
    """The keys that wait on the disk open the server."""
    carol.faults = FaultPlan.script("drop-after", verbs={"delete"})
    with pytest.raises(ConnectionLost):
        onboarding.activate("@carol", SECRET, **options)
    onboarding.activate("@carol", "forgotten", **options)
    assert _activated(carol, options, key_file)


def test_the_keys_are_on_the_disk_before_the_server_knows_them(
    carol: DevServer, options: dict[str, Any], key_file: Path
) -> None:
    """Under a name that says that they are not in use, and private."""
    carol.faults = FaultPlan.script("drop-before", verbs={"update"})
    with pytest.raises(ConnectionLost):
        onboarding.activate("@carol", SECRET, **options)
    draft = key_file.with_name("@carol_key.atKeys.new")
    assert stat.S_IMODE(draft.stat().st_mode) == 0o600
    keys = AtKeys.read(draft, "@carol")
    assert "public:publickey@carol" not in carol.server("@carol")
    onboarding.activate("@carol", SECRET, **options)
    assert AtKeys.read(key_file, "@carol").self_key == keys.self_key


def test_a_disk_that_is_full_leaves_the_server_as_it_was(
    carol: DevServer,
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keys that can't be kept are not used."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        onboarding.activate("@carol", SECRET, **options)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
    assert carol.counters.snapshot()["@carol"]["commands"].get("update", 0) == 0
    onboarding.activate("@carol", SECRET, **options)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("before", [True, False])
def test_a_run_that_ends_while_the_file_gets_its_name(
    carol: DevServer,
    options: dict[str, Any],
    key_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: bool,
) -> None:
    """The file may have no name, or two; the next run leaves it with one."""
    link = os.link

    def dies(source: Path, target: Path) -> None:
        if not before or not str(target).endswith(".atKeys"):
            link(source, target)
        if str(target).endswith(".atKeys"):
            raise Killed

    monkeypatch.setattr(os, "link", dies)
    with pytest.raises(Killed):
        onboarding.activate("@carol", SECRET, **options)
    monkeypatch.undo()
    assert key_file.with_name("@carol_key.atKeys.new").exists()
    assert key_file.exists() is not before
    assert onboarding.activate("@carol", SECRET, **options) == key_file
    assert _activated(carol, options, key_file)


def test_keys_of_a_run_that_another_has_overtaken(
    carol: DevServer, options: dict[str, Any], key_file: Path, tmp_path: Path
) -> None:
    """They are kept, and the error says of what use they are."""
    carol.faults = FaultPlan.script("drop-before", verbs={"update"})
    with pytest.raises(ConnectionLost):
        onboarding.activate("@carol", SECRET, **options)
    onboarding.activate("@carol", SECRET, **{**options, "keys_dir": tmp_path / "other"})
    with pytest.raises(AlreadyActivated, match=r"not with the keys in .*atKeys\.new") as caught:
        onboarding.activate("@carol", SECRET, **options)
    assert "remove it" in caught.value.remedy
    assert key_file.with_name("@carol_key.atKeys.new").exists()


def test_waiting_keys_that_others_can_read_are_not_used(
    carol: DevServer, options: dict[str, Any], key_file: Path
) -> None:
    """As of any key file."""
    carol.faults = FaultPlan.script("drop-before", verbs={"update"})
    with pytest.raises(ConnectionLost):
        onboarding.activate("@carol", SECRET, **options)
    key_file.with_name("@carol_key.atKeys.new").chmod(0o644)
    with pytest.raises(KeysNotPrivate):
        onboarding.activate("@carol", SECRET, **options)
