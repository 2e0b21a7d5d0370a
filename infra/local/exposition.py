"""The functions' metrics in Prometheus' text format, from the metrics lines of their logs. As many as are declared."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from functions.shared.metric_names import BY_KEY, DIMENSION, KEY, UNITS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FILE = "metrics.prom"
_STATES = {
    "UnmeasuredSeconds",
    "SinceDoneSeconds",
    "LedgerDifference",
    "QueueReady",
    "OldestMessageSeconds",
    "DeadLetters",
    "AlertsFiring",
}
_MARK = '"_aws"'


class Exposition:
    """Adds up what log lines tell since the stack started."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], float] = {}
        self._counts: dict[tuple[str, str], int] = {}

    def take(self, line: str) -> None:
        """Read a log line; one that is no metrics line is left alone."""
        if _MARK not in line:
            return
        try:
            told = json.loads(line)
        except ValueError:
            return
        for name in UNITS.keys() & told.keys():
            values = told[name] if isinstance(told[name], list) else [told[name]]
            key = (name, _labels(name, told))
            self._sums[key] = values[-1] if name in _STATES else self._sums.get(key, 0.0) + sum(values)
            self._counts[key] = self._counts.get(key, 0) + len(values)

    def text(self) -> str:
        """All of it, a family a metric."""
        lines: list[str] = []
        for name in sorted({name for name, _ in self._sums}):
            family = "weir_" + re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
            of_name = sorted(key for key in self._sums if key[0] == name)
            if UNITS[name] == "Milliseconds":
                family += "_milliseconds"
                lines.append(f"# TYPE {family} summary")
                for key in of_name:
                    lines.append(f"{family}_sum{{{key[1]}}} {self._sums[key]:g}")
                    lines.append(f"{family}_count{{{key[1]}}} {self._counts[key]}")
                continue
            family += "" if name in _STATES else "_total"
            lines.append(f"# TYPE {family} {'gauge' if name in _STATES else 'counter'}")
            lines += [f"{family}{{{key[1]}}} {self._sums[key]:.15g}" for key in of_name]
        return "".join(f"{line}\n" for line in lines)

    def write(self, folder: Path, also: str = "") -> None:
        """Whole or not at all, with what else is told: the front door may read at any moment."""
        temporary = folder / f"{FILE}.new"
        temporary.write_text(self.text() + also)
        temporary.replace(folder / FILE)


def _labels(name: str, told: Mapping[str, Any]) -> str:
    shown = [DIMENSION, KEY] if name in BY_KEY and KEY in told else [DIMENSION]
    return ",".join(f'{label}="{_escaped(str(told.get(label, "")))}"' for label in shown)


def _escaped(value: str) -> str:
    """A label's value as the text format has it: one that is not would make the whole page unreadable."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
