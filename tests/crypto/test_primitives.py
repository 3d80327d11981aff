"""The primitives against the platform's vectors, the standards' own, and what must be refused."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from atxfer._crypto.primitives import (
    Aes256Gcm,
    Argon2idMissing,
    CryptoError,
    aes_256_ctr_pkcs7_open,
    aes_256_ctr_pkcs7_seal,
    argon2id,
    base64_decode,
    base64_encode,
    cram_digest,
    generate_rsa_private_key,
    load_rsa_private_key,
    load_rsa_public_key,
    random_bytes,
    rsa_decrypt_pkcs1v15,
    rsa_encrypt_pkcs1v15,
    rsa_private_der,
    rsa_public_der,
    rsa_sign_sha256,
    rsa_verify_sha256,
    rsa_verify_sha512,
)
from tests.support.vectors import platform_vectors, public_der, rsa_private

VECTORS = platform_vectors()
AES_VECTORS = VECTORS["aes256_ctr_pkcs7"]["vectors"]
KEY = bytes(range(32))
EC_KEY = ec.generate_private_key(ec.SECP256R1())


# --- AES


@pytest.mark.parametrize("vector", AES_VECTORS, ids=lambda vector: vector["name"])
def test_ctr_encrypts_as_the_platform(vector: dict[str, Any]) -> None:
    """Each AES vector is reproduced, and its padding is as long as PKCS#7 says."""
    text = vector["plaintext_utf8"].encode("utf-8")
    iv = bytes.fromhex(vector["iv_hex"])
    sealed = aes_256_ctr_pkcs7_seal(base64_decode(vector["key_b64"]), iv, text)
    assert base64_encode(sealed) == vector["ciphertext_b64"]
    padded = bytes.fromhex(vector["padded_hex"])
    assert len(sealed) == len(padded)
    assert padded == text + bytes([len(padded) - len(text)]) * (len(padded) - len(text))


@pytest.mark.parametrize("vector", AES_VECTORS, ids=lambda vector: vector["name"])
def test_ctr_decrypts_as_the_platform(vector: dict[str, Any]) -> None:
    """Each AES vector is read back; the metadata's nonce is the IV."""
    iv = base64_decode(vector["ivNonce_metadata_b64"] or base64_encode(bytes(16)))
    assert iv.hex() == vector["iv_hex"]
    sealed = base64_decode(vector["ciphertext_b64"])
    opened = aes_256_ctr_pkcs7_open(base64_decode(vector["key_b64"]), iv, sealed)
    assert opened.decode("utf-8") == vector["plaintext_utf8"]


@pytest.mark.parametrize("sealed", [b"", b"x", bytes(16), bytes(17)])
def test_ctr_refuses_what_has_no_padding(sealed: bytes) -> None:
    """A ciphertext whose padding is none was not made by this key."""
    with pytest.raises(CryptoError):
        aes_256_ctr_pkcs7_open(KEY, bytes(16), sealed)


@pytest.mark.parametrize(("key", "iv"), [(bytes(16), bytes(16)), (KEY, bytes(12)), (b"", b"")])
def test_ctr_refuses_other_sizes(key: bytes, iv: bytes) -> None:
    """A key has 32 bytes and an IV 16; a shorter key would be taken as AES-128 otherwise."""
    with pytest.raises(CryptoError):
        aes_256_ctr_pkcs7_seal(key, iv, b"text")
    with pytest.raises(CryptoError):
        aes_256_ctr_pkcs7_open(key, iv, bytes(16))


# Test cases 14 and 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega).
GCM_CASES = [
    (
        bytes(32),
        bytes(12),
        bytes(16),
        b"",
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
    ),
    (
        bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2),
        bytes.fromhex("cafebabefacedbaddecaf888"),
        bytes.fromhex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        ),
        bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
        (
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            "76fc6ece0f4e1768cddf8853bb2d551b"
        ),
    ),
]


@pytest.mark.parametrize(("key", "nonce", "plain", "additional", "sealed"), GCM_CASES)
def test_gcm_is_the_standards(
    key: bytes, nonce: bytes, plain: bytes, additional: bytes, sealed: str
) -> None:
    """GCM gives ciphertext and tag of the mode's published cases, and opens them."""
    cipher = Aes256Gcm(key)
    assert cipher.seal(nonce, plain, additional).hex() == sealed
    assert cipher.open(nonce, bytes.fromhex(sealed), additional) == plain


