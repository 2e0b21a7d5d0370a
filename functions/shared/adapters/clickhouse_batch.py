"""Statements of the scheduled batches over ClickHouse's HTTP interface. Values travel as parameters."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Any

import msgspec

from functions.shared.adapters.clickhouse_link import ClickHouseLink, failures, told
from functions.shared.errors import StoreUnavailable
from functions.shared.settings import StoreSettings

_GRACE_SECONDS = 3.0
_PIECE_BYTES = 1 << 20
_ROW = msgspec.json.Decoder(list[Any])
_WRITING = {"async_insert": 0}
_READING = {
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,
    "output_format_json_validate_utf8": 1,
}
# What comes late may be of any month, and a month is a partition.
_ANY_TIMES = {"max_partitions_per_insert_block": 0}


class ClickHouseBatch:
    """Runs statements, each to its end. ``seconds`` bounds each one; ``own`` are settings that all of them carry."""

    def __init__(self, settings: StoreSettings, seconds: float = 600.0, own: Mapping[str, Any] | None = None) -> None:
        self._own = dict(own or {})
        self._seconds = seconds
        self._link = ClickHouseLink.of(settings, seconds + _GRACE_SECONDS)

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Run a statement to its end. Raises :class:`StoreUnavailable`; then it may have been run or not."""
        try:
            self._link.client().command(sql, parameters=dict(parameters) or None, settings=self._bounded())
        except failures() as error:
            raise _unavailable(error) from error

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        """The rows of a query, as they arrive. Raises :class:`StoreUnavailable`, also when they break off."""
        settings = {**_READING, **self._bounded()}
        bound = dict(parameters) or None
        try:
            with closing(
                self._link.client().raw_stream(sql, parameters=bound, settings=settings, fmt="JSONCompactEachRow")
            ) as stream:
                for line in stream:
                    yield _ROW.decode(line)
        except failures() as error:
            raise _unavailable(error) from error

    def text(self, sql: str, parameters: Mapping[str, Any]) -> Generator[bytes]:
        """The answer of a query of one column of texts, in pieces. Raises as :meth:`rows`."""
        bound = dict(parameters) or None
        try:
            with closing(
                self._link.client().raw_stream(sql, parameters=bound, settings=self._bounded(), fmt="TSVRaw")
            ) as stream:
                while piece := stream.read(_PIECE_BYTES):
                    yield piece
        except failures() as error:
            raise _unavailable(error) from error

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows of plain values, times as text. Raises :class:`StoreUnavailable`; then they may be there or not.

        A row that comes again is to be the same, in a table where that makes no difference.
        """
        if not rows:
            return
        body = b"\n".join(map(msgspec.json.encode, rows))
        settings = {**self._bounded(), **_WRITING}
        try:
            self._link.client().raw_insert(table, list(columns), body, settings=settings, fmt="JSONCompactEachRow")
        except failures() as error:
            raise _unavailable(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._link.close()

    def _bounded(self) -> dict[str, Any]:
        return {**_ANY_TIMES, **self._own, "max_execution_time": self._seconds}


def _unavailable(error: Exception) -> StoreUnavailable:
    name = told(error, "the store did not run it")
    return StoreUnavailable(f"The store did not run the statement{f': {name}' if name else ''}.", 5)
