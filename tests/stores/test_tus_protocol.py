"""The headers of tus: what we write, and what we believe of what others write."""

from __future__ import annotations

import base64
import hashlib
from typing import Optional

import pytest
from requests.structures import CaseInsensitiveDict

from atxfer.errors import NotSupported, ProtocolViolation
from atxfer.stores.base import UploadPlan
from atxfer.stores.http.reading import content_range
from atxfer.stores.tus.credentials import Credentials, without_login
from atxfer.stores.tus.protocol import (
    CORE,
    checksum_of,
    epoch_seconds,
    features_of,
    metadata_header,
    name_in,
    number_in,
    origin_of,
    shown,
    url_of_upload,
)
from atxfer.stores.tus.tokens import Unusable, token_for, token_of, urls_in, urls_of

BASE = "https://host.example/files/"


def headers(**fields: str) -> CaseInsensitiveDict[str]:
    """Return headers as an answer has them."""
    return CaseInsensitiveDict({name.replace("_", "-"): fields[name] for name in fields})


# --- what a server can do


def test_features_are_what_the_server_says() -> None:
    """Extensions, limit and the best digest that both know."""
    told = features_of(
        headers(
            tus_version="1.0.0,0.2.2",
            tus_extension="creation, Checksum ,termination",
            tus_max_size="1000",
            tus_checksum_algorithm="md5,sha1,sha256",
        ),
        "h",
    )
    assert told.has("creation")
    assert told.has("termination")
    assert not told.has("concatenation")
    assert (told.max_size, told.checksum, told.told) == (1000, "sha256", True)


def test_a_digest_counts_only_with_its_extension() -> None:
    """What a server does not compare need not be computed."""
    assert features_of(headers(tus_version="1.0.0", tus_checksum_algorithm="sha1"), "h") == (
        features_of(headers(tus_version="1.0.0"), "h")
    )
    unknown = headers(tus_version="1.0.0", tus_extension="checksum", tus_checksum_algorithm="crc32")
    assert features_of(unknown, "h").checksum is None


@pytest.mark.parametrize("limit", ["0", "", "many", "-1", "1e9"])
def test_a_limit_that_makes_no_sense_is_none(limit: str) -> None:
    """The server itself will say so if a file is too large."""
    assert features_of(headers(tus_version="1.0.0", tus_max_size=limit), "h").max_size is None


def test_an_answer_without_a_version_tells_nothing() -> None:
    """Servers answer OPTIONS for browsers as well; core and creation are assumed."""
    assert features_of(headers(tus_extension="concatenation"), "h") == CORE
    assert CORE.has("creation")


def test_another_version_is_not_spoken() -> None:
    """The error names what the server speaks."""
    with pytest.raises(NotSupported, match=r"host:1 speaks tus 0\.2\.2, 2\.0"):
        features_of(headers(tus_version="2.0,0.2.2"), "host:1")


# --- numbers and times


@pytest.mark.parametrize("text", ["0", "70", " 70 ", "9" * 19])
def test_a_number_is_digits(text: str) -> None:
    """With or without spaces around it."""
    assert number_in(headers(upload_offset=text), "Upload-Offset", "h") == int(text)


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "1e3", "0x1", "\u0661", "1,2", "9" * 20])
def test_what_is_no_number_is_a_violation(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ProtocolViolation, match="h sends Upload-Offset without a number"):
        number_in(headers(upload_offset=text), "Upload-Offset", "h")


def test_a_missing_number_is_none() -> None:
    """What that means depends on the request."""
    assert number_in(headers(), "Upload-Offset", "h") is None


@pytest.mark.parametrize(
    ("text", "range_"),
    [
        ("bytes 0-9/100", (0, 10, 100)),
        ("bytes 5-5/*", (5, 6, None)),
        ("bytes */100", None),
        ("items 0-9/100", None),
        ("", None),
    ],
)
def test_a_range_is_read(text: str, range_: Optional[tuple[int, int, Optional[int]]]) -> None:
    """The end is that of Python, behind the last."""
    assert content_range(headers(content_range=text)) == range_


