"""Rows as the JSON arrays that ClickHouse reads (``JSONCompactEachRow``), some at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from functions.shared.errors import StoreRefused

# What is worked on at a time fits the processor's cache, from the rows to the bytes that are sent.
_AT_A_TIME = 50
_TIMES = frozenset({"received_at", "timestamp", "processed_at", "queued_at", "started_at"})
_DOCUMENTS = frozenset({"properties_text", "context_text", "metrics_text"})
_FRAGMENT = orjson.Fragment


class Rows:
    """Rows as the body of a request, each with the attempt behind its own columns. Made anew whenever it is sent.

    Iterating raises :class:`StoreRefused` for what is no JSON.
    """

    def __init__(self, columns: Sequence[str], attempt_id: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self._attempt_id = attempt_id
        self._rows = rows
        self._times = [place for place, name in enumerate(columns) if name in _TIMES]
        self._documents = [place for place, name in enumerate(columns) if name in _DOCUMENTS]
        self._raw = columns.index("raw_data") if "raw_data" in columns else None
        self._status = columns.index("processing_status") if self._raw is not None else 0
        self._patch = columns.index("patch") if self._raw is not None else 0

    def __iter__(self) -> Iterator[bytes]:
        for first in range(0, len(self._rows), _AT_A_TIME):
            yield _json([self._values(row) for row in self._rows[first : first + _AT_A_TIME]])

    def _values(self, row: tuple[Any, ...]) -> list[Any]:
        values = [*row, self._attempt_id]
        for place in self._times:
            # A DateTime64(9) reads nanoseconds only as digits in a string.
            values[place] = str(values[place])
        for place in self._documents:
            values[place] = _FRAGMENT(values[place])
        # What was patched may be good by that alone.
        if self._raw is not None and values[self._status] == "processed" and not values[self._patch]:
            values[self._raw] = _object(values[self._raw])
        return values


def _json(block: list[list[Any]]) -> bytes:
    try:
        return orjson.dumps(block)[1:-1] + b"\n"
    except TypeError as error:
        raise StoreRefused("The store cannot be sent it: it cannot be written as JSON.") from error


def _object(text: str) -> Any:
    """An event's own text. A String column takes a JSON object as its text, so a valid one needs no escaping.

    The space around an object would be lost. An event that failed is no object for certain.
    """
    return _FRAGMENT(text) if text[:1] == "{" and text[-1:] == "}" else text
