"""Signed requests, and what is learnt from their answers."""

from __future__ import annotations

import email.utils
import os
import ssl
import time
from pathlib import Path
from typing import Optional

import pytest

from atxfer.errors import (
    ConnectionLost,
    LoginRefused,
    NotAuthorized,
    RequestRejected,
    ServerFault,
    TransferError,
)
from atxfer.model import Chunk
from atxfer.stores.base import UploadPlan
from atxfer.stores.s3 import S3Store
from atxfer.stores.s3.bucket import Bucket, _Known
from atxfer.waiting import Wait
from tests.support.s3 import ScriptedS3, error, s3_bench, s3_store, scripted, xml
from tests.support.web import Heard, answer

OBJECT = "s3://bucket/p/x"
EMPTY = xml("ListBucketResult", IsTruncated="false")


def bucket_of(store: S3Store) -> Bucket:
    """Return what asks."""
    bucket: Bucket = vars(store)["_bucket"]
    return bucket


def scope(heard: Heard) -> str:
    """Return date, region and service that a request was signed for."""
    return heard.headers["authorization"].partition("Credential=")[2].split("/", 1)[1]


# --- regions


def test_a_bucket_in_another_region_is_asked_there() -> None:
    """The first answer says where it lies; the next attempt is signed for that region."""
    moved = error("PermanentRedirect", 301, x_amz_bucket_region="eu-west-1")
    with scripted(moved, EMPTY) as (server, store):
        with pytest.raises(ServerFault, match="lies in eu-west-1, not in us-east-1") as caught:
            store.objects(Wait())
        assert caught.value.remedy == "Set AWS_DEFAULT_REGION=eu-west-1."
        assert store.objects(Wait()) == []
        assert "/us-east-1/s3/" in scope(server.heard[0])
        assert "/eu-west-1/s3/" in scope(server.heard[1])


def test_a_region_that_was_believed_once_is_not_believed_for_ever() -> None:
    """A server that sends us round is told of, not asked without end."""
    moved = error("PermanentRedirect", 301, x_amz_bucket_region="eu-west-1")
    with scripted(moved, moved) as (_, store):
        with pytest.raises(ServerFault):
            store.objects(Wait())
        with pytest.raises(RequestRejected, match="PermanentRedirect") as caught:
            store.objects(Wait())
        assert "AWS_DEFAULT_REGION" in caught.value.remedy


def test_a_region_that_is_none_is_not_believed() -> None:
    """It would become part of a host's name."""
    bad = error("PermanentRedirect", 301, x_amz_bucket_region="evil.example.org/x")
    refused = pytest.raises(RequestRejected)
    with scripted(bad) as (_, store), refused:
        store.objects(Wait())


def test_an_answer_without_a_body_can_tell_a_region() -> None:
    """As that to a HEAD."""
    moved = b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nx-amz-bucket-region: eu-west-1\r\n\r\n"
    told = pytest.raises(ServerFault, match="eu-west-1")
    with scripted(moved) as (_, store), told:
        store.stat(OBJECT, Wait())


# --- clocks (scenario 24)


class Clocked(ScriptedS3):
    """A server with a clock of its own, that takes only what was signed within 15 minutes of it.

    Args:
        ahead: Seconds that its clock is ahead of ours.
        code: What it calls its refusal; empty to say nothing.
    """

    def __init__(self, ahead: float, code: str = "RequestTimeTooSkewed") -> None:
        super().__init__()
        self.ahead = ahead
        self.code = code

    def _next(self, heard: Heard) -> Optional[bytes]:
        now = time.time() + self.ahead
        date = email.utils.formatdate(now, usegmt=True)
        signed_at = time.strptime(heard.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        if abs(now - (time.mktime(signed_at) - time.timezone)) < 900:
            return answer(b"", ETag='"x"', Date=date)
        if self.code:
            return error(self.code, 403, Date=date)
        return answer(b"", 403, Date=date)


@pytest.mark.parametrize("ahead", [1200.0, -1200.0, 3600.0])
@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "AccessDenied", ""])
def test_the_server_s_clock_is_the_one_that_counts(ahead: float, code: str) -> None:
    """One refusal teaches it; what follows is signed by it, and nothing is refused again."""
    with Clocked(ahead, code) as server, s3_bench(server.url(""), "bucket") as bench:
        bench.upload(b"abc")
        bench.upload(b"abc")
        assert len(server.heard) == 3


