"""What a record carries beside its value."""

from __future__ import annotations

import pytest

from atxfer.atprotocol.metadata import NO_METADATA, Metadata, parse_time

EVERYTHING = Metadata(
    ttl_ms=1,
    ttb_ms=2,
    ttr_s=-1,
    ccd=True,
    data_signature="sig==",
    shared_key_status="local",
    is_binary=False,
    is_encrypted=True,
    shared_key_enc="ske",
    pub_key_cs="cs",
    encoding="base64",
    enc_key_name="ekn",
    enc_algo="AES/CTR",
    iv_nonce="iv==",
    ske_enc_key_name="sken",
    ske_enc_algo="rsa",
)


def test_fields_go_out_in_the_only_order_the_server_takes() -> None:
    """All sixteen, each with its value and a colon (facts §5)."""
    assert EVERYTHING.encode() == (
        "ttl:1:ttb:2:ttr:-1:ccd:true:dataSignature:sig==:sharedKeyStatus:local:isBinary:false:"
        "isEncrypted:true:sharedKeyEnc:ske:pubKeyCS:cs:encoding:base64:encKeyName:ekn:"
        "encAlgo:AES/CTR:ivNonce:iv==:skeEncKeyName:sken:skeEncAlgo:rsa:"
    )


def test_what_is_not_named_is_not_sent() -> None:
    """An empty metadata is empty; zero and false are named."""
    assert NO_METADATA.encode() == ""
    assert Metadata(ttl_ms=0, is_binary=False).encode() == "ttl:0:isBinary:false:"


@pytest.mark.parametrize("field", ["ttl_ms", "ttb_ms", "ttr_s"])
def test_times_out_of_range_are_refused_by_name(field: str) -> None:
    """Below the least, or beyond the last day the server knows."""
    for value in (-2, 10**16):
        with pytest.raises(ValueError, match=f"{field} is {value}"):
            Metadata(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "a b", "a:b", "a@b", "a\nb", "\ufeff"])
def test_texts_that_would_end_their_field_early_are_refused(text: str) -> None:
    """A colon in an IV would shift all that follows."""
    with pytest.raises(ValueError, match="iv_nonce must be text without"):
        Metadata(iv_nonce=text)


def test_metadata_of_an_answer_is_read() -> None:
    """Names of the wire become fields, points in time become epoch seconds, the rest is left."""
    read = Metadata.from_json(
        {
            "createdBy": "@alice",
            "createdAt": "2026-11-24 07:09:22.969Z",
            "expiresAt": "2026-11-25 07:09:22.969Z",
            "status": "active",
            "version": 0,
            "ttl": 86400000,
            "isEncrypted": True,
            "ivNonce": "abcd",
        }
    )
    assert read.ttl_ms == 86_400_000
    assert read.is_encrypted is True
    assert read.iv_nonce == "abcd"
    assert read.created_at == 1795504162.969
    assert read.expires_at == 1795590562.969
    assert read.updated_at is None


def test_metadata_of_a_notification_writes_null_as_text() -> None:
    """Notifications hold nulls, and the text null for a time that is not set (transcript)."""
    read = Metadata.from_json({"encAlgo": None, "availableAt": "null"})
    assert read == NO_METADATA


def test_json_of_metadata_reads_back() -> None:
    """A server writes what a client reads."""
    assert Metadata.from_json(EVERYTHING.to_json()) == EVERYTHING


@pytest.mark.parametrize(
    "values",
    [
        {"ttl": "1"},
        {"ttl": True},
        {"ttl": -5},
        {"isEncrypted": 1},
        {"ivNonce": 5},
        {"createdAt": 7},
        {"createdAt": "yesterday"},
    ],
)
def test_fields_of_another_kind_are_refused(values: dict[str, object]) -> None:
    """What a server can't have meant is not guessed at."""
    with pytest.raises(ValueError, match=r".+"):
        Metadata.from_json(values)


def test_times_have_milliseconds_or_microseconds() -> None:
    """Dart writes six digits where it has them, and no Z for local time."""
    assert parse_time("1970-01-01 00:00:01.500Z") == 1.5
    assert parse_time("1970-01-01 00:00:01.000001Z") == 1.000001
    assert parse_time("1970-01-01 00:00:02.000") == 2.0
