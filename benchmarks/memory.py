"""Memory and speed: ``python -m benchmarks memory`` runs each function with the memory and vCPU that AWS would give it.

For whoever chooses the sizes and timeouts of template.yaml; it writes ``memory.md``.
"""

import subprocess
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.lambda_calls import Call, calls
from benchmarks.lambda_image import VCPU_MB, Container
from benchmarks.results import Values

SIZES_MB = (256, 512, 1024, VCPU_MB)
PAGE = Path(__file__).with_name("memory.md")
_COMMON = 5
_DOLLARS_GB_SECOND = 0.0000166667


class Row(NamedTuple):
    """A function with so much memory: milliseconds, and the most that its process held."""

    name: str
    memory_mb: int
    cold_ms: float
    common_ms: float
    largest_ms: float
    peak_mb: float

    @property
    def dollars(self) -> float:
        """A million common invocations, without the price of the invocations themselves."""
        return self.common_ms / 1000 * self.memory_mb / 1024 * _DOLLARS_GB_SECOND * 1_000_000


def measure(*, quick: bool = False) -> Values:
    """Milliseconds and peak memory of each function and size. ``quick``: the largest and the smallest alone."""
    rows: list[Row] = []
    with calls() as functions:
        for name, call in functions.items():
            for memory_mb in (SIZES_MB[0], SIZES_MB[-1]) if quick else SIZES_MB:
                if (row := _row(name, call, memory_mb)) is not None:
                    rows.append(row)
    if not quick:
        PAGE.write_text(page(rows))
    return {f"memory_{row.name}_{row.memory_mb}_{what}": getattr(row, what) for row in rows for what in _KEPT}


_KEPT = ("common_ms", "largest_ms", "peak_mb")


def _row(name: str, call: Call, memory_mb: int) -> Row | None:
    """None when the function does not fit."""
    try:
        with Container(call.target, memory_mb) as container:
            cold = container.invoke(call.common()).milliseconds
            common = median(container.invoke(call.common()).milliseconds for _ in range(_COMMON))
            largest = container.invoke(call.largest()).milliseconds
            return Row(name, memory_mb, cold, common, largest, container.peak_mb())
    except (AssertionError, OSError, ValueError, subprocess.CalledProcessError):
        return None


def page(rows: list[Row]) -> str:
    """What was measured, as ``memory.md`` holds it."""
    lines = [_HEAD, f"| function | MB | first, ms | common, ms | largest, ms | peak, MB | $ |\n|---{'|---:' * 6}|"]
    for row in rows:
        times = (f"{one:,.0f}" for one in row[2:])
        lines.append(
            f"| {row.name.replace('_', ' over ')} | {row.memory_mb} | {' | '.join(times)} | {row.dollars:.2f} |"
        )
    return "\n".join(lines) + "\n"


_HEAD = f"""\
# Memory, vCPU and time
Made by `python -m benchmarks memory`: each function in the stand-in for Lambda's image, held to so much memory and to
its part of a vCPU (a whole one at {VCPU_MB} MB). By Lambda's runtime interface emulator: *first* starts the function,
*common* is the median of {_COMMON} after it, *largest* comes once behind them. *Peak* is the most that the runtime's
process held. *$* is a million common invocations, for what Lambda bills by GB-second. A size that is missing did not
carry the events.

| function | common | largest |
|---|---|---|
| collect | 100 events | 5,000 events, 3.6 MB |
| enrich | 10 messages of 100 events | 10 messages of 500 events |
| drain | a tick that finds the queue empty | |
| measure | a tick: what was stored since the last one | |
| serve | 100 events | 1,000 events |
"""
