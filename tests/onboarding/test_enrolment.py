"""A device gets keys of its own if its owner says so, and may wait for that as it likes."""

from __future__ import annotations

import json
import math
import platform
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from atxfer import Client, onboarding
from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.enrolling import DeviceKeys
from atxfer._crypto.primitives import aes_256_ctr_pkcs7_seal, base64_encode
from atxfer._crypto.sharing import open_text, seal_text
from atxfer._net.address import parse_address
from atxfer._net.connection import AtConnection
from atxfer._net.stream import tls_context
from atxfer._onboarding.device import POLL_INTERVAL, Device
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import (
    AlreadyEnrolled,
    EnrollmentDenied,
    EnrollmentExpired,
    EnrollmentPending,
    EnrollmentRevoked,
    InvalidEnrollmentState,
    NotActivated,
    NotManager,
    PasscodeRefused,
)
from atxfer.atprotocol.verbs import Llookup, Plookup, Update
from atxfer.devserver import DevServer, FaultPlan, housekeeping
from atxfer.errors import (
    ConnectionLost,
    IntegrityError,
    KeysNotFound,
    LoginRefused,
    NotAuthorized,
    NotFound,
    ProtocolViolation,
    RequestRejected,
    TransferError,
)
from atxfer.waiting import Wait
from tests.onboarding.conftest import Enrolling
from tests.support.clock import FakeClock
from tests.support.lines import LineClient, owner
from tests.support.worlds import content


def _connected(enrolling: Enrolling) -> AtConnection:
    """Return a connection that is logged in with the device's keys."""
    return AtConnection.open(
        parse_address(f"localhost:{enrolling.world.servers['@alice']}"),
        tls_context(enrolling.world.ca_file),
        atsign="@alice",
        login=AtKeys.read(enrolling.key_file, "@alice"),
        wait=Wait(),
        connect_timeout=10.0,
        request_timeout=10.0,
    )


# --- what the keys are good for


def test_enrolled_keys_move_files(enrolling: Enrolling, tmp_path: Path) -> None:
    """Up, down, list and delete, and the owner sees the same files."""
    enrolling.approved()
    assert enrolling.complete() == enrolling.key_file
    with Client("@alice", **enrolling.device) as client:
        receipt = client.upload(content(100_000), name="report")
        client.download(receipt, tmp_path / "copy")
        assert [file.name for file in client.files()] == ["report"]
    assert (tmp_path / "copy").read_bytes() == content(100_000)
    with Client("@alice", **enrolling.owner) as client:
        client.download(receipt, tmp_path / "owner's")
    with Client("@alice", **enrolling.device) as client:
        client.delete(receipt)
        assert list(client.files()) == []


def test_enrolled_keys_carry_what_sharing_needs(enrolling: Enrolling) -> None:
    """Both of the owner's keys, and the right to the records that sharing writes and reads."""
    enrolling.approved()
    enrolling.complete()
    keys = AtKeys.read(enrolling.key_file, "@alice")
    whole = AtKeys.read(Path(enrolling.owner["keys_dir"], "@alice_key.atKeys"), "@alice")
    assert keys.self_key == whole.self_key
    assert keys.verify_data(whole.sign_data(b"data"), b"data")
    connection = _connected(enrolling)
    for key in (
        AtKey.shared("x.files", "@alice", "@bob"),
        AtKey.parse("shared_key.bob@alice"),
        AtKey.parse("@bob:shared_key@alice"),
    ):
        connection.ask(Update(key, "v"), Wait(), 10.0)
    connection.ask(Plookup(AtKey.parse("public:publickey@bob")), Wait(), 10.0)
    connection.close()


def test_enrolled_keys_share_and_receive(enrolling: Enrolling, tmp_path: Path) -> None:
    """With @bob, and from him."""
    enrolling.approved()
    enrolling.complete()
    with Client("@alice", **enrolling.device) as alice, Client("@bob", **enrolling.owner) as bob:
        for sender, recipient in ((alice, bob), (bob, alice)):
            sender.share(sender.upload(content(50_000), name=sender.atsign), recipient.atsign)
            enrolling.world.idle()
            (found,) = recipient.inbox(include_seen=True)
            recipient.download(found, tmp_path / sender.atsign)
            assert (tmp_path / sender.atsign).read_bytes() == content(50_000)


