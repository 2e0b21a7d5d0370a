"""Keeps the metrics up to date: states of what changed, hours and days merged from them, and their export.

All of it can be repeated: what a batch that died left half done is finished by the next, and a window computed again
from the same rows changes nothing. The work is done by the store; only finished numbers pass through here.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, Protocol

from functions.measure.metrics import compile as sql
from functions.measure.metrics import firsts
from functions.measure.metrics.compile import BLOCK_SECONDS, Plan
from functions.measure.metrics.definitions import IntervalName
from functions.measure.metrics.export import Exporter
from functions.shared.domain.series import METRICS, MetricRow
from functions.shared.ports import SeriesStore

_DAY = 86_400
_HOUR = 3_600
_ROWS_AT_A_TIME = 20_000


class Database(Protocol):
    """Where statements run. All raise :class:`~functions.shared.errors.StoreUnavailable` when it is away."""

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Run a statement to its end."""
        ...

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        """The rows of a query, as they arrive."""
        ...


class Changed(NamedTuple):
    """What changed: a query of one column, the seconds or times concerned, and its parameters."""

    sql: str
    parameters: Mapping[str, Any]


class Report(NamedTuple):
    """What an update did."""

    blocks: int
    groups: int
    exported: int


class MetricsUpdater:
    """Not to be run twice at once; the caller takes turns."""

    def __init__(self, database: Database, series: SeriesStore, plan: Plan, clock: Callable[[], int]) -> None:
        self._database = database
        self._series = series
        self._plan = plan
        self._clock = clock

    def update(self, changed: Changed | None = None) -> Report:
        """Compute what changed, and what an update before left undone, then export. When it returns, all of it is told.

        Once this raised, what was to be computed may be forgotten by the caller only if :meth:`note` had returned.
        """
        if changed is not None:
            self.note(changed)
        blocks, groups = self.merge()
        return Report(blocks, groups, self.export())

    def rebuild(self, since: int, until: int, step_seconds: int = _DAY) -> Report:
        """Compute a range of seconds anew, some at a time, whole blocks of it."""
        blocks = groups = 0
        for start in range(since - since % BLOCK_SECONDS, until, step_seconds):
            end = min(start + step_seconds, until)
            within = "SELECT {first:UInt32} + {length:UInt32} * number FROM numbers({count:UInt32})"
            count = -(-(end - start) // BLOCK_SECONDS)
            self.note(Changed(within, {"first": start, "length": BLOCK_SECONDS, "count": count}))
            done = self.merge()
            blocks, groups = blocks + done[0], groups + done[1]
        return Report(blocks, groups, self.export())

    def note(self, changed: Changed) -> None:
        """Note the blocks of ten minutes in which something changed: they are remembered until they are computed."""
        self._database.run(sql.note(changed.sql), {**changed.parameters, "batch": self._next_batch()})

    def merge(self) -> tuple[int, int]:
        """Compute the noted blocks, their hours and days. Returns how many blocks, and how many states changed."""
        after = self._reached("merged")
        batch = self._next_batch()
        blocks = self._touched(after)
        if blocks:
            given = {**self._bounds(after), "after": after, "batch": batch}
            self._database.run(firsts.keep(), given)
            self._database.run(firsts.note_blocks(), given)
            given.update(self._bounds(after))
            for slot in self._plan.computed():
                self._database.run(sql.computed(slot), given)
        groups = self._merge_up(after, batch)
        if blocks or groups:
            self._reach("merged", batch)
        return blocks, groups

    def _merge_up(self, after: int, batch: int) -> int:
        groups = 0
        steps: tuple[tuple[IntervalName, int], ...] = (("1h", _HOUR), ("1d", _DAY))
        for step, length in steps:
            first, last, count = self._one(sql.changed_below(step), {"after": after})
            groups += count
            if count:
                since = first - first % length
                given = {"since": since, "until": last - last % length + length, "after": after, "batch": batch}
                self._database.run(sql.merged(step), given)
        return groups

    def export(self) -> int:
        """Write what changed to the time-series store; what an export before could not is still there to be written."""
        merged, exported = self._reached("merged"), self._reached("exported")
        if merged <= exported:
            return 0
        exporter = Exporter(self._plan, self._clock())
        bounds = self._one(
            "SELECT toInt64(toUnixTimestamp(min(window))), toInt64(toUnixTimestamp(max(window))), count()"
            " FROM metric_states WHERE version > {after:UInt64}",
            {"after": exported},
        )
        written = 0
        if bounds[2]:
            given = {"since": bounds[0], "until": bounds[1] + 1, "after": exported}
            groups = self._database.rows(sql.changed_groups(), given)
            for some in _some(exporter.rows(groups)):
                self._series.write(METRICS, some)
                written += len(some)
        self._reach("exported", merged)
        return written

    def _touched(self, after: int) -> int:
        return int(
            self._one("SELECT uniqExact(block) FROM metric_touched WHERE batch > {after:UInt64}", {"after": after})[0]
        )

    def _bounds(self, after: int) -> dict[str, int]:
        first, last = self._one(
            "SELECT toInt64(toUnixTimestamp(min(block))), toInt64(toUnixTimestamp(max(block)))"
            " FROM metric_touched WHERE batch > {after:UInt64}",
            {"after": after},
        )
        return {"since": first, "until": last + BLOCK_SECONDS}

    def _next_batch(self) -> int:
        """A number above all before, by the clock where that runs forward."""
        known = self._one(
            "SELECT toUInt64(greatest((SELECT max(batch) FROM metric_touched),"
            " (SELECT max(batch) FROM metric_progress)))",
            {},
        )[0]
        return max(self._clock(), int(known) + 1)

    def _reached(self, stage: str) -> int:
        found = self._one("SELECT max(batch) FROM metric_progress WHERE stage = {stage:String}", {"stage": stage})
        return int(found[0])

    def _reach(self, stage: str, batch: int) -> None:
        self._database.run(
            "INSERT INTO metric_progress (stage, batch) SELECT {stage:String}, {batch:UInt64}",
            {"stage": stage, "batch": batch},
        )

    def _one(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        return next(iter(list(self._database.rows(statement, parameters))))


def _some(rows: Iterable[MetricRow]) -> Iterator[list[MetricRow]]:
    left = iter(rows)
    while some := list(islice(left, _ROWS_AT_A_TIME)):
        yield some
