"""Who we are to S3, and the signatures that prove it: the only module that names botocore.

Credentials are looked for where boto3 looks: in the environment, in ``~/.aws``, with single
sign-on, a process, a container's or an instance's service. Rules of this file:

1. A look-up may ask the network and can't be interrupted, so it is made on a thread that its caller
   can leave.
2. The time in a signature is an argument: botocore would take that of this machine, whose clock may
   be wrong (R30).
3. botocore's own ``add_auth`` writes what it signs to its log, session tokens included, so the same
   steps are taken here without it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from atxfer.errors import AccessDenied
from atxfer.waiting import Wait

__all__ = ["Account", "Settings", "presigned", "signed"]

_SERVICE = "s3"
_TIMESTAMP = "%Y%m%dT%H%M%SZ"

_REMEDY = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws configure` or `aws sso login`, or"
    " name a profile with AWS_PROFILE."
)


@dataclass(frozen=True)
class Settings:
    """What boto3's configuration says, besides credentials.

    Attributes:
        region: Or None.
        endpoint_url: Of ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL`` or the profile, or None.
        style: How buckets are addressed: ``auto``, ``path`` or ``virtual``.
        fips: Whether to use FIPS endpoints.
        dualstack: Whether to use endpoints with IPv6.
        checksums: Whether to send checksums that a server may do without.
    """

    region: Optional[str] = None
    endpoint_url: Optional[str] = None
    style: str = "auto"
    fips: bool = False
    dualstack: bool = False
    checksums: bool = True


class Account:
    """One profile of boto3's configuration.

    Args:
        profile: Its name; None for that of ``AWS_PROFILE``, or the default one.

    Raises:
        AccessDenied: There is no such profile, or the configuration can't be read.

    Threads: all methods may be called from several.
    """

    def __init__(self, profile: Optional[str] = None) -> None:
        with _translated():
            self._session = Session(profile=profile)
            self.settings = _settings(self._session)
        self._credentials: Any = None
        self._look_up: Optional[_LookUp] = None
        self._lock = threading.Lock()  # guards _credentials and _look_up

    def signed(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        payload_hash: str,
        region: str,
        now: float,
        wait: Wait,
    ) -> dict[str, str]:
        """Return the headers of a request with its signature; see :func:`signed`.

        Raises:
            AccessDenied: There are no credentials, or they can't be renewed.
            Cancelled, DeadlineExceeded: As :meth:`Wait.check` does.
        """
        return signed(
            method,
            url,
            headers,
            payload_hash=payload_hash,
            credentials=self._usable(wait),
            region=region,
            now=now,
        )

    def presigned(
        self, url: str, *, region: str, now: float, seconds: int, wait: Wait
    ) -> tuple[str, float]:
        """Return an URL by which anybody can read an object, and the epoch second it ends at.

        Args:
            url: Of the object.
            region: Where it lies.
            now: Epoch seconds, by the server's clock.
            seconds: How long it is to be good for; with temporary credentials, at most as they are.
            wait: Cancellation and deadline of what it is for.

        Raises:
            AccessDenied, Cancelled, DeadlineExceeded: As :meth:`signed` does.
        """
        credentials = self._usable(wait)
        made = presigned(url, credentials=credentials, region=region, now=now, seconds=seconds)
        with self._lock:
            until = getattr(self._credentials, "_expiry_time", None)
        return made, now + seconds if until is None else min(now + seconds, until.timestamp())

    def _usable(self, wait: Wait) -> Any:
        """Return credentials as they are good for one request."""
        with self._lock:
            known = self._credentials
        if known is not None and not _is_stale(known):
            return known.get_frozen_credentials()
        return self._looked_up(wait)

    def _looked_up(self, wait: Wait) -> Any:
        """Have one thread look, however many ask."""
        with self._lock:
            look_up = self._look_up
            is_ours = look_up is not None and look_up.process == os.getpid()
            if look_up is None or not is_ours:  # that of a parent does not go on here (R28)
                look_up = self._look_up = _LookUp(self._session, self._settle)
        if not is_ours:
            look_up.begin()
        wait.acquire(look_up.ended.wait)
        error = look_up.error
        if error is not None:  # which several threads may raise
            raise AccessDenied(error.message, remedy=error.remedy) from error
        return look_up.frozen

    def _settle(self, look_up: _LookUp) -> None:
        """Keep what was found; called by the look-up, whether anybody still waits for it or not."""
        with self._lock:
            self._look_up = None
            if look_up.found is not None:
                self._credentials = look_up.found

    def __repr__(self) -> str:
        return "<Account>"


class _LookUp(threading.Thread):
    """A search for credentials, or their renewal. A daemon: no exit waits for it."""

    def __init__(self, session: Session, settle: Callable[[_LookUp], None]) -> None:
        super().__init__(name="atxfer-credentials", daemon=True)
        self._session = session
        self._settle = settle
        self.process = os.getpid()
        self.found: Any = None
        self.frozen: Any = None
        self.error: Optional[AccessDenied] = None
        self.ended = threading.Event()

    def begin(self) -> None:
        """Start; where no thread can be had any more, at the interpreter's exit, do it here."""
        try:
            self.start()
        except RuntimeError:
            self.run()

    def run(self) -> None:
        """Look; what went wrong is the caller's to raise."""
        try:
            with _translated():
                self.found = self._session.get_credentials()
                if self.found is not None:
                    self.frozen = self.found.get_frozen_credentials()
            if self.frozen is None or not self.frozen.access_key:
                self.error = AccessDenied(_missing(self._session), remedy=_REMEDY)
        except AccessDenied as error:
            self.error = error
        finally:
            self._settle(self)
            self.ended.set()


