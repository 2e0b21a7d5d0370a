"""Filters as SQL conditions. Names come from our own lists; whatever a client sent travels as a parameter."""

import re
from collections.abc import Sequence
from math import isfinite
from typing import Any

from functions.serve.params import DocumentFilter, EventQuery
from functions.shared.domain import environments

_UUIDS = frozenset({"event_id", "session_id", "user_id"})
_COLUMNS = {"status": "toString(processing_status)"}
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,400})(?:\.\d{1,400})?(?:[eE][+-]?\d{1,3})?\Z", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,30}\Z", re.ASCII)
_COMPARE = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NUMERIC_TYPES = "('Int64', 'UInt64', 'Float64')"


class Bindings:
    """The parameters of one statement; each gets a name of its own."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def bind(self, value: Any, kind: str) -> str:
        """A placeholder for ``value`` of the ClickHouse type ``kind``."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{kind}}}"

    def time(self, nanoseconds: int) -> str:
        """A placeholder for an instant."""
        return f"fromUnixTimestamp64Nano({self.bind(nanoseconds, 'Int64')})"


def conditions(query: EventQuery, bindings: Bindings) -> list[str]:
    """The query's filters, to be joined by AND."""
    found = []
    if query.since is not None:
        found.append(f"timestamp >= {bindings.time(query.since)}")
    if query.until is not None:
        found.append(f"timestamp < {bindings.time(query.until)}")
    found.append(environments.condition(query.environment))
    found += [_equal(name, values, bindings) for name, values in query.equal]
    found += [_document(one, bindings) for one in query.documents]
    return found


def any_of(column: str, values: Sequence[str], kind: str, bindings: Bindings) -> str:
    """``column`` is one of the values. A single one is compared by ``=``, which every index understands."""
    if len(values) == 1:
        return f"{column} = {bindings.bind(values[0], kind)}"
    return f"{column} IN {bindings.bind(list(values), f'Array({kind})')}"


def _equal(name: str, values: Sequence[str], bindings: Bindings) -> str:
    if name == "stitched_session_id":
        stitched = f"FROM session_events WHERE {any_of('session_id', values, 'UUID', bindings)}"
        # The timestamps lead to the events by the primary key.
        return f"timestamp IN (SELECT timestamp {stitched}) AND event_id IN (SELECT event_id {stitched})"
    return any_of(_COLUMNS.get(name, name), values, "UUID" if name in _UUIDS else "String", bindings)


def _document(one: DocumentFilter, bindings: Bindings) -> str:
    """A condition on a path that may hold numbers in one event and texts in the next: compare the value's text."""
    # Dynamic refuses to be compared with a value of one type, so it is always read as text first.
    value = f"getSubcolumn({one.document}, {bindings.bind(one.path, 'String')})"
    text = f"{value}::Nullable(String)"
    if one.operator == "exists":
        there = f"({value} IS NOT NULL{_below(one, bindings)})"
        return there if one.values == ("true",) else f"NOT {there}"
    if one.operator == "ne":
        # An event without the value does not have this value; `exists` leaves it out where that is not wanted.
        return f"NOT ifNull({_is_any(value, text, one.values, bindings)}, false)"
    if one.operator == "eq":
        return f"{_hint(one, bindings)} AND {_is_any(value, text, one.values, bindings)}"
    if one.operator == "contains":
        each = [f"position({text}, {bindings.bind(wanted, 'String')}) > 0" for wanted in one.values]
    else:
        each = [_compared(text, _COMPARE[one.operator], wanted, bindings) for wanted in one.values]
    return f"({' OR '.join(each)})"


def _below(one: DocumentFilter, bindings: Bindings) -> str:
    """Or there is an object at the path. The store's notation for that has no way to say a backtick."""
    if "`" in one.path:
        return ""
    found = f"getSubcolumn({one.document}, {bindings.bind(f'^`{one.path}`', 'String')})::Nullable(String)"
    return f" OR ifNull({found}, '{{}}') != '{{}}'"


def _hint(one: DocumentFilter, bindings: Bindings) -> str:
    """Lets the index over all values of the document pass over what cannot hold the value; reads nothing itself."""
    wanted = bindings.bind(list(one.values), "Array(String)")
    odd = _odd_numbers(one.values)
    if odd:
        wanted = f"arrayConcat({wanted}, {_as_stored(odd, bindings)})"
    return f"indexHint(hasAny(JSONAllValues({one.document}), {wanted}))"


def _is_any(value: str, text: str, wanted: Sequence[str], bindings: Bindings) -> str:
    same = any_of(text, wanted, "String", bindings)
    odd = _odd_numbers(wanted)
    if not odd:
        return same
    return f"({same} OR (dynamicType({value}) IN {_NUMERIC_TYPES} AND has({_as_stored(odd, bindings)}, {text})))"


def _odd_numbers(wanted: Sequence[str]) -> list[float]:
    """Numbers written in a manner of their own: the store writes 1.0 as 1 and 1e3 as 1000."""
    return [float(one) for one in wanted if _NUMBER.match(one) and not _INTEGER.match(one) and isfinite(float(one))]


def _as_stored(numbers: list[float], bindings: Bindings) -> str:
    """The numbers' texts as the store writes them."""
    return f"arrayMap(x -> toString(x), {bindings.bind(numbers, 'Array(Float64)')})"


def _compared(text: str, sign: str, wanted: str, bindings: Bindings) -> str:
    """As numbers where both are, whole ones exactly; else as texts."""
    as_text = f"{text} {sign} {bindings.bind(wanted, 'String')}"
    if not _NUMBER.match(wanted) or not isfinite(float(wanted)):
        return f"ifNull({as_text}, false)"
    branches = [f"isNull({text}), false"]
    if _INTEGER.match(wanted):
        whole = f"toInt128OrNull({text})"
        branches.append(f"isNotNull({whole}), {whole} {sign} {bindings.bind(int(wanted), 'Int128')}")
    number = f"toFloat64OrNull({text})"
    branches.append(f"ifNull(isFinite({number}), false), {number} {sign} {bindings.bind(float(wanted), 'Float64')}")
    return f"ifNull(multiIf({', '.join(branches)}, {as_text}), false)"
