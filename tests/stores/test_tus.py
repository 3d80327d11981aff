"""Uploads to a tus server: what is sent, and what becomes of every answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest

from atxfer.errors import (
    ChunkCorrupt,
    FileExpired,
    FileNotFound,
    FileTooLarge,
    IntegrityError,
    LoginRefused,
    NotAuthorized,
    NotFound,
    NotSupported,
    Overloaded,
    ProtocolViolation,
    RequestRejected,
    RequestTooLarge,
    RetryAfterTooLong,
    ServerFault,
    Throttled,
    TransferError,
)
from atxfer.stores.tus.uploads import MAX_PARTS
from atxfer.waiting import Wait
from tests.support.tusbench import tus_bench
from tests.support.tuspeer import ALL, PLAIN, TusPeer, said
from tests.support.web import Heard
from tests.support.worlds import content

CHUNK = 1000
CORE = "creation,termination"


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Iterator[TusPeer]:
    """Return a server; with the extensions that a test names."""
    with TusPeer(getattr(request, "param", PLAIN)) as peer:
        yield peer


with_parts = pytest.mark.parametrize("peer", [ALL], indirect=True)
bare = pytest.mark.parametrize("peer", [CORE], indirect=True)


def upload(peer: TusPeer, chunks: float = 3, **how: Any) -> bytes:
    """Upload a file of so many chunks, and return its content."""
    data = content(int(chunks * CHUNK))
    with tus_bench(peer.creation, chunk_size=CHUNK, **how) as bench:
        bench.upload(data)
    return data


def failed(peer: TusPeer, kind: type[TransferError], **how: Any) -> TransferError:
    """Upload a file, and return what that fails with."""
    with pytest.raises(kind) as caught:
        upload(peer, **how)
    assert type(caught.value) is kind
    return caught.value


# --- what the server can do


def test_a_server_is_asked_once_what_it_can_do(peer: TusPeer) -> None:
    """Whatever is done there afterwards."""
    with tus_bench(peer.creation, chunk_size=CHUNK) as bench:
        for _ in range(2):
            bench.delete(bench.upload(b"abc").file_id)
    assert peer.count("OPTIONS") == 1
    (asked,) = [heard for heard in peer.heard if heard.line.startswith("OPTIONS")]
    assert "tus-resumable" not in asked.headers


@pytest.mark.parametrize("status", [200, 400, 403, 404, 405, 501])
def test_of_a_server_that_does_not_tell_the_core_is_assumed(peer: TusPeer, status: int) -> None:
    """It can create uploads and append to them; nothing more is tried."""
    peer.say("OPTIONS", said(status))
    data = upload(peer, 2)
    assert peer.asked == ["OPTIONS", "POST", "PATCH", "PATCH"]
    assert peer.whole == data


def test_a_server_that_cannot_answer_is_asked_again(peer: TusPeer) -> None:
    """What it can do is not known yet."""
    peer.say("OPTIONS", said(503))
    with tus_bench(peer.creation) as bench:
        with pytest.raises(Overloaded):
            bench.store.learn(Wait())
        assert bench.store.learns
        bench.store.learn(Wait())
        assert not bench.store.learns
    assert peer.asked == ["OPTIONS", "OPTIONS"]


@pytest.mark.parametrize(
    ("told", "error", "why"),
    [
        ({"Tus_Version": "0.2.2"}, NotSupported, "speaks tus 0.2.2"),
        ({"Tus_Version": "1.0.0"}, NotSupported, "lacks the creation extension"),
        (
            {"Tus_Version": "1.0.0", "Tus_Extension": "creation", "Tus_Max_Size": "2999"},
            FileTooLarge,
            "2,999 bytes at most, and this one has 3,000",
        ),
    ],
)
def test_what_a_server_cannot_take_is_told_at_the_door(
    peer: TusPeer, told: dict[str, str], error: type[TransferError], why: str
) -> None:
    """Before anything is sent."""
    peer.say("OPTIONS", said(204, **told))
    caught = failed(peer, error)
    assert why in str(caught)
    assert peer.asked == ["OPTIONS"]


# --- files of one chunk


def test_a_small_file_is_one_request(peer: TusPeer) -> None:
    """With its content, its name and its type, and without asking first (R7)."""
    with tus_bench(peer.creation) as bench:
        receipts = [bench.upload(b"abc", "a.txt") for _ in range(2)]
    assert [receipt.statistics.requests for receipt in receipts] == [2, 1]
    assert peer.asked == ["OPTIONS", "POST", "POST"]
    sent = peer.heard[1]
    assert sent.target == "/files/"
    assert sent.body == b"abc"
    assert "expect" not in sent.headers
    wanted = {
        "tus-resumable": "1.0.0",
        "upload-length": "3",
        "content-length": "3",
        "content-type": "application/offset+octet-stream",
        "upload-metadata": "filename YS50eHQ=,filetype dGV4dC9wbGFpbg==",
    }
    assert wanted.items() <= sent.headers.items()
    assert receipts[0].file_id == peer.url("/files/0")


def test_of_a_sealed_file_nothing_is_told(peer: TusPeer) -> None:
    """Neither name nor type, and no empty header in their place (M9)."""
    with tus_bench(peer.creation, encrypt=True) as bench:
        bench.upload(b"abc", "secret.txt")
    assert "upload-metadata" not in peer.heard[1].headers


def test_an_empty_file_is_whole_once_it_is_made(peer: TusPeer) -> None:
    """There is nothing to send."""
    assert upload(peer, 0) == peer.whole == b""
    assert peer.asked == ["OPTIONS", "POST"]
    assert "content-type" not in peer.heard[1].headers
    assert peer.heard[1].headers["upload-length"] == "0"


@bare
@pytest.mark.parametrize("chunks", [0.5, 1, 3])
def test_where_content_may_not_come_along_it_follows(peer: TusPeer, chunks: float) -> None:
    """One request to make the upload, and one a chunk."""
    data = upload(peer, chunks)
    assert peer.whole == data
    assert peer.asked == ["OPTIONS", "POST", *["PATCH"] * -(-int(chunks * 10) // 10)]
    assert peer.heard[1].body == b""
    assert peer.heard[2].headers["upload-offset"] == "0"


def test_a_server_may_pass_over_what_came_along(peer: TusPeer) -> None:
    """It says no offset then; it is asked for it, and gets the content once more."""
    peer.say("POST", lambda heard: made(peer, heard, 0, told=None))
    data = upload(peer, 1)
    assert peer.whole == data
    assert peer.asked == ["OPTIONS", "POST", "HEAD", "PATCH"]


@pytest.mark.parametrize("taken", [0, 1, 999])
def test_a_server_may_take_a_part_of_what_came_along(peer: TusPeer, taken: int) -> None:
    """The rest follows."""
    peer.say("POST", lambda heard: made(peer, heard, taken, told=taken))
    data = upload(peer, 1)
    assert peer.whole == data
    assert peer.asked == ["OPTIONS", "POST", "PATCH"]
    assert peer.heard[2].body == data[taken:]


def made(peer: TusPeer, heard: Heard, taken: int, told: Optional[int]) -> bytes:
    """Make an upload that takes so many bytes, and tell of another number of them."""
    peer.work(heard)
    path = list(peer.uploads)[-1]
    del peer.uploads[path].data[taken:]
    offset = {} if told is None else {"Upload_Offset": str(told)}
    return said(201, Location=peer.url(path), **offset)


def test_an_upload_that_was_lost_is_made_anew_with_its_address_first(peer: TusPeer) -> None:
    """Nobody knows where the first one is; the second must not be lost in the same way (R10)."""
    peer.say("POST", "lost")
    data = content(CHUNK)
    with tus_bench(peer.creation) as bench:
        receipt = bench.upload(data)
    assert peer.asked == ["OPTIONS", "POST", "POST", "PATCH"]
    assert bytes(peer.uploads["/files/1"].data) == data
    assert receipt.file_id == peer.url("/files/1")


def test_a_refused_size_is_told_by_what_was_sent(peer: TusPeer) -> None:
    """Too large a file, or only too large a request."""
    peer.say("POST", said(413))
    assert "takes no request of 1,000 bytes" in str(failed(peer, RequestTooLarge))


@bare
def test_a_file_may_be_too_large_though_nobody_said_so(peer: TusPeer) -> None:
    """The server says so when the upload is made."""
    peer.say("POST", said(413))
    failed(peer, FileTooLarge)


# --- one chunk behind the other


def test_chunks_follow_each_other_in_one_upload(peer: TusPeer) -> None:
    """Each at the offset where the last one ended, one request at a time."""
    data = upload(peer, 3.5)
    assert peer.whole == data
    assert peer.asked == ["OPTIONS", "POST", "PATCH", "PATCH", "PATCH"]
    assert [h.headers.get("upload-offset") for h in peer.heard[2:]] == ["1000", "2000", "3000"]
    assert peer.heard[1].headers["upload-length"] == "3500"


def test_what_was_stored_is_not_sent_again(peer: TusPeer) -> None:
    """The answer was lost, but the server has the chunk, and says so when asked (R9)."""
    peer.say("PATCH", "lost")
    data = upload(peer)
    assert peer.whole == data
    assert peer.asked == ["OPTIONS", "POST", "PATCH", "HEAD", "PATCH"]


def test_what_was_not_stored_is_sent_again(peer: TusPeer) -> None:
    """The server says so when asked."""
    peer.say("PATCH", "cut")
    data = upload(peer)
    assert peer.whole == data
    assert peer.asked == ["OPTIONS", "POST", "PATCH", "HEAD", "PATCH", "PATCH"]


def some(peer: TusPeer, taken: int) -> Callable[[Heard], bytes]:
    """Take only so many bytes of a request."""

    def take(heard: Heard) -> bytes:
        return peer.work(Heard(heard.line, heard.headers, heard.body[:taken]))

    return take


def test_only_what_is_missing_follows_where_less_was_taken(peer: TusPeer) -> None:
    """A server may take less than it is sent (scenario 12)."""
    peer.say("PATCH", some(peer, 300), some(peer, 1))
    data = upload(peer, 2)
    assert peer.whole == data
    assert [len(h.body) for h in peer.heard[2:]] == [1000, 700, 699]


def test_a_server_that_takes_little_is_not_flooded(peer: TusPeer) -> None:
    """After some requests there is a pause, from which it goes on where it is."""
    peer.say("PATCH", *[some(peer, 20)] * 40)
    data = content(2 * CHUNK)
    with tus_bench(peer.creation, chunk_size=CHUNK) as bench:
        retries = bench.upload(data).statistics.retries
    assert peer.whole == data
    assert peer.count("PATCH") == 41
    assert retries == {"ServerFault": 2}


def test_a_server_that_takes_nothing_is_given_up(peer: TusPeer) -> None:
    """Each attempt is one request (scenario 12)."""
    peer.say("PATCH", *[some(peer, 0)] * 50)
    error = failed(peer, ServerFault, max_attempts=3)
    assert "took none of 1,000 bytes" in str(error)
    assert error.attempts == peer.count("PATCH") == 3


def test_after_a_conflict_the_server_is_asked(peer: TusPeer) -> None:
    """409: it is elsewhere than we thought, here because it has more (R8)."""

    def ahead(heard: Heard) -> bytes:
        some(peer, 400)(heard)
        return said(409)

    peer.say("PATCH", ahead)
    data = upload(peer, 2)
    assert peer.whole == data
    assert peer.asked == ["OPTIONS", "POST", "PATCH", "HEAD", "PATCH"]
    assert peer.heard[-1].headers["upload-offset"] == "1400"


def test_a_server_that_contradicts_itself_is_given_up(peer: TusPeer) -> None:
    """It refuses the very offset that it says it is at; that is tried so often, and no more."""
    peer.say("PATCH", *[said(409)] * 50)
    error = failed(peer, ServerFault, max_attempts=3)
    assert "refuses an offset of 1,000" in str(error)
    assert peer.count("PATCH") == 3


def test_a_locked_upload_is_waited_for(peer: TusPeer) -> None:
    """423 passes by; the upload is kept, and asked for before more is sent (R8)."""
    peer.say("PATCH", said(423))
    peer.say("HEAD", said(423))
    data = upload(peer, 2)
    assert peer.whole == data
    assert peer.asked == ["OPTIONS", "POST", "PATCH", "HEAD", "HEAD", "PATCH"]


@pytest.mark.parametrize(
    ("offset", "why"),
    [
        ({}, "doesn't say how much it took"),
        ({"Upload_Offset": "much"}, "Upload-Offset without a number"),
        ({"Upload_Offset": "-1"}, "Upload-Offset without a number"),
        ({"Upload_Offset": "999"}, "went back from 1,000 to 999"),
        ({"Upload_Offset": "2001"}, "says that it has 2,001 bytes, of 2,000 sent"),
    ],
)
def test_an_impossible_offset_ends_the_upload(
    peer: TusPeer, offset: dict[str, str], why: str
) -> None:
    """Nothing is guessed, and nothing tried again (scenario 11)."""
    peer.say("PATCH", said(204, **offset))
    error = failed(peer, ProtocolViolation)
    assert why in str(error)
    assert "Upload the file again" in error.remedy or "Check the address" in error.remedy
    assert peer.count("PATCH") == 1


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"Upload_Length": "3000"}, "doesn't say how far the upload is"),
        ({"Upload_Offset": "x", "Upload_Length": "3000"}, "without a number"),
        ({"Upload_Offset": "1000", "Upload_Length": "3001"}, "expects 3,001 bytes, and not 3,000"),
        ({"Upload_Offset": "2001", "Upload_Length": "3000"}, "says that it has 2,001 bytes"),
        ({"Upload_Offset": "999", "Upload_Length": "3000"}, "has lost what it had"),
    ],
)
def test_an_impossible_state_ends_the_upload(peer: TusPeer, told: dict[str, str], why: str) -> None:
    """The same of what it says when asked; what it has confirmed can't be sent again."""
    peer.say("PATCH", "cut")
    peer.say("HEAD", said(200, **told))
    assert why in str(failed(peer, ProtocolViolation))
    assert peer.asked == ["OPTIONS", "POST", "PATCH", "HEAD"]


