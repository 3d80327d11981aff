"""Who is there: ``from``, ``cram`` and ``pkam`` (facts §4)."""

from __future__ import annotations

import hmac
import re
import uuid

from atxfer._crypto import primitives
from atxfer.atprotocol import errors
from atxfer.atprotocol.verbs import Cram, From, Pkam
from atxfer.devserver.call import Call

PKAM_KEY = "privatekey:at_pkam_publickey"
CRAM_SECRET = "privatekey:at_secret"  # noqa: S105  # the name of a key

# Clients above this version get their errors as JSON.
_JSON_ERRORS_AFTER = (3, 0, 37)


def say_from(call: Call, verb: From) -> str:
    """Give a challenge; another atSign's server gets one to prove itself by."""
    server, session = call.server, call.session
    if verb.atsign in server.blocked:
        raise errors.Blocked("Unable to connect")
    call.login = "from"
    session.json_errors = _wants_json(verb.client_version)
    challenge = f"{session.id}{verb.atsign}:{uuid.uuid4()}"
    if verb.atsign != server.atsign:
        server.world.find(verb.atsign)
        return f"proof:{challenge}"
    session.challenge = challenge
    return challenge


def _wants_json(version: object) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", str(version or ""))
    return numbers is not None and tuple(map(int, numbers.groups())) > _JSON_ERRORS_AFTER


def pkam(call: Call, verb: Pkam) -> str:
    """Check a signature of the challenge. A wrong one leaves the challenge usable (transcript)."""
    server, session = call.server, call.session
    call.login = "pkam"
    if verb.enrollment_id is not None:
        public_key = server.enrolments.public_key(verb.enrollment_id)
    else:
        public_key = server.keys.get(PKAM_KEY).value or ""
    if not _signed(public_key, verb, _challenge(call)):
        raise errors.Unauthenticated("pkam authentication failed")
    session.enrollment_id = verb.enrollment_id
    session.log_in()
    return "success"


def _challenge(call: Call) -> str:
    session = call.session
    if session.challenge is None:
        raise errors.KeyNotFound(
            f"private:{session.id}{call.server.atsign} does not exist in keystore"
        )
    return session.challenge


def _signed(public_key: str, verb: Pkam, challenge: str) -> bool:
    try:
        signature = primitives.base64_decode(verb.signature)
    except primitives.CryptoError as error:
        raise errors.UnexpectedException("FormatException: Invalid encoding") from error
    if (verb.signing_algo or "rsa2048").lower() != "rsa2048":
        return False
    sha512 = (verb.hashing_algo or "").lower() == "sha512"
    verify = primitives.rsa_verify_sha512 if sha512 else primitives.rsa_verify_sha256
    try:
        key = primitives.load_rsa_public_key(primitives.base64_decode(public_key))
    except primitives.CryptoError:
        return False
    return verify(key, signature, challenge.encode())


def cram(call: Call, verb: Cram) -> str:
    """Check the digest of secret and challenge: the login before there are keys."""
    call.login = "cram"
    secret = call.server.keys.get(CRAM_SECRET).value or ""
    expected = primitives.cram_digest(secret, _challenge(call))
    if not hmac.compare_digest(expected.encode(), verb.digest.encode()):
        raise errors.Unauthenticated("Authentication Failed")
    call.session.log_in()
    return "success"
