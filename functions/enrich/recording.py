"""Record deliveries so that of all deliveries of an event exactly one counts, whoever else records it meanwhile.

The way of a block, which is an *attempt* and has an id of its own:

1. claim       write down what this attempt is about to store
2. look        find rivals: other attempts that claimed the same events, now or ever; there normally are none
3. insert      processed rows, then raw rows, but for those of which an equal or better one is there
4. look again  for rivals that came late; of each event that has any find the best row in each table
5. account     tell the ledger what became of each message, and whose rows are surplus now
6. remove      all rows but the best
7. touch       leave word for the batches: in which minutes its rows are, and which events had rivals

A claim is visible before its row is, so of two attempts the one that looks last sees both rows. The order among rows
is total and the best row is never removed, so all remove from the same list. An attempt that dies on the way was not
acknowledged: its message comes again, and the attempt that this makes does the looking (docs/adr/0002-identity.md).
It also leaves the word, so that whatever counts has been told of after it did (docs/adr/0007-sessions.md), and it
tells the ledger before it removes anything: of no row that goes the ledger does not know why (docs/adr/0014-ledger.md).
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence

from functions.enrich import accounting
from functions.enrich.refusal import claim_all, insert_all, note_all
from functions.enrich.tables import TABLES, Claim, EventTables, Order, Place, Rival, StoredRow, Touch
from functions.shared.ports import EventStore, WriteReport
from schemas.rows import Delivery, LedgerRow, RawRow

_MINUTE = 60_000_000_000
_LAST_MINUTE = 2**32 // 60


class Recorder(EventStore):
    """The event store: the protocol above over the tables of a store. ``new_attempt`` makes a new UUID each time."""

    def __init__(self, tables: EventTables, new_attempt: Callable[[], str]) -> None:
        self._tables = tables
        self._new_attempt = new_attempt

    def record(self, deliveries: Sequence[Delivery], parts: Sequence[LedgerRow] = ()) -> WriteReport:
        """Store the best delivery of each event. Safe to repeat after any failure, and beside other writers.

        ``parts`` are the messages for the ledger. Raises :class:`~functions.shared.errors.StoreUnavailable`; then
        nothing may be acknowledged.
        """
        attempt = self._new_attempt()
        if not deliveries:
            note_all(self._tables, attempt, parts)
            return WriteReport(0, 0, 0)
        best = _best(deliveries)
        claim_all(self._tables, attempt, [_claim(delivery) for delivery in deliveries])
        looked = time.monotonic()
        rivals = self._tables.rivals(attempt, best.keys())
        raw = insert_all(self._tables, attempt, *self._missing(best, rivals))
        late = self._tables.late_rivals(attempt, best.keys(), time.monotonic() - looked)
        rows = self._contested(best, raw, {*rivals, *late})
        surplus = _surplus(rows)
        standing = accounting.standing(rows)
        lost, failed = accounting.lost(deliveries, best, standing), accounting.failed(raw, best, standing)
        told = accounting.outcomes(parts, lost, failed) + accounting.corrections(surplus, standing)
        note_all(self._tables, attempt, told)
        if surplus:
            self._tables.remove(surplus)
        self._tables.touch(attempt, _touch(best, raw, {*rivals, *late}))
        return _report(len(deliveries), raw, _of(attempt, surplus))

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        """Remove these deliveries, should an attempt on them have come so far. Safe to repeat after any failure."""
        if not deliveries:
            return
        attempt, best = self._new_attempt(), _best(deliveries)
        rivals = self._tables.rivals(attempt, best.keys())
        digests = {one.raw.digest for one in deliveries}
        # Another delivery of the same event may be somebody else's.
        rows = [row for row in self._contested(best, [], rivals) if row.rank.digest in digests]
        note_all(self._tables, attempt, accounting.erased([one.raw for one in deliveries], rows))
        if rows:
            self._tables.erase(rows)
        # Also where somebody erased them and died before it could tell.
        if rivals:
            self._tables.touch(attempt, _touch(best, [], rivals))

    def _missing(self, best: dict[str, Delivery], rivals: Sequence[Rival]) -> tuple[list[Delivery], list[Delivery]]:
        """The deliveries to insert as processed, and those to insert as raw: where no row as good is there."""
        there = self._tables.rows(_places(best, rivals)) if rivals else []
        rows = sorted(there, key=lambda row: row.order, reverse=True)
        orders = {table: {row.event_id: row.delivery for row in rows if row.table == table} for table in TABLES}
        valid = [one for one in best.values() if one.processed is not None]
        return _better(valid, orders["processed_events"]), _better(best.values(), orders["raw_events"])

    def _contested(
        self, best: dict[str, Delivery], raw: Sequence[RawRow], rivals: Collection[Rival]
    ) -> list[StoredRow]:
        """All rows of the events that have rivals."""
        if not rivals:
            return []
        # A writer may have died and left a statement at work: what it stores must be there when we look.
        self._tables.await_idle({rival.attempt_id for rival in rivals})
        contested = {rival.event_id for rival in rivals}
        own = {Place(row.event_id, row.timestamp) for row in raw if row.event_id in contested}
        return self._tables.rows(_places(best, rivals) | own)


def _best(deliveries: Iterable[Delivery]) -> dict[str, Delivery]:
    """The best delivery of each event of the block."""
    best: dict[str, Delivery] = {}
    for delivery in deliveries:
        known = best.setdefault(delivery.raw.event_id, delivery)
        if known is not delivery and delivery.order < known.order:
            best[delivery.raw.event_id] = delivery
    return best


def _better(deliveries: Collection[Delivery], orders: dict[str, Order]) -> list[Delivery]:
    """Those that come before the row that is there, or find none."""
    if not orders:
        return list(deliveries)
    return [one for one in deliveries if one.raw.event_id not in orders or one.order < orders[one.raw.event_id]]


def _claim(delivery: Delivery) -> Claim:
    raw, processed = delivery
    failed = processed is None
    return Claim(
        raw.event_id,
        failed,
        raw.received_at,
        raw.digest,
        raw.timestamp,
        raw.batch_id,
        raw.batch_index,
        raw.key_id,
        raw.generation,
    )


def _places(best: dict[str, Delivery], rivals: Collection[Rival]) -> set[Place]:
    """Everywhere a row of a contested event may stand."""
    places = {Place(rival.event_id, rival.timestamp) for rival in rivals}
    contested = {rival.event_id for rival in rivals}
    return places | {Place(event_id, best[event_id].raw.timestamp) for event_id in contested}


def _surplus(rows: Iterable[StoredRow]) -> list[StoredRow]:
    """All rows but the best of each event in each table.

    The tables are judged one by one: a valid delivery ranks before any failed one, so the best of both is the same
    delivery as soon as its attempt has written both.
    """
    groups: defaultdict[tuple[str, str], list[StoredRow]] = defaultdict(list)
    for row in rows:
        groups[row.table, row.event_id].append(row)
    return [row for group in groups.values() for row in sorted(group, key=lambda row: row.order)[1:]]


def _of(attempt: str, surplus: Iterable[StoredRow]) -> set[str]:
    """The events of which the attempt's own row was not the best."""
    return {row.event_id for row in surplus if row.attempt_id == attempt and row.table == "raw_events"}


def _touch(best: dict[str, Delivery], raw: Sequence[RawRow], rivals: Collection[Rival]) -> Touch:
    """Of all events of the block, also of those that were there: who stored them may have died before it could tell."""
    seconds = {one.raw.timestamp // _MINUTE for one in best.values()}
    seconds.update([row.timestamp // _MINUTE for row in raw])
    seconds.update([rival.timestamp // _MINUTE for rival in rivals])
    minutes = [minute * 60 for minute in seconds if 0 <= minute < _LAST_MINUTE]
    return Touch(minutes, list({rival.event_id for rival in rivals}), len(best))


def _report(received: int, raw: Sequence[RawRow], lost: Collection[str]) -> WriteReport:
    kept = [row for row in raw if row.event_id not in lost] if lost else raw
    failed = sum(row.processing_status == "failed" for row in kept)
    return WriteReport(len(kept) - failed, failed, received - len(kept))