@bare
@pytest.mark.parametrize("status", [404, 410])
def test_an_upload_that_is_gone_is_made_anew_once(peer: TusPeer, status: int) -> None:
    """As long as all that was sent is at hand; the second time it is no accident (R8)."""
    peer.say("PATCH", said(status))
    assert upload(peer) == peer.whole
    assert peer.asked == ["OPTIONS", "POST", "PATCH", "POST", "PATCH", "PATCH", "PATCH"]
    peer.say("PATCH", said(status), said(500), said(status))
    failed(peer, FileNotFound if status == 404 else FileExpired)


@pytest.mark.parametrize(("status", "kind"), [(404, FileNotFound), (410, FileExpired)])
def test_an_upload_that_is_gone_later_is_an_error(
    peer: TusPeer, status: int, kind: type[TransferError]
) -> None:
    """What was before is not at hand any more; nothing else is made."""
    peer.say("PATCH", said(status))
    error = failed(peer, kind)
    assert error.remedy == "Upload the file again."
    assert peer.asked == ["OPTIONS", "POST", "PATCH"]


@pytest.mark.parametrize(
    ("status", "kind", "tries"),
    [
        (400, RequestRejected, 1),
        (401, LoginRefused, 1),
        (403, NotAuthorized, 1),
        (404, FileNotFound, 1),
        (409, ServerFault, 3),
        (410, FileExpired, 1),
        (412, NotSupported, 1),
        (413, RequestTooLarge, 1),
        (415, RequestRejected, 1),
        (423, ServerFault, 3),
        (429, Throttled, 3),
        (460, ChunkCorrupt, 2),
        (500, ServerFault, 3),
        (501, NotSupported, 1),
        (502, ServerFault, 3),
        (503, Overloaded, 3),
        (504, ServerFault, 3),
    ],
)
def test_each_status_of_an_append_is_tried_as_often_as_makes_sense(
    peer: TusPeer, status: int, kind: type[TransferError], tries: int
) -> None:
    """The table of R8 (scenario 6); nothing sent before is sent again."""
    peer.say("PATCH", *[said(status)] * 10)
    failed(peer, kind, max_attempts=3)
    assert (peer.count("PATCH"), peer.count("POST")) == (tries, 1)


