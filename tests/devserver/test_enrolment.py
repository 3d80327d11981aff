"""Keys for some name spaces only: how they come to be, and what they may touch."""

from __future__ import annotations

import functools
import itertools
import json
from typing import Any, Optional

import pytest

from atxfer._crypto.atkeys import AtKeys
from atxfer.devserver import DevServer
from tests.devserver.conftest import Connect
from tests.support.lines import LineClient

DEVICE = functools.lru_cache(maxsize=None)(lambda: AtKeys.generate("@alice"))


DEVICES = itertools.count()


def request(
    client: LineClient,
    otp: str,
    namespaces: Optional[dict[str, str]] = None,
    device: Optional[str] = None,
) -> str:
    """Ask for an enrolment, of a new device if none is named, and return the answer."""
    params = {
        "appName": "atxfer",
        "deviceName": device or f"server{next(DEVICES)}",
        "namespaces": namespaces or {"atxfer": "rw"},
        "otp": otp,
        "apkamPublicKey": DEVICE().pkam_public,
        "encryptedAPKAMSymmetricKey": "U1lN",
    }
    return client.ask("enroll:request:" + json.dumps(params))


def approve(owner: LineClient, id_: str) -> str:
    """Approve an enrolment, and return the answer."""
    params = {
        "enrollmentId": id_,
        "encryptedDefaultEncryptionPrivateKey": "UFJJVg==",
        "encryptedDefaultSelfEncryptionKey": "U0VMRg==",
    }
    return owner.ask("enroll:approve:" + json.dumps(params))


def one(client: LineClient, verb: str, id_: str) -> str:
    """Say something about one enrolment, and return the answer."""
    return client.ask(f'{verb}:{{"enrollmentId":"{id_}"}}')


class Enrolment:
    """An approved enrolment with its owner."""

    def __init__(self, connect: Connect, namespaces: Optional[dict[str, str]] = None) -> None:
        self._connect = connect
        self.owner = connect().log_in()
        answer = request(connect(), self.otp(), namespaces)
        self.id = str(json.loads(answer[len("data:") :])["enrollmentId"])
        approve(self.owner, self.id)

    def otp(self) -> str:
        """Return a passcode."""
        return self.owner.ask("otp:get")[len("data:") :]

    def device(self) -> LineClient:
        """Return a connection of the enrolled device."""
        return self._connect().log_in(DEVICE(), self.id)


def test_a_device_may_touch_its_name_space(atserver: DevServer, connect: Connect) -> None:
    """All kinds of keys in it, and those that make sharing work."""
    device = Enrolment(connect).device()
    for key in (
        "x.atxfer@alice",
        "public:_0.x.atxfer@alice",
        "@bob:x.files.atxfer@alice",
        "shared_key.bob@alice",
        "@bob:shared_key@alice",
    ):
        assert device.ask(f"update:{key} v").startswith("data:")
        assert device.ask(f"llookup:{key}") == "data:v"
        assert device.ask(f"delete:{key}").startswith("data:")


@pytest.mark.parametrize(
    "line",
    [
        "update:x.other@alice v",
        "update:noname@alice v",
        "update:meta:x.other@alice:ttl:1",
        "llookup:x.other@alice",
        "delete:x.other@alice",
        "lookup:x.other@bob",
        "notify:update:@bob:x.other@alice:v",
        "update:x.myatxfer@alice v",
    ],
)
def test_and_no_other(atserver: DevServer, connect: Connect, line: str) -> None:
    """A name that only ends alike is another name space."""
    assert Enrolment(connect).device().ask(line).startswith("error:AT0009-")


def test_metadata_alone_is_the_owner_s(atserver: DevServer, connect: Connect) -> None:
    """A real server lets no device change it, not even in its own name space."""
    enrolment = Enrolment(connect)
    device = enrolment.device()
    device.ask("update:x.atxfer@alice v")
    answer = device.ask("update:meta:x.atxfer@alice:ttl:1000")
    assert answer.startswith("error:AT0009-")
    assert answer.endswith(f"{enrolment.id} is not authorized to update key: x.atxfer@alice")
    assert enrolment.owner.ask("update:meta:x.atxfer@alice:ttl:1000").startswith("data:")


