"""Whose events are refused, as the store has it. What was read is kept until it is not as it was."""

import threading
import time
from collections.abc import Callable

from functions.shared.adapters.clickhouse_reader import ClickHouseReader
from functions.shared.domain.suppression import Entry, Position, Suppression

_SECONDS = 30.0
_STATE = "SELECT count(), toString(max(added_at)) FROM suppressions"
_ALL = "SELECT toString(kind), subject, since, since_id, until, until_id FROM suppressions"


class ClickHouseSuppressions:
    """Several threads may use it. ``now`` is in seconds."""

    def __init__(self, reader: ClickHouseReader, now: Callable[[], float] = time.monotonic) -> None:
        self._reader, self._now = reader, now
        self._state: list[object] = []
        self._known = Suppression()
        self._asked: float | None = None
        self._guard = threading.Lock()

    def known(self) -> Suppression:
        """As it was half a minute ago at most."""
        if self._asked is None or not 0 <= self._now() - self._asked < _SECONDS:
            return self.current()
        return self._known

    def current(self) -> Suppression:
        """As it is now. Raises :class:`~functions.shared.errors.StoreUnavailable`."""
        with self._guard:
            asked = self._now()
            [state] = self._reader.rows(_STATE, {})
            if state != self._state:
                self._known = Suppression(map(_entry, self._reader.rows(_ALL, {})))
                self._state = state
            self._asked = asked
            return self._known


def _entry(row: list[object]) -> Entry:
    kind, subject, since, since_id, until, until_id = row
    return Entry(kind, str(subject), Position(since, str(since_id)), Position(until, str(until_id)))  # type: ignore[arg-type]
