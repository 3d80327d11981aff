"""All servers of one development server, as the event loop sees them."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from typing import Callable, Optional

from atxfer.atprotocol import errors
from atxfer.devserver.activity import Activity
from atxfer.devserver.atserver import AtServer, core_for
from atxfer.devserver.call import Call, Host
from atxfer.devserver.clock import ServerClock
from atxfer.devserver.counters import Counters, Tally
from atxfer.devserver.delay import Distance, Network
from atxfer.devserver.directory import DirectorySession
from atxfer.devserver.faults import FaultPlan
from atxfer.devserver.http import HTTP, LINES
from atxfer.devserver.login import CRAM_SECRET
from atxfer.devserver.mixups import Mixups
from atxfer.devserver.records import Record, Records
from atxfer.devserver.tls import CertificateAuthority
from atxfer.devserver.wire import Line, Wire

HOST = "localhost"


class World:
    """One atDirectory and its atServers.

    Threads: made in any thread; everything else belongs to the event loop's.

    Args:
        latency: Seconds a round trip to the atServers, where the fault plan names none.
        max_connections: Connections to one server, where the fault plan names none.
        profile: What requests cost (costs.py), or None.
        seed: Makes chance repeatable.
        http: Whether the atServers speak HTTP too.

    Attributes:
        faults: What goes wrong; may be exchanged from any thread.
        http: As above; may be changed from any thread, for connections to come.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        max_connections: int = 200,
        profile: Optional[str] = None,
        seed: Optional[int] = None,
        http: bool = False,
    ) -> None:
        self.faults = FaultPlan(rng=random.Random(seed))  # noqa: S311  # chance, not secrets
        self.latency = latency
        self.http = self._http = http
        self.rng = random.Random(seed)  # noqa: S311  # chance, not secrets
        self.clock = ServerClock(lambda: time.time() + self.faults.clock_skew)
        self.network: Distance = _LiveNetwork(self)
        self.activity = Activity()
        self.counters = Counters()
        self.servers: dict[str, AtServer] = {}
        self.root_port = 0
        self._max_connections = max_connections
        core_for(profile, seed)  # a profile that doesn't exist is told at once
        self._profile = profile
        self._seed = seed
        self._mixups = Mixups()
        self._authority = CertificateAuthority()
        self._others: Optional[CertificateAuthority] = None
        self._contexts: dict[tuple[bool, bool], ssl.SSLContext] = {}
        self._directory = Line(
            context=lambda: self._context_for(http=False),
            network=Network(),  # asked once and remembered: not what latency is about
            tally=Tally(),
            deaf=lambda: False,
            dead=lambda luck: False,
            chance=lambda: 1.0,
        )
        self._listener: Optional[asyncio.AbstractServer] = None

    @property
    def authority(self) -> CertificateAuthority:
        """Who vouches for the servers."""
        return self._authority

    def add(self, atsign: str, records: Records) -> AtServer:
        """Make an atSign's server; it is not started yet."""
        server = AtServer(
            atsign,
            records,
            self,
            tally=self.counters.tally(atsign),
            core=core_for(self._profile, self._seed),
        )
        self.servers[atsign] = server
        return server

    # --- what servers share

    @property
    def max_connections(self) -> int:
        """Connections that one server takes."""
        asked = self.faults.max_connections
        return self._max_connections if asked is None else asked

    def context(self) -> ssl.SSLContext:
        """Return the TLS context for a new connection to an atServer."""
        return self._context_for(http=self.http)

    def _context_for(self, *, http: bool) -> ssl.SSLContext:
        """Return a context: of the wrong authority, if the faults say so."""
        wrong = self.faults.wrong_certificate
        if wrong and self._others is None:
            self._others = CertificateAuthority("nobody you know")
        authority = self._others if wrong and self._others is not None else self._authority
        if (wrong, http) not in self._contexts:
            protocols = (LINES, HTTP) if http else ()
            self._contexts[wrong, http] = authority.server_context(protocols)
        return self._contexts[wrong, http]

    def find(self, atsign: str) -> Host:
        """Return an atSign's server, running or not.

        Raises:
            SecondaryNotFound: The atDirectory doesn't know the atSign.
        """
        server = self.servers.get(atsign)
        if server is None:
            name = atsign.lstrip("@")
            raise errors.SecondaryNotFound(f"Unable to find secondary address for atSign:{name}")
        return server

    def cram_secrets(self) -> dict[str, str]:
        """Return the secrets that still open a server."""
        found = {atsign: server.keys.find(CRAM_SECRET) for atsign, server in self.servers.items()}
        return {a: record.value for a, record in found.items() if record and record.value}

    def mixed_up(self, call: Call, owner: Host, record: Record) -> Record:
        """Return the record that a look-up through another server gets."""
        return self._mixups.answer(call, owner, record)

    # --- their life

    async def start(self, root_port: int) -> None:
        """Start the directory and all servers."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._accept, "127.0.0.1", root_port)
        self.root_port = self._listener.sockets[0].getsockname()[1]
        for server in self.servers.values():
            await server.start()

    def _accept(self) -> Wire:
        return Wire(
            self._directory,
            lambda wire, protocol: DirectorySession(
                self._address, wire, lambda: self.faults.directory_down
            ),
        )

    def _address(self, name: str) -> Optional[str]:
        server = self.servers.get(f"@{name}")
        return f"{HOST}:{server.port}" if server is not None else None

    async def stop(self) -> None:
        """Stop everything, and let go of files."""
        if self._listener is not None:
            self._listener.close()
        self._directory.cut()
        for server in self.servers.values():
            server.stop()
        # One round for the loop to tell the cut connections, one for what they do then.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for server in self.servers.values():
            server.keys.records.close()

    def advance(self, seconds: float) -> None:
        """Move the servers' clocks on, and do what has become due."""
        self.clock.advance(seconds)
        for server in self.servers.values():
            server.sweep_if_due()
            server.retry()

    async def restart(self, atsign: str) -> None:
        """Start a server again, at the port it had, and deliver what waited for it."""
        await self.servers[atsign].start()
        self.deliver()

    def deliver(self) -> None:
        """Have all servers try again what they could not deliver."""
        for server in self.servers.values():
            server.retry()

    async def reset(self, prepare: Callable[[AtServer], None]) -> None:
        """Make everything as it was at the start: records, counters, faults, clock, protocols."""
        self.http = self._http
        self.faults = FaultPlan(rng=random.Random(self._seed))  # noqa: S311  # chance, not secrets
        self.clock.reset()
        self._mixups.forget()
        for server in self.servers.values():
            server.paused = False
            if server.running:
                server.stop()
            server.reset()
            prepare(server)
            await server.start()
        await asyncio.sleep(0)
        self.counters.reset()


class _LiveNetwork:
    """How far away the servers are now: the fault plan's word, or else the world's."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def round_trip(self) -> float:
        """Seconds there and back."""
        asked = self._world.faults.latency
        return self._world.latency if asked is None else asked

    @property
    def jitter(self) -> float:
        """Up to so many seconds more each way."""
        return self._world.faults.jitter

    @property
    def bandwidth(self) -> Optional[float]:
        """Bytes a second each way of each connection."""
        return self._world.faults.bandwidth

    @property
    def rng(self) -> random.Random:
        """Where the jitter comes from."""
        return self._world.faults.rng
