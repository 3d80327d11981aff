"""What stands between this machine and an atServer, one check after another."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Callable, Optional, TypeVar

from atxfer._crypto.atkeys import AtKeys, find
from atxfer._net.address import Address
from atxfer._net.connection import AtConnection
from atxfer._net.directory import Directory
from atxfer.atprotocol.atkey import AtKey, normalise_atsign
from atxfer.atprotocol.verbs import Batch, Delete, Info, Llookup, Mode, Stats, Verb
from atxfer.config import StrPath, TransferConfig, setting
from atxfer.errors import AnswerMissing, Overloaded, ProtocolViolation, TransferError
from atxfer.waiting import Wait

__all__ = ["Finding", "diagnose"]

T = TypeVar("T")

# What a server takes by default, from everybody together (facts §2).
_CONNECTIONS = 200
_ACTIVE_CONNECTIONS = 1  # the number of that counter in the server's statistics


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: What was checked, in a word or two.
        ok: Whether it is as it should be.
        detail: What was found.
        remedy: What to do about it, if it is not as it should be.
        exit_code: That of the error that was found; 0 if all is well.
    """

    check: str
    ok: bool
    detail: str
    remedy: str = ""
    exit_code: int = 0


def diagnose(
    address: str,
    *,
    directory: Optional[str] = None,
    ca_file: Optional[StrPath] = None,
    keys_dir: Optional[StrPath] = None,
    passphrase: Optional[str] = None,
    config: Optional[TransferConfig] = None,
) -> Iterator[Finding]:
    """Check keys, directory, TLS, login, server and limits; yield each finding as it is made.

    A check that fails doesn't end the rest, but for what can't be checked without it. Nothing is
    tried twice, and nothing is written. The arguments are those of :class:`atxfer.Client`.

    Raises:
        ValueError: The address is no atSign, the directory no ``HOST:PORT``, or the file of
            authorities holds none.
        OSError: That file can't be read.
    """
    atsign = normalise_atsign(address)
    config = config if config is not None else TransferConfig()
    patient = _Patient(atsign, Directory.of(directory, ca_file, config), config)
    return patient.examine(
        setting(keys_dir, "ATXFER_KEYS_DIR"),
        setting(passphrase, "ATXFER_PASSPHRASE"),
    )


class _Patient:
    """One atSign and its surroundings."""

    def __init__(self, atsign: str, root: Directory, config: TransferConfig) -> None:
        self._atsign = atsign
        self._root = root
        self._config = config
        self._wait = Wait()

    def examine(self, keys_dir: Optional[str], passphrase: Optional[str]) -> Iterator[Finding]:
        """Yield the findings."""
        keys = yield from _try("keys", lambda: self._read_keys(keys_dir, passphrase))
        server = yield from _try("directory", self._find)
        if server is None:
            return
        connection = yield from _try("connection", lambda: self._connect(server))
        if connection is None:
            return
        try:
            yield from self._ask_all(connection, keys)
        finally:
            connection.close()

    def _ask_all(self, connection: AtConnection, keys: Optional[AtKeys]) -> Iterator[Finding]:
        yield from _try("server", lambda: self._version(connection))
        if keys is None or not connection.usable:
            return
        if (yield from _try("login", lambda: self._log_in(connection, keys))):
            yield from _try("name space", lambda: self._may_write(connection))
            yield from _try("requests", lambda: self._ask_two(connection))
            yield from _try("limits", lambda: self._room(connection))

    def _read_keys(self, keys_dir: Optional[str], passphrase: Optional[str]) -> tuple[AtKeys, str]:
        path = find(self._atsign, keys_dir)
        keys = AtKeys.read(path, self._atsign, passphrase)
        enrolled = "" if keys.enrollment_id is None else f", enrolment {keys.enrollment_id}"
        return keys, f"{path}{enrolled}"

    def _find(self) -> tuple[Address, str]:
        server = self._root.resolve(self._atsign, self._wait)
        return server, f"{self._root.address} knows {self._atsign} at {server}"

    def _connect(self, server: Address) -> tuple[AtConnection, str]:
        connection = AtConnection.open(
            server,
            self._root.context,
            atsign=self._atsign,
            login=None,
            wait=self._wait,
            connect_timeout=self._config.connect_timeout,
            request_timeout=self._config.request_timeout,
        )
        return connection, f"{server} answers, and its certificate is trusted"

    def _version(self, connection: AtConnection) -> tuple[str, str]:
        info = json.loads(self._ask(connection, Info(brief=True)))
        version, hours = str(info["version"]), float(info["uptimeAsMillis"]) / 3_600_000
        return version, f"atServer {version}, up for {hours:.1f} h"

    def _log_in(self, connection: AtConnection, keys: AtKeys) -> tuple[bool, str]:
        connection.log_in(keys, self._wait, self._config.request_timeout)
        return True, f"logged in as {self._atsign}"

    def _may_write(self, connection: AtConnection) -> tuple[bool, str]:
        # To delete what was never there changes nothing, but needs the right to write. A hidden
        # key leaves no trace in the commit log (facts §5).
        self._ask(connection, Delete(AtKey.public("doctor", self._atsign, hidden=True)))
        return True, "these keys may write what atxfer writes"

    def _ask_two(self, connection: AtConnection) -> tuple[bool, str]:
        key = AtKey.parse(f"public:publickey{self._atsign}")
        question = Llookup(key, Mode.META)
        clock = self._wait.clock
        began = clock.monotonic()
        answers = Batch.read(self._ask(connection, Batch((question, question))))
        seconds = clock.monotonic() - began
        if set(answers) != {1, 2}:
            raise AnswerMissing("the server left a command of a batch without an answer")
        return True, f"two commands in one request took {seconds * 1000:.0f} ms"

    def _room(self, connection: AtConnection) -> tuple[int, str]:
        (counter,) = json.loads(self._ask(connection, Stats((_ACTIVE_CONNECTIONS,))))
        open_now, ours = int(counter["value"]), self._config.max_concurrent_uploads
        if open_now + ours > _CONNECTIONS:
            raise Overloaded(
                f"{open_now} connections are open; the default limit is {_CONNECTIONS}"
            )
        told = f"{open_now} of {_CONNECTIONS} connections are open; atxfer takes up to {ours}"
        return open_now, told

    def _ask(self, connection: AtConnection, verb: Verb) -> str:
        return connection.ask(verb, self._wait, self._config.request_timeout).data


def _try(check: str, call: Callable[[], tuple[T, str]]) -> Generator[Finding, None, Optional[T]]:
    """Yield the finding of one check, and return what it gave; None if it failed."""
    try:
        value, detail = call()
    except TransferError as error:
        yield Finding(check, False, error.summary, error.remedy, error.exit_code)
        return None
    except (KeyError, TypeError, ValueError):
        strange = ProtocolViolation("the server's answer can't be understood")
        yield Finding(check, False, strange.summary, strange.remedy, strange.exit_code)
        return None
    yield Finding(check, True, detail)
    return value
