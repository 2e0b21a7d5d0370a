"""Holds the ledger against what is in the stores and, where they differ, names the events."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from functions.measure.database import Readable, some
from functions.measure.ledger.check import lines
from functions.shared.domain import ledger_sql
from functions.shared.domain.ledger import Account, Line
from functions.shared.domain.ledger_sql import Range
from functions.shared.domain.minutes import MINUTE_SECONDS

DAY_SECONDS = 86_400
Kind = Literal["not_recorded", "missing", "not_processed", "unknown", "other_status", "processed_alone"]
MEANING: Mapping[Kind, str] = {
    "not_recorded": "the broker held it, and it was neither recorded nor given up",
    "missing": "the ledger says it stands, and the store has no row of it",
    "not_processed": "it has a row that says it was processed, and no processed one",
    "unknown": "it has a row of which the ledger does not know",
    "other_status": "the ledger says it failed and its row that it did not, or the other way round",
    "processed_alone": "it has a processed row, and no raw one that says so",
}


class Finding(NamedTuple):
    """An event that differs. ``event_id`` is empty where nothing but its place in the batch is known."""

    kind: Kind
    minute: int
    key_id: str
    batch_id: str
    batch_index: int
    event_id: str


class Audited(NamedTuple):
    """What a range comes to. ``complete``: all that differs is listed. Only enrich told of what is ``untallied``."""

    account: Account
    untallied: int
    findings: list[Finding]
    complete: bool


class Request(NamedTuple):
    """A request as the ledger has it, in places of its batch."""

    waiting: frozenset[int]
    standing: frozenset[int]
    failed: frozenset[int]


def audit(
    database: Readable, since: int, until: int, most: int, tell: Callable[[int], None] = lambda _: None
) -> Audited:
    """Of the minutes from ``since`` to ``until`` (seconds since 1970). ``tell`` hears how far it came.

    Raises :class:`~functions.shared.errors.StoreUnavailable`.
    """
    account, untallied, findings = Account(), 0, list[Finding]()
    for first in range(since, until, DAY_SECONDS):
        day = Range(first, min(first + DAY_SECONDS, until))
        processed = {(row[0], row[1]): row[2] for row in database.rows(_PROCESSED, day.parameters())}
        for line in lines(database, day):
            account, untallied = account.plus(line.account), untallied + line.untallied
            enriched = processed.pop((line.bucket, line.key_id), 0)
            if (line.unaccounted or line.rows.processed != enriched) and len(findings) <= most:
                findings += _named(database, _differences(database, line))
        for minute, key_id in processed:
            findings += _named(database, _differences(database, Line(minute, key_id)))
        tell(day.until)
    return Audited(account, untallied, findings[:most], len(findings) <= most)


def _differences(database: Readable, line: Line) -> Iterator[Finding]:
    given = Range(line.bucket, line.bucket + MINUTE_SECONDS, line.key_id).parameters()
    given |= {"own": line.key_id}
    told = {(row[0], row[1]): _request(*row[2:]) for row in database.rows(ledger_sql.PLACES, given)}
    raw = _rows(database.rows(_RAW, given))
    processed = _rows(database.rows(_PROCESSED_ROWS, given))
    nothing = Request(frozenset(), frozenset(), frozenset())
    for request in sorted({*told, *raw, *processed}):
        there, enriched = raw.get(request, {}), processed.get(request, {})
        for kind, place, event_id in _compare(told.get(request, nothing), there, enriched):
            yield Finding(kind, line.bucket, line.key_id, request[0], place, event_id)


def _compare(
    told: Request, raw: Mapping[int, tuple[str, str]], processed: Mapping[int, tuple[str, str]]
) -> Iterator[tuple[Kind, int, str]]:
    """Place by place; pure."""
    yield from (("not_recorded", place, "") for place in sorted(told.waiting - raw.keys()))
    yield from (("missing", place, "") for place in sorted(told.standing - raw.keys()))
    for place, (event_id, status) in sorted(raw.items()):
        if place not in told.standing:
            yield "unknown", place, event_id
        elif status != "pending" and (status == "failed") != (place in told.failed):
            yield "other_status", place, event_id
        if status == "processed" and place not in processed:
            yield "not_processed", place, event_id
    for place, (event_id, _) in sorted(processed.items()):
        if place not in raw or raw[place][1] == "failed":
            yield "processed_alone", place, event_id


def _request(
    known: Mapping[str, int],
    recorded: Mapping[str, int],
    bad: Iterable[int],
    outranked: Iterable[int],
    good: Iterable[int],
    gone: Iterable[int],
    lost: Iterable[int],
) -> Request:
    there = _places(recorded)
    standing = there - set(outranked) - set(gone)
    return Request(
        frozenset(_places(known) - there - set(lost)), frozenset(standing), frozenset(standing & set(bad) - set(good))
    )


def _places(parts: Mapping[str, int]) -> set[int]:
    return {place for first, size in parts.items() for place in range(int(first), int(first) + size)}


def _rows(found: Iterable[list[Any]]) -> dict[tuple[str, int], dict[int, tuple[str, str]]]:
    """By request and place: the event and its status."""
    rows: defaultdict[tuple[str, int], dict[int, tuple[str, str]]] = defaultdict(dict)
    for batch_id, received_at, place, event_id, status in found:
        rows[batch_id, received_at][place] = (event_id, status)
    return rows


def _named(database: Readable, found: Iterable[Finding]) -> list[Finding]:
    """With the ids of events of which only the place was known, where the store has seen a delivery of them."""
    findings = list(found)
    batches = sorted({one.batch_id for one in findings if not one.event_id})
    ids: dict[tuple[str, int], str] = {}
    for asked in some(batches):
        for batch_id, place, event_id in database.rows(_IDS, {"batches": asked}):
            ids[batch_id, place] = event_id
    return [
        one if one.event_id else one._replace(event_id=ids.get((one.batch_id, one.batch_index), "")) for one in findings
    ]


_RECEIVED = ledger_sql.RECEIVED
_PROCESSED = f"""SELECT toUnixTimestamp(toStartOfMinute(received_at)) AS minute, toString(key_id), count()
FROM processed_events WHERE {_RECEIVED} GROUP BY minute, key_id"""  # noqa: S608  our own names
_RAW = f"""SELECT toString(batch_id), toUnixTimestamp64Nano(received_at), batch_index, toString(event_id),
    toString(processing_status) FROM raw_events WHERE {_RECEIVED} AND key_id = {{own:String}}"""  # noqa: S608
_PROCESSED_ROWS = f"""SELECT toString(batch_id), toUnixTimestamp64Nano(received_at), batch_index, toString(event_id),
    'processed' FROM processed_events WHERE {_RECEIVED} AND key_id = {{own:String}}"""  # noqa: S608
_IDS = """SELECT DISTINCT toString(batch_id), batch_index, toString(event_id) FROM event_deliveries
WHERE batch_id IN {batches:Array(UUID)}"""
