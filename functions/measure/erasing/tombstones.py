"""Sessions of a person in the time-series store, which cannot delete: their rows are written over with nothing."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from functions.shared.domain.series import SESSIONS, SessionRow
from functions.shared.ports import SeriesStore

_AT_A_TIME = 100
_OF_VISITOR = "SELECT started_at::long, session_id, environment FROM sessions WHERE visitor = %s"
_BY_ID = "SELECT started_at::long, session_id, environment FROM sessions WHERE visitor != '' AND session_id IN ({})"
_SUPERSEDED = " AND state = 'superseded'"


class Row(NamedTuple):
    """A session's row: its key, and its environment, which stays."""

    started_at: int
    session_id: str
    environment: str


class Tombstones:
    """Finds rows and writes over them."""

    def __init__(self, series: SeriesStore) -> None:
        self._series = series

    def standing(self, own: Iterable[str], others: Iterable[str], sessions: Sequence[str]) -> list[Row]:
        """The rows to write over.

        All of the visitors that are nobody else (``own``); of ``others``, and of sessions by their ids, what no longer
        holds.
        """
        found: set[Row] = set()
        for visitor in own:
            found.update(self._rows(_OF_VISITOR, [visitor]))
        # The protocol cannot carry a NUL: such a visitor's sessions are found by their ids alone.
        for visitor in (name for name in others if "\0" not in name):
            found.update(self._rows(_OF_VISITOR + _SUPERSEDED, [visitor]))
        for first in range(0, len(sessions), _AT_A_TIME):
            some = sessions[first : first + _AT_A_TIME]
            found.update(self._rows(_BY_ID.format(", ".join(["%s"] * len(some))) + _SUPERSEDED, some))
        return sorted(found)

    def write(self, rows: Sequence[Row], computed_at: int) -> None:
        """Write over them, at some nanosecond; when it returns nobody reads what was there."""
        if not rows:
            return
        self._series.write(SESSIONS, [_blank(row, computed_at) for row in rows])
        self._series.await_visible(SESSIONS)

    def tidy(self) -> None:
        """Let the store remove the files that what was written over is still in."""
        self._series.query("VACUUM TABLE sessions")

    def _rows(self, sql: str, values: Sequence[str]) -> list[Row]:
        return [Row(int(row[0]), str(row[1]), str(row[2])) for row in self._series.query(sql, values)]


def _blank(row: Row, computed_at: int) -> SessionRow:
    return SessionRow(
        started_at=row.started_at, session_id=row.session_id, visitor="", user_id=None, ended_at=row.started_at,
        duration_seconds=0.0, event_count=0, page_view_count=0, entry_page=None, exit_page=None, referrer=None,
        campaign=None, country=None, device_type=None, browser=None, os=None, platforms="[]", client_session_ids="[]",
        is_bounce=False, is_bot=False, key_id=None, environment=row.environment, state="superseded",
        computed_at=computed_at,
    )  # fmt: skip
