"""The series store in memory: the fake for unit tests, held to the same contract as the real one.

SQLite stands in for the engine, so that a query is really run; it knows what the two dialects share, and casts by
``::`` are overlooked.
"""

import re
import sqlite3
from collections.abc import Sequence
from threading import Lock
from typing import Any

from functions.shared.adapters import memory_lines
from functions.shared.domain.series import TABLES, SeriesTable
from functions.shared.errors import StoreRefused, StoreUnavailable

_CAST = re.compile(r"::\w+")
_BOOLEANS = ("is_bounce", "is_bot", "is_anomaly")
sqlite3.register_converter("BOOLEAN", lambda data: data == b"1")


class MemorySeries:
    """Tables by their keys. While ``available`` is false, all of it raises."""

    def __init__(self) -> None:
        self.available = True
        self._lock = Lock()
        self._engine = sqlite3.connect(":memory:", check_same_thread=False, detect_types=sqlite3.PARSE_DECLTYPES)
        for table in TABLES:
            columns = ", ".join(f"{name} BOOLEAN" if name in _BOOLEANS else name for name in table.columns)
            self._engine.execute(f"CREATE TABLE {table.name} ({columns}, PRIMARY KEY ({', '.join(table.keys)}))")

    def __del__(self) -> None:
        self._engine.close()

    def write(self, table: SeriesTable, rows: Sequence[Sequence[Any]]) -> None:
        """See the port."""
        self._answer()
        marks = ", ".join("?" for _ in table.columns)
        sql = f"INSERT OR REPLACE INTO {table.name} VALUES ({marks})"  # noqa: S608  names of our own
        with self._lock, self._engine:
            try:
                self._engine.executemany(sql, [_kept(table, row) for row in rows])
            except (sqlite3.Error, UnicodeError, OverflowError, TypeError, ValueError) as error:
                raise StoreRefused(f"{table.name}: a value that the store cannot hold") from error

    def write_lines(self, table: SeriesTable, lines: bytes) -> None:
        """See the port."""
        try:
            rows = memory_lines.rows(table, lines)
        except ValueError as error:
            raise StoreRefused(f"{table.name}: a value that the store cannot hold") from error
        self.write(table, rows)

    def await_visible(self, *tables: SeriesTable) -> None:  # noqa: ARG002  all is visible at once
        """See the port."""
        self._answer()

    def query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """See the port."""
        self._answer()
        with self._lock:
            try:
                return self._engine.execute(_CAST.sub("", sql).replace("%s", "?"), list(values)).fetchall()
            except (sqlite3.Error, UnicodeError, OverflowError) as error:
                raise StoreRefused(f"the statement is wrong: {error}") from error

    def ping(self) -> None:
        """See the port."""
        self._answer()

    def _answer(self) -> None:
        if not self.available:
            raise StoreUnavailable("the store is away")


def _kept(table: SeriesTable, row: Sequence[Any]) -> list[Any]:
    """A row as the engine would hold it. Times begin in 1970."""
    named = dict(zip(table.columns, row, strict=True))
    if named[table.columns[0]] < 0:
        raise ValueError("a time before 1970")
    return [
        value // 1000 * 1000 if name in table.micros and value is not None else value for name, value in named.items()
    ]