def test_enrolled_keys_reach_no_other_name_space(enrolling: Enrolling) -> None:
    """Neither to write nor to read."""
    enrolling.approved()
    enrolling.complete()
    with owner(enrolling.world) as alice:
        alice.ask("update:x.other@alice v")
    connection = _connected(enrolling)
    key = AtKey.self_("x", "@alice", "other")
    for verb in (Update(key, "v"), Llookup(key)):
        with pytest.raises(NotAuthorized, match="AT0009"):
            connection.ask(verb, Wait(), 10.0)
    connection.close()


def test_several_name_spaces_may_be_asked_for(enrolling: Enrolling) -> None:
    """Each with its own access."""
    asked = enrolling.approved(namespaces={"atxfer": "rw", "attalk": "r"})
    assert asked.namespaces == {"atxfer": "rw", "attalk": "r"}
    enrolling.complete()
    with owner(enrolling.world) as alice:
        alice.ask("update:x.attalk@alice v")
    connection = _connected(enrolling)
    key = AtKey.self_("x", "@alice", "attalk")
    assert connection.ask(Llookup(key), Wait(), 10.0).data == "v"
    with pytest.raises(NotAuthorized):
        connection.ask(Update(key, "w"), Wait(), 10.0)
    connection.close()


def test_revoked_keys_are_of_no_use(enrolling: Enrolling) -> None:
    """From that moment on, and the error says why."""
    asked = enrolling.approved()
    enrolling.complete()
    assert onboarding.revoke("@alice", asked.id, **enrolling.owner).status == "revoked"
    with Client("@alice", **enrolling.device) as client, pytest.raises(EnrollmentRevoked):
        list(client.files())


# --- the request


def test_half_made_keys_wait_in_a_private_file(enrolling: Enrolling) -> None:
    """Beside where the whole ones will lie, and are gone when those are there."""
    asked = enrolling.request()
    assert (asked.app, asked.status) == ("atxfer", "pending")
    assert asked.device == onboarding._this_machine()
    assert stat.S_IMODE(enrolling.pending.stat().st_mode) == 0o600
    onboarding.approve("@alice", asked.id, **enrolling.owner)
    enrolling.complete()
    assert list(enrolling.pending.parent.iterdir()) == [enrolling.key_file]
    assert stat.S_IMODE(enrolling.key_file.stat().st_mode) == 0o600


def test_a_key_file_is_never_overwritten(enrolling: Enrolling) -> None:
    """The passcode isn't even sent."""
    enrolling.key_file.parent.mkdir()
    enrolling.key_file.write_text("precious")
    with pytest.raises(FileExistsError) as caught:
        onboarding.request_enrollment("@alice", "ABC123", **enrolling.device)
    assert caught.value.filename == str(enrolling.key_file)
    assert enrolling.key_file.read_text() == "precious"
    assert enrolling.world.counters.snapshot()["@alice"]["connections"] == 0


def test_a_file_that_came_meanwhile_is_not_overwritten(enrolling: Enrolling) -> None:
    """Somebody copied another key file there while we waited."""
    enrolling.approved()
    other = Path(enrolling.owner["keys_dir"], "@alice_key.atKeys").read_bytes()
    enrolling.key_file.write_bytes(other)
    enrolling.key_file.chmod(0o600)
    with pytest.raises(FileExistsError):
        enrolling.complete()
    assert enrolling.key_file.read_bytes() == other
    assert enrolling.pending.exists()


def test_one_request_at_a_time(enrolling: Enrolling) -> None:
    """A second one would lose the first one's keys."""
    enrolling.request()
    before = enrolling.pending.read_bytes()
    with pytest.raises(FileExistsError, match="pending already") as caught:
        enrolling.request(device_name="other")
    assert caught.value.filename == str(enrolling.pending)
    assert enrolling.pending.read_bytes() == before


def test_a_wrong_passcode_is_refused_late(enrolling: Enrolling) -> None:
    """The server takes a second; it is an error that is not tried again, and nothing is left."""
    world = enrolling.world
    passing = threading.Thread(target=lambda: (world.until_asleep(), world.advance(1.0)))
    passing.start()
    with pytest.raises(PasscodeRefused) as caught:
        onboarding.request_enrollment("@alice", "WRONG1", **enrolling.device)
    passing.join()
    assert (caught.value.code, caught.value.retryable) == ("AT0011", False)
    assert "atxfer enroll otp" in caught.value.remedy
    assert "WRONG1" not in f"{caught.value!r} {caught.value}"
    assert list(enrolling.pending.parent.iterdir()) == []