def _missing(session: Session) -> str:
    profile = session.profile or "default"
    return (
        "there are no credentials for S3: not in the environment (AWS_ACCESS_KEY_ID), not in the"
        f" profile {profile!r} of ~/.aws/credentials and ~/.aws/config, and not from a container's"
        " or instance's service"
    )


def _is_stale(credentials: Any) -> bool:
    """Whether the next use would ask for new ones; those of files and environment never do."""
    asks = getattr(credentials, "refresh_needed", None)
    return asks is not None and bool(asks())


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn what botocore raises into ours."""
    try:
        yield
    except BotoCoreError as error:
        raise AccessDenied(f"no credentials can be had: {error}", remedy=_REMEDY) from error


def _settings(session: Session) -> Settings:
    section = session.get_scoped_config().get(_SERVICE)
    section = section if isinstance(section, dict) else {}
    checksums = session.get_config_variable("request_checksum_calculation")
    return Settings(
        region=session.get_config_variable("region"),
        endpoint_url=_endpoint(session),
        style=section.get("addressing_style", "auto"),
        fips=bool(session.get_config_variable("use_fips_endpoint")),
        dualstack=bool(session.get_config_variable("use_dualstack_endpoint")),
        checksums=checksums != "when_required",
    )


def _endpoint(session: Session) -> Optional[str]:
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    provider = ConfiguredEndpointProvider(
        full_config=session.full_config,
        scoped_config=session.get_scoped_config(),
        client_name=_SERVICE,
    )
    url: Optional[str] = provider.provide()
    return url


# --- signatures (SigV4)


class _Timed:
    """Signs for a given time, and logs nothing (rules 2 and 3)."""

    timestamp = ""

    def add_auth(self: Any, request: Any) -> None:
        """Add the signature, in the steps of ``SigV4Auth.add_auth``."""
        request.context["timestamp"] = self.timestamp
        self._modify_request_before_signing(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))


class _HeaderAuth(_Timed, S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
    payload_hash = ""

    def payload(self, request: Any) -> str:
        """Return the SHA-256 of the body, which is known already."""
        return self.payload_hash


class _QueryAuth(_Timed, S3SigV4QueryAuth):  # type: ignore[misc]  # botocore has no types
    pass


def signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    payload_hash: str,
    credentials: Any,
    region: str,
    now: float,
) -> dict[str, str]:
    """Return the headers of a request with its signature.

    Args:
        method: As ``GET``.
        url: Whole, encoded as :func:`atxfer.stores.s3.names.encoded` does.
        headers: Those that are to be signed, too.
        payload_hash: SHA-256 of the body in hex, or :data:`UNSIGNED`.
        credentials: botocore's, frozen.
        region: Where the bucket lies.
        now: Epoch seconds, by the server's clock.
    """
    request = AWSRequest(method=method, url=url, headers=dict(headers))
    auth = _HeaderAuth(credentials, _SERVICE, region)
    auth.payload_hash, auth.timestamp = payload_hash, _stamp(now)
    auth.add_auth(request)
    return dict(request.headers.items())


def presigned(url: str, *, credentials: Any, region: str, now: float, seconds: int) -> str:
    """Return an URL by which anybody can read an object, for so many seconds from ``now``."""
    request = AWSRequest(method="GET", url=url)
    auth = _QueryAuth(credentials, _SERVICE, region, expires=seconds)
    auth.timestamp = _stamp(now)
    auth.add_auth(request)
    return str(request.url)


def _stamp(now: float) -> str:
    return time.strftime(_TIMESTAMP, time.gmtime(now))
