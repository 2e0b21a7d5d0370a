"""How well alarms match labels: found faults, and alarms that were none."""

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.anomalies.series import Series

# An alarm this many windows after a fault's end, or one before it, still belongs to it.
_AFTER = 3
_BEFORE = 1
# Alarms within so many windows of each other are one.
_ONE_ALARM = 3
# From here on a method must know the series (the warm-up that is allowed).
WARM_UP = 0.15


class Tally(NamedTuple):
    """Counts over one or many series. ``windows`` are those that were judged after the warm-up."""

    faults: int = 0
    found: int = 0
    alarms: int = 0
    true_alarms: int = 0
    windows: int = 0
    false_windows: int = 0

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(*(one + two for one, two in zip(self, other, strict=True)))

    @property
    def precision(self) -> float:
        """Of the alarms, those that were true."""
        return self.true_alarms / self.alarms if self.alarms else 1.0

    @property
    def recall(self) -> float:
        """Of the faults, those that were found."""
        return self.found / self.faults if self.faults else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of the two."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def false_per_thousand(self) -> float:
        """Windows in a thousand that were called an anomaly and were none."""
        return 1000 * self.false_windows / self.windows if self.windows else 0.0


def tally(series: Series, flags: Sequence[bool]) -> Tally:
    """Match the flags of one series with its labels, from the end of the warm-up on."""
    start = int(len(series.ts) * WARM_UP)
    ranges = [
        (label.first - _BEFORE * series.interval, label.last + _AFTER * series.interval) for label in series.labels
    ]
    found: set[int] = set()
    alarms = true = false_windows = 0
    last, last_true = -(10**30), False
    for place in range(start, len(series.ts)):
        if not flags[place]:
            continue
        ts = series.ts[place]
        hit = [index for index, (first, until) in enumerate(ranges) if first <= ts <= until]
        found.update(hit)
        false_windows += not hit
        if ts - last > _ONE_ALARM * series.interval:
            alarms += 1
            last_true = False
        if hit and not last_true:
            last_true = True
            true += 1
        last = ts
    return Tally(len(ranges), len(found), alarms, true, len(series.ts) - start, false_windows)
