"""What is needed to reach any atServer, with keys or without."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import Optional, Union

from atxfer._engine.engine import Engine
from atxfer._net.address import parse_address
from atxfer._net.directory import DEFAULT_DIRECTORY, Directory
from atxfer._net.stream import tls_context
from atxfer.config import TransferConfig, setting

__all__ = ["Reach", "StrPath"]

StrPath = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Reach:
    """The way to atServers, and the engine that goes it.

    Attributes:
        config: How fast, how patient, how large.
        engine: Sends requests and moves files.
        directory: Tells where servers listen.
        context: How they are verified.
        ca_file: The authorities to trust instead of the system's, or None.
    """

    config: TransferConfig
    engine: Engine
    directory: Directory
    context: ssl.SSLContext
    ca_file: Optional[str]

    @classmethod
    def of(
        cls, directory: Optional[str], ca_file: Optional[StrPath], config: Optional[TransferConfig]
    ) -> Reach:
        """Return the way that arguments, environment and defaults name, with a new engine.

        Args:
            directory: ``HOST:PORT`` of the atDirectory, or None.
            ca_file: A path, or None.
            config: The configuration, or None.

        Raises:
            ValueError: The directory is no ``HOST:PORT``, or the file holds no certificate.
            OSError: The file can't be read.
        """
        config = config if config is not None else TransferConfig()
        root = parse_address(setting(directory, "ATXFER_DIRECTORY") or DEFAULT_DIRECTORY)
        authorities = setting(ca_file, "ATXFER_CA_FILE")
        context = tls_context(authorities)
        known = Directory(root, context, timeout=config.connect_timeout)
        return cls(config, Engine(config), known, context, authorities)