def test_a_device_enrols_once(enrolling: Enrolling, tmp_path: Path) -> None:
    """The second request under a name is refused; under another it is not."""
    enrolling.request(device_name="server1")
    elsewhere = {"keys_dir": tmp_path / "elsewhere"}
    with pytest.raises(AlreadyEnrolled) as caught:
        enrolling.request(device_name="server1", **elsewhere)
    assert "another device" in caught.value.remedy
    assert not caught.value.retryable
    assert enrolling.request(device_name="server2", **elsewhere).status == "pending"


def test_a_request_whose_answer_is_lost(enrolling: Enrolling) -> None:
    """Nothing is left here; the server has it, and the owner can deny it."""
    enrolling.world.faults = FaultPlan.script("drop-after", verbs={"enroll"})
    with pytest.raises(ConnectionLost):
        enrolling.request()
    assert not enrolling.pending.exists()
    with pytest.raises(AlreadyEnrolled):
        enrolling.request()
    (lost,) = onboarding.enrollments("@alice", **enrolling.owner)
    onboarding.deny("@alice", lost.id, **enrolling.owner)
    assert enrolling.request().status == "pending"


def test_a_request_that_was_killed_before_its_answer(enrolling: Enrolling) -> None:
    """What it left is in nobody's way."""
    keys = DeviceKeys.generate("@alice", "atxfer", "old", {"atxfer": "rw"})
    keys.write(enrolling.pending)
    with pytest.raises(KeysNotFound, match="no enrolment is pending"):
        enrolling.complete()
    assert enrolling.request(device_name="new").device == "new"


def test_nobody_enrols_with_an_atsign_that_is_not_activated(
    carol: DevServer, tmp_path: Path
) -> None:
    """There is no owner to ask."""
    with pytest.raises(NotActivated, match="@carol") as caught:
        onboarding.request_enrollment(
            "@carol", "ABC123", **{**carol.client_options, "keys_dir": str(tmp_path)}
        )
    assert "atxfer activate" in caught.value.remedy


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"device_name": "my laptop"}, "my laptop"),
        ({"device_name": "x" * 220}, "characters"),
        ({"app_name": ""}, "name of an application"),
        ({"app_name": "a:b"}, "a:b"),
        ({"namespaces": {}}, "at least one"),
        ({"namespaces": {"atxfer": "w"}}, "r or rw"),
        ({"namespaces": {"": "rw"}}, "r or rw"),
    ],
)
def test_names_that_a_server_would_trip_over_are_misuse(
    enrolling: Enrolling, options: dict[str, Any], why: str
) -> None:
    """It takes such a request, and hands no keys over when it is approved."""
    with pytest.raises(ValueError, match=why):
        onboarding.request_enrollment("@alice", "ABC123", **enrolling.device, **options)
    assert enrolling.world.counters.snapshot()["@alice"]["connections"] == 0


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ("Build-1.example.org", "build-1"),
        ("Anna's Mac", "anna-s-mac"),
        ("", "device"),
        ("ü", "device"),
    ],
)
def test_a_machine_s_name_becomes_one_that_can_be_used(
    monkeypatch: pytest.MonkeyPatch, node: str, name: str
) -> None:
    """Whatever it is called."""
    monkeypatch.setattr(platform, "node", lambda: node)
    assert onboarding._this_machine() == name


@pytest.mark.parametrize("answer", ["garbage", "AT0028", "AT0010"])
def test_a_request_that_fails_leaves_nothing(enrolling: Enrolling, answer: str) -> None:
    """The next one starts anew."""
    otp = onboarding.new_otp("@alice", **enrolling.owner)
    enrolling.world.faults = FaultPlan.script(answer, verbs={"enroll"})
    with pytest.raises(TransferError):
        onboarding.request_enrollment("@alice", otp, **enrolling.device)
    assert list(enrolling.pending.parent.iterdir()) == []


# --- the wait


def test_who_waits_gets_the_keys_soon_after_the_approval(enrolling: Enrolling) -> None:
    """A look every few seconds, and none more when the keys are there."""
    asked = enrolling.request()

    def approve(seconds: float) -> None:
        if len(clock.waits) == 3:
            onboarding.approve("@alice", asked.id, **enrolling.owner)

    clock = FakeClock(approve)
    assert Device(enrolling.site(clock)).complete(60.0) == enrolling.key_file
    assert clock.waits == [POLL_INTERVAL] * 3