@pytest.mark.parametrize(
    ("status", "kind", "tries"),
    [
        (400, RequestRejected, 1),
        (401, LoginRefused, 1),
        (403, NotAuthorized, 1),
        (404, NotFound, 1),
        (409, ServerFault, 3),
        (412, NotSupported, 1),
        (415, RequestRejected, 1),
        (429, Throttled, 3),
        (460, ChunkCorrupt, 2),
        (500, ServerFault, 3),
        (501, NotSupported, 1),
        (503, Overloaded, 3),
    ],
)
def test_each_status_of_a_creation_likewise(
    peer: TusPeer, status: int, kind: type[TransferError], tries: int
) -> None:
    """The same of the request that makes an upload."""
    peer.say("POST", *[said(status)] * 10)
    failed(peer, kind, max_attempts=3)
    assert peer.count("POST") == tries


def test_a_wish_to_wait_is_heard(peer: TusPeer) -> None:
    """A day is longer than anybody waits; the error says for how long (scenario 4)."""
    peer.say("PATCH", said(423, Retry_After="86400"))
    assert failed(peer, RetryAfterTooLong).retry_after == 86_400.0


# --- checksums


def test_what_is_sent_can_be_compared_there() -> None:
    """By the best digest that both know, for each request; what differs is sent once more."""
    told = {"Tus_Checksum_Algorithm": "md5,sha1,sha256"}
    with TusPeer(f"{PLAIN},checksum", **told) as peer:
        peer.say("PATCH", said(460))
        data = upload(peer, 2)
        assert peer.whole == data
        sent = [heard for heard in peer.heard if heard.body]
        assert all(h.headers["upload-checksum"].startswith("sha256 ") for h in sent)
        assert peer.asked == ["OPTIONS", "POST", "PATCH", "HEAD", "PATCH"]


