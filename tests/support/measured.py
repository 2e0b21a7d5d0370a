"""Metrics of events that a test says, in a real store: what was noted, what is found, and what it should be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from functions.measure import attempts
from functions.measure.doubts import Doubts
from functions.measure.metrics import definitions
from functions.measure.metrics.plan import Plan
from functions.measure.metrics.update import Changed, MetricsUpdater, Report
from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from functions.shared.adapters.memory_series import MemorySeries
from functions.shared.errors import StoreUnavailable
from functions.shared.settings import StoreSettings
from tests.support.reference_metrics import metrics
from tests.support.serve_store import Store
from tests.support.stitched import SECOND, Event, Stitched, sessions_of

DAY = 86_400
SINCE = 1_767_225_600
PLAN = Plan(definitions.load())
# The attempts that nobody told of yet; those that stored other deliveries of known events did not only come.
TOLD = """SELECT attempt_id, groupUniqArray(toStartOfMinute(toDateTime(timestamp, 'UTC'))),
    endsWith(toString(attempt_id), 'a')
FROM raw_events WHERE attempt_id NOT IN (SELECT attempt_id FROM told_attempts) GROUP BY attempt_id"""


class World:
    """A store without metrics, and an updater of them."""

    def __init__(self, store: Store) -> None:
        self.stitched = Stitched(store.client)
        states = ("metric_states", "metric_touched", "metric_progress", "measure_progress", "visitor_first_rows")
        for table in (*states, "tracked_event_names", "export_doubts", "told_attempts"):
            store.client.command(f"TRUNCATE TABLE {table}")
        store.client.command("INSERT INTO measure_progress (stage, version) VALUES ('remembered', 1)")
        self.client = store.client
        self.series = MemorySeries()
        self.database = Interrupted(StoreSettings(clickhouse_url=store.url, clickhouse_database=store.database))
        self.clock = count(1).__next__
        self.doubts = Doubts("metrics", self.database, self.database)
        self.measured_by(PLAN)

    def measured_by(self, plan: Plan) -> None:
        """Let other definitions hold from here on."""
        self.updater = MetricsUpdater(self.database, self.series, plan, self.clock, self.doubts)

    def change(self, before: Sequence[Event], after: Sequence[Event], exactly: bool = False) -> None:
        """Let the events be others, and update what that touches. ``exactly``: by what each change concerns."""
        self.stitched.put(after)
        self.updater.update((concerned if exactly else touched)(before, after))

    def rebuild(self, since: int, until: int) -> Report:
        """Compute a range anew, as stitching it notes it."""
        blocks = "SELECT toUInt32({first:UInt32} + 600 * number), 'all' FROM numbers({blocks:UInt32})"
        given = {"first": since, "blocks": -(-(until - since) // 600)}
        return self.updater.update(Changed(blocks, given, attempts.of_rows("true")))

    def values(self) -> dict[Any, float]:
        """What readers find."""
        sql = "SELECT ts, metric_name, interval, tags, value FROM metrics WHERE state = 'live'"
        rows = self.series.query(sql)
        return {
            (name, interval, ts, tuple(sorted(json.loads(tags).items()))): value
            for ts, name, interval, tags, value in rows
        }


class Interrupted(ClickHouseBatch):
    """Dies before or after the n-th statement that writes, or has each sent twice, as by a proxy that tries again."""

    def __init__(self, settings: StoreSettings) -> None:
        super().__init__(settings)
        self.until: int | None = None
        self.twice = False

    def run(self, sql: str, parameters: Any) -> None:
        if self.until is not None:
            self.until -= 1
            if self.until < 0:
                raise StoreUnavailable("The store did not answer.")
        super().run(sql, parameters)
        if self.twice:
            super().run(sql, parameters)


def touched(before: Sequence[Event], after: Sequence[Event]) -> Changed:
    """The instants of events and of sessions' starts that are no more as they were."""
    seconds = {*_changed_events(before, after), *_changed_sessions(before, after)}
    sql = "SELECT arrayJoin({seconds:Array(UInt32)}), 'all'"
    return Changed(sql, {"seconds": sorted(seconds)}, attempts.of_rows("true"))


def concerned(before: Sequence[Event], after: Sequence[Event]) -> Changed:
    """The same, each with what it concerns, as stitching tells it."""
    known = {event.event_id for event in before}
    came = {event.at // SECOND for event in after if event.event_id not in known}
    others = {event.at // SECOND for event in set(before) ^ set(after) if event.event_id in known}
    seconds = {
        "arrived": others,
        "told": came,
        "came": came,
        "visitors": others,
        "sessions": _changed_sessions(before, after),
    }
    sql = " UNION ALL ".join(f"SELECT arrayJoin({{{what}:Array(UInt32)}}), '{what}'" for what in seconds)
    return Changed(sql, {what: sorted(some) for what, some in seconds.items()}, TOLD)


def _changed_events(before: Sequence[Event], after: Sequence[Event]) -> set[int]:
    return {event.at // SECOND for event in set(before) ^ set(after)}


def _changed_sessions(before: Sequence[Event], after: Sequence[Event]) -> set[int]:
    old, new = ({(s.session_id, s.started_at, tuple(s.events)) for s in sessions_of(one)} for one in (before, after))
    return {start // SECOND for _, start, _ in old ^ new}


def agree(world: World, events: Sequence[Event]) -> None:
    found, wanted = world.values(), metrics(events, sessions_of(events))
    assert {key: value for key, value in found.items() if wanted.get(key) != pytest.approx(value, rel=1e-12)} == {}
    assert wanted.keys() == found.keys()
