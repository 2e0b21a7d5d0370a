"""The commonest paths through sessions, in SQL. Pure: a question in, a statement out.

Paths are counted by hashes of their places, which takes a third of the time; then the places are read of one session of
each path that is answered.
"""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from collections.abc import Sequence

from functions.serve.analytics_params import PathsQuery
from functions.serve.filters import Bindings
from functions.serve.scope_sql import POSITION, conditions
from functions.serve.statement import Statement
from functions.shared.domain.instants import SECOND

# A session is shorter than a day, so its events are no further than that from its start.
_LONGEST_NS = 86_400 * SECOND
# A page view without a page goes by its name, as other events do.
_VIEW = "event_type = 'page_view' AND page_path != ''"
_HASH = f"if({_VIEW}, cityHash64(page_path), cityHash64(event_name))"
_LABEL = f"if({_VIEW}, page_path, toString(event_name))"


def paths(query: PathsQuery) -> Statement:
    """A row a path, the commonest first: one of its sessions, how many there are, and how many have any path."""
    bindings = Bindings()
    began = " AND ".join(conditions(query.scope, bindings, "started_at"))
    within = " AND ".join(_events(query, bindings))
    places = (
        f"SELECT session_id, {_places(_HASH)} AS places FROM session_events WHERE {within}"
        f" AND session_id IN (SELECT session_id FROM sessions WHERE {began}) GROUP BY session_id"
    )
    path, having = _path(query, bindings, "cityHash64({})")
    return Statement(
        f"SELECT toString(any(session_id)), count() AS sessions, sum(count()) OVER () FROM ({places}){having}"
        f" GROUP BY {path} AS path ORDER BY sessions DESC, path LIMIT {query.limit}",
        bindings.values,
    )


def places(query: PathsQuery, session_ids: Sequence[str]) -> Statement:
    """The paths of some sessions: session, places."""
    bindings = Bindings()
    which = bindings.bind(list(session_ids), "Array(UUID)")
    within = " AND ".join([f"session_id IN {which}", *_events(query, bindings)])
    places = f"SELECT session_id, {_places(_LABEL)} AS places FROM session_events WHERE {within} GROUP BY session_id"
    path, _ = _path(query, bindings, "{}")
    return Statement(f"SELECT toString(session_id), {path} FROM ({places})", bindings.values)


def _events(query: PathsQuery, bindings: Bindings) -> list[str]:
    """Conditions for the events of sessions that began within the range."""
    return conditions(query.scope._replace(bots=True), bindings, later_ns=_LONGEST_NS)


def _places(label: str) -> str:
    """The places of a session in order, repeats in a row merged."""
    return f"arrayCompact(arraySort((place, at) -> at, groupArray({label}), groupArray({POSITION})))"


def _path(query: PathsQuery, bindings: Bindings, told: str) -> tuple[str, str]:
    """The part of the places that makes the path, and which sessions have one."""
    depth = bindings.bind(query.depth, "UInt8")
    if query.start is None:
        return f"arraySlice(places, 1, {depth})", ""
    start = told.format(bindings.bind(query.start, "String"))
    return f"arraySlice(places, indexOf(places, {start}), {depth})", f" WHERE has(places, {start})"