# --- parts


@with_parts
def test_chunks_become_parts_and_parts_a_file(peer: TusPeer) -> None:
    """Each a request; one more names them in order, and one sees how long the whole is."""
    data = upload(peer, 3.5, cap=2)
    assert peer.whole == data
    assert peer.asked == ["OPTIONS", *["POST"] * 5, "HEAD", *["DELETE"] * 4]
    *parts, final, head = peer.heard[1:7]
    places = {heard.body: place for place, heard in enumerate(parts)}
    ordered = [peer.url(f"/files/{places[data[i : i + CHUNK]]}") for i in range(0, 3500, CHUNK)]
    assert final.headers["upload-concat"] == f"final;{' '.join(ordered)}"
    assert "upload-length" not in final.headers
    assert "upload-metadata" in final.headers
    assert final.body == b""
    assert head.target == "/files/4"
    for heard in parts:
        assert heard.headers["upload-concat"] == "partial"
        assert "upload-metadata" not in heard.headers
    assert list(peer.uploads) == ["/files/4"]


@with_parts
def test_a_small_file_has_no_parts(peer: TusPeer) -> None:
    """One request makes it."""
    assert upload(peer, 1) == peer.whole
    assert peer.asked == ["OPTIONS", "POST"]


@with_parts
def test_one_at_a_time_makes_no_parts(peer: TusPeer) -> None:
    """They would be requests for nothing."""
    data = upload(peer, 3.5, cap=1)
    assert peer.whole == data
    assert peer.asked == ["OPTIONS", "POST", "PATCH", "PATCH", "PATCH"]


