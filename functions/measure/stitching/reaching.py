"""Tells whose each event is, and from where to where each visitor is computed anew."""
# ruff: noqa: S608  the SQL is put together from our own names

from functions.measure.stitching.fragments import (
    AT,
    DEVICE,
    FENCE,
    IN_RANGE,
    KEY,
    POSITION,
    TOLD,
    UNFINISHED,
    apart,
    hashes,
    in_range,
    plain,
)
from functions.measure.stitching.linking import and_before
from functions.measure.stitching.scratch import SESSION, columns

# Behind all times: nanoseconds.
_NEVER = 2**63 - 1


def resolve(merged: bool) -> str:
    """Whose each event is. Those that only might have followed and did not are left out."""
    links = (
        f"SELECT {DEVICE} AS device, {POSITION} AS position, user_id FROM identity_links FINAL"
        " WHERE anonymous_id IN (SELECT anonymous_id FROM stitch_found WHERE startsWith(identity, 'a:'))"
        " AND anonymous_id NOT IN (SELECT anonymous_id FROM stitch_relinked)"
        f" UNION ALL SELECT {DEVICE} AS device, {POSITION} AS position, user_id FROM stitch_links"
    )
    known = columns("stitch_changes").removesuffix(", visitor")
    device = f"if(startsWith(identity, 'a:'), {apart('identity')}, '')"
    found = (
        f"SELECT {known}, if(linked, concat('u:', toString(l.user_id)), identity) AS own"
        f" FROM (SELECT *, {device} AS device, {POSITION} AS place FROM stitch_found) AS f ASOF LEFT JOIN"
        f" (SELECT device, true AS linked, position, user_id FROM ({and_before(links)})) AS l"
        " ON f.device = l.device AND f.place >= l.position"
    )
    name = "own"
    if merged:
        # A merge is of visitors in both environments, and joins nobody of one with somebody of the other.
        name = "if(merged_into = '', own, merged_into)"
        found = (
            f"SELECT * FROM ({found}) AS f"
            " ANY LEFT JOIN (SELECT visitor AS own, merged_into FROM stitch_aliases) AS a USING (own)"
        )
    return (
        f"INSERT INTO stitch_changes ({known}, visitor) SELECT {known}, {apart(name)} AS visitor FROM ({found})"
        " WHERE direct OR visitor != old_visitor"
    )


def concern(whole: bool, unfinished: bool) -> str:
    """Whom something changed for, and from when to when.

    ``unfinished``: also the sessions that a step had written which did not come to its end: what it knew of may be
    otherwise by now, without a trace among the events.
    """
    times = (
        "SELECT arrayJoin(arrayFilter(one -> one != '', [if(gone, '', visitor), old_visitor])) AS visitor,"
        f" {AT} AS at, old_visitor = '' AND NOT gone AS came, event_type = 'page_view' AS viewed FROM stitch_changes"
    )
    if whole:
        times += (
            f" UNION ALL SELECT {apart('visitor')}, toUnixTimestamp64Nano(started_at) AS at, false, false FROM"
            f" sessions WHERE {in_range('started_at')}"
        )
    if unfinished:
        times += (
            f" UNION ALL SELECT {apart('visitor')}, toUnixTimestamp64Nano(arrayJoin([started_at, ended_at])) AS at,"
            f" false, false FROM session_rows WHERE {UNFINISHED}"
        )
    # What a session of such a step is made of is known of no session; so then all are made of their events.
    came, views = ("false", "[]") if whole or unfinished else ("min(came)", "groupArrayIf(at, came AND viewed)")
    return (
        "INSERT INTO stitch_concerned (visitor, first, last, came, views)"
        f" SELECT visitor, min(at), max(at), {came}, {views} FROM ({times}) GROUP BY visitor"
    )


_NUMBERS = f"SELECT visitor_hash, number FROM visitor_numbers WHERE visitor_hash IN ({hashes('stitch_concerned')})"


_UNNUMBERED = (
    f"SELECT DISTINCT cityHash64({plain('visitor')}) AS visitor_hash FROM stitch_concerned"
    f" WHERE visitor_hash NOT IN (SELECT visitor_hash FROM ({_NUMBERS}))"
)


def count_unnumbered() -> str:
    """How many of them have no number, and the last number that was ever set aside: none is given twice."""
    return (
        f"SELECT (SELECT count() FROM ({_UNNUMBERED})),"
        " (SELECT max(version) FROM measure_progress WHERE stage = 'numbers')"
    )


