"""One atSign's server: its records, connections and notifications, on a port of its own."""

from __future__ import annotations

import asyncio
import random
import ssl
from dataclasses import replace
from typing import Optional, Protocol

from atxfer._crypto import primitives
from atxfer._crypto.atkeys import AtKeys
from atxfer.atprotocol import errors
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.metadata import Metadata
from atxfer.devserver import peers
from atxfer.devserver.activity import Activity
from atxfer.devserver.call import Surroundings
from atxfer.devserver.costs import Core, Work
from atxfer.devserver.counters import Tally
from atxfer.devserver.delay import Distance
from atxfer.devserver.enrolment import Enrolments
from atxfer.devserver.http import HTTP
from atxfer.devserver.keystore import KeyStore
from atxfer.devserver.login import CRAM_SECRET, PKAM_KEY
from atxfer.devserver.notices import LIFE_MS, Notice, NoticeBook
from atxfer.devserver.notifying import copied
from atxfer.devserver.records import Records
from atxfer.devserver.session import Session
from atxfer.devserver.web import WebSession
from atxfer.devserver.wire import Far, Line, Wire

_STATISTICS_SECONDS = 15.0  # a monitor hears of the server itself so often (facts §8)
_SWEEP_MS = 10 * 60 * 1000  # facts §5
_RETRIED_MS = 5 * 60 * 1000  # a server that is down is tried again "for some minutes" (facts §8)
_OWN_KEYS = Metadata(is_binary=False, is_encrypted=False)


class Environment(Surroundings, Protocol):
    """What a server needs of its surroundings beyond what the verbs do."""

    network: Distance
    activity: Activity

    @property
    def max_connections(self) -> int:
        """Connections that one server takes."""
        ...

    def context(self) -> ssl.SSLContext:
        """Return the TLS context for a new connection."""
        ...


