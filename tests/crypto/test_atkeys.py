"""Key files: the platform's are read, ours are read by the platform, bad ones say what to do."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pickle
import stat
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atxfer._crypto.atkeys import AtKeys, find
from atxfer._crypto.primitives import (
    aes_256_ctr_pkcs7_seal,
    argon2id,
    base64_decode,
    base64_encode,
    rsa_private_der,
    rsa_verify_sha256,
)
from atxfer.errors import (
    KeysError,
    KeysMismatch,
    KeysNotFound,
    KeysNotPrivate,
    KeysUnreadable,
    PassphraseRequired,
    WrongPassphrase,
)
from tests.support.vectors import alice_keys, platform_vectors, public_der, rsa_private

VECTORS = platform_vectors()
LEGACY = VECTORS["atkeys_legacy_file"]
APKAM = VECTORS["atkeys_apkam_file"]
PASSPHRASE = VECTORS["passphrase_envelope"]["passphrase"]

Save = Callable[[Any], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return what writes a private file of text or of JSON members."""

    def write(content: Any) -> Path:
        path = tmp_path / LEGACY["file_name"]
        data = content if isinstance(content, bytes) else json.dumps(content).encode("utf-8")
        path.write_bytes(data)
        path.chmod(0o600)
        return path

    return write


def sealed(text: str) -> str:
    """Return a member's text under the self key of the vectors."""
    key = base64_decode(LEGACY["document"]["selfEncryptionKey"])
    return base64_encode(aes_256_ctr_pkcs7_seal(key, bytes(16), text.encode("utf-8")))


def wrapped(members: bytes, passphrase: str = PASSPHRASE) -> dict[str, str]:
    """Return the envelope of a file that is wrapped with a passphrase."""
    pytest.importorskip(
        "cryptography.hazmat.primitives.kdf.argon2", reason="cryptography is older than 44"
    )
    envelope = VECTORS["passphrase_envelope"]["envelope"]
    secret = passphrase.encode("utf-8")
    key = argon2id(secret, secret, iterations=2, lanes=2, memory_kib=10_000)
    content = aes_256_ctr_pkcs7_seal(key, base64_decode(envelope["iv"]), members)
    return {**envelope, "content": base64_encode(content)}


# --- the platform's files


def test_legacy_file_is_read(save: Save) -> None:
    """The file of the vectors gives the vectors' keys."""
    keys = AtKeys.read(save(LEGACY["document"]), "@alice")
    expected = VECTORS["rsa_keys"]
    assert (keys.atsign, keys.enrollment_id) == ("@alice", None)
    assert keys.pkam_public == expected["alice_pkam_public"]
    assert keys.encryption_public == expected["alice_encryption_public"]
    assert base64_encode(keys.self_key) == expected["alice_self_encryption_key"]
    private = base64_encode(rsa_private_der(keys.encryption_private))
    assert private == expected["alice_encryption_private"]


def test_enrolled_file_is_read(save: Save) -> None:
    """A file with an enrolment gives its id and symmetric key as well."""
    keys = AtKeys.read(save(APKAM["document"]), "@alice")
    assert keys.enrollment_id == APKAM["document"]["enrollmentId"]
    assert keys.apkam_symmetric_key is not None
    assert base64_encode(keys.apkam_symmetric_key) == APKAM["document"]["apkamSymmetricKey"]
    pkam = VECTORS["pkam"]
    assert keys.sign(pkam["signed_text_utf8"]) == pkam["signature_sha256_b64"]


def test_envelope_of_the_vectors_opens(save: Save) -> None:
    """The vector's passphrase opens its envelope: what is missing is missing inside it."""
    content = VECTORS["passphrase_envelope"]["content_plaintext"]
    assert wrapped(content.encode()) == VECTORS["passphrase_envelope"]["envelope"]
    path = save(VECTORS["passphrase_envelope"]["envelope"])
    with pytest.raises(KeysUnreadable, match="selfEncryptionKey is missing"):
        AtKeys.read(path, "@alice", PASSPHRASE)


def test_wrapped_file_is_read(save: Save) -> None:
    """A whole file in an envelope gives the same keys as without it."""
    path = save(wrapped(json.dumps(APKAM["document"]).encode()))
    keys = AtKeys.read(path, "@alice", PASSPHRASE)
    assert keys.pkam_public == VECTORS["rsa_keys"]["alice_pkam_public"]


def test_a_file_with_a_byte_order_mark_is_read(save: Save) -> None:
    """Some editors write one when a user merely looks at the file and saves it."""
    data = b"\xef\xbb\xbf" + json.dumps(LEGACY["document"]).encode()
    assert AtKeys.read(save(data), "@alice").atsign == "@alice"


# --- where they lie


