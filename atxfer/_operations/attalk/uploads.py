"""Uploads: metadata, chunks, and the message that tells of them."""

from __future__ import annotations

import mimetypes
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import Optional

from atxfer._catalog.attalk import Message
from atxfer._catalog.pairkeys import PairKey
from atxfer._crypto.public_key import PublicKey
from atxfer._crypto.readers import Owner, Reader
from atxfer._engine.jobs import UploadJob
from atxfer._engine.sources import Source, open_source
from atxfer._engine.transfer import Transfer
from atxfer._format.attalk import CHUNK_SIZE, MAX_SIZE, TTL, Description, announcement, new_id
from atxfer._operations import shares
from atxfer._operations.attalk.places import catalog_of, checked_namespace
from atxfer._operations.home import Home
from atxfer._operations.orders import Order
from atxfer.config import TransferConfig
from atxfer.errors import FileTooLarge, SharingFailed, TransferError
from atxfer.model import Receipt
from atxfer.stores.attalk.own import AtTalkStore
from atxfer.stores.attalk.sealing import Copies
from atxfer.stores.base import UploadPlan
from atxfer.waiting import Wait

__all__ = ["Chat", "checked_ttl", "upload"]


@dataclass(frozen=True)
class Chat:
    """Where a file is announced, and with what words.

    Attributes:
        namespace: The application's name space.
        caption: What its sender says to it, or None.

    """

    namespace: str
    caption: Optional[str] = None

    @classmethod
    def of(cls, home: Home, namespace: Optional[str], caption: Optional[str]) -> Chat:
        """Return what the arguments of a call name.

        Raises:
            ValueError: A server would refuse the name space, the caption is no valid text, or the
                configuration asks for chunks that the format doesn't have.
        """
        if home.config.chunk_size not in (None, CHUNK_SIZE):
            raise ValueError(
                f"a chunk of format attalk has {CHUNK_SIZE} bytes: leave chunk_size out"
            )
        if caption is not None:
            caption.encode("utf-8")
        return cls(checked_namespace(namespace, home.owner), caption)


@dataclass(frozen=True)
class _Parcel:
    """One file that is to be sent.

    Attributes:
        file_id: Its id.
        file: What it is.
        ttl: Seconds it lives.
        created_at: Epoch seconds.
        pairs: For whom it is, besides its owner.
    """

    file_id: str
    file: Description
    ttl: float
    created_at: float
    pairs: Sequence[PairKey]


def checked_ttl(ttl: Optional[float], config: TransferConfig) -> float:
    """Return how long a file lives: the format's one day, or less.

    Args:
        ttl: Seconds, as the caller asks for, or None.
        config: Its time to live counts where it is shorter.

    Raises:
        ValueError: It is out of range.
    """
    if ttl is None:
        return TTL if config.ttl is None else min(config.ttl, TTL)
    config.but(ttl=ttl)
    if ttl > TTL:
        raise ValueError(f"a file of format attalk lives at most {TTL:.0f} seconds, not {ttl:g}")
    return ttl


def upload(home: Home, order: Order, chat: Chat, transfer: Transfer) -> Receipt:
    """Send a file, and tell of it, and return when it is safely there.

    Args:
        home: The owner's server.
        order: What; it is announced to those it is shared with, as one group if they are several.
        chat: Where, and with what words.
        transfer: For whom.

    Raises:
        SharingFailed: It is there, but not announced to all.
        FileTooLarge: The format takes none as large. Nothing was sent.
        TransferError: It is not there.
        OSError: The source can't be read.
        ValueError: The format allows no such name.
    """
    with _opened(home.config, order, transfer) as source:
        now = round(time.time(), 3)  # the format's unit, so that receipt and metadata agree
        mime_type, _ = mimetypes.guess_type(source.name)
        file = Description.of(source.name, source.size, mime_type, now)
        ttl = checked_ttl(order.ttl, home.config)
        pairs = _pairs(home, order.share_with, transfer)
        parcel = _Parcel(new_id(now, SystemRandom()), file, ttl, now, pairs)
        summary = home.engine.upload(_job(home, parcel, chat, source, order), transfer)
    receipt = Receipt(
        file_id=parcel.file_id,
        name=file.name,
        size=file.size,
        chunk_size=CHUNK_SIZE,
        chunks=file.chunks,
        sha256=summary.sha256,
        owner=home.owner,
        created_at=parcel.created_at,
        expires_at=parcel.created_at + ttl,
        statistics=summary.statistics,
    )
    _announce(home, parcel, chat, receipt, transfer)
    return receipt


