"""Verbs of APKAM: how a further device gets keys of its own, for some name spaces (facts §9)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Optional, cast

from atxfer.atprotocol.dartjson import expect, read_json
from atxfer.atprotocol.errors import IllegalArgument, InternalException
from atxfer.atprotocol.verb import TEXT, Found, Verb, grammar

__all__ = [
    "Enroll",
    "EnrollApprove",
    "EnrollDeny",
    "EnrollList",
    "EnrollRequest",
    "EnrollRevoke",
    "KeysGet",
    "OtpGet",
    "OtpPut",
]


@dataclass(frozen=True)
class OtpGet(Verb):
    """Ask for a passcode that lets one new device request its enrolment."""

    ttl_ms: Optional[int] = None

    usage: ClassVar[str] = "otp:get or otp:validate:<otp>"
    form = grammar(r"otp:get(?::ttl:(?P<ttl>[0-9]+))?")

    def encode(self) -> str:
        """Return the line."""
        return "otp:get" if self.ttl_ms is None else f"otp:get:ttl:{self.ttl_ms}"

    @classmethod
    def build(cls, found: Found) -> OtpGet:
        """Make the verb from the parts of its line."""
        return cls(int(found["ttl"]) if found["ttl"] else None)


@dataclass(frozen=True)
class OtpPut(Verb):
    """Set a passcode that may be used more than once: six or more letters and digits."""

    passcode: str = field(repr=False)
    ttl_ms: Optional[int] = None

    usage: ClassVar[str] = OtpGet.usage
    form = grammar(r"otp:put:(?P<passcode>[a-z0-9_]{6,})(?::ttl:(?P<ttl>[0-9]+))?")

    def __post_init__(self) -> None:
        if self.form.fullmatch(self.encode()) is None:
            raise ValueError("a passcode has six or more letters and digits")

    def encode(self) -> str:
        """Return the line."""
        ttl = "" if self.ttl_ms is None else f":ttl:{self.ttl_ms}"
        return f"otp:put:{self.passcode}{ttl}"

    @classmethod
    def build(cls, found: Found) -> OtpPut:
        """Make the verb from the parts of its line."""
        return cls(found["passcode"] or "", int(found["ttl"]) if found["ttl"] else None)


def _param(wire: str, *, shown: bool = True, **default: Any) -> Any:
    """Declare a parameter that goes over the wire under this name."""
    return field(repr=shown, metadata={"wire": wire}, **default)


@dataclass(frozen=True)
class Enroll(Verb):
    """What the enrolment verbs have in common: a JSON object of parameters."""

    operation: ClassVar[str]
    needed: ClassVar[tuple[str, ...]] = ()
    """The parameters without which the server refuses, by their names on the wire."""
    usage: ClassVar[str] = (
        'enroll:request:{"appName":"wavi","deviceName":"iPhone","namespaces":{"wavi":"rw"},'
        '"otp":"<otp>":"apkamPublicKey":"<public_key>"}'
    )
    form = grammar(rf"enroll:[a-z]+(?P<force>:force)?:?(?P<params>{TEXT}+)?")

    def __post_init__(self) -> None:
        values = self._params()
        missing = [name for name in self.needed if not values[name]]
        if missing:
            raise ValueError(f"enroll:{self.operation} needs {', '.join(missing)}")

    def _params(self) -> dict[str, Any]:
        """Return the parameters by their names on the wire."""
        return {
            item.metadata["wire"]: getattr(self, item.name)
            for item in fields(self)
            if "wire" in item.metadata
        }

    def encode(self) -> str:
        """Return the line."""
        named = {name: value for name, value in self._params().items() if value is not None}
        line = f"enroll:{self.operation}"
        return f"{line}:{_compact(named)}" if named else line

    @classmethod
    def build(cls, found: Found) -> Enroll:
        """Make the verb from the parts of its line.

        Raises:
            IllegalArgument: There are no parameters.
            UnexpectedException: They are no JSON.
            InternalError: They are no object.
            InternalException: One is missing.
        """
        if found["params"] is None:
            raise IllegalArgument("Enroll parameters not provided")
        values = expect(dict, read_json(found["params"]), "Map<String, dynamic>")
        missing = [name for name in cls.needed if not values.get(name)]
        if missing:
            raise InternalException(f"{missing[0]} is mandatory for enroll:{cls.operation}")
        params = {
            item.name: values[item.metadata["wire"]]
            for item in fields(cls)
            if values.get(item.metadata.get("wire", "")) is not None
        }
        return cls(**params)


@dataclass(frozen=True)
class EnrollRequest(Enroll):
    """Ask for an enrolment, from a device that is not logged in.

    Args:
        app_name: The application.
        device_name: The device; with the application's name it must be new.
        apkam_public_key: The device's own public key, base64 of its SPKI.
        namespaces: ``r`` or ``rw`` by name space.
        otp: The owner's passcode.
        encrypted_apkam_symmetric_key: A new AES key, encrypted to the owner.
    """

    app_name: str = _param("appName")
    device_name: str = _param("deviceName")
    apkam_public_key: str = _param("apkamPublicKey")
    namespaces: Optional[Mapping[str, str]] = _param("namespaces", default=None)
    otp: Optional[str] = _param("otp", shown=False, default=None)
    encrypted_apkam_symmetric_key: Optional[str] = _param(
        "encryptedAPKAMSymmetricKey", shown=False, default=None
    )

    operation = "request"
    needed = ("appName", "deviceName", "apkamPublicKey")
    requires_login = False


@dataclass(frozen=True)
class EnrollApprove(Enroll):
    """Approve an enrolment, and hand the owner's keys over.

    Args:
        enrollment_id: Its id.
        encrypted_private_key: The owner's private encryption key, under the device's AES key.
        encrypted_self_key: The owner's self key, likewise.
        private_key_iv: The nonce of the first; servers before 3.1.0 don't keep it.
        self_key_iv: The nonce of the second, likewise.
    """

    enrollment_id: str = _param("enrollmentId")
    encrypted_private_key: str = _param("encryptedDefaultEncryptionPrivateKey", shown=False)
    encrypted_self_key: str = _param("encryptedDefaultSelfEncryptionKey", shown=False)
    private_key_iv: Optional[str] = _param("encPrivateKeyIV", default=None)
    self_key_iv: Optional[str] = _param("selfEncKeyIV", default=None)

    operation = "approve"
    needed = (
        "enrollmentId",
        "encryptedDefaultEncryptionPrivateKey",
        "encryptedDefaultSelfEncryptionKey",
    )


@dataclass(frozen=True)
class EnrollDeny(Enroll):
    """Deny an enrolment that is pending."""

    enrollment_id: str = _param("enrollmentId")

    operation = "deny"
    needed = ("enrollmentId",)


@dataclass(frozen=True)
class EnrollRevoke(Enroll):
    """Revoke an enrolment; its connections are closed.

    Args:
        enrollment_id: Its id.
        force: Revoke even the enrolment this connection is logged in with.
    """

    enrollment_id: str = _param("enrollmentId")
    force: bool = False

    operation = "revoke"
    needed = ("enrollmentId",)

    def encode(self) -> str:
        """Return the line."""
        line = super().encode()
        return line.replace("enroll:revoke:", "enroll:revoke:force:", 1) if self.force else line

    @classmethod
    def build(cls, found: Found) -> EnrollRevoke:
        """Make the verb from the parts of its line."""
        verb = super().build(found)
        return replace(cast("EnrollRevoke", verb), force=found["force"] is not None)


@dataclass(frozen=True)
class EnrollList(Enroll):
    """List enrolments, as JSON by the record they stand in.

    Args:
        statuses: Only those in one of these states, such as ``pending``.
    """

    statuses: Optional[Sequence[str]] = _param("enrollmentStatusFilter", default=None)

    operation = "list"

    @classmethod
    def build(cls, found: Found) -> EnrollList:
        """Make the verb from the parts of its line; it needs no parameters."""
        if found["params"] is None:
            return cls()
        return cast("EnrollList", super().build(found))


@dataclass(frozen=True)
class KeysGet(Verb):
    """Read a key that the server holds for an enrolment.

    Args:
        key_name: Its name, such as ``<id>.default_enc_private_key.__manage@alice``.
    """

    key_name: str

    usage: ClassVar[str] = (
        "e.g. keys:put:public:keyName:encryptionPublicKey:namespace:__global:keyType:rsa2048:"
        "<public_key>"
    )
    form = grammar(r"keys:get:(?:(?:public|private|self):?)?keyName:(?P<name>\S+)")

    def __post_init__(self) -> None:
        if self.form.fullmatch(self.encode()) is None:
            raise ValueError("the name of a key has no white space")

    def encode(self) -> str:
        """Return the line."""
        return f"keys:get:keyName:{self.key_name}"

    @classmethod
    def build(cls, found: Found) -> KeysGet:
        """Make the verb from the parts of its line."""
        return cls(found["name"] or "")


def _compact(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
