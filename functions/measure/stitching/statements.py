"""The statements of a step of stitching, in their order. Nothing but SQL, put together from names of our own.

Parameters: since, until (where a whole range is looked at), gap, longest (all nanoseconds), horizon (seconds), lease,
version; finished: the version of the last step that came to its end.
"""
# ruff: noqa: S608  the SQL is put together from our own names

from functions.measure.stitching.scratch import PAYLOAD, SESSION, columns
from functions.shared.domain import environments, ids

NIL = "toUUID('00000000-0000-0000-0000-000000000000')"
# Whoever lost the lease writes nothing: the store itself looks, as the statement begins.
_NAMESPACE = ids.NAMESPACE.hex
FENCE = "(SELECT argMax(lease_id, number) FROM measure_leases WHERE state = 'held') = {lease:UUID}"
# The store would look for equal keys within a block, and there are none.
_NO_TWINS = "optimize_on_insert = 0"
_KEY = "timestamp, event_id"
_AT = "toUnixTimestamp64Nano(timestamp)"
_TEXT_ORDER = "UUIDToNum(event_id)"
# Where an event is in the order of all, as one number: its time, then the text of its id.
_POSITION = f"bitShiftLeft(toUInt256({_AT}), 128) + reinterpretAsUInt128(reverse({_TEXT_ORDER}))"
_IS_LINK = "startsWith(identity, 'u:') AND anonymous_id != ''"
_USER = "toUUID(substring(identity, 3))"


def _apart(name: str) -> str:
    """Within a step a name tells its environment too, so that one name in both is two: of the test one it has a `t`."""
    return f"if(environment = '{environments.TEST}', concat('t', {name}), {name})"


def _plain(name: str) -> str:
    """The same without: the name that is told."""
    return f"if(startsWith({name}, 't'), substring({name}, 2), {name})"


_DEVICE = _apart("concat('a:', anonymous_id)")
_SOURCES = {
    "client_session_id": "session_id",
    "environment": environments.SQL,
    "country": "geo_country",
    "browser": "browser_name",
    "os": "os_name",
    "referrer": "ifNull(context.page.referrer::Nullable(String), '')",
}
_PAYLOAD = ", ".join(PAYLOAD)
_IN_MINUTES = "toStartOfMinute(timestamp) IN (SELECT minute FROM stitch_minutes)"


def _in_range(time: str) -> str:
    return (
        f"{time} >= fromUnixTimestamp64Nano({{since:Int64}}, 'UTC')"
        f" AND {time} < fromUnixTimestamp64Nano({{until:Int64}}, 'UTC')"
    )


# It counts back from the newest event, and not from now: a log of long ago is measured as one of today.
_NEWEST = (
    "ifNull((SELECT toInt64(toUnixTimestamp(timestamp)) FROM processed_events ORDER BY timestamp DESC LIMIT 1), 0)"
)
_HORIZON = f"toStartOfTenMinutes(toDateTime(greatest(0, {_NEWEST} - {{horizon:Int64}}), 'UTC'))"
_UNFINISHED = "version > {finished:UInt64}"
_IN_RANGE = _in_range("timestamp")
_CONTESTED = "event_id IN (SELECT event_id FROM stitch_contested)"


def look(touches: str) -> tuple[str, ...]:
    """Where to look, from the touches whose ids are given as SQL."""
    chosen = f"FROM touched WHERE attempt_id IN ({touches})"
    return (
        f"INSERT INTO stitch_minutes SELECT DISTINCT arrayJoin(minutes) {chosen}",
        f"INSERT INTO stitch_attempts SELECT attempt_id {chosen}",
        f"INSERT INTO stitch_contested SELECT DISTINCT arrayJoin(event_ids) {chosen}",
    )


def find_fresh(whole: bool) -> str:
    """The events that touches tell of, as they are now; or of a whole range all."""
    attempts = "attempt_id IN (SELECT attempt_id FROM stitch_attempts)"
    where = _IN_RANGE if whole else f"{_IN_MINUTES} AND ({attempts} OR {_CONTESTED})"
    told = ", ".join(_SOURCES.get(name, name) for name in PAYLOAD)
    return (
        f"INSERT INTO stitch_fresh ({_KEY}, {_PAYLOAD}, fresh_content) SELECT {_KEY}, {told}, cityHash64({told})"
        # Without an identity an event is of nobody: a person refused.
        f" FROM processed_events WHERE {where} AND identity != ''"
    )


