"""What is judged, and what is said of it."""

import math
from typing import Literal, NamedTuple

Severity = Literal["none", "low", "medium", "high"]

# A score from here up is an anomaly; each severity begins at its score.
ANOMALY_SCORE = 0.5
_MEDIUM_SCORE = 0.8
_HIGH_SCORE = 0.97
# An anomaly that lasts is worse than its single windows.
_LASTING_RUN = 6


class Point(NamedTuple):
    """One window of a series: its start in nanoseconds since 1970, and its value. None is a window without one."""

    ts: int
    value: float | None


class Judgement(NamedTuple):
    """A window as seen from the windows before it.

    ``score`` is in 0–1, and an anomaly from 0.5 up. ``lower`` and ``upper`` bound what a single value may be without
    being one. ``run`` counts the windows in a row, this one included, that are anomalies. Where nothing could be
    expected yet (the first windows) or there is no value, ``expected`` and the band are None and the score is 0.
    """

    ts: int
    value: float | None
    expected: float | None
    lower: float | None
    upper: float | None
    score: float
    is_anomaly: bool
    severity: Severity
    run: int


def unjudged(point: Point) -> Judgement:
    """A window of which nothing can be said."""
    return Judgement(point.ts, point.value, None, None, None, 0.0, False, "none", 0)


def score_of(excess: float) -> float:
    """The score of a deviation given as a multiple of the largest that is still normal: 0.5 at 1, towards 1 above."""
    # A deviation and a limit that are both beyond a number's range say nothing.
    return 0.0 if math.isnan(excess) else 1.0 - math.pow(2.0, -min(excess * excess, 50.0))


def severity_of(score: float, run: int) -> Severity:
    """The severity of a score; one step more when the anomaly lasts."""
    if score < ANOMALY_SCORE:
        return "none"
    if score >= _HIGH_SCORE or (score >= _MEDIUM_SCORE and run >= _LASTING_RUN):
        return "high"
    return "medium" if score >= _MEDIUM_SCORE or run >= _LASTING_RUN else "low"