def test_a_wait_has_an_end(enrolling: Enrolling) -> None:
    """It is told how to go on, and a later call does."""
    asked = enrolling.request()
    clock = FakeClock()
    with pytest.raises(EnrollmentPending, match=asked.id) as caught:
        Device(enrolling.site(clock)).complete(12.0)
    assert clock.waits == [5.0, 5.0, 2.0]
    assert f"atxfer enroll approve {asked.id}" in caught.value.remedy
    assert "atxfer enroll request" in caught.value.remedy
    assert caught.value.exit_code == 4
    onboarding.approve("@alice", asked.id, **enrolling.owner)
    assert enrolling.complete() == enrolling.key_file


def test_a_wait_may_have_none(enrolling: Enrolling) -> None:
    """For ever is a number, too."""
    asked = enrolling.request()

    def approve(seconds: float) -> None:
        if len(clock.waits) == 2:
            onboarding.approve("@alice", asked.id, **enrolling.owner)

    clock = FakeClock(approve)
    Device(enrolling.site(clock)).complete(math.inf)
    assert clock.waits == [POLL_INTERVAL] * 2


@pytest.mark.parametrize("word", ["drop-before", "AT0012", "AT0024", "AT0011"])
def test_what_may_pass_does_not_end_a_wait(enrolling: Enrolling, word: str) -> None:
    """Somebody who waits for an hour meets a server that restarts."""
    enrolling.approved()
    enrolling.world.faults = FaultPlan.script(f"{word} ok {word}", verbs={"pkam", "keys"})
    clock = FakeClock()
    assert Device(enrolling.site(clock)).complete(60.0) == enrolling.key_file
    assert len(clock.waits) == 2


def test_at_the_end_of_a_wait_the_last_cause_is_told(enrolling: Enrolling) -> None:
    """As it is; the half-made keys are kept."""
    enrolling.approved()
    enrolling.world.faults = FaultPlan.script("drop-before", verbs={"pkam"})
    with pytest.raises(ConnectionLost):
        enrolling.complete()
    assert enrolling.complete() == enrolling.key_file


def test_a_login_that_is_refused_for_good_ends_a_wait(enrolling: Enrolling) -> None:
    """Keys that are not those of the enrolment will never be."""
    enrolling.approved()
    members = json.loads(enrolling.pending.read_text())
    other = DeviceKeys.generate("@alice", "a", "d", {"atxfer": "rw"})
    enrolling.pending.unlink()
    other.enrolled(members["enrollmentId"]).write(enrolling.pending)
    clock = FakeClock()
    with pytest.raises(LoginRefused, match="AT0401"):
        Device(enrolling.site(clock)).complete(60.0)
    assert clock.waits == []


def test_denied(enrolling: Enrolling) -> None:
    """The half-made keys are of no use any more: the next request finds nothing in its way."""
    asked = enrolling.request()
    assert onboarding.deny("@alice", asked.id, **enrolling.owner).status == "denied"
    with pytest.raises(EnrollmentDenied):
        enrolling.complete(60.0)
    assert not enrolling.pending.exists()
    enrolling.approved()
    enrolling.complete()


def test_revoked_before_the_keys_were_fetched(enrolling: Enrolling) -> None:
    """As denied."""
    asked = enrolling.approved()
    onboarding.revoke("@alice", asked.id, **enrolling.owner)
    with pytest.raises(EnrollmentRevoked):
        enrolling.complete(60.0)
    assert not enrolling.pending.exists()


def test_expired(enrolling: Enrolling) -> None:
    """Nobody decided for two days."""
    asked = enrolling.request()
    enrolling.world.advance(48 * 3600)
    with pytest.raises(EnrollmentExpired):
        enrolling.complete(60.0)
    assert not enrolling.pending.exists()
    with pytest.raises(NotFound, match=asked.id):
        onboarding.approve("@alice", asked.id, **enrolling.owner)


def test_nothing_is_pending(enrolling: Enrolling) -> None:
    """The error says how to begin."""
    with pytest.raises(KeysNotFound, match="no enrolment is pending") as caught:
        enrolling.complete()
    assert "--otp" in caught.value.remedy


def test_a_server_that_has_approved_and_not_handed_over_yet(enrolling: Enrolling) -> None:
    """Between the two, a device can log in and finds nothing: it waits on."""
    asked = enrolling.approved()
    name = f"{asked.id}.default_self_enc_key.__manage@alice"
    server = enrolling.world.server("@alice")
    value = server.value(name)
    server.remove(name)
    with pytest.raises(EnrollmentPending, match="no keys are handed over"):
        enrolling.complete()
    with owner(enrolling.world) as alice:
        alice.ask(f"update:{name} {value}")
    assert enrolling.complete() == enrolling.key_file