def _opened(config: TransferConfig, order: Order, transfer: Transfer) -> Source:
    """Open the source, if it is none too large."""
    own = config.max_file_size
    most = MAX_SIZE if own is None else min(own, MAX_SIZE)
    try:
        return open_source(order.source, name=order.name, max_file_size=most, wait=transfer.wait)
    except FileTooLarge as error:
        if most < MAX_SIZE:
            raise
        raise FileTooLarge(
            f"a file of format attalk has at most {MAX_SIZE:,} bytes",
            file=error.file,
            remedy="Upload it in the native format, which takes larger ones: leave the format out.",
        ) from error


def _pairs(home: Home, atsigns: Sequence[str], transfer: Transfer) -> Sequence[PairKey]:
    """Return the keys shared with these atSigns.

    Raises:
        TransferError: There can be none with one of them.
    """
    if not atsigns:
        return ()
    keys = shares.public_keys(home, atsigns, transfer)

    def obtain(public: PublicKey, wait: Wait) -> PairKey:
        return home.pair_keys.obtain(public, wait)

    return home.engine.for_each(
        home.destination, keys.values(), obtain, transfer, name="shared key"
    )


def _job(home: Home, parcel: _Parcel, chat: Chat, source: Source, order: Order) -> UploadJob:
    readers: list[Reader] = [Owner(home.keys.self_key), *parcel.pairs]
    copies = Copies(home.owner, chat.namespace, readers)
    store = AtTalkStore(home.records, copies, home.config)
    catalog = catalog_of(home, chat.namespace)
    file = parcel.file
    plan = UploadPlan(parcel.file_id, file.size, CHUNK_SIZE, file.chunks, parcel.ttl)
    return UploadJob(
        name=file.name,
        source=source,
        plan=plan,
        upload=store.open_upload(plan),
        capabilities=store.capabilities,
        destination=home.destination,
        seal=copies.seal,
        begin=lambda wait: catalog.write(parcel.file_id, file, readers, parcel.ttl, wait),
        progress=order.progress,
    )


def _announce(
    home: Home, parcel: _Parcel, chat: Chat, receipt: Receipt, transfer: Transfer
) -> None:
    """Send the chat message to all for whom the file is; one that fails is no other's loss."""
    if not parcel.pairs:
        return
    recipients = [pair.recipient for pair in parcel.pairs]
    text = announcement(
        parcel.file_id,
        parcel.file,
        sender=home.owner,
        recipients=recipients,
        caption=chat.caption,
    )
    catalog = catalog_of(home, chat.namespace)
    sendings = [(pair, Message(str(uuid.uuid4()), text, parcel.ttl)) for pair in parcel.pairs]

    def send(sending: tuple[PairKey, Message], wait: Wait) -> None:
        pair, message = sending
        catalog.announce(message, pair, wait)

    ends = home.engine.outcomes(home.destination, sendings, send, transfer, name="announcement")
    failures = {
        atsign: end for atsign, end in zip(recipients, ends) if isinstance(end, TransferError)
    }
    if failures:
        raise _not_announced(failures, receipt)


def _not_announced(failures: dict[str, TransferError], receipt: Receipt) -> SharingFailed:
    causes = "; ".join(f"to {atsign}: {error.message}" for atsign, error in failures.items())
    error = SharingFailed(
        f"the file is there, but not announced {causes}",
        failures=failures,
        file=receipt.name,
        file_id=receipt.file_id,
        remedy=f"Tell them its id: `atxfer download {receipt.file_id} --from {receipt.owner}`.",
    )
    error.receipt = receipt
    error.__cause__ = next(iter(failures.values()))
    return error