def test_a_time_is_read() -> None:
    """As seconds of the epoch; nonsense is none."""
    told = headers(upload_expires="Wed, 25 Jun 2014 16:00:00 GMT", last_modified="soon")
    assert epoch_seconds(told, "Upload-Expires") == 1_403_712_000
    assert epoch_seconds(told, "Last-Modified") is None
    assert epoch_seconds(told, "Date") is None


def test_a_checksum_names_its_digest() -> None:
    """The example of the protocol."""
    assert checksum_of("sha1", b"hello world") == "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="
    body = memoryview(b"xhello worldx")[1:-1]
    made = base64.b64encode(hashlib.sha256(b"hello world").digest()).decode()
    assert checksum_of("sha256", body) == f"sha256 {made}"


# --- names


@pytest.mark.parametrize(
    "name", ["a.txt", "a b,c.txt", "naïve 🙂.pdf", "../../etc/passwd", "line\nbreak", "n" * 300]
)
def test_a_name_comes_back_as_it_was(name: str) -> None:
    """Base64 carries whatever it holds, and the header itself stays plain."""
    header = metadata_header(name)
    assert header.isascii()
    assert header.isprintable()
    assert name_in(headers(upload_metadata=header)) == name


def test_the_type_goes_with_the_name() -> None:
    """What is compressed is not of the type that is inside."""
    assert metadata_header("a.json").endswith(
        f",filetype {base64.b64encode(b'application/json').decode()}"
    )
    assert "filetype" not in metadata_header("a.json.gz")
    assert "filetype" not in metadata_header("a")


def test_without_a_name_there_is_no_metadata() -> None:
    """The header is left out: @tus/server refuses an empty one (M9)."""
    assert metadata_header("") == ""


@pytest.mark.parametrize("text", ["", "filename", "filename ???", "other YQ==", ",,"])
def test_metadata_without_a_name_have_none(text: str) -> None:
    """Whatever else they hold."""
    assert name_in(headers(upload_metadata=text)) == ""


def test_the_older_key_of_a_name_is_known() -> None:
    """Some clients say name."""
    assert name_in(headers(upload_metadata="is_secret,name YQ==")) == "a"


# --- addresses


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("https://host.example/files/1", "https://host.example/files/1"),
        ("https://HOST.example:443/x?y=z#frag", "https://HOST.example:443/x?y=z"),
        ("/other/1", "https://host.example/other/1"),
        ("1", "https://host.example/files/1"),
        ("//host.example/files/1", "https://host.example/files/1"),
        ("?id=1", "https://host.example/files/?id=1"),
    ],
)
def test_an_upload_may_be_anywhere_on_its_server(location: str, url: str) -> None:
    """Whole or relative."""
    assert url_of_upload(location, BASE, "h") == url


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://host.example/files/1", "unencrypted"),
        ("http://host.example:443/files/1", "unencrypted"),
        ("https://host.example:8443/files/1", "another server, host.example:8443"),
        ("https://evil.example/files/1", "another server, evil.example:443"),
        ("//evil.example/1", "another server"),
        ("https://host.example@evil.example/1", "another server"),
        ("https://user:pw@host.example/1", "another server"),
        ("https://host.example.evil.example/", "another server"),
        ("ftp://host.example/1", "no URL"),
        ("javascript:alert(1)", "no URL"),
        ("https://host.example:x/1", "no URL"),
        ("https://[::1/1", "no URL"),
        ("", "no URL"),
        ("/files/a b", "no URL"),
        ("/files/\x7f", "no URL"),
        ("/" + "a" * 3000, "no URL"),
    ],
)
def test_an_upload_elsewhere_is_refused(location: str, why: str) -> None:
    """Nothing is sent where credentials must not go (R24), and the error says where that was."""
    with pytest.raises(ProtocolViolation, match=why) as caught:
        url_of_upload(location, BASE, "host.example")
    assert caught.value.remedy


