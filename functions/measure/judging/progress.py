"""How far the series of each metric are judged, and which of them changed since, as the store knows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from functions.measure.database import Database, one
from functions.measure.metrics.definitions import Cut, IntervalName, Metric
from functions.measure.metrics.export import group_of
from functions.measure.metrics.plan import Plan
from functions.shared.domain.instants import SECOND


@dataclass(frozen=True, eq=False)
class Unit:
    """What is judged together: the series of a metric at an interval, by some groupings."""

    name: str
    interval: IntervalName
    metric: Metric
    cuts: tuple[Cut, ...]
    places: frozenset[tuple[str, str]]


class Reached(NamedTuple):
    """All windows before ``until`` are judged, as the metrics were at ``batch``; noted ``at``. Both are nanoseconds."""

    batch: int
    until: int
    at: int = 0


# The earliest window of each series, by its tags, that changed.
Changed = Mapping[str, int]


def units(plan: Plan) -> list[Unit]:
    """All that is to be judged."""
    found = []
    for name, metric in plan.definitions.published().items():
        places = frozenset(plan.places[part][:2] for part in plan.definitions.basic(name) if part in plan.places)
        found += [Unit(name, each, metric, metric.judged(each), places) for each in metric.anomalies]
    return found


class Progress:
    """Reads and writes it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def exported(self) -> int:
        """The batch up to which the time-series store has all metrics."""
        return int(one(self._database, "SELECT max(batch) FROM metric_progress WHERE stage = 'exported'")[0])

    def reached(self) -> dict[tuple[str, str], Reached]:
        """By metric and interval."""
        rows = self._database.rows("SELECT metric_name, interval, batch, until, version FROM judged FINAL", {})
        return {(name, interval): Reached(*map(int, reached)) for name, interval, *reached in rows}

    def reach(self, done: Mapping[Unit, Reached], clock: int) -> None:
        """Note it, for several at once."""
        if done:
            given = {
                "names": [unit.name for unit in done],
                "intervals": [unit.interval for unit in done],
                "batches": [reached.batch for reached in done.values()],
                "ends": [reached.until for reached in done.values()],
                "clock": clock,
            }
            self._database.run(_REACH, given)

    def changed(self, wanted: Sequence[Unit], after: int, until: int) -> dict[Unit, dict[str, int]]:
        """What changed after one batch, up to another."""
        found: dict[Unit, dict[str, int]] = {unit: {} for unit in wanted}
        cuts = sorted({"+".join(cut) for unit in wanted for cut in unit.cuts})
        rows = self._database.rows(_CHANGED, {"after": after, "until": until, "cuts": cuts})
        for step, source, slot, environment, cut, values, window in rows:
            for unit in wanted:
                if unit.interval == step and (source, slot) in unit.places and _cut(cut) in unit.cuts:
                    tags = group_of(environment, cut, values).text
                    found[unit][tags] = min(int(window) * SECOND, found[unit].get(tags, int(window) * SECOND))
        return found

    def newest(self, interval: IntervalName) -> dict[str, int]:
        """The newest window with anything in it, by environment."""
        rows = self._database.rows(_NEWEST, {"interval": interval})
        return {environment: int(window) * SECOND for environment, window in rows}


def _cut(text: str) -> Cut:
    return tuple(text.split("+")) if text else ()


_CHANGED = """SELECT step, source, slot, environment, cut, tags, toInt64(toUnixTimestamp(min(window)))
FROM metric_states
WHERE step IN ('1m', '1h', '1d') AND cut IN {cuts:Array(String)}
    AND version > {after:UInt64} AND version <= {until:UInt64}
GROUP BY ALL"""
_NEWEST = """SELECT environment, toInt64(toUnixTimestamp(max(window))) FROM metric_states
WHERE step = {interval:String} AND NOT gone GROUP BY environment"""
_REACH = """INSERT INTO judged (metric_name, interval, batch, until, version)
SELECT tupleElement(one, 1), tupleElement(one, 2), tupleElement(one, 3), tupleElement(one, 4),
    greatest({clock:UInt64}, (SELECT max(version) FROM judged) + 1)
FROM (SELECT arrayJoin(arrayZip({names:Array(String)}, {intervals:Array(String)}, {batches:Array(UInt64)},
    {ends:Array(Int64)})) AS one)"""
