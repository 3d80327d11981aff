"""atxfer: fast, safe, blocking file transfer to atServers and HTTP stores.

Names are resolved on first use, so that ``import atxfer`` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atxfer._version import __version__ as __version__

if TYPE_CHECKING:
    from atxfer._engine.transfer import Transfer as Transfer
    from atxfer._operations.unfinished import unfinished_uploads as unfinished_uploads
    from atxfer.client import Client as Client
    from atxfer.client import download_link as download_link
    from atxfer.config import TransferConfig as TransferConfig
    from atxfer.errors import AccessDenied as AccessDenied
    from atxfer.errors import Cancelled as Cancelled
    from atxfer.errors import DeadlineExceeded as DeadlineExceeded
    from atxfer.errors import FileExpired as FileExpired
    from atxfer.errors import IntegrityError as IntegrityError
    from atxfer.errors import KeysError as KeysError
    from atxfer.errors import LimitExceeded as LimitExceeded
    from atxfer.errors import NetworkError as NetworkError
    from atxfer.errors import NotFound as NotFound
    from atxfer.errors import ServerError as ServerError
    from atxfer.errors import SourceChanged as SourceChanged
    from atxfer.errors import TransferError as TransferError
    from atxfer.model import AbandonedUpload as AbandonedUpload
    from atxfer.model import Outcome as Outcome
    from atxfer.model import Progress as Progress
    from atxfer.model import Receipt as Receipt
    from atxfer.model import RemoteFile as RemoteFile
    from atxfer.model import Result as Result
    from atxfer.model import SharedFile as SharedFile
    from atxfer.model import Statistics as Statistics
    from atxfer.model import UnfinishedUpload as UnfinishedUpload

_HOMES = {
    "AbandonedUpload": "atxfer.model",
    "AccessDenied": "atxfer.errors",
    "Cancelled": "atxfer.errors",
    "Client": "atxfer.client",
    "DeadlineExceeded": "atxfer.errors",
    "FileExpired": "atxfer.errors",
    "IntegrityError": "atxfer.errors",
    "KeysError": "atxfer.errors",
    "LimitExceeded": "atxfer.errors",
    "NetworkError": "atxfer.errors",
    "NotFound": "atxfer.errors",
    "Outcome": "atxfer.model",
    "Progress": "atxfer.model",
    "Receipt": "atxfer.model",
    "RemoteFile": "atxfer.model",
    "Result": "atxfer.model",
    "ServerError": "atxfer.errors",
    "SharedFile": "atxfer.model",
    "SourceChanged": "atxfer.errors",
    "Statistics": "atxfer.model",
    "Transfer": "atxfer._engine.transfer",
    "TransferConfig": "atxfer.config",
    "TransferError": "atxfer.errors",
    "UnfinishedUpload": "atxfer.model",
    "download_link": "atxfer.client",
    "unfinished_uploads": "atxfer._operations.unfinished",
}

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'atxfer' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
