"""What one run of the program was told, and what it works with."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Callable, Optional, TypedDict

import click

import atxfer
from atxfer._cli.failure import failure_of
from atxfer._cli.output import Output
from atxfer.errors import NotSupported

__all__ = ["Settings"]


class Places(TypedDict):
    """What names the surroundings of an atSign."""

    directory: Optional[str]
    ca_file: Optional[str]
    keys_dir: Optional[str]


@dataclass
class Settings:
    """What the options that every command takes say, for one run of the program."""

    atsign: Optional[str] = None
    destination: Optional[str] = None
    store: Optional[str] = None
    endpoint_url: Optional[str] = None
    directory: Optional[str] = None
    ca_file: Optional[str] = None
    keys_dir: Optional[str] = None
    json: bool = False
    quiet: bool = False
    verbose: int = 0
    typed: set[str] = field(default_factory=set)  # the names of those that were typed

    @functools.cached_property
    def output(self) -> Output:
        """Where this run's words go. Asked for only once all options are read."""
        return Output(
            sys.stdout,
            sys.stderr,
            as_json=self.json,
            quiet=self.quiet,
            verbose=self.verbose,
        )

    def address(self) -> str:
        """Return the atSign to work for.

        Raises:
            NotSupported: There is a store instead.
        """
        if self.is_store and not self.atsign:
            raise NotSupported(
                "this command takes an atSign, and the destination is a store",
                remedy="Name the atSign with --atsign or ATXFER_ATSIGN.",
            )
        atsign = self.atsign if self.is_store else self.destination or self.atsign
        if not atsign:
            raise click.UsageError("no atSign: name yours with --atsign or ATXFER_ATSIGN")
        return atsign

    @property
    def is_store(self) -> bool:
        """Whether files lie in a store, and not with an atSign: whoever names both means it."""
        return "://" in (self.destination or "")

    @property
    def places(self) -> Places:
        """Where directory, authorities and keys are, as the library takes it by name."""
        return {"directory": self.directory, "ca_file": self.ca_file, "keys_dir": self.keys_dir}

    def client(
        self,
        config: Optional[atxfer.TransferConfig] = None,
        state_dir: Optional[str] = None,
        encrypt: Optional[bool] = None,
    ) -> atxfer.Client:
        """Return a client of that atSign, or of the store.

        A store for the bulk of an atSign may stand in the environment, and then waits for one.

        Raises:
            click.UsageError: One was typed, and the files don't go to an atSign.
        """
        if self.is_store and "store" in self.typed:
            raise click.UsageError(
                f"--store goes with an atSign, and the destination is {self.destination}: leave"
                " one of them out, ATXFER_DESTINATION too"
            )
        address = (self.destination or "") if self.is_store else self.address()
        store = None if self.is_store else self.store
        of_s3 = (store or address).lower().startswith("s3:")
        return atxfer.Client(
            address,
            config=config,
            state_dir=state_dir,
            encrypt=encrypt,
            store=store,
            endpoint_url=self.endpoint_url if of_s3 else None,
            **self.places,
        )

    def each(self, items: Iterable[str], call: Callable[[str], None]) -> None:
        """Call for each item; one that fails is told of and doesn't disturb the others."""
        for item in items:
            try:
                call(item)
            except (atxfer.TransferError, ValueError) as error:
                self.output.error(failure_of(error))
