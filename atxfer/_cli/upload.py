"""``atxfer upload``: one file or many; each goes on where an earlier call ended."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection, Iterator
from typing import Any, Optional

import click

from atxfer import Receipt, TransferConfig, unfinished_uploads
from atxfer._cli.failure import failure_of
from atxfer._cli.options import NEVER, duration, size, subcommand
from atxfer._cli.settings import Settings
from atxfer._cli.words import counted, duration_text, moment_text, printable, size_text

__all__ = ["command", "remind", "show"]

_FORMATS = ("native", "attalk")
_PRESETS = ("development", "production", "high_performance", "original")


@subcommand("upload")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--name", help="The name to keep one file under.")
@click.option("--ttl", type=duration, help="Of an atSign: how long it lives, 3600, 2h, never.")
@click.option(
    "--share-with", multiple=True, metavar="ATSIGN", help="Of an atSign: whom to share it with."
)
@click.option("--preset", type=click.Choice(_PRESETS), help="A whole configuration by name.")
@click.option("--chunk-size", type=size, help="Bytes of a chunk, as 32KiB; in S3 5MiB at least.")
@click.option("--max-concurrent-uploads", type=int, help="Requests in flight, at most.")
@click.option("--format", type=click.Choice(_FORMATS), default="native", help="How it is kept.")
@click.option("--namespace", metavar="NS", help="Of format attalk: the application's name space.")
@click.option("--caption", metavar="TEXT", help="Of format attalk: what the message says.")
@click.option("--encrypt/--no-encrypt", default=None, help="Of a store: seal the file, or not.")
@click.option("--state-dir", metavar="DIR", help="Where it is kept how far uploads are.")
def command(
    settings: Settings,
    files: tuple[str, ...],
    name: Optional[str],
    share_with: tuple[str, ...],
    preset: Optional[str],
    format: str,  # noqa: A002  # the name of the option
    namespace: Optional[str],
    caption: Optional[str],
    encrypt: Optional[bool],
    state_dir: Optional[str],
    **changes: Any,
) -> None:
    """Upload files. Each is there, whole and verified, when its line appears.

    A FILE of - is what comes in by the standard input. An upload of any other that is interrupted
    goes on when the same command is run again.
    """
    output = settings.output
    how: dict[str, Any] = {"share_with": share_with, "format": format}
    how.update(namespace=namespace, caption=caption)
    if format != "native" or settings.is_store:
        how["ttl"] = changes["ttl"]  # asked for, and not only wished: there are limits
    sources = [sys.stdin.buffer if file == "-" else file for file in files]
    if len(files) == 1:
        name = name or ("stdin" if files[0] == "-" else None)
        with (
            remind(settings, files, state_dir),
            settings.client(_config(preset, changes), state_dir, encrypt) as client,
            output.progress() as progress,
        ):
            receipt = client.upload(sources[0], name=name, progress=progress, **how)
        show(settings, receipt)
        return
    if name is not None:
        raise click.UsageError("--name is for one file")
    with (
        remind(settings, files, state_dir),
        settings.client(_config(preset, changes), state_dir, encrypt) as client,
        output.progress() as progress,
    ):
        for outcome in client.upload_many(sources, progress=progress, **how):
            if outcome.receipt is not None:
                show(settings, outcome.receipt)
            elif outcome.error is not None:
                output.error(failure_of(outcome.error))


def _config(preset: Optional[str], changes: dict[str, Any]) -> TransferConfig:
    """Return the preset, with what was given beside it."""
    given = {field: value for field, value in changes.items() if value is not None}
    if given.get("ttl") == NEVER:
        given["ttl"] = None
    return getattr(TransferConfig, preset or "production")(**given)  # type: ignore[no-any-return]


@contextlib.contextmanager
def remind(settings: Settings, files: Collection[str], state_dir: Optional[str]) -> Iterator[None]:
    """Tell whoever interrupts uploads what is there of them, and that they can go on."""
    try:
        yield
    except KeyboardInterrupt:
        paths = {os.path.realpath(file) for file in files}
        for upload in unfinished_uploads(state_dir=state_dir):
            if upload.path in paths:
                there, size = size_text(upload.stored), size_text(upload.size)
                name = printable(upload.name)
                settings.output.note(
                    f"{name}: {there} of {size} are there; `atxfer resume` goes on"
                )
        raise


def show(settings: Settings, receipt: Receipt) -> None:
    """Show what was uploaded, and what of it an earlier call had sent."""
    spent = receipt.statistics
    rate = receipt.size / spent.seconds if spent.seconds > 0 else 0.0
    # Of a file that was sealed for a store, the link has the only key there is.
    reference = receipt.link or receipt.file_id
    text = (
        f"{reference}  {receipt.name}: {size_text(receipt.size)} in"
        f" {duration_text(spent.seconds)} ({size_text(rate)}/s),"
        f" {counted(receipt.chunks, 'chunk')} in {counted(spent.requests, 'request')},"
        f" {spent.peak_in_flight} in flight at most; expires {moment_text(receipt.expires_at)}"
    )
    settings.output.result(receipt.as_dict(), text, reference)
    if spent.resumed_bytes:
        there, size = size_text(spent.resumed_bytes), size_text(receipt.size)
        settings.output.note(f"resumed: {there} of {size} were there already")
