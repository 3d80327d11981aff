"""The client's side of a connection: what the server's bytes mean."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.codec import MAX_LINE, Connection, Role
from atxfer.atprotocol.errors import LocalProtocolError, RemoteProtocolError
from atxfer.atprotocol.events import NEED_DATA, Answer, Closed, Event, Failure, Notification
from atxfer.atprotocol.verbs import Cram, Exit, From, Monitor, Noop, Pkam, Update
from atxfer.errors import RequestTooLarge
from tests.atprotocol.reading import asking, client, read, splits, tr

LOGIN = Pkam("c2lnbmVk")


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (b"data:v1\n@", Answer("v1")),
        (b"data:\n@", Answer("")),
        (b"data:null\n@", Answer("null")),
        (b"data:  spaces kept\n@", Answer("  spaces kept")),
        (b'data: [{"id":"1"}]\n@', Answer(' [{"id":"1"}]')),
        (b"data:@\n@", Answer("@")),
        (b"data:@alice@\n@", Answer("@alice@")),
        ("data:héllo 😀\n@".encode(), Answer("héllo 😀")),
        (b"error:AT0015-key not found : x\n@", Failure("AT0015", "key not found : x")),
        (b"error:AT0026:enrollment_id: 5 is\n@", Failure("AT0026", "enrollment_id: 5 is")),
        (
            b'error:{"errorCode":"AT0401","errorDescription":"Exception: no"}\n@',
            Failure("AT0401", "Exception: no"),
        ),
        (b"error:AT0003-a\n e.g from:@alice\n@", Failure("AT0003", "a\n e.g from:@alice")),
        (b"error:AT0011-not json\n^\n\n@", Failure("AT0011", "not json\n^\n")),
        (b"error:AT0012\n@", Failure("AT0012", "")),
        (b"error:odd\n@", Failure("", "odd")),
        (b'error:{"code":1}\n@', Failure("", '{"code":1}')),
        (b"error:[1]\n@", Failure("", "[1]")),
        (b"error:\n@", Failure("", "")),
    ],
)
@pytest.mark.parametrize("logged_in", [False, True])
def test_an_answer_is_read_however_it_is_split(raw: bytes, event: Event, logged_in: bool) -> None:
    """Whole, byte by byte, and cut at every place, with either prompt."""
    if logged_in:
        raw = raw[:-1] + b"@alice@"
    tr(asking(logged_in=logged_in), raw, [event])


def test_the_first_prompt_may_come_after_the_first_request() -> None:
    """A client saves a round trip by not waiting for it."""
    connection = Connection(Role.CLIENT, atsign="@alice")
    connection.send(From("@alice"))
    tr(connection, b"@data:challenge\n@", [Answer("challenge")])


def test_a_prompt_alone_is_no_event() -> None:
    """There is nothing to tell."""
    connection = Connection(Role.CLIENT, atsign="@alice")
    assert read(connection, [b"@"]) == []


@pytest.mark.parametrize("verb", [LOGIN, Cram("00ff")])
def test_the_prompt_changes_with_the_answer_to_the_login(verb: Pkam) -> None:
    """The answer itself is followed by the new one."""
    connection = client(verb)
    tr(connection, b"data:success\n@alice@", [Answer("success")])
    assert connection.logged_in
    connection.send(Noop())
    tr(connection, b"data:ok\n@alice@", [Answer("ok")])


def test_a_refused_login_leaves_the_prompt() -> None:
    """The next try goes over the same connection."""
    connection = client(LOGIN)
    tr(connection, b"error:AT0401-Exception: no\n@", [Failure("AT0401", "Exception: no")])
    assert not connection.logged_in
    connection.send(LOGIN)
    tr(connection, b"data:success\n@alice@", [Answer("success")])


def test_only_the_word_success_is_a_login() -> None:
    """Whatever else a server has to say to a signature leaves the prompt as it was."""
    connection = client(LOGIN)
    tr(connection, b"data:successful\n@", [Answer("successful")])
    assert not connection.logged_in


def test_an_answer_before_the_greeting_is_refused() -> None:
    """The first byte of a connection is its prompt, or the reason why there is none."""
    connection = Connection(Role.CLIENT, atsign="@alice")
    connection.send(From("@alice"))
    with pytest.raises(RemoteProtocolError, match="out of turn"):
        read(connection, [b"data:challenge\n@"])


def test_success_of_another_request_is_no_login() -> None:
    """Only the answers to pkam and cram log in."""
    connection = asking()
    tr(connection, b"data:success\n@", [Answer("success")])
    assert not connection.logged_in


def test_an_answer_waits_for_its_prompt() -> None:
    """It may come in a packet of its own, and in pieces."""
    connection = asking(logged_in=True)
    assert read(connection, [b"data:v1\n", b"@al", b"ice"]) == []
    assert connection.is_awaiting_answer
    assert read(connection, [b"@"]) == [Answer("v1")]
    assert not connection.is_awaiting_answer


def test_an_error_line_that_quotes_the_prompt_of_strangers_goes_on() -> None:
    """After login the short prompt is text like any other."""
    raw = b"error:AT0011-x\n@\n@alice@"
    tr(asking(logged_in=True), raw, [Failure("AT0011", "x\n@")])


def test_a_server_that_has_no_room_says_so_and_closes() -> None:
    """No prompt before, none after (transcript); whether asked already or not."""
    events = [Failure("AT0012", "Inbound connection limit exceeded"), Closed()]
    raw = b"error:AT0012-Inbound connection limit exceeded\n"
    for connection in (
        Connection(Role.CLIENT, atsign="@alice"),
        asking(),
        client(),
        asking(logged_in=True),
    ):
        for pieces in splits(raw):
            assert read(copy.deepcopy(connection), [*pieces, b""]) == events


@pytest.mark.parametrize(
    "raw", [b"", b"da", b"data:v1", b"data:v1\n", b"error:AT0015-x", b"error:AT0015-x\n@al"]
)
def test_an_end_within_an_answer_is_an_end(raw: bytes) -> None:
    """What came is no answer: whether the work was done is not known."""
    connection = asking(logged_in=True)
    assert read(connection, [raw, b""] if raw else [b""]) == [Closed()]
    assert connection.next_event() == Closed()


def test_notifications_come_line_by_line_without_prompts() -> None:
    """Several in one packet, one in several packets."""
    raw = b'notification: {"id":"1"}\nnotification: {"id":"2"}\n'
    connection = client(Monitor(), logged_in=True)
    assert not connection.is_awaiting_answer
    tr(connection, raw, [Notification('{"id":"1"}'), Notification('{"id":"2"}')])


def test_a_monitor_may_be_asked_something_between_notifications() -> None:
    """A heartbeat, for instance: its answer has a prompt, what comes around it has none."""
    connection = client(Monitor(), logged_in=True)
    connection.send(Noop())
    raw = b"notification: {1}\ndata:ok\n@alice@notification: {2}\n"
    tr(connection, raw, [Notification("{1}"), Answer("ok"), Notification("{2}")])


def test_a_refused_monitor_is_none() -> None:
    """The failure is told, and a notification is then out of turn."""
    connection = client(Monitor())
    tr(connection, b"error:AT0401-no auth\n@", [Failure("AT0401", "no auth")])
    with pytest.raises(RemoteProtocolError, match="out of turn"):
        read(connection, [b"notification: {}\n"])


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"DATA:x\n@",
        b"datum",
        b" data:x\n@",
        b"@data:x\n@",
        b"proof:x\n@",
        b"notification: {}\n",
        b"data:\xff\xfe\n@",
        b"error:\xff\n@",
        b"data:x\ndata:y\n@",
        b"data:x\n\n@",
    ],
)
def test_what_is_no_answer_is_refused_however_it_is_split(raw: bytes) -> None:
    """Other protocols, other encodings, other forms."""
    for pieces in splits(raw):
        with pytest.raises(RemoteProtocolError):
            read(asking(), pieces)


def test_garbage_is_refused_before_its_line_ends() -> None:
    """Nobody waits for the rest of what can't become an answer."""
    with pytest.raises(RemoteProtocolError, match="of no known form"):
        read(asking(), [b"HT"])