def count_twins() -> str:
    """How many of them are there more than once: attempts that met at this moment. Looked at, since it is so seldom."""
    return f"SELECT count() - uniqExact({_KEY}) FROM stitch_fresh"


def drop_twins() -> str:
    """Keep one of each."""
    return f"CREATE OR REPLACE TABLE stitch_fresh ENGINE = Memory AS SELECT * FROM stitch_fresh LIMIT 1 BY {_KEY}"


def find(whole: bool) -> str:
    """Those of them that are others than they were when they were stitched, of a whole range all; and those gone."""
    if whole:
        chosen = f"PREWHERE {_IN_RANGE}"
    else:
        keys = (
            f"SELECT {_KEY} FROM stitch_fresh UNION ALL"
            f" SELECT {_KEY} FROM session_event_rows WHERE {_IN_MINUTES} AND {_CONTESTED}"
        )
        # By their time alone first, which is a number, and what the table is sorted by.
        chosen = f"PREWHERE timestamp IN (SELECT timestamp FROM ({keys})) WHERE ({_KEY}) IN ({keys})"
    stood = (
        f"SELECT {_KEY}, {_apart('visitor')} AS visitor, session_id, content AS stood_content, environment AS"
        " stood_environment, identity AS stood_identity, anonymous_id AS stood_anonymous_id, true AS stood"
        f" FROM session_event_rows FINAL {chosen}"
    )
    changed = "true" if whole else "there != stood OR fresh_content != stood_content"
    return (
        f"INSERT INTO stitch_found ({_KEY}, {_PAYLOAD}, content, gone, direct, old_visitor, old_session_id,"
        f" old_content, old_environment, old_identity, old_anonymous_id) SELECT {_KEY}, {_PAYLOAD}, fresh_content,"
        " NOT there, true, visitor, session_id, stood_content, stood_environment, stood_identity, stood_anonymous_id"
        " FROM (SELECT *, true AS there FROM stitch_fresh) AS f"
        f" FULL JOIN ({stood}) AS o USING ({_KEY}) WHERE {changed}"
    )


def _and_before(links: str) -> str:
    """Links, and for each device one more before them all: what comes before the first link is of its user."""
    return (
        f"SELECT device, position, user_id FROM ({links}) UNION ALL"
        f" SELECT device, toUInt256(0), argMin(user_id, position) FROM ({links}) GROUP BY device"
    )


def relink() -> str:
    """The devices whose links may have changed, in whichever environment."""
    standing = (
        f"SELECT {_DEVICE} AS device, {_POSITION} AS position, user_id FROM identity_links FINAL"
        f" WHERE anonymous_id IN (SELECT anonymous_id FROM stitch_found WHERE {_IS_LINK})"
    )
    fresh = (
        f"SELECT anonymous_id, {_DEVICE} AS device, {_POSITION} AS at, {_USER} AS by FROM stitch_found"
        f" WHERE NOT gone AND {_IS_LINK}"
    )
    return (
        "INSERT INTO stitch_relinked SELECT DISTINCT anonymous_id FROM ("
        f" SELECT f.anonymous_id AS anonymous_id FROM ({fresh}) AS f ASOF LEFT JOIN ({_and_before(standing)}) AS l"
        " ON f.device = l.device AND f.at >= l.position WHERE f.by != l.user_id"
        " UNION ALL SELECT old_anonymous_id FROM stitch_found WHERE startsWith(old_identity, 'u:')"
        " AND old_anonymous_id != '' AND (gone OR (environment, identity, anonymous_id) !="
        " (old_environment, old_identity, old_anonymous_id)))"
    )


def count_linked_before() -> str:
    """How many of those had links before."""
    return "SELECT count() FROM identity_links FINAL WHERE anonymous_id IN (SELECT anonymous_id FROM stitch_relinked)"


