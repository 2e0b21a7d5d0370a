"""Questions to the time-series store about metrics: which series, and its SQL with values beside it."""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from typing import NamedTuple

from functions.measure.metrics.definitions import INTERVALS, IntervalName, Metric
from functions.measure.metrics.sources import DIMENSIONS
from functions.serve.analytics_params import MetricQuery
from functions.serve.params import bad
from functions.shared.domain.instants import SECOND
from functions.shared.ports import Instant

MAX_POINTS = 50_000
# How many windows are answered where no range is given.
_DEFAULT_WINDOWS = {"1m": 1_440, "1h": 168, "1d": 90}


class SeriesQuery(NamedTuple):
    """SQL and its values, and what was made of the question."""

    sql: str
    values: list[object]
    interval: IntervalName
    since: int
    until: int


def series(name: str, metric: Metric, query: MetricQuery, now: int) -> SeriesQuery:
    """The points of the series asked for, by group and time. Raises :class:`BadRequest` for what is not measured."""
    interval = _interval(name, metric, query)
    tags = {dimension: values for dimension, values in query.tags if dimension != "environment"}
    cut = tuple(sorted({*tags, *query.group_by}))
    known = metric.cuts(interval)
    if cut not in known:
        kept = ", ".join("+".join(one) for one in known if one) or "none: only in total"
        bad("group_by" if query.group_by else f"tags.{cut[0]}", f"{name} at {interval} is measured by {kept}.")
    since, until = _range(query, interval, now)
    environments = dict(query.tags)["environment"]
    where = ["metric_name = %s", "interval = %s", "state = 'live'", "ts >= %s", "ts < %s"]
    values: list[object] = [name, interval, Instant(since), Instant(until)]
    for column, wanted in [("environment", environments), *tags.items()]:
        where.append(f"{column} IN ({', '.join('%s' for _ in wanted)})")
        values += wanted
    where += [f"{column} IS NOT NULL" for column in query.group_by if column not in tags]
    where += [f"{column} IS NULL" for column in DIMENSIONS if column not in cut]
    sql = (
        f"SELECT tags, ts, value, properties, computed_at FROM metrics WHERE {' AND '.join(where)}"
        f" ORDER BY tags, ts LIMIT {MAX_POINTS + 1}"
    )
    return SeriesQuery(sql, values, interval, since, until)


def _interval(name: str, metric: Metric, query: MetricQuery) -> IntervalName:
    if query.interval is None:
        return "1h" if "1h" in metric.intervals else metric.intervals[0]
    for interval in metric.intervals:
        if interval == query.interval:
            return interval
    return bad("interval", f"{name} is measured at {', '.join(metric.intervals)}.")


def _range(query: MetricQuery, interval: IntervalName, now: int) -> tuple[int, int]:
    """Windows that begin in the range; where an end of it is open, so many from the other one."""
    length = INTERVALS[interval] * SECOND
    reach = _DEFAULT_WINDOWS[interval] * length
    until = query.until
    if until is None:
        until = now - now % length + length if query.since is None else max(now, query.since) + length
    since = until - reach if query.since is None else query.since
    return max(0, since), max(0, until)
