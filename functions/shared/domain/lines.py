"""Rows of the time-series store as lines of its protocol: how SQL writes them, and how they are told apart.

The store that computes rows writes them as the other one reads them, so that none is taken apart on its way.
A line ends with its time and a newline; a newline inside of a text stands behind a backslash.
"""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from functions.shared.domain.series import SeriesTable

Kind = Literal["text", "plain", "integer", "number", "boolean", "time"]
_END = re.compile(rb"(?<!\\)\n")
_WHOLE = re.compile(rb"\w+ \w+=.* -?\d+\n", re.DOTALL)
_WRITTEN: Mapping[Kind, str] = {
    "plain": "'\"', {sql}, '\"'",
    "integer": "toString({sql}), 'i'",
    "number": "toString({sql})",
    "boolean": "if({sql}, 't', 'f')",
    "time": "toString({sql}), 'n'",
}


class Value(NamedTuple):
    """A column's value as SQL, which may be null. ``plain`` is a text in which nothing needs an escape."""

    sql: str
    kind: Kind = "text"


def line_sql(table: SeriesTable, values: Mapping[str, Value]) -> str:
    """The SQL of a row as a line without its newline. ``values`` has each column of the table, times in nanoseconds."""
    time, *names = table.columns
    fields = ", ".join(f"ifNull(concat(',{name}=', {_written(values[name])}), '')" for name in names)
    return f"concat('{table.name} ', substring(concat({fields}), 2), ' ', toString({values[time].sql}))"


def split(lines: bytes) -> list[bytes]:
    """The lines, each with its end."""
    ends = [found.end() for found in _END.finditer(lines)]
    return [lines[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def count(lines: bytes) -> int:
    """How many lines there are to their end."""
    return lines.count(b"\n") - lines.count(b"\\\n")


def last(lines: bytes | bytearray) -> int:
    """Where the last line begins, be it there to its end or not."""
    at = lines.rfind(b"\n", 0, max(0, len(lines) - 1))
    while at > 0 and lines[at - 1 : at] == b"\\":
        at = lines.rfind(b"\n", 0, at)
    return at + 1


def is_line(line: bytes) -> bool:
    """Whether it is one, to its end. What a store says when it fails midway is none."""
    return _WHOLE.fullmatch(line) is not None


def _written(value: Value) -> str:
    if value.kind != "text":
        return _WRITTEN[value.kind].format(sql=value.sql)
    text = f"toValidUTF8(toString({value.sql}))"
    for special in ("\\\\", '"', "\\n"):
        text = f"replaceAll({text}, '{special}', '\\\\{special}')"
    return f"'\"', {text}, '\"'"
