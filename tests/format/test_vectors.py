"""Our program, the vectors, a second implementation and OpenSSL agree on the format."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from atxfer._crypto.primitives import (
    base64_decode,
    load_rsa_public_key,
    rsa_verify_sha256,
)
from atxfer._crypto.sharing import open_text
from atxfer._format.fragment import read_key
from atxfer._format.link import Link, link_name
from atxfer._format.manifest import Manifest, chunk_name, is_file_id, is_name, manifest_name
from atxfer._format.sealing import SEAL_OVERHEAD, Sealer
from atxfer._format.trailer import MAX_TRAILER, open_trailer
from atxfer.atprotocol.atkey import AtKey
from atxfer.errors import ManifestInvalid
from atxfer.model import Chunk
from atxfer.stores.base import StoredFile
from tests.format import reference
from tests.support.vectors import DATA, alice_keys, format_vectors

VECTORS = format_vectors()
OWNER = load_rsa_public_key(base64_decode(VECTORS["owner_public_key"]))
FILE_ID = reference.file_id(reference.FILE_ID_BYTES)

openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")


def read(text: str) -> Manifest:
    """Return what a reader makes of a text who knows the owner's public key."""
    return Manifest.from_text(
        text,
        lambda signature, data: rsa_verify_sha256(OWNER, signature, data),
        expected_owner="@alice",
        expected_file_id=FILE_ID,
    )


def test_the_file_is_what_the_reference_makes() -> None:
    """The vectors were not edited by hand: ``python -m tests.format.reference`` makes them."""
    assert (DATA / "format-v1-vectors.json").read_text("ascii") == reference.text()


@pytest.mark.parametrize("vector", VECTORS["file_ids"], ids=lambda vector: vector["file_id"])
def test_file_ids(vector: dict[str, str]) -> None:
    """Each id of the vectors is one to us."""
    assert is_file_id(vector["file_id"])


@pytest.mark.parametrize("name", VECTORS["names_accepted"], ids=ascii)
def test_names_accepted(name: str) -> None:
    """Each of these names a file."""
    assert is_name(name)


@pytest.mark.parametrize("name", VECTORS["names_refused"], ids=ascii)
def test_names_refused(name: str) -> None:
    """None of these names a file."""
    assert not is_name(name)


CHUNKS = pytest.mark.parametrize("vector", VECTORS["chunks"], ids=lambda vector: vector["key"])


@CHUNKS
def test_chunks_open(vector: dict[str, Any]) -> None:
    """What the reference sealed, we open, and find under the same key."""
    sealer = Sealer(base64_decode(vector["file_key"]), vector["file_id"], vector["chunks"])
    sealed = base64_decode(vector["value"])
    assert sealed.hex() == vector["sealed_hex"]
    assert sealer.open(Chunk(vector["index"], sealed)).data.hex() == vector["plain_hex"]
    name = chunk_name(vector["file_id"], vector["index"])
    assert vector["key"] == f"public:{name}.atxfer@alice"


@CHUNKS
def test_chunks_are_sealed_as_the_reference_does(vector: dict[str, Any]) -> None:
    """With the nonce that we took, the reference seals to the same bytes."""
    sealer = Sealer(base64_decode(vector["file_key"]), vector["file_id"], vector["chunks"])
    plain = bytes.fromhex(vector["plain_hex"])
    ours = bytes(sealer.seal(Chunk(vector["index"], plain)).data)
    assert reference.seal(ours[:12], plain, vector["additional"]) == ours