def links_of_changes(linked_before: bool) -> str:
    """All links of the devices in question; those that had none have only what is new."""
    fresh = (
        f"SELECT environment, anonymous_id, {_KEY}, {_USER} AS user_id FROM stitch_found WHERE NOT gone AND {_IS_LINK}"
        " AND anonymous_id IN (SELECT anonymous_id FROM stitch_relinked)"
    )
    stood = (
        f"SELECT environment, anonymous_id, {_KEY}, {_USER} AS user_id FROM session_event_rows FINAL WHERE {_IS_LINK}"
        " AND anonymous_id IN (SELECT anonymous_id FROM stitch_relinked)"
        f" AND ({_KEY}) NOT IN (SELECT {_KEY} FROM stitch_found)"
    )
    return _turns(f"{fresh} UNION ALL {stood}" if linked_before else fresh)


def relink_range() -> str:
    """The devices that a range tells or told of."""
    return (
        "INSERT INTO stitch_relinked SELECT DISTINCT anonymous_id FROM (SELECT anonymous_id FROM processed_events"
        f" WHERE {_IN_RANGE} AND user_id IS NOT NULL AND anonymous_id != ''"
        f" UNION ALL SELECT anonymous_id FROM identity_links FINAL WHERE {_IN_RANGE})"
    )


def links_of_range() -> tuple[str, str]:
    """All links they ever had. Most devices have one user; the others are put in order."""
    environment = f"{environments.SQL} AS environment"
    chosen = (
        "FROM processed_events WHERE user_id IS NOT NULL AND anonymous_id != ''"
        " AND anonymous_id IN (SELECT anonymous_id FROM stitch_relinked)"
    )
    by_device = "GROUP BY environment, anonymous_id HAVING min(user_id)"
    one = (
        "INSERT INTO stitch_links (environment, anonymous_id, timestamp, event_id, user_id)"
        f" SELECT {environment}, anonymous_id, argMin(timestamp, {_POSITION}), argMin(event_id, {_POSITION}),"
        f" assumeNotNull(any(user_id)) {chosen} {by_device} = max(user_id)"
    )
    shared = f"SELECT {environment}, anonymous_id {chosen} {by_device} != max(user_id)"
    # Not by its own name: the condition would then be about the value that takes the place of null.
    several = (
        f"SELECT environment, anonymous_id, {_KEY}, user AS user_id FROM (SELECT {environment}, anonymous_id, {_KEY},"
        f" assumeNotNull(user_id) AS user {chosen} AND (environment, anonymous_id) IN ({shared}))"
    )
    return one, _turns(several)


def _turns(links: str) -> str:
    """Of links in order, those where the user is another than before."""
    key = f"environment, anonymous_id, {_KEY}, user_id"
    return (
        f"INSERT INTO stitch_links ({key}) SELECT {key} FROM"
        f" (SELECT {key}, lagInFrame(user_id) OVER (PARTITION BY environment, anonymous_id"
        f" ORDER BY timestamp, {_TEXT_ORDER} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before FROM ({links}))"
        " WHERE user_id != before"
    )


def find_of_relinked() -> str:
    """All other events of devices whose links may have changed."""
    hashes = "SELECT cityHash64(concat('a:', anonymous_id)) FROM stitch_relinked"
    exact = "SELECT concat('a:', anonymous_id) FROM stitch_relinked"
    return _find_more(f"identity_hash IN ({hashes})", f"identity IN ({exact})")


def find_of_merged() -> str:
    """All other events of visitors that go by another name now, or went by one."""
    hashes = "SELECT cityHash64(visitor) FROM stitch_renamed"
    return _find_more(f"visitor_hash IN ({hashes})", "visitor IN (SELECT visitor FROM stitch_renamed)")


def find_of_unfinished() -> str:
    """All other events that a step which did not come to its end had written."""
    return _find_more(_UNFINISHED, _UNFINISHED)


def relink_unfinished() -> str:
    """The devices of which such a step had written links."""
    return f"INSERT INTO stitch_relinked SELECT DISTINCT anonymous_id FROM identity_links WHERE {_UNFINISHED}"