@pytest.mark.parametrize("raw", [b"data:x\n@", b"d", b"error:AT0001-x\n@"])
def test_an_answer_to_nothing_is_refused(raw: bytes) -> None:
    """It would be taken for the answer to the next request."""
    with pytest.raises(RemoteProtocolError, match=r"out of turn|of no known form"):
        read(client(), [raw])


def test_bytes_behind_an_answer_are_refused_after_it() -> None:
    """The answer is whole; the connection is done for."""
    connection = asking()
    connection.receive_data(b"data:x\n@data:y\n@")
    assert connection.next_event() == Answer("x")
    with pytest.raises(RemoteProtocolError, match="out of turn"):
        connection.next_event()


def test_a_violation_stays() -> None:
    """Nothing that comes later can mend it, and nothing can be sent any more."""
    connection = asking()
    with pytest.raises(RemoteProtocolError):
        read(connection, [b"\x00"])
    connection.receive_data(b"data:x\n@")
    with pytest.raises(RemoteProtocolError, match="of no known form"):
        connection.next_event()
    with pytest.raises(LocalProtocolError, match="over"):
        connection.send(Noop())


@pytest.mark.parametrize("opening", [b"data:", b"error:AT0001-"])
def test_an_oversized_answer_is_refused_while_it_comes(opening: bytes) -> None:
    """Memory is bounded, whether the line ends or not."""
    connection = asking(max_answer=1000)
    read(connection, [opening + b"x" * 900])
    with pytest.raises(RemoteProtocolError, match="more than 1000 bytes"):
        read(connection, [b"x" * 200])


