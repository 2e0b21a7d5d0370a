"""The first session of each visitor, kept up to date for the visitors whose sessions changed."""
# ruff: noqa: S608  the SQL is put together from our own names

from functions.measure.metrics.compile import touched

_VALUES = "started_at, platform, country, device_type"
# Sessions of a visitor do not overlap, so no two begin at once.
_FIRST = "argMin((started_at, toString(platforms[1]), toString(country), toString(device_type)), started_at)"
_TOUCHED = f"toStartOfTenMinutes(toDateTime(started_at, 'UTC')) IN ({touched('sessions')})"
_WITHIN = (
    "started_at >= toDateTime64({since:Int64}, 9, 'UTC') AND started_at < toDateTime64({until:Int64}, 9, 'UTC')"
    f" AND {_TOUCHED}"
)
# The first of those sessions that are in what is touched.
_HERE = (
    f"SELECT environment, visitor, {_FIRST} AS here, true AS is_here FROM session_rows FINAL PREWHERE {_WITHIN}"
    " WHERE state = 'live' AND NOT is_bot GROUP BY environment, visitor"
)
_WHO = f"SELECT visitor FROM session_rows PREWHERE {_WITHIN}"
# By any of their versions first: so only rows of visitors concerned are compared with each other.
_CONCERNED = f"{_WHO} UNION DISTINCT SELECT visitor FROM visitor_first_rows PREWHERE {_TOUCHED}"
_KNOWN = (
    f"SELECT environment, visitor, ({_VALUES}) AS stood, NOT gone AS is_stood, {_TOUCHED} AS may_be_lost, before,"
    f" version AS stood_version FROM visitor_first_rows FINAL PREWHERE visitor IN ({_CONCERNED})"
)
_LOST = "is_stood AND may_be_lost AND (NOT is_here OR here.1 > stood.1)"
_COMPARED = f"""CREATE OR REPLACE TABLE first_compared ENGINE = Memory AS
SELECT environment, visitor, here, is_here, stood, is_stood, may_be_lost, before, stood_version
FROM ({_HERE}) AS h FULL JOIN ({_KNOWN}) AS k USING (environment, visitor)"""


def compare() -> str:
    """Put side by side what is found in what is touched, and what was known. Parameters: as :func:`keep`."""
    return _COMPARED


def keep(whole: bool) -> str:
    """Keep those of the compared that are others now, each with where it was before; or that there is none any more.

    A first session outside of what is touched still stands. One that is no more where it was, and none is before it,
    makes all sessions of its visitor be looked at; ``whole`` trusts in nothing known and looks at all of everybody's.
    `before` grows until a batch is merged, so that nothing of one that died is forgotten.
    Parameters: since, until, after, batch.
    """
    searched = "true" if whole else _LOST
    # A session's visitor is the same in all of its versions.
    others = (
        f"SELECT environment, visitor, {_FIRST} AS other, true AS is_other FROM session_rows FINAL"
        f" PREWHERE visitor_hash IN (SELECT cityHash64(visitor) FROM first_compared WHERE {searched})"
        " WHERE state = 'live' AND NOT is_bot GROUP BY environment, visitor"
    )
    by_search = "(is_other, other)"
    by_sight = (
        f"multiIf({_LOST}, {by_search}, is_stood AND (NOT is_here OR stood.1 < here.1), (true, stood), (is_here, here))"
    )
    return (
        f"INSERT INTO visitor_first_rows (environment, visitor, {_VALUES}, gone, before, version)"
        " SELECT environment, visitor, value.1, value.2, value.3, value.4, NOT there,"
        " arrayConcat(if(stood_version > {after:UInt64}, before, []),"
        " if(is_stood, [toDateTime(stood.1, 'UTC')], [])), {batch:UInt64} FROM"
        " (SELECT environment, visitor, stood, is_stood, before, stood_version,"
        f" {by_search if whole else by_sight} AS now, now.1 AS there, if(there, now.2, stood) AS value"
        f" FROM first_compared AS b LEFT JOIN ({others}) AS o USING (environment, visitor))"
        " WHERE there != is_stood OR (there AND value != stood)"
    )


def note_blocks(whole: bool) -> str:
    """Note the blocks in which a first session came or went since the last batch merged.

    But for ``whole``, what is before all that was noted stays so: it is beyond the horizon, or the range of a rebuild.
    Parameters: since, after, batch.
    """
    within = "" if whole else " WHERE block >= toDateTime({since:Int64}, 'UTC')"
    moments = "arrayPushBack(before, toDateTime(started_at, 'UTC'))"
    return (
        "INSERT INTO metric_touched (batch, block, concerns) SELECT {batch:UInt64}, block, 'firsts' FROM"
        f" (SELECT DISTINCT toStartOfTenMinutes(arrayJoin({moments})) AS block"
        " FROM visitor_first_rows WHERE version > {after:UInt64})"
        f"{within}"
    )
