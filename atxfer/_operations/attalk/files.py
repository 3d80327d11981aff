"""Files of one's own that are there: delete them."""

from __future__ import annotations

from typing import Optional

from atxfer._engine.transfer import Transfer
from atxfer._format.attalk import chunk_name, metadata_name
from atxfer._operations.attalk.places import Place, catalog_of, describe
from atxfer._operations.home import Home
from atxfer.errors import NotAuthorized

__all__ = ["delete"]

# As many as the native format names in a request (facts §10).
_DELETES_PER_REQUEST = 256


def delete(home: Home, place: Place, transfer: Transfer) -> None:
    """Remove a file of one's own, with what was made of it for others.

    Chunks first and our metadata last, so that a delete that was interrupted can be repeated.

    Raises:
        NotAuthorized: It is another's.
    """
    if place.owner != home.owner:
        raise NotAuthorized(
            f"it is {place.owner} who can delete this file",
            file_id=place.file_id,
            remedy="Ask its owner, or wait: it lives a day at most.",
        )
    entry = describe(home, place, transfer)
    catalog = catalog_of(home, place.namespace)
    recipients = home.call(
        transfer, "recipients", lambda wait: catalog.recipients(place.file_id, wait)
    )
    readers: list[Optional[str]] = [*recipients, None]
    keys = [
        catalog.key(chunk_name(place.file_id, index), reader)
        for index in range(entry.file.chunks)
        for reader in readers
    ]
    starts = range(0, len(keys), _DELETES_PER_REQUEST)
    parts = [keys[start : start + _DELETES_PER_REQUEST] for start in starts]
    home.engine.for_each(home.destination, parts, catalog.remove, transfer, name="chunks")
    name = metadata_name(place.file_id)
    last = [catalog.key(name, reader) for reader in readers]
    home.call(transfer, "delete", lambda wait: catalog.remove(last, wait))
