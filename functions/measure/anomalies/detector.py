"""The detector: several forecasters follow the series, the one that did best of late judges the next value."""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np

from functions.measure.anomalies import profile as seasons
from functions.measure.anomalies.forecaster import Forecaster, Outlook
from functions.measure.anomalies.grid import DAY, HOUR, Interval, slots_of, weekday
from functions.measure.anomalies.judgement import (
    ANOMALY_SCORE,
    Judgement,
    Point,
    score_of,
    severity_of,
    unjudged,
)
from functions.measure.anomalies.scale import Tail

# Windows before the first judgement; after them the band starts wide and narrows.
WARM_UP = 3
_WIDE_AT_FIRST = 6.0
_FIRST_DAY = 1.35
_NEW_WEEKDAY = 1.6
# How many windows of deviation make a new level, by the windows of a day.
_FEWEST_FOR_LEVEL = 7
_MOST_FOR_LEVEL = 72
_SHARE_FOR_LEVEL = 0.75
_MEMORY_OF_LEVEL = 4
_SHARE_FOR_SHAPE = 0.3
_FEWEST_FOR_SHAPE = 3
_COST_DAYS = 3.0
_FEWEST_FOR_COST = 30.0
_CAP_OF_COST = 5.0
# A richer course is preferred as long as it is not worse than this.
_INDULGENCE = 1.01
_GAP = 1.5
_SAME_LEVEL = 2.5
_SMALL_COUNT = 3.0
_MOSTLY = 0.9


