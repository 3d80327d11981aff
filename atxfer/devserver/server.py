"""The development server: an atDirectory and atServers in this process, for demos and tests.

It answers as the real servers do, their defects included, and it is **never a production server**:
its certificate authority is made at the start, its keys lie about, and it does what its fault plan
says.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional, Union

from atxfer._crypto.atkeys import AtKeys
from atxfer.atprotocol.atkey import normalise_atsign
from atxfer.devserver.atserver import AtServer, signing_pair
from atxfer.devserver.counters import Counters
from atxfer.devserver.faults import FaultPlan
from atxfer.devserver.loop import LoopThread
from atxfer.devserver.records import MemoryRecords, Records
from atxfer.devserver.sqlite import SqliteRecords
from atxfer.devserver.view import ServerView
from atxfer.devserver.world import HOST, World

WARNING = "atxfer development server: for tests and demos, never for production"

# RSA keys cost a tenth of a second each. They are throw-away, so one process makes them once for an
# atSign, whatever number of development servers it runs.
_keys_of = functools.lru_cache(maxsize=None)(AtKeys.generate)
_signing_pair = functools.lru_cache(maxsize=None)(signing_pair)


class DevServer:
    """An atDirectory and any number of atServers, over TLS on loopback.

    ::

        with DevServer(["alice", "bob"], latency=0.1, profile="atserver") as world:
            Client("@alice", **world.client_options)

    Args:
        atsigns: Who has a server here, activated, with a key file.
        cram_secrets: Who has one that nobody has activated yet, and the secret to do it with; also
            of the above.
        storage: A folder to keep records in, in SQLite; None keeps them in memory.
        folder: Where to put the authority's certificate and key files; None takes ``storage``, or a
            temporary folder that goes with the server.
        profile: ``atserver`` to take the time that the real server takes; None to take none.
        latency: Seconds a round trip to the atServers, the directory being near; may be changed
            while running.
        faults: What goes wrong; may be exchanged while running.
        max_connections: Connections that one atServer takes.
        seed: Makes faults and pauses repeatable.
        root_port: Where the atDirectory listens; 0 chooses a port.
        http: Whether the atServers also answer HTTP GET of public records, as those from 3.6 on
            do; by default they are 3.0.52, which offers no ALPN (facts §12). May be changed while
            running, for connections to come.

    Attributes:
        root_host: The atDirectory's host name.
        counters: What the servers felt.

    Threads: for any thread; the servers run on a thread of their own.
    """

    root_host = HOST

    def __init__(
        self,
        atsigns: Iterable[str] = ("alice", "bob"),
        *,
        cram_secrets: Optional[Mapping[str, str]] = None,
        storage: Union[str, Path, None] = None,
        folder: Union[str, Path, None] = None,
        profile: Optional[str] = None,
        latency: float = 0.0,
        faults: Optional[FaultPlan] = None,
        max_connections: int = 200,
        seed: Optional[int] = None,
        root_port: int = 0,
        http: bool = False,
    ) -> None:
        self._secrets = {normalise_atsign(a): s for a, s in (cram_secrets or {}).items()}
        activated = [normalise_atsign(atsign) for atsign in atsigns]
        self._activated = [atsign for atsign in activated if atsign not in self._secrets]
        self._storage = Path(storage) if storage is not None else None
        self._wanted_folder = Path(folder) if folder is not None else self._storage
        self._root_port = root_port
        self._thread = LoopThread("atxfer-devserver")
        self._temporary: Optional[tempfile.TemporaryDirectory[str]] = None
        self._folder = Path()
        self._keys: dict[str, AtKeys] = {}
        self._world = World(
            latency=latency,
            max_connections=max_connections,
            profile=profile,
            seed=seed,
            http=http,
        )
        self.counters: Counters = self._world.counters
        if faults is not None:
            self._world.faults = faults

    # --- its life

    def start(self) -> DevServer:
        """Make keys and certificates, and begin to serve; returns itself.

        Raises:
            OSError: The folder can't be written, or the port is taken.
            KeysError: A key file that is there can't be used.
            sqlite3.Error: A storage that is there can't be used.
        """
        try:
            self._make_folder()
            self._world.authority.write(Path(self.ca_file))
            self._make_keys()
            self._thread.start()
            self._thread.run(self._serve())
        except BaseException:
            self.stop()
            raise
        return self

    def _make_folder(self) -> None:
        if self._wanted_folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="atxfer-devserver-")
            self._folder = Path(self._temporary.name)
            return
        self._folder = self._wanted_folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True)

    def _make_keys(self) -> None:
        with ThreadPoolExecutor() as makers:
            made = makers.map(self._read_or_make, self._activated)
            signing = makers.submit(_signing_pair)
            self._keys = dict(zip(self._activated, made))
            signing.result()

    def _read_or_make(self, atsign: str) -> AtKeys:
        path = Path(self.keys_dir, f"{atsign}_key.atKeys")
        if path.exists():
            return AtKeys.read(path, atsign)
        keys = _keys_of(atsign)
        keys.write(path)
        return keys

    async def _serve(self) -> None:
        if self._storage is not None:
            self._storage.mkdir(parents=True, exist_ok=True)
        for atsign in (*self._activated, *self._secrets):
            self._prepare(self._world.add(atsign, self._records(atsign)))
        await self._world.start(self._root_port)

    def _records(self, atsign: str) -> Records:
        if self._storage is None:
            return MemoryRecords()
        return SqliteRecords(self._storage / f"{atsign.lstrip('@')}.sqlite")

    def _prepare(self, server: AtServer) -> None:
        secret = self._secrets.get(server.atsign, "")
        server.prepare(self._keys.get(server.atsign), secret, _signing_pair())

    def stop(self) -> None:
        """Cut all connections and end; records in memory are gone."""
        if self._thread.running:
            self._thread.run(self._world.stop())
            self._thread.stop()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def __enter__(self) -> DevServer:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # --- where it is

    @property
    def root_port(self) -> int:
        """The atDirectory's port."""
        return self._world.root_port

    @property
    def ca_file(self) -> str:
        """The certificate that clients are to trust, in PEM."""
        return str(self._folder / "ca.pem")

    @property
    def keys_dir(self) -> str:
        """The folder of the key files."""
        return str(self._folder / "keys")

    @property
    def servers(self) -> dict[str, int]:
        """The port of each atServer."""
        return {atsign: server.port for atsign, server in self._world.servers.items()}

    @property
    def client_options(self) -> dict[str, str]:
        """What to call ``atxfer.Client`` with to find this server: ``**world.client_options``."""
        return {
            "directory": f"{self.root_host}:{self.root_port}",
            "ca_file": self.ca_file,
            "keys_dir": self.keys_dir,
        }

    @property
    def cram_secrets(self) -> dict[str, str]:
        """The secrets of the atSigns that nobody has activated yet."""
        return self._thread.call(self._world.cram_secrets)

    def ready(self) -> dict[str, Any]:
        """Return what a client must know, as plain values."""
        return {
            "root_host": self.root_host,
            "root_port": self.root_port,
            "ca": self.ca_file,
            "keys_dir": self.keys_dir,
            "servers": self.servers,
            "cram_secrets": self.cram_secrets,
        }

    def write_ready(self, folder: Union[str, Path]) -> Path:
        """Write :meth:`ready` to ``ready.json`` in a folder, all at once, and return the file."""
        target = Path(folder, "ready.json")
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(".json.part")
        draft.write_text(json.dumps(self.ready(), indent=2), "utf-8")
        return draft.replace(target)

    # --- what tests do to it

    @property
    def faults(self) -> FaultPlan:
        """What goes wrong; set it, or set its attributes, at any time."""
        return self._world.faults

    @faults.setter
    def faults(self, plan: FaultPlan) -> None:
        self._world.faults = plan

    @property
    def latency(self) -> float:
        """Seconds a round trip."""
        return self._world.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._world.latency = seconds

    @property
    def http(self) -> bool:
        """Whether new connections to the atServers may speak HTTP."""
        return self._world.http

    @http.setter
    def http(self, spoken: bool) -> None:
        self._world.http = spoken

    @property
    def failures(self) -> list[BaseException]:
        """Defects of the development server itself that came to light; there should be none."""
        return list(self._thread.failures)

    def server(self, atsign: str) -> ServerView:
        """Return the inside of one atServer."""
        return ServerView(self._world.servers[normalise_atsign(atsign)], self._world, self._thread)

    def advance(self, seconds: float) -> None:
        """Let this time pass for the servers, at once: records expire, waits end."""
        self._thread.call(self._world.advance, seconds)

    def until_asleep(self, count: int = 1, timeout: float = 30.0) -> None:
        """Wait until commands wait for time to pass: ``noop``, a pause, a wrong passcode.

        :meth:`advance` then lets it pass.

        Args:
            count: How many.
            timeout: Seconds.

        Raises:
            TimeoutError: None does after so many seconds.
        """
        self._thread.run(self._world.clock.until_asleep(count), timeout)

    def idle(self, timeout: float = 30.0) -> None:
        """Wait until all commands are served and all notifications have arrived.

        Raises:
            TimeoutError: That is not so after so many seconds.
        """
        self._thread.run(self._world.activity.idle(), timeout)

    def reset(self) -> None:
        """Make all as it was at the start, at the same addresses: for the next test."""
        self._thread.run(self._world.reset(self._prepare))
