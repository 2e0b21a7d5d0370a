"""The statements about deliveries: traces, batches, counts, lag, and the names of properties."""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from typing import NamedTuple

from functions.serve.events_sql import BEST
from functions.serve.filters import Bindings, any_of
from functions.serve.statement import Statement
from functions.shared.domain import environments, lags

MAX_DELIVERIES = 100
MAX_BATCH_ROWS = 100_000
SAMPLE_ROWS = 20_000
MAX_PATHS = 5_000
MAX_FIRING = 200
LAG_WINDOW_SECONDS = lags.WINDOW_SECONDS


class Sample(NamedTuple):
    """Of which events the newest are looked at. Times are nanoseconds, half-open; no names are all names."""

    since: int | None = None
    until: int | None = None
    event_names: tuple[str, ...] = ()
    environment: str = environments.LIVE


def _ns(column: str) -> str:
    return f"toUnixTimestamp64Nano({column})"


def trace(event_id: str, environment: str) -> Statement:
    """The way of the delivery that counts, one row: times in nanoseconds, then what is known of it."""
    columns = [
        *map(_ns, ("received_at", "queued_at", "processed_at", "stored_at")),
        *("attempt", "toString(processing_status)", "error_message", "batch_id", "batch_index", "digest", "key_id"),
    ]
    return Statement(
        f"SELECT {', '.join(columns)} FROM raw_events WHERE event_id = {{id:UUID}}"
        f" AND {environments.condition(environment)} ORDER BY {BEST['raw']} LIMIT 1",
        {"id": event_id},
    )


def deliveries(event_id: str, environment: str) -> Statement:
    """Every delivery of an event in an environment, the same one recorded twice counted once, the earliest first."""
    return Statement(
        f"SELECT {_ns('received_at')}, digest, batch_id, batch_index, max(failed), {_ns('min(recorded_at)')}"
        " FROM event_deliveries WHERE event_key = UUIDStringToNum({id:String})"
        f" AND {environments.condition(environment)}"
        f" GROUP BY received_at, digest, batch_id, batch_index ORDER BY received_at, digest LIMIT {MAX_DELIVERIES}",
        {"id": event_id},
    )


def batch_deliveries(batch_id: str, environment: str) -> Statement:
    """The places of a batch that arrived at the store: index, event."""
    return Statement(
        "SELECT batch_index, toString(event_id) FROM event_deliveries WHERE batch_id = {id:UUID}"
        f" AND {environments.condition(environment)}"
        f" GROUP BY batch_index, event_id ORDER BY batch_index LIMIT {MAX_BATCH_ROWS}",
        {"id": batch_id},
    )


def batch_rows(batch_id: str, environment: str) -> Statement:
    """The places of a batch that count: index, event, status, errors, and the size of the whole batch."""
    return Statement(
        "SELECT batch_index, toString(event_id), toString(processing_status), error_message, batch_size"
        f" FROM raw_events WHERE batch_id = {{id:UUID}} AND {environments.condition(environment)}"
        f" ORDER BY batch_index LIMIT {MAX_BATCH_ROWS}",
        {"id": batch_id},
    )


def stored_among(event_ids: list[str]) -> Statement:
    """Which of the events are stored, whatever batch they came in."""
    bindings = Bindings()
    condition = any_of("event_id", event_ids, "UUID", bindings)
    return Statement(f"SELECT DISTINCT toString(event_id) FROM raw_events WHERE {condition}", bindings.values)


def counts(environment: str) -> Statement:
    """Attempts to record a delivery, events stored, of which failed, rows that can be read as processed, and erased."""
    own = environments.condition(environment)
    return Statement(
        f"SELECT (SELECT countIf({own}) FROM event_deliveries), (SELECT countIf({own}) FROM raw_events),"
        f" (SELECT countIf(processing_status = 'failed' AND {own}) FROM raw_events),"
        f" (SELECT countIf({own}) FROM processed_events),"
        f" (SELECT countIf(place = 'raw_events' AND {own}) FROM erased_events FINAL)",
        {},
    )


def received(environment: str) -> Statement:
    """How many deliveries there were, of which a broker's redelivery is none: it has the same receipt and place.

    Told apart by 64 bits, which is wrong by one in 400,000 cases at ten million deliveries, and five times as fast.
    """
    own = environments.condition(environment)
    return Statement(
        f"SELECT uniqExact(sipHash64(received_at, batch_id, batch_index)) FROM event_deliveries WHERE {own}", {}
    )


def lag(environment: str) -> Statement:
    """The newest receipt and storage, and how long events of the last minutes took between the two, in seconds."""
    return Statement(f"{lags.SQL} AND {environments.condition(environment)}", {})


def firing(environment: str) -> Statement:
    """The alerts that fire: rule, tags as JSON, severity, summary, value, and since when in nanoseconds.

    Those about the other environment are left out.
    """
    newest = "SELECT * FROM alert_changes FINAL ORDER BY alert_id, number DESC LIMIT 1 BY alert_id"
    return Statement(
        f"SELECT rule, tags, severity, summary, value, fired_at FROM ({newest}) WHERE state = 'firing'"
        " AND JSONExtractString(tags, 'environment') IN ('', {environment:String})"
        f" ORDER BY fired_at, rule, tags LIMIT {MAX_FIRING}",
        {"environment": environment},
    )


def requests(environment: str) -> Statement:
    """Events of the last minutes, and in how many requests they came: an event is its part of one."""
    recent = f"stored_at >= now64(9) - INTERVAL {LAG_WINDOW_SECONDS} SECOND AND {environments.condition(environment)}"
    return Statement(f"SELECT count(), sum(1 / greatest(batch_size, 1)) FROM raw_events WHERE {recent}", {})


def properties(asked: Sample) -> Statement:
    """Per event name: the paths and types within the newest events, and in how many of them each was seen."""
    newest = _newest("event_name, properties", asked)
    pairs = f"SELECT event_name, arrayJoin(JSONAllPathsWithTypes(properties)) AS pair FROM ({newest.sql})"
    return Statement(
        f"SELECT event_name, pair.1 AS path, pair.2 AS kind, count() FROM ({pairs})"
        f" GROUP BY event_name, path, kind ORDER BY event_name, path, kind LIMIT {MAX_PATHS + 1}",
        newest.parameters,
    )


def names_seen(asked: Sample) -> Statement:
    """How many of the newest events have each name, so that one without properties is listed as well."""
    newest = _newest("event_name", asked)
    sql = f"SELECT event_name, count() FROM ({newest.sql}) GROUP BY event_name ORDER BY event_name LIMIT {MAX_PATHS}"
    return Statement(sql, newest.parameters)


def _newest(columns: str, asked: Sample) -> Statement:
    bindings = Bindings()
    where = [environments.condition(asked.environment)]
    if asked.since is not None:
        where.append(f"timestamp >= {bindings.time(asked.since)}")
    if asked.until is not None:
        where.append(f"timestamp < {bindings.time(asked.until)}")
    if asked.event_names:
        where.append(any_of("event_name", asked.event_names, "String", bindings))
    condition = " AND ".join(where)
    sql = f"SELECT {columns} FROM processed_events WHERE {condition} ORDER BY timestamp DESC LIMIT {SAMPLE_ROWS}"
    return Statement(sql, bindings.values)
