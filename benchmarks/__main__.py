"""``python -m benchmarks [PIECE] [--quick]``: measure one of ``PIECES`` or all, print, write last.json."""

import argparse
import importlib
import subprocess
import sys

from benchmarks import machine, results

PIECES = (
    "collect",
    "enrich",
    "pipe",
    "baseline",
    "stack",
    "query",
    "measure",
    "cost",
    "cold",
    "memory",
    "ledger",
    "trust",
    "replay",
)


MODULES = {"query": "queries"}  # benchmarks.query is a program of its own


def main() -> int:
    """Run the pieces that were named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("piece", nargs="?", choices=PIECES)
    parser.add_argument("--quick", action="store_true", help="shorter, and less sure")
    options = parser.parse_args()
    if options.piece is None:
        # A process each: what one piece imported and holds must not weigh on the next.
        for piece in PIECES:
            command = [sys.executable, "-m", "benchmarks", piece, *(["--quick"] if options.quick else [])]
            subprocess.run(command, check=True)
        results.show(results.last())
        return 0
    print(f"{options.piece} …", file=sys.stderr, flush=True)
    # Each piece imports what it needs, when it is asked for.
    module = importlib.import_module(f"benchmarks.{MODULES.get(options.piece, options.piece)}")
    pace = machine.pace()
    found = results.judged(module.measure(quick=options.quick), quick=options.quick, pace=pace)
    results.write(found)
    results.show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
