"""Judges the end of a series by all of its past, and remembers the past of series that come again and again."""

import pickle
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from functions.measure.anomalies import Detector, Judgement, Point

# So many windows at the end of a series are judged again without its whole past: late events change mostly these.
_OFTEN_JUDGED = 26
_SERIES_KEPT = 400


class _Kept(NamedTuple):
    """A detector as it was after the first so many ``windows``, which are known by their hash."""

    windows: int
    seen: int
    detector: bytes


class Replays:
    """Only saves time: what it says is what judging from the first window says. One a process; not for two threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    def judge(self, series: Hashable, points: Sequence[Point], since: int, length: int) -> list[Judgement]:
        """The judgements of the windows from ``since`` on. ``length`` is that of a window, nanoseconds."""
        detector, start = self._resumed(series, points, since, length)
        keep_at = len(points) - _OFTEN_JUDGED
        found = []
        for place in range(start, len(points)):
            if place == keep_at:
                self._keep(series, points, place, detector)
            judged = detector.observe(points[place])
            if judged.ts >= since:
                found.append(judged)
        return found

    def _resumed(self, series: Hashable, points: Sequence[Point], since: int, length: int) -> tuple[Detector, int]:
        kept = self._kept.get(series)
        if kept is None or kept.windows >= len(points) or points[kept.windows].ts > since:
            return Detector(length), 0
        if _hash(points, kept.windows) != kept.seen:
            return Detector(length), 0
        # Bytes of our own, that never left this process.
        return pickle.loads(kept.detector), kept.windows  # noqa: S301

    def _keep(self, series: Hashable, points: Sequence[Point], count: int, detector: Detector) -> None:
        self._kept[series] = _Kept(count, _hash(points, count), pickle.dumps(detector))
        self._kept.move_to_end(series)
        if len(self._kept) > _SERIES_KEPT:
            self._kept.popitem(last=False)


def _hash(points: Sequence[Point], count: int) -> int:
    return hash(tuple(points[:count]))
