"""The step that judges: complete windows that are new, and those before that late events made others.

A window's judgement depends on the values of its series alone, up to it. The table of anomalies is made to agree with
what is computed anew, so that whatever is done twice changes nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from functions.measure.anomalies import Judgement
from functions.measure.doubts import Doubt, Doubts, earliest
from functions.measure.judging import questions
from functions.measure.judging.progress import Progress, Reached, Unit, units
from functions.measure.judging.questions import Stored
from functions.measure.judging.replay import Replays
from functions.measure.judging.windows import REACHES, Reach, is_counted, points
from functions.measure.metrics.plan import Plan
from functions.shared.domain import tags as tagging
from functions.shared.domain.instants import SECOND
from functions.shared.domain.series import ANOMALIES, AnomalyRow
from functions.shared.ports import SeriesStore

# How many series of a metric are judged at an interval: those with the longest past.
MOST_SERIES = 50
_ROWS_AT_A_TIME = 20_000


class Judged(NamedTuple):
    """What was done: windows written, anomalies among them that were none before, and whether that was all."""

    windows: int
    anomalies: int
    finished: bool


class _Task(NamedTuple):
    """A unit's work: all of it from ``before`` on, and of what changed the windows since. Up to ``until``."""

    unit: Unit
    start: int
    before: int
    until: int
    changed: Mapping[str, int]


