"""Insert a block that may hold a row the store will never take: find it, store it as failed, keep its neighbours."""

import base64
from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson

from functions.enrich.tables import Claim, EventTables, Place
from functions.shared.errors import StoreRefused, StoreUnavailable
from schemas.rows import Delivery, LedgerRow, RawRow, rank_of

CODE = "store_refused"
_NIL = "00000000-0000-0000-0000-000000000000"
T = TypeVar("T")


def claim_all(tables: EventTables, attempt_id: str, claims: Sequence[Claim]) -> None:
    """Write claims; one that is refused is written with its identity alone."""
    for claim, reason in _insert(lambda block: tables.claim(attempt_id, block), claims):
        plain = claim._replace(timestamp=claim.received_at, batch_id=_NIL, batch_index=0, key_id="")
        try:
            tables.claim(attempt_id, [plain])
        except StoreRefused as error:
            raise StoreUnavailable(f"The store takes no claim on an event: {reason}") from error


def note_all(tables: EventTables, attempt_id: str, rows: Sequence[LedgerRow]) -> None:
    """Write into the ledger. What it refuses is left out: an event does not wait for how it is accounted for."""
    _insert(lambda block: tables.note(attempt_id, block), rows)


def insert_all(
    tables: EventTables, attempt_id: str, processed: Sequence[Delivery], raw: Sequence[Delivery]
) -> list[RawRow]:
    """Insert processed rows, then raw rows, and return the raw rows as they were stored.

    What the store refuses becomes a failed raw row that says why.
    """
    refused = _insert(
        lambda block: tables.insert_processed(attempt_id, [one.processed for one in block if one.processed]), processed
    )
    if not refused:
        return _insert_raw(tables, attempt_id, [one.raw for one in raw])
    reasons = {one.raw.event_id: reason for one, reason in refused}
    rows = [failed(one.raw, reasons[one.raw.event_id]) if one.raw.event_id in reasons else one.raw for one in raw]
    claim_all(tables, attempt_id, [_claim(row) for row in rows if row.event_id in reasons])
    return _insert_raw(tables, attempt_id, rows)


def _insert_raw(tables: EventTables, attempt_id: str, rows: list[RawRow]) -> list[RawRow]:
    refused = _insert(lambda block: tables.insert_raw(attempt_id, block), rows)
    if not refused:
        return rows
    late = {row.event_id: bare(row, reason) for row, reason in refused}
    # Claimed before the rows are there, so that whoever looks for them knows where they may stand.
    claim_all(tables, attempt_id, [_claim(row) for row in late.values()])
    _withdraw(tables, [row for row, _ in refused if row.processing_status == "processed"])
    for _, reason in _insert(lambda block: tables.insert_raw(attempt_id, block), list(late.values())):
        raise StoreUnavailable(f"The store takes an event in no form: {reason}")
    return [late.get(row.event_id, row) for row in rows]


def _withdraw(tables: EventTables, rows: Sequence[RawRow]) -> None:
    """Remove the processed rows of events refused as raw ones, by whatever attempt: a failed event has none."""
    if not rows:
        return
    ranks = {row.event_id: (rank_of(row, False), row.generation) for row in rows}
    there = tables.rows({Place(row.event_id, row.timestamp) for row in rows})
    standing = [row for row in there if row.table == "processed_events"]
    same = [row for row in standing if (row.rank, row.generation) == ranks[row.event_id]]
    if same:
        tables.remove(same)


def _insert(insert: Callable[[Sequence[T]], None], block: Sequence[T]) -> list[tuple[T, str]]:
    """Insert a block, by halves where it is refused; the rows that are refused alone, with the reason."""
    if not block:
        return []
    try:
        insert(block)
    except StoreRefused as error:
        if len(block) == 1:
            return [(block[0], str(error))]
        middle = len(block) // 2
        return _insert(insert, block[:middle]) + _insert(insert, block[middle:])
    return []


def failed(row: RawRow, reason: str) -> RawRow:
    """The row as one that failed: its bytes are kept, the documents that were read from them are not."""
    told = [{"loc": [], "code": CODE, "message": reason}]
    return row._replace(
        properties_text="{}",
        context_text="{}",
        processing_status="failed",
        error_message=orjson.dumps(told).decode(),
        error_codes=[CODE],
    )


def bare(row: RawRow, reason: str) -> RawRow:
    """The row in the form that any store takes: identity and bytes, nothing a client wrote as text."""
    data, encoding = row.raw_data, row.raw_encoding
    if encoding != "base64":
        data, encoding = base64.b64encode(data.encode("utf-8", "surrogatepass")).decode(), "base64"
    return failed(row, reason)._replace(
        timestamp=row.received_at,
        original_timestamp="",
        platform="",
        event_type="",
        event_name="",
        session_id=_NIL,
        user_id=None,
        user_ref="",
        anonymous_id="",
        flags=[],
        request_ip="",
        request_user_agent="",
        patch="",
        batch_id=row.batch_id if len(row.batch_id) == len(_NIL) else _NIL,
        key_id=row.key_id if row.key_id.isascii() and row.key_id.isprintable() else "",
        raw_data=data,
        raw_encoding=encoding,
    )


def _claim(row: RawRow) -> Claim:
    return Claim(
        row.event_id,
        True,
        row.received_at,
        row.digest,
        row.timestamp,
        row.batch_id,
        row.batch_index,
        row.key_id,
        row.generation,
    )
