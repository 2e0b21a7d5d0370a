"""Plans a rebuild: word is left of ranges that together are all of it, and the batches work through them.

So a rebuild that is cut short goes on by itself, and new events do not wait for its end.
"""

from functions.measure.database import Database, one

_EVENTS_AT_A_TIME = 1_500_000
_HOUR = 3_600
_LAST = 2**32 - _HOUR


def plan_rebuild(
    database: Database, since: int | None, until: int | None, events_at_a_time: int = _EVENTS_AT_A_TIME
) -> int:
    """Leave word of all from one second to another, None is open. Returns how many ranges it takes."""
    first = max(0, since or 0)
    last = min(_LAST, _LAST if until is None else until)
    if one(database, _COUNT, {"since": first, "until": last})[0] == 0:
        return 0
    ranges = _ranges(database, first, last, events_at_a_time)
    database.run(_LEAVE, {"kind": "links", "since": first, "until": last, "events": 0})
    for start, end, events in ranges:
        database.run(_LEAVE, {"kind": "events", "since": start, "until": end, "events": events})
    return len(ranges)


def _ranges(database: Database, first: int, last: int, events_at_a_time: int) -> list[tuple[int, int, int]]:
    """Ranges without a hole between them, of whole hours but for the ends."""
    found: list[tuple[int, int, int]] = []
    start, events = first, 0
    for hour, count in database.rows(_HOURS, {"since": first, "until": last}):
        if events and events + int(count) > events_at_a_time:
            found.append((start, int(hour), events))
            start, events = int(hour), 0
        events += int(count)
    return [*found, (start, last, events)]


def plan_upgrade(database: Database) -> None:
    """Leave word, once after an upgrade, of all that an older version had computed in another way."""
    done = {str(stage) for (stage,) in database.rows(_DONE, {"stages": list(_ONCE)})}
    for stage, outdated in _ONCE.items():
        if stage not in done:
            found, first, last = (int(number) for number in one(database, outdated))
            if found:
                plan_rebuild(database, first, (last // _HOUR + 1) * _HOUR)
            database.run(_DO, {"stage": stage})


def plan_untold(database: Database) -> None:
    """Leave word of attempts of the last hour of which there is none: who recorded them died, or is about to tell."""
    database.run(_UNTOLD, {})


_WITHIN = "timestamp >= toDateTime({since:UInt32}, 'UTC') AND timestamp < toDateTime({until:UInt32}, 'UTC')"
_COUNT = (
    f"SELECT (SELECT count() FROM processed_events WHERE {_WITHIN})"  # noqa: S608  names of our own
    f" + (SELECT count() FROM session_event_rows WHERE {_WITHIN}) + (SELECT count() FROM raw_events WHERE {_WITHIN})"
)
_HOURS = (
    "SELECT toUnixTimestamp(toStartOfHour(timestamp)) AS hour, count() FROM processed_events"  # noqa: S608
    f" WHERE {_WITHIN} GROUP BY hour ORDER BY hour"
)
_LEAVE = """INSERT INTO touched (attempt_id, minutes, event_ids, events, kind)
SELECT generateUUIDv4(), [toDateTime({since:UInt32}, 'UTC'), toDateTime({until:UInt32}, 'UTC')], [],
    {events:UInt64}, {kind:String}"""
_DONE = "SELECT DISTINCT stage FROM measure_progress WHERE stage IN {stages:Array(String)}"
_DO = "INSERT INTO measure_progress (stage, version) SELECT {stage:String}, 1"
# How much there is of it, and from which second to which.
_ONCE = {
    # Environments had not been kept apart. A session that has an event of a test key may have others beside it, from
    # its start to its end.
    "parted": """SELECT count(), toUnixTimestamp(min(started_at)), toUnixTimestamp(max(ended_at)) FROM sessions
WHERE session_id IN (SELECT session_id FROM session_events WHERE environment = 'test')""",
    # Visitors had no numbers, and distributions another form: what is of both does not come together. Only as far back
    # as events are whole: what was made of those that were let go cannot be made again.
    "numbered": """WITH
    (SELECT toStartOfDay(toDateTime(min(timestamp), 'UTC')) FROM processed_events) AS oldest,
    (SELECT count() FROM metric_states WHERE step = '10m' AND window < oldest) AS of_older,
    (SELECT max(day) + INTERVAL 1 DAY FROM (
        SELECT day, sum(number) AS lacking FROM (
            SELECT toStartOfDay(toDateTime(timestamp, 'UTC')) AS day, 1 AS number FROM session_event_rows FINAL
            UNION ALL SELECT toStartOfDay(toDateTime(timestamp, 'UTC')), -1 FROM processed_events WHERE identity != '')
        GROUP BY day HAVING lacking > 0)) AS whole,
    greatest(whole, oldest + toIntervalDay(of_older > 0)) AS since
SELECT if((SELECT count() FROM processed_events) = 0, 0, count()), toUnixTimestamp(since), toUnixTimestamp(max(window))
FROM metric_states WHERE step = '10m' AND window >= since""",
}
# All rows of an attempt are told of at once, so one of them tells of all. Which of its events had rivals nobody knows:
# the one that is none says that it may.
_UNTOLD = """INSERT INTO touched (attempt_id, minutes, event_ids, events)
SELECT attempt_id, groupUniqArray(toStartOfMinute(toDateTime(timestamp, 'UTC'))), [toUUIDOrZero('')], count()
FROM processed_events WHERE stored_at > now64(9) - INTERVAL 1 HOUR AND attempt_id IN (
    SELECT attempt_id FROM (
        SELECT attempt_id, any((timestamp, event_id)) AS one FROM processed_events
        WHERE stored_at > now64(9) - INTERVAL 1 HOUR AND identity != ''
            AND attempt_id NOT IN (SELECT attempt_id FROM touched)
        GROUP BY attempt_id
    ) WHERE one NOT IN (SELECT (timestamp, event_id) FROM session_event_rows FINAL
        WHERE version > 0 AND timestamp >= (SELECT min(timestamp) FROM processed_events
            WHERE stored_at > now64(9) - INTERVAL 1 HOUR))
)
GROUP BY attempt_id"""
