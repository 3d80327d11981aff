"""What is needed to reach any atServer, with keys or without."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Optional

from atxfer._engine.engine import Engine
from atxfer._net.directory import Directory
from atxfer.config import StrPath, TransferConfig, setting

__all__ = ["Reach"]


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
        authorities = setting(ca_file, "ATXFER_CA_FILE")
        known = Directory.of(directory, authorities, config)
        return cls(config, Engine(config), known, known.context, authorities)
