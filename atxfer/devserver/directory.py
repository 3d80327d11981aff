"""The atDirectory: a name in, an address out (facts §1)."""

from __future__ import annotations

from typing import Callable, Optional

from atxfer.devserver.wire import Wire

Address = Callable[[str], Optional[str]]


class DirectorySession:
    """One connection to the atDirectory.

    Threads: belongs to the event loop's thread.

    Args:
        address: Gives ``host:port`` for a name in lower case without ``@``, or None.
        wire: The connection.
        down: Whether nobody is to be served.
    """

    def __init__(self, address: Address, wire: Wire, down: Callable[[], bool]) -> None:
        self._address = address
        self._wire = wire
        self._down = down
        self._buffer = b""

    def opened(self) -> None:
        """Greet."""
        if self._down():
            self._wire.abort()
        else:
            self._wire.write(b"@")

    def received(self, data: bytes, arrived: float) -> None:
        """Answer each line that is whole."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            name = line.decode("utf-8", "replace").strip()
            if self._down():
                self._wire.abort()
            elif name == "@exit":
                self._wire.close()
            else:
                self._answer(name)

    def _answer(self, name: str) -> None:
        found = None if name.startswith("@") else self._address(name.lower())
        self._wire.write(f"{found or 'null'}\r\n@".encode())

    def ended(self) -> None:
        """Nothing is kept of a connection."""