def test_a_run_that_ended_between_the_new_file_and_the_old(enrolling: Enrolling) -> None:
    """Both files are there, of one enrolment: the next call tidies up."""
    enrolling.approved()
    half_made = enrolling.pending.read_bytes()
    enrolling.complete()
    enrolling.pending.write_bytes(half_made)
    enrolling.pending.chmod(0o600)
    assert enrolling.complete() == enrolling.key_file
    assert not enrolling.pending.exists()


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"value":7}', '{"value":"AAAA","iv":7}'])
def test_an_answer_that_is_none(enrolling: Enrolling, text: str) -> None:
    """What a server answers instead of a key is no key; it is not shown."""
    asked = enrolling.approved()
    server = enrolling.world.server("@alice")
    server.alter(f"{asked.id}.default_enc_private_key.__manage@alice", text)
    with pytest.raises(ProtocolViolation, match="keys:get"):
        enrolling.complete()


def test_keys_that_are_not_the_owner_s_are_refused(enrolling: Enrolling) -> None:
    """A server that hands over others is found out, and the half-made keys are kept."""
    asked = enrolling.approved()
    server = enrolling.world.server("@alice")
    name = f"{asked.id}.default_enc_private_key.__manage@alice"
    value = str(server.value(name))
    server.alter(name, value[:40] + ("A" if value[40] != "A" else "B") + value[41:])
    with pytest.raises(IntegrityError):
        enrolling.complete()
    assert not enrolling.key_file.exists()
    assert enrolling.pending.exists()


def test_nonces_of_newer_servers_are_used(enrolling: Enrolling) -> None:
    """From 3.1.0 on a server keeps those that the approving client sent."""
    asked = enrolling.approved()
    keys = DeviceKeys.read(enrolling.pending)
    server = enrolling.world.server("@alice")
    for name in ("default_enc_private_key", "default_self_enc_key"):
        key = f"{asked.id}.{name}.__manage@alice"
        text = open_text(keys.symmetric_key, json.loads(str(server.value(key)))["value"], None)
        value, iv = seal_text(keys.symmetric_key, text)
        server.alter(key, json.dumps({"value": value, "iv": iv}))
    assert enrolling.complete() == enrolling.key_file


# --- the owner


@pytest.mark.parametrize(("version", "plain"), [("3.0.52", True), ("3.1.0", False), ("odd", True)])
def test_nonces_are_for_servers_that_keep_them(
    enrolling: Enrolling, monkeypatch: pytest.MonkeyPatch, version: str, plain: bool
) -> None:
    """An older one would lose them, and what was handed over could not be opened."""
    monkeypatch.setattr(housekeeping, "VERSION", version)
    asked = enrolling.approved()
    handed = enrolling.world.server("@alice").value(
        f"{asked.id}.default_self_enc_key.__manage@alice"
    )
    key = DeviceKeys.read(enrolling.pending).symmetric_key
    owner_keys = AtKeys.read(Path(enrolling.owner["keys_dir"], "@alice_key.atKeys"), "@alice")
    text = base64_encode(owner_keys.self_key).encode("ascii")
    without = base64_encode(aes_256_ctr_pkcs7_seal(key, bytes(16), text))
    assert (json.loads(str(handed)) == {"value": without}) is plain


def test_enrolments_are_listed_with_pending_ones_first(
    enrolling: Enrolling, tmp_path: Path
) -> None:
    """Each with who asks and for what."""
    first = enrolling.approved(device_name="server1")
    second = enrolling.request(device_name="server2", keys_dir=tmp_path / "other")
    listed = onboarding.enrollments("@alice", **enrolling.owner)
    assert listed == [second, first]
    assert listed[0].as_dict() == {
        "id": second.id,
        "app": "atxfer",
        "device": "server2",
        "namespaces": {"atxfer": "rw"},
        "status": "pending",
    }