def test_an_oversized_error_of_many_lines_is_refused() -> None:
    """Line breaks don't begin it anew."""
    with pytest.raises(RemoteProtocolError, match="more than 1000 bytes"):
        read(asking(max_answer=1000), [b"error:AT0001-" + b"x\n" * 600])


def test_an_answer_of_exactly_the_limit_is_read() -> None:
    """The limit is what is allowed."""
    raw = b"data:" + b"x" * 995
    assert read(asking(max_answer=1000), [raw + b"\n@"]) == [Answer("x" * 995)]


class CountingBuffer(bytearray):
    """A buffer that counts the bytes that were searched."""

    searched = 0

    def find(self, what: bytes, start: int) -> int:  # type: ignore[override]
        """Search, and count."""
        place = super().find(what, start)
        self.searched += (len(self) if place < 0 else place + 1) - start
        return place


def test_a_large_answer_is_searched_once() -> None:
    """Ten megabytes in small pieces cost as much as in one: each byte is looked at once."""
    connection = asking()
    connection._buffer = buffer = CountingBuffer()
    raw = b"data:" + b"x" * 10_000_000 + b"\n@"
    pieces = [raw[start : start + 16384] for start in range(0, len(raw), 16384)]
    events = read(connection, pieces)
    assert [len(event.data) for event in events if isinstance(event, Answer)] == [10_000_000]
    assert buffer.searched <= len(raw) + 1


def test_a_second_request_waits_for_the_first_answer() -> None:
    """Lines sent quickly one after another may never be answered (facts §2)."""
    connection = asking()
    with pytest.raises(LocalProtocolError, match="has not come yet"):
        connection.send(Noop())


def test_nothing_is_sent_over_a_closed_connection() -> None:
    """Nobody would read it."""
    connection = client()
    read(connection, [b""])
    with pytest.raises(LocalProtocolError, match="over"):
        connection.send(Noop())


def test_an_exit_is_answered_by_the_end() -> None:
    """The server closes, and says nothing."""
    connection = client(Exit(), logged_in=True)
    assert read(connection, [b""]) == [Closed()]


def test_a_request_is_a_line() -> None:
    """UTF-8, ended by a line feed."""
    assert client().send(From("@alice")) == b"from:@alice\n"


def test_a_request_larger_than_the_servers_buffer_is_not_sent() -> None:
    """The server would drop the connection; nothing has left, so it stays of use."""
    key = AtKey.self_("k1", "@alice")
    fixed = len("update:k1.atxfer@alice \n")
    connection = client(logged_in=True)
    with pytest.raises(RequestTooLarge, match="10240001 bytes"):
        connection.send(Update(key, "x" * (MAX_LINE - fixed + 1)))
    assert len(connection.send(Update(key, "x" * (MAX_LINE - fixed)))) == MAX_LINE


def test_a_value_that_may_not_be_sent_leaves_the_connection_as_it_was() -> None:
    """The request was never made."""
    connection = client(logged_in=True)
    with pytest.raises(ValueError, match="null"):
        connection.send(Update(AtKey.self_("k1", "@alice"), "null"))
    assert not connection.is_awaiting_answer


def test_a_client_does_not_answer_and_does_not_greet() -> None:
    """That is the server's part."""
    with pytest.raises(LocalProtocolError):
        client().answer("data:x")
    with pytest.raises(LocalProtocolError):
        client().greeting()


def test_what_was_read_is_in_no_repr_and_no_error() -> None:
    """Values, errors that quote them, notifications, and what was no UTF-8."""
    events = [Answer("secret"), Failure("AT0011", "secret"), Notification("secret")]
    assert "secret" not in repr(events)
    with pytest.raises(RemoteProtocolError) as caught:
        read(asking(), [b"data:secret\xff\n@"])
    assert caught.value.__cause__ is None
    assert b"secret" not in pickle.dumps(caught.value)


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=6), st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_events_or_a_violation(pieces: list[bytes], logged_in: bool) -> None:
    """A client never stumbles over what a server sends, and always gets to an end."""
    connection = asking(logged_in=logged_in)
    try:
        events = read(connection, [*pieces, b""])
    except RemoteProtocolError:
        return
    assert events[-1] == Closed()
    assert connection.next_event() is not NEED_DATA
