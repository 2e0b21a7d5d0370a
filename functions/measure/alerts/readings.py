"""What rules look at, read once a tick for all of them: a query a source, not one a rule."""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from functions.measure import runs
from functions.measure.alerts import sight
from functions.measure.alerts.rules import (
    AnomalyRule,
    BacklogRule,
    BatchLateRule,
    DeadLettersRule,
    LagRule,
    LedgerRule,
    MetricRule,
    QualityRule,
    Rule,
)
from functions.measure.alerts.sight import Judged, Views, Window
from functions.measure.database import Database, one
from functions.measure.ledger import check
from functions.measure.metrics.definitions import INTERVALS, IntervalName
from functions.shared.domain import lags
from functions.shared.domain.instants import SECOND
from functions.shared.errors import Retry
from functions.shared.ports import Depth, Instant, SeriesStore

# A window is looked at once it has been over for so long: its last events are on their way until then.
_SETTLE_SECONDS = 60
# What was judged longer ago than so many windows and so many seconds says nothing of now.
_JUDGED_WINDOWS, _JUDGED_SECONDS = 3, 1_200
_MOST_ROWS = 100_000


class Read(NamedTuple):
    """Views by the names of rules, and which sources could not be read: of their rules nothing is said."""

    views: dict[str, Views]
    unread: list[str]


class Readings:
    """The sources of rules. ``depth`` tells what waits in the queue."""

    def __init__(self, series: SeriesStore, database: Database, depth: Callable[[], Depth]) -> None:
        self._series, self._database, self._depth = series, database, depth

    def read(self, rules: Mapping[str, Rule], now: int) -> Read:
        """What the rules see at an instant."""
        found = Read({}, [])
        for source, look in (
            ("metrics", self._metrics),
            ("anomalies", self._anomalies),
            ("queue", self._queue),
            ("lag", self._stored),
            ("batches", self._batches),
            ("ledger", self._ledger),
        ):
            try:
                found.views.update(look(rules, now))
            except Retry:
                found.unread.append(source)
        return found

    def _metrics(self, rules: Mapping[str, Rule], now: int) -> dict[str, Views]:
        views: dict[str, Views] = {}
        for interval, seconds in INTERVALS.items():
            step = seconds * SECOND
            wanted = {
                name: rule for name, rule in rules.items() if isinstance(rule, MetricRule) and rule.interval == interval
            }
            if not wanted:
                continue
            newest = (now - _SETTLE_SECONDS * SECOND) // step * step - step
            first = newest - (max(rule.for_windows for rule in wanted.values()) - 1) * step
            windows = self._windows(interval, {rule.metric for rule in wanted.values()}, first, newest)
            views.update({name: sight.over_threshold(rule, windows, newest, step) for name, rule in wanted.items()})
        return views

    def _windows(self, interval: IntervalName, metrics: Iterable[str], first: int, newest: int) -> list[Window]:
        names = sorted(metrics)
        sql = (
            "SELECT metric_name, interval, tags, ts, value FROM metrics WHERE ts >= %s AND ts <= %s AND interval = %s"
            f" AND metric_name IN ({', '.join('%s' for _ in names)}) AND state = 'live' LIMIT {_MOST_ROWS}"
        )
        rows = self._series.query(sql, [Instant(max(0, first)), Instant(max(0, newest)), interval, *names])
        return [Window(metric, of, tags, ts, _finite(value)) for metric, of, tags, ts, value in rows]

    def _anomalies(self, rules: Mapping[str, Rule], now: int) -> dict[str, Views]:
        wanted = {name: rule for name, rule in rules.items() if isinstance(rule, AnomalyRule | QualityRule)}
        intervals = {rule.interval for rule in wanted.values()}
        judged: list[Judged] = []
        for interval, seconds in INTERVALS.items():
            if interval in intervals or None in intervals:
                since = max(0, now - (_JUDGED_WINDOWS * seconds + _JUDGED_SECONDS) * SECOND)
                judged += [_judged(row) for row in self._series.query(_JUDGED, [Instant(since), interval])]
        return {name: sight.not_as_expected(rule, judged) for name, rule in wanted.items()}

    def _queue(self, rules: Mapping[str, Rule], _now: int) -> dict[str, Views]:
        wanted = {name: rule for name, rule in rules.items() if isinstance(rule, DeadLettersRule | BacklogRule)}
        if not wanted:
            return {}
        depth = self._depth()
        return {
            name: sight.over(depth.dead if isinstance(rule, DeadLettersRule) else depth.ready, rule.more_than, "keep")
            for name, rule in wanted.items()
        }

    def _stored(self, rules: Mapping[str, Rule], _now: int) -> dict[str, Views]:
        wanted = {name: rule for name, rule in rules.items() if isinstance(rule, LagRule) and rule.stage == "stored"}
        if not wanted:
            return {}
        events, _, _, _, p95, _ = one(self._database, lags.SQL)
        return {name: sight.over(p95 if events else None, rule.seconds, rule.missing) for name, rule in wanted.items()}

    def _ledger(self, rules: Mapping[str, Rule], _now: int) -> dict[str, Views]:
        wanted = {name: rule for name, rule in rules.items() if isinstance(rule, LedgerRule)}
        events = check.unbalanced(self._database).events if wanted else 0
        return {name: sight.over(events, rule.more_than, rule.missing) for name, rule in wanted.items()}

    def _batches(self, rules: Mapping[str, Rule], _now: int) -> dict[str, Views]:
        views: dict[str, Views] = {}
        wanted = {
            name: rule
            for name, rule in rules.items()
            if isinstance(rule, BatchLateRule) or (isinstance(rule, LagRule) and rule.stage == "measured")
        }
        if not wanted:
            return views
        behind = runs.behind(self._database)
        # Where nothing waits, nothing waits for long.
        oldest = behind["waiting"]["oldest_seconds"] or 0
        for name, rule in wanted.items():
            value = behind["done_seconds_ago"] if isinstance(rule, BatchLateRule) else oldest
            views[name] = sight.over(value, rule.seconds, rule.missing)
        return views


def _judged(row: tuple[Any, ...]) -> Judged:
    found = Judged(*row)
    return found._replace(value=_finite(found.value))


def _finite(value: float | None) -> float | None:
    """What is no number cannot be compared, nor told."""
    return value if value is not None and math.isfinite(value) else None


_JUDGED = (
    "SELECT metric_name, interval, tags, ts, value, severity, run_length, is_anomaly FROM anomalies"
    f" WHERE ts >= %s AND interval = %s AND state = 'live' LIMIT {_MOST_ROWS}"
)
