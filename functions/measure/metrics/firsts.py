"""The first session of each visitor, kept up to date for the visitors whose sessions changed."""
# ruff: noqa: S608  the SQL is put together from our own names

from functions.measure.metrics.compile import touched

_VALUES = "started_at, platform, country, device_type"
# Sessions of a visitor do not overlap, so no two begin at once.
_FIRST = "argMin((started_at, toString(platforms[1]), toString(country), toString(device_type)), started_at)"
_TIMES = "started_at >= toDateTime64({since:Int64}, 9, 'UTC') AND started_at < toDateTime64({until:Int64}, 9, 'UTC')"
_TOUCHED = f"toStartOfTenMinutes(toDateTime(started_at, 'UTC')) IN ({touched('sessions')})"
# What was written since: of each session the newest row is among them, or none is.
_NEWER = f"{_TIMES} AND version > {{compared:UInt64}}"
_LOST = "is_stood AND may_be_lost AND (NOT is_here OR here.1 > stood.1)"


def compare(told: bool) -> str:
    """Put side by side what first sessions were known, and what is found where sessions changed.

    ``told``: each change since the last merge left a newer row of its session, also of one that is no more, and no
    other session is looked at. Else all are that begin in what is touched.
    Parameters: as :func:`keep`, and compared: up to which version the last merge took sessions.
    """
    within = _NEWER if told else f"{_TIMES} AND {_TOUCHED}"
    # By any of their versions first: so only rows of visitors concerned are compared with each other. By name alone: a
    # session may keep its id and become one of another environment, and then only the newer row there tells of it.
    concerned = f"SELECT visitor_hash FROM session_rows PREWHERE {within}"
    if told:
        lost = f"(visitor_hash, started_at) IN (SELECT visitor_hash, started_at FROM session_rows PREWHERE {within})"
    else:
        lost = _TOUCHED
        concerned += f" UNION DISTINCT SELECT visitor_hash FROM visitor_first_rows PREWHERE {_TOUCHED}"
    here = (
        f"SELECT environment, visitor, {_FIRST} AS here, true AS is_here FROM session_rows FINAL PREWHERE {within}"
        " WHERE state = 'live' AND NOT is_bot GROUP BY environment, visitor"
    )
    known = (
        f"SELECT environment, visitor, ({_VALUES}) AS stood, NOT gone AS is_stood, {lost} AS may_be_lost, before,"
        f" version AS stood_version FROM visitor_first_rows FINAL PREWHERE visitor_hash IN ({concerned})"
    )
    return (
        "CREATE OR REPLACE TABLE first_compared ENGINE = Memory AS"
        " SELECT environment, visitor, here, is_here, stood, is_stood, may_be_lost, before, stood_version"
        f" FROM ({here}) AS h FULL JOIN ({known}) AS k USING (environment, visitor)"
    )


def count_lost() -> str:
    """How many of the compared are no more where they were."""
    return f"SELECT count() FROM first_compared WHERE {_LOST}"


def keep(search: bool) -> str:
    """Keep those of the compared that are others now, each with where it was before; or that there is none any more.

    A first session outside of what is touched still stands. One that is no more where it was, and none is before it,
    makes all sessions of its visitor be looked at: where there is one, ``search``. `before` grows until a batch is
    merged, so that nothing of one that died is forgotten.
    Parameters: since, until, after, batch.
    """
    now = "if(is_stood AND (NOT is_here OR stood.1 < here.1), (true, stood), (is_here, here))"
    compared = "first_compared"
    if search:
        # A session's visitor is the same in all of its versions.
        others = (
            f"SELECT environment, visitor, {_FIRST} AS other, true AS is_other FROM session_rows FINAL PREWHERE"
            f" visitor_hash IN (SELECT cityHash64(visitor) FROM first_compared WHERE {_LOST})"
            " WHERE state = 'live' AND NOT is_bot GROUP BY environment, visitor"
        )
        now = f"if({_LOST}, (is_other, other), {now})"
        compared += f" AS b LEFT JOIN ({others}) AS o USING (environment, visitor)"
    return (
        f"INSERT INTO visitor_first_rows (environment, visitor, {_VALUES}, gone, before, version)"
        " SELECT environment, visitor, value.1, value.2, value.3, value.4, NOT there,"
        " arrayConcat(if(stood_version > {after:UInt64}, before, []),"
        " if(is_stood, [toDateTime(stood.1, 'UTC')], [])), {batch:UInt64} FROM"
        " (SELECT environment, visitor, stood, is_stood, before, stood_version,"
        f" {now} AS now, now.1 AS there, if(there, now.2, stood) AS value FROM {compared})"
        " WHERE there != is_stood OR (there AND value != stood)"
    )


def note_blocks() -> str:
    """Note the blocks in which a first session came or went since the last batch merged.

    What is before all that was noted stays so: it is beyond the horizon, or before what is computed anew.
    Parameters: since, after, batch.
    """
    moments = "arrayPushBack(before, toDateTime(started_at, 'UTC'))"
    return (
        "INSERT INTO metric_touched (batch, block, concerns) SELECT {batch:UInt64}, block, 'firsts' FROM"
        f" (SELECT DISTINCT toStartOfTenMinutes(arrayJoin({moments})) AS block"
        " FROM visitor_first_rows WHERE version > {after:UInt64}) WHERE block >= toDateTime({since:Int64}, 'UTC')"
    )
