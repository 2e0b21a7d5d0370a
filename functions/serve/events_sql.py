"""The statements that read events. Pure: a query in, SQL and its parameters out."""
# ruff: noqa: S608  the SQL is put together from our own names; every value travels as a parameter

from functions.serve.catalogue import TABLES, Source
from functions.serve.cursor import Position
from functions.serve.filters import Bindings, conditions
from functions.serve.params import EventQuery
from functions.serve.shapes import Shape
from functions.serve.statement import Statement
from functions.serve.windows import EVERYTHING, Window
from functions.shared.domain import environments

# ClickHouse sorts a UUID by its second half; the contract's order is that of its text.
_ID_TEXT = "toString(event_id)"
# While two deliveries are being recorded at once both rows may stand for a moment: the first of these counts.
BEST = {"processed": "received_at, digest", "raw": "processing_status = 'failed', received_at, digest"}


def page(
    query: EventQuery, after: Position | None, shape: Shape, window: Window = EVERYTHING, rows: int | None = None
) -> Statement:
    """A page and one event more. A row: the order key (nanoseconds, id), the store's clock, the shape's values."""
    bindings = Bindings()
    where = [*conditions(query, bindings), *_within(window, bindings)]
    if after is not None:
        where += _behind(query, after, bindings)
    keys = [f"toUnixTimestamp64Nano({query.order_by})", _ID_TEXT, "toUnixTimestamp64Nano(now64(9))"]
    direction = query.order.upper()
    sql = (
        f"SELECT {', '.join(keys + shape.expressions)} FROM {TABLES[query.source]}"
        f"{' WHERE ' + ' AND '.join(where) if where else ''}"
        f" ORDER BY {query.order_by} {direction}, {_ID_TEXT} {direction}"
        f" LIMIT {query.limit + 1 if rows is None else rows}"
    )
    return Statement(sql, bindings.values)


def first_timestamp(query: EventQuery) -> Statement:
    """The timestamp at which the whole table begins, in the query's order. The primary key answers it."""
    sql = f"SELECT toUnixTimestamp64Nano(timestamp) FROM {TABLES[query.source]}"
    return Statement(f"{sql} ORDER BY timestamp {query.order.upper()} LIMIT 1", {})


def one_event(source: Source, event_id: str, environment: str) -> Statement:
    """One event of an environment by its id, all of its fields that are shown."""
    bindings = Bindings()
    expressions = ", ".join(Shape(source).expressions)
    identity = bindings.bind(event_id, "UUID")
    where = f"event_id = {identity} AND {environments.condition(environment)}"
    sql = f"SELECT {expressions} FROM {TABLES[source]} WHERE {where} ORDER BY {BEST[source]} LIMIT 1"
    return Statement(sql, bindings.values)


def _behind(query: EventQuery, after: Position, bindings: Bindings) -> list[str]:
    """Strictly after a position. The first condition alone is what the primary key understands."""
    column, sign = query.order_by, "<" if query.order == "desc" else ">"
    at, event_id = bindings.time(after.at), bindings.bind(after.event_id, "String")
    return [f"{column} {sign}= {at}", f"({column} {sign} {at} OR {_ID_TEXT} {sign} {event_id})"]


def _within(window: Window, bindings: Bindings) -> list[str]:
    found = [] if window.since is None else [f"timestamp >= {bindings.time(window.since)}"]
    return found if window.until is None else [*found, f"timestamp < {bindings.time(window.until)}"]
