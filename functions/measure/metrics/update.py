"""Keeps the metrics up to date: states of what changed, hours and days merged from them, and their export.

All of it can be repeated: what a batch that died left half done is finished by the next, and a window computed again
from the same rows changes nothing. The work is done by the store; only finished numbers pass through here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import Lock
from typing import Any, NamedTuple

from functions.measure import attempts
from functions.measure.doubts import Doubts, earliest
from functions.measure.metrics import compile as sql
from functions.measure.metrics import firsts
from functions.measure.metrics.definitions import IntervalName
from functions.measure.metrics.export import Exporter
from functions.measure.metrics.plan import BLOCK_SECONDS, Plan
from functions.measure.metrics.slots import Database, Slots
from functions.measure.metrics.sources import SourceName
from functions.shared.domain.instants import SECOND
from functions.shared.domain.series import METRICS, MetricRow
from functions.shared.ports import SeriesStore

_HOUR, _DAY = 3_600, 86_400
_ROWS_AT_A_TIME = 20_000
_KEPT_ROWS = 20_000
_MUCH = """SELECT (SELECT count() FROM metric_touched WHERE batch <= {merged:UInt64}),
    (SELECT count() FROM metric_progress)"""
_STITCHED = "SELECT max(version) FROM measure_progress WHERE stage = 'stitched'"
# The last merge; up to which version it took sessions; whether all that changed since left a row that tells of it: not
# where a range is computed anew, nor once an erasure removed rows; the last that began; its definitions, and the first
# that was by the same.
_MERGED = """WITH
    (SELECT (max(batch), argMax(stitched, batch), argMax(plan, batch), argMax(planned, batch))
        FROM metric_progress WHERE stage = 'merged') AS last,
    (SELECT max(version) FROM measure_progress WHERE stage = 'purged') AS purged,
    (SELECT count() FROM metric_touched
        WHERE batch > (SELECT max(batch) FROM metric_progress WHERE stage = 'merged') AND batch < {batch:UInt64}
        AND concerns = 'all') AS anew