def _find_more(roughly: str, exact: str) -> str:
    # By what is fast to look for and without regard for versions first: so only rows at these times are read in full.
    near = f"SELECT timestamp FROM session_event_rows WHERE {roughly}"
    return (
        f"INSERT INTO stitch_found ({_KEY}, {_PAYLOAD}, content, gone, direct, old_visitor, old_session_id,"
        f" old_content, old_environment, old_identity, old_anonymous_id) SELECT {_KEY}, {_PAYLOAD}, content,"
        f" false, false, {_apart('visitor')}, session_id,"
        " content, environment, identity, anonymous_id FROM session_event_rows FINAL"
        f" PREWHERE timestamp IN ({near}) WHERE {exact} AND ({_KEY}) NOT IN (SELECT {_KEY} FROM stitch_found)"
    )


def resolve(merged: bool) -> str:
    """Whose each event is. Those that only might have followed and did not are left out."""
    links = (
        f"SELECT {_DEVICE} AS device, {_POSITION} AS position, user_id FROM identity_links FINAL"
        " WHERE anonymous_id IN (SELECT anonymous_id FROM stitch_found WHERE startsWith(identity, 'a:'))"
        " AND anonymous_id NOT IN (SELECT anonymous_id FROM stitch_relinked)"
        f" UNION ALL SELECT {_DEVICE} AS device, {_POSITION} AS position, user_id FROM stitch_links"
    )
    known = columns("stitch_changes").removesuffix(", visitor")
    device = f"if(startsWith(identity, 'a:'), {_apart('identity')}, '')"
    found = (
        f"SELECT {known}, if(linked, concat('u:', toString(l.user_id)), identity) AS own"
        f" FROM (SELECT *, {device} AS device, {_POSITION} AS place FROM stitch_found) AS f ASOF LEFT JOIN"
        f" (SELECT device, true AS linked, position, user_id FROM ({_and_before(links)})) AS l"
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
        f"INSERT INTO stitch_changes ({known}, visitor) SELECT {known}, {_apart(name)} AS visitor FROM ({found})"
        " WHERE direct OR visitor != old_visitor"
    )


def concern(whole: bool, unfinished: bool) -> str:
    """Whom something changed for, and from when to when.

    ``unfinished``: also the sessions that a step had written which did not come to its end: what it knew of may be
    otherwise by now, without a trace among the events.
    """
    times = (
        "SELECT arrayJoin(arrayFilter(one -> one != '', [if(gone, '', visitor), old_visitor])) AS visitor,"
        f" {_AT} AS at, old_visitor = '' AND NOT gone AS came FROM stitch_changes"
    )
    if whole:
        times += (
            f" UNION ALL SELECT {_apart('visitor')}, toUnixTimestamp64Nano(started_at) AS at, false FROM sessions"
            f" WHERE {_in_range('started_at')}"
        )
    if unfinished:
        times += (
            f" UNION ALL SELECT {_apart('visitor')}, toUnixTimestamp64Nano(arrayJoin([started_at, ended_at])) AS at,"
            f" false FROM session_rows WHERE {_UNFINISHED}"
        )
    # What a session of such a step is made of is known of no session; so then all are made of their events.
    came = "false" if whole or unfinished else "min(came)"
    return (
        "INSERT INTO stitch_concerned (visitor, first, last, came)"
        f" SELECT visitor, min(at), max(at), {came} FROM ({times}) GROUP BY visitor"
    )


def reach(whole: bool) -> str:
    """From where to where each visitor concerned is computed anew.

    From the start of its last session before the first change, if that reaches so far: what came before is as it was.
    To the first session after the last change that a pause set apart from it. Where events only came, and behind all
    that was there, the session there goes on: what it tells is added to, and its events are not read.
    """
    concerned = "SELECT visitor, first, last, came FROM stitch_concerned"
    only = "" if whole else f" AND visitor_hash IN ({_hashes('stitch_concerned')})"
    first = "(SELECT min(first) FROM stitch_concerned)"
    lowest = f"fromUnixTimestamp64Nano(greatest(0, {first} - {{longest:Int64}} - {{gap:Int64}}), 'UTC')"
    standing = (
        f"SELECT {_apart('visitor')} AS visitor, toUnixTimestamp64Nano(started_at) AS start,"
        " toUnixTimestamp64Nano(ended_at) AS end, after_gap"
        f" FROM session_rows FINAL WHERE started_at >= {lowest} AND state = 'live'{only}"
    )
    around = (
        "SELECT visitor, any(first) AS earliest, argMaxIf((start, end, after_gap), start, start < first) AS before,"
        " minIf(start, after_gap AND start > last + {gap:Int64}) AS next, max(end) AS latest"
        f" FROM ({concerned}) AS c INNER JOIN ({standing}) AS s USING (visitor) GROUP BY visitor"
    )
    return (
        "INSERT INTO stitch_reach (visitor, lo, hi, lo_after_gap, behind, follows) SELECT c.visitor,"
        " if(reaches, before.1, c.first), if(next = 0, 9223372036854775807, next), NOT reaches OR before.3,"
        " came AND latest < c.first AS is_behind, is_behind AND reaches"
        f" FROM ({concerned}) AS c LEFT JOIN (SELECT visitor, before, next, latest,"
        f" before.1 != 0 AND before.2 + {{gap:Int64}} >= earliest AS reaches FROM ({around})) AS a USING (visitor)"
    )