@openssl
@CHUNKS
def test_chunks_are_counter_mode_to_openssl(vector: dict[str, Any]) -> None:
    """GCM encrypts as AES-CTR from block 2 of the nonce: another program finds the plaintext."""
    iv = f"{vector['nonce_hex']}00000002"
    key = base64_decode(vector["file_key"]).hex()
    sealed = bytes.fromhex(vector["sealed_hex"])
    done = subprocess.run(
        ["openssl", "enc", "-d", "-aes-256-ctr", "-nopad", "-K", key, "-iv", iv],
        input=sealed[12:-16],
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout.hex() == vector["plain_hex"]


MANIFESTS = pytest.mark.parametrize(
    "vector", VECTORS["manifests"], ids=lambda vector: vector["name"]
)


@MANIFESTS
def test_manifests_are_read(vector: dict[str, Any]) -> None:
    """What the reference signed, we take; and what we write of it is the same where it is ours."""
    manifest = read(vector["text"])
    ours = manifest.to_text(alice_keys().sign_data)
    assert (ours == vector["text"]) == vector["written_by_us"]
    assert read(ours) == manifest


@openssl
@MANIFESTS
def test_signatures_are_openssls(vector: dict[str, Any], tmp_path: Path) -> None:
    """Another program finds that the owner signed these bytes."""
    (tmp_path / "key.der").write_bytes(base64_decode(VECTORS["owner_public_key"]))
    signature = vector["text"].rpartition(',"signature":"')[2][:-2]
    (tmp_path / "signature").write_bytes(base64_decode(signature))
    (tmp_path / "signed").write_bytes(vector["signed"].encode("utf-8"))
    command = ["openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", "key.der"]
    done = subprocess.run(
        [*command, "-signature", "signature", "signed"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout.strip() == b"Verified OK"


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["why"])
def test_manifests_are_refused(vector: dict[str, str]) -> None:
    """Each of these has one thing wrong, and no reader takes it."""
    with pytest.raises(ManifestInvalid):
        read(vector["text"])


def test_refusals_have_the_reason_they_claim() -> None:
    """Where the signature is right, the reason is another: no refusal is for a wrong signature."""
    mended = [vector for vector in VECTORS["refused"] if "signature" not in vector["why"]]
    reasons = {}
    for vector in mended:
        with pytest.raises(ManifestInvalid) as caught:
            read(vector["text"])
        reasons[vector["why"]] = caught.value.message
    unsigned = {why for why, reason in reasons.items() if "not signed" in reason}
    assert unsigned == {
        "the text was changed after signing",
        "the name was changed after signing",
    }


def test_a_record_is_decrypted() -> None:
    """The manifest's record opens with the self key, under the key where a reader looks."""
    record = VECTORS["record"]
    text = open_text(base64_decode(record["self_key"]), record["value"], record["iv_nonce"])
    assert text == record["text"]
    manifest = read(text)
    assert record["key"] == f"{manifest_name(manifest.file_id)}.atxfer{manifest.owner}"


def test_a_share_is_decrypted() -> None:
    """The recipient's copy opens with the key of the pair, and is the owner's."""
    share = VECTORS["share"]
    text = open_text(base64_decode(share["pair_key"]), share["value"], share["iv_nonce"])
    assert text == share["text"]
    assert read(text).shared_at == 1_790_000_060.5
    assert AtKey.parse(share["key"]).name == manifest_name(FILE_ID)


def test_a_link_is_followed() -> None:
    """From its text to the manifest, by the record that a reader looks for."""
    vector = VECTORS["link"]
    link = Link.parse(vector["link"])
    assert vector["key"] == f"public:{link_name(link.file_id)}.atxfer{link.owner}"
    assert link.open(vector["value"]) == vector["text"]
    assert read(vector["text"]).file_id == link.file_id
    assert str(link) == vector["link"]


def test_a_sealed_object_is_opened() -> None:
    """The trailer tells where the chunks are, and each of them opens."""
    vector = VECTORS["object"]
    whole = bytes.fromhex(vector["object_hex"])
    manifest = open_trailer(whole[-MAX_TRAILER:], read_key(vector["object_key"]), len(whole))
    sealer = Sealer(manifest.file_key, manifest.file_id, manifest.chunks)
    stored = StoredFile(
        manifest.file_id,
        "",
        manifest.chunks,
        size=manifest.size,
        chunk_size=manifest.chunk_size,
        overhead=SEAL_OVERHEAD,
    )
    plain = b""
    for index in range(manifest.chunks):
        start, stop = stored.span(range(index, index + 1))
        plain += sealer.open(Chunk(index, whole[start:stop])).data
    assert plain.hex() == vector["plain_hex"]
    assert hashlib.sha256(plain).hexdigest() == manifest.sha256
