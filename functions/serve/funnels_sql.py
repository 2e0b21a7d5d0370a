"""Funnels in SQL. Pure: a question in, a statement out.

A visitor's events that are steps are looked at from the last step to the first: after each event, which is the earliest
way through the steps that follow? So of each first step the earliest way is known, whatever lies between, and a visitor
with a million events costs a sort of them. The way counts as far as it is within the window from its first step.
"""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from functions.serve.analytics_params import FunnelQuery
from functions.serve.filters import Bindings
from functions.serve.scope_sql import ID_ORDER, conditions
from functions.serve.statement import Statement

# Backwards, since a window that only grows is computed by adding to it, and one that shrinks anew for each row.
_AFTER = "OVER (PARTITION BY v ORDER BY ts DESC, id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"


def funnel(query: FunnelQuery) -> Statement:
    """A row a group: its name, the visitors at each step, and the median nanoseconds from each step to the next."""
    bindings = Bindings()
    names = list(dict.fromkeys(query.steps))
    known = bindings.bind(names, "Array(String)")
    place = [names.index(step) + 1 for step in query.steps]
    group = f"toString({query.group_by})" if query.group_by else "''"
    where = [f"event_name IN {known}", *conditions(query.scope, bindings)]
    steps = (
        f"SELECT visitor_hash AS v, toUnixTimestamp64Nano(timestamp) AS ts, {ID_ORDER} AS id,"
        f" indexOf({known}, toString(event_name)) AS s, {group} AS g FROM session_events WHERE {' AND '.join(where)}"
    )
    # Who has not both of the first two steps goes no further than the first: the earliest event is all that matters.
    first = f"s = {place[0]}"
    ways = (
        "SELECT v, event.1 AS ts, event.2 AS id, event.3 AS s, event.4 AS g FROM"
        f" (SELECT v, arrayJoin(if(countIf({first}) > 0 AND countIf(s = {place[1]}) > 0, groupArray((ts, id, s, g)),"
        f" [argMinIf((ts, id, s, g), (ts, id), {first})])) AS event"
        f" FROM ({steps}) GROUP BY v HAVING countIf({first}) > 0)"
    )
    following = "[]::Array(Int64)"
    for number in reversed(place[1:]):
        ways = (
            f"SELECT v, ts, id, s, g, minIf(arrayConcat([ts], {following}), s = {number}) {_AFTER} AS f FROM ({ways})"
        )
        following = "f"
    window = bindings.bind(query.window_ns, "Int64")
    ways = (
        f"SELECT v, ts, id, g, arrayFilter(one -> one - ts <= {window}, arrayConcat([ts], f)) AS way FROM ({ways})"
        f" WHERE {first}"
    )
    best = f"SELECT argMin((g, way), (-toInt64(length(way)), ts, id)) AS best FROM ({ways}) GROUP BY v"
    best = f"SELECT best.1 AS g, best.2 AS way FROM ({best})"
    count = len(place)
    visitors = ", ".join(f"countIf(length(way) >= {step})" for step in range(1, count + 1))
    medians = ", ".join(
        f"quantileExactInclusiveIf(0.5)(way[{step}] - way[{step - 1}], length(way) >= {step})"
        for step in range(2, count + 1)
    )
    return Statement(f"SELECT g, [{visitors}], [{medians}] FROM ({best}) GROUP BY g ORDER BY g", bindings.values)
