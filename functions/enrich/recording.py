"""Recording deliveries so that of all deliveries of an event exactly one counts, whoever else writes at the same time.

1. *Claim*: before any row, every delivery is written into the ledger under the id of this attempt.
2. *Look*: only an event that another attempt claimed too needs care; its rows are looked up, and what already stands
   there with an equal or better rank is not written again.
3. *Write* the processed rows, then the raw rows.
4. *Look again* and *reconcile*: of the rows of an event that more than one attempt wrote, the best stays.

Of two attempts at one event the one that reads last sees both claims and both rows; the best row present is never
deleted, and every other is deleted by its own writer or by the better one's. An attempt that dies in between is made
again, because its message was not acknowledged. See ADR 0002.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from functions.shared.errors import StoreRefused, StoreUnavailable
from functions.shared.ports import WriteReport
from schemas.rows import Delivery, ProcessedRow, RawRow

Rank = tuple[bool, int, str]
Key = tuple[str, str]


class Standing(NamedTuple):
    """A row that stands in a table: whose it is, how it ranks, and the attempt that wrote it."""

    event_id: str
    rank: Rank
    attempt_id: str


class EventTables(Protocol):
    """The tables, as single statements. Each is visible to every other writer when it returns.

    Raises :class:`StoreUnavailable`; inserts also :class:`StoreRefused`.
    """

    def claim(self, attempt_id: str, deliveries: Sequence[Delivery]) -> None:
        """Write the deliveries into the ledger."""
        ...

    def contested(self, attempt_id: str, event_ids: Sequence[str]) -> set[str]:
        """Those of the events that another attempt has claimed too."""
        ...

    def standing_raw(self, event_ids: Sequence[str]) -> list[Standing]:
        """The raw rows of the events."""
        ...

    def standing_processed(self, event_ids: Sequence[str]) -> list[Standing]:
        """The processed rows of the events."""
        ...

    def insert_raw(self, attempt_id: str, rows: Sequence[RawRow]) -> None:
        """Write raw rows: all or none."""
        ...

    def insert_processed(self, attempt_id: str, rows: Sequence[ProcessedRow]) -> None:
        """Write processed rows: all or none."""
        ...

    def delete_raw(self, keys: Sequence[Key]) -> None:
        """Delete raw rows by (event_id, attempt_id)."""
        ...

    def delete_processed(self, keys: Sequence[Key]) -> None:
        """Delete processed rows by (event_id, attempt_id)."""
        ...


class Recorder:
    """The event store over :class:`EventTables`."""

    def __init__(self, tables: EventTables, new_attempt: Callable[[], str]) -> None:
        self._tables = tables
        self._new_attempt = new_attempt

    def record(self, deliveries: Sequence[Delivery]) -> WriteReport:
        """Record every delivery; idempotent. Raises :class:`StoreUnavailable`: then acknowledge nothing."""
        if not deliveries:
            return WriteReport(0, 0, 0)
        attempt = self._new_attempt()
        best = _best_of_each(deliveries)
        self._tables.claim(attempt, deliveries)
        raw, processed, crowded = self._missing(attempt, best)
        known = len(best) - len(raw)
        refused = self._insert_processed(attempt, processed)
        raw = [_refused(row, refused[row.event_id]) if row.event_id in refused else row for row in raw]
        failed_late = self._insert_raw(attempt, raw)
        self._reconcile(attempt, crowded.union((row.event_id for row in raw), (row.event_id for row in processed)))
        failed = sum(row.processing_status == "failed" for row in raw) + failed_late
        return WriteReport(len(raw) - failed, failed, len(deliveries) - len(best) + known)

    def _missing(self, attempt: str, best: dict[str, Delivery]) -> tuple[list[RawRow], list[ProcessedRow], set[str]]:
        """The rows that have to be written, and the events of which too many rows stand already.

        The latter are what an attempt leaves that died before it reconciled.
        """
        contested = sorted(self._tables.contested(attempt, list(best)))
        if not contested:
            processed = [one.processed for one in best.values() if one.processed is not None]
            return [one.raw for one in best.values()], processed, set()
        standing_raw = self._tables.standing_raw(contested)
        standing_processed = self._tables.standing_processed(contested)
        have_raw, have_processed = _best_ranks(standing_raw), _best_ranks(standing_processed)
        raw, processed = [], []
        for event_id, one in best.items():
            if event_id in have_raw and have_raw[event_id] <= one.rank:
                continue
            raw.append(one.raw)
            stands = event_id in have_processed and have_processed[event_id] <= one.rank
            if one.processed is not None and not stands:
                processed.append(one.processed)
        crowded = {event_id for event_id, _ in (*_surplus(standing_raw), *_surplus(standing_processed))}
        return raw, processed, crowded

    def _reconcile(self, attempt: str, event_ids: set[str]) -> None:
        contested = sorted(self._tables.contested(attempt, sorted(event_ids))) if event_ids else []
        if not contested:
            return
        surplus = _surplus(self._tables.standing_processed(contested))
        if surplus:
            self._tables.delete_processed(surplus)
        surplus = _surplus(self._tables.standing_raw(contested))
        if surplus:
            self._tables.delete_raw(surplus)

    def _insert_processed(self, attempt: str, rows: Sequence[ProcessedRow]) -> dict[str, str]:
        """Insert, bisecting what the store refuses; returns the reason of each event that it will never take."""
        if not rows:
            return {}
        try:
            self._tables.insert_processed(attempt, rows)
        except StoreRefused as error:
            if len(rows) == 1:
                return {rows[0].event_id: str(error)}
            middle = len(rows) // 2
            return self._insert_processed(attempt, rows[:middle]) | self._insert_processed(attempt, rows[middle:])
        return {}

    def _insert_raw(self, attempt: str, rows: Sequence[RawRow]) -> int:
        """As for processed rows; a refused row is written as failed at once. Returns how many were."""
        if not rows:
            return 0
        try:
            self._tables.insert_raw(attempt, rows)
        except StoreRefused as error:
            if len(rows) == 1:
                return self._insert_as_failed(attempt, rows[0], str(error))
            middle = len(rows) // 2
            return self._insert_raw(attempt, rows[:middle]) + self._insert_raw(attempt, rows[middle:])
        return 0

    def _insert_as_failed(self, attempt: str, row: RawRow, reason: str) -> int:
        try:
            self._tables.insert_raw(attempt, [_refused(row, reason)])
        except StoreRefused as error:
            raise StoreUnavailable("The store refuses even the record of a failure.") from error
        self._tables.delete_processed([(row.event_id, attempt)])
        return int(row.processing_status != "failed")


def _best_of_each(deliveries: Iterable[Delivery]) -> dict[str, Delivery]:
    best: dict[str, Delivery] = {}
    for one in deliveries:
        other = best.get(one.raw.event_id)
        if other is None or one.rank < other.rank:
            best[one.raw.event_id] = one
    return best


def _best_ranks(rows: Iterable[Standing]) -> dict[str, Rank]:
    ranks: dict[str, Rank] = {}
    for row in rows:
        ranks[row.event_id] = min(ranks.get(row.event_id, row.rank), row.rank)
    return ranks


def _surplus(rows: Iterable[Standing]) -> list[Key]:
    best: dict[str, Standing] = {}
    surplus: list[Key] = []
    for row in sorted(rows, key=lambda row: (row.rank, row.attempt_id)):
        if row.event_id in best:
            if row.attempt_id != best[row.event_id].attempt_id:
                surplus.append((row.event_id, row.attempt_id))
        else:
            best[row.event_id] = row
    return surplus


def _refused(row: RawRow, reason: str) -> RawRow:
    """The row as a failure that keeps the event's bytes and says what the store said."""
    return row._replace(
        processing_status="failed",
        error_message=json.dumps([{"loc": [], "code": "store_refused", "message": f"Refused: {reason}"}]),
        error_codes=["store_refused"],
        properties_text="{}",
        context_text="{}",
        timestamp=row.received_at,
    )
