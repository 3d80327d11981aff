"""Records as the platform encrypts them: its vectors, its Python client, what is refused."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atxfer._crypto.primitives import (
    aes_256_ctr_pkcs7_seal,
    base64_decode,
    base64_encode,
    rsa_encrypt_pkcs1v15,
)
from atxfer._crypto.sharing import (
    open_self,
    open_text,
    public_key_checksum,
    seal_self,
    seal_text,
    unwrap_key,
    wrap_key,
)
from atxfer.errors import IntegrityError
from tests.support.vectors import alice_keys, platform_vectors, rsa_private

VECTORS = platform_vectors()
SHARED = VECTORS["shared_key"]
ENROLL = VECTORS["enroll"]
KEY = bytes(range(32))


def test_sections_of_the_vectors_are_all_known() -> None:
    """A section that is added to the vectors wants a test that reads it."""
    assert set(VECTORS) == {
        "_about",
        "aes256_ctr_pkcs7",
        "rsa_keys",
        "pkam",
        "cram",
        "shared_key",
        "data_signature",
        "atkeys_legacy_file",
        "atkeys_apkam_file",
        "enroll",
        "base2e15",
        "passphrase_envelope",
    }


# --- texts


@given(st.text(min_size=1))
@settings(max_examples=100, deadline=None)
def test_self_records_round_trip(text: str) -> None:
    """What is sealed for the owner is opened by the owner, whatever the text."""
    value, iv_nonce = seal_self(alice_keys(), text)
    assert open_self(alice_keys(), value, iv_nonce) == text
    assert len(base64_decode(iv_nonce)) == 16


def test_no_nonce_is_used_twice() -> None:
    """In counter mode, two texts under one nonce give both away."""
    assert len({seal_text(KEY, "the same text") for _ in range(100)}) == 100


def test_records_without_a_nonce_are_read() -> None:
    """Older clients send none and encrypt under sixteen zero bytes."""
    vectors = VECTORS["aes256_ctr_pkcs7"]["vectors"]
    legacy = [vector for vector in vectors if vector["ivNonce_metadata_b64"] is None]
    assert len(legacy) == 5
    for vector in legacy:
        key = base64_decode(vector["key_b64"])
        assert open_text(key, vector["ciphertext_b64"], None) == vector["plaintext_utf8"]


def test_a_short_nonce_is_filled_up_as_the_dart_client_does() -> None:
    """Twelve bytes stand for themselves and four zeros."""
    value = aes_256_ctr_pkcs7_seal(KEY, b"twelve bytes" + bytes(4), b"hello")
    assert open_text(KEY, base64_encode(value), base64_encode(b"twelve bytes")) == "hello"


def test_an_empty_text_is_not_sealed() -> None:
    """The Dart clients fail to decrypt one, so none is ever stored."""
    with pytest.raises(ValueError, match="empty"):
        seal_text(KEY, "")


@pytest.mark.parametrize(
    ("value", "iv_nonce"),
    [
        ("not base64!", None),
        ("mvVs2kVClNui+JFh1iV8iw==", "not base64!"),
        ("mvVs2kVClNui+JFh1iV8iw==", base64_encode(bytes(17))),
        ("mvVs2kVClNui+JFh1iV8iw==", base64_encode(b"another nonce 16")),
        ("", None),
        (base64_encode(b"\xff" * 16), None),
        ("null", None),
        (base64_encode(aes_256_ctr_pkcs7_seal(KEY, bytes(16), b"\xff no UTF-8")), None),
    ],
)
def test_what_was_not_encrypted_by_this_key_is_refused(value: str, iv_nonce: str) -> None:
    """A record that doesn't open is an IntegrityError, and says nothing of its content."""
    with pytest.raises(IntegrityError, match="doesn't open with this key") as caught:
        open_text(KEY, value, iv_nonce)
    assert caught.value.__suppress_context__


@given(st.text(), st.none() | st.text())
@settings(max_examples=100, deadline=None)
def test_hostile_records_give_one_error(value: str, iv_nonce: str) -> None:
    """Whatever a server answers for a record, only IntegrityError comes out of it."""
    try:
        open_text(KEY, value, iv_nonce)
    except IntegrityError:
        return
    # A padding can be right by chance; then the text is what the cipher gives.


