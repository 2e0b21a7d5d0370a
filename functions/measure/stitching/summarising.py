"""Makes sessions of events."""
# ruff: noqa: S608  the SQL is put together from our own names

from functions.measure.stitching.fragments import AT, NIL, POSITION, apart, plain
from functions.measure.stitching.scratch import SESSION, columns
from functions.shared.domain import ids

_NAMESPACE = ids.NAMESPACE.hex


def rows_now(chosen: str, only: str = "true") -> str:
    """All events of the visitors concerned, as they are now."""
    return (
        f"SELECT {chosen} FROM stitch_changes WHERE NOT gone AND {only}"
        f" UNION ALL SELECT {chosen} FROM stitch_kept WHERE {only}"
    )


# The sessions that go on, as they stood.
_FOLLOWED = (
    "SELECT s.*, r.visitor AS apart, r.lo AS start FROM stitch_standing AS s INNER JOIN (SELECT * FROM stitch_reach"
    f" WHERE follows) AS r ON {apart('s.visitor')} = r.visitor AND toUnixTimestamp64Nano(s.started_at) = r.lo"
)


def block() -> str:
    """The blocks that pauses set apart, in each part of a visitor's reach. Of a session that goes on the last event is
    enough to tell if it does.

    What came within it is as if it came with that one: no pause was there, and its other events are not looked at.
    """
    ends = f"SELECT apart AS visitor, start AS lo, toUnixTimestamp64Nano(ended_at) AS stood FROM ({_FOLLOWED})"
    reach = f"SELECT visitor, lo, follows, stood FROM stitch_reach AS r LEFT JOIN ({ends}) AS f USING (visitor, lo)"
    times = (
        "SELECT e.visitor AS visitor, r.lo AS lo, any(r.follows) AS follows, any(r.stood) AS stood,"
        " arrayMap(at -> greatest(at, stood),"
        " arraySort(if(follows, arrayPushBack(groupArray(at), stood), groupArray(at)))) AS times"
        f" FROM ({rows_now(f'visitor, {AT} AS at')}) AS e ASOF INNER JOIN ({reach}) AS r"
        " ON e.visitor = r.visitor AND e.at >= r.lo GROUP BY visitor, lo"
    )
    return (
        "INSERT INTO stitch_blocks (visitor, block, last)"
        " SELECT visitor, if(place = 1 AND follows, lo, one.1), one.2 FROM (SELECT visitor, lo, follows,"
        " arrayPushFront(arrayPopBack(times), -{gap:Int64} - 1) AS before,"
        " arrayFilter((at, ahead) -> at - ahead > {gap:Int64}, times, before) AS begins,"
        " arrayPushBack(arrayPopFront(arrayFilter((ahead, at) -> at - ahead > {gap:Int64}, before, times)), times[-1])"
        f" AS ends FROM ({times})) AS b"
        " ARRAY JOIN arrayZip(begins, ends) AS one, arrayEnumerate(begins) AS place"
    )


def start() -> tuple[str, str]:
    """Where sessions begin: with a block; in one that lasts too long, at the first event so long after the last start.

    Times are enough: of events at one time the first begins a session, and the others are in it.
    """
    short = (
        "INSERT INTO stitch_starts (visitor, block, start) SELECT visitor, block, block FROM stitch_blocks"
        " WHERE last - block < {longest:Int64}"
    )
    overlong = "SELECT visitor, block, last FROM stitch_blocks WHERE last - block >= {longest:Int64}"
    # In parts as long as the longest session: each has at most one start, so the times are gone through once.
    parts = (
        "SELECT visitor, block, intDiv(at - block, {longest:Int64}) AS part, arraySort(groupUniqArray(at)) AS times"
        f" FROM ({rows_now(f'visitor, {AT} AS at', f'visitor IN (SELECT visitor FROM ({overlong}))')}) AS e"
        f" ASOF INNER JOIN ({overlong}) AS b ON e.visitor = b.visitor AND e.at >= b.block"
        " WHERE at <= last GROUP BY visitor, block, part"
    )
    long = (
        "INSERT INTO stitch_starts (visitor, block, start) SELECT visitor, block, arrayJoin(arrayFold((cuts, times) ->"
        " arrayConcat(cuts, arraySlice(arrayFilter(one -> one >= cuts[-1] + {longest:Int64}, times), 1, 1)),"
        " arrayMap(one -> one.2, arraySort(one -> one.1, groupArray((part, times)))), [block]))"
        f" FROM ({parts}) GROUP BY visitor, block"
    )
    return short, long


_FIRST_OF = ("referrer", "campaign", "country", "device_type", "browser", "os")


