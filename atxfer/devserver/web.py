"""One connection to an atServer by HTTP: public records by GET (facts §12).

Read in the real server's source, its gaps included: whether a record has expired is not looked at,
so it is served until the sweep takes it; neither the limit of connections nor a pause of the server
is heeded; and whatever fails inside is answered with an empty 200.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from dataclasses import dataclass
from typing import Optional

from atxfer._format import base2e15
from atxfer.atprotocol import errors
from atxfer.devserver.costs import Work
from atxfer.devserver.faults import corrupted
from atxfer.devserver.http import (
    MAX_TARGET,
    Event,
    Reader,
    Request,
    content_type,
    encode,
    lookup_key,
)
from atxfer.devserver.reading import compact
from atxfer.devserver.records import Record
from atxfer.devserver.turns import House, Reply, Turn, Turns
from atxfer.devserver.wire import Wire

__all__ = ["WebSession"]

_GIBBERISH = b"gibberish, of no protocol\r\n\r\n"

# How an error of the fault plan looks from here; any other is 500.
_STATUSES: tuple[tuple[type[errors.AtError], int], ...] = (
    (errors.KeyNotFound, 404),
    (errors.TooManyRequests, 429),
    (errors.InboundLimit, 503),
    (errors.ServerPaused, 503),
)


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes = b""
    kind: Optional[str] = None
    reads: int = 0


class WebSession:
    """The server's side of one connection.

    Threads: belongs to the event loop's thread.

    Args:
        server: Whose it is.
        wire: The connection.
    """

    def __init__(self, server: House, wire: Wire) -> None:
        self._server = server
        self._wire = wire
        self._reader = Reader()
        self._turns: Turns[Event] = Turns(server, wire, self)

    # --- what the wire calls

    def opened(self) -> None:
        """Greet by nothing; securing the connection has kept the core busy all the same."""
        self._server.seconds_for(Work(login="tls"), asyncio.get_running_loop().time())

    def received(self, data: bytes, arrived: float) -> None:
        """Take in one packet."""
        if self._turns.closed:
            return
        self._turns.heard(len(data), arrived)
        for event in self._reader.receive(data):
            self._turns.add(event, event.method.lower())

    def ended(self) -> None:
        """Forget the connection."""
        self._turns.ended()

    # --- one request

    async def reply(self, turn: Turn[Event], fault: str) -> Reply:
        """Do what a request asks."""
        event, closes = turn.what, not turn.what.keeps_alive
        if fault == "garbage":
            return Reply(_GIBBERISH, Work(turn.size), closes=True)
        if fault in errors.AtError.by_code:
            return Reply(encode(event, self._status_for(fault)), Work(turn.size), closes)
        try:
            answer = self._answer(event, fault)
        except ValueError:  # the real server's own catch-all; percent signs that mean no UTF-8
            answer = _Answer(200)
        work = Work(turn.size, len(answer.body), reads=answer.reads)
        return Reply(encode(event, answer.status, answer.body, answer.kind), work, closes)

    def _status_for(self, code: str) -> int:
        self._server.tally.error(code)
        kind = errors.AtError.by_code[code]
        return next((status for error, status in _STATUSES if issubclass(kind, error)), 500)

    def _answer(self, event: Event, fault: str) -> _Answer:
        if not isinstance(event, Request) or len(event.target) > MAX_TARGET or event.path == "/ws":
            return _Answer(400)
        if event.method != "GET":
            return _Answer(405)
        atsign = self._server.atsign
        key = lookup_key(urllib.parse.unquote(event.path, errors="strict"), atsign)
        record = self._server.keys.find(key)
        if record is None:
            self._server.tally.error(errors.KeyNotFound.code)
            return _Answer(404, b"404 Not Found")
        body = self._shown(record, key, event.query.get("at_rt", ""), fault)
        if body is None:
            return _Answer(200, reads=1)
        binary = bool(record.metadata.is_binary)
        return _Answer(200, body, content_type(key, atsign, event.query, binary=binary), reads=1)

    def _shown(self, record: Record, key: str, form: str, fault: str) -> Optional[bytes]:
        value = record.value
        if value is None:
            return None
        if fault == "corrupt":
            value = corrupted(value, self._server.world.faults.rng)
        if form == "meta":
            return compact(record.metadata_json()).encode()
        if record.metadata.is_binary:
            return base2e15.decode(value)
        if form == "all":
            value = compact({"key": key, "data": value, "metaData": record.metadata_json()})
        return value.encode()

    # --- the end

    def hang_up(self) -> None:
        """Close the connection after what was written."""
        self._turns.closed = True
        self._wire.close()

    def cut(self) -> None:
        """Break the connection, as a crash or a bad network does."""
        self._turns.closed = True
        self._wire.abort()
