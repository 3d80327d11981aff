"""Pinned versions of the servers and clients that no Python package brings.

They go into one folder outside the tree, ``$ATXFER_TEST_CACHE`` or ``~/.cache/atxfer-tests``, each
version into a folder of its own that appears when it is whole: an installation that was broken off
leaves nothing that looks like one, and one that is there is not made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

NODE = Path(__file__).resolve().parent / "node"

# Read once: tests hide the environment and the home of whoever runs them.
CACHE = Path(os.environ.get("ATXFER_TEST_CACHE") or Path("~/.cache/atxfer-tests").expanduser())

HINT = "python -m tests.servers install"


class CannotInstall(Exception):
    """A package client is missing or has failed; the message says which, and its last words."""


class NotInstalled(Exception):
    """A program is not in the cache; the message says how it gets there."""


@dataclass(frozen=True)
class Program:
    """Something to install.

    Args:
        name: What the tests call it.
        version: The one that the tests are written against.
        tool: The package client; it must be on the path when installing.
        source: The Go package; for npm nothing, as ``package-lock.json`` names all.
    """

    name: str
    version: str
    tool: str
    source: str = ""

    @property
    def folder(self) -> Path:
        """Where this version lies."""
        return CACHE / f"{self.name}-{self.version}"

    @property
    def found(self) -> Optional[Path]:
        """The program's file, or for npm packages the folder to resolve them from."""
        path = self.folder / self.name if self.source else self.folder
        return path if path.exists() else None

    @property
    def path(self) -> Path:
        """The same, where it must be there.

        Raises:
            NotInstalled: It is not.
        """
        if self.found is None:
            raise NotInstalled(f"{self.name} {self.version} is not installed: run `{HINT}`")
        return self.found

    def install(self) -> Path:
        """Install this version unless it is there, and return its path.

        Processes that do so at once wait for each other.

        Raises:
            CannotInstall: It can't be had on this machine.
        """
        with _alone():
            if self.found is None:
                self._install()
        return self.path

    def _install(self) -> None:
        tool = shutil.which(self.tool)
        if tool is None:
            raise CannotInstall(f"{self.name} needs `{self.tool}`, which is not on the path")
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            whole = Path(name) / "whole"
            whole.mkdir()
            if self.source:
                _go(tool, f"{self.source}@v{self.version}", whole)
            else:
                _npm(tool, whole)
            whole.rename(self.folder)


def _go(tool: str, package: str, target: Path) -> None:
    # Without symbols: linking takes half as long, and nobody debugs a reference server here.
    _run([tool, "install", "-ldflags=-s -w", package], target, {"GOBIN": str(target)})


def _npm(tool: str, target: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(NODE / name, target)
    options = ("--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund")
    _run([tool, "ci", *options], target, {})


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotInstall(f"`{' '.join(command)}` failed:\n{done.stdout[-2000:]}")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the cache's lock; the system lets go of it should the process die."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lock_file_version() -> str:
    """Return a name for what package-lock.json says."""
    return hashlib.sha256((NODE / "package-lock.json").read_bytes()).hexdigest()[:12]


TUSD = Program("tusd", "2.9.1", "go", "github.com/tus/tusd/v2/cmd/tusd")
VERSITYGW = Program("versitygw", "1.8.0", "go", "github.com/versity/versitygw/cmd/versitygw")
PACKAGES = Program("node", _lock_file_version(), "npm")
PROGRAMS = (PACKAGES, TUSD, VERSITYGW)
