"""Sharing files with other atSigns, from the side of whoever shares."""

from __future__ import annotations

import json
from typing import Callable

import pytest

import atxfer
from atxfer import AccessDenied, TransferError
from atxfer.devserver import DevServer
from atxfer.errors import AtSignNotFound, FileNotFound, PublicKeyInvalid, SharingFailed
from tests.support.worlds import FIVE, client_of, content


def files_of(world: DevServer, atsign: str) -> list[str]:
    """Return the keys of files that lie on a server, copies included."""
    keys = world.server(atsign).keys()
    return [key for key in keys if ".files.atxfer@" in key]


def file_notices(world: DevServer, atsign: str) -> list[str]:
    """Return the operations that a server was told of about files."""
    world.idle()
    return [n["operation"] for n in world.server(atsign).notices() if ".files." in n["key"]]


def test_any_number_of_recipients_costs_one_copy(crowd: DevServer) -> None:
    """The chunks are there once; each recipient has one record, one notification, one copy."""
    before = set(crowd.server("@alice").keys())
    with client_of(crowd) as client:
        receipt = client.upload(content(300_000), name="x", share_with=FIVE)
        assert client.shared_with(receipt) == FIVE
    new = set(crowd.server("@alice").keys()) - before
    assert len([key for key in new if key.startswith("public:_")]) == receipt.chunks
    assert len([key for key in new if f":{receipt.file_id}.files.atxfer" in key]) == 5
    for atsign in FIVE:
        assert file_notices(crowd, atsign) == ["update"]
        copy = f"cached:{atsign}:{receipt.file_id}.files.atxfer@alice"
        assert files_of(crowd, atsign) == [copy]
        assert "_0." not in " ".join(crowd.server(atsign).keys())


def test_sharing_later_sends_no_chunk(crowd: DevServer) -> None:
    """The file is there already."""
    with client_of(crowd) as client:
        receipt = client.upload(content(300_000), name="x")
        sent = crowd.counters.snapshot()["@alice"]["bytes_in"]
        client.share(receipt.file_id, "@bob")
        assert crowd.counters.snapshot()["@alice"]["bytes_in"] - sent < 10_000
    assert file_notices(crowd, "@bob") == ["update"]


def test_the_second_file_for_the_same_recipient_takes_no_new_key(crowd: DevServer) -> None:
    """The key of a pair is made once, also by another client of the same atSign."""
    for _ in range(2):
        with client_of(crowd) as client:
            client.upload(b"x", name="x", share_with=["@bob"])
    notices = [n["key"] for n in crowd.server("@bob").notices()]
    assert sum("shared_key" in key for key in notices) == 1


def test_unshare_takes_the_recipients_copy_back(crowd: DevServer) -> None:
    """Of those who are named; without names, of all."""
    with client_of(crowd) as client:
        receipt = client.upload(b"x", name="x", share_with=["@bob", "@carol", "@dave"])
        client.unshare(receipt, "@bob")
        crowd.idle()
        assert [files_of(crowd, a) == [] for a in ("@bob", "@carol")] == [True, False]
        client.unshare(receipt)
        assert client.shared_with(receipt) == []
        crowd.idle()
        assert files_of(crowd, "@carol") == files_of(crowd, "@dave") == []
        assert client.file(receipt).state == "complete"


def test_delete_takes_shares_and_link_along(crowd: DevServer) -> None:
    """Nobody is led to a file that is gone."""
    with client_of(crowd) as client:
        receipt = client.upload(b"x", name="x", share_with=["@bob"])
        client.link(receipt)
        client.delete(receipt)
    crowd.idle()
    assert files_of(crowd, "@bob") == []
    assert receipt.file_id not in " ".join(crowd.server("@alice").keys())


def test_copies_live_as_long_as_the_file(crowd: DevServer) -> None:
    """From the upload on, and after each extension."""
    with client_of(crowd) as client:
        receipt = client.upload(b"x", name="x", ttl=600.0, share_with=["@bob"])
        client.share(receipt, "@carol")
        client.extend(receipt, 7200.0)
    crowd.idle()
    for atsign in ("@bob", "@carol"):
        (copy,) = files_of(crowd, atsign)
        assert crowd.server(atsign).metadata(copy)["ttl"] == 7_200_000
    crowd.advance(7201)
    assert files_of(crowd, "@bob") == files_of(crowd, "@carol") == []


@pytest.mark.parametrize(
    ("share_with", "error"),
    [
        (["@nobody"], AtSignNotFound),
        (["@bob", "@nobody"], AtSignNotFound),
        (["@alice"], ValueError),
        (["not an atsign"], ValueError),
        ("@bob", TypeError),
    ],
)
def test_who_can_not_be_shared_with_is_told_first(
    crowd: DevServer, share_with: list[str], error: type[Exception]
) -> None:
    """Before anything of the file is sent."""
    before = crowd.server("@alice").keys()
    with client_of(crowd) as client, pytest.raises(error):
        client.upload(content(100_000), name="x", share_with=share_with)
    assert crowd.server("@alice").keys() == before
    assert file_notices(crowd, "@bob") == []


