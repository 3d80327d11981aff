"""Addresses, keys and URLs of S3."""

from __future__ import annotations

import pytest

from atxfer.stores.s3.names import Endpoint, Place, encoded


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("s3://bucket", Place("bucket")),
        ("s3://bucket/", Place("bucket")),
        ("s3://bucket/a/b", Place("bucket", "a/b")),
        ("s3://bucket/a b+%41?#/", Place("bucket", "a b+%41?#")),
        ("s3://Old_Bucket.name/a", Place("Old_Bucket.name", "a")),
    ],
)
def test_an_address_names_a_bucket_and_what_keys_begin_with(address: str, place: Place) -> None:
    """As boto3's users write it: nothing is percent-encoded, a slash at the end means nothing."""
    assert Place.parse(address) == place


@pytest.mark.parametrize(
    "address",
    [
        *("bucket/a", "https://bucket", "s3://", "s3:///a", "s3://ab", "s3://-bucket"),
        *("s3://b@d/a", "s3://bucket/a/../b", "s3://bucket/./a", "s3://bucket/a\udcff"),
    ],
)
def test_what_is_no_address_is_a_mistake_of_the_caller(address: str) -> None:
    """It is told before anything is asked, with the text that was given."""
    with pytest.raises(ValueError, match=r"s3://|can't be a key"):
        Place.parse(address)


def test_a_key_is_below_the_prefix() -> None:
    """The store keeps to its part of the bucket."""
    assert Place("bucket", "a/b").key("x") == "a/b/x"
    assert Place("bucket").key("x") == "x"


@pytest.mark.parametrize("name", ["../x", "..", ".", "a/../x", "/x", "\udcff"])
def test_a_name_that_clients_would_change_on_the_way_is_refused(name: str) -> None:
    """HTTP resolves dots in a path: the object would lie elsewhere than its key says (R24)."""
    with pytest.raises(ValueError, match="can't be a key"):
        Place("bucket", "" if name.startswith("/") else "a").key(name)


@pytest.mark.parametrize("key", ["a/x", "a/x y", "a/%41?x#y", "a/b/c", "a/\n", "a/…"])
def test_an_address_names_its_key_again(key: str) -> None:
    """What a receipt holds finds the same object."""
    place = Place("bucket", "a")
    assert place.key_of(place.address(key)) == key


@pytest.mark.parametrize(
    "address",
    [
        *("s3://other!/a/x", "s3://bucket2/a/x", "s3://bucket/b/x", "s3://bucket/a"),
        *("s3://bucket/a/", "s3://bucket/ab/x", "s3://bucket/a/../x", "https://bucket/a/x", ""),
    ],
)
def test_an_address_elsewhere_is_none_of_this_store(address: str) -> None:
    """Neither another bucket nor another prefix is touched."""
    with pytest.raises(ValueError, match=r"no address below s3://bucket/a|can't be a key"):
        Place("bucket", "a").key_of(address)


@pytest.mark.parametrize(
    ("endpoint", "bucket", "url"),
    [
        (Endpoint(), "bucket", "https://bucket.s3.eu-west-1.amazonaws.com/a/x%20y"),
        (Endpoint(), "dotted.bucket", "https://s3.eu-west-1.amazonaws.com/dotted.bucket/a/x%20y"),
        (Endpoint(), "Old_Bucket", "https://s3.eu-west-1.amazonaws.com/Old_Bucket/a/x%20y"),
        (
            Endpoint(style="path", fips=True, dualstack=True),
            "bucket",
            "https://s3-fips.dualstack.eu-west-1.amazonaws.com/bucket/a/x%20y",
        ),
        (Endpoint("http://[::1]:9000"), "bucket", "http://[::1]:9000/bucket/a/x%20y"),
        (Endpoint("https://host/s3/"), "bucket", "https://host/s3/bucket/a/x%20y"),
        (Endpoint("https://host", "virtual"), "bucket", "https://bucket.host/a/x%20y"),
        (Endpoint("https://host:1/s3", "virtual"), "bucket", "https://bucket.host:1/s3/a/x%20y"),
    ],
)
def test_the_url_of_an_object(endpoint: Endpoint, bucket: str, url: str) -> None:
    """Buckets are part of the host where certificates allow it, and else part of the path."""
    assert endpoint.of(bucket, "a/x y", "eu-west-1", {}) == url


def test_the_url_of_a_bucket() -> None:
    """Questions to the bucket itself go to it by either style."""
    query = {"uploads": None, "prefix": "a b/+ü~"}
    tail = "?uploads&prefix=a%20b%2F%2B%C3%BC~"
    assert Endpoint("http://host").of("bucket", "", "r", query) == f"http://host/bucket{tail}"
    amazon = f"https://bucket.s3.cn-north-1.amazonaws.com.cn/{tail}"
    assert Endpoint().of("bucket", "", "cn-north-1", query) == amazon


@pytest.mark.parametrize("url", ["host", "ftp://host", "http://", "http://a:b@host", "http://h?x"])
def test_an_endpoint_that_is_none_is_refused(url: str) -> None:
    """Credentials have no place in it, and would be shown in errors."""
    with pytest.raises(ValueError, match="endpoint_url"):
        Endpoint(url)


def test_a_query_is_encoded_as_it_is_signed() -> None:
    """A server computes the signature from its own, canonical, form."""
    assert encoded({"a": "x=y&z+", "uploads": None}) == "a=x%3Dy%26z%2B&uploads"