def number() -> tuple[str, str]:
    """Give each of them the next number, once these are set aside. Parameters: numbers (the last before), count."""
    return (
        "INSERT INTO measure_progress (stage, version) SELECT 'numbers', {numbers:UInt64} + {count:UInt64}"
        f" WHERE {FENCE}",
        "INSERT INTO visitor_numbers (visitor_hash, number)"
        " SELECT visitor_hash, {numbers:UInt64} + row_number() OVER (ORDER BY visitor_hash)"
        f" FROM ({_UNNUMBERED}) WHERE {FENCE}",
    )


def reach(whole: bool) -> str:
    """From where to where each visitor concerned is computed anew.

    From the start of its last session before the first change, if that reaches so far: what came before is as it was.
    To the first session after the last change that a pause set apart from it. Where events only came, and behind all
    that was there, the session there goes on: what it tells is added to, and its events are not read. So it is where
    they came within the last session, after each event that decided what it tells of its first ones. Events within a
    session cut it nowhere: pauses become shorter, and what is too long after its start is still what comes behind it.
    Page views at the time of the last one until now would have to be told from it by their ids, which it does not tell.
    Where events only came and that is not enough, they are ``late``: see :func:`part`.
    """
    concerned = "SELECT visitor, first, last, came, views FROM stitch_concerned"
    only = "" if whole else f" AND visitor_hash IN ({hashes('stitch_concerned')})"
    first = "(SELECT min(first) FROM stitch_concerned)"
    lowest = f"fromUnixTimestamp64Nano(greatest(0, {first} - {{longest:Int64}} - {{gap:Int64}}), 'UTC')"
    standing = (
        f"SELECT {apart('visitor')} AS visitor, toUnixTimestamp64Nano(started_at) AS start,"
        " toUnixTimestamp64Nano(ended_at) AS end, after_gap, settled_at, viewed_at"
        f" FROM session_rows FINAL WHERE started_at >= {lowest} AND state = 'live'{only}"
    )
    told = "(start, end, after_gap, settled_at, viewed_at)"
    around = (
        f"SELECT visitor, any(first) AS earliest, argMaxIf({told}, start, start < first) AS before,"
        f" groupArrayIf({told}, came AND start <= last AND end >= first) AS amid,"
        " minIf(start, after_gap AND start > last + {gap:Int64}) AS next, max(start) AS newest, max(end) AS latest"
        f" FROM ({concerned}) AS c INNER JOIN ({standing}) AS s USING (visitor) GROUP BY visitor"
    )
    # The newest session is `before` then.
    within = (
        "newest < c.first AND before.4 < c.first AND before.2 - before.1 < {longest:Int64} AND NOT has(views, before.5)"
    )
    return (
        f"INSERT INTO stitch_reach ({columns('stitch_reach')}) SELECT c.visitor,"
        f" if(reaches, before.1, c.first), if(next = 0, {_NEVER}, next), NOT reaches OR before.3,"
        f" came AND (latest < c.first OR {within}) AS is_behind, is_behind AND reaches, n.number,"
        " came AND NOT is_behind AS is_late, if(is_late, amid, []), newest"
        f" FROM ({concerned}) AS c ANY LEFT JOIN ({_NUMBERS}) AS n"
        f" ON cityHash64({plain('c.visitor')}) = n.visitor_hash"
        " LEFT JOIN (SELECT visitor, before, next, newest, latest, amid,"
        f" before.1 != 0 AND before.2 + {{gap:Int64}} >= earliest AS reaches FROM ({around})) AS a"
        " ON c.visitor = a.visitor"
    )


def count_late() -> str:
    """For how many visitors events came late."""
    return "SELECT count() FROM stitch_reach WHERE late"


_FITTING = "SELECT visitor FROM stitch_parts GROUP BY visitor HAVING min(fits)"


def part() -> str:
    """Of visitors whose events came late, but all within sessions and after what decided their first ones: each
    of these sessions goes on by itself, and what is between them is as it was. So of who never pauses nothing is read.

    Of the last session that is the same as in :func:`reach`. Those before it end where they did. Who has one event that
    fits nowhere is computed anew.
    """
    late = "SELECT visitor FROM stitch_reach WHERE late"
    came = (
        f"SELECT visitor, {AT} AS at, event_type = 'page_view' AS viewed FROM stitch_changes WHERE visitor IN ({late})"
    )
    sessions = (
        "SELECT visitor, one.1 AS start, one.2 AS end, one.3 AS after_gap, one.4 AS settled, one.5 AS viewed_last,"
        " start = newest AS is_newest FROM stitch_reach ARRAY JOIN amid AS one"
    )
    parts = (
        "SELECT visitor, start, s.end AS end, s.after_gap AS after_gap, s.settled AS settled,"
        " s.viewed_last AS viewed_last, s.is_newest AS is_newest,"
        " min(at) AS first, max(at) AS last, groupArrayIf(at, viewed) AS views, end + {gap:Int64} >= first AS reaches"
        f" FROM ({came}) AS e ASOF LEFT JOIN ({sessions}) AS s ON e.visitor = s.visitor AND e.at >= s.start"
        " GROUP BY visitor, start, end, after_gap, settled, viewed_last, is_newest"
    )
    return (
        "INSERT INTO stitch_parts (visitor, lo, hi, lo_after_gap, follows, fits) SELECT visitor,"
        f" if(reaches, start, first), if(is_newest, {_NEVER}, start + 1), NOT reaches OR after_gap, reaches,"
        " start != 0 AND settled < first AND end - start < {longest:Int64} AND NOT has(views, viewed_last)"
        f" AND (is_newest OR last <= end) FROM ({parts})"
    )


