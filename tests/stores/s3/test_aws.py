"""Credentials from where boto3 finds them, and signatures as Amazon documents them."""

from __future__ import annotations

import calendar
import logging
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Optional

import pytest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.session import Session

from atxfer.config import TransferConfig
from atxfer.errors import AccessDenied, Cancelled, NotSupported
from atxfer.stores.http import HttpTransport, https_context
from atxfer.stores.s3 import S3Store
from atxfer.stores.s3.aws import Account, Settings, presigned, signed
from atxfer.waiting import Wait
from tests.support.until import until

# The examples of Amazon's documentation ("Signature Calculations: Examples", API reference of S3).
EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = calendar.timegm((2013, 5, 24, 0, 0, 0))
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
HOST = "https://examplebucket.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("path", "headers", "signature"),
    [
        (
            "/test.txt",
            {"Range": "bytes=0-9"},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "/?lifecycle",
            {},
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "/?max-keys=2&prefix=J",
            {},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_requests_are_signed_as_documented(
    path: str, headers: dict[str, str], signature: str
) -> None:
    """For a given time, so that it may be the server's (R30)."""
    made = signed(
        "GET",
        HOST + path,
        headers,
        payload_hash=NOTHING,
        credentials=EXAMPLE.get_frozen_credentials(),
        region="us-east-1",
        now=NOW,
    )
    assert made["X-Amz-Date"] == "20130524T000000Z"
    assert made["X-Amz-Content-SHA256"] == NOTHING
    assert made["Authorization"].endswith(f"Signature={signature}")


def test_a_link_is_signed_as_documented() -> None:
    """The signature is in the query; whoever has the URL may read."""
    url = presigned(
        f"{HOST}/test.txt",
        credentials=EXAMPLE.get_frozen_credentials(),
        region="us-east-1",
        now=NOW,
        seconds=86_400,
    )
    signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    assert url.endswith(f"X-Amz-Signature={signature}")


def sign(account: Account, wait: Optional[Wait] = None) -> dict[str, str]:
    """Sign something."""
    return account.signed(
        "GET", HOST, {}, payload_hash=NOTHING, region="r", now=NOW, wait=wait or Wait()
    )


def test_no_secret_reaches_a_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even at DEBUG, where botocore itself would write what it signs."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "canary-token")
    with caplog.at_level(logging.DEBUG):
        account = Account()
        made = sign(account)
        account.presigned(HOST, region="r", now=NOW, seconds=60, wait=Wait())
    assert made["X-Amz-Security-Token"] == "canary-token"
    assert "canary" not in caplog.text
    assert made["Authorization"].rpartition("=")[2] not in caplog.text
    assert "canary" not in repr(account)


# --- what boto3's configuration says


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have configuration files, and no credentials in the environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    folder = Path(os.environ["HOME"]) / f"aws-{threading.get_ident()}"
    folder.mkdir(exist_ok=True)
    (folder / "credentials").write_text(
        "[default]\naws_access_key_id = AKDEFAULT\naws_secret_access_key = x\n"
        "[work]\naws_access_key_id = AKWORK\naws_secret_access_key = y\n"
        "[half]\naws_access_key_id = AKHALF\n"
    )
    (folder / "config").write_text(
        "[default]\nregion = eu-west-1\n"
        "[profile work]\nregion = eu-west-2\nservices = mine\nuse_fips_endpoint = true\n"
        "request_checksum_calculation = when_required\ns3 =\n  addressing_style = virtual\n"
        "[profile empty]\nregion = eu-west-3\n"
        f"[profile process]\ncredential_process = {sys.executable} -c"
        ' \'print("{\\"Version\\": 1, \\"AccessKeyId\\": \\"AKPROCESS\\",'
        ' \\"SecretAccessKey\\": \\"z\\"}")\'\n'
        "[services mine]\ns3 =\n  endpoint_url = https://objects.example.org\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    return folder


@pytest.mark.parametrize(
    ("profile", "key"),
    [(None, "AKDEFAULT"), ("work", "AKWORK"), ("process", "AKPROCESS")],
)
def test_credentials_are_those_of_the_profile(
    configured: Path, profile: Optional[str], key: str
) -> None:
    """From the files, or from a program that they name."""
    assert f"Credential={key}/" in sign(Account(profile))["Authorization"]


def test_the_environment_names_a_profile_too(
    configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does for boto3."""
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert "Credential=AKWORK/" in sign(Account())["Authorization"]


def test_settings_are_those_of_the_profile(configured: Path) -> None:
    """Whoever has configured boto3 for a server has configured atxfer."""
    assert Account().settings == Settings(region="eu-west-1")
    assert Account("work").settings == Settings(
        region="eu-west-2",
        endpoint_url="https://objects.example.org",
        style="virtual",
        fips=True,
        checksums=False,
    )


def test_an_endpoint_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one for S3 goes before the one for all; both can be ignored."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all")
    assert Account().settings.endpoint_url == "http://all"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3")
    assert Account().settings.endpoint_url == "http://s3"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert Account().settings.endpoint_url is None


def test_an_unknown_profile_is_told_at_once(configured: Path) -> None:
    """By its name, before anything is asked."""
    with pytest.raises(AccessDenied, match="nobody"):
        Account("nobody")


def test_missing_credentials_are_told_with_the_places_looked_at(configured: Path) -> None:
    """And with what to do."""
    with pytest.raises(AccessDenied, match=r"'empty' of ~/.aws/credentials") as caught:
        sign(Account("empty"))
    assert "aws configure" in caught.value.remedy
    assert caught.value.exit_code == 4


def test_half_a_pair_of_credentials_is_none(configured: Path) -> None:
    """What is missing is told."""
    with pytest.raises(AccessDenied, match="aws_secret_access_key"):
        sign(Account("half"))


def test_without_botocore_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra: whoever has no need of S3 doesn't have it."""
    monkeypatch.setitem(sys.modules, "atxfer.stores.s3.aws", None)
    config = TransferConfig()
    transport = HttpTransport(https_context(), config, width=1)
    with pytest.raises(NotSupported) as caught:
        S3Store("s3://bucket", transport, config)
    assert caught.value.remedy == "pip install 'atxfer[s3]'"


# --- look-ups


class SlowSession:
    """Stands in for what botocore asks the network, and waits to be let go.

    Attributes:
        looks: How often credentials were looked for.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
        self.found = found
        self.looks = 0
        self.go = threading.Event()
        monkeypatch.setattr(Session, "get_credentials", lambda session: self._look())

    def _look(self) -> Any:
        self.looks += 1
        self.go.wait()
        return self.found


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowSession]:
    """Have credentials that take their time."""
    session = SlowSession(monkeypatch, EXAMPLE)
    yield session
    session.go.set()


def test_many_threads_look_once(slow: SlowSession) -> None:
    """The first requests of an upload come side by side."""
    account = Account()
    with ThreadPoolExecutor(8) as threads:
        made = [threads.submit(sign, account) for _ in range(8)]
        slow.go.set()
        assert len({one.result()["Authorization"] for one in made}) == 1
    assert slow.looks == 1
    sign(account)
    assert slow.looks == 1


def test_a_look_up_that_hangs_is_left(slow: SlowSession) -> None:
    """Cancellation does not wait for a service of the network; the next one joins the look-up."""
    account, wait = Account(), Wait()
    threading.Timer(0.0, wait.cancel).start()
    with pytest.raises(Cancelled):
        sign(account, wait)
    slow.go.set()
    sign(account)
    assert slow.looks == 1


def test_a_look_up_that_failed_is_made_again(slow: SlowSession) -> None:
    """A service that was not there may be there later."""
    slow.found = None
    slow.go.set()
    account = Account()
    with pytest.raises(AccessDenied):
        sign(account)
    slow.found = EXAMPLE
    assert "AKIAIOSFODNN7EXAMPLE" in sign(account)["Authorization"]


def test_where_no_thread_can_be_started_the_caller_looks(
    slow: SlowSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the interpreter's exit there are no new ones (R27)."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    slow.go.set()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert "AKIAIOSFODNN7EXAMPLE" in sign(Account())["Authorization"]


def test_a_child_makes_a_look_up_of_its_own(
    slow: SlowSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread of its parent's is not in it (R28)."""
    account, wait = Account(), Wait()
    threading.Timer(0.0, wait.cancel).start()
    with pytest.raises(Cancelled):
        sign(account, wait)
    until(lambda: slow.looks == 1)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with ThreadPoolExecutor(1) as threads:
        made = threads.submit(sign, account)
        until(lambda: slow.looks == 2)
        slow.go.set()
        assert "AKIAIOSFODNN7EXAMPLE" in made.result()["Authorization"]


def temporary(hours: float, refreshed: list[str]) -> RefreshableCredentials:
    """Return credentials that end some hours from now, and note each renewal."""

    def metadata(hours: float, key: str) -> dict[str, str]:
        until = datetime.now(timezone.utc) + timedelta(hours=hours)
        return {
            "access_key": key,
            "secret_key": "x",
            "token": "t",
            "expiry_time": until.isoformat(),
        }

    def renew() -> dict[str, str]:
        refreshed.append("")
        return metadata(2.0, "AKNEW")

    made: RefreshableCredentials = RefreshableCredentials.create_from_metadata(
        metadata(hours, "AKOLD"), renew, "test"
    )
    return made


def test_temporary_credentials_are_renewed_before_they_end(slow: SlowSession) -> None:
    """By a look-up like the first; those that are good are used as they are."""
    refreshed: list[str] = []
    slow.found = temporary(2.0, refreshed)
    slow.go.set()
    account = Account()
    assert "Credential=AKOLD/" in sign(account)["Authorization"]
    assert refreshed == []
    slow.found = vars(account)["_credentials"] = temporary(0.01, refreshed)
    assert "Credential=AKNEW/" in sign(account)["Authorization"]
    assert refreshed == [""]


def test_a_link_ends_with_the_credentials_that_signed_it(slow: SlowSession) -> None:
    """Whatever its own time is: that would be a promise the server doesn't keep."""
    slow.found = temporary(2.0, [])
    slow.go.set()
    now = datetime.now(timezone.utc).timestamp()
    account = Account()
    _, until = account.presigned(HOST, region="r", now=now, seconds=60, wait=Wait())
    assert until == now + 60
    _, until = account.presigned(HOST, region="r", now=now, seconds=86_400, wait=Wait())
    assert until == pytest.approx(now + 7200, abs=60)