def test_public_records_are_for_all(atserver: DevServer, connect: Connect) -> None:
    """What anybody may read, a device may."""
    enrolment = Enrolment(connect)
    enrolment.owner.ask("update:public:x.other@alice v")
    device = enrolment.device()
    assert device.ask("llookup:public:x.other@alice") == "data:v"
    assert device.ask("plookup:publickey@bob").startswith("data:")


def test_read_access_does_not_write(atserver: DevServer, connect: Connect) -> None:
    """r, not rw."""
    enrolment = Enrolment(connect, {"atxfer": "r"})
    enrolment.owner.ask("update:x.atxfer@alice v")
    device = enrolment.device()
    assert device.ask("llookup:x.atxfer@alice") == "data:v"
    assert device.ask("update:x.atxfer@alice v").startswith("error:AT0009-")


def test_a_wildcard_reaches_everything(atserver: DevServer, connect: Connect) -> None:
    """But not what it may not write to."""
    device = Enrolment(connect, {"*": "rw"}).device()
    assert device.ask("update:x.other@alice v").startswith("data:")
    assert "public:publickey@alice" in device.ask("scan")


def test_a_scan_lists_what_it_may_touch(atserver: DevServer, connect: Connect) -> None:
    """And what is public."""
    enrolment = Enrolment(connect)
    for key in ("a.atxfer@alice", "b.other@alice", "c@alice", "public:d.other@alice"):
        enrolment.owner.ask(f"update:{key} v")
    keys = json.loads(enrolment.device().ask("scan [abcd][.@]")[len("data:") :])
    assert "a.atxfer@alice" in keys
    assert "public:d.other@alice" in keys
    assert not {"b.other@alice", "c@alice"} & set(keys)


def test_a_passcode_is_good_once(atserver: DevServer, connect: Connect) -> None:
    """The second request with it is refused, late."""
    otp = Enrolment(connect).otp()
    device = connect()
    assert '"pending"' in request(device, otp)
    refused(atserver, device, otp)


def refused(world: DevServer, client: LineClient, otp: str) -> None:
    """Expect that a passcode is refused."""
    client.write("enroll:request:" + json.dumps(_params(otp)) + "\n")
    world.until_asleep()
    world.advance(1.0)
    expected = "error:AT0011-Exception: invalid otp. Cannot process enroll request"
    assert client.answer() == expected


def _params(otp: str) -> dict[str, Any]:
    return {"appName": "a", "deviceName": "d", "otp": otp, "apkamPublicKey": "AAAA"}


def test_a_passcode_expires(atserver: DevServer, connect: Connect) -> None:
    """After five minutes, or when it was said."""
    enrolment = Enrolment(connect)
    default, short = enrolment.otp(), enrolment.owner.ask("otp:get:ttl:1000")[len("data:") :]
    atserver.advance(2.0)
    refused(atserver, connect(), short)
    atserver.advance(300.0)
    refused(atserver, connect(), default)


def test_a_standing_passcode_is_good_for_many(atserver: DevServer, connect: Connect) -> None:
    """Set by the owner."""
    owner = connect().log_in()
    assert owner.ask("otp:put:ABC123") == "data:ok"
    device = connect()
    for _ in range(2):
        assert '"pending"' in request(device, "abc123")


def test_a_connection_asks_five_times(atserver: DevServer, connect: Connect) -> None:
    """The sixth is throttled."""
    connect().log_in().ask("otp:put:ABC123")
    device = connect()
    answers = [request(device, "ABC123") for _ in range(6)]
    assert all('"pending"' in answer for answer in answers[:5])
    assert answers[5].startswith("error:AT0028-")


def test_a_request_nobody_answers_expires(atserver: DevServer, connect: Connect) -> None:
    """After two days there is nothing to approve."""
    owner = connect().log_in()
    answer = request(connect(), owner.ask("otp:get")[len("data:") :])
    id_ = json.loads(answer[len("data:") :])["enrollmentId"]
    atserver.advance(48 * 3600)
    assert approve(owner, id_) == f"error:AT0028:enrollment_id: {id_} is expired or invalid"