def keep_in_reach(whole: bool) -> str:
    """The events there that did not change, where sessions are made of all of their events.

    Of a whole range all events are among the changes, so only those around it are looked for.
    """
    known = columns("stitch_kept")
    anew = "stitch_reach WHERE NOT behind"
    # Where nobody needs any, nothing is looked through: the least of nothing would be 1970.
    lowest = f"(SELECT fromUnixTimestamp64Nano(if(count() = 0, 9223372036854775807, min(lo)), 'UTC') FROM {anew})"
    # The times of any version in reach first: so only rows at these are read in full, and their versions compared.
    near = (
        "SELECT timestamp FROM (SELECT timestamp, visitor_hash FROM session_event_rows"
        f" PREWHERE timestamp >= {lowest}{f' AND NOT ({_IN_RANGE})' if whole else ''}"
        f" WHERE visitor_hash IN ({_hashes(anew)})) AS e INNER JOIN"
        f" (SELECT cityHash64({_plain('visitor')}) AS visitor_hash, min(lo) AS lo, max(hi) AS hi FROM {anew}"
        f" GROUP BY visitor_hash) AS r USING (visitor_hash) WHERE {_AT} >= lo AND {_AT} < hi"
    )
    kept = (
        f"SELECT {_KEY}, {_PAYLOAD}, content, false AS gone, false AS direct, {_apart('visitor')} AS old_visitor,"
        " session_id AS old_session_id, content AS old_content, old_visitor AS visitor FROM session_event_rows FINAL"
        f" PREWHERE timestamp IN ({near}) WHERE ({_KEY}) NOT IN (SELECT {_KEY} FROM stitch_changes)"
    )
    return (
        f"INSERT INTO stitch_kept ({known}) SELECT {known} FROM"
        f" (SELECT k.* FROM ({kept}) AS k INNER JOIN (SELECT * FROM {anew}) AS r ON k.visitor = r.visitor"
        f" WHERE {_AT} >= lo AND {_AT} < hi)"
    )


def _hashes(table: str) -> str:
    """By which to look for the visitors of a table: rough, as it is of names alone."""
    return f"SELECT cityHash64({_plain('visitor')}) FROM {table}"


def _rows(chosen: str, only: str = "true") -> str:
    """All events of the visitors concerned, as they are now."""
    return (
        f"SELECT {chosen} FROM stitch_changes WHERE NOT gone AND {only}"
        f" UNION ALL SELECT {chosen} FROM stitch_kept WHERE {only}"
    )


# The sessions that go on, as they stood.
_FOLLOWED = (
    "SELECT s.*, r.visitor AS apart, r.lo AS start FROM stitch_standing AS s INNER JOIN (SELECT * FROM stitch_reach"
    f" WHERE follows) AS r ON {_apart('s.visitor')} = r.visitor AND toUnixTimestamp64Nano(s.started_at) = r.lo"
)


