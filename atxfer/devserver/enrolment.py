"""APKAM: keys for some name spaces only, and what they may touch (facts §9).

An enrolment lies among the records, under ``<id>.new.enrollments.__manage``, as on the real server.
"""

from __future__ import annotations

import json
import random
import re
import string
import uuid
from collections.abc import Mapping
from typing import Any, Optional

from atxfer.atprotocol import errors
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import EnrollRequest
from atxfer.devserver.keystore import KeyStore

MANAGE = "__manage"
EVERYTHING = "*"

_PENDING_MS = 48 * 3600 * 1000  # a request nobody answers expires [s]
_OTP_MS = 5 * 60 * 1000
_OTP_LETTERS = (string.ascii_uppercase + string.digits).replace("O", "").replace("0", "")

_READS = ("llookup", "lookup", "monitor")

# Keys that every login may touch: they make sharing work (at_commons, at_key_regex_utils.dart).
_RESERVED = re.compile(
    r"(?:@[^:@]+:shared_key|shared_key\.[^@.]+|public:publickey|public:signing_publickey"
    r"|@[^:@]+:signing_privatekey|private:blocklist)@[^:@]+|privatekey:.*|_latestnotificationid.*"
)

_STATES = {"approve": "approved", "deny": "denied", "revoke": "revoked"}
# What is not named can be denied in any state, and then is (measured; 3.9.3 asks for pending).
_NEEDED = {"approve": "pending", "revoke": "approved"}
_REFUSALS: Mapping[str, type[errors.AtError]] = {
    "denied": errors.EnrollmentDenied,
    "pending": errors.EnrollmentPending,
    "revoked": errors.EnrollmentRevoked,
}


