"""The first session of each visitor, kept up to date for the visitors whose sessions changed."""
# ruff: noqa: S608  the SQL is put together from our own names

from functions.measure.metrics.compile import touched

_VALUES = "started_at, platform, country, device_type"
# Sessions of a visitor do not overlap, so no two begin at once.
_FIRST = "(started_at, toString(platforms[1]), toString(country), toString(device_type)), started_at"
_TOUCHED = f"toStartOfTenMinutes(toDateTime(started_at, 'UTC')) IN ({touched('sessions')})"
_WITHIN = (
    "started_at >= toDateTime64({since:Int64}, 9, 'UTC') AND started_at < toDateTime64({until:Int64}, 9, 'UTC')"
    f" AND {_TOUCHED}"
)
# What is told of each visitor by the sessions in question: the first one, and where there is none any more.
_COUNTS = "state = 'live' AND NOT is_bot"
_HERE = (
    f"SELECT environment, visitor, argMinIf({_FIRST}, {_COUNTS}) AS here,"
    f" max({_COUNTS}) AS is_here, groupArrayIf(started_at, NOT ({_COUNTS})) AS ended"
    " FROM session_rows FINAL PREWHERE {chosen} GROUP BY environment, visitor"
)
_KNOWN = (
    f"SELECT environment, visitor, ({_VALUES}) AS stood, NOT gone AS is_stood, before, version AS stood_version"
    " FROM visitor_first_rows FINAL PREWHERE visitor IN ({concerned})"
)
_LOST = "is_stood AND has(ended, stood.1) AND (NOT is_here OR here.1 > stood.1)"


def compare(whole: bool) -> str:
    """Put side by side what sessions in what is touched tell, and what was known; for whom a session is another now.

    ``whole``: for all who have or had a first session there. Parameters: as :func:`keep`, and compared, the version
    of the sessions that were compared before.
    """
    # A row that is newer than others of its key is among the newer ones, so those alone tell which stands.
    chosen = _WITHIN if whole else f"{_WITHIN} AND version > {{compared:UInt64}}"
    concerned = f"SELECT visitor FROM session_rows PREWHERE {chosen}"
    if whole:
        concerned += f" UNION DISTINCT SELECT visitor FROM visitor_first_rows PREWHERE {_TOUCHED}"
    here, known = _HERE.replace("{chosen}", chosen), _KNOWN.replace("{concerned}", concerned)
    return (
        "CREATE OR REPLACE TABLE first_compared ENGINE = Memory AS"
        " SELECT environment, visitor, here, is_here, ended, stood, is_stood, before, stood_version"
        f" FROM ({here}) AS h FULL JOIN ({known}) AS k USING (environment, visitor)"
    )


def keep(whole: bool) -> str:
    """Keep those of the compared that are others now, each with where it was before; or that there is none any more.

    A first session that is as it was still stands. One that is no more where it was, and none is before it, makes all
    sessions of its visitor be looked at; ``whole`` trusts in nothing known and looks at all of everybody's.
    `before` grows until a batch is merged, so that nothing of one that died is forgotten.
    Parameters: since, until, after, batch.
    """
    searched = "true" if whole else _LOST
    # A session's visitor is the same in all of its versions.
    others = (
        f"SELECT environment, visitor, argMin({_FIRST}) AS other, true AS is_other FROM session_rows FINAL"
        f" PREWHERE visitor_hash IN (SELECT cityHash64(visitor) FROM first_compared WHERE {searched})"
        f" WHERE {_COUNTS} GROUP BY environment, visitor"
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
