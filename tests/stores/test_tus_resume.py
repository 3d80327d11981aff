"""Uploads to a tus server that an earlier process has begun."""

from __future__ import annotations

import pytest

from atxfer.errors import NotFound
from atxfer.waiting import Wait
from tests.support.tusbench import opened, put, tus_bench
from tests.support.tuspeer import ALL, PLAIN, TusPeer, said
from tests.support.worlds import content

CHUNK = 1000
DATA = content(3 * CHUNK + 500)
ALL_OF_IT = range(4)


def interrupted(peer: TusPeer, *indexes: int, overhead: int = 0) -> bytes:
    """Put some chunks, end, and return the token."""
    with tus_bench(peer.creation) as bench:
        upload = opened(bench, DATA, CHUNK, overhead=overhead)
        assert upload.token == b""
        for index in indexes:
            put(upload, DATA, index, CHUNK)
        return upload.token


def finished(
    peer: TusPeer, token: bytes, overhead: int = 0, *, repeats: bool = False
) -> frozenset[int]:
    """Go on with an upload in another process; return what need not be sent."""
    with tus_bench(peer.creation) as bench:
        upload = opened(bench, DATA, CHUNK, token, overhead=overhead, repeats=repeats)
        assert upload.token == token
        assert not upload.begins
        held = upload.stored(ALL_OF_IT, Wait())
        for index in ALL_OF_IT:
            if index not in held:
                put(upload, DATA, index, CHUNK)
        upload.commit(Wait())
    assert peer.whole == DATA
    return held


@pytest.mark.parametrize("sent", [1, 2, 4])
def test_one_upload_goes_on_at_the_servers_offset(sent: int) -> None:
    """Its address is all that is kept; how far it is, the server knows."""
    with TusPeer(PLAIN) as peer:
        token = interrupted(peer, *range(sent))
        before = len(peer.heard)
        assert finished(peer, token) == frozenset(range(sent))
        assert peer.asked[before:] == ["OPTIONS", "HEAD", *["PATCH"] * (4 - sent)]


@pytest.mark.parametrize("extensions", [PLAIN, ALL])
def test_an_upload_goes_on_within_a_chunk(extensions: str) -> None:
    """What is there of it is not sent again."""
    with TusPeer(extensions) as peer:
        token = interrupted(peer, 0, 1)
        del peer.uploads["/files/0" if extensions == PLAIN else "/files/1"].data[-300:]
        assert finished(peer, token) == {0}
        (rest,) = [heard for heard in peer.heard if len(heard.body) == 300]
        assert rest.body == DATA[1700:2000]


def test_a_sealed_upload_does_not_go_on_within_a_chunk() -> None:
    """Sealed once more, the chunk is another one: another upload has to be begun."""
    with TusPeer(PLAIN) as peer:
        token = interrupted(peer, 0, 1, overhead=10)
        del peer.uploads["/files/0"].data[-300:]
        with tus_bench(peer.creation) as bench:
            upload = opened(bench, DATA, CHUNK, token, overhead=10)
            with pytest.raises(NotFound, match="within a sealed chunk"):
                upload.stored(ALL_OF_IT, Wait())


def test_a_sealed_upload_goes_on_within_a_chunk_that_is_sealed_as_before() -> None:
    """Then it has a second half, like that of a plain one."""
    with TusPeer(PLAIN) as peer:
        token = interrupted(peer, 0, 1, overhead=10)
        del peer.uploads["/files/0"].data[-300:]
        assert finished(peer, token, overhead=10, repeats=True) == {0}
        (rest,) = [heard for heard in peer.heard if len(heard.body) == 300]
        assert rest.body == DATA[1700:2000]


def test_a_sealed_upload_goes_on_between_chunks() -> None:
    """There it is the same as any other."""
    with TusPeer(PLAIN) as peer:
        token = interrupted(peer, 0, 1, overhead=10)
        assert finished(peer, token, overhead=10) == {0, 1}


def test_parts_that_are_there_are_not_sent_again() -> None:
    """In whatever order they came."""
    with TusPeer(ALL) as peer:
        token = interrupted(peer, 3, 1)
        before = len(peer.heard)
        assert finished(peer, token) == {1, 3}
        # Two are asked for, two are sent, and then the whole is made and looked at.
        assert peer.asked[before:] == ["OPTIONS", "HEAD", "HEAD", *["POST"] * 3, "HEAD"]


