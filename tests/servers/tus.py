"""Two tus servers: tusd, which has nearly all extensions, and @tus/server, which has fewer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.servers.install import PACKAGES, TUSD, NotInstalled
from tests.servers.running import HOST, Server


class TusServer(Server):
    """A tus server whose creation URL is ``url``.

    Args:
        folder: An empty folder.
        max_size: The largest upload in bytes; 0 for no limit.
    """

    extensions: frozenset[str]

    def __init__(self, folder: Path, *, max_size: int = 0) -> None:
        super().__init__(folder)
        self.max_size = max_size

    @property
    def url(self) -> str:
        """The URL that an upload is created at; with a slash at its end."""
        return f"{self.origin}/files/"

    def probe(self) -> tuple[str, str]:
        """Return the question that every tus server answers."""
        return "OPTIONS", "/files/"


class Tusd(TusServer):
    """The reference server, with ``concatenation``; it knows no expiration.

    Args:
        folder: An empty folder.
        max_size: The largest upload in bytes; 0 for no limit.
        options: Further arguments of tusd.
    """

    name = "tusd"
    extensions = frozenset(
        ("creation", "creation-with-upload", "creation-defer-length", "termination")
    ) | {"concatenation"}

    def __init__(self, folder: Path, *, max_size: int = 0, options: Sequence[str] = ()) -> None:
        super().__init__(folder, max_size=max_size)
        self.options = tuple(options)

    def command(self) -> Sequence[str]:
        """Return the program and its arguments."""
        return [
            *(str(TUSD.path), "-host", HOST, "-port", str(self.port)),
            *("-upload-dir", str(self.data), "-base-path", "/files/"),
            *("-max-size", str(self.max_size), *self.options),
        ]


class TusNode(TusServer):
    """@tus/server on a folder: no ``concatenation``, but ``expiration``.

    Args:
        folder: An empty folder.
        max_size: The largest upload in bytes; 0 for no limit.
        expiration_ms: When an upload expires, after its creation; 0 for never.
        lock_drain_ms: How long a request that others wait for goes on receiving; the default is
            the package's own.
    """

    name = "tus_node"
    extensions = frozenset(
        ("creation", "creation-with-upload", "creation-defer-length", "termination")
    ) | {"expiration"}

    def __init__(
        self,
        folder: Path,
        *,
        max_size: int = 0,
        expiration_ms: int = 86_400_000,
        lock_drain_ms: int = 3_000,
    ) -> None:
        super().__init__(folder, max_size=max_size)
        self.expiration_ms = expiration_ms
        self.lock_drain_ms = lock_drain_ms

    def command(self) -> Sequence[str]:
        """Return the program and its arguments."""
        node = shutil.which("node")
        if node is None:
            raise NotInstalled("node is not on the path")
        launcher = Path(__file__).parent / "node" / "tus_server.mjs"
        limits = {
            "maxSize": self.max_size,
            "expiration": self.expiration_ms,
            "lockDrain": self.lock_drain_ms,
        }
        return [
            *(node, str(launcher), str(PACKAGES.path)),
            *(HOST, str(self.port), str(self.data), json.dumps(limits)),
        ]
