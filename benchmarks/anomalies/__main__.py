"""``python -m benchmarks.anomalies [--quick]``: compare the methods and write anomalies.md.

Thresholds are chosen on some seeds and judged on others. statsmodels and river are taken along where installed.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.anomalies.methods import Method, methods
from benchmarks.anomalies.scoring import Tally, tally
from benchmarks.anomalies.series import FAULTS, SHAPES, Series, all_series

REPORT = Path(__file__).parents[1] / "anomalies.md"
_TUNING = range(500, 501)
_JUDGED = range(900, 903)
_HEAD = """# Anomalies: methods compared
Labelled series with seeded faults (`benchmarks/anomalies/series.py`); made by `python -m benchmarks.anomalies`, with
statsmodels and river in the environment. Each method judges a window from those before it; the first 15 % are not
counted. Recall is of faults; precision is of alarms (flags within three windows are one alarm, true when it meets a
fault or the three windows after it). Thresholds of the others are the best of a grid on other seeds; Weir's is fixed.
"""


def main() -> int:
    """Compare, print, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anomalies", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, and nothing is written")
    options = parser.parse_args()
    tuning, judged = list(all_series(_TUNING)), list(all_series(_JUDGED[:1] if options.quick else _JUDGED))
    results = {}
    for name, (method, thresholds) in methods().items():
        print(f"{name} …", file=sys.stderr, flush=True)
        results[name] = _measure(method, thresholds, tuning, judged)
    text = _HEAD + _table(results) + _details(results)
    print(text)
    if not options.quick:
        REPORT.write_text(text)
    return 0


def _measure(
    method: Method, thresholds: Sequence[float], tuning: list[Series], judged: list[Series]
) -> tuple[float, dict[str, Tally], float]:
    threshold = thresholds[0]
    if len(thresholds) > 1:
        scores = [(series, method(series)) for series in tuning]
        threshold = max(thresholds, key=lambda one: _total(scores, one).f1)
    began, windows = time.process_time(), 0
    scores = []
    for series in judged:
        scores.append((series, method(series)))
        windows += len(series.ts)
    seconds = (time.process_time() - began) / windows * 10_000
    by: dict[str, Tally] = defaultdict(Tally)
    for series, found in scores:
        one = tally(series, [score >= threshold for score in found])
        for key in ("all", f"shape {series.name}", f"fault {series.fault}"):
            by[key] = by[key].plus(one)
    return threshold, by, seconds


def _total(scores: list[tuple[Series, list[float]]], threshold: float) -> Tally:
    total = Tally()
    for series, found in scores:
        total = total.plus(tally(series, [score >= threshold for score in found]))
    return total


def _table(results: dict[str, tuple[float, dict[str, Tally], float]]) -> str:
    lines = [
        "\n| method | threshold | precision | recall | F1 | false windows in 1,000 | CPU seconds for 10,000 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (threshold, by, seconds) in results.items():
        one = by["all"]
        lines.append(
            f"| {name} | {threshold} | {one.precision:.2f} | {one.recall:.2f} | {one.f1:.2f}"
            f" | {one.false_per_thousand:.2f} | {seconds:.2f} |"
        )
    return "\n".join(lines) + "\n"


def _details(results: dict[str, tuple[float, dict[str, Tally], float]]) -> str:
    """Recall by fault, false windows where nothing is wrong, and F1 by shape."""
    text = "\n## By fault (recall; for gap and none: false windows in 1,000)\n" + _by(results, "fault", FAULTS)
    return text + "\n## By shape (F1)\n" + _by(results, "shape", SHAPES)


def _by(results: dict[str, tuple[float, dict[str, Tally], float]], kind: str, names: Sequence[str] | dict) -> str:
    lines = [f"| method | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for method, (_, by, _) in results.items():
        cells = [_cell(by[f"{kind} {name}"], kind) for name in names]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(one: Tally, kind: str) -> str:
    if kind == "shape":
        return f"{one.f1:.2f}"
    return f"{one.recall:.2f}" if one.faults else f"{one.false_per_thousand:.2f}"


if __name__ == "__main__":
    sys.exit(main())
