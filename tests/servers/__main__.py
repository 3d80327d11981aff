"""``python -m tests.servers install`` or ``where``: what the interop tests and benchmarks need."""

from __future__ import annotations

import argparse
import sys
import time

from tests.servers import install


def main() -> int:
    """Do what is asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("what", choices=["install", "where"])
    if parser.parse_args().what == "where":
        for program in install.PROGRAMS:
            print(f"{program.name} {program.version}: {program.found or 'not installed'}")
        return 0
    for program in install.PROGRAMS:
        began = time.perf_counter()
        try:
            where = program.install()
        except install.CannotInstall as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{program.name} {program.version}: {where} ({time.perf_counter() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