def test_find_looks_where_the_platforms_tools_put_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a folder, keys lie in ``~/.atsign/keys``; a folder may be given with ``~``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / ".atsign" / "keys" / LEGACY["file_name"]
    alice_keys().write(path)
    assert find("@alice") == path
    assert find("@alice", "~/.atsign/keys") == path
    assert find("@alice", path.parent) == path


def test_missing_file_is_named(tmp_path: Path) -> None:
    """The error says which file was looked for, and how to name another folder."""
    with pytest.raises(KeysNotFound, match=r"@alice_key\.atKeys") as caught:
        find("@alice", tmp_path)
    assert "--keys-dir" in caught.value.remedy
    with pytest.raises(KeysNotFound, match=r"@alice_key\.atKeys"):
        AtKeys.read(tmp_path / "@alice_key.atKeys", "@alice")


def test_a_user_without_a_home_gets_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon may have no home directory; the error says so."""

    def no_home(path: str) -> str:
        return path  # what os.path.expanduser does when it finds none

    monkeypatch.setattr(os.path, "expanduser", no_home)
    monkeypatch.setattr(Path, "expanduser", _no_home)
    with pytest.raises(KeysNotFound, match="no home directory"):
        find("@alice")


def _no_home(path: Path) -> Path:
    raise RuntimeError("Could not determine home directory.")


# --- writing


@pytest.fixture(scope="module")
def fresh() -> AtKeys:
    """Return keys generated once for this module."""
    return AtKeys.generate("@carol")


def test_generated_keys_survive_their_file(fresh: AtKeys, tmp_path: Path) -> None:
    """Keys that are written are read as the same, and sign the same."""
    path = tmp_path / "new" / "folder" / "@carol_key.atKeys"
    fresh.write(path)
    keys = AtKeys.read(path, "@carol")
    assert keys.self_key == fresh.self_key
    assert (keys.pkam_public, keys.encryption_public) == (
        fresh.pkam_public,
        fresh.encryption_public,
    )
    assert keys.sign("challenge") == fresh.sign("challenge")
    assert keys.sign_data(b"data") == fresh.sign_data(b"data")
    assert json.loads(path.read_text())["@carol"] == base64_encode(fresh.self_key)


def test_enrolled_keys_survive_their_file(save: Save, tmp_path: Path) -> None:
    """The enrolment is written with its symmetric key, as the platform writes it."""
    keys = AtKeys.read(save(APKAM["document"]), "@alice")
    keys.write(tmp_path / "copy")
    assert json.loads((tmp_path / "copy").read_text()) == APKAM["document"]


def test_generated_keys_differ(fresh: AtKeys) -> None:
    """No two atSigns share a key, and the two pairs of one differ."""
    other = AtKeys.generate("@carol")
    texts = {k.pkam_public for k in (fresh, other)} | {k.encryption_public for k in (fresh, other)}
    assert len(texts) == 4
    assert fresh.self_key != other.self_key


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_written_file_is_private_whatever_the_umask(fresh: AtKeys, tmp_path: Path) -> None:
    """Nobody else may read it, not even for a moment, and its folder no more."""
    path = tmp_path / "keys" / "@carol_key.atKeys"
    before = os.umask(0)
    try:
        fresh.write(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_is_never_overwritten(fresh: AtKeys, tmp_path: Path) -> None:
    """Keys that are lost are lost for ever: an existing file stays as it is."""
    path = tmp_path / "@carol_key.atKeys"
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        fresh.write(path)
    assert path.read_text() == "precious"


def test_a_dangling_link_is_not_followed(fresh: AtKeys, tmp_path: Path) -> None:
    """Writing through somebody's link would put keys where they chose."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        fresh.write(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_write_that_fails_leaves_nothing(
    fresh: AtKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a key file would be in the way of the next try."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fresh.write(tmp_path / "@carol_key.atKeys")
    assert list(tmp_path.iterdir()) == []


# --- signatures


def test_login_is_signed_with_the_pkam_key() -> None:
    """The answer to a challenge is the vector's signature."""
    pkam = VECTORS["pkam"]
    assert alice_keys().sign(pkam["signed_text_utf8"]) == pkam["signature_sha256_b64"]


def test_data_are_signed_with_the_encryption_key() -> None:
    """A manifest is verified against the key that lies under ``public:publickey``."""
    keys = alice_keys()
    signature = keys.sign_data(b"data")
    assert rsa_verify_sha256(keys.encryption_private.public_key(), signature, b"data")
    assert keys.verify_data(signature, b"data")
    assert not keys.verify_data(signature, b"other data")
    assert not keys.verify_data(signature[:-1], b"data")


