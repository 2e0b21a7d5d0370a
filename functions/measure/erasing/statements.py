"""What an erasure writes down, and what of all that is told of events has to go. Nothing but SQL.

Every statement that changes rows names the person by the erasure alone (parameter: id): the store keeps its text.
"""
# ruff: noqa: S608  the SQL is put together from our own names

from functions.measure.erasing.places import ERASED, LOST, NAMES, OWN_VISITORS, USERS, VISITORS
from functions.shared.domain import environments

# What is told of events: all that names the person, or was made of one of their events.
DERIVED = {
    "session_event_rows": f"event_id IN {ERASED} OR visitor IN {OWN_VISITORS}",
    "session_rows": (
        "(started_at, session_id, version) IN"
        " (SELECT started_at, session_id, version FROM erasure_sessions WHERE erasure_id = {id:UUID})"
    ),
    "identity_links": f"user_id IN {USERS}",
    "visitor_numbers": f"concat(':', toString(visitor_hash)) IN {LOST}",
    "visitor_first_rows": f"visitor IN {OWN_VISITORS} OR concat(environment, ':', visitor) IN {LOST}",
    "visitor_aliases": f"visitor IN {NAMES} OR merged_into IN {NAMES}",
}
PURGED = "INSERT INTO measure_progress (stage, version) SELECT 'purged', {version:UInt64}"
MERGES = f"visitor IN {NAMES} OR other IN {NAMES}"
# Where rows of these events ever may have stood, also those that gave way to better deliveries.
MONTHS = (
    "SELECT DISTINCT toString(toYYYYMM(timestamp)) FROM erased_events WHERE erasure_id = {id:UUID} UNION DISTINCT"
    f" SELECT DISTINCT toString(toYYYYMM(timestamp)) FROM event_deliveries WHERE event_id IN {ERASED}"
)
# Rows of sessions of which an event of theirs ever was a part, and all that bear a name of theirs, but for those that
# hold. Chosen at once: which row of a session is the newest is not to be asked while some are gone already.
SESSIONS = f"""INSERT INTO erasure_sessions (erasure_id, started_at, session_id, version)
SELECT {{id:UUID}}, started_at, session_id, version FROM session_rows
WHERE (session_id IN (SELECT session_id FROM session_event_rows WHERE event_id IN {ERASED})
    OR visitor IN {VISITORS})
    AND (started_at, session_id, version) NOT IN
        (SELECT started_at, session_id, version FROM session_rows FINAL WHERE state = 'live')"""
# First sessions of names that have none any more in an environment: only chosen, for the same reason.
LOSE = f"""INSERT INTO erasure_subjects (erasure_id, kind, name)
SELECT DISTINCT {{id:UUID}}, 'lost', concat(environment, ':', visitor) FROM visitor_first_rows
WHERE visitor IN {VISITORS} AND (environment, visitor) NOT IN (SELECT environment, visitor FROM visitor_firsts)"""
# And those of their names that no session bears any more: by hash, which is what has a number.
LOSE_NUMBERS = f"""INSERT INTO erasure_subjects (erasure_id, kind, name)
SELECT DISTINCT {{id:UUID}}, 'lost', concat(':', toString(visitor_hash)) FROM visitor_numbers
WHERE visitor_hash IN (SELECT cityHash64(visitor) FROM {VISITORS} AS names (visitor))
    AND visitor_hash NOT IN (SELECT visitor_hash FROM sessions)"""
# All rows of theirs that the metrics were made of are gone: what stands instead is of a later version.
MONTHS_OF_METRICS = (
    f"{MONTHS} UNION DISTINCT SELECT DISTINCT toString(toYYYYMM(started_at)) FROM erasure_sessions"
    " WHERE erasure_id = {id:UUID}"
)
TOUCH = """INSERT INTO touched (attempt_id, minutes, event_ids, events, kind)
SELECT generateUUIDv4(), groupUniqArray(toStartOfMinute(toDateTime(timestamp, 'UTC'))), groupUniqArray(event_id),
    uniqExact(event_id), 'erased'
FROM erased_events WHERE erasure_id = {id:UUID} AND place IN ('raw_events', 'processed_events')
GROUP BY toYYYYMM(timestamp), cityHash64(event_id) % {chunks:UInt32}"""
# What the ledger is told before any row goes. Of a dead letter it knows no outcome: that it is erased is one.
ACCOUNT = """INSERT INTO ledger (minute, key_id, batch_id, received_at, first_index, kind, events, erased)
SELECT toStartOfMinute(toDateTime(received_at, 'UTC')), key_id, batch_id, received_at, toUInt32(0) AS first,
    'erased', toUInt32(0) AS events, arraySort(groupUniqArray(batch_index))
FROM erased_events WHERE erasure_id = {id:UUID} AND place = 'raw_events' GROUP BY key_id, batch_id, received_at
UNION ALL
SELECT toStartOfMinute(toDateTime(received_at, 'UTC')), key_id, batch_id, received_at, batch_index, 'outcome',
    toUInt32(1), [batch_index]
FROM erased_events WHERE erasure_id = {id:UUID} AND place = 'dead_letters'"""
CHUNKS = "SELECT intDiv(count(), 20000) + 1 FROM erased_events WHERE erasure_id = {id:UUID}"
# Users are linked to devices by events that name both; where a device named another user than before, a turn begins.
DEVICES_OF_USERS = f"SELECT DISTINCT anonymous_id FROM processed_events WHERE user_id IN {USERS} AND anonymous_id != ''"
LINKS = f"""SELECT anonymous_id, at, id, user, environment FROM (
    SELECT anonymous_id, toUnixTimestamp64Nano(timestamp) AS at, toString(event_id) AS id,
        toString(assumeNotNull(user_id)) AS user, {environments.SQL} AS environment,
        lagInFrame(user) OVER (PARTITION BY environment, anonymous_id ORDER BY at, id
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
    FROM processed_events WHERE anonymous_id IN {{devices:Array(String)}} AND user_id IS NOT NULL)
WHERE user != before ORDER BY anonymous_id, environment, at, id"""
REFERENCES = f"SELECT DISTINCT user_ref FROM raw_events WHERE user_id IN {USERS} AND user_ref != ''"
SUBJECTS = """SELECT kind, name, since, since_id, until, until_id FROM erasure_subjects FINAL
WHERE erasure_id = {id:UUID}"""
ADD_SUBJECTS = """INSERT INTO erasure_subjects (erasure_id, kind, name, since, since_id, until, until_id)
SELECT {id:UUID}, one.1, one.2, one.3, one.4, one.5, one.6 FROM (SELECT arrayJoin(arrayZip({kinds:Array(String)},
    {names:Array(String)}, {sinces:Array(Int64)}, {since_ids:Array(String)}, {untils:Array(Int64)},
    {until_ids:Array(String)})) AS one)"""
SUPPRESS = """INSERT INTO suppressions (kind, subject, since, since_id, until, until_id, erasure_id)
SELECT one.1, one.2, one.3, one.4, one.5, one.6, {id:UUID} FROM (SELECT arrayJoin(arrayZip({kinds:Array(String)},
    {names:Array(String)}, {sinces:Array(Int64)}, {since_ids:Array(String)}, {untils:Array(Int64)},
    {until_ids:Array(String)})) AS one)"""
