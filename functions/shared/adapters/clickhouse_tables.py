"""The event tables in ClickHouse, over its HTTP interface. A block of rows is one INSERT."""
# ruff: noqa: S608  the SQL is put together from our own names; ids and integers are checked to be that

import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

import orjson

from functions.enrich.tables import TABLES, Claim, Place, Rival, StoredRow, Table, Touch
from functions.shared.adapters.clickhouse_link import ClickHouseLink, Turns, agreed, current, failures, named, told
from functions.shared.adapters.clickhouse_rows import Rows
from functions.shared.domain import environments
from functions.shared.errors import StoreRefused, StoreUnavailable
from functions.shared.settings import StoreSettings
from schemas.rows import LedgerRow, ProcessedRow, Rank, RawRow

T = TypeVar("T")
_INT64 = 2**63
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 3.0
_STALE_SECONDS = 1.0
# How far the clocks of a cluster's servers may be apart.
_SKEW_SECONDS = 40.0
# The errors that the same bytes meet again for ever: what cannot be read, converted, or held by a column. A code too
# many costs a bisection, whose halves are then taken; a code too few costs the block its neighbours.
_REFUSALS = frozenset(
    {6, 25, 26, 27, 32, 33, 38, 41, 43, 53, 69, 70, 72, 117, 128, 130, 131, 306, 321, 349, 376, 377, 407, 467, 469, 691}
)
# One thread: blocks are small, and many writers work side by side.
_SETTINGS: dict[str, Any] = {"max_threads": 1, "max_query_size": 64 * 1024 * 1024}
_INSERT = {
    **_SETTINGS,
    "async_insert": 0,
    "input_format_json_read_objects_as_strings": 1,
    "input_format_parallel_parsing": 0,
    "input_format_try_infer_dates": 0,
    "input_format_try_infer_datetimes": 0,
    "max_insert_threads": 1,
    "max_partitions_per_insert_block": 0,
    "type_json_skip_duplicated_paths": 1,
}
_SELECT = {**_SETTINGS, "output_format_json_quote_64bit_integers": 0}
# Deletes by a small part that says which rows are gone, instead of writing every part that holds one anew.
_DELETE = {**_SETTINGS, "lightweight_delete_mode": "lightweight_update", "lightweight_deletes_sync": 2}
_ERASE = {**_SETTINGS, "mutations_sync": 2}
# The store reads no plain 0 as a time.
_NEVER = "1970-01-01 00:00:00"
_FAILED = {"processed_events": "false", "raw_events": "processing_status != 'processed'"}