def block() -> str:
    """The blocks that pauses set apart. Of a session that goes on the last event is enough to tell if it does."""
    ends = f"SELECT apart AS visitor, toUnixTimestamp64Nano(ended_at) AS at FROM ({_FOLLOWED})"
    began = "SELECT visitor, lo FROM stitch_reach WHERE follows"
    times = f"{_rows(f'visitor, {_AT} AS at')} UNION ALL {ends}"
    return (
        "INSERT INTO stitch_blocks (visitor, block, last)"
        " SELECT visitor, if(place = 1 AND lo != 0, lo, one.1), one.2 FROM (SELECT visitor,"
        " arraySort(groupArray(at)) AS times, arrayPushFront(arrayPopBack(times), -{gap:Int64} - 1) AS before,"
        " arrayFilter((at, ahead) -> at - ahead > {gap:Int64}, times, before) AS begins,"
        " arrayPushBack(arrayPopFront(arrayFilter((ahead, at) -> at - ahead > {gap:Int64}, before, times)), times[-1])"
        f" AS ends FROM ({times}) GROUP BY visitor) AS b"
        f" LEFT JOIN ({began}) AS r USING (visitor)"
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
        f" FROM ({_rows(f'visitor, {_AT} AS at', f'visitor IN (SELECT visitor FROM ({overlong}))')}) AS e"
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
    """What sessions are made of: a row an event, and before them all one a session that goes on, as of many events."""
    same = f"{', '.join(_FIRST_OF)}, is_bot, key_id, environment"
    ids, places = (
        f"if(client_session_id = {NIL}, [], [{{}}])",
        "arrayMap(place -> toUInt256(place), arrayEnumerate({}))",
    )
    return (
        f"SELECT visitor, {_AT} AS at, {_POSITION} AS position, event_id AS first_id, {NIL} AS known_id,"
        " toUInt64(1) AS events, toUInt64(event_type = 'page_view') AS views, page_path AS entry, page_path AS exit,"
        f" [platform] AS on_platforms, [position] AS platforms_at, {ids.format('client_session_id')} AS of_ids,"
        f" {ids.format('position')} AS ids_at, {same} FROM ({_rows('*')})"
        " UNION ALL SELECT apart, toUnixTimestamp64Nano(ended_at), toUInt256(0), session_id, session_id, event_count,"
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
    grouped = (
        f"SELECT visitor, {_plain('visitor')} AS name, start, max(at) AS end, sum(events) AS event_count,"
        " argMin((first_id, known_id, key_id, environment), position) AS first, sum(views) AS page_view_count,"
        " argMinIf(entry, position, views > 0) AS entry_page, argMaxIf(exit, position, views > 0) AS exit_page,"
        f" {firsts}, minMap(on_platforms, platforms_at) AS seen_platforms, minMap(of_ids, ids_at) AS seen_ids,"
        " max(is_bot) AS any_bot, any(block) AS its_block"
        f" FROM (SELECT e.*, s.start AS start, s.block AS block FROM ({_told()}) AS e"
        " ASOF INNER JOIN stitch_starts AS s ON e.visitor = s.visitor AND e.at >= s.start) GROUP BY visitor, start"
    )
    values = {
        "started_at": "fromUnixTimestamp64Nano(g.start, 'UTC')",
        "session_id": f"if(first.2 = {NIL}, {identity}, first.2)",
        "visitor": "g.name",
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
    }
    chosen = ", ".join(f"{values.get(name, name)} AS {name}_" for name in SESSION)
    told = ", ".join(f"{name}_" for name in SESSION)
    # A hash of what may be null is no hash; and the visitor tells the user.
    hashed = ", ".join(f"{name}_" for name in SESSION if name != "user_id")
    return (
        f"INSERT INTO stitch_sessions ({columns('stitch_sessions')}) SELECT {told}, start, cityHash64({hashed})"
        f" FROM (SELECT {chosen}, g.start AS start FROM (SELECT *, {h} AS h FROM ({grouped})) AS g"
        " INNER JOIN stitch_reach AS r ON g.visitor = r.visitor)"
    )


def standing() -> str:
    """The sessions that stood there until now."""
    told = ", ".join(SESSION)
    lowest = "(SELECT fromUnixTimestamp64Nano(min(lo), 'UTC') FROM stitch_reach)"
    return (
        f"INSERT INTO stitch_standing ({told}, digest) SELECT {told}, digest FROM (SELECT {told}, digest"
        f" FROM session_rows FINAL WHERE started_at >= {lowest} AND state = 'live'"
        f" AND visitor_hash IN ({_hashes('stitch_reach')})) AS s"
        f" INNER JOIN stitch_reach AS r ON {_apart('s.visitor')} = r.visitor"
        " WHERE toUnixTimestamp64Nano(started_at) >= lo AND toUnixTimestamp64Nano(started_at) < hi"
    )


_SESSION_KEY = "started_at, session_id"


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
    return f"SELECT DISTINCT toStartOfTenMinutes(minute) AS block, 'arrived' FROM stitch_minutes{within}"


def changed_times(whole: bool, beyond: bool) -> str:
    """The blocks in which something stitched changed, each with what: visitors of events, or sessions by their start.

    Those before the horizon only where ``beyond`` says so. Of a whole range all blocks, also those where events failed,
    and all of what is measured there.
    """
    times = (
        "SELECT toDateTime(timestamp, 'UTC') AS one, 'visitors' AS what FROM stitch_changes WHERE gone"
        " OR visitor != old_visitor OR content != old_content"
        f" UNION ALL SELECT toDateTime(started_at, 'UTC'), 'sessions' FROM ({_changed_sessions('started_at', whole)})"
    )
    if whole:
        times += (
            f" UNION ALL SELECT toDateTime(timestamp, 'UTC'), 'all' FROM raw_events WHERE {_IN_RANGE}"
            f" UNION ALL SELECT window, 'all' FROM metric_states WHERE step = '10m' AND {_in_range('window')}"
        )
    what = "'all'" if whole else "what"
    within = "" if beyond else f" WHERE block >= {_HORIZON}"
    return f"SELECT DISTINCT toStartOfTenMinutes(toDateTime(one, 'UTC')) AS block, {what} FROM ({times}){within}"


def keep_sessions(whole: bool) -> str:
    """Keep what became of sessions. One statement, so one moment."""
    told = ", ".join(SESSION)
    return (
        f"INSERT INTO session_rows ({told}, digest, state, computed_at, version)"
        f" SELECT {told}, digest, state, now64(3), {{version:UInt64}}"
        f" FROM ({_changed_sessions(f'{told}, digest', whole)}) WHERE {FENCE} SETTINGS {_NO_TWINS}"
    )


def keep_events(direct: bool) -> str:
    """Keep events whose visitor or session is another now. The `direct` ones come last: they prove the rest undone."""
    rows = _rows("*", "direct" if direct else "NOT direct")
    changed = "e.visitor != old_visitor OR s.session_id != old_session_id OR content != old_content"
    kept = ", ".join(f"e.{name} AS {name}" for name in ("timestamp", "event_id", *PAYLOAD, "content", "visitor"))
    rows = (
        f"SELECT {kept}, s.session_id AS session_id, 0 AS gone FROM (SELECT *, {_AT} AS at FROM ({rows})) AS e"
        f" ASOF INNER JOIN (SELECT {_apart('visitor')} AS visitor, start, session_id FROM stitch_sessions) AS s"
        f" ON e.visitor = s.visitor AND e.at >= s.start WHERE {changed}"
    )
    if direct:
        rows += (
            f" UNION ALL SELECT {_KEY}, {_PAYLOAD}, content, visitor, old_session_id, 1 FROM stitch_changes WHERE gone"
        )
    return (
        f"INSERT INTO session_event_rows ({_KEY}, {_PAYLOAD}, content, visitor, session_id, gone, version)"
        f" SELECT {_KEY}, {_PAYLOAD}, content, {_plain('visitor')}, session_id, gone, {{version:UInt64}}"
        f" FROM ({rows}) WHERE {FENCE} SETTINGS max_insert_threads = 2, {_NO_TWINS}"
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


def keep_links() -> str:
    """Keep the links that are new, and that some are no more."""
    key = f"environment, anonymous_id, {_KEY}, user_id"
    relinked = "anonymous_id IN (SELECT anonymous_id FROM stitch_relinked)"
    standing = f"SELECT {key} FROM identity_links FINAL WHERE {relinked}"
    return (
        f"INSERT INTO identity_links ({key}, gone, version) SELECT {key}, gone, {{version:UInt64}} FROM ("
        f"SELECT {key}, 0 AS gone FROM stitch_links WHERE ({key}) NOT IN ({standing}) UNION ALL"
        f" SELECT {key}, 1 AS gone FROM ({standing}) WHERE (anonymous_id, {_KEY}) NOT IN"
        f" (SELECT anonymous_id, {_KEY} FROM stitch_links)) WHERE {FENCE}"
    )
