"""What activation and enrolment work with: one atSign, its server, and where its keys lie."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from atxfer._net.connection import AtConnection, Login
from atxfer._net.directory import Directory
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound
from atxfer.atprotocol.verbs import Llookup, Lookup, Verb
from atxfer.config import TransferConfig
from atxfer.errors import ConnectFailed
from atxfer.waiting import Wait

__all__ = ["Site"]


@dataclass(frozen=True)
class Site:
    """One atSign and its surroundings.

    Nothing is tried twice: what these steps change at the server is changed once in an atSign's or
    a device's life, and whoever is interrupted calls again.

    Attributes:
        atsign: Whose server, as ``@alice``.
        key_path: Where its key file lies, or would lie.
        directory: Who knows its server.
        context: Who vouches for it.
        config: How patient.
        wait: What ends everything early.
    """

    atsign: str
    key_path: Path
    directory: Directory
    context: ssl.SSLContext
    config: TransferConfig
    wait: Wait = field(default_factory=Wait)

    @contextlib.contextmanager
    def connected(self, login: Optional[Login] = None) -> Iterator[AtConnection]:
        """Yield a connection, logged in if there are keys.

        Raises:
            TransferError: As :meth:`AtConnection.open` does.
        """
        server = self.directory.resolve(self.atsign, self.wait)
        try:
            connection = AtConnection.open(
                server,
                self.context,
                atsign=self.atsign,
                login=login,
                wait=self.wait,
                connect_timeout=self.config.connect_timeout,
                request_timeout=self.config.request_timeout,
            )
        except ConnectFailed:
            self.directory.forget(self.atsign)  # it may have moved (facts §1)
            raise
        try:
            yield connection
        finally:
            connection.close()

    def ask(self, connection: AtConnection, verb: Verb) -> str:
        """Return the text of an answer.

        Raises:
            TransferError: As :meth:`AtConnection.ask` does.
        """
        return connection.ask(verb, self.wait, self.config.request_timeout).data

    def public_key(self, connection: AtConnection) -> Optional[str]:
        """Return the public encryption key, base64 of DER; None before the activation."""
        key = AtKey.public("publickey", self.atsign, "")
        # An enrolled device may not lookup what anybody may (measured on 3.0.52).
        verb = Llookup(key) if connection.logged_in else Lookup(key)
        try:
            return self.ask(connection, verb)
        except KeyNotFound:
            return None
