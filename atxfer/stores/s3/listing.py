"""Lists that S3 gives page by page: objects, uploads that did not end, parts of one."""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Optional
from urllib.parse import unquote_plus

from atxfer.config import MIB
from atxfer.errors import ProtocolViolation
from atxfer.stores.base import Leftover, ObjectInfo
from atxfer.stores.s3.answers import Element, parse
from atxfer.stores.s3.bucket import Bucket
from atxfer.stores.s3.checksums import plain_etag
from atxfer.stores.s3.sending import Sent
from atxfer.waiting import Wait

__all__ = ["examined", "leftovers", "listed_parts", "name_of", "objects", "token_of", "upload_of"]

# A page has at most 1,000 entries; a key at most 1,024 bytes, or three times as many encoded.
_PAGE_BYTES = 8 * MIB


def objects(bucket: Bucket, wait: Wait) -> Iterator[ObjectInfo]:
    """Yield what lies below a place; markers that some programs leave for folders are none."""
    query = {"list-type": "2", "prefix": bucket.place.start, "encoding-type": "url"}
    for page in _pages(bucket, "", query, {"continuation-token": "NextContinuationToken"}, wait):
        for entry in page.all("Contents"):
            key = _decoded(page, entry.value("Key"))
            if not key.endswith("/"):
                yield ObjectInfo(
                    address=bucket.place.address(key),
                    name=name_of(key),
                    size=_number(entry, "Size"),
                    version=plain_etag(entry.value("ETag")),
                    modified_at=_time(entry.value("LastModified")),
                )


def leftovers(bucket: Bucket, wait: Wait) -> Iterator[Leftover]:
    """Yield the uploads below a place that did not end."""
    query = {"uploads": None, "prefix": bucket.place.start, "encoding-type": "url"}
    markers = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
    for page in _pages(bucket, "", query, markers, wait):
        for entry in page.all("Upload"):
            key = _decoded(page, entry.value("Key"))
            yield Leftover(
                address=bucket.place.address(key),
                token=token_of(key, entry.value("UploadId")),
                begun_at=_time(entry.value("Initiated")),
            )


def examined(bucket: Bucket, leftover: Leftover, wait: Wait) -> Leftover:
    """Return an upload that did not end with the bytes of its parts, and when the last one came."""
    key, upload_id = upload_of(leftover.token)
    markers = {"part-number-marker": "NextPartNumberMarker"}
    times, stored = [leftover.begun_at], 0
    for page in _pages(bucket, key, {"uploadId": upload_id}, markers, wait):
        for entry in page.all("Part"):
            times.append(_time(entry.value("LastModified")))
            stored += _number(entry, "Size")
    return replace(
        leftover,
        stopped_at=max((at for at in times if at is not None), default=None),
        stored=stored,
    )


def listed_parts(
    bucket: Bucket, key: str, upload_id: str, numbers: range, wait: Wait
) -> Iterator[tuple[int, Sent]]:
    """Yield the parts of an upload that have these numbers, and their numbers."""
    query = {"uploadId": upload_id, "part-number-marker": str(numbers.start - 1)}
    for page in _pages(bucket, key, query, {"part-number-marker": "NextPartNumberMarker"}, wait):
        for entry in page.all("Part"):
            number = _number(entry, "PartNumber")
            if number >= numbers.stop:
                return
            etag = plain_etag(entry.value("ETag"))
            yield number, Sent(etag, entry.value("ChecksumCRC32"), _number(entry, "Size"))


def name_of(key: str) -> str:
    """Return what an object is called: the last part of its key."""
    return key.rpartition("/")[2]


def token_of(key: str, upload_id: str) -> bytes:
    """Return what an upload is known by."""
    return json.dumps({"key": key, "upload_id": upload_id}).encode("ascii")


def upload_of(token: bytes) -> tuple[str, str]:
    """Return the key and the id of an upload.

    Raises:
        ValueError: This is no token of an upload to S3.
    """
    try:
        told = json.loads(token)
        return str(told["key"]), str(told["upload_id"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError("this is no token of an upload to S3") from error


def _pages(
    bucket: Bucket,
    key: str,
    query: Mapping[str, Optional[str]],
    markers: Mapping[str, str],
    wait: Wait,
) -> Iterator[Element]:
    """Yield the pages of a list; what one ends with is where the next begins."""
    at = dict(query)
    while True:
        answer = bucket.ask("GET", key, wait=wait, query=at, max_bytes=_PAGE_BYTES)
        page = parse(answer.content)
        yield page
        if page.value("IsTruncated") != "true":
            return
        # Some servers leave a marker out that has no value.
        following = {name: page.value(told) for name, told in markers.items() if page.value(told)}
        if "key-marker" in following:
            following["key-marker"] = _decoded(page, following["key-marker"])
        if not following or following.items() <= at.items():
            raise ProtocolViolation("the server's list has no next page, and no end")
        at.update(following)


def _decoded(page: Element, text: str) -> str:
    """Return a key of a page, which may be encoded because XML can't hold every character."""
    return unquote_plus(text) if page.value("EncodingType") == "url" else text


def _number(entry: Element, name: str) -> int:
    text = entry.value(name)
    if not (text.isascii() and text.isdigit()):
        raise ProtocolViolation(f"the server's list has {text[:20]!r} as {name}")
    return int(text)


def _time(text: str) -> Optional[float]:
    """Return the epoch seconds of ``2026-01-31T12:00:00.000Z``; None if it is no such time."""
    try:
        return float(calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return None
