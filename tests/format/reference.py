"""A second implementation of docs/format.md, which knows nothing of ours.

It makes tests/data/format-v1-vectors.json, so that what document and program both got wrong in the
same way would have to be got wrong twice::

    python -m tests.format.reference > tests/data/format-v1-vectors.json

Keys and nonces are fixed: never use them for anything else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.support.vectors import DATA

FILE_ID_BYTES = bytes(range(0xA0, 0xB0))
FILE_KEY = bytes(range(0x40, 0x60))
# The file is 100,000 zero bytes.
SHA256 = hashlib.sha256(bytes(100_000)).hexdigest()

NAMES_ACCEPTED = [
    "report.pdf",
    "a",
    " ",
    "...",
    "-rf",
    "~",
    "Überweisung (2).csv",
    "👩\u200d💻.txt",
    "e\u0301.txt",
    "C:report.pdf",
    "x" * 255,
    "ä" * 127 + "x",
]
NAMES_REFUSED = [
    "",
    ".",
    "..",
    "/",
    "../report.pdf",
    "a/b",
    "a\\b",
    "a\x00b",
    "a\nb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "report\u202efdp.exe",
    "a\u2066b",
    "a\ud800b",
    "x" * 256,
    "ä" * 128,
]


def b64(data: bytes) -> str:
    """Return base64 text."""
    return base64.b64encode(data).decode("ascii")


def owner_key() -> RSAPrivateKey:
    """Return @alice's encryption key of the platform's vectors."""
    vectors = json.loads((DATA / "atprotocol-vectors.json").read_text("utf-8"))
    der = base64.b64decode(vectors["rsa_keys"]["alice_encryption_private"])
    key = serialization.load_der_private_key(der, None)
    assert isinstance(key, RSAPrivateKey)
    return key


def file_id(data: bytes) -> str:
    """Return 16 bytes as a file id."""
    return base64.b32encode(data).decode("ascii")[:26].lower()


def additional(id_: str, index: int, chunks: int) -> str:
    """Return the text that is authenticated beside a chunk."""
    return f"atxfer:1:{id_}:{index}:{chunks}"


def seal(nonce: bytes, plain: bytes, place: str) -> bytes:
    """Return a sealed chunk."""
    return gcm(FILE_KEY, nonce, plain, place)


def chunk(index: int, chunks: int, nonce: bytes, plain: bytes) -> dict[str, Any]:
    """Return one vector of a chunk."""
    place = additional(file_id(FILE_ID_BYTES), index, chunks)
    sealed = seal(nonce, plain, place)
    return {
        "file_key": b64(FILE_KEY),
        "file_id": file_id(FILE_ID_BYTES),
        "index": index,
        "chunks": chunks,
        "nonce_hex": nonce.hex(),
        "additional": place,
        "plain_hex": plain.hex(),
        "sealed_hex": sealed.hex(),
        "key": f"public:_{index}.{file_id(FILE_ID_BYTES)}.atxfer@alice",
        "value": b64(sealed),
    }


def members(**changes: Any) -> dict[str, Any]:
    """Return the members of a small complete manifest, some of them changed."""
    return {
        "version": 1,
        "file_id": file_id(FILE_ID_BYTES),
        "name": "report.pdf",
        "size": 100_000,
        "chunk_size": 8192,
        "chunks": 13,
        "file_key": b64(FILE_KEY),
        "sha256": SHA256,
        "state": "complete",
        "owner": "@alice",
        "created_at_ms": 1_790_000_000_123,
        "location": {},
        **changes,
    }


def without(*names: str) -> dict[str, Any]:
    """Return the members but some."""
    return {name: value for name, value in members().items() if name not in names}


def body(values: dict[str, Any]) -> str:
    """Return the JSON that is signed, in the form that writers use."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def signed(text: str) -> str:
    """Return a manifest: the JSON with its signature as last member."""
    signature = owner_key().sign(text.encode("utf-8"), padding.PKCS1v15(), hashes.SHA256())
    return text[:-1] + ',"signature":"' + b64(signature) + '"}'


def manifest(name: str, text: str) -> dict[str, Any]:
    """Return one vector of a manifest that is read."""
    whole = signed(text)
    return {"name": name, "signed": text, "text": whole, "written_by_us": text == _again(text)}


def _again(text: str) -> str:
    """Return what a writer that knows version 1 alone makes of the members it knows."""
    values = json.loads(text)
    known = [*members(), "shared_at_ms"]
    return body({name: values[name] for name in known if name in values})