def test_only_what_fits_the_state(atserver: DevServer, connect: Connect) -> None:
    """An approved one can't be approved again, a denied one not be revoked."""
    enrolment = Enrolment(connect)
    owner = enrolment.owner
    assert "Only pending enrollments can be approved" in approve(owner, enrolment.id)
    answer = request(connect(), enrolment.otp())
    other = json.loads(answer[len("data:") :])["enrollmentId"]
    assert '"denied"' in one(owner, "enroll:deny", other)
    assert "Only approved enrollments can be revoked" in one(owner, "enroll:revoke", other)
    denied = connect()
    denied.ask("from:@alice")
    assert denied.ask(f"pkam:enrollmentId:{other}:AAAA") == (
        f"error:AT0025:enrollment_id: {other} is denied"
    )


def test_even_an_approved_one_can_be_denied(atserver: DevServer, connect: Connect) -> None:
    """As 3.0.52 lets it; the device can't log in any more."""
    enrolment = Enrolment(connect)
    assert '"denied"' in one(enrolment.owner, "enroll:deny", enrolment.id)
    denied = connect()
    denied.ask("from:@alice")
    assert denied.ask(f"pkam:enrollmentId:{enrolment.id}:AAAA").startswith("error:AT0025:")


def test_a_device_has_one_enrolment(atserver: DevServer, connect: Connect) -> None:
    """A second request is refused while the first is pending or approved; its passcode is gone."""
    enrolment = Enrolment(connect)
    first = request(connect(), enrolment.otp(), device="laptop")
    id_ = json.loads(first[len("data:") :])["enrollmentId"]
    otp = enrolment.otp()
    assert request(connect(), otp, device="laptop") == (
        f"error:AT0011-Exception: Another enrollment with id {id_} exists with the app name: atxfer"
        " and device name: laptop in pending state"
    )
    refused(atserver, connect(), otp)
    one(enrolment.owner, "enroll:deny", id_)
    assert '"pending"' in request(connect(), enrolment.otp(), device="laptop")


def test_a_device_whose_name_is_no_key_gets_nothing(atserver: DevServer, connect: Connect) -> None:
    """It is approved, can log in, and no keys wait for it."""
    enrolment = Enrolment(connect)
    answer = request(connect(), enrolment.otp(), device="my laptop")
    id_ = json.loads(answer[len("data:") :])["enrollmentId"]
    assert approve(enrolment.owner, id_) == (
        "error:AT0016-Invalid key : Key public:atxfer.my laptop.pkam.__pkams.__public_keys@alice"
        " is invalid"
    )
    device = connect().log_in(DEVICE(), id_)
    name = f"{id_}.default_self_enc_key.__manage@alice"
    assert device.ask(f"keys:get:keyName:{name}").startswith("error:AT0015-")


def test_a_device_decides_on_nothing(atserver: DevServer, connect: Connect) -> None:
    """It neither approves others nor revokes itself, and lists itself alone."""
    enrolment = Enrolment(connect)
    answer = request(connect(), enrolment.otp())
    other = json.loads(answer[len("data:") :])["enrollmentId"]
    device = enrolment.device()
    assert 'does not have access to "__manage"' in approve(device, other)
    assert one(device, "enroll:revoke", enrolment.id).startswith("error:AT0031-")
    assert len(json.loads(device.ask("enroll:list")[len("data:") :])) == 1
    assert len(json.loads(enrolment.owner.ask("enroll:list")[len("data:") :])) == 2


def test_a_list_may_be_filtered(atserver: DevServer, connect: Connect) -> None:
    """By state."""
    owner = Enrolment(connect).owner
    listed = owner.ask('enroll:list:{"enrollmentStatusFilter":["pending"]}')
    assert listed == "data:{}"


def test_a_revocation_closes_connections(atserver: DevServer, connect: Connect) -> None:
    """Those of the enrolment, and no others."""
    enrolment = Enrolment(connect)
    device = enrolment.device()
    assert '"revoked"' in one(enrolment.owner, "enroll:revoke", enrolment.id)
    assert device.is_closed
    assert enrolment.owner.ask("noop:0") == "data:ok"


def test_keys_wait_for_the_device(atserver: DevServer, connect: Connect) -> None:
    """Not for others."""
    enrolment = Enrolment(connect)
    name = f"{enrolment.id}.default_self_enc_key.__manage@alice"
    device = enrolment.device()
    assert device.ask(f"keys:get:keyName:{name}") == 'data:{"value":"U0VMRg=="}'
    assert device.ask("keys:get:keyName:none@alice").startswith("error:AT0015-")
    assert enrolment.owner.ask(f"keys:get:keyName:{name}").startswith("error:AT0011-")
