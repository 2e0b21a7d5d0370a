"""Reads from ClickHouse over HTTP. Values travel as parameters, never inside the SQL."""

from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any

import msgspec

from functions.shared.adapters.clickhouse_link import ClickHouseLink, failures, told
from functions.shared.errors import StoreUnavailable

_GIB = 1024**3
_GRACE_SECONDS = 3.0
_TIMED_OUT = ("TIMEOUT_EXCEEDED", "TOO_SLOW", "Read timed out")
_LIMITED = ("MEMORY_LIMIT_EXCEEDED", "TOO_MANY_BYTES", "TOO_MANY_ROWS")
_SETTINGS = {
    "readonly": 2,
    "timeout_overflow_mode": "throw",
    "max_memory_usage": 2 * _GIB,
    "max_bytes_to_read": 64 * _GIB,
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,
    "output_format_json_validate_utf8": 1,
}
_TABLES_ARE_THERE = "SELECT count() FROM raw_events WHERE 0 UNION ALL SELECT count() FROM processed_events WHERE 0"
_ROW = msgspec.json.Decoder(list[Any])


class ClickHouseReader:
    """Answers statements. One for a process: it may be used by several threads, and heals stale connections."""

    def __init__(
        self, url: str, database: str, user: str = "default", password: str = "", seconds: float = 20.0
    ) -> None:
        self._seconds = seconds
        self._link = ClickHouseLink(url, database, user, password, seconds + _GRACE_SECONDS)

    def rows(self, sql: str, parameters: Mapping[str, Any], seconds: float | None = None) -> Generator[list[Any]]:
        """The rows as they arrive. ``seconds`` bounds the query; closing the iterator ends it.

        Raises :class:`StoreUnavailable` when the store does not answer, not in time, or not to the end.
        """
        allowed = min(seconds or self._seconds, self._seconds)
        try:
            with closing(self._stream(sql, parameters, allowed)) as stream:
                for line in stream:
                    yield _ROW.decode(line)
        except failures() as error:
            raise _unavailable(error, allowed) from error

    def ping(self, seconds: float = 2.0) -> None:
        """Ask the store whether its tables are there. Raises :class:`StoreUnavailable` with the reason."""
        list(self.rows(_TABLES_ARE_THERE, {}, seconds))

    def close(self) -> None:
        """Close the connections."""
        self._link.close()

    def _stream(self, sql: str, parameters: Mapping[str, Any], seconds: float) -> Any:
        settings = {**_SETTINGS, "max_execution_time": seconds}
        # The driver would take a statement without placeholders for a %-format.
        bound = dict(parameters) or None
        return self._link.client().raw_stream(sql, parameters=bound, settings=settings, fmt="JSONCompactEachRow")


def _unavailable(error: Exception, seconds: float) -> StoreUnavailable:
    text = str(error)
    told(error, "the store did not answer")
    if any(mark in text for mark in _TIMED_OUT):
        return StoreUnavailable(
            f"The store took longer than {seconds:g} seconds. Narrow the query, by from and to for example.", 5
        )
    if any(mark in text for mark in _LIMITED):
        return StoreUnavailable("The query reads too much at once. Narrow it, by from and to for example.", 5)
    return StoreUnavailable("The store did not answer.", 2)
