"""Verbs of APKAM."""

from __future__ import annotations

import pytest

from atxfer.atprotocol.errors import (
    AtError,
    IllegalArgument,
    InternalError,
    InternalException,
    InvalidSyntax,
    UnexpectedException,
)
from atxfer.atprotocol.verbs import (
    EnrollApprove,
    EnrollDeny,
    EnrollList,
    EnrollRequest,
    EnrollRevoke,
    KeysGet,
    Other,
    OtpGet,
    OtpPut,
    Verb,
    parse,
)

REQUEST = EnrollRequest("atxfer", "server1", "MIIB", {"atxfer": "rw"}, "7EL4D8", "nBzq")

BOTH_WAYS = [
    (OtpGet(), "otp:get"),
    (OtpGet(60000), "otp:get:ttl:60000"),
    (OtpPut("abc123"), "otp:put:abc123"),
    (OtpPut("abc123", 60000), "otp:put:abc123:ttl:60000"),
    (
        REQUEST,
        (
            'enroll:request:{"appName":"atxfer","deviceName":"server1","apkamPublicKey":"MIIB",'
            '"namespaces":{"atxfer":"rw"},"otp":"7EL4D8","encryptedAPKAMSymmetricKey":"nBzq"}'
        ),
    ),
    (
        EnrollApprove("5093", "KJuq", "K4yv"),
        (
            'enroll:approve:{"enrollmentId":"5093","encryptedDefaultEncryptionPrivateKey":"KJuq",'
            '"encryptedDefaultSelfEncryptionKey":"K4yv"}'
        ),
    ),
    (
        EnrollApprove("5093", "KJuq", "K4yv", "aXY", "aXYy"),
        (
            'enroll:approve:{"enrollmentId":"5093","encryptedDefaultEncryptionPrivateKey":"KJuq",'
            '"encryptedDefaultSelfEncryptionKey":"K4yv","encPrivateKeyIV":"aXY",'
            '"selfEncKeyIV":"aXYy"}'
        ),
    ),
    (EnrollDeny("5093"), 'enroll:deny:{"enrollmentId":"5093"}'),
    (EnrollRevoke("5093"), 'enroll:revoke:{"enrollmentId":"5093"}'),
    (EnrollRevoke("5093", force=True), 'enroll:revoke:force:{"enrollmentId":"5093"}'),
    (EnrollList(), "enroll:list"),
    (EnrollList(["pending"]), 'enroll:list:{"enrollmentStatusFilter":["pending"]}'),
    (
        KeysGet("5093.default_enc_private_key.__manage@alice"),
        "keys:get:keyName:5093.default_enc_private_key.__manage@alice",
    ),
    (Other('enroll:fetch:{"enrollmentId":"5"}'), 'enroll:fetch:{"enrollmentId":"5"}'),
]


@pytest.mark.parametrize(("verb", "line"), BOTH_WAYS, ids=[line for _, line in BOTH_WAYS])
def test_a_verb_is_its_line_and_the_line_is_the_verb(verb: Verb, line: str) -> None:
    """What one end encodes the other end reads as the same value."""
    assert verb.encode() == line
    assert parse(line) == verb


def test_passcodes_and_keys_are_in_no_repr() -> None:
    """An OTP lets a device in, and the encrypted keys are the owner's."""
    shown = repr([REQUEST, EnrollApprove("5093", "KJuq", "K4yv"), OtpPut("abc123")])
    for secret in ("7EL4D8", "nBzq", "KJuq", "K4yv", "abc123"):
        assert secret not in shown


@pytest.mark.parametrize(
    "make",
    [
        lambda: EnrollRequest("", "server1", "MIIB"),
        lambda: EnrollApprove("5093", "", "K4yv"),
        lambda: EnrollDeny(""),
        lambda: OtpPut("short"),
        lambda: KeysGet("a b"),
    ],
)
def test_what_the_server_refuses_cannot_be_made(make: object) -> None:
    """A parameter that is mandatory is not empty."""
    with pytest.raises(ValueError, match=r".+"):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("enroll:request", IllegalArgument, "Enroll parameters not provided"),
        ("enroll:deny:{}", InternalException, "enrollmentId is mandatory for enroll:deny"),
        (
            "enroll:deny:[]",
            InternalError,
            "type 'List<dynamic>' is not a subtype of type 'Map<String, dynamic>'",
        ),
        (
            "enroll:deny:{x",
            UnexpectedException,
            "FormatException: Unexpected character (at character 2)\n{x\n ^\n",
        ),
        ("enroll:request:{}", InternalException, "appName is mandatory for enroll:request"),
        ("otp:give", InvalidSyntax, "otp:get or otp:validate:<otp>"),
        ("otp:put:abc", InvalidSyntax, "otp:get or otp:validate:<otp>"),
        ("keys:get", InvalidSyntax, "e.g. keys:put:public:keyName"),
    ],
)
def test_a_server_refuses_as_the_original_does(line: str, kind: type[AtError], words: str) -> None:
    """Enrolment errors have no code of their own: AT0011 (enroll_verb_handler.dart)."""
    with pytest.raises(kind) as caught:
        parse(line)
    assert words in caught.value.message