@with_parts
def test_a_part_that_was_lost_is_made_anew(peer: TusPeer) -> None:
    """What nobody knows the address of is in no file."""
    peer.say("POST", "lost", "cut")
    data = upload(peer, cap=2)
    assert peer.whole == data


@with_parts
def test_a_part_that_is_gone_is_made_anew_once(peer: TusPeer) -> None:
    """Its chunk is at hand."""
    peer.say("POST", lambda heard: made(peer, heard, 10, told=10))
    peer.say("PATCH", said(404))
    data = upload(peer, cap=2)
    assert peer.whole == data


@with_parts
@pytest.mark.parametrize("told", [{}, {"Upload_Offset": "500"}])
def test_putting_together_may_take_its_time(peer: TusPeer, told: dict[str, str]) -> None:
    """The server is asked until it has done so; it is told to do so once."""
    peer.say("HEAD", said(200, Upload_Length="3000", **told))
    data = upload(peer)
    assert peer.whole == data
    assert peer.asked[4:] == ["POST", "HEAD", "HEAD", *["DELETE"] * 3]


@with_parts
def test_a_whole_of_another_length_is_no_success(peer: TusPeer) -> None:
    """The parts may have been other uploads."""
    peer.say("HEAD", said(200, Upload_Length="2999", Upload_Offset="2999"))
    assert "have become a file of 2,999" in str(failed(peer, IntegrityError))