@pytest.mark.parametrize(
    ("decide", "status"),
    [
        (onboarding.approve, "approved"),
        (onboarding.deny, "approved"),
        (onboarding.revoke, "pending"),
        (onboarding.approve, "denied"),
        (onboarding.revoke, "denied"),
    ],
)
def test_only_what_fits_the_state(enrolling: Enrolling, decide: Any, status: str) -> None:
    """An approved enrolment can't be denied, whatever older servers say: it is to be revoked."""
    asked = enrolling.request()
    if status != "pending":
        before = onboarding.approve if status == "approved" else onboarding.deny
        before("@alice", asked.id, **enrolling.owner)
    with pytest.raises(InvalidEnrollmentState, match=f"is {status}, not"):
        decide("@alice", asked.id, **enrolling.owner)
    (listed,) = onboarding.enrollments("@alice", **enrolling.owner)
    assert listed.status == status


@pytest.mark.parametrize("decide", [onboarding.approve, onboarding.deny, onboarding.revoke])
def test_an_enrolment_that_is_not_there(enrolling: Enrolling, decide: Any) -> None:
    """The remedy is to look at the list."""
    with pytest.raises(NotFound, match="'none'") as caught:
        decide("@alice", "none", **enrolling.owner)
    assert "atxfer enroll list" in caught.value.remedy


def test_an_enrolment_that_goes_meanwhile(enrolling: Enrolling) -> None:
    """It was in the list, and expired before the decision."""
    asked = enrolling.request()
    enrolling.world.faults = FaultPlan.script("ok AT0029", verbs={"enroll"})
    with pytest.raises(NotFound):
        onboarding.deny("@alice", asked.id, **enrolling.owner)


def test_a_device_decides_on_nobody(enrolling: Enrolling, tmp_path: Path) -> None:
    """It sees itself alone, and is told whose keys it takes."""
    asked = enrolling.approved(device_name="server1")
    enrolling.complete()
    other = enrolling.request(device_name="server2", keys_dir=tmp_path / "other")
    assert [e.id for e in onboarding.enrollments("@alice", **enrolling.device)] == [asked.id]
    with pytest.raises(NotManager) as caught:
        onboarding.approve("@alice", other.id, **enrolling.device)
    assert "owner's own" in caught.value.remedy
    with pytest.raises(RequestRejected, match="AT0031"):
        onboarding.revoke("@alice", asked.id, **enrolling.device)


def test_a_request_of_another_program_under_a_name_that_is_no_key(enrolling: Enrolling) -> None:
    """Approving it would end half-way; so it is not begun."""
    with owner(enrolling.world) as alice:
        otp = alice.ask("otp:get")[len("data:") :]
        params = {
            "appName": "wavi",
            "deviceName": "my laptop",
            "namespaces": {"wavi": "rw"},
            "otp": otp,
            "apkamPublicKey": "AAAA",
            "encryptedAPKAMSymmetricKey": "AAAA",
        }
    with LineClient(enrolling.world) as device:
        told = device.ask("enroll:request:" + json.dumps(params))
    enrollment_id = json.loads(told[len("data:") :])["enrollmentId"]
    with pytest.raises(RequestRejected, match="my laptop") as caught:
        onboarding.approve("@alice", enrollment_id, **enrolling.owner)
    assert caught.value.remedy.startswith("Deny it")
    assert onboarding.deny("@alice", enrollment_id, **enrolling.owner).status == "denied"


def test_a_passcode_lives_as_long_as_asked(enrolling: Enrolling) -> None:
    """And is good for one request."""
    otp = onboarding.new_otp("@alice", ttl=3600.0, **enrolling.owner)
    enrolling.world.advance(3000.0)
    asked = onboarding.request_enrollment("@alice", otp, **enrolling.device)
    assert asked.status == "pending"


@pytest.mark.parametrize("ttl", [0.0, -1.0, math.inf, math.nan])
def test_a_passcode_s_time_is_some(enrolling: Enrolling, ttl: float) -> None:
    """Anything else is misuse."""
    with pytest.raises(ValueError, match="some seconds"):
        onboarding.new_otp("@alice", ttl=ttl, **enrolling.owner)


def test_a_list_that_is_none(enrolling: Enrolling) -> None:
    """What a server answers instead is not taken for one."""
    server = enrolling.world.server("@alice")
    asked = enrolling.request()
    server.alter(f"{asked.id}.new.enrollments.__manage@alice", '{"status":"pending"}')
    with pytest.raises(ProtocolViolation):
        onboarding.enrollments("@alice", **enrolling.owner)


def test_the_owner_needs_keys(enrolling: Enrolling, tmp_path: Path) -> None:
    """As any client does."""
    with pytest.raises(KeysNotFound):
        onboarding.new_otp("@alice", **{**enrolling.owner, "keys_dir": tmp_path})
