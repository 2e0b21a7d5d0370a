"""Holds minutes that are over to account: what does not balance is written down, and looked at until it does."""

from collections.abc import Callable
from typing import Any, NamedTuple

from functions.measure.database import Database, Readable, one
from functions.shared.domain import ledger, ledger_sql
from functions.shared.domain.instants import SECOND
from functions.shared.domain.ledger import Line
from functions.shared.domain.ledger_sql import Range
from functions.shared.domain.minutes import MINUTE_SECONDS

# How long events may take; then their minute has to balance.
SETTLE_SECONDS = 300
# No key: rows under this name say up to which minute all was looked at. What the batches computed is not touched by it.
REACHED = "(reached)"
# A run looks at so many minutes, and at so many again; the first looks back an hour.
_MOST_MINUTES, _MOST_AGAIN, _FIRST_SECONDS = 180, 30, 3_600
_MOST_LINES = 100_000


class Unbalanced(NamedTuple):
    """What does not balance now: how many minutes (of a key), how many events, and the first of the minutes."""

    minutes: int
    events: int
    first: int | None


class Check:
    """Over the ledger of one store. ``clock`` is nanoseconds since 1970."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database, self._clock = database, clock

    def run(self) -> int:
        """Look at the minutes that came of age and at those that did not balance; how many minutes were looked at."""
        until = self._clock() // SECOND // MINUTE_SECONDS * MINUTE_SECONDS - SETTLE_SECONDS
        reached = int(one(self._database, _REACHED, {"key_id": REACHED})[0]) or until - _FIRST_SECONDS
        again = [int(row[0]) for row in self._database.rows(_OPEN, {"limit": _MOST_AGAIN})]
        ranges = [Range(minute, minute + MINUTE_SECONDS) for minute in again if minute < reached]
        # Older than the ledger nothing is to be found.
        until = min(until, reached + _MOST_MINUTES * MINUTE_SECONDS)
        if reached < until:
            ranges.append(Range(reached, until))
        for each in ranges:
            self._look(each)
        if reached < until:
            self._database.run(_REACH, {"key_id": REACHED, "reached": until, "version": self._clock()})
        return sum(each.until - each.since for each in ranges) // MINUTE_SECONDS

    def _look(self, asked: Range) -> None:
        known = {(row[0], row[1]) for row in self._database.rows(_KNOWN, asked.parameters())}
        for line in lines(self._database, asked):
            if line.unaccounted or (line.bucket, line.key_id) in known:
                self._write(line)
                known.discard((line.bucket, line.key_id))
        for minute, key_id in known:
            self._write(Line(minute, key_id))

    def _write(self, line: Line) -> None:
        self._database.run(
            _WRITE,
            {
                "minute": line.bucket,
                "key_id": line.key_id,
                "unaccounted": line.unaccounted,
                "in_flight": line.account.in_flight,
                "version": self._clock(),
            },
        )


def lines(database: Readable, asked: Range) -> list[Line]:
    """The ledger of a range, by minute and key."""
    given: dict[str, Any] = {**asked.parameters(), "limit": _MOST_LINES}
    return ledger.lines(
        database.rows(ledger_sql.accounts("minute"), given), database.rows(ledger_sql.stores("minute"), given)
    )


def unbalanced(database: Readable) -> Unbalanced:
    """What the last look found."""
    minutes, events, first = one(database, _UNBALANCED)
    return Unbalanced(minutes, events, first if minutes else None)


_REACHED = "SELECT toUnixTimestamp(max(minute)) FROM ledger_checks WHERE key_id = {key_id:String}"
_REACH = """INSERT INTO ledger_checks (minute, key_id, version)
SELECT toDateTime({reached:UInt32}, 'UTC'), {key_id:String}, {version:UInt64}"""
_OPEN = """SELECT DISTINCT toUnixTimestamp(minute) AS at FROM ledger_checks FINAL WHERE unaccounted > 0
ORDER BY at LIMIT {limit:UInt32}"""
_KNOWN = """SELECT toUnixTimestamp(minute), toString(key_id) FROM ledger_checks FINAL WHERE unaccounted > 0
    AND minute >= toDateTime({since:UInt32}, 'UTC') AND minute < toDateTime({until:UInt32}, 'UTC')"""
_WRITE = """INSERT INTO ledger_checks (minute, key_id, unaccounted, in_flight, version)
SELECT toDateTime({minute:UInt32}, 'UTC'), {key_id:String}, {unaccounted:UInt64}, {in_flight:UInt64},
    {version:UInt64}"""
_UNBALANCED = """SELECT count(), sum(unaccounted), toUnixTimestamp(min(minute)) FROM ledger_checks FINAL
WHERE unaccounted > 0"""
