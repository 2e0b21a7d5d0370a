"""All of the batches as they are wired, over real stores: events in; sessions, metrics and funnels out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from functions.measure.metrics import definitions
from functions.measure.service import Measured, Range
from functions.serve import analytics_views as views
from functions.serve.analytics import AnalyticsService
from functions.serve.answer_cache import AnswerCache
from functions.shared import wiring
from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from functions.shared.adapters.clickhouse_reader import ClickHouseReader
from functions.shared.adapters.questdb_series import QuestDbSeries
from functions.shared.edge import Request, answering
from functions.shared.errors import StoreUnavailable
from infra.questdb.migrate import migrate
from schemas.rows import Delivery, ProcessedRow, RawRow
from tests.support import stitched
from tests.support.batches import Batches, Died, expected
from tests.support.clickhouse import ClickHouse
from tests.support.questdb import QuestDb
from tests.support.reference_funnels import funnel
from tests.support.reference_metrics import metrics
from tests.support.reference_sessions import Session, sessions

NOT_COUNTED = ("INSERT INTO stitch_", "INSERT INTO measure_leases", "INSERT INTO measure_runs")
_MILLISECOND = 1_000_000
_TOLD = (
    "session_id, visitor, user_id, started_at::long AS started_at, ended_at::long AS ended_at, duration_seconds,"
    " event_count, page_view_count, entry_page, exit_page, referrer, campaign, country, device_type, browser, os,"
    " platforms, client_session_ids, is_bounce, is_bot, key_id, environment"
)
FUNNELS: tuple[tuple[list[str], int, str | None], ...] = (
    (["a", "b"], 3_600, None),
    (["b", "a", "b"], 2_000_000, "platform"),
    (["a", "b", "c"], 86_400, "country"),
)


class Whole:
    """Both stores, and the scheduled function over them."""

    def __init__(self, clickhouse: ClickHouse, questdb: QuestDb, folder: Path) -> None:
        """``folder`` has their data, each in a folder of its name."""
        self.clickhouse, self.questdb, self.folder = clickhouse, questdb, folder
        self.batches = Batches(clickhouse.url, "whole")
        self.series = QuestDbSeries(questdb.settings())
        reader = ClickHouseReader(clickhouse.url, "whole", seconds=60)
        self._analytics = AnalyticsService(reader, self.series, definitions.load(), lambda: 0)

    def run(self, seconds: float = 600, rebuild: Range | None = None, wait_seconds: float = 60) -> Measured:
        """One run, as the schedule or an operator starts it."""
        return wiring.measure_service().run(seconds, wait_seconds, rebuild)

    def measure(self) -> None:
        """A run that has to end well."""
        done = self.run()
        assert (done.state, done.detail) == ("done", "")

    def die(self, statement: int, after: bool = False) -> bool:
        """A run whose process is gone before, or after, its n-th statement that writes. False when it had fewer."""
        run, left = ClickHouseBatch.run, [statement]

        def mortal(store: ClickHouseBatch, sql: str, parameters: Mapping[str, Any]) -> None:
            if left[0] < 0 and threading.current_thread().name == "lease":
                raise StoreUnavailable("Its process is gone.")
            left[0] -= sql.startswith(("INSERT", "DELETE")) and not sql.startswith(NOT_COUNTED)
            if left[0] < 0 or (left[0] == 0 and not after):
                left[0] = -1
                raise Died
            run(store, sql, parameters)
            if left[0] == 0 and not sql.startswith(NOT_COUNTED):
                left[0] = -1
                raise Died

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ClickHouseBatch, "run", mortal)
            try:
                self.run()
            except Died:
                return True
        return False

    def clear(self) -> None:
        """Forget everything."""
        self.batches.clear()
        for table in ("metrics", "sessions"):
            self.series.query(f"TRUNCATE TABLE {table}")

    def told_sessions(self, state: str = "live") -> dict[str, dict[str, Any]]:
        """The sessions of the time-series store, by id."""
        names = [one.split(" AS ")[-1].strip() for one in _TOLD.split(",")]
        found = {}
        for row in self.series.query(f"SELECT {_TOLD} FROM sessions WHERE state = %s", [state]):
            told = dict(zip(names, row, strict=True))
            for name, value in told.items():
                if value is None and name != "user_id":
                    told[name] = ""
            for name in ("platforms", "client_session_ids"):
                told[name] = json.loads(told[name])
            told["session_id"] = str(told["session_id"])
            assert told["session_id"] not in found
            found[told["session_id"]] = told
        return found

    def values(self) -> dict[Any, float]:
        """The values that hold in the time-series store."""
        sql = "SELECT ts, metric_name, interval, tags, value FROM metrics WHERE state = 'live'"
        return {
            (name, interval, ts, tuple(sorted(json.loads(tags).items()))): value
            for ts, name, interval, tags, value in self.series.query(sql)
        }

    def funnel(self, steps: list[str], window_seconds: int, group_by: str | None) -> dict[str | None, Any]:
        """A funnel by group, as a client gets it: visitors and median seconds of each step."""
        params = {"steps": [",".join(steps)], "window_seconds": [str(window_seconds)]}
        if group_by:
            params["group_by"] = [group_by]
        request = Request(params=params, headers={}, path_params={}, path="/api/v1/funnels")
        answer = answering(lambda one: views.funnels(self._analytics, one, AnswerCache()))(request)
        told = json.loads(answer.body)
        groups = {one["group"]: one["steps"] for one in told["groups"]} if group_by else {None: told["steps"]}
        return {
            group: [(step["visitors"], step["median_seconds_from_previous"]) for step in steps_of]
            for group, steps_of in groups.items()
        }

    def check(self, arrivals: Sequence[Delivery], merges: Sequence[tuple[str, str]] = ()) -> None:
        """All that stands in both stores is what the slow and plain computations say."""
        valid, failed = counted(arrivals)
        found = sessions(valid, merges)
        facts, members = expected(found)
        assert self.batches.members() == members
        assert self.batches.sessions() == facts
        assert self.told_sessions() == facts
        events, stitched_sessions = _plain(found)
        self._same_values(metrics(events, stitched_sessions, [_failed(row) for row in failed]))
        live = [event for event in events if event.environment == "live"]
        for steps, window, group_by in FUNNELS:
            wanted = funnel(live, steps, window, group_by)
            if not group_by and not wanted:
                wanted = {None: [(0, None)] * len(steps)}
            assert self.funnel(steps, window, group_by) == {
                name: [(n, m if m is None else pytest.approx(m)) for n, m in steps_of]
                for name, steps_of in wanted.items()
            }

    def _same_values(self, wanted: dict[Any, float]) -> None:
        found = self.values()
        assert {key: value for key, value in found.items() if wanted.get(key) != pytest.approx(value, rel=1e-12)} == {}
        assert found.keys() == wanted.keys()

    def rows(self) -> tuple[Any, ...]:
        """All that stands in both stores, whatever it was computed from: for runs that are to end alike."""
        tables = (
            "SELECT * EXCEPT (version, computed_at) FROM sessions ORDER BY ALL",
            "SELECT * EXCEPT version FROM session_events ORDER BY ALL",
            "SELECT step, window, source, slot, environment, cut, tags, sums, different, levels"
            " FROM metric_states FINAL WHERE NOT gone ORDER BY ALL",
            "SELECT * FROM visitor_firsts ORDER BY ALL",
        )
        stores = tuple(tuple(map(tuple, self.batches.client.query(sql).result_rows)) for sql in tables)
        return (*map(repr, stores), self.told_sessions(), self.values())


def counted(arrivals: Sequence[Delivery]) -> tuple[list[ProcessedRow], list[RawRow]]:
    """Of each event the delivery that counts: the valid ones, and those that failed."""
    best: dict[str, Delivery] = {}
    for one in arrivals:
        best[one.raw.event_id] = min(best.get(one.raw.event_id, one), one, key=lambda each: each.rank)
    valid = [one.processed for one in best.values() if one.processed is not None]
    return valid, [one.raw for one in best.values() if one.processed is None]


def _plain(found: Sequence[Session]) -> tuple[list[stitched.Event], list[stitched.Session]]:
    sessions_of = [
        stitched.Session(one.session_id, one.visitor, [_event(row, one) for row in one.events]) for one in found
    ]
    return [event for one in sessions_of for event in one.events], sessions_of


def _event(row: ProcessedRow, session: Session) -> stitched.Event:
    amount = json.loads(row.properties_text).get("amount")
    return stitched.Event(
        event_id=row.event_id,
        at=row.timestamp,
        visitor=session.visitor,
        event_type=row.event_type,
        event_name=row.event_name,
        platform=row.platform,
        country=row.geo_country,
        device_type=row.device_type,
        page_path=row.page_path,
        is_bot=row.is_bot,
        amount=amount if isinstance(amount, int | float) and not isinstance(amount, bool) else None,
        # A received time of the tests may be some nanoseconds after the processed one.
        lag_ms=int((row.processed_at - row.received_at) / _MILLISECOND),
        session_id=session.session_id,
        environment=_environment(row.key_id),
    )


def _failed(row: RawRow) -> stitched.Event:
    return stitched.Event(
        row.event_id, row.timestamp, "", row.event_type, row.event_name, row.platform,
        environment=_environment(row.key_id), failed=True,
    )  # fmt: skip


def _environment(key_id: str) -> str:
    return "test" if key_id.startswith(("test", "wk_test")) else "live"


@contextmanager
def running(folder: Path) -> Iterator[Whole]:
    """Both stores with their tables, and the settings that lead to them."""
    clickhouse, questdb = ClickHouse(folder / "clickhouse"), QuestDb(folder / "questdb")
    clickhouse.start()
    questdb.start()
    migrate(questdb.url)
    caches = (wiring.measure_settings, wiring.series_store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIR_CLICKHOUSE_URL", clickhouse.url)
        patch.setenv("WEIR_CLICKHOUSE_DATABASE", "whole")
        patch.setenv("WEIR_QUESTDB_URL", questdb.url)
        patch.setenv("WEIR_QUESTDB_PG_PORT", str(questdb.pg_port))
        patch.setenv("WEIR_QUESTDB_RETRY_SECONDS", "0.2")
        patch.setenv("WEIR_MEASURE_LEASE_SECONDS", "2")
        for cached in caches:
            cached.cache_clear()
        try:
            yield Whole(clickhouse, questdb, folder)
        finally:
            for cached in caches:
                cached.cache_clear()
            questdb.stop()
            clickhouse.stop()
