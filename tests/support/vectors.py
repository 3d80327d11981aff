"""Test vectors, read from tests/data."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.primitives import (
    RSAPrivateKey,
    base64_decode,
    load_rsa_private_key,
    rsa_public_der,
    rsa_sign_sha256,
)

DATA = Path(__file__).parent.parent / "data"


@functools.cache
def platform_vectors() -> dict[str, Any]:
    """Return what the platform's own libraries made."""
    return json.loads((DATA / "atprotocol-vectors.json").read_text("utf-8"))


@functools.cache
def format_vectors() -> dict[str, Any]:
    """Return what the reference in tests/format made of docs/format.md."""
    return json.loads((DATA / "format-v1-vectors.json").read_text("utf-8"))


@functools.cache
def rsa_private(name: str) -> RSAPrivateKey:
    """Return a private key of the platform's vectors, by its name there."""
    return load_rsa_private_key(base64_decode(platform_vectors()["rsa_keys"][name]))


@functools.cache
def alice_keys() -> AtKeys:
    """Return @alice's keys of the platform's vectors; made without any file."""
    keys = platform_vectors()["rsa_keys"]
    return AtKeys(
        atsign="@alice",
        enrollment_id=None,
        pkam_public=keys["alice_pkam_public"],
        encryption_public=keys["alice_encryption_public"],
        self_key=base64_decode(keys["alice_self_encryption_key"]),
        pkam_private=rsa_private("alice_pkam_private"),
        encryption_private=rsa_private("alice_encryption_private"),
    )


def sign_as_bob(data: bytes) -> bytes:
    """Return a signature that is not @alice's."""
    return rsa_sign_sha256(rsa_private("bob_encryption_private"), data)


def public_der(name: str) -> bytes:
    """Return the public half of a private key of the platform's vectors."""
    return rsa_public_der(rsa_private(name).public_key())
