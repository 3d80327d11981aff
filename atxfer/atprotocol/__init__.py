"""The atProtocol as values, for both ends: bytes in, events out; no socket, no clock, no thread.

* :mod:`~atxfer.atprotocol.codec`: :class:`~atxfer.atprotocol.codec.Connection` takes and gives
  bytes,
* :mod:`~atxfer.atprotocol.events`: what the bytes were,
* :mod:`~atxfer.atprotocol.verbs`: what can be asked, and how a server reads it,
* :mod:`~atxfer.atprotocol.atkey`, :mod:`~atxfer.atprotocol.metadata`: names of records, and what
  they carry beside their value,
* :mod:`~atxfer.atprotocol.errors`: one class for each code of the server.
"""

from atxfer.atprotocol.atkey import AtKey, normalise_atsign
from atxfer.atprotocol.codec import Connection, Role
from atxfer.atprotocol.errors import AtError, LocalProtocolError, RemoteProtocolError, error_for
from atxfer.atprotocol.events import (
    NEED_DATA,
    Answer,
    Closed,
    Command,
    Event,
    Failure,
    Notification,
    Oversized,
)
from atxfer.atprotocol.metadata import Metadata
from atxfer.atprotocol.verbs import Mode, Verb, parse

__all__ = [
    "NEED_DATA",
    "Answer",
    "AtError",
    "AtKey",
    "Closed",
    "Command",
    "Connection",
    "Event",
    "Failure",
    "LocalProtocolError",
    "Metadata",
    "Mode",
    "Notification",
    "Oversized",
    "RemoteProtocolError",
    "Role",
    "Verb",
    "error_for",
    "normalise_atsign",
    "parse",
]
