"""Rows as the JSON arrays that ClickHouse reads (``JSONCompactEachRow``), some at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from functions.shared.errors import StoreRefused

# What is worked on at a time fits the processor's cache, from the rows to the bytes that are sent.
_AT_A_TIME = 500
_FEW = 64
_TIMES = frozenset({"received_at", "timestamp", "processed_at", "queued_at"})
_DOCUMENTS = frozenset({"properties_text", "context_text", "metrics_text"})
_FRAGMENT = orjson.Fragment


def pieces(columns: Sequence[str], attempt_id: str, rows: Sequence[tuple[Any, ...]]) -> list[bytes]:
    """The rows, each with the attempt behind its own columns. Raises :class:`StoreRefused` for what is no JSON."""
    try:
        return list(_pieces(columns, attempt_id, rows))
    except TypeError as error:
        raise StoreRefused("The store cannot be sent it: it cannot be written as JSON.") from error


def _pieces(columns: Sequence[str], attempt_id: str, rows: Sequence[tuple[Any, ...]]) -> Iterator[bytes]:
    for first in range(0, len(rows), _AT_A_TIME):
        some = rows[first : first + _AT_A_TIME]
        # By column, since what is to be done to a value depends on its column alone.
        values: list[Sequence[Any]] = list(zip(*some, strict=True))
        for place, name in enumerate(columns):
            if name in _TIMES:
                values[place] = _times(values[place])
            elif name in _DOCUMENTS:
                values[place] = list(map(_FRAGMENT, values[place]))
            elif name == "raw_data":
                values[place] = list(map(_raw, values[place], values[columns.index("processing_status")]))
        values.append([attempt_id] * len(some))
        yield orjson.dumps(list(zip(*values, strict=True)))[1:-1] + b"\n"


def _times(column: Sequence[int]) -> list[str]:
    """A DateTime64(9) reads nanoseconds only as digits in a string. All of a message's rows share most times."""
    distinct = set(column)
    if len(distinct) > _FEW:
        return list(map(str, column))
    texts = {value: str(value) for value in distinct}
    return [texts[value] for value in column]


def _raw(text: str, status: str) -> Any:
    """An event's own text. A String column takes a JSON object as its text, so a valid one needs no escaping.

    One that failed may be anything, and the space around an object would be lost.
    """
    plain = status == "processed" and text[:1] == "{" and text[-1:] == "}"
    return _FRAGMENT(text) if plain else text
