"""Keeps what became of events and sessions, and tells where something changed."""
# ruff: noqa: S608  the SQL is put together from our own names

from functions.measure import attempts
from functions.measure.stitching.fragments import (
    AT,
    FENCE,
    IN_RANGE,
    KEY,
    NO_TWINS,
    TOLD,
    apart,
    in_range,
    plain,
)
from functions.measure.stitching.scratch import PAYLOAD, SESSION
from functions.measure.stitching.summarising import rows_now

# It counts back from the newest event, and not from now: a log of long ago is measured as one of today.
_NEWEST = (
    "ifNull((SELECT toInt64(toUnixTimestamp(timestamp)) FROM processed_events ORDER BY timestamp DESC LIMIT 1), 0)"
)
_HORIZON = f"toStartOfTenMinutes(toDateTime(greatest(0, {_NEWEST} - {{horizon:Int64}}), 'UTC'))"
_SESSION_KEY = "started_at, session_id"
_OTHER = "(visitor != old_visitor OR content != old_content)"


def _changed_sessions(chosen: str, whole: bool) -> str:
    """Sessions that are new or others than they were, of a whole range all; and those that are no more."""
    same = "true" if whole else f"({_SESSION_KEY}, digest) NOT IN (SELECT {_SESSION_KEY}, digest FROM stitch_standing)"
    return (
        f"SELECT {chosen}, 'live' AS state FROM stitch_sessions WHERE {same} UNION ALL"
        f" SELECT {chosen}, 'superseded' AS state FROM stitch_standing"
        f" WHERE ({_SESSION_KEY}) NOT IN (SELECT {_SESSION_KEY} FROM stitch_sessions)"
    )


def arrived_times(beyond: bool = False) -> str:
    """The blocks of ten minutes in which events came or went; before the horizon only where ``beyond`` says so."""
    within = "" if beyond else f" WHERE block >= {_HORIZON}"
    return (
        "SELECT DISTINCT toStartOfTenMinutes(arrayJoin(minutes)) AS block, if(came, 'told', 'arrived')"
        f" FROM stitch_attempts{within}"
    )


def changed_times(whole: bool, beyond: bool) -> str:
    """The blocks in which something stitched changed, each with what: events that came, visitors of those that had
    been there, or sessions by their start.

    Those before the horizon only where ``beyond`` says so. Of a whole range all blocks, also those where events failed,
    and all of what is measured there.
    """
    times = (
        "SELECT toDateTime(timestamp, 'UTC') AS one, if(old_visitor = '' AND NOT gone, 'came', 'visitors') AS what"
        f" FROM stitch_changes WHERE gone OR {_OTHER}"
        f" UNION ALL SELECT toDateTime(started_at, 'UTC'), 'sessions' FROM ({_changed_sessions('started_at', whole)})"
    )
    if whole:
        times += (
            f" UNION ALL SELECT toDateTime(timestamp, 'UTC'), 'all' FROM raw_events WHERE {IN_RANGE}"
            f" UNION ALL SELECT window, 'all' FROM metric_states WHERE step = '10m' AND {in_range('window')}"
        )
    what = "'all'" if whole else "what"
    within = "" if beyond else f" WHERE block >= {_HORIZON}"
    return f"SELECT DISTINCT toStartOfTenMinutes(toDateTime(one, 'UTC')) AS block, {what} FROM ({times}){within}"


def attempts_of_range() -> str:
    """The attempts that have events in a whole range."""
    return attempts.of_rows(IN_RANGE)


def keep_sessions(whole: bool) -> str:
    """Keep what became of sessions. One statement, so one moment."""
    told = ", ".join(SESSION)
    return (
        f"INSERT INTO session_rows ({told}, digest, state, computed_at, version)"
        f" SELECT {told}, digest, state, now64(3), {{version:UInt64}}"
        f" FROM ({_changed_sessions(f'{told}, digest', whole)}) WHERE {FENCE} SETTINGS {NO_TWINS}"
    )


def keep_events(direct: bool) -> str:
    """Keep events whose visitor or session is another now. The `direct` ones come last: they prove the rest undone."""
    rows = rows_now("*", "direct" if direct else "NOT direct")
    kept = ", ".join(f"e.{name} AS {name}" for name in ("timestamp", "event_id", *PAYLOAD, "content", "visitor"))
    # What an event counts for is as it was where only its session is another.
    rows = (
        f"SELECT {kept}, s.session_id AS session_id, s.visitor_number AS visitor_number,"
        f" 0 AS gone, if(is_other, {{version:UInt64}}, old_made) AS made"
        f" FROM (SELECT *, {AT} AS at, {_OTHER} AS is_other FROM ({rows})) AS e"
        f" ASOF INNER JOIN (SELECT {apart('visitor')} AS visitor, start, session_id, visitor_number"
        " FROM stitch_sessions) AS s"
        " ON e.visitor = s.visitor AND e.at >= s.start WHERE is_other OR s.session_id != old_session_id"
        " OR s.visitor_number != old_number"
    )
    if direct:
        rows += (
            f" UNION ALL SELECT {KEY}, {TOLD}, content, visitor, old_session_id, old_number, 1,"
            " {version:UInt64}"
            " FROM stitch_changes WHERE gone"
        )
    return (
        f"INSERT INTO session_event_rows ({KEY}, {TOLD}, content, visitor, session_id, visitor_number, gone,"
        " made, version)"
        f" SELECT {KEY}, {TOLD}, content, {plain('visitor')}, session_id, visitor_number, gone, made,"
        " {version:UInt64}"
        f" FROM ({rows}) WHERE {FENCE} SETTINGS max_insert_threads = 2, {NO_TWINS}"
    )


def keep_aliases() -> str:
    """Keep by which names visitors go now."""
    standing = "SELECT visitor, merged_into FROM visitor_aliases FINAL"
    return (
        "INSERT INTO visitor_aliases (visitor, merged_into, gone, version)"
        " SELECT visitor, merged_into, gone, {version:UInt64} FROM ("
        f"SELECT visitor, merged_into, 0 AS gone FROM stitch_aliases WHERE (visitor, merged_into) NOT IN ({standing})"
        f" UNION ALL SELECT visitor, merged_into, 1 AS gone FROM ({standing})"
        f" WHERE visitor NOT IN (SELECT visitor FROM stitch_aliases)) WHERE {FENCE}"
    )