def count_fitting() -> str:
    """For how many of them all events fit."""
    return f"SELECT count() FROM ({_FITTING})"


def take_parts() -> str:
    """Let these be computed part by part."""
    return (
        f"CREATE OR REPLACE TABLE stitch_reach ENGINE = Memory AS SELECT {columns('stitch_reach')} FROM stitch_reach"
        f" WHERE visitor NOT IN ({_FITTING}) UNION ALL SELECT visitor, p.lo, p.hi, p.lo_after_gap, true, p.follows,"
        " r.number, false, [], 0 FROM stitch_parts AS p INNER JOIN stitch_reach AS r USING (visitor)"
        f" WHERE visitor IN ({_FITTING})"
    )


def keep_in_reach(whole: bool) -> str:
    """The events there that did not change, where sessions are made of all of their events.

    Of a whole range all events are among the changes, so only those around it are looked for.
    """
    known = columns("stitch_kept")
    anew = "stitch_reach WHERE NOT behind"
    # Where nobody needs any, nothing is looked through: the least of nothing would be 1970.
    lowest = f"(SELECT fromUnixTimestamp64Nano(if(count() = 0, {_NEVER}, min(lo)), 'UTC') FROM {anew})"
    # The times of any version in reach first: so only rows at these are read in full, and their versions compared.
    near = (
        "SELECT timestamp FROM (SELECT timestamp, visitor_hash FROM session_event_rows"
        f" PREWHERE timestamp >= {lowest}{f' AND NOT ({IN_RANGE})' if whole else ''}"
        f" WHERE visitor_hash IN ({hashes(anew)})) AS e INNER JOIN"
        f" (SELECT cityHash64({plain('visitor')}) AS visitor_hash, min(lo) AS lo, max(hi) AS hi FROM {anew}"
        f" GROUP BY visitor_hash) AS r USING (visitor_hash) WHERE {AT} >= lo AND {AT} < hi"
    )
    # Of a whole range nearly all changes are within, where none is looked for; those that are new stand nowhere.
    stood = f"SELECT {KEY} FROM stitch_changes WHERE old_visitor != ''{f' AND NOT ({IN_RANGE})' if whole else ''}"
    kept = (
        f"SELECT {KEY}, {TOLD}, content, false AS gone, false AS direct, {apart('visitor')} AS old_visitor,"
        " session_id AS old_session_id, content AS old_content, made AS old_made,"
        " visitor_number AS old_number, old_visitor AS visitor"
        " FROM session_event_rows FINAL"
        f" PREWHERE timestamp IN ({near}) WHERE ({KEY}) NOT IN ({stood})"
    )
    return (
        f"INSERT INTO stitch_kept ({known}) SELECT {known} FROM"
        f" (SELECT k.* FROM ({kept}) AS k INNER JOIN (SELECT * FROM {anew}) AS r ON k.visitor = r.visitor"
        f" WHERE {AT} >= lo AND {AT} < hi)"
    )


def standing() -> str:
    """The sessions that stood there until now."""
    told = ", ".join(SESSION)
    lowest = "(SELECT fromUnixTimestamp64Nano(min(lo), 'UTC') FROM stitch_reach)"
    return (
        f"INSERT INTO stitch_standing ({told}, digest) SELECT {told}, digest FROM (SELECT {told}, digest"
        f" FROM session_rows FINAL WHERE started_at >= {lowest} AND state = 'live'"
        f" AND visitor_hash IN ({hashes('stitch_reach')})) AS s"
        f" ASOF INNER JOIN stitch_reach AS r ON {apart('s.visitor')} = r.visitor"
        " AND toUnixTimestamp64Nano(s.started_at) >= r.lo WHERE toUnixTimestamp64Nano(started_at) < hi"
    )