def test_a_sealed_part_is_begun_anew_and_the_old_one_removed() -> None:
    """It is of no use any more, and none of the whole."""
    with TusPeer(ALL) as peer:
        token = interrupted(peer, 0, 1, overhead=10)
        del peer.uploads["/files/1"].data[-300:]
        with tus_bench(peer.creation) as bench:
            upload = opened(bench, DATA, CHUNK, token, overhead=10)
            assert upload.stored(ALL_OF_IT, Wait()) == {0}
            for index in (1, 2, 3):
                put(upload, DATA, index, CHUNK)
            assert peer.count("PATCH") == 0
            for leaving in upload.commit(Wait()).leavings:
                bench.store.drop(leaving, Wait())
                bench.store.drop(leaving, Wait())  # there or not
        assert peer.whole == DATA
        assert len(peer.uploads) == 1


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_gone_is_told_before_anything_is_sent(status: int) -> None:
    """So that another upload can be begun (R8)."""
    with TusPeer(PLAIN) as peer:
        token = interrupted(peer, 0)
        peer.say("HEAD", said(status))
        with tus_bench(peer.creation) as bench, pytest.raises(NotFound):
            opened(bench, DATA, CHUNK, token).stored(ALL_OF_IT, Wait())


@pytest.mark.parametrize("status", [404, 410])
def test_a_part_that_is_gone_is_sent_again(status: int) -> None:
    """The others are there still."""
    with TusPeer(ALL) as peer:
        token = interrupted(peer, 0, 1, 2)
        peer.say("HEAD", said(status))
        assert finished(peer, token) == {1, 2}


def test_an_upload_that_has_become_another_is_not_gone_on_with() -> None:
    """The server expects another length at this address."""
    with TusPeer(PLAIN) as peer:
        token = interrupted(peer, 0)
        peer.uploads["/files/0"].length = 5
        with tus_bench(peer.creation) as bench, pytest.raises(NotFound, match="expects 5 bytes"):
            opened(bench, DATA, CHUNK, token).stored(ALL_OF_IT, Wait())


@pytest.mark.parametrize("extensions", [PLAIN, ALL])
def test_a_token_of_another_server_leads_nowhere(extensions: str) -> None:
    """No credentials go where a damaged journal points (R24)."""
    with TusPeer(extensions) as peer, TusPeer(extensions) as other:
        token = interrupted(other, 0)
        asked = len(other.heard)
        with tus_bench(peer.creation) as bench:
            upload = opened(bench, DATA, CHUNK, token)
            with pytest.raises(NotFound, match="on another server"):
                upload.stored(ALL_OF_IT, Wait())
            assert upload.token == b""
        assert len(other.heard) == asked


def test_a_token_of_parts_is_none_of_one_upload() -> None:
    """The server has lost an extension since."""
    with TusPeer(ALL) as peer:
        token = interrupted(peer, 0, 1)
        peer.extensions = PLAIN
        with tus_bench(peer.creation) as bench, pytest.raises(NotFound, match="other parts"):
            opened(bench, DATA, CHUNK, token).stored(ALL_OF_IT, Wait())


@pytest.mark.parametrize("extensions", [PLAIN, ALL])
def test_what_was_begun_can_be_removed(extensions: str) -> None:
    """By who has begun it, or by its token."""
    with TusPeer(extensions) as peer, tus_bench(peer.creation) as bench:
        upload = opened(bench, DATA, CHUNK)
        put(upload, DATA, 0, CHUNK)
        upload.abort(Wait())
        upload.abort(Wait())
        assert (peer.uploads, upload.token) == ({}, b"")


def test_where_nothing_can_be_removed_it_is_left() -> None:
    """It expires some time, or it does not; there is nothing that we could do."""
    with TusPeer("creation,creation-with-upload") as peer, tus_bench(peer.creation) as bench:
        upload = opened(bench, DATA, CHUNK)
        put(upload, DATA, 0, CHUNK)
        upload.abort(Wait())
        assert peer.count("DELETE") == 0


def test_nothing_sent_is_nothing_to_ask_for() -> None:
    """An upload that was never begun holds no chunk."""
    with TusPeer(PLAIN) as peer, tus_bench(peer.creation) as bench:
        assert opened(bench, DATA, CHUNK).stored(ALL_OF_IT, Wait()) == frozenset()
        assert peer.count("HEAD") == 0