class Judge:
    """Not to be run twice at once; the caller takes turns.

    A window is complete ``settle_seconds`` after its end. Windows that were judged before and changed since are judged
    with the next that is complete, or ``again_seconds`` after the last time, whichever is sooner.
    """

    def __init__(
        self,
        progress: Progress,
        series: SeriesStore,
        plan: Plan,
        replays: Replays,
        clock: Callable[[], int],
        settle_seconds: int,
        again_seconds: int,
        doubts: Doubts,
    ) -> None:
        self._doubts = doubts
        self._progress, self._series, self._replays = progress, series, replays
        self._units = units(plan)
        self._clock, self._settle, self._again = clock, settle_seconds * SECOND, again_seconds * SECOND
        self._windows = self._anomalies = 0
        self._rows: list[AnomalyRow] = []

    def run(self, more: Callable[[], bool]) -> Judged:
        """Judge what is due while there is time.

        Raises :class:`~functions.shared.errors.StoreUnavailable`; then the same is due in the next run.
        """
        self._windows = self._anomalies = 0
        self._rows = []
        batch = self._progress.exported()
        if not batch:
            return Judged(0, 0, True)
        now, doubts = self._clock() - self._settle, self._doubts.known()
        tasks = self._tasks(batch, now, doubts)
        # What has to be judged again is noted first: should this run die, the next one does it.
        self._progress.reach({t.unit: Reached(batch, t.start) for t in tasks if t.start < t.before}, self._clock())
        if doubts:
            # What is doubted may be on its way still, and would be behind what is found.
            self._series.await_visible(ANOMALIES)
        newest = {interval: self._progress.newest(interval) for interval in {t.unit.interval for t in tasks}}
        done: dict[Unit, Reached] = {}
        finished = True
        for task in tasks:
            until = self._work(task, newest[task.unit.interval], now, more) if more() else task.start
            if until > task.start or until == task.until or doubts:
                done[task.unit] = Reached(batch, until)
            finished = finished and until == task.until
        self._flush()
        if self._windows:
            # Whoever sees how far it came is to find what was written.
            self._series.await_visible(ANOMALIES)
        self._progress.reach(done, self._clock())
        self._doubts.settle(doubts)
        return Judged(self._windows, self._anomalies, finished)

    def _tasks(self, batch: int, now: int, doubts: Sequence[Doubt]) -> list[_Task]:
        """What there is to do: each unit of which something changed, or a window became complete, or is doubted."""
        reached = self._progress.reached()
        known = {unit: reached.get((unit.name, unit.interval)) for unit in self._units}
        known = {unit: before for unit, before in known.items() if doubts or self._is_due(unit, before, now)}
        by_batch: dict[int, list[Unit]] = defaultdict(list)
        for unit, before in known.items():
            by_batch[before.batch if before else 0].append(unit)
        found = []
        for after, some in by_batch.items():
            for unit, changed in self._progress.changed(some, after, batch).items() if after < batch else []:
                found.append(self._task(unit, known[unit], changed, now, doubts))
            if after >= batch:
                found += [self._task(unit, known[unit], {}, now, doubts) for unit in some]
        return [task for task in found if task.start < task.until or known[task.unit] is None or task.changed]

    def _is_due(self, unit: Unit, before: Reached | None, now: int) -> bool:
        """Whether a window is complete that was not, or changes have waited long enough."""
        if before is None or before.until + REACHES[unit.interval].length <= now:
            return True
        return not 0 <= self._clock() - before.at < self._again

    @staticmethod
    def _task(
        unit: Unit, reached: Reached | None, changed: Mapping[str, int], now: int, doubts: Sequence[Doubt]
    ) -> _Task:
        reach = REACHES[unit.interval]
        until = now - now % reach.length
        # A clock that was set back makes no window incomplete again.
        until = max(until, reached.until) if reached else until
        first = min(changed.values(), default=until)
        judged = earliest(doubts, reached.until) if reached else None
        start = first if judged is None else min(judged, first)
        if reach.horizon is not None:
            start = max(start, until - reach.horizon * reach.length)
        return _Task(unit, min(start, until), start if judged is None else judged, until, changed)

    def _work(self, task: _Task, newest: Mapping[str, int], now: int, more: Callable[[], bool]) -> int:
        """Judge from the start on, a period at a time. Returns up to where it came."""
        reach, at = REACHES[task.unit.interval], task.start
        ends = {environment: _end(window, reach, now) for environment, window in newest.items()}
        while at < task.until:
            until = min(task.until, reach.end_of_period(at))
            if not self._judge(task, reach, at, until, ends):
                # Nothing for a period, so nothing until the next value, or until what was once written.
                until = min(task.until, max(until, self._next(task, until)))
            at = until
            if not more():
                break
        return at

    def _judge(self, task: _Task, reach: Reach, since: int, until: int, ends: Mapping[str, int]) -> bool:
        """Judge the windows of a part of a period; whether there is anything."""
        unit = task.unit
        period = reach.start_of_period(since)
        groups = self._series.query(*questions.groups(unit, reach.past_of(since), period, until))
        chosen = [row[0] for row in sorted(groups, key=lambda row: (-row[1], row[2], row[0]))[:MOST_SERIES]]
        stored = {(row.ts, row.tags): row for row in self._stored(unit, since, until)}
        if not chosen and not stored:
            return False
        due = {tags: max(since, min(task.before, task.changed.get(tags, task.before))) for tags in chosen}
        wanted = [tags for tags in chosen if due[tags] < until]
        values: dict[str, dict[int, float]] = defaultdict(dict)
        if wanted:
            for tags, ts, value in self._series.query(*questions.values(unit, reach.past_of(since), until, wanted)):
                values[tags][ts] = value
        fresh: dict[tuple[int, str], Judgement] = {}
        for tags, known in values.items():
            end = min(until, ends.get(msgspec.json.decode(tags).get("environment", ""), until))
            course = [one for one in points(known, reach, end, is_counted(unit.metric)) if one.ts < until]
            for judged in self._replays.judge((unit.name, unit.interval, tags), course, due[tags], reach.length):
                if judged.expected is not None:
                    fresh[(judged.ts, tags)] = judged
        self._write(unit, fresh, stored, lambda tags: due.get(tags, task.changed.get(tags, task.before)))
        return True

    def _write(
        self,
        unit: Unit,
        fresh: Mapping[tuple[int, str], Judgement],
        stored: Mapping[tuple[int, str], Stored],
        due: Callable[[str], int],
    ) -> None:
        """Let the store agree with what is fresh, as far as it is due."""
        at = self._clock()
        rows = self._rows
        for (ts, tags), judged in fresh.items():
            before = stored.get((ts, tags))
            if before is None or before[2:] != _told(judged):
                told = _told(judged)
                rows.append(AnomalyRow(ts, unit.name, unit.interval, tags, tagging.digest(tags), *told, "live", at))
                self._anomalies += judged.is_anomaly and not (before and before.is_anomaly)
        for ts, tags in stored.keys() - fresh.keys():
            if ts >= due(tags):
                nothing = (None, None, None, None, 0.0, "none", 0, False)
                rows.append(AnomalyRow(ts, unit.name, unit.interval, tags, tagging.digest(tags), *nothing, "gone", at))
        if len(rows) >= _ROWS_AT_A_TIME:
            self._flush()

    def _flush(self) -> None:
        """Write what was found: as few writes as can be, each costs the store as much as thousands of rows."""
        if self._rows:
            with self._doubts.of_writing(min(row.ts for row in self._rows)):
                self._series.write(ANOMALIES, self._rows)
        self._windows += len(self._rows)
        self._rows = []

    def _stored(self, unit: Unit, since: int, until: int) -> list[Stored]:
        return [Stored._make(row) for row in self._series.query(*questions.stored(unit, since, until))]

    def _next(self, task: _Task, since: int) -> int:
        """The next window with a value, or with a judgement that stands; the end of all when there is none."""
        asked = (questions.next_value(task.unit, since), questions.next_stored(task.unit, since))
        found = [row[0] for question in asked for row in self._series.query(*question) if row[0] is not None]
        return min(found, default=task.until)


def _end(newest: int, reach: Reach, now: int) -> int:
    """Up to where windows without any event are judged: in data of the past only between what there is."""
    alive = now - newest <= (reach.silence + 1) * reach.length
    return now if alive else newest + reach.length


def _told(judged: Judgement) -> tuple[float | None, float | None, float | None, float | None, float, str, int, bool]:
    return (
        judged.value, judged.expected, judged.lower, judged.upper, judged.score, judged.severity, judged.run,
        judged.is_anomaly,
    )  # fmt: skip