# --- shared keys


@pytest.mark.parametrize(
    ("record", "reader"),
    [
        ("record_for_bob", "bob_encryption_private"),
        ("record_for_alice", "alice_encryption_private"),
    ],
)
def test_shared_keys_of_the_platform_are_read(record: str, reader: str) -> None:
    """Both copies of a shared key open to the same key, and that opens the value."""
    key = unwrap_key(SHARED[record]["value"], rsa_private(reader))
    assert base64_encode(key) == SHARED["aes_key_b64"]
    text = open_text(key, SHARED["value_ciphertext_b64"], SHARED["ivNonce"])
    assert text == SHARED["value_plaintext"]
    assert SHARED["update_command"].endswith(f" {SHARED['value_ciphertext_b64']}\n")


def test_public_key_checksums_are_the_platforms() -> None:
    """``pubKeyCS`` is taken over the base64 text of the key, as ``pubKeyHash`` is."""
    public = VECTORS["rsa_keys"]["bob_encryption_public"]
    checksum = public_key_checksum(public)
    assert checksum == SHARED["pubKeyCS_md5_hex_of_bob_public"]
    assert f":pubKeyCS:{checksum}:" in SHARED["update_command_full"]
    sha512 = hashlib.sha512(public.encode("ascii")).hexdigest()
    assert sha512 == SHARED["pubKeyHash_sha512_hex_of_bob_public"]


def test_a_wrapped_key_opens_for_its_recipient_alone() -> None:
    """Another's private key finds no key in it, even where RSA gives random bytes."""
    bob, alice = rsa_private("bob_encryption_private"), rsa_private("alice_encryption_private")
    wrapped = wrap_key(KEY, bob.public_key())
    assert unwrap_key(wrapped, bob) == KEY
    with pytest.raises(IntegrityError):
        unwrap_key(wrapped, alice)


@pytest.mark.parametrize("plain", [b"", KEY, b"not base64!", b"AAAA", b"\xff\xfe"])
def test_a_shared_key_is_the_base64_text_of_32_bytes(plain: bytes) -> None:
    """What else was encrypted to us is no key, the raw bytes included."""
    bob = rsa_private("bob_encryption_private")
    wrapped = base64_encode(rsa_encrypt_pkcs1v15(bob.public_key(), plain))
    with pytest.raises(IntegrityError):
        unwrap_key(wrapped, bob)


def test_enrolment_hands_keys_over_as_the_vectors_do() -> None:
    """The APKAM key is wrapped for the owner; under it come the owner's keys, with a zero IV."""
    keys = VECTORS["rsa_keys"]
    apkam = unwrap_key(
        ENROLL["encryptedAPKAMSymmetricKey"], rsa_private("alice_encryption_private")
    )
    assert base64_encode(apkam) == ENROLL["apkamSymmetricKey"]
    self_key = open_text(apkam, ENROLL["encryptedDefaultSelfEncryptionKey"], None)
    assert self_key == keys["alice_self_encryption_key"]
    private = open_text(apkam, ENROLL["encryptedDefaultEncryptionPrivateKey"], None)
    assert private == keys["alice_encryption_private"]


# --- the other client


@pytest.mark.interop
def test_atsdk_reads_our_records_and_we_its() -> None:
    """A record and a shared key go both ways between us and the platform's Python client."""
    util = pytest.importorskip("at_client.util.encryptionutil", reason="atsdk is not installed")
    sdk, keys = util.EncryptionUtil, VECTORS["rsa_keys"]
    key_text = base64_encode(KEY)
    value, iv_nonce = seal_text(KEY, "héllo 👋 @bob")
    assert sdk.aes_decrypt_from_base64(value, key_text, base64_decode(iv_nonce)) == "héllo 👋 @bob"
    theirs = sdk.aes_encrypt_from_base64("back", key_text, bytes(16))
    assert open_text(KEY, theirs, None) == "back"
    bob = rsa_private("bob_encryption_private")
    wrapped = wrap_key(KEY, bob.public_key())
    assert sdk.rsa_decrypt_from_base64(wrapped, keys["bob_encryption_private"]) == key_text
    wrapped = sdk.rsa_encrypt_to_base64(key_text, keys["bob_encryption_public"])
    assert unwrap_key(wrapped, bob) == KEY