class AtServer:
    """The server of one atSign.

    Threads: belongs to the event loop's thread.

    Args:
        atsign: Whose it is.
        records: Where its records lie.
        world: What it shares with others.
        tally: Where it counts.
        core: The one core that its time is reckoned on; None takes no time.

    Attributes:
        port: Where it listens on 127.0.0.1, once it was started; kept over restarts.
        paused: Whether it answers AT0024, as a server about to restart does.
    """

    def __init__(
        self,
        atsign: str,
        records: Records,
        world: Environment,
        *,
        tally: Tally,
        core: Optional[Core] = None,
    ) -> None:
        self.atsign = atsign
        self.world: Environment = world
        self.tally = tally
        self.port = 0
        self.paused = False
        self.keys = KeyStore(atsign, records, world.clock)
        self.enrolments = Enrolments(self.keys, world.rng)
        self.contacts: set[tuple[str, bool]] = set()
        self.sessions: set[Session] = set()
        self._core = core
        self._line = Line(
            context=world.context,
            network=world.network,
            tally=tally,
            deaf=lambda: world.faults.happens("deaf", "", atsign),
            dead=lambda luck: luck < world.faults.blackhole,
            chance=lambda: world.faults.rng.random(),
        )
        self._listener: Optional[asyncio.AbstractServer] = None
        self._pulse: Optional[asyncio.TimerHandle] = None
        self._undelivered: list[Notice] = []
        self._load()

    def _load(self) -> None:
        self.notices = NoticeBook(self.keys.records, self.world.clock)
        notes = self.keys.records.notes()
        self._blocked = frozenset(notes.get("blocked", "").split())
        self._started_ms = self._swept_ms = self.world.clock.now_ms()

    # --- its life

    def prepare(self, keys: Optional[AtKeys], cram_secret: str, signing: tuple[str, str]) -> None:
        """Lay the first records: activated with keys, or waiting for the CRAM secret.

        Args:
            keys: The owner's keys, or None for an atSign that nobody has activated.
            cram_secret: What the first login proves.
            signing: The server's own public and private key.
        """
        if self.keys.find(f"public:signing_publickey{self.atsign}") is not None:
            return
        public, private = signing
        self.keys.put_own(f"public:signing_publickey{self.atsign}", public)
        self.keys.put_own(f"{self.atsign}:signing_privatekey{self.atsign}", private)
        if keys is None:
            self.keys.put_own(CRAM_SECRET, cram_secret)
            return
        self.keys.put_own(PKAM_KEY, keys.pkam_public, _OWN_KEYS)
        self.keys.put_own(f"public:publickey{self.atsign}", keys.encryption_public, _OWN_KEYS)

    async def start(self) -> None:
        """Begin to listen, and to serve who comes."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]
        self._started_ms = self.world.clock.now_ms()
        self._beat()

    def _accept(self) -> Wire:
        return Wire(self._line, self._session)

    def _session(self, wire: Wire, protocol: Optional[str]) -> Far:
        return WebSession(self, wire) if protocol == HTTP else Session(self, wire)

    def stop(self) -> None:
        """Stop listening and cut all connections, as a crash does; records stay."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._pulse is not None:
            self._pulse.cancel()
        self._line.cut()
        self.contacts.clear()

    def reset(self) -> None:
        """Forget all records and notifications."""
        self.keys.records.clear()
        self.contacts.clear()
        self._undelivered.clear()
        self._load()

    @property
    def running(self) -> bool:
        """Whether it can be reached."""
        return self._listener is not None

    @property
    def uptime_ms(self) -> int:
        """Milliseconds since its start."""
        return self.world.clock.now_ms() - self._started_ms

    @property
    def activity(self) -> Activity:
        """Where to count what is under way."""
        return self.world.activity

    def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        self._pulse = loop.call_later(_STATISTICS_SECONDS, self._beat)
        self.sweep_if_due()
        self.tell_statistics()

    def tell_statistics(self) -> None:
        """Tell monitors of the server itself."""
        statistics = {
            "id": "-1",
            "from": self.atsign,
            "to": self.atsign,
            "key": f"statsNotification.{self.atsign}",
            "value": str(self.keys.records.last_commit),
            "operation": "update",
            "epochMillis": self.world.clock.now_ms(),
            "messageType": "MessageType.key",
            "isEncrypted": False,
            "metadata": None,
        }
        for session in self.sessions:
            session.push_statistics(statistics)

    def sweep_if_due(self) -> None:
        """Remove what has expired, every ten minutes of the server's clock."""
        now = self.world.clock.now_ms()
        if now - self._swept_ms >= _SWEEP_MS:
            self._swept_ms = now
            self.keys.sweep()
            self.notices.sweep()

    # --- connections

    def admit(self, session: Session) -> bool:
        """Take a connection in, or return that there is no room."""
        if len(self.sessions) >= self.world.max_connections:
            return False
        self.sessions.add(session)
        return True

    def dismiss(self, session: Session) -> None:
        """Forget a connection."""
        self.sessions.discard(session)

    def seconds_for(self, work: Work, began: float) -> float:
        """Return how long from now the real server would take; 0 without a profile."""
        if self._core is None:
            return 0.0
        done = self._core.serve(work, began)
        if work.deletes:
            records = self.keys.records
            self._core.deleted(work.deletes, len(records), records.stored_bytes, began)
        return max(0.0, done - asyncio.get_running_loop().time())

    # --- settings

    @property
    def blocked(self) -> frozenset[str]:
        """The atSigns that its owner blocks."""
        return self._blocked

    def block(self, atsigns: frozenset[str]) -> None:
        """Block these atSigns, and no others."""
        self._blocked = frozenset(atsigns)
        self.keys.records.put_note("blocked", " ".join(sorted(atsigns)))

    # --- notifications

    def tell(self, key: AtKey, value: Optional[str]) -> None:
        """Notify the recipient of an update; with None, of its metadata alone."""
        metadata = self.keys.get(str(key)).metadata
        self._tell(key, value, "update", metadata, is_encrypted=bool(metadata.is_encrypted))

    def tell_deleted(self, key: AtKey) -> None:
        """Notify the recipient that a record is gone."""
        self._tell(key, None, "delete", Metadata(), is_encrypted=True)

    def _tell(
        self,
        key: AtKey,
        value: Optional[str],
        operation: str,
        metadata: Metadata,
        *,
        is_encrypted: bool,
    ) -> None:
        now = self.world.clock.now_ms()
        recipient = key.recipient or self.atsign
        notice = Notice(
            sender=self.atsign,
            recipient=recipient,
            key=str(key),
            value=value,
            operation=operation,
            epoch_ms=now,
            expires_ms=now + LIFE_MS,
            is_encrypted=is_encrypted,
            metadata=metadata,
        )
        self.send(notice)

    def send(self, notice: Notice) -> None:
        """Send a notification, after the answer to what caused it."""
        if notice.recipient == self.atsign:
            self._take(replace(notice, kind="self", status="delivered"))
            return
        self.notices.put(notice)
        self.activity.spawn(self._deliver(notice))

    async def _deliver(self, notice: Notice) -> None:
        await asyncio.sleep(0)
        try:
            other = self.world.find(notice.recipient)
            peers.introduce(self, other, handshake=True)
        except (errors.SecondaryUnreachable, errors.HandshakeFailed):
            self._undelivered.append(notice)
            return
        except errors.AtError:
            self.notices.put(replace(notice, status="errored"))
            return
        other.receive(notice)
        self.notices.put(replace(notice, status="delivered"))

    def retry(self) -> None:
        """Try again what could not be delivered, if it is not too old."""
        waiting, self._undelivered = self._undelivered, []
        now = self.world.clock.now_ms()
        for notice in waiting:
            if now - notice.epoch_ms < _RETRIED_MS:
                self.activity.spawn(self._deliver(notice))
            else:
                self.notices.put(replace(notice, status="errored"))

    def receive(self, notice: Notice) -> None:
        """Take in a notification of another server, with the copy that it asks for."""
        now = self.world.clock.now_ms()
        life = notice.expires_ms - notice.epoch_ms
        received = replace(
            notice, kind="received", status="delivered", epoch_ms=now, expires_ms=now + life
        )
        self._copy(received)
        self._take(received)

    def _take(self, notice: Notice) -> None:
        self.notices.put(notice)
        if self.world.faults.happens("unpushed", "notify", self.atsign):
            return
        for session in list(self.sessions):
            session.push(notice)

    def _copy(self, notice: Notice) -> None:
        """Keep, refresh or remove the cached copy (facts §8)."""
        key = f"cached:{notice.key}"
        old = self.keys.find(key)
        if notice.operation == "delete":
            if old is not None and old.metadata.ccd:
                self.keys.remove(key)
        elif notice.metadata.ttr_s and (notice.value is not None or old is not None):
            self.keys.put_copy(key, notice.value, copied(notice))


def signing_pair() -> tuple[str, str]:
    """Return a new public and private key for servers to sign with, in base64."""
    private = primitives.generate_rsa_private_key()
    return (
        primitives.base64_encode(primitives.rsa_public_der(private.public_key())),
        primitives.base64_encode(primitives.rsa_private_der(private)),
    )


def core_for(profile: Optional[str], seed: Optional[int]) -> Optional[Core]:
    """Return the core of a profile.

    Args:
        profile: ``atserver``, or None for a server that takes no time.
        seed: Makes its pauses repeatable.

    Raises:
        ValueError: There is no such profile.
    """
    if profile is None:
        return None
    if profile != "atserver":
        raise ValueError(f"{profile!r} is no profile: there is only 'atserver'")
    return Core(random.Random(seed))  # noqa: S311  # chance, not secrets
