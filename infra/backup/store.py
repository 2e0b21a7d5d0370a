"""The rows of ClickHouse's tables as lines, out and in. Nothing is held in memory but a file's lines in the making."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any, NamedTuple

import clickhouse_connect

from functions.shared.settings import StoreSettings

# What the batches compute from the events is computed anew; a turn that somebody has is not to be restored.
DERIVED = frozenset(
    {
        "export_doubts",
        "identity_links",
        "judged",
        "measure_leases",
        "measure_progress",
        "measure_runs",
        "replay_leases",
        "metric_progress",
        "metric_states",
        "metric_touched",
        "session_event_rows",
        "session_rows",
        "told_attempts",
        "touched",
        "visitor_aliases",
        "visitor_first_rows",
        "visitor_numbers",
    }
)
# The tables' own record; a restored store has made its own.
_MIGRATIONS = "schema_migrations"
# An event's rows are stored after its claim and in this order, so a claim is never missing that a row needs.
_FIRST = ("processed_events", "raw_events")
_SECONDS = 3_600
_WRITTEN_AS_READ = {
    "output_format_json_quote_64bit_integers": 1,
    "output_format_json_quote_denormals": 1,
    "output_format_json_escape_forward_slashes": 0,
    "output_format_json_validate_utf8": 0,
    "max_execution_time": _SECONDS,
}
_TABLES = """SELECT name FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name NOT LIKE '.%' ORDER BY name"""
# JSON columns are made from their text; aliases and materialised ones from the others.
_COLUMNS = """SELECT name FROM system.columns
WHERE database = currentDatabase() AND table = {table:String} AND default_kind IN ('', 'DEFAULT')
    AND type NOT LIKE 'JSON%' ORDER BY position"""


class Part(NamedTuple):
    """What is read at once: a partition of a table."""

    table: str
    columns: list[str]
    partition: str


class Store:
    """One database of a ClickHouse. Its errors are the driver's."""

    def __init__(self, settings: StoreSettings) -> None:
        self._client = clickhouse_connect.get_client(
            dsn=settings.clickhouse_url,
            database=settings.clickhouse_database,
            username=settings.clickhouse_user,
            password=settings.clickhouse_password,
            autogenerate_session_id=False,
            connect_timeout=3,
            send_receive_timeout=_SECONDS,
        )

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def tables(self) -> list[str]:
        """The tables to be saved, in the order in which that is to be done."""
        names = [row[0] for row in self._rows(_TABLES) if row[0] not in DERIVED and row[0] != _MIGRATIONS]
        return sorted(names, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))

    def migrations(self) -> list[str]:
        """What the tables were made by."""
        return [row[0] for row in self._rows(f"SELECT DISTINCT name FROM {_MIGRATIONS} ORDER BY name")]  # noqa: S608

    def now(self) -> str:
        """The store's clock, as text that it reads."""
        return str(self._rows("SELECT toString(now64(9, 'UTC'))")[0][0])

    def parts(self, table: str) -> list[Part]:
        """The partitions of a table."""
        columns = [row[0] for row in self._rows(_COLUMNS, {"table": table})]
        found = self._rows(f"SELECT DISTINCT _partition_id FROM {table} ORDER BY 1")  # noqa: S608  from system.tables
        return [Part(table, columns, row[0]) for row in found]

    def lines(self, part: Part, until: str) -> Iterator[bytes]:
        """The rows that were stored before ``until``, each a line of JSON."""
        names = ", ".join(f"`{name}`" for name in part.columns)
        query = f"SELECT {names} FROM {part.table} WHERE _partition_id = {{partition:String}}"  # noqa: S608
        given = {"partition": part.partition}
        if "stored_at" in part.columns:
            query += " AND stored_at < {until:DateTime64(9, 'UTC')}"
            given["until"] = until
        stream: Any = self._client.raw_stream(
            query, parameters=given, settings=_WRITTEN_AS_READ, fmt="JSONCompactEachRow"
        )
        with closing(stream):
            yield from stream

    def insert(self, table: str, columns: list[str], lines: Iterable[bytes], token: str, some: int) -> int:
        """Put rows in, so many at a time; the same token again puts them in once. How many there were."""
        left, count = iter(lines), 0
        while batch := list(islice(left, some)):
            once = {"insert_deduplication_token": f"{token}:{count}", "async_insert": 0}
            self._client.raw_insert(table, columns, b"".join(batch), settings=once, fmt="JSONCompactEachRow")
            count += len(batch)
        return count

    def is_empty(self) -> bool:
        """Whether no table that would be restored has a row."""
        return not any(self.count(table) for table in self.tables())

    def count(self, table: str) -> int:
        """Rows of a table."""
        return int(self._rows(f"SELECT count() FROM {table}")[0][0])  # noqa: S608

    def _rows(self, query: str, parameters: dict[str, Any] | None = None) -> list[Any]:
        return list(self._client.query(query, parameters=parameters or {}).result_rows)
