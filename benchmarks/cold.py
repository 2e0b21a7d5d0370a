"""Cold starts: ``python -m benchmarks cold`` starts each function 20 times in the stand-in for Lambda's image.

``init`` is what an invocation with nothing to do takes when it is the first: interpreter, Lambda's runtime client,
imports, settings, the service. AWS' own init duration ends before the handler is called, and is less. ``first`` has
beside that what the first real event waits for: the engines' clients, connections, tables made on first use.
No CPU limit: AWS starts a function at full speed, whatever its memory.
"""

import os
import sys
from pathlib import Path
from statistics import median

from benchmarks.lambda_calls import Call, calls
from benchmarks.lambda_image import Container
from benchmarks.results import GOALS, Values
from tests.support.packages import MEGABYTE, zipped

STARTS = 20
PAGE = Path(__file__).with_name("cold.md")
_KINDS = ("init", "first")


def measure(*, quick: bool = False) -> Values:
    """Milliseconds of each function's cold start, the median and the 95th percentile, in the order of the data."""
    found: Values = {}
    with calls(by_reference=True) as functions:
        sizes = {call.target.package: len(zipped(call.target.package)) / MEGABYTE for call in functions.values()}
        for name, call in functions.items():
            found[f"size_{name}_mb"] = sizes[call.target.package]
            starts = [_cold_ms(call) for _ in range(3 if quick else STARTS)]
            for kind, each in zip(_KINDS, zip(*starts, strict=True), strict=True):
                taken = sorted(each)
                print(f"{name} {kind}: {', '.join(f'{one:.0f}' for one in taken)}", file=sys.stderr, flush=True)
                found[f"{kind}_{name}_p50_ms"] = median(taken)
                found[f"{kind}_{name}_p95_ms"] = taken[int(len(taken) * 0.95) - 1]
    if not quick:
        PAGE.write_text(page(found))
    return found


def _cold_ms(call: Call) -> tuple[float, float]:
    """Init, and init with what the first real event waits for."""
    with Container(call.target) as container:
        first, again = (container.invoke(call.none).milliseconds for _ in range(2))
        real, as_real = (container.invoke(call.common()).milliseconds for _ in range(2))
    return first - again, first - again + max(0.0, real - as_real)


def page(found: Values) -> str:
    """What was measured, as ``cold.md`` holds it."""
    lines = [
        _HEAD,
        "| function | zipped, MB | init, median | p95 | goal | first event, median | p95 |",
        f"|---{'|---:' * 6}|",
    ]
    for name in [one.removeprefix("init_").removesuffix("_p50_ms") for one in found if one.startswith("init_")]:
        if name.endswith("_p95_ms"):
            continue
        goal, *_ = GOALS.get(f"init_{name}_p50_ms", ("",))
        cells = [f"{found[f'{kind}_{name}_{share}_ms']:.0f}" for kind in _KINDS for share in ("p50", "p95")]
        size = f"{found[f'size_{name}_mb']:.1f}"
        lines.append(f"| {' | '.join([_spoken(name), size, *cells[:2], str(goal), *cells[2:]])} |")
    lines += ["", f"Load average of the machine at the end: {os.getloadavg()[0]:.1f}, on {os.cpu_count()} cores."]
    return "\n".join(lines) + "\n"


def _spoken(name: str) -> str:
    return name.replace("_by_reference", ", by reference").replace("_", " over ")


_HEAD = f"""\
# Cold starts
Made by `python -m benchmarks cold`: {STARTS} fresh containers of each function as `sam build` makes it, in a stand-in
for Lambda's Python 3.11 image, with real engines beside them. Milliseconds by Lambda's runtime interface emulator,
beyond what the same invocation takes once warm.

- *zipped*: the package as it is uploaded; collect's goal is 10 MB. Lambda's own runtime has botocore.
- *init*: an invocation with nothing to do. Interpreter, AWS' runtime client, imports, settings, the service. What AWS
  reports as init duration ends before the handler is called, and is less.
- *first event*: init, and what the first real event waits for: the engines' clients, connections, and tables that are
  made on first use (enrich: the patterns of user agents).

No CPU limit: AWS starts a function at full speed, whatever its memory. The first event then has the memory's part of a
vCPU.

*By reference*: keys and passwords are kept in Secrets Manager, as in a deployment, and each takes a call of the
emulator's. All else has its keys inline. See docs/adr/0017-cold-starts.md.
"""
