"""``atxfer devserver``: atServers of your own, for development and tests."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import signal
from collections.abc import Collection, Iterator
from typing import Optional

import click

from atxfer._cli.options import duration, subcommand
from atxfer._cli.settings import Settings
from atxfer.devserver import WARNING, DevServer, FaultPlan

_ENDS = (signal.SIGINT, signal.SIGTERM)


@subcommand("devserver")
@click.option("--dir", "folder", required=True, help="Where ready.json, certificate and keys go.")
@click.option("--atsigns", default="alice,bob", show_default=True, help="Who has a server here.")
@click.option(
    "--unactivated", metavar="NAMES", multiple=True, help="Who is to be activated with a secret."
)
@click.option("--profile", type=click.Choice(["atserver"]), help="Take a real server's time.")
@click.option("--latency", type=duration, default="0", help="For a round trip, as 100ms.")
@click.option("--faults", metavar="PLAN", default="", help="As error=0.05,drop=0.02@batch.")
@click.option("--seed", type=int, help="Makes faults repeatable.")
@click.option("--port", type=int, default=0, help="Of the directory; by default any that is free.")
@click.option("--http", is_flag=True, help="Answer HTTP GET too, as newer atServers do.")
@click.option("--keep", is_flag=True, help="Keep the records in DIR, for the next start.")
def command(
    settings: Settings,
    folder: str,
    atsigns: str,
    unactivated: tuple[str, ...],
    profile: Optional[str],
    latency: float,
    faults: str,
    seed: Optional[int],
    port: int,
    http: bool,
    keep: bool,
) -> None:
    """Run atServers on this machine, for development.

    An atDirectory and atServers, until Ctrl-C or SIGTERM. DIR/ready.json is written once they
    listen, and says where. Never for production.
    """
    world = DevServer(
        atsigns.split(","),
        cram_secrets=_new_secrets(unactivated),
        folder=folder,
        storage=folder if keep else None,
        profile=profile,
        latency=latency,
        faults=FaultPlan.parse(faults, seed=seed),
        seed=seed,
        root_port=port,
        http=http,
    )
    settings.output.note(WARNING)
    with _held(_ENDS), world:
        ready = world.write_ready(folder)
        lines = [f"{', '.join(world.servers)} are served, says {ready}", _exports(world)]
        lines += [f"{atsign}'s secret: {text}" for atsign, text in world.cram_secrets.items()]
        settings.output.result(world.ready(), "\n".join(lines))
        signal.sigwait(_ENDS)


def _new_secrets(unactivated: tuple[str, ...]) -> dict[str, str]:
    """Return a secret for each name; where records were kept, the older one holds."""
    names = [name for text in unactivated for name in text.split(",")]
    return {name: secrets.token_hex(32) for name in names}


def _exports(world: DevServer) -> str:
    """Return what to type in another shell, to have its commands find this world."""
    options = world.client_options.items()
    pairs = [f"ATXFER_{name.upper()}={shlex.quote(value)}" for name, value in options]
    return " ".join(["export", *pairs])


@contextlib.contextmanager
def _held(signals: Collection[signal.Signals]) -> Iterator[None]:
    """Hold signals back for ``sigwait``; threads that start meanwhile leave them to us, too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
