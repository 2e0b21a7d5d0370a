"""What judging asks the time-series store: SQL, and its values beside it."""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from collections.abc import Sequence
from typing import NamedTuple

from functions.measure.judging.progress import Unit
from functions.measure.metrics.sources import DIMENSIONS
from functions.shared.domain import tags as tagging
from functions.shared.ports import Instant

Question = tuple[str, list[object]]


class Stored(NamedTuple):
    """A judgement that stands."""

    ts: int
    tags: str
    value: float | None
    expected: float | None
    lower: float | None
    upper: float | None
    score: float
    severity: str
    run_length: int
    is_anomaly: bool


_OF_UNIT = "metric_name = %s AND interval = %s AND state = 'live'"


def groups(unit: Unit, since: int, period: int, until: int) -> Question:
    """The series there are: tags, how many windows they have before a period, and their first one."""
    sql = (
        f"SELECT tags, sum(CASE WHEN ts < %s THEN 1 ELSE 0 END), min(ts) FROM metrics WHERE {_OF_UNIT}"
        f" AND ts >= %s AND ts < %s AND ({_cuts(unit)}) GROUP BY tags"
    )
    return sql, [Instant(period), *_named(unit), Instant(since), Instant(until)]


def values(unit: Unit, since: int, until: int, wanted: Sequence[str]) -> Question:
    """Tags, window and value of some series."""
    marks = ", ".join("%s" for _ in wanted)
    sql = f"SELECT tags, ts, value FROM metrics WHERE {_OF_UNIT} AND ts >= %s AND ts < %s AND tags_hash IN ({marks})"
    return sql, [*_named(unit), Instant(since), Instant(until), *map(tagging.digest, wanted)]


def stored(unit: Unit, since: int, until: int) -> Question:
    """The judgements that stand."""
    sql = f"SELECT {', '.join(Stored._fields)} FROM anomalies WHERE {_OF_UNIT} AND ts >= %s AND ts < %s"
    return sql, [*_named(unit), Instant(since), Instant(until)]


def next_value(unit: Unit, since: int) -> Question:
    """The first window from there on that has a value."""
    sql = f"SELECT min(ts) FROM metrics WHERE {_OF_UNIT} AND ts >= %s AND ({_cuts(unit)})"
    return sql, [*_named(unit), Instant(since)]


def next_stored(unit: Unit, since: int) -> Question:
    """The first window from there on that has a judgement."""
    return f"SELECT min(ts) FROM anomalies WHERE {_OF_UNIT} AND ts >= %s", [*_named(unit), Instant(since)]


def _named(unit: Unit) -> list[object]:
    return [unit.name, unit.interval]


def _cuts(unit: Unit) -> str:
    """Which rows are of a grouping that is judged: a column is null where it is none of the grouping."""
    each = [" AND ".join(f"{one} IS {'NOT ' if one in cut else ''}NULL" for one in DIMENSIONS) for cut in unit.cuts]
    return " OR ".join(f"({one})" for one in each)
