"""Reads from ClickHouse over HTTP. Values travel as parameters, never inside the SQL."""

import contextlib
import logging
import re
import threading
from collections.abc import Generator, Mapping
from typing import Any

import msgspec

from functions.shared.errors import StoreUnavailable

_log = logging.getLogger("weir.clickhouse")
_GIB = 1024**3
_GRACE_SECONDS = 3.0
_ERROR_NAME = re.compile(r"\(([A-Z][A-Z_]{3,})\)")
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
        self._url = url
        self._database = database
        self._user = user
        self._password = password
        self._seconds = seconds
        self._client: Any = None
        self._guard = threading.Lock()

    def rows(self, sql: str, parameters: Mapping[str, Any], seconds: float | None = None) -> Generator[list[Any]]:
        """The rows as they arrive. ``seconds`` bounds the query; closing the iterator ends it.

        Raises :class:`StoreUnavailable` when the store does not answer, not in time, or not to the end.
        """
        allowed = min(seconds or self._seconds, self._seconds)
        try:
            with contextlib.closing(self._stream(sql, parameters, allowed)) as stream:
                for line in stream:
                    yield _ROW.decode(line)
        except StoreUnavailable:
            raise
        except Exception as error:
            raise self._unavailable(error, allowed) from error

    def ping(self, seconds: float = 2.0) -> None:
        """Ask the store whether its tables are there. Raises :class:`StoreUnavailable` with the reason."""
        list(self.rows(_TABLES_ARE_THERE, {}, seconds))

    def close(self) -> None:
        """Close the connections."""
        with self._guard:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _stream(self, sql: str, parameters: Mapping[str, Any], seconds: float) -> Any:
        settings = {**_SETTINGS, "max_execution_time": seconds}
        # The driver would take a statement without placeholders for a %-format.
        bound = dict(parameters) or None
        return self._connected().raw_stream(sql, parameters=bound, settings=settings, fmt="JSONCompactEachRow")

    def _connected(self) -> Any:
        with self._guard:
            if self._client is None:
                # Imported here: it takes a quarter of a second that a health check need not wait for.
                from clickhouse_connect import get_client

                self._client = get_client(
                    dsn=self._url,
                    database=self._database,
                    username=self._user,
                    password=self._password,
                    autogenerate_session_id=False,
                    connect_timeout=3,
                    send_receive_timeout=self._seconds + _GRACE_SECONDS,
                )
            return self._client

    def _unavailable(self, error: Exception, seconds: float) -> StoreUnavailable:
        text = str(error)
        # Only the error's name: its message may quote values that a client sent.
        name = _ERROR_NAME.search(text)
        _log.warning("the store did not answer: %s %s", type(error).__name__, name[1] if name else "")
        if any(mark in text for mark in _TIMED_OUT):
            return StoreUnavailable(
                f"The store took longer than {seconds:g} seconds. Narrow the query, by from and to for example.", 5
            )
        if any(mark in text for mark in _LIMITED):
            return StoreUnavailable("The query reads too much at once. Narrow it, by from and to for example.", 5)
        return StoreUnavailable("The store did not answer.", 2)