def manifests() -> list[dict[str, Any]]:
    """Return manifests that every reader takes."""
    big = {"size": 2**30 + 1, "chunk_size": 131_072, "chunks": 8193}
    return [
        manifest("complete", body(members())),
        manifest("uploading", body(members(state="uploading", sha256=""))),
        manifest(
            "empty file", body(members(size=0, chunks=0, sha256=hashlib.sha256().hexdigest()))
        ),
        manifest("one byte over a chunk", body(members(size=8193, chunks=2))),
        manifest("large", body(members(**big))),
        manifest("name beyond ASCII", body(members(name="Überweisung 👋.csv"))),
        manifest("a copy for a recipient", body(members(shared_at_ms=1_790_000_060_500))),
        manifest("elsewhere", body(members(location={"store": "s3://bucket", "parts": [1, 2.5]}))),
        manifest("members of a later version", body(members(compression="zstd", weight=1e300))),
        manifest("written with spaces and escapes", json.dumps(members(name="Ü"), indent=1)),
    ]


def refused() -> list[dict[str, str]]:
    """Return manifests that no reader takes, each for one reason and signed in spite of it."""
    good = signed(body(members()))
    altered = good.replace('"size":100000', '"size":100001')
    unsigned = body(members())
    cases: list[tuple[str, str]] = [
        ("the text was changed after signing", altered),
        ("the name was changed after signing", good.replace("report.pdf", "report.exe")),
        ("not signed", unsigned),
        ("the signature is empty", unsigned[:-1] + ',"signature":""}'),
        ("the signature is not the last member", signed(body(members()))[:-1] + ',"z":1}'),
        ("text after the end", good + "\n"),
        ("not an object", signed("[1]")),
        ("a member twice", signed(unsigned[:-1] + ',"size":100000}')),
        ("NaN", signed(unsigned.replace("{}", '{"x":NaN}'))),
        ("too large", signed(body(members(location={"x": "y" * 65536})))),
    ]
    changes: list[tuple[str, dict[str, Any]]] = [
        ("a later version", members(version=2)),
        ("a version of another type", members(version=True)),
        ("a version that is a fraction", members(version=1.0)),
        ("another owner", members(owner="@mallory")),
        ("an owner in capitals", members(owner="@Alice")),
        ("an owner that is none", members(owner="alice")),
        ("another file", members(file_id=file_id(bytes(16)))),
        ("a file id in capitals", members(file_id=file_id(FILE_ID_BYTES).upper())),
        ("a file id with stray bits", members(file_id=file_id(FILE_ID_BYTES)[:25] + "b")),
        ("a file id that is a path", members(file_id="../../../../../../../etc/x")),
        ("a negative size", members(size=-1, chunks=0)),
        ("a size that is a fraction", members(size=100_000.0)),
        ("a size that is a text", members(size="100000")),
        ("a size that is true", members(size=True, chunks=1)),
        ("a size above 2**53", members(size=2**53, chunk_size=2**30, chunks=2**23)),
        ("a chunk size of zero", members(chunk_size=0)),
        ("a chunk size above 1 GiB", members(size=2**31, chunk_size=2**31, chunks=1)),
        ("a chunk too few", members(chunks=12)),
        ("a chunk too many", members(chunks=14)),
        ("too many chunks", members(size=2**24 + 1, chunk_size=1, chunks=2**24 + 1)),
        ("a file key too short", members(file_key=b64(bytes(31)))),
        ("a file key that is not base64", members(file_key="*" * 44)),
        ("an unknown state", members(state="deleted")),
        ("complete without a hash", members(sha256="")),
        ("uploading with a hash", members(state="uploading")),
        ("a hash in capitals", members(sha256=SHA256.upper())),
        ("a time before 1970", members(created_at_ms=-1)),
        ("a time that is a fraction", members(created_at_ms=1.5)),
        ("a location that is a list", members(location=[])),
        ("a time of sharing that is a text", members(shared_at_ms="1")),
    ]
    changes += [(f"no {name}", without(name)) for name in members()]
    cases += [(why, signed(body(values))) for why, values in changes]
    return [{"why": why, "text": text} for why, text in cases]


def platform_sealed(key: bytes, iv: bytes, plain: str) -> str:
    """Return a text as the platform encrypts records: AES-256-CTR of it, padded by PKCS#7."""
    data = plain.encode("utf-8")
    pad = 16 - len(data) % 16
    ctr = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return b64(ctr.update(data + bytes([pad]) * pad) + ctr.finalize())