class Detector:
    """Judges a series window by window, in the order of time; what it says of one never depends on what follows.

    ``interval`` is the series' own in nanoseconds; None infers it from the windows so far.
    """

    def __init__(self, interval: int | None = None) -> None:
        self._interval = Interval(interval)
        self._kinds: dict[str, Forecaster] = {}
        self._ts: list[int] = []
        self._origin = 0
        self._next_fit = 0
        self._last = 0
        self._last_trusted = 0
        self._slots = 1
        self._per_day = 1.0
        self._whole = 1.0
        self._past: list[float] = []
        self._level_since = 0
        self._negative = False
        self._tail = Tail(least=4.0, most=40.0, factor=1.7, slowest=0.02)
        self._smooth_tail = Tail(least=4.5, most=15.0, factor=1.7, slowest=0.02)
        self._together = 0.0
        self._recent: deque[bool] = deque(maxlen=_FEWEST_FOR_LEVEL)
        self._levels_before: dict[str, float] = {}
        self._run = 0
        self._old_levels: dict[str, float] = {}
        self._old_until = 0
        self._flagged = 0
        self._of_day = 0
        self._bad_days = 0
        self._forget_before = 0
        self._judged: Judgement | None = None
        self._expected = self._limit = 0.0
        self._run_before = 0
        self._weekdays: dict[int, int] = {}

    def observe(self, point: Point) -> Judgement:
        """Judge one window and learn from it. Windows before the last one seen are refused with ValueError."""
        if self._ts and point.ts <= self._last:
            raise ValueError("A window must be later than the one before it.")
        if point.value is None or not math.isfinite(point.value):
            return unjudged(Point(point.ts, None))
        if not self._ts:
            self._begin(point)
        self._prepare(point.ts)
        judged = self._judge(point.ts, point.value)
        self._last = point.ts
        return judged

    def compare(self, point: Point) -> Judgement:
        """Judge another value of the window that was observed last, from the same past, and learn nothing from it."""
        before = self._judged
        if before is None or point.ts != before.ts or point.value is None or self._limit <= 0.0:
            return unjudged(point)
        if point.value == before.value:
            return before
        return self._judgement(point, self._expected, abs(point.value - self._expected) / self._limit, self._limit)

    def _judgement(self, point: Point, middle: float, excess: float, limit: float) -> Judgement:
        score = score_of(excess)
        run = self._run_before + 1 if score >= ANOMALY_SCORE else 0
        # What never was below nothing is not expected to be.
        least = -math.inf if self._negative else 0.0
        expected, lower = max(least, middle), max(least, middle - limit)
        upper = max(least, middle + limit)
        return Judgement(*point, expected, lower, upper, score, score >= ANOMALY_SCORE, severity_of(score, run), run)

    def _begin(self, point: Point) -> None:
        self._origin = self._last = self._last_trusted = point.ts
        self._next_fit = point.ts + DAY
        self._kinds["level"] = Forecaster(0.1, _MOST_FOR_LEVEL)
        self._kinds["level"].level = float(point.value or 0.0)

    def _prepare(self, ts: int) -> None:
        self._interval.see(ts - self._last)
        if ts >= self._next_fit and len(self._ts) > WARM_UP:
            self._end_day()
            self._fit()
            self._next_fit += ((ts - self._next_fit) // DAY + 1) * DAY

    def _judge(self, ts: int, value: float) -> Judgement:
        day, slot = ts // DAY, (ts % DAY) * self._slots // DAY
        place = (weekday(day), slot, (ts % DAY) // HOUR)
        step = self._interval.value or 1
        steps = max(1.0, (ts - self._last_trusted) / step)
        outs = {name: one.look(*place, steps, self._least) for name, one in self._kinds.items()}
        name = self._best()
        one, out = self._kinds[name], outs[name]
        count = len(self._ts)
        if count < WARM_UP:
            self._judged = None
            self._learn(ts, value, outs, name, trusted=True)
            return unjudged(Point(ts, value))
        widen = self._caution(count, place[0])
        excess, limit = self._excess(one, out, value, widen)
        if excess >= 1.0 and self._returned(value, out, ts, place, steps):
            outs = {kind: held.look(*place, steps, self._least) for kind, held in self._kinds.items()}
            out = outs[name]
            excess, limit = self._excess(one, out, value, widen)
        self._run_before, self._expected, self._limit = self._run, out.expected, limit
        judged = self._judged = self._judgement(Point(ts, value), out.expected, excess, limit)
        flagged = judged.is_anomaly
        self._run = judged.run
        self._learn(ts, value, outs, name, trusted=not flagged)
        self._relearn(flagged, ts)
        return judged

    def _excess(self, one: Forecaster, out: Outlook, value: float, widen: float) -> tuple[float, float]:
        """How far the value is out, as a multiple of what is normal, and half the width of the band."""
        limit = self._tail.limit * widen * out.spread
        deviation = abs(value - out.expected) / out.spread if out.spread > 0.0 else 0.0
        if out.spread <= 0.0 and value != out.expected:
            deviation = math.inf
        excess = deviation / (self._tail.limit * widen)
        error = (value - out.base) / out.unit
        alone = (value - out.expected) / max(out.spread, 1e-12)
        together = self._together = one.deviation_of_smoothed(error, out.floor / out.unit * 0.4)
        # Taken together counts only while this window, too, lies on that side.
        if alone * one.smoothed > 0.0 and abs(alone) > 1.0:
            excess = max(excess, together / (self._smooth_tail.limit * widen))
        return excess, limit

    def _least(self, base: float) -> float:
        """The least spread that is believed: of counts, that of rare things; of a constant, a hundredth of it."""
        level = abs(base)
        if self._whole < _MOSTLY or self._negative:
            return 0.0025 * level + 1e-9
        if level < _SMALL_COUNT:
            return math.sqrt(level + 0.7)
        return 0.3 + 0.15 * math.sqrt(level)

    def _caution(self, count: int, day_of_week: int) -> float:
        widen = 1.0 + _WIDE_AT_FIRST / count
        if count < self._per_day:
            widen *= _FIRST_DAY
        elif self._slots > 1 and not self._weekdays.get(day_of_week, 0):
            widen *= _NEW_WEEKDAY
        return widen

    def _best(self) -> str:
        best = "level"
        for name, one in self._kinds.items():
            if one.cost <= self._kinds[best].cost * _INDULGENCE:
                best = name
        return best

    def _learn(self, ts: int, value: float, outs: dict[str, Outlook], name: str, *, trusted: bool) -> None:
        out = outs[name]
        adjacent = (ts - self._last) <= _GAP * (self._interval.value or 1) and self._last_trusted == self._last
        cap = _CAP_OF_COST * out.spread or math.inf
        fade = 1.0 / max(_FEWEST_FOR_COST, _COST_DAYS * self._per_day)
        fade = max(fade, 1.0 / (len(self._ts) + 1.0))
        # Of an anomaly that lasts only the first window tells how heavy the tail is.
        if len(self._ts) >= WARM_UP and self._run <= 1:
            self._tail.see(abs(value - out.expected) / out.spread if out.spread > 0.0 else 0.0)
            self._smooth_tail.see(self._together)
        for kind, one in self._kinds.items():
            one.cost += fade * (min(cap, abs(value - outs[kind].expected)) - one.cost)
            one.learn(value, outs[kind], trusted=trusted, adjacent=adjacent)
        self._whole += (float(value == int(value)) - self._whole) * fade
        self._past.append(value)
        self._negative = self._negative or value < 0.0
        self._ts.append(ts)
        self._of_day += 1
        self._flagged += not trusted
        if trusted:
            self._last_trusted = ts

    def _relearn(self, flagged: bool, ts: int) -> None:
        """After many deviating windows, what they are is the level."""
        if self._run == 1:
            self._levels_before = {name: one.level for name, one in self._kinds.items()}
        need = self._need()
        self._recent = deque(self._recent, maxlen=need) if self._recent.maxlen != need else self._recent
        self._recent.append(flagged)
        if not flagged or len(self._recent) < need or sum(self._recent) < _SHARE_FOR_LEVEL * need:
            return
        self._recent.clear()
        self._old_levels = self._levels_before
        self._old_until = ts + _MEMORY_OF_LEVEL * need * self._interval.value
        for one in self._kinds.values():
            one.relevel(need)
        need = min(need, len(self._ts))
        self._level_since = self._ts[-need]
        self._last_trusted = ts
        self._run = 0

    def _need(self) -> int:
        return int(min(_MOST_FOR_LEVEL, max(_FEWEST_FOR_LEVEL, self._per_day)))

    def _returned(self, value: float, out: Outlook, ts: int, place: tuple[int, int, int], steps: float) -> bool:
        """Whether the value is back on the level from before the last one was learnt; if so, that one is taken up."""
        if not self._old_levels or ts > self._old_until:
            return False
        name = self._best()
        one = self._kinds[name]
        if name not in self._old_levels:
            return False
        kept = {kind: held.level for kind, held in self._kinds.items()}
        one.level = self._old_levels[name]
        before = one.look(*place, steps, self._least)
        if abs(value - before.base) > _SAME_LEVEL * max(before.spread, out.spread):
            one.level = kept[name]
            return False
        for kind, held in self._kinds.items():
            held.level = self._old_levels.get(kind, held.level)
            held.calm()
        self._old_levels = {}
        self._level_since = ts
        return True

    def _end_day(self) -> None:
        """Note which days of the week were seen, and whether the course of the day is still what was learnt."""
        bad = self._flagged > max(_FEWEST_FOR_SHAPE, _SHARE_FOR_SHAPE * self._of_day)
        self._bad_days = self._bad_days + 1 if bad else 0
        if self._bad_days > 1:
            self._forget_before = self._next_fit - 2 * DAY
            self._bad_days = 0
        self._flagged = self._of_day = 0
        seen = weekday((self._next_fit - DAY // 2) // DAY)
        self._weekdays[seen] = self._weekdays.get(seen, 0) + 1

    def _fit(self) -> None:
        interval = self._interval.value or HOUR
        slots = slots_of(interval)
        self._per_day = max(1.0, DAY / interval)
        oldest = max(self._ts[-1] - seasons.DAYS_FOR_WEEK * DAY, self._forget_before)
        start = bisect_left(self._ts, oldest)
        del self._ts[: max(0, start - 1)], self._past[: max(0, start - 1)]
        start = bisect_left(self._ts, oldest)
        if len(self._ts) - start < _FEWEST_FOR_LEVEL:
            return
        self._slots = slots
        found = seasons.fit(np.array(self._ts[start:]), np.array(self._past[start:]), slots)
        newest = self._newest()
        for name, fitted in found._asdict().items():
            if fitted is None:
                self._kinds.pop(name, None)
                continue
            if name not in self._kinds:
                self._kinds[name] = self._new(fitted)
            self._kinds[name].refit(fitted, newest, trusted=self._last_trusted == self._ts[-1])

    def _new(self, fitted: seasons.Profile) -> Forecaster:
        """A forecaster that begins with the doubts and the merits of the best so far."""
        best = self._kinds[self._best()]
        unit = max(abs(best.level), 1e-9) if fitted.ratio else 1.0
        made = Forecaster(min(0.1, max(0.005, 1.0 / self._per_day)), _MOST_FOR_LEVEL, best.spread / unit)
        made.cost = best.cost
        return made

    def _newest(self) -> list[tuple[float, int, int]]:
        since = bisect_left(self._ts, max(self._ts[-1] - DAY, self._level_since))
        since = max(0, min(since, len(self._ts) - _FEWEST_FOR_LEVEL))
        return [
            (value, weekday(ts // DAY), (ts % DAY) * self._slots // DAY)
            for ts, value in zip(self._ts[since:], self._past[since:], strict=True)
        ]


def judge(points: Iterable[Point], interval: int | None = None) -> list[Judgement]:
    """Judge a whole series, in the order of time."""
    detector = Detector(interval)
    return [detector.observe(point) for point in points]


def judge_new(history: Sequence[Point], new: Sequence[Point], interval: int | None = None) -> list[Judgement]:
    """Judge the windows that are new after those of the past: the same as the end of judging all at once."""
    return judge([*history, *new], interval)[len(history) :]