class Enrolments:
    """The enrolments of one atSign.

    Args:
        keys: Its records, where enrolments lie too.
        rng: Makes the passcodes.
    """

    def __init__(self, keys: KeyStore, rng: random.Random) -> None:
        self._keys = keys
        self._rng = rng

    # --- the records

    def _key(self, id_: str) -> str:
        return f"{id_}.new.enrollments.{MANAGE}{self._keys.atsign}"

    def _find(self, id_: str) -> Optional[dict[str, Any]]:
        record = self._keys.find(self._key(id_))
        if record is None or not self._keys.is_active(record):
            return None
        found: dict[str, Any] = json.loads(record.value or "{}")
        return found

    def _get(self, id_: str) -> dict[str, Any]:
        enrolment = self._find(id_)
        if enrolment is None:
            raise _expired(id_)
        return enrolment

    def _put(self, id_: str, enrolment: dict[str, Any]) -> None:
        ttl = _PENDING_MS if enrolment["status"] == "pending" else 0
        self._keys.put_silently(self._key(id_), json.dumps(enrolment), Metadata(ttl_ms=ttl))

    # --- passcodes

    def new_passcode(self, ttl_ms: Optional[int]) -> str:
        """Return a passcode that is good for one request."""
        passcode = ""
        while not any(letter.isdigit() for letter in passcode):
            passcode = "".join(self._rng.choice(_OTP_LETTERS) for _ in range(6))
        self._keys.put_own(self._otp(passcode), passcode, Metadata(ttl_ms=ttl_ms or _OTP_MS))
        return passcode

    def set_passcode(self, passcode: str, ttl_ms: Optional[int]) -> None:
        """Set the one passcode that is good for any number of requests."""
        self._keys.put_own(self._otp("spp"), passcode, Metadata(ttl_ms=ttl_ms or 0))

    def _otp(self, name: str) -> str:
        return f"private:{name.lower()}.__otp{self._keys.atsign}"

    def accepts(self, passcode: str) -> bool:
        """Return whether a passcode is good, and use it up."""
        standing = self._keys.find(self._otp("spp"))
        good = standing is not None and self._keys.is_active(standing)
        if standing is not None and good and (standing.value or "").lower() == passcode.lower():
            return True
        record = self._keys.find(self._otp(passcode))
        if record is None:
            return False
        self._keys.remove(self._otp(passcode))
        return self._keys.is_active(record)

    # --- their life

    def request(self, verb: EnrollRequest, *, approved: bool) -> dict[str, str]:
        """Enter an enrolment: pending, or approved at once on an activation's connection.

        Raises:
            InternalException: The device has one.
        """
        self._check_new(verb)
        id_ = str(uuid.uuid4())
        namespaces = dict(verb.namespaces or {})
        if approved:
            namespaces.update({MANAGE: "rw", EVERYTHING: "rw"})
        status = "approved" if approved else "pending"
        enrolment = {
            "appName": verb.app_name,
            "deviceName": verb.device_name,
            "namespace": namespaces,
            "encryptedAPKAMSymmetricKey": verb.encrypted_apkam_symmetric_key,
            "status": status,
            "apkamPublicKey": verb.apkam_public_key,
        }
        self._put(id_, enrolment)
        return {"enrollmentId": id_, "status": status}

    def _check_new(self, verb: EnrollRequest) -> None:
        for key, enrolment in self.listed(None).items():
            named = (enrolment["appName"], enrolment["deviceName"])
            state = enrolment["status"]
            if named == (verb.app_name, verb.device_name) and state in ("pending", "approved"):
                raise errors.InternalException(
                    f"Another enrollment with id {key.partition('.')[0]} exists with the app name:"
                    f" {verb.app_name} and device name: {verb.device_name} in {state} state"
                )

    def decide(self, operation: str, id_: str, handed: Optional[tuple[str, str]]) -> dict[str, str]:
        """Approve, deny or revoke an enrolment.

        Args:
            operation: Which.
            id_: Its id.
            handed: The owner's private and self key, encrypted for the device, with an approval.

        Raises:
            EnrollmentExpired: There is none.
            InternalException: It is in no state for this.
            InvalidKey: The device's name can't be in a key. It is approved nevertheless, without
                keys to come for (measured).
        """
        enrolment = self._get(id_)
        status = enrolment["status"]
        if status != _NEEDED.get(operation, status):
            raise errors.InternalException(
                f"Failed to {operation} enrollment id: {id_}. Cannot {operation} a {status}"
                f" enrollment. Only {_NEEDED[operation]} enrollments can be {_STATES[operation]}"
            )
        enrolment["status"] = _STATES[operation]
        self._put(id_, enrolment)
        if handed is not None:
            self._hand_over(id_, enrolment, handed)
        return {"status": enrolment["status"], "enrollmentId": id_}

    def _hand_over(self, id_: str, enrolment: dict[str, Any], handed: tuple[str, str]) -> None:
        """Lay ready what an approved device comes for."""
        owner = self._keys.atsign
        name = f"{enrolment['appName']}.{enrolment['deviceName']}.pkam.__pkams.__public_keys"
        public_key = json.dumps({"apkamPublicKey": enrolment["apkamPublicKey"]})
        key = f"public:{name}{owner}"
        try:
            AtKey.parse(key)
        except ValueError as error:
            raise errors.InvalidKey(f"Key {key} is invalid") from error
        self._keys.put_silently(key, public_key)
        for name, value in zip(("default_enc_private_key", "default_self_enc_key"), handed):
            text = json.dumps({"value": value}, separators=(",", ":"))
            self._keys.put_silently(f"{id_}.{name}.{MANAGE}{owner}", text)

    def listed(self, by: Optional[str]) -> dict[str, dict[str, Any]]:
        """Return enrolments by their keys: all, or to an enrolled device its own alone."""
        if by is not None and MANAGE not in self._get(by)["namespace"]:
            ids = [by]
        else:
            keys = self._keys.active_keys(r"\.new\.enrollments\.__manage@")
            ids = [key.partition(".")[0] for key in keys]
        shown = ((id_, self._find(id_)) for id_ in ids)
        return {
            self._key(id_): {name: v for name, v in found.items() if name != "apkamPublicKey"}
            for id_, found in shown
            if found is not None
        }

    def public_key(self, id_: str) -> str:
        """Return the key that checks logins of an enrolment.

        Raises:
            AtError: It is not approved.
        """
        enrolment = self._get(id_)
        status = enrolment["status"]
        if status in _REFUSALS:
            raise _REFUSALS[status](f"enrollment_id: {id_} is {status}")
        return str(enrolment["apkamPublicKey"])

    # --- what they may touch

    def authorise(self, by: Optional[str], operation: str, key: AtKey) -> None:
        """Let pass what an enrolment may do.

        Args:
            by: Its id; None is the owner, who may do all.
            operation: What it would do.
            key: To which record.

        Raises:
            Unauthorized: It may not.
        """
        if by is not None:
            self.authorise_text(by, operation, str(key))

    def authorise_text(self, by: Optional[str], operation: str, key: str) -> None:
        """The same for a key that need not be a whole one."""
        if by is None or _RESERVED.fullmatch(key):
            return
        if not self._reaches(by, operation, key):
            verb = operation.partition(":")[0]
            raise errors.Unauthorized(
                f"Connection with enrollment ID {by} is not authorized to {verb} key: {key}"
            )

    def _reaches(self, id_: str, operation: str, key: str) -> bool:
        enrolment = self._find(id_)
        if enrolment is None or enrolment["status"] != "approved":
            return False
        name = key.rpartition("@")[0]
        namespaces: Mapping[str, str] = enrolment["namespace"]
        for namespace, access in namespaces.items():
            if namespace != MANAGE and f".{name}".endswith(f".{namespace}"):
                return _allows(operation, access)
        return EVERYTHING in namespaces and _allows(operation, namespaces[EVERYTHING])

    def check_manages(
        self, by: Optional[str], operation: str, id_: str, *, forced: bool = False
    ) -> None:
        """Let pass whoever may decide on enrolments.

        Args:
            by: The id of the enrolment that would; None is the owner.
            operation: What.
            id_: On which.
            forced: Whether it may revoke itself.

        Raises:
            InternalException: It may not.
            CannotRevokeSelf: It would revoke itself.
        """
        if by is None:
            return
        if by == id_ and operation == "revoke" and not forced:
            raise errors.CannotRevokeSelf("Current client cannot revoke its own enrollment")
        if MANAGE not in self._get(by)["namespace"]:
            raise errors.InternalException(
                f"Failed to {operation} enrollment id: {id_}. The approving enrollment does not"
                ' have access to "__manage" namespace'
            )

    def visible(self, by: Optional[str], keys: list[str]) -> list[str]:
        """Return the keys that a scan by this enrolment lists."""
        if by is None:
            return keys
        namespaces = self._get(by)["namespace"]
        if EVERYTHING in namespaces:
            return keys
        return [key for key in keys if key.startswith("public:") or _inside(key, namespaces)]


def _inside(key: str, namespaces: Mapping[str, str]) -> bool:
    name, dot, namespace = key.rpartition("@")[0].rpartition(".")
    return bool(name and dot) and namespace != MANAGE and namespace in namespaces


def _allows(operation: str, access: str) -> bool:
    if operation == "update:meta":
        return False  # to no enrolment, and in no name space (measured on 3.0.52)
    return access == "rw" or (access == "r" and operation in _READS)


def _expired(id_: str) -> errors.AtError:
    error = errors.EnrollmentExpired(f"enrollment_id: {id_} is expired or invalid")
    error.code = "AT0028"  # what 3.0.52 says; AT0029 came later [s]
    return error