# --- what is refused


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o620, 0o602, 0o666])
def test_a_file_that_others_can_read_or_change_is_refused(save: Save, mode: int) -> None:
    """The self key lies in the clear in it; the remedy is a command to copy."""
    path = save(LEGACY["document"])
    path.chmod(mode)
    with pytest.raises(KeysNotPrivate) as caught:
        AtKeys.read(path, "@alice")
    assert caught.value.remedy == f"Make it yours alone: chmod 600 {path}"


@pytest.mark.parametrize(
    "content", [b"", b"not JSON", b"[]", b'"text"', b"null", b"\xff\xfe", b"[" * 100_000, b"{" * 9]
)
def test_what_is_no_json_object_is_refused(save: Save, content: bytes) -> None:
    """Something else under this name is told from a damaged member."""
    with pytest.raises(KeysUnreadable, match="is not JSON"):
        AtKeys.read(save(content), "@alice")


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    """What the system refuses to read is a KeysUnreadable with its reason."""
    path = tmp_path / "@alice_key.atKeys"
    path.mkdir(mode=0o700)
    with pytest.raises(KeysUnreadable, match="can't be read: Is a directory"):
        AtKeys.read(path, "@alice")


def test_a_huge_file_is_refused_unread(save: Save) -> None:
    """A key file has a few kilobytes; what is larger is not read into memory."""
    with pytest.raises(KeysUnreadable, match="too large"):
        AtKeys.read(save(b" " * ((1 << 20) + 1)), "@alice")


MEMBERS = [
    "selfEncryptionKey",
    "aesPkamPrivateKey",
    "aesPkamPublicKey",
    "aesEncryptPrivateKey",
    "aesEncryptPublicKey",
    "apkamSymmetricKey",
]
BAD_VALUES = {
    "empty": ("", "is missing or is no text"),
    "null": (None, "is missing or is no text"),
    "number": (7, "is missing or is no text"),
    "list": ([], "is missing or is no text"),
    "not base64": ("*" * 44, "is not base64"),
    "other bytes": (base64_encode(b"x" * 16), "has 16 bytes|holds no RSA key"),
    "no bytes": ("====", "is not base64"),
}


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("bad", BAD_VALUES)
def test_a_damaged_member_is_named(save: Save, member: str, bad: str) -> None:
    """The error names the file and the member, and never quotes what is in it."""
    value, why = BAD_VALUES[bad]
    path = save({**APKAM["document"], member: value})
    with pytest.raises(KeysUnreadable, match=f"{member} ({why})") as caught:
        AtKeys.read(path, "@alice")
    assert str(path) in str(caught.value)
    assert "*" not in str(caught.value)


@pytest.mark.parametrize("member", MEMBERS)
def test_a_missing_member_is_named(save: Save, member: str) -> None:
    """Each of them is needed."""
    members = {**APKAM["document"]}
    del members[member]
    with pytest.raises(KeysUnreadable, match=f"{member} is missing"):
        AtKeys.read(save(members), "@alice")


@pytest.mark.parametrize("member", ["aesPkamPublicKey", "aesEncryptPublicKey"])
def test_halves_of_different_pairs_are_refused(save: Save, member: str) -> None:
    """A public key that isn't the private one's would make logins or signatures fail later."""
    foreign = sealed(base64_encode(public_der("bob_encryption_private")))
    with pytest.raises(KeysUnreadable, match=f"{member} doesn't belong to"):
        AtKeys.read(save({**LEGACY["document"], member: foreign}), "@alice")


def test_a_public_key_in_place_of_a_private_one_is_refused(save: Save) -> None:
    """Mixed-up members are found before anything is sent."""
    document = LEGACY["document"]
    members = {**document, "aesPkamPrivateKey": document["aesPkamPublicKey"]}
    with pytest.raises(KeysUnreadable, match="aesPkamPrivateKey holds no RSA key"):
        AtKeys.read(save(members), "@alice")


def test_keys_of_another_atsign_are_refused(save: Save) -> None:
    """A file that names its atSign is used for that one only."""
    with pytest.raises(KeysMismatch, match="keys of @alice, not of @bob"):
        AtKeys.read(save(APKAM["document"]), "@bob")


def test_the_atsign_in_a_file_may_be_in_capitals(save: Save) -> None:
    """An atSign folds to lower case."""
    document = APKAM["document"]
    members = {name.replace("@alice", "@Alice"): value for name, value in document.items()}
    assert AtKeys.read(save(members), "@alice").atsign == "@alice"


def test_a_wrapped_file_wants_its_passphrase(save: Save) -> None:
    """Without one, the error says where to give it."""
    path = save(VECTORS["passphrase_envelope"]["envelope"])
    with pytest.raises(PassphraseRequired) as caught:
        AtKeys.read(path, "@alice")
    assert "ATXFER_PASSPHRASE" in caught.value.remedy


