"""``python -m tests.faults [--short] [--only NAME]… [--seed N] [--keep]``: run the matrix; exit 1 when it is off."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from infra.local.paths import ROOT
from tests.faults import table
from tests.faults.matrix import FAULTS
from tests.faults.rig import Rig
from tests.faults.run import Outcome, run

_RESULT = ROOT / "benchmarks" / "faults.md"


def main() -> int:
    """Run the faults that were named, or all; the table of all is written where it is committed."""
    options = _options()
    # An orderly end, so that nothing of the stack is left halted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = [fault for fault in FAULTS if not options.only or fault.name in options.only]
    folder = Path(tempfile.mkdtemp(prefix="weir-faults-"))
    began = time.monotonic()
    outcomes: list[Outcome] = []
    _say(f"the stack is coming up in {folder} …")
    with Rig(folder, options.short) as rig:
        _say(f"up after {time.monotonic() - began:.0f} s; seed {options.seed}")
        if rig.no_disks:
            _say(f"NOT RUN: the faults of full disks, since {rig.no_disks}")
        for fault in chosen:
            _say(f"{fault.name}: {fault.broken}, {fault.how} …")
            outcomes.append(run(rig, fault, options.seed))
            _say(table.line(outcomes[-1]))
    seconds = time.monotonic() - began
    print(table.text(outcomes, seconds))
    if not options.only:
        _RESULT.write_text(table.markdown(outcomes, seconds, _how(options)))
    good = all(one.good for one in outcomes)
    if good and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        _say(f"what the witness wrote, and every log, is in {folder}")
    return 0 if good else 1


def _how(options: argparse.Namespace) -> str:
    waits = "the short waits of CI" if options.short else "waits as Weir is shipped"
    machine = f"{os.cpu_count()} cores with a load of {os.getloadavg()[2]:.0f} on average at the end"
    return f"{datetime.now(UTC):%Y-%m-%d}, seed {options.seed}, {waits}, {machine}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--short", action="store_true", help="short waits, as in CI")
    parser.add_argument("--only", action="append", choices=[fault.name for fault in FAULTS], help="may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the folder also when all was well")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