def _told() -> str:
    """What sessions are made of: a row an event, and before them all one a session that goes on, as of many events.

    Its last page view alone is where it was: of those that came, some may be before it.
    """
    same = f"{', '.join(_FIRST_OF)}, is_bot, key_id, environment"
    ids, places = (
        f"if(client_session_id = {NIL}, [], [{{}}])",
        "arrayMap(place -> toUInt256(place), arrayEnumerate({}))",
    )
    return (
        f"SELECT visitor, {AT} AS at, at AS until, {POSITION} AS position, position AS exit_position,"
        f" at AS exit_at, toInt64(0) AS settled, event_id AS first_id, {NIL} AS known_id,"
        " toUInt64(1) AS events, toUInt64(event_type = 'page_view') AS views, page_path AS entry, page_path AS exit,"
        f" [platform] AS on_platforms, [position] AS platforms_at, {ids.format('client_session_id')} AS of_ids,"
        f" {ids.format('position')} AS ids_at, {same} FROM ({rows_now('*')})"
        " UNION ALL SELECT apart, start, toUnixTimestamp64Nano(ended_at), toUInt256(0),"
        " bitShiftLeft(toUInt256(viewed_at), 128), viewed_at, settled_at, session_id, session_id, event_count,"
        f" page_view_count, entry_page, exit_page, platforms, {places.format('platforms')}, client_session_ids,"
        f" {places.format('client_session_ids')}, {same} FROM ({_FOLLOWED})"
    )


def summarise() -> str:
    """The sessions of these events."""
    named = f"concat(unhex('{_NAMESPACE}'), 'session:', name, ':', toString(first.1))"
    h = f"lower(hex(SHA1({named})))"
    variant = "lower(hex(bitOr(bitAnd(reinterpretAsUInt8(unhex(substring(h, 17, 2))), 63), 128)))"
    identity = (
        "toUUID(concat(substring(h, 1, 8), '-', substring(h, 9, 4), '-5', substring(h, 14, 3), '-',"
        f" {variant}, substring(h, 19, 2), '-', substring(h, 21, 12)))"
    )
    firsts = ", ".join(f"argMinIf({name}, position, {name} != '') AS first_{name}" for name in _FIRST_OF)
    # The session that goes on has no place after its start: `settled` tells of it.
    decided = ", ".join(f"minIf(at, {when})" for when in ("views > 0", *(f"{name} != ''" for name in _FIRST_OF)))
    seen = ", ".join(f"toInt64(bitShiftRight(arrayReduce('max', seen_{name}.2), 128))" for name in ("platforms", "ids"))
    grouped = (
        f"SELECT visitor, {plain('visitor')} AS name, start, max(until) AS end, sum(events) AS event_count,"
        " argMin((first_id, known_id, key_id, environment), position) AS first, sum(views) AS page_view_count,"
        " argMinIf(entry, position, views > 0) AS entry_page, argMaxIf(exit, exit_position, views > 0) AS exit_page,"
        f" greatest(min(at), {decided}, max(settled)) AS first_settled, maxIf(exit_at, views > 0) AS viewed_at,"
        f" {firsts}, minMap(on_platforms, platforms_at) AS seen_platforms, minMap(of_ids, ids_at) AS seen_ids,"
        " max(is_bot) AS any_bot, any(block) AS its_block"
        f" FROM (SELECT e.*, s.start AS start, s.block AS block FROM ({_told()}) AS e"
        " ASOF INNER JOIN stitch_starts AS s ON e.visitor = s.visitor AND e.at >= s.start) GROUP BY visitor, start"
    )
    values = {
        "started_at": "fromUnixTimestamp64Nano(g.start, 'UTC')",
        "session_id": f"if(first.2 = {NIL}, {identity}, first.2)",
        "visitor": "g.name",
        "visitor_number": "r.number",
        "user_id": "if(startsWith(g.name, 'u:'), toUUIDOrNull(substring(g.name, 3)), NULL)",
        "ended_at": "fromUnixTimestamp64Nano(end, 'UTC')",
        "duration_seconds": "(end - g.start) / 1e9",
        "platforms": "arraySort((one, at) -> at, seen_platforms.1, seen_platforms.2)",
        "client_session_ids": "arraySort((one, at) -> at, seen_ids.1, seen_ids.2)",
        **{name: f"first_{name}" for name in _FIRST_OF},
        "is_bounce": "event_count = 1",
        "is_bot": "any_bot",
        "key_id": "first.3",
        "environment": "first.4",
        "after_gap": "g.start = its_block AND (g.start != r.lo OR r.lo_after_gap)",
        "settled_at": f"greatest(first_settled, {seen})",
    }
    chosen = ", ".join(f"{values.get(name, name)} AS {name}_" for name in SESSION)
    told = ", ".join(f"{name}_" for name in SESSION)
    # A hash of what may be null is no hash, and the visitor tells the user. Which number that one got is no matter.
    hashed = ", ".join(f"{name}_" for name in SESSION if name not in ("user_id", "visitor_number"))
    return (
        f"INSERT INTO stitch_sessions ({columns('stitch_sessions')}) SELECT {told}, start, cityHash64({hashed})"
        f" FROM (SELECT {chosen}, g.start AS start FROM (SELECT *, {h} AS h FROM ({grouped})) AS g"
        " ASOF INNER JOIN stitch_reach AS r ON g.visitor = r.visitor AND g.start >= r.lo)"
    )
