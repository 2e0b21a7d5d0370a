"""Statements of the scheduled batches over ClickHouse's HTTP interface. Values travel as parameters."""

import logging
import re
import threading
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any

import msgspec

from functions.shared.errors import StoreUnavailable
from functions.shared.settings import StoreSettings

_log = logging.getLogger("weir.clickhouse")
_ERROR_NAME = re.compile(r"\(([A-Z][A-Z_]{3,})\)")
_ROW = msgspec.json.Decoder(list[Any])
_READING = {
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,
    "output_format_json_validate_utf8": 1,
}


class ClickHouseBatch:
    """Runs statements, each to its end. ``seconds`` bounds each one."""

    def __init__(self, settings: StoreSettings, seconds: float = 600.0) -> None:
        self._settings = settings
        self._seconds = seconds
        self._client: Any = None
        self._guard = threading.Lock()

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Run a statement to its end. Raises :class:`StoreUnavailable`; then it may have been run or not."""
        try:
            self._connected().command(sql, parameters=dict(parameters) or None, settings=self._bounded())
        except Exception as error:
            raise self._unavailable(error) from error

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        """The rows of a query, as they arrive. Raises :class:`StoreUnavailable`, also when they break off."""
        settings = {**_READING, **self._bounded()}
        bound = dict(parameters) or None
        try:
            with closing(
                self._connected().raw_stream(sql, parameters=bound, settings=settings, fmt="JSONCompactEachRow")
            ) as stream:
                for line in stream:
                    yield _ROW.decode(line)
        except Exception as error:
            raise self._unavailable(error) from error

    def close(self) -> None:
        """Close the connections."""
        with self._guard:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _bounded(self) -> dict[str, Any]:
        return {"max_execution_time": self._seconds}

    def _connected(self) -> Any:
        with self._guard:
            if self._client is None:
                from clickhouse_connect import get_client

                self._client = get_client(
                    dsn=self._settings.clickhouse_url,
                    database=self._settings.clickhouse_database,
                    username=self._settings.clickhouse_user,
                    password=self._settings.clickhouse_password,
                    autogenerate_session_id=False,
                    connect_timeout=3,
                    send_receive_timeout=self._seconds + 3,
                )
            return self._client

    @staticmethod
    def _unavailable(error: Exception) -> StoreUnavailable:
        # Only the error's name: its message may quote values that a client sent.
        name = _ERROR_NAME.search(str(error))
        _log.warning("the store did not run it: %s %s", type(error).__name__, name[1] if name else "")
        return StoreUnavailable(f"The store did not run the statement{f': {name[1]}' if name else ''}.", 5)
