"""The event tables in ClickHouse, over its HTTP interface."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import clickhouse_connect
import orjson
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from functions.enrich.recording import Key, Standing
from functions.shared.errors import StoreRefused, StoreUnavailable
from functions.shared.settings import StoreSettings
from schemas.rows import Delivery, ProcessedRow, RawRow

T = TypeVar("T")
_CODE = re.compile(r"Code: (\d+)|error code (\d+)", re.IGNORECASE)
# ClickHouse's codes for data it cannot take, from its ErrorCodes.cpp: parsing, types, ranges, JSON, encodings.
_REFUSALS = frozenset({6, 26, 27, 32, 33, 38, 41, 43, 53, 69, 70, 72, 117, 130, 131, 321, 349, 376, 377, 407, 467, 691})
_IDS_A_QUERY = 1_000
_INSERT = {
    "input_format_try_infer_dates": 0,
    "input_format_try_infer_datetimes": 0,
    "type_json_skip_duplicated_paths": 1,
    "max_partitions_per_insert_block": 0,
    "async_insert": 0,
}
_TIMES = frozenset({"received_at", "timestamp", "processed_at", "queued_at"})
_RAW_TIMES = [place for place, name in enumerate(RawRow._fields) if name in _TIMES]
_PROCESSED_TIMES = [place for place, name in enumerate(ProcessedRow._fields) if name in _TIMES]
_CLAIM_COLUMNS = (
    "event_id",
    "failed",
    "received_at",
    "digest",
    "attempt_id",
    "batch_id",
    "batch_index",
    "key_id",
    "timestamp",
)


class ClickHouseTables:
    """Speaks to one ClickHouse; the connection is made on first use and made anew after a failure."""

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self._client: Any = None

    def claim(self, attempt_id: str, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        rows = [
            (
                raw.event_id,
                processed is None,
                str(raw.received_at),
                raw.digest,
                attempt_id,
                raw.batch_id,
                raw.batch_index,
                raw.key_id,
                str(raw.timestamp),
            )
            for raw, processed in deliveries
        ]
        self._insert("event_deliveries", _CLAIM_COLUMNS, rows)

    def contested(self, attempt_id: str, event_ids: Sequence[str]) -> set[str]:
        """See the port."""
        query = (
            "SELECT DISTINCT toString(event_id) FROM event_deliveries WHERE event_key IN"
            " (SELECT UUIDStringToNum(arrayJoin(splitByChar(',', {ids:String})))) AND attempt_id != {attempt:UUID}"
        )
        return {
            row[0] for part in _parts(event_ids) for row in self._rows(query, ids=",".join(part), attempt=attempt_id)
        }

    def standing_raw(self, event_ids: Sequence[str]) -> list[Standing]:
        """See the port."""
        return self._standing("raw_events", "processing_status = 'failed'", event_ids)

    def standing_processed(self, event_ids: Sequence[str]) -> list[Standing]:
        """See the port."""
        return self._standing("processed_events", "false", event_ids)

    def insert_raw(self, attempt_id: str, rows: Sequence[RawRow]) -> None:
        """See the port."""
        self._insert("raw_events", (*RawRow._fields, "attempt_id"), _with_attempt(rows, _RAW_TIMES, attempt_id))

    def insert_processed(self, attempt_id: str, rows: Sequence[ProcessedRow]) -> None:
        """See the port."""
        columns = (*ProcessedRow._fields, "attempt_id")
        self._insert("processed_events", columns, _with_attempt(rows, _PROCESSED_TIMES, attempt_id))

    def delete_raw(self, keys: Sequence[Key]) -> None:
        """See the port."""
        self._delete("raw_events", keys)

    def delete_processed(self, keys: Sequence[Key]) -> None:
        """See the port."""
        self._delete("processed_events", keys)

    def _standing(self, table: str, failed: str, event_ids: Sequence[str]) -> list[Standing]:
        query = (
            f"SELECT toString(event_id), {failed}, toUnixTimestamp64Nano(received_at), digest, toString(attempt_id)"  # noqa: S608
            f" FROM {table} WHERE event_id IN (SELECT toUUID(arrayJoin(splitByChar(',', {{ids:String}}))))"
        )
        return [
            Standing(row[0], (bool(row[1]), row[2], row[3]), row[4])
            for part in _parts(event_ids)
            for row in self._rows(query, ids=",".join(part))
        ]

    def _delete(self, table: str, keys: Sequence[Key]) -> None:
        query = (
            f"DELETE FROM {table} WHERE (event_id, attempt_id) IN"  # noqa: S608
            " (SELECT toUUID(pair.1), toUUID(pair.2) FROM (SELECT arrayJoin(arrayZip("
            "splitByChar(',', {ids:String}), splitByChar(',', {attempts:String}))) AS pair))"
        )
        for part in _parts(keys):
            ids, attempts = zip(*part, strict=True)
            parameters = {"ids": ",".join(ids), "attempts": ",".join(attempts)}
            self._call(partial(_command, query, parameters))

    def _insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        block = orjson.dumps(rows)[1:-1]
        self._call(
            lambda client: client.raw_insert(
                table, column_names=columns, insert_block=block, fmt="JSONCompactEachRow", settings=_INSERT
            )
        )

    def _rows(self, query: str, **parameters: str) -> list[Any]:
        # One compact line a row: no column decoding for answers that are nearly always empty.
        raw = self._call(
            lambda client: client.raw_query(
                query,
                parameters=parameters,
                fmt="JSONCompactEachRow",
                settings={"output_format_json_quote_64bit_integers": 0},
            )
        )
        return [orjson.loads(line) for line in raw.splitlines() if line]

    def _call(self, action: Callable[[Any], T]) -> T:
        try:
            return action(self._connected())
        except DatabaseError as error:
            raise _refusal_or_outage(error) from error
        except (ClickHouseError, OSError) as error:
            self._client = None
            raise StoreUnavailable("The event store does not answer.") from error

    def _connected(self) -> Any:
        if self._client is None:
            settings = self.settings
            self._client = clickhouse_connect.get_client(
                dsn=settings.clickhouse_url,
                username=settings.clickhouse_user,
                password=settings.clickhouse_password,
                database=settings.clickhouse_database,
                autogenerate_session_id=False,
                form_encode_query_params=True,
                compress=False,
                connect_timeout=3,
                send_receive_timeout=settings.clickhouse_timeout_seconds,
            )
        return self._client


def _with_attempt(rows: Sequence[tuple[Any, ...]], times: Sequence[int], attempt_id: str) -> list[list[Any]]:
    """The rows as lists of what the columns take: DateTime64(9) reads nanoseconds as digits in a string."""
    lists = [[*row, attempt_id] for row in rows]
    for row in lists:
        for place in times:
            row[place] = str(row[place])
    return lists


def _command(query: str, parameters: dict[str, str], client: Any) -> None:
    client.command(query, parameters=parameters)


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _IDS_A_QUERY):
        yield items[start : start + _IDS_A_QUERY]


def _refusal_or_outage(error: DatabaseError) -> StoreRefused | StoreUnavailable:
    found = _CODE.search(str(error))
    code = int(found[1] or found[2]) if found else 0
    if code in _REFUSALS:
        return StoreRefused(f"ClickHouse error {code}.")
    return StoreUnavailable(f"The event store answered with error {code}.")
