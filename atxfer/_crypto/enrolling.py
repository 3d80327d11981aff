"""How a further device gets keys: half-made ones, and what the owner hands over (facts §9).

The device makes a PKAM pair and an AES key of its own, and sends the AES key encrypted to the owner
with its request. Under it, an owner who approves hands over the private encryption key and the self
key.

Older servers keep no nonce for what is handed over, so that both texts are sealed with an IV of
zeros and thus one keystream; the first text being known in part, such a server can work out the
second. From 3.1.0 on they keep nonces (at_server, CHANGELOG), and each text gets its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, NoReturn, Optional

from atxfer._crypto.atkeys import AtKeys, public_text
from atxfer._crypto.keyfile import ZERO_IV, Document, write_document
from atxfer._crypto.primitives import (
    AES_KEY_BYTES,
    CryptoError,
    RSAPrivateKey,
    aes_256_ctr_pkcs7_seal,
    base64_decode,
    base64_encode,
    generate_rsa_private_key,
    load_rsa_private_key,
    load_rsa_public_key,
    random_bytes,
    rsa_private_der,
    rsa_sign_sha256,
)
from atxfer._crypto.sharing import open_text, seal_text, unwrap_key, wrap_key
from atxfer.errors import IntegrityError

__all__ = ["DeviceKeys", "Sealed", "hand_over"]


class Sealed(NamedTuple):
    """A text that is handed over: base64, and the base64 of its nonce where it has one."""

    value: str
    iv: Optional[str] = None


@dataclass(frozen=True, eq=False)
class DeviceKeys:
    """The keys of a device whose enrolment is not approved yet; they log in once it is.

    What is secret is in no repr, and can't be pickled.

    Attributes:
        atsign: Whose enrolment, as ``@alice``.
        app: The application it was requested for.
        device: The device.
        namespaces: ``r`` or ``rw`` by name space.
        pkam_private: Answers the challenge of a login.
        symmetric_key: AES-256 key under which the owner hands over the others.
        enrollment_id: What the server calls the enrolment; None before it has answered.

    Threads: may be shared.
    """

    atsign: str
    app: str
    device: str
    namespaces: Mapping[str, str]
    pkam_private: RSAPrivateKey = field(repr=False)
    symmetric_key: bytes = field(repr=False)
    enrollment_id: Optional[str] = None

    @classmethod
    def generate(
        cls, atsign: str, app: str, device: str, namespaces: Mapping[str, str]
    ) -> DeviceKeys:
        """Return new keys; takes about a quarter of a second."""
        private = generate_rsa_private_key()
        return cls(atsign, app, device, dict(namespaces), private, random_bytes(AES_KEY_BYTES))

    @classmethod
    def read(cls, path: Path) -> DeviceKeys:
        """Return the keys of a file that :meth:`write` wrote.

        Raises:
            KeysError: There is none, or it can't be used.
        """
        document = Document.read(path)
        known = document.has("enrollmentId")
        return cls(
            document.text("atsign"),
            document.text("appName"),
            document.text("deviceName"),
            document.texts("namespaces"),
            document.open_private_key("apkamPrivateKey"),
            document.key("apkamSymmetricKey"),
            document.text("enrollmentId") if known else None,
        )

    def write(self, path: Path, *, replace: bool = False) -> None:
        """Write the file, as :func:`write_document` does."""
        members = {
            "atsign": self.atsign,
            "appName": self.app,
            "deviceName": self.device,
            "namespaces": dict(self.namespaces),
            "apkamPrivateKey": base64_encode(rsa_private_der(self.pkam_private)),
            "apkamSymmetricKey": base64_encode(self.symmetric_key),
            "enrollmentId": self.enrollment_id,
        }
        write_document(path, members, replace=replace)

    def enrolled(self, enrollment_id: str) -> DeviceKeys:
        """Return the keys with what the server calls their enrolment."""
        return replace(self, enrollment_id=enrollment_id)

    @property
    def pkam_public(self) -> str:
        """Base64 of DER, as the server keeps it to check logins."""
        return public_text(self.pkam_private)

    def sign(self, challenge: str) -> str:
        """Return the answer to a login's challenge."""
        return base64_encode(rsa_sign_sha256(self.pkam_private, challenge.encode("utf-8")))

    def wrapped(self, owner_public: str) -> str:
        """Return the AES key, encrypted to the owner.

        Args:
            owner_public: The owner's public encryption key, base64 of DER.

        Raises:
            IntegrityError: This is no such key.
        """
        try:
            key = load_rsa_public_key(base64_decode(owner_public))
        except CryptoError as error:
            raise IntegrityError(
                f"the public key of {self.atsign} is none",
                remedy="Ask the owner to set the atSign's public key right.",
            ) from error
        return wrap_key(self.symmetric_key, key)

    def completed(self, private_key: Sealed, self_key: Sealed, owner_public: str) -> AtKeys:
        """Return the whole keys, from what the owner has handed over.

        Args:
            private_key: The owner's private encryption key.
            self_key: The owner's self key.
            owner_public: The public encryption key, as the server shows it to everybody.

        Raises:
            IntegrityError: It was handed over for other keys, or is not what it should be.
        """
        try:
            private = load_rsa_private_key(self._opened(private_key))
            key = self._opened(self_key)
        except (CryptoError, IntegrityError) as error:
            raise _not_ours("what was handed over doesn't open with the keys of this device") from (
                error
            )
        if public_text(private) != owner_public or len(key) != AES_KEY_BYTES:
            raise _not_ours(f"what was handed over is not the keys of {self.atsign}")
        return AtKeys(
            atsign=self.atsign,
            enrollment_id=self.enrollment_id,
            pkam_public=self.pkam_public,
            encryption_public=owner_public,
            self_key=key,
            pkam_private=self.pkam_private,
            encryption_private=private,
            apkam_symmetric_key=self.symmetric_key,
        )

    def _opened(self, sealed: Sealed) -> bytes:
        return base64_decode(open_text(self.symmetric_key, sealed.value, sealed.iv))

    def __reduce__(self) -> NoReturn:
        raise TypeError("DeviceKeys are secret and can't be pickled or copied")


def _not_ours(message: str) -> IntegrityError:
    return IntegrityError(
        message, remedy="Have the owner revoke the enrolment, and request another."
    )


def hand_over(owner: AtKeys, wrapped: str, *, with_ivs: bool) -> tuple[Sealed, Sealed]:
    """Return an owner's private encryption key and self key, sealed for a device.

    Args:
        owner: The owner's keys.
        wrapped: The device's AES key, as its request has it.
        with_ivs: Whether the server keeps nonces.

    Raises:
        IntegrityError: The AES key was not encrypted to this owner.
    """
    try:
        key = unwrap_key(wrapped, owner.encryption_private)
    except IntegrityError as error:
        raise IntegrityError(
            "the key in the request was not encrypted to these keys",
            remedy="Deny it, and have the device request again.",
        ) from error
    private = base64_encode(rsa_private_der(owner.encryption_private))
    return _sealed(key, private, with_ivs), _sealed(key, base64_encode(owner.self_key), with_ivs)


def _sealed(key: bytes, text: str, with_iv: bool) -> Sealed:
    if with_iv:
        return Sealed(*seal_text(key, text))
    return Sealed(base64_encode(aes_256_ctr_pkcs7_seal(key, ZERO_IV, text.encode("ascii"))))
