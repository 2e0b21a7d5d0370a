"""Filters of definitions as SQL conditions, and values as literals. Definitions are the operator's, not a client's."""

from collections.abc import Sequence
from typing import Any

from functions.measure.metrics.definitions import Comparison, Condition, Metric, Scalar, in_document
from functions.measure.metrics.sources import SOURCES, SourceName

_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NUMBERS = "('Int64', 'UInt64', 'Float64')"


def of(metric: Metric) -> str:
    """Which rows of its source a metric counts."""
    assert metric.source is not None
    source = SOURCES[metric.source]
    found = [_condition(metric.source, place, wanted) for place, wanted in metric.filter.items()]
    if source.bot and metric.bots != "include":
        found.insert(0, source.bot if metric.bots == "only" else f"NOT {source.bot}")
    return " AND ".join(f"({one})" for one in found) or "true"


def text(source: SourceName, place: str) -> str:
    """A field as Nullable(String)."""
    if in_document(source, place):
        return f"{_inside(place)}::Nullable(String)"
    return f"toNullable(toString({SOURCES[source].columns[place].sql}))"


def numbered(source: SourceName, metric: Metric) -> str:
    """The number that each value of what a metric counts once has, or nothing where it has none."""
    column = SOURCES[source].columns.get(metric.property or "")
    return column.number if column else ""


def number(source: SourceName, place: str) -> str:
    """A field as Nullable(Float64); inside a document only what is a number there, texts are none."""
    if in_document(source, place):
        value = _inside(place)
        return f"if(dynamicType({value}) IN {_NUMBERS}, toFloat64OrNull({value}::Nullable(String)), NULL)"
    return f"toNullable(toFloat64({SOURCES[source].columns[place].sql}))"


def literal(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _inside(place: str) -> str:
    document, path = place.split(".", 1)
    return f"getSubcolumn({document}, {literal(path)})"


def _condition(source: SourceName, place: str, wanted: Condition) -> str:
    if not isinstance(wanted, Comparison):
        return _any_of(source, place, wanted if isinstance(wanted, list) else [wanted])
    found = []
    if wanted.exists is not None:
        value = text(source, place)
        there = f"{value} IS NOT NULL" if in_document(source, place) else f"ifNull({value} != '', false)"
        found.append(there if wanted.exists else f"NOT ({there})")
    if wanted.ne is not None:
        found.append(f"NOT ({_any_of(source, place, [wanted.ne])})")
    for name, sign in _SIGNS.items():
        bound = getattr(wanted, name)
        if bound is not None:
            found.append(f"ifNull({number(source, place)} {sign} {bound!r}, false)")
    return " AND ".join(found)


def _any_of(source: SourceName, place: str, wanted: Sequence[Scalar]) -> str:
    column = SOURCES[source].columns.get(place)
    if column is not None and column.kind == "text":
        return f"{column.sql} IN ({', '.join(literal(str(one)) for one in wanted)})"
    if column is not None and column.kind == "boolean":
        return f"{column.sql} IN ({', '.join('true' if one else 'false' for one in wanted)})"
    if column is not None:
        return f"{column.sql} IN ({', '.join(repr(one) for one in wanted)})"
    return f"ifNull({text(source, place)} IN ({', '.join(literal(_stored(one)) for one in wanted)}), false)"


def _stored(value: Any) -> str:
    """A value's text as the store gives that of a JSON scalar."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