@pytest.mark.parametrize("passphrase", ["", "short", "another passphrase", "correct horse batterz"])
def test_a_wrong_passphrase_is_told(save: Save, passphrase: str) -> None:
    """One that doesn't open the file is neither repeated in the error nor in its causes."""
    path = save(wrapped(json.dumps(LEGACY["document"]).encode()))
    with pytest.raises(WrongPassphrase) as caught:
        AtKeys.read(path, "@alice", passphrase)
    assert not passphrase or passphrase not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_passphrase_that_opens_to_nonsense_is_wrong(save: Save) -> None:
    """There is no tag: a padding can be right by chance, and what comes out is then no JSON."""
    with pytest.raises(WrongPassphrase):
        AtKeys.read(save(wrapped(b"\xffchance")), "@alice", PASSPHRASE)


def test_an_older_cryptography_names_the_upgrade(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Argon2id came with version 44; the remedy is the command."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.kdf.argon2", None)
    path = save(VECTORS["passphrase_envelope"]["envelope"])
    with pytest.raises(KeysUnreadable, match="no Argon2id") as caught:
        AtKeys.read(path, "@alice", PASSPHRASE)
    assert "cryptography>=44" in caught.value.remedy


@pytest.mark.parametrize(
    ("member", "value", "why"),
    [
        ("hashingAlgoType", "scrypt", "hashingAlgoType is none that we know"),
        ("hashingAlgoType", None, "hashingAlgoType is missing"),
        ("iv", "AAAA", "iv has 3 bytes"),
        ("iv", "*", "iv is not base64"),
        ("content", "*", "content is not base64"),
    ],
)
def test_a_damaged_envelope_is_told(save: Save, member: str, value: Any, why: str) -> None:
    """A damaged envelope is not blamed on the passphrase."""
    envelope = {**VECTORS["passphrase_envelope"]["envelope"], member: value}
    with pytest.raises(KeysUnreadable, match=why):
        AtKeys.read(save(envelope), "@alice", PASSPHRASE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["AAAA", "argon2id"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from([*APKAM["document"], "content", "hashingAlgoType", "iv", "@bob"]),
        JSON,
        min_size=1,
        max_size=3,
    )
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_hostile_files_give_typed_errors(save: Save, members: dict[str, Any]) -> None:
    """Whatever stands in a member, the file is read or a KeysError says why not."""
    path = save({**APKAM["document"], **members})
    with contextlib.suppress(KeysError):
        assert AtKeys.read(path, "@alice", "a passphrase").atsign == "@alice"


# --- secrets


def test_no_key_is_in_a_repr(save: Save) -> None:
    """What a log or a debugger shows is whose keys they are, no more."""
    keys = AtKeys.read(save(APKAM["document"]), "@alice")
    assert repr(keys) == (
        "AtKeys(atsign='@alice', enrollment_id='6ad8a7a2-0d6c-4f52-9d49-5a1c3c0e7b11')"
    )


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_keys_are_not_pickled(copied: Callable[[object], object]) -> None:
    """A pickle would carry them into a queue, a cache or a core dump."""
    with pytest.raises(TypeError, match="secret"):
        copied(alice_keys())


def test_keys_are_equal_to_themselves_alone() -> None:
    """Comparing keys would tell by its time how much of them is equal."""
    assert alice_keys() == alice_keys()
    other = AtKeys(**{name: getattr(alice_keys(), name) for name in AtKeys.__dataclass_fields__})
    assert alice_keys() != other


# --- the other client


@pytest.mark.interop
def test_atsdk_reads_our_file(
    fresh: AtKeys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The platform's Python client reads the keys of a file that we wrote."""
    util = pytest.importorskip("at_client.util.keysutil", reason="atsdk is not installed").KeysUtil
    monkeypatch.setattr(util, "expected_keys_files_location", f"{tmp_path}/")
    fresh.write(tmp_path / "@carol_key.atKeys")
    keys = util.load_keys("@carol")
    assert keys["aesPkamPublicKey"] == fresh.pkam_public
    assert keys["aesEncryptPrivateKey"] == base64_encode(rsa_private_der(fresh.encryption_private))
    assert keys["selfEncryptionKey"] == base64_encode(fresh.self_key)


def test_private_halves_are_where_they_belong() -> None:
    """The two pairs are not exchanged: logins and data are signed with different keys."""
    keys = alice_keys()
    assert base64_encode(rsa_private_der(keys.pkam_private)) == base64_encode(
        rsa_private_der(rsa_private("alice_pkam_private"))
    )
    assert base64_decode(keys.sign("text")) != keys.sign_data(b"text")
