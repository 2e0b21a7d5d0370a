"""The series store over QuestDB."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from functions.shared.adapters.questdb_reader import Reader
from functions.shared.domain.series import SeriesTable
from functions.shared.errors import StoreUnavailable
from functions.shared.settings import SeriesSettings

if TYPE_CHECKING:
    from functions.shared.adapters.questdb_writer import Writer

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.005, 0.2


class QuestDbSeries:
    """Writes by the line protocol, reads by PostgreSQL's. Connects on first use, and anew after each failure."""

    def __init__(
        self,
        settings: SeriesSettings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings, self._clock, self._sleep = settings, clock, sleep
        self._reader = Reader(settings)
        self._writer: Writer | None = None
        self._known: set[str] = set()

    def write(self, table: SeriesTable, rows: Sequence[Sequence[Any]]) -> None:
        """See the port."""
        if rows:
            self._ready(table).write(table, rows)

    def write_lines(self, table: SeriesTable, lines: bytes) -> None:
        """See the port."""
        if lines:
            self._ready(table).write_lines(table, lines)

    def _ready(self, table: SeriesTable) -> "Writer":
        if self._writer is None:
            # Here and not above: who only reads has no need of the client, and does without it in its package.
            from functions.shared.adapters.questdb_writer import Writer

            self._writer = Writer(self._settings, self._clock, self._sleep)
        self._check(table)
        return self._writer

    def _check(self, table: SeriesTable) -> None:
        """The protocol would make a table that is not there, without a key: a row sent twice would count twice."""
        if table.name in self._known:
            return
        if not self.query("SELECT 1 FROM tables() WHERE table_name = %s AND dedup", [table.name]):
            raise StoreUnavailable(f"QuestDB has no table {table.name} with a key: run `weir migrate`")
        self._known.add(table.name)

    def await_visible(self, *tables: SeriesTable) -> None:
        """See the port."""
        awaited: dict[str, int] = {}
        for table in tables:
            awaited[table.name] = self._position(table.name)[1]
        deadline, pause = self._clock() + self._settings.questdb_timeout_seconds, _FIRST_PAUSE_SECONDS
        while awaited:
            awaited = {name: position for name, position in awaited.items() if self._position(name)[0] < position}
            if awaited and self._clock() > deadline:
                raise StoreUnavailable(f"QuestDB did not apply in time what it took: {', '.join(sorted(awaited))}")
            if awaited:
                self._sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _position(self, name: str) -> tuple[int, int]:
        """How many transactions queries see, and how many were taken."""
        sql = "SELECT writerTxn, sequencerTxn, suspended FROM wal_tables() WHERE name = %s"
        for applied, taken, suspended in self.query(sql, [name]):
            if suspended:
                raise StoreUnavailable(f"QuestDB has suspended {name}: see its log, then ALTER TABLE {name} RESUME WAL")
            return applied, taken
        raise StoreUnavailable(f"QuestDB has no table {name}: run `weir migrate`")

    def query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """See the port."""
        return self._reader.query(sql, values)

    def ping(self) -> None:
        """See the port."""
        self.query("SELECT 1")
