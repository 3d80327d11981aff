"""One client's connection: TCP, the simulated network, and TLS.

TLS is done here on memory buffers instead of by asyncio, for three reasons. Delay must lie below
TLS, so that a handshake costs its round trips. A TLS record must reach the protocol as one packet,
since the servers take what comes in one packet as one command (facts §2), and asyncio joins
records. And a delaying proxy in front of each port would copy every byte through the kernel once
more.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import Callable, Optional, Protocol, cast

from atxfer.devserver.counters import Tally
from atxfer.devserver.delay import HIGH_WATER, DelayLine, Distance

_RECORD = 1 << 14  # the most a TLS record carries
_LINGER_SECONDS = 2.0  # how long a client may take to notice that we closed


class Far(Protocol):
    """What a wire brings its bytes to: the server's side of one connection."""

    def opened(self) -> None:
        """The handshake is done; a greeting may be sent."""
        ...

    def received(self, data: bytes, arrived: float) -> None:
        """One packet came.

        Args:
            data: What was in it.
            arrived: Loop time when it reached our end of the client's wire, before the delay.
        """
        ...

    def ended(self) -> None:
        """The connection is gone. Called once."""
        ...


Accept = Callable[["Wire", Optional[str]], Far]
"""Makes the server's side of a connection that speaks this protocol, by ALPN, or none."""


@dataclass(frozen=True)
class Line:
    """What all wires of one server share.

    Attributes:
        context: Gives the TLS context for a new connection (a fault may exchange it).
        network: How far away the server is.
        tally: Where to count.
        deaf: Whether a new connection is never secured.
        dead: Whether nothing is heard of a connection once it is secured (the black hole); it is
            told a number from 0 to 1, the same for the life of the connection.
        chance: Where that number comes from.
        wires: All that are open.
    """

    context: Callable[[], ssl.SSLContext]
    network: Distance
    tally: Tally
    deaf: Callable[[], bool]
    dead: Callable[[float], bool]
    chance: Callable[[], float]
    wires: set[Wire] = field(default_factory=set)

    def cut(self) -> None:
        """Break all connections at once, as the end of a process does."""
        for wire in list(self.wires):
            wire.kill()


class Wire(asyncio.Protocol):
    """One accepted connection.

    Threads: belongs to the event loop's thread.

    Args:
        line: What it shares with others.
        accept: Makes the server's side of it, once it is secured.
    """

    def __init__(self, line: Line, accept: Accept) -> None:
        self._line = line
        self._accept = accept
        self._far: Optional[Far] = None
        self._loop = asyncio.get_running_loop()
        network = line.network
        self._to_server = DelayLine(self._loop, network, self._loop.time() + network.round_trip)
        self._to_client = DelayLine(self._loop, network)
        self._from_client = ssl.MemoryBIO()
        self._for_client = ssl.MemoryBIO()
        self._tls = line.context().wrap_bio(self._from_client, self._for_client, server_side=True)
        self._transport: Optional[asyncio.Transport] = None
        self._luck = line.chance()
        self._deaf = line.deaf()
        self._secured = False
        self._closing = False
        self._gone = False
        self._lingering: Optional[asyncio.TimerHandle] = None

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport, and count."""
        self._transport = cast(asyncio.Transport, transport)
        self._line.wires.add(self)
        self._line.tally.connection_opened(self._loop.time())

    def data_received(self, data: bytes) -> None:
        """Send what came over the simulated network."""
        self._line.tally.traffic(bytes_in=len(data))
        arrived = self._loop.time()
        self._to_server.send(len(data), lambda: self._decrypt(data, arrived))
        if self._to_server.under_way > HIGH_WATER and self._transport is not None:
            self._transport.pause_reading()
            self._to_server.send(0, self._transport.resume_reading)

    def eof_received(self) -> bool:
        """Let the end travel like data; the transport stays until then."""
        self._to_server.send(0, self._end)
        return True

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """Count, and tell the server when the news has reached it."""
        self._line.wires.discard(self)
        self._line.tally.connection_closed(self._loop.time())
        self._to_client.discard()
        if self._lingering is not None:
            self._lingering.cancel()
        self._transport = None
        self._to_server.send(0, self._end)

    # --- towards the server

    def _decrypt(self, data: bytes, arrived: float) -> None:
        if self._closing or self._deaf or (self._secured and self._dead):
            return
        self._from_client.write(data)
        try:
            far = self._far or self._shake_hands()
            while far is not None and not self._closing:
                packet = self._tls.read(_RECORD)
                if not packet or self._dead:
                    break
                far.received(packet, arrived)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.close()
        except ssl.SSLError:
            # A client that doesn't trust us says so in an alert: the connection is of no use.
            self.abort()
        self._flush()

    @property
    def _dead(self) -> bool:
        return self._line.dead(self._luck)

    def _shake_hands(self) -> Optional[Far]:
        """Go on with the handshake; return the server's side when it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return None
        self._secured = True
        self._flush()
        self._far = self._accept(self, self._tls.selected_alpn_protocol())
        if not self._dead:
            self._far.opened()
        return self._far

    def _end(self) -> None:
        if self._gone:
            return
        self._gone = True
        self._closing = True
        if self._far is not None:
            self._far.ended()
        self._to_client.send(0, self._hang_up)

    # --- towards the client

    def write(self, data: bytes, departed: Optional[Callable[[float], None]] = None) -> None:
        """Send bytes.

        Args:
            data: The plain bytes.
            departed: Called with the loop time at which the last of them had reached the client's
                end, or the connection was gone.
        """
        if self._closing or not self._secured:
            if departed is not None:
                departed(self._loop.time())
            return
        self._tls.write(data)
        self._flush(departed)

    def _flush(self, departed: Optional[Callable[[float], None]] = None) -> None:
        data = self._for_client.read()
        if not data and departed is None:
            return

        def arrive() -> None:
            if self._transport is not None and data:
                self._line.tally.traffic(bytes_out=len(data))
                self._transport.write(data)
            if departed is not None:
                departed(self._loop.time())

        self._to_client.send(len(data), arrive)

    def close(self) -> None:
        """End the connection after what was written."""
        if self._closing:
            return
        self._closing = True
        if self._secured:
            # The client's own goodbye need not have come.
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
        self._flush()
        self._to_client.send(0, self._hang_up)

    def _hang_up(self) -> None:
        """Say that no more will come, and wait for the client to say the same.

        Closing at once, with bytes of the client unread, makes the kernel send a reset, which may
        overtake our last words.
        """
        if self._transport is None:
            return
        if self._gone or self._lingering is not None:
            self._transport.close()
            return
        self._lingering = self._loop.call_later(_LINGER_SECONDS, self.kill)
        with contextlib.suppress(OSError):  # the client was quicker, which asyncio is yet to notice
            self._transport.write_eof()

    def abort(self) -> None:
        """Cut the connection: what is under way to the client still arrives, no goodbye does."""
        self._closing = True
        self._to_client.send(0, self.kill)

    def kill(self) -> None:
        """Cut the connection now; nothing that is under way arrives."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
