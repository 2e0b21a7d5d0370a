"""Sessions for the time-series store: what changed since the last time, superseded ones too.

How far it came is kept in the store, by version: while the time-series store is away nothing is lost.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from functions.measure.database import Database
from functions.shared.domain.series import SESSIONS
from functions.shared.errors import StoreRefused
from functions.shared.ports import SeriesStore

_STAGE = "sessions"
_ROWS_AT_A_TIME = 20_000


class SessionExporter:
    """``more`` says whether there is time for another version."""

    def __init__(self, database: Database, series: SeriesStore) -> None:
        self._database, self._series = database, series

    def export(self, more: Callable[[], bool]) -> tuple[int, int, bool]:
        """Write what changed: how many rows, how many no column takes, and whether that was all.

        Raises :class:`~functions.shared.errors.StoreUnavailable`; then the same is written by the next export.
        """
        written = refused = 0
        for version, first, last in list(self._database.rows(_VERSIONS, {"stage": _STAGE})):
            if not more():
                return written, refused, False
            given = {"version": version, "first": first, "last": last}
            for rows in _some(self._database.rows(_CHANGED, given)):
                lost = self._write(rows)
                written, refused = written + len(rows) - lost, refused + lost
            self._database.run(_REACHED, {"stage": _STAGE, "version": version})
        return written, refused, True

    def _write(self, rows: Sequence[Sequence[Any]]) -> int:
        """Write rows, and find those that no column takes: one of them must not hold up all others. How many."""
        try:
            self._series.write(SESSIONS, rows)
        except StoreRefused:
            if len(rows) == 1:
                return 1
            middle = len(rows) // 2
            return self._write(rows[:middle]) + self._write(rows[middle:])
        return 0


def _some(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    left = iter(rows)
    while some := list(islice(left, _ROWS_AT_A_TIME)):
        yield some


_VERSIONS = """SELECT version, toUnixTimestamp64Nano(min(started_at)), toUnixTimestamp64Nano(max(started_at))
FROM session_rows WHERE version > (SELECT max(version) FROM measure_progress WHERE stage = {stage:String})
GROUP BY version ORDER BY version"""
# A SessionRow as it is: nothing is left to do for a function that handles a million of them. What a later version
# replaced is told with that one.
_CHANGED = """SELECT toUnixTimestamp64Nano(started_at), toString(session_id), visitor, toString(user_id),
    toUnixTimestamp64Nano(ended_at), duration_seconds, event_count, page_view_count, nullIf(entry_page, ''),
    nullIf(exit_page, ''), nullIf(referrer, ''), nullIf(campaign, ''), nullIf(country, ''), nullIf(device_type, ''),
    nullIf(browser, ''), nullIf(os, ''), toJSONString(platforms), toJSONString(client_session_ids), is_bounce, is_bot,
    nullIf(key_id, ''), environment, toString(state), toUnixTimestamp64Nano(toDateTime64(computed_at, 9))
FROM session_rows FINAL
PREWHERE started_at >= fromUnixTimestamp64Nano({first:Int64}) AND started_at <= fromUnixTimestamp64Nano({last:Int64})
WHERE version = {version:UInt64}
SETTINGS output_format_json_escape_forward_slashes = 0"""
_REACHED = "INSERT INTO measure_progress (stage, version) SELECT {stage:String}, {version:UInt64}"
