"""The atDirectory beyond what the transcript has."""

from __future__ import annotations

from atxfer.devserver import DevServer
from tests.devserver.conftest import Connect
from tests.support.lines import LineClient


def ask(client: LineClient, name: str) -> str:
    """Return the directory's answer."""
    client.write(f"{name}\n")
    answer, _, prompt = client.read_until(b"\n@").partition("\r\n")
    assert prompt == "@"
    return answer


def test_it_names_the_servers_address(atserver: DevServer, connect: Connect) -> None:
    """Any case, without @."""
    directory = connect("directory")
    port = atserver.servers["@alice"]
    assert ask(directory, "Alice") == f"localhost:{port}"
    assert ask(directory, "@alice") == "null"


def test_it_answers_lines_that_come_together(atserver: DevServer, connect: Connect) -> None:
    """And lines that come in pieces."""
    directory = connect("directory")
    directory.write("ali")
    directory.write("ce\nnobody\n")
    text = directory.read_until(b"null\r\n@")
    assert text == f"localhost:{atserver.servers['@alice']}\r\n@null\r\n@"


def test_a_directory_that_is_down_cuts(atserver: DevServer, connect: Connect) -> None:
    """Old connections at their next line, new ones at once."""
    before = connect("directory")
    atserver.faults.directory_down = True
    before.write("alice\n")
    assert before.is_closed
    assert connect("directory", greeted=False).is_closed
