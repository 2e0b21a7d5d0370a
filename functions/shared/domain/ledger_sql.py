"""The ledger's questions to the event store, the same for who answers clients, who checks, and who audits."""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from typing import Any, Literal, NamedTuple

from functions.shared.domain import environments
from functions.shared.domain.ledger import RESENT

Bucket = Literal["minute", "hour", "key"]
_BUCKETS: dict[Bucket, str] = {
    "minute": "minute",
    "hour": "toStartOfHour(minute)",
    "key": "toDateTime({since:UInt32}, 'UTC')",
}
_WHERE = f"""({{key_id:String}} = '' OR key_id = {{key_id:String}})
    AND ({{environment:String}} = '' OR {environments.SQL} = {{environment:String}})"""
_RANGE = "minute >= toDateTime({since:UInt32}, 'UTC') AND minute < toDateTime({until:UInt32}, 'UTC')"
# Of a table of rows, those of the range.
RECEIVED = """received_at >= toDateTime64({since:UInt32}, 9, 'UTC')
    AND received_at < toDateTime64({until:UInt32}, 9, 'UTC')"""


def _in(parts: str) -> str:
    """Whether the place ``i`` is in one of the parts."""
    return f"arrayExists((first, size) -> i >= first AND i < first + size, mapKeys({parts}), mapValues({parts}))"


def _size(parts: str) -> str:
    """How many places the parts have together: a replay may bring a part of what was one message."""
    places = f"arrayMap((first, size) -> range(first, first + size), mapKeys({parts}), mapValues({parts}))"
    return f"if(length({parts}) < 2, arraySum(mapValues({parts})), arrayUniq(arrayFlatten({places})))"


# What is known of each request, as ``ledger.account`` reads it: parts by their first place, and lists of places.
# `dead` are the places that were given up; of those the store has taken since the ledger knows the outcome.
_REQUESTS = f"""SELECT minute, key_id, batch_id, received_at,
    maxMapIf(map(first_index, events), told IN ('tally', 'outcome') AND events > 0) AS known,
    maxMapIf(map(first_index, events), told = 'outcome' AND events > 0) AS recorded,
    groupUniqArrayArray(failed) AS bad, groupUniqArrayArray(superseded) AS outranked,
    groupUniqArrayArray(mended) AS good, groupUniqArrayArray(erased) AS gone, groupUniqArrayArray(dead) AS lost,
    maxMap(dropped) AS refused, countIf(told = 'tally') > 0 AS tallied
FROM (
    SELECT minute, key_id, batch_id, received_at, first_index, toString(kind) AS told, events, failed, superseded,
        mended, erased, dropped, []::Array(UInt32) AS dead
    FROM ledger WHERE {_RANGE} AND {_WHERE}
    UNION ALL SELECT toStartOfMinute(received_at) AS minute, key_id, batch_id, received_at, 0, 'dead', 0, [], [],
        [], [], map(), [batch_index]
    FROM dead_letter_states FINAL WHERE {RECEIVED} AND {_WHERE} AND state IN ('dead', 'replaying'))
GROUP BY minute, key_id, batch_id, received_at"""
_COUNTS = f"""minute, key_id, batch_id, received_at, tallied, refused,
    {_size("known")} AS in_broker, {_size("recorded")} AS in_store,
    arrayCount(i -> {_in("recorded")}, outranked) AS duplicates,
    arrayCount(i -> {_in("recorded")} AND NOT has(outranked, i), gone) AS removed,
    arrayCount(i -> {_in("recorded")} AND NOT has(good, i) AND NOT has(outranked, i) AND NOT has(gone, i), bad)
        AS failures,
    arrayCount(i -> NOT {_in("recorded")}, lost) AS given_up,
    arrayCount(i -> NOT {_in("known")}, lost) AS unheard"""
# Each request with what is known of it.
PLACES = f"""SELECT toString(batch_id), toUnixTimestamp64Nano(received_at), known, recorded, bad, outranked, good, gone,
    lost
FROM ({_REQUESTS}) WHERE key_id = {{own:String}}"""
REQUESTS = f"SELECT {_COUNTS} FROM ({_REQUESTS})"


class Range(NamedTuple):
    """Which minutes (seconds since 1970, half-open) of which keys. Empty is any key, or both environments."""

    since: int
    until: int
    key_id: str = ""
    environment: str = ""

    def parameters(self) -> dict[str, Any]:
        """For the statements of this module."""
        return self._asdict()


def accounts(bucket: Bucket) -> str:
    """By bucket and key: an account's numbers in their order, dropped by reason, and how many were not tallied."""
    resent = f"sum(refused['{RESENT}'])"
    return f"""SELECT toUnixTimestamp({_BUCKETS[bucket]}) AS bucket, toString(key_id),
    sum(in_broker + unheard) + sum(arraySum(mapValues(refused))),
    sum(in_store - duplicates - removed - failures), sum(failures), sum(duplicates) + {resent}, sum(removed),
    sum(given_up), sum(in_broker + unheard - in_store - given_up),
    mapFilter((reason, events) -> reason != '{RESENT}' AND events > 0, sumMap(refused)), sumIf(in_broker, NOT tallied)
FROM ({REQUESTS}) GROUP BY bucket, key_id ORDER BY bucket, key_id LIMIT {{limit:UInt32}}"""


def stores(bucket: Bucket) -> str:
    """By bucket and key: the rows of ``raw_events`` that are processed, failed, and in a replay's hand."""
    return f"""SELECT toUnixTimestamp({_BUCKETS[bucket]}) AS bucket, toString(key_id), sum(processed), sum(failed),
    sum(pending)
FROM (SELECT toStartOfMinute(received_at) AS minute, key_id, countIf(processing_status = 'processed') AS processed,
        countIf(processing_status = 'failed') AS failed, countIf(processing_status = 'pending') AS pending
    FROM raw_events WHERE {RECEIVED} AND {_WHERE} GROUP BY minute, key_id)
GROUP BY bucket, key_id ORDER BY bucket, key_id LIMIT {{limit:UInt32}}"""
