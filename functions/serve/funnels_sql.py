"""Funnels in SQL. Pure: a question in, a statement out.

A visitor's events that are steps stand in order in one array, and with it go arrays that tell, of each event, when the
way goes on after it: filled from the end, so that each is made in one go, and a visitor with a million events costs a
sort of them. The way counts as far as it is within the window from its first step.
"""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from functions.serve.analytics_params import FunnelQuery
from functions.serve.filters import Bindings
from functions.serve.scope_sql import POSITION, conditions
from functions.serve.statement import Statement

# After the last event: it is no step, and never comes.
_NEVER = 2**63 - 1
# An event is one number: its place in the order of all, and below that its step.
_ID_BITS, _STEP_BITS = 128, 8


def funnel(query: FunnelQuery) -> Statement:
    """A row a group: its name, the visitors at each step, and the median nanoseconds from each step to the next."""
    bindings = Bindings()
    names = list(dict.fromkeys(query.steps))
    place = [names.index(step) + 1 for step in query.steps]
    ways = _ways(_ordered(query, names, bindings), place, bindings.bind(query.window_ns, "Int64"))
    count = len(place)
    visitors = ", ".join(f"countIf(level >= {step})" for step in range(1, count + 1))
    medians = ", ".join(
        f"quantileExactInclusiveIf(0.5)(way[{step}] - way[{step - 1}], level >= {step})" for step in range(2, count + 1)
    )
    return Statement(f"SELECT g, [{visitors}], [{medians}] FROM ({ways}) GROUP BY g ORDER BY g", bindings.values)


def _ordered(query: FunnelQuery, names: list[str], bindings: Bindings) -> str:
    """By visitor who took the first step: times, steps (from 1, by name) and groups of events, in order."""
    known = bindings.bind(names, "Array(String)")
    where = [f"event_name IN {known}", *conditions(query.scope, bindings)]
    # Not indexOf: this is looked up once a name, not once a row.
    step = f"toUInt8(transform(event_name, {known}, {list(range(1, len(names) + 1))}, 0))"
    event = f"bitShiftLeft({POSITION}, {_STEP_BITS}) + {step}"
    groups = "emptyArrayString()"
    if query.group_by:
        groups = f"arraySort((one, at) -> at, groupArray(toString({query.group_by})), groupArray({event}))"
    grouped = (
        f"SELECT arraySort(groupArray({event})) AS e, {groups} AS gs FROM session_events WHERE {' AND '.join(where)}"
        f" GROUP BY visitor_hash HAVING countIf(event_name = {bindings.bind(query.steps[0], 'String')}) > 0"
    )
    times = f"arrayMap(one -> toInt64(bitShiftRight(one, {_ID_BITS + _STEP_BITS})), e)"
    return (
        f"SELECT arrayPushBack({times}, {_NEVER}) AS t, arrayPushBack(arrayMap(one -> toUInt8(one), e), 0) AS s, gs"
        f" FROM ({grouped})"
    )


def _ways(ordered: str, place: list[int], window: str) -> str:
    """By visitor: the group, how far the way goes, and the times at its steps (beyond `level` they mean nothing)."""
    found, after = ordered, list[int]()
    for step in range(len(place), 1, -1):
        # f<step>_<later>: when the way is at <later>, if after this event it goes on by the next event of <step>.
        arrays = [_next("t", place[step - 1], f"f{step}_{step}")]
        arrays += [_next(f"f{step + 1}_{later}", place[step - 1], f"f{step}_{later}") for later in after]
        after = [step, *after]
        found = f"SELECT {', '.join(['t', 's', 'gs', *arrays])} FROM ({found})"
    later = [f"f2_{step}" for step in after]
    names = [f"x{step}" for step in after]
    passed = " + ".join(f"({name} - x <= {window})" for name in names)
    levels = f"arrayMap((x, y, {', '.join(names)}) -> if(y = {place[0]}, 1 + {passed}, 0), t, s, {', '.join(later)})"
    best = f"SELECT *, {levels} AS levels, arrayMax(levels) AS level, indexOf(levels, level) AS best FROM ({found})"
    way = ", ".join(f"{name}[best]" for name in ("t", *later))
    return f"SELECT gs[best] AS g, level, [{way}] AS way FROM ({best})"


def _next(values: str, place: int, name: str) -> str:
    """Of each event, the value at the first event after it that is at a place."""
    filled = f"arrayReverseFill((value, at) -> at = {place}, {values}, s)"
    return f"arrayPushBack(arrayPopFront({filled}), {_NEVER}) AS {name}"
