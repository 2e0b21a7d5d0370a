"""Which windows of a series are judged, and by which past. Instants are nanoseconds since 1970."""

from collections.abc import Mapping
from typing import NamedTuple

from functions.measure.anomalies import Point
from functions.measure.metrics.definitions import INTERVALS, IntervalName, Metric
from functions.shared.domain.instants import SECOND

# 1970-01-05, a Monday: periods of whole weeks begin with one.
_MONDAY = 4 * 86_400 * SECOND


class Reach(NamedTuple):
    """How an interval is judged; all but ``length`` is in windows.

    What a period's windows are judged by begins one period before it. So a judgement depends on the window alone, and
    not on when it is made. After ``silence`` windows without a value a series has ended, until the next one. Only
    windows of the last ``horizon`` are judged; None is all.
    """

    length: int
    period: int
    silence: int
    horizon: int | None = None

    def start_of_period(self, ts: int) -> int:
        """The start of the period that holds a window."""
        length = self.period * self.length
        return ts - (ts - _MONDAY) % length

    def past_of(self, ts: int) -> int:
        """Where the past begins by which a window is judged."""
        return self.start_of_period(ts) - self.period * self.length

    def end_of_period(self, ts: int) -> int:
        """The end of the period that holds a window."""
        return self.start_of_period(ts) + self.period * self.length


# Minutes are for who watches now: older ones are not judged.
REACHES: Mapping[IntervalName, Reach] = {
    "1m": Reach(INTERVALS["1m"] * SECOND, 1_440, 360, 1_440),
    "1h": Reach(INTERVALS["1h"] * SECOND, 28 * 24, 7 * 24),
    "1d": Reach(INTERVALS["1d"] * SECOND, 182, 28),
}


def is_counted(metric: Metric) -> bool:
    """Whether a window without a value is one of 0."""
    return metric.kind in ("count", "unique", "sum", "rate", "difference")


def points(values: Mapping[int, float], reach: Reach, until: int, counted: bool) -> list[Point]:
    """The windows of a series from its first value up to ``until``; of what is counted, with 0 where there is none."""
    found: list[Point] = []
    for ts in sorted(values):
        if counted and found:
            found += _silent(found[-1].ts, ts, reach)
        found.append(Point(ts, values[ts]))
    if counted and found:
        found += _silent(found[-1].ts, until, reach)
    return found


def _silent(last: int, until: int, reach: Reach) -> list[Point]:
    end = min(until, last + (reach.silence + 1) * reach.length)
    return [Point(ts, 0.0) for ts in range(last + reach.length, end, reach.length)]
