"""Downloads of one's own files, and of those that others have for us."""

from __future__ import annotations

from atxfer._crypto.readers import Owner, RecordOpener
from atxfer._engine.jobs import DownloadJob
from atxfer._engine.transfer import Transfer
from atxfer._operations.attalk.places import Place, describe
from atxfer._operations.home import Home
from atxfer._operations.orders import Wish
from atxfer._operations.origins import Origin
from atxfer.model import Result
from atxfer.stores.attalk.own import AtTalkStore
from atxfer.stores.attalk.sealing import ChunkOpener, Copies
from atxfer.stores.attalk.shared import SharedDownload, shared_capabilities
from atxfer.stores.base import StoredFile

__all__ = ["download"]


def download(home: Home, place: Place, wish: Wish, transfer: Transfer) -> Result:
    """Fetch a file, and return when it lies at its target, with the size it should have.

    The format knows no more of the whole, so nobody can tell whether it is what was uploaded.
    """
    file = describe(home, place, transfer).remote_file()
    stored = StoredFile(
        place.file_id, place.owner, file.chunks, size=file.size, chunk_size=file.chunk_size
    )
    is_own = place.owner == home.owner
    opener = ChunkOpener(
        RecordOpener(home.keys), stored, place.namespace, None if is_own else home.owner
    )
    origin = _own(home, place, stored) if is_own else _shared(home, opener)
    job = DownloadJob(
        file=file,
        download=origin.download,
        capabilities=origin.capabilities,
        destination=origin.destination,
        open_=opener.open,
        target=wish.target,
        progress=wish.progress,
        even=False,
    )
    summary = home.engine.download(job, transfer)
    return Result(file, summary.path, summary.statistics)


def _own(home: Home, place: Place, stored: StoredFile) -> Origin:
    copies = Copies(home.owner, place.namespace, [Owner(home.keys.self_key)])
    store = AtTalkStore(home.records, copies, home.config)
    download = store.open_download(stored)
    return Origin(download, store.capabilities, home.destination)


def _shared(home: Home, opener: ChunkOpener) -> Origin:
    download = SharedDownload(home.relay, opener)
    return Origin(download, shared_capabilities(home.config), home.destination)