def record() -> dict[str, str]:
    """Return a manifest's record as it lies on the server."""
    self_key, iv = bytes(range(32)), bytes(range(0xF0, 0x100))
    plain = signed(body(members()))
    return {
        "self_key": b64(self_key),
        "iv_nonce": b64(iv),
        "text": plain,
        "key": f"{file_id(FILE_ID_BYTES)}.files.atxfer@alice",
        "value": platform_sealed(self_key, iv, plain),
    }


def share() -> dict[str, str]:
    """Return the copy for @bob as it lies on the server; his key is that of the platform's vectors.

    ``sharedKeyEnc`` has random padding, so it is made by whoever tests with it.
    """
    pair_key, iv = bytes(range(0x20, 0x40)), bytes(range(0xE0, 0xF0))
    plain = signed(body(members(shared_at_ms=1_790_000_060_500)))
    return {
        "pair_key": b64(pair_key),
        "iv_nonce": b64(iv),
        "text": plain,
        "key": f"@bob:{file_id(FILE_ID_BYTES)}.files.atxfer@alice",
        "value": platform_sealed(pair_key, iv, plain),
    }


def gcm(key: bytes, nonce: bytes, plain: bytes, additional_: str) -> bytes:
    """Return nonce, ciphertext and tag."""
    cipher = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    cipher.authenticate_additional_data(additional_.encode("utf-8"))
    return nonce + cipher.update(plain) + cipher.finalize() + cipher.tag


def link() -> dict[str, str]:
    """Return a link, and the record it opens."""
    key, nonce, id_ = bytes(range(0x40, 0x60)), bytes(range(64, 76)), file_id(FILE_ID_BYTES)
    plain = signed(body(members()))
    fragment = base64.urlsafe_b64encode(key).decode("ascii").rstrip("=")
    return {
        "link": f"atxfer://alice/{id_}#{fragment}",
        "text": plain,
        "key": f"public:_link.{id_}.atxfer@alice",
        "value": b64(gcm(key, nonce, plain.encode("utf-8"), f"atxfer-link:1:@alice:{id_}")),
    }


def sealed_object() -> dict[str, str]:
    """Return a file of two chunks as one object, and the key of it."""
    key, id_ = bytes(range(0x60, 0x80)), file_id(FILE_ID_BYTES)
    plain = b"hello, world"
    values = members(
        name="greeting.txt",
        size=12,
        chunk_size=8,
        chunks=2,
        owner="",
        sha256=hashlib.sha256(plain).hexdigest(),
    )
    whole = b"".join(
        gcm(FILE_KEY, bytes([start]) * 12, plain[start : start + 8], additional(id_, i, 2))
        for i, start in enumerate((0, 8))
    )
    trailer = gcm(key, bytes(range(80, 92)), body(values).encode("utf-8"), "atxfer-object:1")
    return {
        "object_key": base64.urlsafe_b64encode(key).decode("ascii").rstrip("="),
        "plain_hex": plain.hex(),
        "object_hex": (whole + trailer + len(trailer).to_bytes(4, "big") + b"ATXFER1\n").hex(),
    }


def vectors() -> dict[str, Any]:
    """Return all vectors."""
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    public = owner_key().public_key().public_bytes(serialization.Encoding.DER, spki)
    return {
        "about": "Vectors of docs/format.md, version 1. Throw-away keys. Owner: @alice",
        "owner_public_key": b64(public),
        "file_ids": [
            {"bytes_hex": data.hex(), "file_id": file_id(data)}
            for data in (bytes(16), FILE_ID_BYTES, b"\xff" * 16)
        ],
        "names_accepted": NAMES_ACCEPTED,
        "names_refused": NAMES_REFUSED,
        "chunks": [
            chunk(0, 1, bytes(range(12)), b"hello"),
            chunk(0, 2, bytes(range(16, 28)), bytes(range(64))),
            chunk(1, 2, bytes(range(32, 44)), b"\x00"),
            chunk(2047, 2048, bytes(range(48, 60)), b"last"),
        ],
        "manifests": manifests(),
        "refused": refused(),
        "record": record(),
        "share": share(),
        "link": link(),
        "object": sealed_object(),
    }


def text() -> str:
    """Return the vectors as the file has them; ASCII, so that hostile names do no harm in it."""
    return json.dumps(vectors(), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
