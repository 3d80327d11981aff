"""The platform's Python client, written by others, against the development server.

It runs in a process of its own: it reads keys from the home directory, trusts SSL_CERT_FILE,
prints, and keeps its connection to the directory for ever.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from atxfer._crypto.sharing import open_text, unwrap_key
from atxfer._format.base2e15 import decode
from atxfer.devserver import DevServer
from tests.support.lines import keys_of
from tests.support.worlds import client_of, content

pytest.importorskip("at_client")

# The last release for Python 3.9 decrypts without the ivNonce of a record.
needs_nonces = pytest.mark.xfail(
    sys.version_info < (3, 10), reason="atsdk 0.2.58 leaves ivNonce out", strict=False
)

PROLOGUE = """
import json, sys
from at_client import AtClient
from at_client.common import AtSign
from at_client.common.keys import PublicKey, SelfKey, SharedKey
from at_client.connections.address import Address
root = Address("localhost", int(sys.argv[1]))
alice, bob = AtSign("@alice"), AtSign("@bob")
def client(atsign):
    return AtClient(atsign, root_address=root)
def tell(value):
    print("RESULT", json.dumps(value))
"""

PUBLIC = """
key = PublicKey("greeting.atxfer", alice)
client(alice).put(key, "hello, world")
tell(client(bob).get(key))
"""

SELF = """
key = SelfKey("note.atxfer", alice)
a = client(alice)
a.put(key, "mine alone")
tell(a.get(key))
"""

SHARED = """
key = SharedKey("secret.atxfer", alice, bob)
a = client(alice)
a.put(key, "for bob")
tell([a.get(key), client(bob).get(key)])
"""

DELETE = """
key = SelfKey("gone.atxfer", alice)
a = client(alice)
a.put(key, "x")
before = [str(k) for k in a.get_at_keys("gone", False)]
a.delete(key)
tell([before, [str(k) for k in a.get_at_keys("gone", False)]])
"""


READ_SELF = """
tell(client(alice).get(SelfKey(sys.argv[2], alice)))
"""

READ_SHARED = """
tell([client(who).get(SharedKey(sys.argv[2], alice, bob)) for who in (bob, alice)])
"""


def run(world: DevServer, home: Path, script: str, *arguments: str) -> Any:
    """Run a script with the foreign client, and return what it tells."""
    keys = home / ".atsign" / "keys"
    if not keys.exists():
        keys.parent.mkdir()
        keys.symlink_to(world.keys_dir)
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + script, str(world.root_port), *arguments],
        env={**os.environ, "HOME": str(home), "SSL_CERT_FILE": world.ca_file},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stderr
    return json.loads(results[0][len("RESULT ") :])


@pytest.mark.interop
def test_a_public_value(atserver: DevServer, tmp_path: Path) -> None:
    """What @alice publishes, @bob reads through his own server."""
    assert run(atserver, tmp_path, PUBLIC) == "hello, world"
    assert atserver.server("@alice").value("public:greeting.atxfer@alice") == "hello, world"


@pytest.mark.interop
def test_a_self_value(atserver: DevServer, tmp_path: Path) -> None:
    """Encrypted for the owner, and read back."""
    assert run(atserver, tmp_path, SELF) == "mine alone"
    assert "mine alone" not in (atserver.server("@alice").value("note.atxfer@alice") or "")


@pytest.mark.interop
def test_a_shared_value(atserver: DevServer, tmp_path: Path) -> None:
    """Both ends of it, each with its copy of the shared key."""
    assert run(atserver, tmp_path, SHARED) == ["for bob", "for bob"]
    keys = atserver.server("@alice").keys()
    assert {"shared_key.bob@alice", "@bob:shared_key@alice"} <= set(keys)


@pytest.mark.interop
def test_scan_and_delete(atserver: DevServer, tmp_path: Path) -> None:
    """A key is listed, deleted, and listed no more."""
    before, after = run(atserver, tmp_path, DELETE)
    assert before == ["gone.atxfer@alice"]
    assert after == []


@needs_nonces
@pytest.mark.interop
def test_a_manifest_of_ours_is_a_plain_self_key(atserver: DevServer, tmp_path: Path) -> None:
    """Any client that holds the owner's keys reads it."""
    with client_of(atserver) as ours:
        receipt = ours.upload(content(100_000), name="report.pdf")
    text = run(atserver, tmp_path, READ_SELF, f"{receipt.file_id}.files.atxfer")
    assert json.loads(text)["name"] == "report.pdf"
    assert json.loads(text)["sha256"] == receipt.sha256


@needs_nonces
@pytest.mark.interop
def test_a_share_of_ours_is_a_plain_shared_key(atserver: DevServer, tmp_path: Path) -> None:
    """Its recipient reads it, and so does its owner."""
    with client_of(atserver) as ours:
        receipt = ours.upload(content(100_000), name="report.pdf", share_with=["@bob"])
    texts = run(atserver, tmp_path, READ_SHARED, f"{receipt.file_id}.files.atxfer")
    assert [json.loads(text)["name"] for text in texts] == ["report.pdf", "report.pdf"]


@pytest.mark.interop
def test_a_key_it_shared_is_the_one_we_use(atserver: DevServer, tmp_path: Path) -> None:
    """What it encrypted we read, as the recipient; and no second key is made."""
    run(atserver, tmp_path, SHARED)
    alices, bobs = atserver.server("@alice"), keys_of(atserver, "@bob")
    kept = alices.value("shared_key.bob@alice"), alices.value("@bob:shared_key@alice")
    pair_key = unwrap_key(kept[1] or "", bobs.encryption_private)
    key = "@bob:secret.atxfer@alice"
    nonce = alices.metadata(key).get("ivNonce")
    assert open_text(pair_key, alices.value(key) or "", nonce) == "for bob"
    with client_of(atserver) as ours:
        receipt = ours.upload(b"x", name="x", share_with=["@bob"])
    assert kept == (alices.value("shared_key.bob@alice"), alices.value("@bob:shared_key@alice"))
    wrapped = alices.metadata(f"@bob:{receipt.file_id}.files.atxfer@alice")["sharedKeyEnc"]
    assert unwrap_key(wrapped, bobs.encryption_private) == pair_key


@needs_nonces
@pytest.mark.interop
def test_what_we_keep_in_the_attalk_format_it_reads(atserver: DevServer, tmp_path: Path) -> None:
    """Metadata and chunks, as their owner; a chunk is the Base2e15 text of its bytes."""
    with client_of(atserver) as ours:
        receipt = ours.upload(content(20_000), name="a.pdf", format="attalk", share_with=["@bob"])
    text = run(atserver, tmp_path, READ_SELF, f"file_meta_{receipt.file_id}.attalk")
    assert text == (
        '{"fileName":"a.pdf","fileSize":20000,"totalChunks":3,"mimeType":"application/pdf",'
        f'"uploadTimestamp":{round(receipt.created_at * 1000)}}}'
    )
    texts = run(atserver, tmp_path, READ_SHARED, f"file_meta_{receipt.file_id}.attalk")
    assert texts == [text, text]
    chunk = run(atserver, tmp_path, READ_SELF, f"file_chunk_{receipt.file_id}_2.attalk")
    assert decode(chunk) == content(20_000)[2 * 8192 :]
