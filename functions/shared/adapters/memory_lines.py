"""Reads lines of QuestDB's protocol, as the fake needs it."""

import re
from typing import Any

from functions.shared.domain.lines import is_line, split
from functions.shared.domain.series import SeriesTable

_FIELD = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(-?\d+)[in]|([tf])(?=[, ])|([^, "]+))[, ]', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def rows(table: SeriesTable, lines: bytes) -> list[list[Any]]:
    """The rows of lines. Raises ValueError for what is no line of the table."""
    return [_row(table, line) for line in split(lines)]


def _row(table: SeriesTable, line: bytes) -> list[Any]:
    name, _, rest = line.decode().partition(" ")
    values: dict[str, Any] = {}
    end = 0
    while (found := _FIELD.match(rest, end)) is not None:
        values[found[1]] = _value(*found.groups()[1:])
        end = found.end()
    if name != table.name or not is_line(line) or not values.keys() <= set(table.columns):
        raise ValueError("no line of the table")
    return [int(rest[end:]), *(values.get(column) for column in table.columns[1:])]


def _value(text: str | None, integer: str | None, flag: str | None, number: str | None) -> Any:
    if text is not None:
        return _ESCAPED.sub(r"\1", text)
    if integer is not None:
        return int(integer)
    return flag == "t" if flag is not None else float(number or "")
