"""What the ledger is told of a block: what became of each message's events, and which others they took the place of.

A delivery counts when the row that stands came by it: from the same request and the same place in its batch, whichever
attempt wrote the row. So a message that comes again is told of as it was the first time. All that is told only ever
grows (docs/adr/0014-ledger.md): a delivery once outranked never counts again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from functions.enrich.tables import StoredRow
from functions.shared.domain import minutes
from schemas.rows import Delivery, LedgerRow, RawRow

# The raw row that counts, of each event that other attempts recorded too.
Standing = Mapping[str, StoredRow]


class Spot(NamedTuple):
    """A place in the batch of a request; a batch that was sent twice is two requests."""

    batch_id: str
    received_at: int
    place: int


def outcomes(parts: Sequence[LedgerRow], lost: Iterable[Spot], failed: Iterable[Spot]) -> list[LedgerRow]:
    """The parts with the places of events that do not count, and of those that failed."""
    superseded, bad = _by_request(lost), _by_request(failed)
    return [
        part._replace(superseded=_within(part, superseded), failed=_within(part, bad))
        if part.kind == "outcome"
        else part
        for part in parts
    ]


def lost(deliveries: Sequence[Delivery], best: Mapping[str, Delivery], standing: Standing) -> list[Spot]:
    """The deliveries of a block that do not count. ``best``: of each event the block's best."""
    if len(best) == len(deliveries) and not standing:
        return []
    counting = {event_id: _spot(one.raw) for event_id, one in best.items()}
    counting |= {event_id: _stands(row) for event_id, row in standing.items()}
    return [spot for one in deliveries if (spot := _spot(one.raw)) != counting[one.raw.event_id]]


def failed(inserted: Iterable[RawRow], best: Mapping[str, Delivery], standing: Standing) -> list[Spot]:
    """The deliveries that count and are stored as failed."""
    # Of a row that the store refused only the delivery still knows whence it came.
    alone = [row.event_id for row in inserted if row.processing_status == "failed" and row.event_id not in standing]
    return [_spot(best[event_id].raw) for event_id in alone] + [
        _stands(row) for row in standing.values() if row.rank.failed
    ]


def corrections(surplus: Iterable[StoredRow], standing: Standing) -> list[LedgerRow]:
    """What is to be told of the requests whose rows are going to be removed."""
    superseded: defaultdict[tuple[str, int, str], list[int]] = defaultdict(list)
    mended: defaultdict[tuple[str, int, str], list[int]] = defaultdict(list)
    for row in surplus:
        if row.table != "raw_events":
            continue
        request, counting = (row.batch_id, row.rank.received_at, row.key_id), standing[row.event_id]
        if _stands(counting) != _stands(row):
            superseded[request].append(row.batch_index)
        elif row.rank.failed and not counting.rank.failed:
            mended[request].append(row.batch_index)
    return [
        _correction(request, superseded[request], mended[request]) for request in dict.fromkeys((*superseded, *mended))
    ]


def erased(rows: Iterable[RawRow], stored: Iterable[StoredRow]) -> list[LedgerRow]:
    """That events are dropped on purpose, and rows of them that slipped in removed."""
    places: defaultdict[tuple[str, int, str], set[int]] = defaultdict(set)
    for row in rows:
        places[row.batch_id, row.received_at, row.key_id].add(row.batch_index)
    for one in stored:
        places[one.batch_id, one.rank.received_at, one.key_id].add(one.batch_index)
    return [
        LedgerRow(minutes.of(at), key_id, batch_id, at, 0, "erased", erased=sorted(found))
        for (batch_id, at, key_id), found in places.items()
    ]


def standing(rows: Iterable[StoredRow]) -> dict[str, StoredRow]:
    """Of each event the raw row that counts."""
    found: dict[str, StoredRow] = {}
    for row in rows:
        if row.table == "raw_events" and row.order <= found.setdefault(row.event_id, row).order:
            found[row.event_id] = row
    return found


def _correction(request: tuple[str, int, str], superseded: list[int], mended: list[int]) -> LedgerRow:
    batch_id, received_at, key_id = request
    where = (minutes.of(received_at), key_id, batch_id, received_at)
    return LedgerRow(*where, 0, "correction", superseded=superseded, mended=mended)


def _spot(row: RawRow) -> Spot:
    return Spot(row.batch_id, row.received_at, row.batch_index)


def _stands(row: StoredRow) -> Spot:
    return Spot(row.batch_id, row.rank.received_at, row.batch_index)


def _by_request(spots: Iterable[Spot]) -> dict[tuple[str, int], set[int]]:
    places: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    for spot in spots:
        places[spot.batch_id, spot.received_at].add(spot.place)
    return places


def _within(part: LedgerRow, places: Mapping[tuple[str, int], set[int]]) -> list[int]:
    found = places.get((part.batch_id, part.received_at), ())
    return sorted(place for place in found if part.first_index <= place < part.first_index + part.events)
