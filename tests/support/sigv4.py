"""Requests to S3 signed by botocore, also for another time or another body than they have."""

from __future__ import annotations

import datetime as dt
from typing import Optional

import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.servers.s3 import S3Server

UNSIGNED = "UNSIGNED-PAYLOAD"
TIMEOUT = 30.0


class _Auth(S3SigV4Auth):
    """Signs for another time of day, and any digest of the body."""

    def __init__(self, server: S3Server, secret: str, late: float, payload: str) -> None:
        super().__init__(Credentials(server.access_key, secret), "s3", server.region)
        self._late = late
        self._payload = payload

    def payload(self, request: AWSRequest) -> str:
        """Return what stands for the digest of the body."""
        return self._payload

    def add_auth(self, request: AWSRequest) -> None:
        """Sign; as botocore does, but for the time."""
        now = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=self._late)
        request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))


def signed(
    server: S3Server,
    method: str,
    url: str,
    data: bytes = b"",
    *,
    headers: Optional[dict[str, str]] = None,
    payload: str = UNSIGNED,
    late: float = 0.0,
    secret: Optional[str] = None,
) -> requests.Response:
    """Send a signed request.

    Args:
        server: Whose credentials to use.
        method: The method.
        url: Where to, which may be a proxy.
        data: The body.
        headers: Headers, signed as well.
        payload: What to sign for the digest of the body.
        late: Seconds by which our clock is in front of the time.
        secret: Another secret key than the right one.
    """
    request = AWSRequest(method, url, data=data, headers=headers or {})
    request.headers["X-Amz-Content-SHA256"] = payload
    _Auth(server, secret or server.secret_key, late, payload).add_auth(request)
    return requests.request(method, url, data=data, headers=dict(request.headers), timeout=TIMEOUT)
