"""Keys that an owner hands over: as the platform does it, and better where it can be."""

from __future__ import annotations

import copy
import functools
import pickle
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from atxfer._crypto.enrolling import DeviceKeys, Sealed, hand_over
from atxfer._crypto.primitives import (
    base64_decode,
    base64_encode,
    load_rsa_public_key,
    rsa_private_der,
    rsa_verify_sha256,
)
from atxfer._crypto.sharing import unwrap_key
from atxfer.errors import IntegrityError, KeysNotFound, KeysNotPrivate, KeysUnreadable
from tests.support.vectors import alice_keys, platform_vectors, rsa_private

ENROLL = platform_vectors()["enroll"]
PUBLIC = platform_vectors()["rsa_keys"]["alice_encryption_public"]


@functools.cache
def device() -> DeviceKeys:
    """Return a device's keys with the AES key of the vectors."""
    keys = DeviceKeys.generate("@alice", "atxfer", "server1", {"atxfer": "rw"})
    return replace(
        keys, symmetric_key=base64_decode(ENROLL["apkamSymmetricKey"]), enrollment_id="5093"
    )


def test_the_platform_s_keys_are_taken_over() -> None:
    """What its own library handed over gives the owner's keys, and the device's own."""
    keys = device().completed(
        Sealed(ENROLL["encryptedDefaultEncryptionPrivateKey"]),
        Sealed(ENROLL["encryptedDefaultSelfEncryptionKey"]),
        PUBLIC,
    )
    owner = alice_keys()
    assert rsa_private_der(keys.encryption_private) == rsa_private_der(owner.encryption_private)
    assert (keys.self_key, keys.encryption_public) == (owner.self_key, owner.encryption_public)
    assert (keys.enrollment_id, keys.pkam_public) == ("5093", device().pkam_public)
    assert keys.apkam_symmetric_key == device().symmetric_key


def test_an_owner_hands_over_as_the_platform_does() -> None:
    """To the letter, where the server keeps no nonces."""
    handed = hand_over(alice_keys(), ENROLL["encryptedAPKAMSymmetricKey"], with_ivs=False)
    assert handed == (
        Sealed(ENROLL["encryptedDefaultEncryptionPrivateKey"]),
        Sealed(ENROLL["encryptedDefaultSelfEncryptionKey"]),
    )


def test_with_nonces_no_two_texts_share_a_keystream() -> None:
    """What is known of one text tells nothing of the other."""
    wrapped = device().wrapped(PUBLIC)
    private_key, self_key = hand_over(alice_keys(), wrapped, with_ivs=True)
    assert private_key.iv != self_key.iv
    assert hand_over(alice_keys(), wrapped, with_ivs=True)[1] != self_key
    keys = device().completed(private_key, self_key, PUBLIC)
    assert keys.self_key == alice_keys().self_key


def test_the_key_in_a_request_is_for_the_owner_alone() -> None:
    """Another's keys don't open it, and an owner is told so."""
    wrapped = device().wrapped(PUBLIC)
    opened = unwrap_key(wrapped, rsa_private("alice_encryption_private"))
    assert opened == device().symmetric_key
    bob = replace(alice_keys(), encryption_private=rsa_private("bob_encryption_private"))
    for strange in (bob, alice_keys()):
        with pytest.raises(IntegrityError, match="not encrypted to these keys") as caught:
            hand_over(strange, wrapped if strange is bob else "", with_ivs=False)
        assert caught.value.remedy.startswith("Deny it")


@pytest.mark.parametrize("text", ["", "AAAA", "*"])
def test_a_public_key_that_is_none_is_told(text: str) -> None:
    """It comes from a server."""
    with pytest.raises(IntegrityError, match="@alice"):
        device().wrapped(text)


@pytest.mark.parametrize(
    ("private_key", "self_key", "public_key"),
    [
        (Sealed("AAAA"), Sealed(ENROLL["encryptedDefaultSelfEncryptionKey"]), PUBLIC),
        (
            Sealed(ENROLL["encryptedDefaultEncryptionPrivateKey"]),
            Sealed(ENROLL["encryptedDefaultEncryptionPrivateKey"]),
            PUBLIC,
        ),
        (
            Sealed(ENROLL["encryptedDefaultEncryptionPrivateKey"], base64_encode(b"x" * 16)),
            Sealed(ENROLL["encryptedDefaultSelfEncryptionKey"]),
            PUBLIC,
        ),
        (
            Sealed(ENROLL["encryptedDefaultEncryptionPrivateKey"]),
            Sealed(ENROLL["encryptedDefaultSelfEncryptionKey"]),
            "another",
        ),
    ],
    ids=["not sealed", "not a self key", "another nonce", "another owner"],
)
def test_what_is_not_the_owner_s_is_refused(
    private_key: Sealed, self_key: Sealed, public_key: str
) -> None:
    """Half of the keys, or somebody else's, would fail much later."""
    with pytest.raises(IntegrityError, match="handed over") as caught:
        device().completed(private_key, self_key, public_key)
    assert "revoke" in caught.value.remedy


def test_half_made_keys_survive_their_file(tmp_path: Path) -> None:
    """With and without the id that the server gives them; the file is private."""
    path = tmp_path / "keys" / "pending"
    asked = replace(device(), enrollment_id=None)
    asked.write(path)
    assert DeviceKeys.read(path).enrollment_id is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        asked.write(path)
    asked.enrolled("5093").write(path, replace=True)
    keys = DeviceKeys.read(path)
    assert (keys.atsign, keys.app, keys.device) == ("@alice", "atxfer", "server1")
    assert (keys.enrollment_id, dict(keys.namespaces)) == ("5093", {"atxfer": "rw"})
    assert keys.symmetric_key == device().symmetric_key
    assert keys.sign("challenge") == device().sign("challenge")


def test_a_login_is_signed_with_the_device_s_own_key() -> None:
    """The server checks it with what the request carried."""
    public = load_rsa_public_key(base64_decode(device().pkam_public))
    signature = base64_decode(device().sign("challenge"))
    assert rsa_verify_sha256(public, signature, b"challenge")


def test_a_file_that_can_not_be_used_is_told(tmp_path: Path) -> None:
    """As of any key file."""
    path = tmp_path / "pending"
    with pytest.raises(KeysNotFound):
        DeviceKeys.read(path)
    device().write(path)
    path.chmod(0o644)
    with pytest.raises(KeysNotPrivate):
        DeviceKeys.read(path)
    path.write_text("{}")
    path.chmod(0o600)
    with pytest.raises(KeysUnreadable, match="atsign"):
        DeviceKeys.read(path)


def test_no_secret_is_shown_or_copied() -> None:
    """The repr names whose and what for; pickles and copies would multiply the keys."""
    shown = repr(device())
    assert "server1" in shown
    assert "RSA" not in shown
    assert repr(device().symmetric_key) not in shown
    for make in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="secret"):
            make(device())