def test_a_clock_that_was_corrected_once_is_not_corrected_for_ever() -> None:
    """A refusal that the right time does not cure is final."""
    date = email.utils.formatdate(time.time() + 1200, usegmt=True)
    skewed = error("RequestTimeTooSkewed", 403, Date=date)
    with scripted(skewed, skewed) as (_, store):
        with pytest.raises(ServerFault, match=r"clock is \+1[12]\d\d s from ours"):
            store.objects(Wait())
        with pytest.raises(LoginRefused) as caught:
            store.objects(Wait())
        assert "clock" in caught.value.remedy


def test_a_refusal_at_the_right_time_is_a_refusal() -> None:
    """It is not tried again (R8)."""
    refused = error("AccessDenied", 403, Date=email.utils.formatdate(usegmt=True))
    with scripted(refused) as (_, store):
        with pytest.raises(NotAuthorized) as caught:
            store.objects(Wait())
        assert "s3:ListBucket" in caught.value.remedy


def test_links_are_signed_by_the_server_s_clock() -> None:
    """Or they would end at another time than they should, or not yet be good."""
    with Clocked(7200.0) as server, s3_store(server.url("")) as store:
        with pytest.raises(ServerFault):
            store.stat(OBJECT, Wait())
        info = store.stat(OBJECT, Wait())
        url, until = store.url(info, 60, Wait())
        assert until == pytest.approx(time.time() + 7260, abs=5)
        assert time.strftime("X-Amz-Date=%Y%m%dT%H", time.gmtime(time.time() + 7200)) in url


# --- bodies and time limits


def test_each_attempt_is_signed_anew() -> None:
    """A signature ends; and so do the credentials behind it."""
    with scripted(error("InternalError", 500), EMPTY) as (server, s):
        with pytest.raises(ServerFault):
            s.objects(Wait())
        bucket_of(s)._keep(_Known("us-east-1", 100.0))
        s.objects(Wait())
        first, second = (heard.headers for heard in server.heard)
        assert first["x-amz-date"] != second["x-amz-date"]
        assert first["authorization"] != second["authorization"]


def put(store: S3Store, data: bytes = b"abc") -> None:
    """Send a small file."""
    store.open_upload(UploadPlan("id", 3, 3, 1, None, "x"), Wait()).put([Chunk(0, data)], Wait())


def test_a_body_that_tls_and_a_checksum_protect_is_not_signed(
    server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """Once the server was seen to check checksums; in the clear every body is signed."""
    accepted = answer(b"", ETag='"x"', x_amz_checksum_crc32="NSRBwg==")
    for context, last in ((server_context, "UNSIGNED-PAYLOAD"), (None, None)):
        server = ScriptedS3(accepted, accepted)
        vars(server)["_context"] = context
        vars(server)["_secure"] = context is not None
        with server, s3_store(server.url(""), ca_file=ca_file) as store:
            put(store)
            put(store)
            first, second = (heard.headers["x-amz-content-sha256"] for heard in server.heard)
            assert len(first) == 64
            assert second == (last or first)


def test_a_large_body_has_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As has a large answer: a slow line is no stalled one, and 64 KiB a second are enough."""
    limits: list[float] = []
    with scripted(request_timeout=30.0) as (_, store):
        transport = vars(bucket_of(store))["_transport"]

        def note(*args: object, **how: float) -> None:
            limits.append(how["timeout"])
            raise ConnectionLost("enough")

        monkeypatch.setattr(transport, "open", note)
        for size in (0, 5 << 20):
            with pytest.raises(ConnectionLost):
                put(store, bytes(size))
        with pytest.raises(ConnectionLost):
            store.objects(Wait())
    assert limits == [30.0, 110.0, 158.0]  # the last for a list, of up to 8 MiB


def test_no_secret_reaches_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever went wrong: not the key, not the token, not the signature."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "canary-token")

    def quote(heard: Heard) -> bytes:
        return error("SignatureDoesNotMatch", 403)

    with scripted(quote, None) as (server, store):
        for _ in range(2):
            with pytest.raises(TransferError) as caught:
                store.objects(Wait())
            signature = server.heard[-1].headers["authorization"].rpartition("=")[2]
            said = f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {store!r}"
            assert "canary" not in said
            assert signature not in said
    assert os.environ["AWS_SESSION_TOKEN"] == "canary-token"