SELECT last.1, last.2, last.2 > 0 AND purged <= last.2 AND anew = 0,
    (SELECT max(batch) FROM metric_progress WHERE stage = 'begun'), last.3, last.4"""
# Where no stitching told how far it came, all that is there counts.
_ALL = 2**64 - 1
_PASSED = "(stage, batch) NOT IN (SELECT stage, max(batch) FROM metric_progress GROUP BY stage)"
_DELETED = "SETTINGS lightweight_delete_mode = 'lightweight_update', lightweight_deletes_sync = 2"
# A cluster refuses a condition that asks a query, unless it is told that all replicas come to the same. How far batches
# came only grows: what was passed once stays so, whoever asks.
_DECIDED = "allow_nondeterministic_mutations = 1"
# The store reads and groups with more than one thread, but does not begin nor write with more.
_AT_ONCE = 2
# What needs no sessions.
_ARRIVED: tuple[SourceName, ...] = ("raw", "events")


class Changed(NamedTuple):
    """What changed: a query of times (or seconds) and what each change concerns, and its parameters; and a query of the
    attempts that told of it (:mod:`functions.measure.attempts`).
    """

    sql: str
    parameters: Mapping[str, Any]
    attempts: str = ""


class Merge(NamedTuple):
    """A merge that is about to begin: its number, and up to which version visitors and sessions stand for it."""

    batch: int
    stitched: int


class _Before(NamedTuple):
    """The merges before: see the query."""

    after: int
    compared: int
    told: int
    begun: int
    plan: int
    planned: int


class Report(NamedTuple):
    """What an update did."""

    blocks: int
    groups: int
    exported: int


class MetricsUpdater:
    """Not to be run twice at once; the caller takes turns."""

    def __init__(
        self, database: Database, series: SeriesStore, plan: Plan, clock: Callable[[], int], doubts: Doubts
    ) -> None:
        self._database = database
        self._series, self._doubts = series, doubts
        self._plan = plan
        self._clock = clock
        # A change may be noted by one thread while another merges those before: its number is above theirs.
        self._last_batch, self._numbering = 0, Lock()
        # Up to which batch that is computed which needs no sessions; by one thread at a time, as it may be added to.
        self._arrived, self._arriving = 0, Lock()
        # The first batch that this one measured, by these definitions.
        self._first = 0
        self._slots = Slots(database, plan)

    def update(self, changed: Changed | None = None) -> Report:
        """Compute what changed, and what an update before left undone, then export. When it returns, all of it is told.

        Once this raised, what was to be computed may be forgotten by the caller only if :meth:`note` had returned.
        """
        if changed is not None:
            self.note(changed)
        blocks, groups = self.merge()
        return Report(blocks, groups, self.export())

    def note(self, changed: Changed) -> None:
        """Note the blocks of ten minutes in which something changed: they are remembered until they are computed."""
        with self._numbering:
            given = {**changed.parameters, "batch": self._next_batch()}
            # Of an attempt that is known and whose blocks are not, all is read once it tells again.
            if changed.attempts:
                self._database.run(attempts.note(changed.attempts), given)
            self._database.run(sql.note(changed.sql), given)

    def begin(self) -> Merge:
        """A merge, by a number above that of all it takes. Not while somebody writes what was noted."""
        with self._numbering:
            return Merge(self._next_batch(), int(self._one(_STITCHED, {})[0]))

    def merge(self, merge: Merge | None = None) -> tuple[int, int]:
        """Compute the noted blocks, their hours and days. Returns how many blocks, and how many states changed."""
        batch, stitched = merge or self.begin()
        before = self._before(batch)
        after, same = before.after, before.plan == self._plan.signature
        self._first = self._first or batch
        planned = before.planned if same else self._first
        given = {"after": after, "batch": batch, "planned": planned}
        given |= {"compared": before.compared, "made": stitched or _ALL}
        blocks, bounds = self._touched(given)
        if blocks:
            with self._arriving:
                # Of a merge that died nobody knows what it had added.
                adds = same and self._whole(before.begun, after) and 0 < before.compared <= stitched
                self._reach("begun", batch)
                self._compute(before, adds, {**given, **bounds})
                self._arrived = max(self._arrived, batch)
        groups = self._merge_up(after, batch)
        if blocks or groups:
            self._reach("merged", batch, stitched, planned)
        return blocks, groups

    def merge_arrived(self, merge: Merge | None = None) -> None:
        """Compute of the noted blocks what needs no sessions, ahead of :meth:`merge`, which then leaves that out."""
        batch = (merge or self.begin()).batch
        with self._arriving:
            before = self._before(batch)
            given = {"after": max(self._arrived, before.after), "batch": batch, "planned": before.planned}
            blocks, bounds = self._touched(given)
            if blocks:
                self._first = self._first or batch
                adds = self._adds_arrived(before, given["after"])
                self._reach("arrived", batch)
                with self._slots.of_rows(_ARRIVED, adds, {**given, **bounds}) as works:
                    for work in works:
                        work()
            self._arrived = max(self._arrived, batch)

    def _before(self, batch: int) -> _Before:
        return _Before(*self._one(_MERGED, {"batch": batch}))

    def _adds_arrived(self, before: _Before, after: int) -> bool:
        """Whether what is measured of events as they came is whole, as it is measured now: then it is added to."""
        whole = self._whole(max(before.begun, self._reached("arrived")), after)
        return whole and before.plan == self._plan.signature

    def _whole(self, begun: int, after: int) -> bool:
        """Whether what began has ended. What did not leaves its scratch."""
        if begun > after:
            self._slots.remove_left()
        return begun <= after

    def _compute(self, before: _Before, adds: bool, given: Mapping[str, Any]) -> None:
        """The noted blocks, slot by slot; beside them the first sessions, and what is computed from these."""

        def run_firsts() -> None:
            self._slots.run([firsts.compare(bool(before.told))], given)
            lost = bool(self._one(firsts.count_lost(), {})[0])
            self._slots.run([firsts.keep(search=lost), firsts.note_blocks()], given)
            bounds = self._touched({**given, "batch": given["batch"] + 1})[1]
            for work in self._slots.of("firsts", {**given, **bounds}):
                work()

        of_arrived = {**given, "after": max(self._arrived, given["after"])}
        adds_arrived = self._adds_arrived(before, of_arrived["after"])
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="metrics")
        try:
            running = [pool.submit(work) for work in (run_firsts, *self._slots.of("sessions", given))]
            with (
                self._slots.of_rows(("visits",), adds, given) as visits,
                self._slots.of_rows(_ARRIVED, adds_arrived, of_arrived) as arrived,
            ):
                running += [pool.submit(work) for work in (*visits, *arrived)]
                for done in running:
                    done.result()
        finally:
            pool.shutdown(cancel_futures=True)

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
        merged, exported, doubts = self._reached("merged"), self._reached("exported"), self._doubts.known()
        if merged <= exported and not doubts:
            return 0
        after = earliest(doubts, exported)
        with self._doubts.of_writing(after):
            written, first = self._export(after)
        if written:
            # Whoever sees that this batch was exported is to find what it wrote.
            self._series.await_visible(METRICS)
        self._reach("exported", merged)
        if doubts and written:
            # Windows may have been judged by what was there.
            self._doubts.pass_on("anomalies", first * SECOND)
        self._doubts.settle(doubts)
        return written

    def _export(self, after: int) -> tuple[int, int]:
        """Write what changed after a batch: how many rows, and the second of the first window."""
        exporter = Exporter(self._plan, self._clock())
        first, last, changed = self._one(
            "SELECT toInt64(toUnixTimestamp(min(window))), toInt64(toUnixTimestamp(max(window))), count()"
            " FROM metric_states WHERE version > {after:UInt64}",
            {"after": after},
        )
        written = 0
        if changed:
            given = {"since": first, "until": last + 1, "after": after}
            for some in _some(exporter.rows(self._database.rows(sql.changed_groups(), given))):
                self._series.write(METRICS, some)
                written += len(some)
        return written, first

    def tidy(self, keep: int = _KEPT_ROWS) -> None:
        """Forget, once it is much, what was noted and is computed, and how far the batches before came."""
        merged = self._reached("merged")
        done, reached = self._one(_MUCH, {"merged": merged})
        if done > keep:
            self._database.run(f"DELETE FROM metric_touched WHERE batch <= {merged} {_DELETED}", {})  # noqa: S608
        if reached > keep:
            self._database.run(f"DELETE FROM metric_progress WHERE {_PASSED} {_DELETED}, {_DECIDED}", {})  # noqa: S608

    def _touched(self, given: Mapping[str, int]) -> tuple[int, dict[str, int]]:
        """How many blocks are noted after one batch and before another, and from which second to which they lie."""
        count, first, last = self._one(
            "SELECT uniqExact(block), toInt64(toUnixTimestamp(min(block))), toInt64(toUnixTimestamp(max(block)))"
            " FROM metric_touched WHERE batch > {after:UInt64} AND batch < {batch:UInt64}",
            given,
        )
        return int(count), {"since": first, "until": last + BLOCK_SECONDS}

    def _next_batch(self) -> int:
        """A number above all before, by the clock where that runs forward."""
        known = self._known_batch()
        self._last_batch = max(self._clock(), known + 1, self._last_batch + 1)
        return self._last_batch

    def _known_batch(self) -> int:
        found = self._one(
            "SELECT toUInt64(greatest((SELECT max(batch) FROM metric_touched),"
            " (SELECT max(batch) FROM metric_progress), (SELECT max(batch) FROM told_attempts)))",
            {},
        )
        return int(found[0])

    def _reached(self, stage: str) -> int:
        found = self._one("SELECT max(batch) FROM metric_progress WHERE stage = {stage:String}", {"stage": stage})
        return int(found[0])

    def _reach(self, stage: str, batch: int, stitched: int = 0, planned: int = 0) -> None:
        """What began is for what dies: the next has a greater number, also once a clock was set back.

        A merge that ``begun`` and is not ``merged`` may have added something, or not.
        """
        self._database.run(
            "INSERT INTO metric_progress (stage, batch, stitched, plan, planned, remembers)"
            " SELECT {stage:String}, {batch:UInt64}, {stitched:UInt64}, {plan:UInt64}, {planned:UInt64}, true",
            {"stage": stage, "batch": batch, "stitched": stitched, "plan": self._plan.signature, "planned": planned},
        )

    def _one(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        return next(iter(list(self._database.rows(statement, parameters))))


def _some(rows: Iterable[MetricRow]) -> Iterator[list[MetricRow]]:
    left = iter(rows)
    while some := list(islice(left, _ROWS_AT_A_TIME)):
        yield some
