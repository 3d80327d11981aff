"""Benchmarks: ``python -m tests.bench``. Prints a table, and fails where a bar is missed.

Speed is judged here and nowhere else, as a ratio to a floor or to another way of doing the same in
the same run.
"""

from __future__ import annotations

import argparse
import sys

from tests.bench import atserver, http, memory, sharing

PARTS = {"atserver": ("latency", "memory"), "sharing": (), "http": (*http.PARTS, "memory")}


def main() -> int:
    """Run what is asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("what", nargs="?", default="atserver", choices=list(PARTS))
    parser.add_argument("--ready", help="ready.json of a running world, instead of our own")
    parser.add_argument("--only", help=f"one part alone: {PARTS}")
    arguments = parser.parse_args()
    if arguments.only not in (None, *PARTS[arguments.what]):
        parser.error(f"the parts of {arguments.what} are {', '.join(PARTS[arguments.what])}")
    if arguments.what == "sharing":
        return sharing.run()
    if arguments.what == "http":
        missed = memory.run() if arguments.only in (None, "memory") else 0
        return http.run(arguments.only) or missed
    return atserver.run(arguments.ready, arguments.only)


if __name__ == "__main__":
    sys.exit(main())
