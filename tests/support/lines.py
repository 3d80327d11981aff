"""A client that speaks to a server line by line, with no protocol of ours in between."""

from __future__ import annotations

import functools
import socket
import ssl
from pathlib import Path
from typing import Optional, Union

from atxfer._crypto.atkeys import AtKeys
from atxfer.devserver import DevServer

TIMEOUT = 20.0


class LineClient:
    """One TLS connection.

    Args:
        world: The development server.
        to: An atSign, or ``directory``.
        greeted: Whether to read the first prompt at once.
    """

    def __init__(self, world: DevServer, to: str = "@alice", *, greeted: bool = True) -> None:
        self._world = world
        self.atsign = to
        port = world.root_port if to == "directory" else world.servers[to]
        context = ssl.create_default_context(cafile=world.ca_file)
        raw = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self._socket = context.wrap_socket(raw, server_hostname="localhost")
        self._logged_in = False
        if greeted:
            assert self.read_until(b"@") == "@"

    def __enter__(self) -> LineClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()

    @property
    def prompt(self) -> bytes:
        """What follows an answer."""
        return f"{self.atsign}@".encode() if self._logged_in else b"@"

    def write(self, data: Union[str, bytes]) -> None:
        """Send bytes as they are, in one packet."""
        self._socket.sendall(data.encode() if isinstance(data, str) else data)

    def read_until(self, end: bytes, count: int = 1) -> str:
        """Return what comes until it ends so, having held it so often; or until the end."""
        data = b""
        while not (data.endswith(end) and data.count(end) >= count):
            more = self._receive()
            if not more:
                break
            data += more
        return data.decode()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except (ConnectionError, ssl.SSLError):
            return b""

    def ask(self, line: str) -> str:
        """Send a line, and return the answer without line break and prompt."""
        self.write(f"{line}\n")
        return self.answer()

    def answer(self) -> str:
        """Return the next answer without line break and prompt."""
        end = b"\n" + self.prompt
        text = self.read_until(end)
        assert text.endswith(end.decode()), f"no answer but {text!r}"
        return text[: -len(end.decode())]

    def notification(self) -> str:
        """Return the next line that a monitor hears."""
        return self.read_until(b"\n").rstrip("\n")

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed the connection; waits for it to send or to close."""
        return self._receive() == b""

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come that was not read."""
        self._socket.setblocking(False)
        try:
            return not self._socket.recv(1 << 16)
        except (ssl.SSLWantReadError, BlockingIOError):
            return True
        finally:
            self._socket.settimeout(TIMEOUT)

    def log_in(self, keys: Optional[AtKeys] = None, enrollment_id: str = "") -> LineClient:
        """Log in by PKAM, by default with the key file of the world."""
        challenge = self.ask(f"from:{self.atsign}")[len("data:") :]
        keys = keys or keys_of(self._world, self.atsign)
        option = f"enrollmentId:{enrollment_id}:" if enrollment_id else ""
        self.write(f"pkam:{option}{keys.sign(challenge)}\n")
        self._logged_in = True
        assert self.answer() == "data:success"
        return self

    def logged_in(self) -> None:
        """Expect the prompt of a login that was made by hand."""
        self._logged_in = True


def keys_of(world: DevServer, atsign: str) -> AtKeys:
    """Return the keys of one of the world's atSigns."""
    return _read_keys(world.keys_dir, atsign)


@functools.cache
def _read_keys(folder: str, atsign: str) -> AtKeys:
    # Checking two RSA keys takes longer than most tests.
    return AtKeys.read(Path(folder, f"{atsign}_key.atKeys"), atsign)


def owner(world: DevServer, atsign: str = "@alice") -> LineClient:
    """Return a connection that is logged in."""
    return LineClient(world, atsign).log_in()
