"""The commonest paths through sessions, in SQL. Pure: a question in, a statement out."""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from functions.serve.analytics_params import PathsQuery
from functions.serve.filters import Bindings
from functions.serve.scope_sql import ID_ORDER, conditions
from functions.serve.statement import Statement
from functions.shared.domain.instants import SECOND

# A session is shorter than a day, so its events are no further than that from its start.
_LONGEST_NS = 86_400 * SECOND
# A page view without a page goes by its name, as other events do.
_LABEL = "if(event_type = 'page_view' AND page_path != '', page_path, toString(event_name))"


def paths(query: PathsQuery) -> Statement:
    """A row a path, the commonest first: its places, its sessions, and the sessions that have any path."""
    bindings = Bindings()
    began = " AND ".join(conditions(query.scope, bindings, "started_at"))
    within = " AND ".join(conditions(query.scope._replace(bots=True), bindings, later_ns=_LONGEST_NS))
    labels = (
        "SELECT arrayCompact(arrayMap(one -> one.3, arraySort(one -> (one.1, one.2),"
        f" groupArray((timestamp, {ID_ORDER}, {_LABEL}))))) AS places FROM session_events WHERE {within}"
        f" AND session_id IN (SELECT session_id FROM sessions WHERE {began}) GROUP BY session_id"
    )
    depth = bindings.bind(query.depth, "UInt8")
    path = f"arraySlice(places, 1, {depth})"
    having = ""
    if query.start is not None:
        start = bindings.bind(query.start, "String")
        path, having = f"arraySlice(places, indexOf(places, {start}), {depth})", f" WHERE has(places, {start})"
    return Statement(
        f"SELECT {path} AS path, count() AS sessions, sum(count()) OVER () FROM ({labels}){having}"
        f" GROUP BY path ORDER BY sessions DESC, path LIMIT {query.limit}",
        bindings.values,
    )
