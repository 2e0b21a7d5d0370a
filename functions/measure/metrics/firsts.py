"""The first session of each visitor, kept up to date for the visitors whose sessions changed."""
# ruff: noqa: S608  the SQL is put together from our own names

_VALUES = "started_at, platform, country, device_type"
_FIRST = (
    "argMin((started_at, toString(platforms[1]), toString(country), toString(device_type)),"
    " (started_at, toString(session_id)))"
)
_TOUCHED = (
    "toStartOfTenMinutes(toDateTime(started_at, 'UTC')) IN"
    " (SELECT block FROM metric_touched WHERE batch > {after:UInt64})"
)
_WITHIN = (
    "started_at >= toDateTime64({since:Int64}, 9, 'UTC') AND started_at < toDateTime64({until:Int64}, 9, 'UTC')"
    f" AND {_TOUCHED}"
)
# The first of those sessions that are in what is touched.
_HERE = (
    f"SELECT environment, visitor, {_FIRST} AS here, true AS is_here FROM session_rows FINAL PREWHERE {_WITHIN}"
    " WHERE state = 'live' AND NOT is_bot GROUP BY environment, visitor"
)
_KNOWN = (
    f"SELECT environment, visitor, ({_VALUES}) AS stood, NOT gone AS is_stood, {_TOUCHED} AS may_be_lost, before,"
    " version AS stood_version FROM visitor_first_rows FINAL"
)
_WHO = f"SELECT visitor FROM session_rows FINAL PREWHERE {_WITHIN}"


def keep(whole: bool) -> str:
    """Keep the first sessions that are others now, each with where it was before; or that there is none any more.

    A first session outside of what is touched still stands. One that is no more where it was, and none is before it,
    makes all sessions of its visitor be looked at; ``whole`` trusts in nothing known and looks at all of everybody's.
    `before` grows until a batch is merged, so that nothing of one that died is forgotten.
    Parameters: since, until, after, batch.
    """
    both = (
        "SELECT environment, visitor, here, is_here, stood, is_stood, may_be_lost, before, stood_version"
        f" FROM ({_HERE}) AS h FULL JOIN ({_KNOWN} WHERE may_be_lost OR visitor IN ({_WHO})) AS k"
        " USING (environment, visitor)"
    )
    lost = "is_stood AND may_be_lost AND (NOT is_here OR here.1 > stood.1)"
    search = "true" if whole else lost
    others = (
        f"SELECT environment, visitor, {_FIRST} AS other, true AS is_other FROM session_rows FINAL"
        f" WHERE visitor_hash IN (SELECT cityHash64(visitor) FROM ({both}) WHERE {search})"
        " AND state = 'live' AND NOT is_bot GROUP BY environment, visitor"
    )
    by_search = "(is_other, other)"
    by_sight = (
        f"multiIf({lost}, {by_search}, is_stood AND (NOT is_here OR stood.1 < here.1), (true, stood), (is_here, here))"
    )
    return (
        f"INSERT INTO visitor_first_rows (environment, visitor, {_VALUES}, gone, before, version)"
        " SELECT environment, visitor, value.1, value.2, value.3, value.4, NOT there,"
        " arrayConcat(if(stood_version > {after:UInt64}, before, []),"
        " if(is_stood, [toDateTime(stood.1, 'UTC')], [])), {batch:UInt64} FROM"
        " (SELECT environment, visitor, stood, is_stood, before, stood_version,"
        f" {by_search if whole else by_sight} AS now, now.1 AS there, if(there, now.2, stood) AS value"
        f" FROM ({both}) AS b LEFT JOIN ({others}) AS o USING (environment, visitor))"
        " WHERE there != is_stood OR (there AND value != stood)"
    )


def note_blocks() -> str:
    """Note the blocks in which a first session came or went since the last batch merged. Parameters: after, batch."""
    moments = "arrayPushBack(before, toDateTime(started_at, 'UTC'))"
    return (
        f"INSERT INTO metric_touched (batch, block) SELECT {{batch:UInt64}} AS batch, block FROM (SELECT DISTINCT"
        f" toStartOfTenMinutes(arrayJoin({moments})) AS block FROM visitor_first_rows WHERE version > {{after:UInt64}})"
    )
