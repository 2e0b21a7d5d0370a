"""Rows of a CSV file as events: the header says which column is which field.

`event_type`, `event_name`, `platform`, `timestamp`, … are fields of the event; `properties.amount` or
`context.page.url` is a place within one. A column called `properties` or `context` holds a JSON object. An empty cell
is an absent field. A timestamp that is a number is sent as one, and so is every number in `properties` and `context`,
but for those parts of the context that are texts by their meaning (an ip, a campaign, …); `true` and `false` in
`properties` are booleans. Digits that are no JSON number (`007`) stay a text, and so does an integer beyond 64 bits.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from infra.cli.client import CommandError
from infra.cli.importing.identity import RAW_CHARACTERS, as_json, clipped, line_id

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?\Z")
_OBJECTS = ("properties", "context")
_TEXTS = frozenset({"ip", "user_agent", "locale", "timezone", "page", "campaign", "library"})
_LEAST, _MOST = -(2**63), 2**64 - 1
_NEEDED = ("event_type", "event_name", "platform")


class Header(NamedTuple):
    """Where each column goes."""

    paths: list[tuple[str, ...]]

    @classmethod
    def of(cls, names: Sequence[str]) -> Self:
        """Raises :class:`CommandError` for a header that cannot be one."""
        cleaned = [name.strip() for name in names]
        missing = [name for name in _NEEDED if name not in cleaned]
        if missing:
            raise CommandError(f"The first line must name the columns; there is no {' and no '.join(missing)}.")
        paths = [tuple(name.split(".")) for name in cleaned]
        for name, path in zip(cleaned, paths, strict=True):
            if "" in path:
                raise CommandError(f"A column is called {name!r}, which names no field.")
            if cleaned.count(name) > 1:
                raise CommandError(f"Two columns are called {name!r}.")
            inner = [other for other in paths if other != path and other[: len(path)] == path]
            if inner and name not in _OBJECTS:
                raise CommandError(f"The column {name!r} cannot stand beside {'.'.join(inner[0])!r}.")
        return cls(paths)

    def event(self, row: Sequence[str], sha256: str, number: int) -> bytes:
        """A row as the event to send; one that has too many cells as one that will be stored as failed."""
        own = line_id(sha256, number)
        if len(row) > len(self.paths):
            raw = {"raw": clipped(json.dumps(list(row), ensure_ascii=False), RAW_CHARACTERS)}
            return as_json({"event_id": own, "event_type": "csv_row", "platform": "csv", "properties": raw})
        found: dict[str, Any] = {}
        # The shortest first: an object that was given whole is there before single places of it are.
        for path, cell in sorted(zip(self.paths, row, strict=False), key=lambda pair: len(pair[0])):
            if cell.strip():
                _put(found, path, _value(path, cell))
        return as_json(found if found.get("event_id") else {**found, "event_id": own})


def _put(event: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    node = event
    for name in path[:-1]:
        inner = node.setdefault(name, {})
        if not isinstance(inner, dict):
            # The column of the whole held no object there; the single place is more exact.
            inner = node[name] = {}
        node = inner
    node[path[-1]] = value


def _value(path: tuple[str, ...], cell: str) -> Any:
    if path[0] not in _OBJECTS:
        return _number(cell.strip()) if path == ("timestamp",) else cell
    if len(path) == 1:
        return _object(cell)
    if path[0] == "properties" and cell.strip() in ("true", "false"):
        return cell.strip() == "true"
    return cell if path[0] == "context" and path[1] in _TEXTS else _number(cell)


def _object(cell: str) -> Any:
    """A whole object given as JSON; a text that is none is sent as it is, for Weir to refuse."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _number(cell: str) -> Any:
    text = cell.strip()
    if not _NUMBER.match(text):
        return cell
    if text.lstrip("-").isdigit():
        # The length first: Python refuses to read thousands of digits.
        whole = int(text) if len(text) <= len(str(_LEAST)) else _MOST + 1
        return whole if _LEAST <= whole <= _MOST else cell
    number = float(text)
    return number if math.isfinite(number) else cell