@pytest.mark.parametrize(("key", "nonce", "plain", "additional", "sealed"), GCM_CASES)
def test_gcm_in_place_is_the_standards(
    key: bytes, nonce: bytes, plain: bytes, additional: bytes, sealed: str
) -> None:
    """What is sealed where it lies is what the published cases say, and opens again."""
    cipher, block = Aes256Gcm(key), memoryview(bytearray(plain))
    tag = cipher.seal_in_place(nonce, block, additional)
    assert bytes(block).hex() + tag.hex() == sealed
    cipher.open_in_place(nonce, block, tag, additional)
    assert block == plain


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 200_000])
def test_gcm_in_place_has_no_seams(size: int) -> None:
    """However many steps it takes, the text is the one that is sealed in one piece."""
    cipher, plain = Aes256Gcm(KEY), random_bytes(size)
    block = memoryview(bytearray(plain))
    tag = cipher.seal_in_place(bytes(12), block, b"x")
    assert bytes(block) + tag == cipher.seal(bytes(12), plain, b"x")
    cipher.open_in_place(bytes(12), block, tag, b"x")
    assert block == plain


@pytest.mark.parametrize(
    ("nonce", "bit", "tag", "additional"),
    [
        (bytes(11) + b"x", 0, 16, b""),  # another nonce
        (bytes(12), 1, 16, b""),  # a changed text
        (bytes(12), 0, 16, b"x"),  # other additional data
        (bytes(12), 0, 15, b""),  # a part of the tag
        (b"", 0, 16, b""),  # no nonce at all
    ],
)
def test_gcm_in_place_refuses_what_was_changed(
    nonce: bytes, bit: int, tag: int, additional: bytes
) -> None:
    """As in one piece: whatever is not as it was sealed is a CryptoError."""
    cipher, block = Aes256Gcm(KEY), memoryview(bytearray(100_000))
    made = cipher.seal_in_place(bytes(12), block, b"")
    block[70_000] ^= bit
    with pytest.raises(CryptoError):
        cipher.open_in_place(nonce, block, made[:tag], additional)


@pytest.mark.parametrize(
    ("nonce", "sealed", "additional"),
    [
        (bytes(11) + b"x", 0, b""),  # another nonce
        (bytes(12), 1, b""),  # a changed text
        (bytes(12), 0, b"x"),  # other additional data
        (b"", 0, b""),  # no nonce at all
    ],
)
def test_gcm_refuses_what_was_changed(nonce: bytes, sealed: int, additional: bytes) -> None:
    """Whatever is not as it was sealed is a CryptoError, not the library's own."""
    text = bytearray.fromhex(GCM_CASES[0][4])
    text[0] ^= sealed
    with pytest.raises(CryptoError):
        Aes256Gcm(bytes(32)).open(nonce, bytes(text), additional)


@pytest.mark.parametrize("length", range(16))
def test_gcm_refuses_less_than_a_tag(length: int) -> None:
    """A text shorter than its tag is refused like any other forgery."""
    with pytest.raises(CryptoError):
        Aes256Gcm(KEY).open(bytes(12), bytes(length), b"")


@pytest.mark.parametrize("size", [0, 16, 24, 31, 33])
def test_gcm_takes_256_bits_only(size: int) -> None:
    """A shorter key would silently be AES-128 or AES-192."""
    with pytest.raises(CryptoError):
        Aes256Gcm(bytes(size))


# --- RSA


@pytest.mark.parametrize("name", [n for n in VECTORS["rsa_keys"] if n.endswith("_private")])
def test_rsa_keys_are_written_as_they_were_read(name: str) -> None:
    """Both halves of each pair of the vectors keep their DER, byte for byte."""
    keys = VECTORS["rsa_keys"]
    private = load_rsa_private_key(base64_decode(keys[name]))
    assert base64_encode(rsa_private_der(private)) == keys[name]
    public_text = keys[name.replace("_private", "_public")]
    assert base64_encode(public_der(name)) == public_text
    assert base64_encode(rsa_public_der(load_rsa_public_key(base64_decode(public_text)))) == (
        public_text
    )


def test_rsa_keys_are_generated_as_the_platform_does() -> None:
    """A new key has 2048 bits and the exponent 65537."""
    numbers = generate_rsa_private_key().public_key().public_numbers()
    assert (numbers.n.bit_length(), numbers.e) == (2048, 65537)


EC_PRIVATE = EC_KEY.private_bytes(
    serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
EC_PUBLIC = EC_KEY.public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
)


@pytest.mark.parametrize(
    "der",
    [b"", b"no key", EC_PRIVATE, EC_PUBLIC],
    ids=["nothing", "text", "EC private", "EC public"],  # the same in every process of a run
)
def test_what_is_no_rsa_key_is_refused(der: bytes) -> None:
    """Neither nonsense nor a key of another kind is taken."""
    with pytest.raises(CryptoError):
        load_rsa_private_key(der)
    with pytest.raises(CryptoError):
        load_rsa_public_key(der)


def test_login_is_signed_as_the_platform_signs() -> None:
    """The PKAM signature over the challenge is the vector's, and stands in its requests."""
    pkam = VECTORS["pkam"]
    challenge = pkam["signed_text_utf8"]
    assert pkam["from_response_line"] == f"data:{challenge}\n"
    signature = rsa_sign_sha256(rsa_private("alice_pkam_private"), challenge.encode("utf-8"))
    assert base64_encode(signature) == pkam["signature_sha256_b64"]
    assert pkam["request_legacy"] == f"pkam:{base64_encode(signature)}\n"
    assert pkam["request_full"].endswith(f":{base64_encode(signature)}\n")