def test_an_atsign_that_was_never_activated_has_no_key_to_encrypt_to(
    atserver_factory: Callable[..., DevServer],
) -> None:
    """It has a server, but nobody to read there."""
    world = atserver_factory(["alice"], cram_secrets={"carol": "secret"})
    with client_of(world) as client, pytest.raises(PublicKeyInvalid, match="@carol"):
        client.upload(b"x", name="x", share_with=["@carol"])


def test_sharing_that_fails_leaves_the_file_and_says_with_whom(crowd: DevServer) -> None:
    """The others have it; the error holds the receipt, and the same call can be made again."""
    with client_of(crowd, max_attempts=1) as client:
        client.upload(b"warm", name="warm", share_with=["@bob", "@carol"])
        crowd.faults.play("ok ok ok AT0010", verbs={"update"})  # manifest, chunk, manifest
        with pytest.raises(SharingFailed) as caught:
            client.upload(b"x", name="x", share_with=["@bob", "@carol"])
        (failed,) = caught.value.failures
        receipt = caught.value.receipt
        assert caught.value.file_id == receipt.file_id
        assert set(client.shared_with(receipt)) == {"@bob", "@carol"} - {failed}
        client.share(caught.value.file_id, failed)
        assert client.shared_with(receipt) == ["@bob", "@carol"]


def test_what_is_not_there_can_not_be_shared(crowd: DevServer) -> None:
    """Nor what is no file id, nor without naming anybody."""
    with client_of(crowd) as client:
        for file_id in ("a" * 26, "no id"):
            with pytest.raises(FileNotFound):
                client.share(file_id, "@bob")
        with pytest.raises(ValueError, match="whom"):
            client.share("a" * 26)


def test_mixed_up_answers_reach_no_key(crowd: DevServer) -> None:
    """Public keys come from their owners' servers, so that no answer in between can change them."""
    crowd.faults.mixup = 1.0
    with client_of(crowd) as client:
        receipt = client.upload(content(50_000), name="x", share_with=FIVE)
    for atsign in FIVE:
        record = crowd.server("@alice").metadata(f"{atsign}:{receipt.file_id}.files.atxfer@alice")
        other = crowd.server("@alice").metadata(f"{atsign}:shared_key@alice")
        public = crowd.server(atsign).value(f"public:publickey{atsign}")
        assert record["pubKeyCS"] == other["pubKeyCS"]
        assert public is not None


def test_a_link_needs_neither_atsign_nor_keys(crowd: DevServer, tmp_path: object) -> None:
    """Who holds it gets the file, verified; who has a part of it, nothing."""
    options = crowd.client_options
    with client_of(crowd) as client:
        receipt = client.upload(content(200_000), name="x.bin")
        link = client.link(receipt)
        assert client.link(receipt.file_id) == link
    crowd.counters.reset()
    result = atxfer.download_link(
        link, str(tmp_path), directory=options["directory"], ca_file=options["ca_file"]
    )
    assert result.path is not None
    assert result.path.read_bytes() == content(200_000)
    assert result.file.name == "x.bin"
    assert crowd.counters.snapshot()["@alice"]["logins"] == 0


def test_a_link_that_was_revoked_leads_nowhere(crowd: DevServer, tmp_path: object) -> None:
    """A later link has another key, and the old one stays dead."""
    with client_of(crowd) as client:
        receipt = client.upload(b"x", name="x")
        first = client.link(receipt)
        client.unlink(receipt)
        with pytest.raises(atxfer.errors.LinkRevoked):
            client.download(first, str(tmp_path))
        second = client.link(receipt)
        assert second != first
        with pytest.raises(atxfer.IntegrityError, match="link"):
            client.download(first, str(tmp_path))
        assert client.download(second, str(tmp_path)).file.size == 1


def test_a_link_has_an_end_of_its_own(crowd: DevServer, tmp_path: object) -> None:
    """Earlier than the file's, never later."""
    with client_of(crowd) as client:
        receipt = client.upload(b"x", name="x", ttl=600.0)
        link = client.link(receipt, ttl=60.0)
        crowd.advance(61)
        with pytest.raises(atxfer.FileExpired):
            client.download(link, str(tmp_path))
        assert client.download(receipt, str(tmp_path)).file.size == 1
        client.link(receipt, ttl=86_400.0)
    metadata = crowd.server("@alice").metadata(f"public:_link.{receipt.file_id}.atxfer@alice")
    assert metadata["ttl"] <= 600_000


def test_a_damaged_link_is_told_as_one(crowd: DevServer, tmp_path: object) -> None:
    """As misuse, without asking any server, and without showing what is left of the key."""
    with client_of(crowd) as client:
        link = client.link(client.upload(b"x", name="x"))
        crowd.counters.reset()
        with pytest.raises(ValueError, match="cut short") as caught:
            client.download(link[:-1], str(tmp_path))
    assert link.partition("#")[2][:20] not in str(caught.value)


def test_errors_of_sharing_are_transfer_errors() -> None:
    """With the exit code of their first cause, and every cause by its atSign."""
    error = SharingFailed.of({"@bob": AccessDenied("blocked")}, file="x", file_id="a" * 26)
    assert isinstance(error, TransferError)
    assert error.exit_code == AccessDenied.exit_code
    assert "with @bob: blocked" in str(error)
    assert json.dumps(sorted(error.failures)) == '["@bob"]'
