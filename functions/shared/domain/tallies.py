"""Tallies as rows of the ledger."""

from collections.abc import Iterable

from functions.shared.domain import minutes
from schemas import tally
from schemas.rows import LedgerRow
from schemas.tally import Tally, TallyError


def row(told: Tally) -> LedgerRow:
    """One row."""
    return LedgerRow(
        minute=minutes.of(told.received_at),
        key_id=told.key_id,
        batch_id=told.batch_id,
        received_at=told.received_at,
        first_index=told.first_index,
        kind="tally",
        events=told.events,
        dropped=told.dropped,
        host=told.host,
        request_id=told.request_id,
    )


def rows(texts: Iterable[str]) -> list[LedgerRow]:
    """Those that can be read: what else lies in the broker is nothing to the ledger."""
    found = []
    for text in texts:
        try:
            found.append(row(tally.read(text)))
        except TallyError:
            continue
    return found