@with_parts
def test_a_part_that_is_lost_at_the_end_is_told(peer: TusPeer) -> None:
    """It can't be sent again any more."""

    def vanish(heard: Heard) -> bytes:
        if heard.headers.get("upload-concat", "").startswith("final"):
            del peer.uploads["/files/1"]
        return peer.work(heard)

    peer.say("POST", *[vanish] * 4)
    assert "has lost a part" in str(failed(peer, NotFound, cap=2))


@with_parts
def test_a_file_of_too_many_chunks_is_sent_in_order(peer: TusPeer) -> None:
    """Their addresses would not fit into one header."""
    data = upload(peer, MAX_PARTS + 1)
    assert peer.whole == data
    assert peer.count("PATCH") == MAX_PARTS
    assert len(peer.uploads) == 1


@with_parts
def test_addresses_that_are_too_long_are_told_early(peer: TusPeer) -> None:
    """With the first part, not with the last."""

    def far(heard: Heard) -> bytes:
        peer.work(heard)
        return said(201, Location=f"/files/{'x' * 1500}", Upload_Offset=str(len(heard.body)))

    peer.say("POST", *[far] * 20)
    error = failed(peer, RequestTooLarge, chunks=12, cap=2)
    assert "Raise chunk_size" in error.remedy
    assert peer.count("POST") <= 4  # of 13: those that were handed out already


@with_parts
@pytest.mark.parametrize("status", [403, 404, 405, 500])
def test_parts_that_can_not_be_removed_are_left(peer: TusPeer, status: int) -> None:
    """The file is there all the same."""
    peer.say("DELETE", *[said(status)] * 100)
    assert upload(peer, max_attempts=2) == bytes(peer.uploads["/files/3"].data)
    assert len(peer.uploads) == 4


@pytest.mark.parametrize("peer", ["creation,creation-with-upload,concatenation"], indirect=True)
def test_parts_are_left_where_nothing_can_be_removed(peer: TusPeer) -> None:
    """It is not even tried."""
    upload(peer)
    assert peer.count("DELETE") == 0