def test_a_plain_server_may_not_send_us_on_either() -> None:
    """Not even to the same host, at another port."""
    with pytest.raises(ProtocolViolation, match="another server, h:81"):
        url_of_upload("http://h:81/1", "http://h/files/", "h")


def test_an_origin_is_scheme_host_and_port() -> None:
    """The same however it is written."""
    assert origin_of("https://Host/a") == origin_of("https://host:443/b") == ("https", "host", 443)
    for url in ("host/files", "ftp://host/", "https:///files", "https://h:99999/"):
        with pytest.raises(ValueError, match=r"expected|[Pp]ort"):
            origin_of(url)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://me:secret@h/a?token=secret#secret", "https://h/a"),
        ("https://h/a b", "nowhere"),
        ("https://[::1/", "nowhere"),
    ],
)
def test_an_address_is_shown_without_secrets(url: str, text: str) -> None:
    """And only if it is one."""
    assert shown(url) == text


# --- credentials


def test_a_login_is_taken_out_of_an_address() -> None:
    """It is percent-encoded there; what is left may be shown."""
    assert without_login("https://me:p%40ss@h:1/f?a=b") == ("https://h:1/f?a=b", ("me", "p@ss"))
    assert without_login("https://h/") == ("https://h/", None)


def test_auth_takes_the_place_of_a_header() -> None:
    """A name and password is Basic; a callable is asked each time."""
    tokens = iter(["Bearer 1", "Bearer 2"])
    assert Credentials({"X": "1"}, ("a", "b")).headers() == {
        "X": "1",
        "Authorization": "Basic YTpi",
    }
    changing = Credentials({"authorization": "old"}, lambda: next(tokens))
    assert changing.headers() == {"Authorization": "Bearer 1"}
    assert changing.headers() == {"Authorization": "Bearer 2"}
    assert Credentials({"Authorization": "kept"}).headers() == {"Authorization": "kept"}


def test_credentials_are_not_shown() -> None:
    """Only what kind they are."""
    shown_as = repr(Credentials({"X-Token": "secret"}, ("me", "secret")))
    assert shown_as == "<Credentials Authorization, X-Token>"
    assert not Credentials()
    assert Credentials({"X": "1"})


# --- tokens

PLAN = UploadPlan("id", 100, 10, 10, None, overhead=2)
URLS = [BASE + "1", None, BASE + "3"]


def is_ours(url: str) -> bool:
    """Whether a URL is below the base."""
    return url.startswith(BASE)


def test_a_token_brings_the_urls_back() -> None:
    """Of the same upload."""
    assert urls_of(token_for(PLAN, URLS), PLAN, 3, is_ours) == URLS
    assert urls_in(token_for(PLAN, URLS)) == [BASE + "1", BASE + "3"]
    assert urls_in(token_of(BASE)) == [BASE]


def test_nothing_to_go_on_with_is_an_empty_token() -> None:
    """So the journal keeps none."""
    assert token_for(PLAN, [None, None]) == b""


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"version":2}',
        token_of(BASE),
        token_for(PLAN, URLS[:2]),
        token_for(PLAN, [*URLS[:2], "https://evil.example/"]),
        token_for(UploadPlan("id", 101, 10, 11, None, overhead=2), URLS),
        token_for(UploadPlan("id", 100, 20, 5, None, overhead=2), URLS),
        token_for(PLAN, URLS).replace(b"null", b"1"),
    ],
)
def test_a_token_that_does_not_fit_is_not_used(token: bytes) -> None:
    """It may be damaged, or of another file, or lead to another server."""
    with pytest.raises(Unusable):
        urls_of(token, PLAN, 3, is_ours)
