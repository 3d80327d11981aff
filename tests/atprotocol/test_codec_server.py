"""The server's side of a connection: commands in, prompts out."""

from __future__ import annotations

import pytest

from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.codec import MAX_LINE, Connection, Role
from atxfer.atprotocol.errors import LocalProtocolError
from atxfer.atprotocol.events import NEED_DATA, Answer, Closed, Command, Oversized
from atxfer.atprotocol.verb import Verb
from atxfer.atprotocol.verbs import From, Llookup, Noop, Pkam, parse
from tests.atprotocol.reading import read


def server() -> Connection:
    """Return @alice's side of a new connection."""
    return Connection(Role.SERVER, atsign="@alice")


def test_the_prompt_follows_every_answer_and_changes_with_the_login() -> None:
    """The short one greets."""
    connection = server()
    assert connection.greeting() == b"@"
    assert connection.answer("data:é") == "data:é\n@".encode()
    connection.logged_in = True
    assert connection.answer("data:success") == b"data:success\n@alice@"


def test_an_answer_may_go_without_prompt() -> None:
    """Before closing, and for notifications."""
    assert server().answer("error:AT0012-x", prompt=False) == b"error:AT0012-x\n"


def test_a_command_may_come_in_several_packets() -> None:
    """It ends where a packet ends with a line break."""
    assert read(server(), [b"llookup:k1.at", b"xfer@alice\n"]) == [
        Command("llookup:k1.atxfer@alice")
    ]


def test_several_commands_may_come_in_packets_of_their_own() -> None:
    """Each is one, even if nobody asked for events in between."""
    connection = server()
    for _ in range(3):
        connection.receive_data(b"info\n")
    assert [connection.next_event() for _ in range(3)] == [Command("info")] * 3
    assert connection.next_event() is NEED_DATA


def test_two_lines_in_one_packet_are_one_command() -> None:
    """As in the original (facts §2); its syntax then fails."""
    assert read(server(), [b"info\ninfo\n"]) == [Command("info\ninfo")]
    assert read(server(), [b"info\nin", b"fo\n"]) == [Command("info\ninfo")]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"info\r\n", "info"),
        (b"  info \t\n", "info"),
        (b"\n", ""),
        ("update:k@alice  é \n".encode(), "update:k@alice  é"),
        ("\ufeffinfo\u3000\n".encode(), "info"),
        (b"update:k@alice x\x1c\n", "update:k@alice x\x1c"),
    ],
)
def test_white_space_around_a_line_is_lost(raw: bytes, line: str) -> None:
    """The original trims lines before it reads them."""
    assert read(server(), [raw]) == [Command(line)]


def test_a_line_that_is_no_utf8_is_dropped_without_an_answer() -> None:
    """The original logs it and goes on (inbound_message_listener.dart)."""
    assert read(server(), [b"\xff\n", b"info\n"]) == [Command("info")]


def test_a_line_fills_the_buffer_and_not_more() -> None:
    """10,240,000 bytes with the line break; one more is too much, line break or not."""
    assert read(server(), [b"x" * (MAX_LINE - 1), b"\n"]) == [Command("x" * (MAX_LINE - 1))]
    assert read(server(), [b"x" * MAX_LINE, b"\n"]) == [Oversized()]


def test_nothing_is_heard_after_an_oversized_line() -> None:
    """The connection is to be closed."""
    assert read(server(), [b"x" * (MAX_LINE + 1), b"info\n", b""]) == [Oversized(), Closed()]


def test_the_end_follows_what_came_before_it() -> None:
    """Commands are told first; a half one is lost."""
    connection = server()
    for data in (b"info\n", b"inf", b""):
        connection.receive_data(data)
    assert connection.next_event() == Command("info")
    assert connection.next_event() == Closed()
    assert connection.next_event() == Closed()


def test_a_server_does_not_ask() -> None:
    """That is the client's part."""
    with pytest.raises(LocalProtocolError):
        server().send(Noop())


def test_lines_are_in_no_repr() -> None:
    """A line carries values and signatures."""
    assert "secret" not in repr(Command("cram:secret"))


def test_both_ends_understand_each_other() -> None:
    """A login and a look-up, from the greeting to the last prompt."""
    asks, answers = Connection(Role.CLIENT, atsign="@alice"), server()

    def ask(verb: Verb, answer: str, *, logs_in: bool = False) -> list[object]:
        [command] = read(answers, [asks.send(verb)])
        assert isinstance(command, Command)
        assert parse(command.line, logged_in=answers.logged_in) == verb
        answers.logged_in = answers.logged_in or logs_in
        return list(read(asks, [answers.answer(answer)]))

    read(asks, [answers.greeting()])
    assert ask(From("@alice"), "data:challenge") == [Answer("challenge")]
    assert ask(Pkam("c2ln"), "data:success", logs_in=True) == [Answer("success")]
    assert ask(Llookup(AtKey.self_("k1", "@alice")), "data:v") == [Answer("v")]
    assert asks.logged_in
