"""The statements that read sessions and journeys. Pure: a question in, SQL and its parameters out."""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from collections.abc import Sequence

from functions.serve.analytics_params import SessionsQuery
from functions.serve.cursor import Position
from functions.serve.filters import Bindings
from functions.serve.scope_sql import conditions
from functions.serve.shapes import Shape
from functions.serve.statement import Row, Statement
from functions.shared.domain import environments

_ID = "toString(session_id)"
_EVENT_ID = "toString(event_id)"
_NS = "toUnixTimestamp64Nano"
# Each field of a session, and the SQL that reads it.
FIELDS = {
    "session_id": _ID,
    "visitor": "visitor",
    "user_id": "toString(user_id)",
    "started_at": f"{_NS}(started_at)",
    "ended_at": f"{_NS}(ended_at)",
    "duration_seconds": "duration_seconds",
    "event_count": "event_count",
    "page_view_count": "page_view_count",
    "entry_page": "entry_page",
    "exit_page": "exit_page",
    "referrer": "referrer",
    "campaign": "campaign",
    "country": "country",
    "device_type": "device_type",
    "browser": "browser",
    "os": "os",
    "platforms": "platforms",
    "client_session_ids": "arrayMap(one -> toString(one), client_session_ids)",
    "is_bounce": "is_bounce",
    "is_bot": "is_bot",
    "environment": "environment",
    "state": "toString(state)",
    "computed_at": f"{_NS}(toDateTime64(computed_at, 9, 'UTC'))",
}
_COLUMNS = ", ".join(FIELDS.values())


def page(query: SessionsQuery, after: Position | None, visitor: str | None = None) -> Statement:
    """A page of sessions and one more, the newest first; ``visitor`` is whom the user of the query goes by."""
    bindings = Bindings()
    where = conditions(query.scope, bindings, "started_at")
    if visitor is not None:
        where += _of(visitor, bindings)
    if query.anonymous_id is not None:
        device = bindings.bind(query.anonymous_id, "String")
        own = environments.condition(query.scope.environment)
        events = f"SELECT event_id FROM processed_events WHERE anonymous_id = {device} AND {own}"
        times = f"SELECT timestamp FROM processed_events WHERE anonymous_id = {device} AND {own}"
        of_device = f"SELECT session_id FROM session_events WHERE timestamp IN ({times}) AND event_id IN ({events})"
        where.append(f"session_id IN ({of_device})")
    if after is not None:
        at, session = bindings.time(after.at), bindings.bind(after.event_id, "String")
        where += [f"started_at <= {at}", f"(started_at < {at} OR {_ID} < {session})"]
    return Statement(
        f"SELECT {_COLUMNS} FROM sessions WHERE {' AND '.join(where)} ORDER BY started_at DESC, {_ID} DESC"
        f" LIMIT {query.paging.limit + 1}",
        bindings.values,
    )


def some(session_ids: Sequence[str], environment: str) -> Statement:
    """These sessions, as far as they are of the environment."""
    bindings = Bindings()
    which = bindings.bind(list(session_ids), "Array(UUID)")
    own = f"environment = {bindings.bind(environment, 'String')}"
    return Statement(f"SELECT {_COLUMNS} FROM sessions WHERE session_id IN {which} AND {own}", bindings.values)


def places_of_session(session: Row, after: Position | None, limit: int) -> Statement:
    """The places of a session's events in order: nanoseconds, id, session; one more than a page."""
    bindings = Bindings()
    told = dict(zip(FIELDS, session, strict=True))
    where = [
        f"session_id = {bindings.bind(told['session_id'], 'UUID')}",
        f"timestamp >= {bindings.time(told['started_at'])}",
        f"timestamp <= {bindings.time(told['ended_at'])}",
        f"environment = {bindings.bind(told['environment'], 'String')}",
    ]
    return _places(where, after, limit, bindings)


def places_of_visitor(visitor: str, environment: str, after: Position | None, limit: int) -> Statement:
    """The places of a visitor's events in order: nanoseconds, id, session; one more than a page."""
    bindings = Bindings()
    own = f"environment = {bindings.bind(environment, 'String')}"
    return _places([*_of(visitor, bindings), own], after, limit, bindings)


def merged_into(visitor: str) -> Statement:
    """By which name a visitor goes, when it was merged into another."""
    sql = "SELECT merged_into FROM visitor_aliases FINAL WHERE visitor = {visitor:String} AND NOT gone"
    return Statement(sql, {"visitor": visitor})


def events(places: Sequence[Sequence[object]], shape: Shape, environment: str) -> Statement:
    """The events at some places: id, then the shape's values."""
    bindings = Bindings()
    since, until = bindings.time(int(str(places[0][0]))), bindings.time(int(str(places[-1][0])))
    which = bindings.bind([place[1] for place in places], "Array(UUID)")
    return Statement(
        f"SELECT {_EVENT_ID}, {', '.join(shape.expressions)} FROM processed_events WHERE timestamp >= {since}"
        f" AND timestamp <= {until} AND event_id IN {which} AND {environments.condition(environment)}"
        " ORDER BY received_at, digest",
        bindings.values,
    )


def _of(visitor: str, bindings: Bindings) -> list[str]:
    """Conditions for a visitor. The index is over the hash."""
    name = bindings.bind(visitor, "String")
    return [f"visitor_hash = cityHash64({name})", f"visitor = {name}"]


def _places(where: list[str], after: Position | None, limit: int, bindings: Bindings) -> Statement:
    if after is not None:
        at, event_id = bindings.time(after.at), bindings.bind(after.event_id, "String")
        where = [*where, f"timestamp >= {at}", f"(timestamp > {at} OR {_EVENT_ID} > {event_id})"]
    return Statement(
        f"SELECT {_NS}(timestamp), {_EVENT_ID}, {_ID} FROM session_events WHERE {' AND '.join(where)}"
        f" ORDER BY timestamp, {_EVENT_ID} LIMIT {limit + 1}",
        bindings.values,
    )
