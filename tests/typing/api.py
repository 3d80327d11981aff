"""The public types, as a program of a user's sees them. Checked by mypy, never run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Optional

import atxfer
from atxfer import (
    AbandonedUpload,
    Client,
    Outcome,
    Progress,
    Receipt,
    RemoteFile,
    Result,
    SharedFile,
    Transfer,
    TransferConfig,
    onboarding,
)


def client() -> Client:
    """Build a client in every way."""
    Client("@alice")
    Client("@alice", directory="localhost:64", ca_file=Path("ca.pem"), keys_dir="keys")
    Client("@alice", state_dir=Path("state"))
    return Client("@alice", passphrase="open", config=TransferConfig.original(ttl=None))


def told(progress: Progress) -> None:
    """Take what a transfer tells."""
    fraction: float = progress.fraction
    confirmed: int = progress.confirmed
    print(fraction, confirmed, progress.rate, progress.file)


def transfers(client: Client) -> None:
    """Move files by every call, from and to everything that holds bytes."""
    receipt: Receipt = client.upload("a")
    receipt = client.upload(Path("a"), name="b", ttl=3600.0, progress=told)
    receipt = client.upload(b"bytes", progress=print)
    receipt = client.upload(io.BytesIO(b"bytes"), name="c")
    result: Result = client.download(receipt)
    result = client.download(receipt.file_id, Path("folder"), progress=told)
    result = client.download(result.file, io.BytesIO())
    path: Optional[Path] = result.path
    receipt = client.upload("a", format="attalk", namespace="x.attalk", caption="look")
    result = client.download(receipt, format="attalk", namespace="x.attalk", from_="@alice")
    print(path, receipt.statistics.requests, result.statistics.peak_in_flight)


def handles(client: Client) -> None:
    """Begin transfers and wait for them."""
    transfer: Transfer = client.submit_upload("a", ttl=60.0)
    receipt = transfer.result(timeout=10.0)
    down: Transfer = client.submit_download(receipt, "b")
    ended: bool = down.done()
    progress: Optional[Progress] = down.progress
    print(ended, progress, down.dump())
    down.cancel()


def many(client: Client) -> list[Exception]:
    """Upload several files and collect what went wrong."""
    outcomes: list[Outcome] = list(client.upload_many(["a", Path("b"), b"c"], progress=told))
    return [outcome.error for outcome in outcomes if outcome.error is not None]


def files(client: Client) -> None:
    """Look at what is there, and change it."""
    for file in client.files(incomplete=True):
        described: RemoteFile = client.file(file.file_id)
        expires: Optional[float] = client.extend(described, 60.0).expires_at
        print(expires, described.as_dict())
        client.delete(file)
    removed: list[AbandonedUpload] = client.clean()
    for upload in client.clean(3600, dry_run=True) + removed:
        size: Optional[int] = upload.size
        print(upload.file_id, upload.name, size, upload.stored, upload.as_dict())
        print(upload.stopped_at - upload.begun_at)
    metrics: dict[str, Any] = client.metrics()
    print(metrics)


def keys() -> list[onboarding.Enrollment]:
    """Get keys, and let others have some."""
    path: Path = onboarding.activate("@alice", "secret", keys_dir=Path("keys"))
    otp: str = onboarding.new_otp("@alice", ttl=60.0, passphrase="open")
    asked = onboarding.request_enrollment("@alice", otp, namespaces={"atxfer": "rw"}, ca_file=path)
    decided: onboarding.Enrollment = onboarding.approve("@alice", asked.id)
    path = onboarding.complete_enrollment("@alice", wait=0.0, config=TransferConfig())
    print(path, decided.status, decided.namespaces["atxfer"], decided.as_dict())
    onboarding.deny("@alice", asked.id)
    onboarding.revoke("@alice", asked.id)
    return onboarding.enrollments("@alice", directory="localhost:64")


def inbox(client: Client) -> None:
    """Receive what others share."""
    for file in client.inbox():
        shared: SharedFile = file
        at: float = shared.shared_at
        result: Result = client.download(shared, "folder")
        print(at, shared.owner, result.path)
    client.inbox(wait=None, since=1.5, from_="@alice", include_seen=True)
    client.inbox(wait=60, from_=["@alice", "@carol"], until_downloaded=True)


def mistakes(client: Client) -> None:
    """What the types refuse; each line is an error, and mypy says so if it is none."""
    client.upload(42)  # type: ignore[arg-type]
    client.upload("a").sha512  # type: ignore[attr-defined]  # noqa: B018


def errors(client: Client) -> int:
    """Handle an error by its type."""
    try:
        with client:
            client.upload("a")
    except atxfer.NotFound:
        return 1
    except atxfer.TransferError as error:
        missing: Optional[tuple[int, ...]] = error.chunks_missing
        print(error.summary, error.remedy, error.retryable, missing)
        return error.exit_code
    return 0
