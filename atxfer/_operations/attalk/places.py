"""Where a file lies, and what its metadata says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from atxfer._catalog.attalk import AtTalkCatalog, AtTalkEntry
from atxfer._crypto.readers import RecordOpener
from atxfer._engine.transfer import Transfer
from atxfer._format.attalk import NAMESPACE, is_attalk_id
from atxfer._operations.home import Home
from atxfer.atprotocol.atkey import AtKey, normalise_atsign
from atxfer.errors import ChunkCorrupt, ManifestInvalid
from atxfer.waiting import Wait

__all__ = ["Place", "catalog_of", "checked_namespace", "describe"]


@dataclass(frozen=True)
class Place:
    """Where a file lies.

    Attributes:
        file_id: The file.
        namespace: The application's name space.
        owner: The atSign whose file it is.

    Raises:
        ValueError: One of them can't be.
    """

    file_id: str
    namespace: str
    owner: str

    @classmethod
    def of(
        cls, home: Home, file_id: str, namespace: Optional[str], owner: Optional[str] = None
    ) -> Place:
        """Return the place that the arguments of a call name.

        Raises:
            ValueError: There can be no such place.
        """
        if not is_attalk_id(file_id):
            raise ValueError(f"{file_id!r} is no id of format attalk, as 1752597942549_9396 is")
        whose = home.owner if owner is None else normalise_atsign(owner)
        return cls(file_id, checked_namespace(namespace, whose), whose)


def checked_namespace(namespace: Optional[str], owner: str) -> str:
    """Return the application's name space in its one form.

    Raises:
        ValueError: A server would refuse it.
    """
    chosen = (NAMESPACE if namespace is None else namespace).lower()
    if not chosen:
        raise ValueError("an application has a name space: 'attalk', or 'default.attalk'")
    AtKey.self_("message", owner, chosen)
    return chosen


def catalog_of(home: Home, namespace: str) -> AtTalkCatalog:
    """Return the files of one name space, one's own and those that others have for us."""
    opener = RecordOpener(home.keys)
    return AtTalkCatalog(home.records, home.relay, opener, home.owner, namespace)


def describe(home: Home, place: Place, transfer: Transfer) -> AtTalkEntry:
    """Return what the metadata of a file says.

    Raises:
        FileNotFound: There is none, for us.
        FileExpired: Its time to live is over.
        ManifestInvalid: It can't be read.
    """
    catalog = catalog_of(home, place.namespace)

    def ask(wait: Wait) -> AtTalkEntry:
        if place.owner == home.owner:
            return catalog.read_own(place.file_id, wait)
        return catalog.read_shared(place.file_id, place.owner, wait)

    try:
        return home.call(transfer, "metadata", ask)
    except ChunkCorrupt as error:
        # Raised as such, so that it was asked for once more: it may have been mixed up (facts §7).
        raise ManifestInvalid(error.message, file_id=place.file_id) from error