class ClickHouseTables:
    """The claims, the tables and the ledger of one database. Several threads may use it; it heals stale connections.

    Where the settings name a cluster, the tables are replicated on it: inserts are on most replicas when they return.
    """

    def __init__(self, settings: StoreSettings, turns: Turns | None = None) -> None:
        cluster = settings.clickhouse_cluster
        self._seconds = settings.clickhouse_timeout_seconds
        self._processes = f"clusterAllReplicas('{cluster}', system.processes)" if cluster else "system.processes"
        self._insert_settings = {**_INSERT, "max_execution_time": self._seconds, **agreed(settings)}
        self._select_settings = {**_SELECT, "max_execution_time": self._seconds, **current(settings)}
        self._link = ClickHouseLink.of(settings, self._seconds + _GRACE_SECONDS, compress=False)
        self._turns = turns or Turns.of(settings)

    def claim(self, attempt_id: str, claims: Sequence[Claim]) -> None:
        """See the port."""
        self._insert("event_deliveries", Claim._fields, attempt_id, claims)

    def insert_processed(self, attempt_id: str, rows: Sequence[ProcessedRow]) -> None:
        """See the port."""
        self._insert("processed_events", ProcessedRow._fields, attempt_id, rows)

    def insert_raw(self, attempt_id: str, rows: Sequence[RawRow]) -> None:
        """See the port."""
        self._insert("raw_events", RawRow._fields, attempt_id, rows)

    def rivals(self, attempt_id: str, event_ids: Collection[str]) -> list[Rival]:
        """See the port."""
        return self._rivals(attempt_id, event_ids, "")

    def late_rivals(self, attempt_id: str, event_ids: Collection[str], seconds: float) -> list[Rival]:
        """See the port. Old parts of the ledger are passed over by their partition's bounds on the time."""
        window = int((seconds + self._seconds + _SKEW_SECONDS) * 1e9)
        return self._rivals(attempt_id, event_ids, f" AND recorded_at > now64(9) - toIntervalNanosecond({window})")

    def close(self) -> None:
        """Close the connections."""
        self._link.close()

    def _rivals(self, attempt_id: str, event_ids: Collection[str], late: str) -> list[Rival]:
        # The ledger is sorted by the 16 bytes of the id; they travel as one text, which parses fast.
        packed = "".join(event_ids).replace("-", "")
        bytes.fromhex(packed)
        found = self._select(
            "SELECT DISTINCT toString(event_id), toString(attempt_id), toUnixTimestamp64Nano(timestamp)"
            " FROM event_deliveries PREWHERE event_key IN (SELECT toFixedString(substring(unhex("
            f"'{packed}'), number * 16 + 1, 16), 16) FROM numbers({len(event_ids)}))"
            f" WHERE attempt_id != '{uuid.UUID(attempt_id)}'{late}"
        )
        return [Rival(*row) for row in found]

    def rows(self, places: Collection[Place]) -> list[StoredRow]:
        """See the port. Rows are found by their timestamps, which is what the tables are sorted by."""
        near = {place for place in places if -_INT64 <= place.timestamp < _INT64}
        if not near:
            return []
        found = self._select(" UNION ALL ".join(_rows_of(table, near) for table in TABLES))
        return [StoredRow._make([*row[:4], Rank._make(row[4:8]), *row[8:]]) for row in found]

    def remove(self, rows: Sequence[StoredRow]) -> None:
        """See the port. One statement a table."""
        for table in TABLES:
            doomed = [row for row in rows if row.table == table]
            if not doomed:
                continue
            self._delete(f"DELETE FROM {table} WHERE {_are(doomed)}")

    def erase(self, rows: Sequence[StoredRow]) -> None:
        """See the port. The parts that hold them are written anew."""
        for table in TABLES:
            if doomed := [row for row in rows if row.table == table]:
                self._delete(f"ALTER TABLE {table} DELETE WHERE {_are(doomed)}", _ERASE)

    def touch(self, attempt_id: str, touch: Touch) -> None:
        """See the port. One row."""
        self._insert("touched", Touch._fields, attempt_id, [touch])

    def note(self, attempt_id: str, rows: Sequence[LedgerRow]) -> None:
        """See the port."""
        self._insert("ledger", LedgerRow._fields, attempt_id, [_timed(row) for row in rows])

    def await_idle(self, attempt_ids: Collection[str]) -> None:
        """See the port. Every INSERT carries the id of its attempt as its comment."""
        until = time.monotonic() + self._seconds
        while not self.running().isdisjoint(attempt_ids):
            if time.monotonic() > until:
                raise StoreUnavailable("Another writer of the same events is still at work.")
            time.sleep(_POLL_SECONDS)

    def running(self) -> set[str]:
        """The attempts of which an insert is at work just now."""
        return {row[0] for row in self._select(f"SELECT DISTINCT Settings['log_comment'] FROM {self._processes}")}

    def _insert(self, table: str, columns: tuple[str, ...], attempt_id: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        # The store knows by the token when the answer was lost and the block is sent again.
        token = str(uuid.uuid4())
        settings = {**self._insert_settings, "log_comment": attempt_id, "insert_deduplication_token": token}
        names = [*columns, "attempt_id"]
        # Written while it is sent. Should that break off, the store has no end of the request, and takes nothing.
        body = Rows(columns, attempt_id, rows)
        how = {"settings": settings, "fmt": "JSONCompactEachRow"}
        self._call(lambda client: self._turns.take(lambda: client.raw_insert(table, names, body, **how)))

    def _delete(self, sql: str, how: dict[str, Any] = _DELETE) -> None:
        settings = {**how, "max_execution_time": self._seconds}
        self._call(lambda client: client.command(sql, settings=settings))

    def _select(self, sql: str) -> list[list[Any]]:
        def rows(client: Any) -> list[list[Any]]:
            body: bytes = client.raw_query(sql, settings=self._select_settings, fmt="JSONCompactEachRow")
            return [orjson.loads(line) for line in body.splitlines()]

        return self._call(rows)

    def _call(self, action: Callable[[Any], T]) -> T:
        """Run an action; once more when it met a connection that the other side had closed meanwhile."""
        began = time.monotonic()
        try:
            return action(self._link.client())
        except failures() as error:
            answered = getattr(error, "code", None) is not None
            if answered or time.monotonic() - began > _STALE_SECONDS:
                raise _translated(error) from error
        try:
            return action(self._link.client())
        except failures() as error:
            raise _translated(error) from error


def _timed(row: LedgerRow) -> tuple[Any, ...]:
    """With times that the store reads. One that is not known is never that of receipt again: its nanoseconds are what
    can least be compressed of a row."""
    values = row._asdict()
    for name in ("queued_at", "started_at"):
        values[name] = values[name] or _NEVER
    return tuple(values.values())


def _rows_of(table: Table, places: Collection[Place]) -> str:
    ids = ",".join({f"'{uuid.UUID(place.event_id)}'" for place in places})
    return (
        f"SELECT '{table}', toString(event_id), toString(attempt_id), toUnixTimestamp64Nano(timestamp),"
        f" {_FAILED[table]}, {environments.condition(environments.TEST)}, toUnixTimestamp64Nano(received_at), digest,"
        " toString(batch_id), batch_index, key_id, generation"
        f" FROM {table} WHERE {_at(place.timestamp for place in places)} AND event_id IN ({ids})"
    )


def _are(rows: Collection[StoredRow]) -> str:
    keys = ",".join(f"('{uuid.UUID(row.event_id)}','{uuid.UUID(row.attempt_id)}')" for row in rows)
    return f"{_at(row.timestamp for row in rows)} AND (event_id, attempt_id) IN ({keys})"


def _at(timestamps: Iterable[int]) -> str:
    numbers = ",".join(map(str, set(timestamps)))
    return f"timestamp IN (SELECT fromUnixTimestamp64Nano(arrayJoin([{numbers}]::Array(Int64)), 'UTC'))"


def _translated(error: Exception) -> StoreRefused | StoreUnavailable:
    """The error in our terms."""
    if getattr(error, "code", None) in _REFUSALS:
        return StoreRefused(f"The store refused it: {named(error) or type(error).__name__}.")
    name = told(error, "the store did not take it") or type(error).__name__
    return StoreUnavailable(f"The store did not take it: {name}.")
