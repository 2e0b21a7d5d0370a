"""A store with the batches over it: events in, stitched sessions out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

import clickhouse_connect

from functions.enrich.recording import Recorder
from functions.measure import attempts, following
from functions.measure.database import Database
from functions.measure.doubts import Doubts
from functions.measure.exporting import SessionExporter
from functions.measure.lease import Lease, Leased, LeasedSeries, comment
from functions.measure.service import MeasureService, Merges
from functions.measure.stitching.stitcher import Note, Rule, Step, Stitcher
from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from functions.shared.adapters.clickhouse_tables import ClickHouseTables
from functions.shared.errors import StoreUnavailable
from functions.shared.ports import SeriesStore
from functions.shared.settings import StoreSettings
from infra.clickhouse.migrate import migrate
from schemas.rows import Delivery
from tests.support.reference_sessions import Session

_FACTS = (
    "session_id, visitor, user_id, toUnixTimestamp64Nano(started_at) AS started_at,"
    " toUnixTimestamp64Nano(ended_at) AS ended_at, duration_seconds, event_count, page_view_count, entry_page,"
    " exit_page, referrer, campaign, country, device_type, browser, os, platforms, client_session_ids, is_bounce,"
    " is_bot, key_id, environment"
)


def note_attempts(database: Database) -> Note:
    """What the metrics take notice of, where there are none: the attempts that told of something."""

    def note(_sql: str, given: Mapping[str, Any], told: str) -> None:
        if told:
            database.run(attempts.note(told), {**given, "batch": time.time_ns()})

    return note


def nothing(_more: following.More) -> Callable[[], following.Followed]:
    """Work of metrics where there are none."""
    return lambda: following.Followed({})


class Died(BaseException):
    """The process ends here."""


class Mortal:
    """A database whose user dies before its ``last`` statement that writes, or after it."""

    def __init__(self, database: Database, last: int, after: bool) -> None:
        self._database, self._left, self._after = database, last, after

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        writes = not sql.startswith(("INSERT INTO stitch_", "TRUNCATE", "CREATE"))
        self._left -= writes
        if writes and self._left == 0 and not self._after:
            raise Died
        self._database.run(sql, parameters)
        if writes and self._left == 0:
            raise Died

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        return self._database.rows(sql, parameters)

    def text(self, sql: str, parameters: Mapping[str, Any]) -> Generator[bytes]:
        return self._database.text(sql, parameters)


class Batches:
    """One database of a server."""

    def __init__(self, url: str, database: str) -> None:
        migrate(url, database)
        self.settings = StoreSettings(clickhouse_url=url, clickhouse_database=database)
        self.client = clickhouse_connect.get_client(dsn=url, database=database, autogenerate_session_id=False)
        self.tables = ClickHouseTables(self.settings)
        self.noted: list[str] = []

    def record(self, deliveries: Sequence[Delivery]) -> None:
        """Record a block of events, as enrich does."""
        Recorder(self.tables, lambda: str(uuid.uuid4())).record(deliveries)

    def database(self, lease_id: str) -> ClickHouseBatch:
        return ClickHouseBatch(self.settings, own={"log_comment": comment(lease_id)})

    def stitch(
        self,
        step_events: int = 1_000_000,
        around: Callable[[Database], Database] = lambda database: database,
        lease_seconds: float = 30.0,
    ) -> list[Step]:
        """Run the batch to its end; ``around`` may stand between it and the store."""
        lease_id = str(uuid.uuid4())
        database = self.database(lease_id)
        lease = Lease(database, lease_id, time.time_ns, time.sleep, lease_seconds)
        assert lease.acquire(60)
        mortal = around(database)
        stitcher = Stitcher(mortal, lease, note_attempts(mortal), Rule(), step_events)
        database.run(attempts.REMEMBER, {})
        try:
            until = stitcher.newest()
            steps = list(iter(lambda: stitcher.step(until), None))
        except (Died, StoreUnavailable):
            # As a dead process leaves it: nobody renews the lease, and nobody gives it back.
            lease.fall_silent()
            raise
        lease.release()
        return steps

    def service(self, series: SeriesStore, step_events: int = 1_000_000) -> MeasureService:
        """The service for one run, of sessions alone."""
        lease_id = str(uuid.uuid4())
        store = self.database(lease_id)
        lease = Lease(store, lease_id, time.time_ns, time.sleep, 5.0)
        database = Leased(store, lease)
        stitcher = Stitcher(database, lease, note_attempts(database), Rule(), step_events)
        exporter = SessionExporter(database, LeasedSeries(series, lease), Doubts("sessions", database, store))
        return MeasureService(
            database,
            lease,
            stitcher,
            merges=Merges(nothing, nothing),
            following={},
            beside={"export": following.sessions(exporter)},
            clock=time.time_ns,
            new_id=lambda: str(uuid.uuid4()),
        )

    def rows(self, sql: str) -> list[Any]:
        return list(self.client.query(sql).named_results())

    def sessions(self) -> dict[str, dict[str, Any]]:
        """The sessions that stand, by id."""
        rows = self.rows(f"SELECT {_FACTS} FROM sessions")
        for row in rows:
            row["session_id"], row["user_id"] = str(row["session_id"]), row["user_id"] and str(row["user_id"])
            row["client_session_ids"] = [str(one) for one in row["client_session_ids"]]
        assert len({row["session_id"] for row in rows}) == len(rows)
        return {row["session_id"]: row for row in rows}

    def members(self) -> dict[str, tuple[str, str]]:
        """The visitor and the session of each event that counts."""
        rows = self.rows("SELECT event_id, visitor, session_id FROM session_events")
        found = {str(row["event_id"]): (row["visitor"], str(row["session_id"])) for row in rows}
        assert len(found) == len(rows)
        return found

    def clear(self) -> None:
        """Forget all events and all that was made of them."""
        tables = self.rows(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
        )
        for row in tables:
            if row["name"] not in ("schema_migrations", "measure_leases"):
                self.client.command(f"TRUNCATE TABLE {row['name']}")


def expected(sessions: Iterable[Session]) -> tuple[dict[str, dict[str, Any]], dict[str, tuple[str, str]]]:
    """The same of the reference: sessions by id, and visitor and session of each event."""
    facts = {one.session_id: one.facts() for one in sessions}
    members = {row.event_id: (one.visitor, one.session_id) for one in sessions for row in one.events}
    return facts, members
