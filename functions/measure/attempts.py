"""Which attempts the batches were told of, as SQL: rows of theirs count, and those of no others.

An attempt leaves word once all of its rows are there. Until then a row of it that somebody sees by chance is left out
of what is measured, so that all of them can be added once it is told of, and none is counted twice. One that died
before its word is told of by whoever records its events again: their rows may stay the dead one's. What is remembered
of attempts is bounded: rows stored before a time count whoever told of them, and that time only moves forward.
"""
# ruff: noqa: S608  the SQL is put together from our own names

_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
# Where no time is known, all rows count, and nothing is added.
_ALWAYS_MS = 7_258_118_400_000
_ALWAYS = f"fromUnixTimestamp64Milli(toInt64({_ALWAYS_MS}), 'UTC')"
_SINCE = (
    f"fromUnixTimestamp64Milli((SELECT if(count() = 0, {_ALWAYS_MS}, toInt64(max(version))) FROM measure_progress"
    " WHERE stage = 'remembered'), 'UTC')"
)
_TOLD = "SELECT attempt_id FROM told_attempts WHERE batch < {batch:UInt64}"
_UNKNOWN = "attempt_id NOT IN (SELECT attempt_id FROM told_attempts)"
_IN_WINDOW = "came AND batch > {after:UInt64} AND batch < {batch:UInt64}"
# Of one that was told of before or again nobody knows what is counted.
_CAME = (
    "SELECT attempt_id, groupUniqArrayArray(minutes) AS minutes FROM told_attempts WHERE attempt_id IN"
    f" (SELECT attempt_id FROM told_attempts WHERE {_IN_WINDOW})"
    " GROUP BY attempt_id HAVING min(batch) > {after:UInt64} AND max(batch) < {batch:UInt64} AND min(came)"
)
# Of rows of the tables of events. Parameter: batch.
COUNTS = f"(stored_at < {_SINCE} OR attempt_id IN ({_TOLD}))"
# And those that came since the last merge. Parameters: after, batch.
CAME = (
    f"toStartOfMinute(toDateTime(timestamp, 'UTC')) IN (SELECT arrayJoin(minutes) FROM ({_CAME}))"
    f" AND attempt_id IN (SELECT attempt_id FROM ({_CAME}))"
)
# Blocks that have rows of attempts which were taken for new and cannot be added. Parameters: after, batch.
NOT_ADDED = (
    f"SELECT toStartOfTenMinutes(arrayJoin(minutes)) FROM told_attempts WHERE {_IN_WINDOW}"
    f" AND attempt_id NOT IN (SELECT attempt_id FROM ({_CAME}))"
)
# Of a note: what is remembered of attempts does not reach back to it.
IS_FORGOTTEN = f"noted_at < {_SINCE}"
# Of a touch: it is the first of its attempt, and none of its events had rivals.
IS_FIRST = f"kind = 'block' AND empty(event_ids) AND {_SINCE} < {_ALWAYS} AND {_UNKNOWN}"
# Move the time from which on attempts are remembered, at most once an hour. Whoever measured without remembering any
# counted all rows that were there. Not where tables are replicated: an attempt's word may be there before its rows.
REMEMBER = f"""INSERT INTO measure_progress (stage, version)
WITH toUnixTimestamp64Milli(now64(3)) AS now,
    (SELECT max(version) FROM measure_progress WHERE stage = 'remembered') AS stood,
    (SELECT count() FROM metric_touched) + (SELECT count() FROM metric_progress) AS measured,
    (SELECT argMax(remembers, batch) FROM metric_progress) AS remembered,
    (SELECT count() FROM system.tables
        WHERE database = currentDatabase() AND name = 'raw_events' AND engine = 'MergeTree') AS alone
SELECT 'remembered', toUInt64(multiIf(NOT alone, {_ALWAYS_MS}, measured > 0 AND NOT remembered, now, now - {_DAY_MS}))
    AS since
WHERE since > stood + {_HOUR_MS}"""


def note(told: str) -> str:
    """Note attempts: a query of their ids, minutes, and whether they only came. Parameter: batch."""
    return (
        "INSERT INTO told_attempts (attempt_id, minutes, came, batch)"
        f" SELECT one.1, one.2, one.3, {{batch:UInt64}} FROM (SELECT tuple(*) AS one FROM ({told}))"
    )


def of_rows(within: str) -> str:
    """All attempts that have rows somewhere and were not told of, for :func:`note`: whoever reads anew counts them.

    What such an attempt tells later is of one that is known, and is looked at anew.
    """
    unknown = f"{within} AND stored_at >= {_SINCE} AND {_UNKNOWN}"
    return (
        "SELECT DISTINCT attempt_id, emptyArrayDateTime(), false FROM"
        f" (SELECT attempt_id FROM processed_events WHERE {unknown}"
        f" UNION ALL SELECT attempt_id FROM raw_events WHERE {unknown})"
    )


def of_old_rows(within: str) -> str:
    """The attempts that have rows somewhere which count whoever told."""
    old = f"{within} AND stored_at < {_SINCE} AND {_SINCE} < {_ALWAYS}"
    return (
        f"SELECT attempt_id FROM processed_events WHERE {old} UNION ALL SELECT attempt_id FROM raw_events WHERE {old}"
    )