def test_login_signed_with_sha512_is_verified() -> None:
    """A server also takes the signature with SHA-512, and doesn't mix the two up."""
    pkam = VECTORS["pkam"]
    public = rsa_private("alice_pkam_private").public_key()
    data = pkam["signed_text_utf8"].encode("utf-8")
    sha256 = base64_decode(pkam["signature_sha256_b64"])
    sha512 = base64_decode(pkam["signature_sha512_b64"])
    assert rsa_verify_sha256(public, sha256, data)
    assert rsa_verify_sha512(public, sha512, data)
    assert not rsa_verify_sha256(public, sha512, data)
    assert not rsa_verify_sha512(public, sha256, data)
    assert pkam["request_full_sha512"].endswith(f":{pkam['signature_sha512_b64']}\n")


def test_public_values_are_signed_as_the_platform_signs() -> None:
    """A dataSignature is made with the encryption key over the value as it is stored."""
    vector = VECTORS["data_signature"]
    key = rsa_private("alice_encryption_private")
    signature = rsa_sign_sha256(key, vector["value"].encode("utf-8"))
    assert base64_encode(signature) == vector["signature_b64"]
    assert f"dataSignature:{vector['signature_b64']}:" in vector["update_command"]


@pytest.mark.parametrize("signature", [b"", b"x", bytes(256), bytes(255), bytes(1000)])
def test_a_signature_of_any_shape_is_verified_or_not(signature: bytes) -> None:
    """What is no signature is False, never an exception."""
    public = rsa_private("alice_pkam_private").public_key()
    assert not rsa_verify_sha256(public, signature, b"data")
    assert not rsa_verify_sha512(public, signature, b"data")


def test_one_key_signs_in_many_threads() -> None:
    """A key is shared by the connections that log in side by side."""
    key = rsa_private("alice_pkam_private")
    expected = [rsa_sign_sha256(key, bytes([number])) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        signed = pool.map(lambda number: rsa_sign_sha256(key, bytes([number % 16])), range(128))
    assert list(signed) == expected * 8


def test_rsa_carries_short_texts() -> None:
    """A text of up to 245 bytes goes to the holder of the private key; a longer one is refused."""
    key = rsa_private("bob_encryption_private")
    sealed = rsa_encrypt_pkcs1v15(key.public_key(), b"k" * 245)
    assert rsa_decrypt_pkcs1v15(key, sealed) == b"k" * 245
    with pytest.raises(CryptoError):
        rsa_encrypt_pkcs1v15(key.public_key(), b"k" * 246)


def test_rsa_refuses_what_is_no_ciphertext() -> None:
    """A ciphertext has the length of the key."""
    with pytest.raises(CryptoError):
        rsa_decrypt_pkcs1v15(rsa_private("bob_encryption_private"), b"too short")


# --- digests and texts


def test_cram_digest_is_the_platforms() -> None:
    """The first activation answers with the vector's digest."""
    cram = VECTORS["cram"]
    assert cram_digest(cram["secret"], cram["challenge"]) == cram["digest_hex"]
    assert cram["request"] == f"cram:{cram['digest_hex']}\n"


def test_argon2id_derives_what_the_vector_says() -> None:
    """The key of a passphrase is the vector's."""
    pytest.importorskip(
        "cryptography.hazmat.primitives.kdf.argon2", reason="cryptography is older than 44"
    )
    vector = VECTORS["passphrase_envelope"]
    secret = vector["passphrase"].encode("utf-8")
    key = argon2id(secret, secret, iterations=2, lanes=2, memory_kib=10_000)
    assert base64_encode(key) == vector["derived_key_b64"]
    with pytest.raises(CryptoError):
        argon2id(secret, b"short", iterations=2, lanes=2, memory_kib=10_000)


def test_missing_argon2id_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older cryptography has no Argon2id: its own error, so that callers can name the remedy."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.kdf.argon2", None)
    with pytest.raises(Argon2idMissing):
        argon2id(b"secret", b"12345678", iterations=2, lanes=2, memory_kib=10_000)


@pytest.mark.parametrize("text", ["QUJDR", "QUJ", "QQ==QQ", "QU JD", "QUJD\n", "ä===", "-_8="])
def test_what_is_not_base64_is_refused_without_quoting_it(text: str) -> None:
    """The text may be a key, so neither the error nor its cause shows it."""
    with pytest.raises(CryptoError) as caught:
        base64_decode(text)
    assert text not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(st.binary())
@settings(max_examples=50, deadline=None)
def test_base64_round_trip(data: bytes) -> None:
    """What is encoded is decoded to the same."""
    assert base64_decode(base64_encode(data)) == data


def test_random_bytes_are_new_each_time() -> None:
    """Keys and nonces come from here."""
    assert len({random_bytes(16) for _ in range(100)}) == 100
