"""The rows of a CSV file with a series in it."""

import csv
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import NamedTuple, TextIO

from infra.cli.client import CommandError

_SECOND = 1_000_000_000
# From here up a number is in the next smaller unit; 1e11 seconds are the year 5138.
_UNITS = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000))
# The year 2262 in nanoseconds: what 64 bits hold.
_LATEST = 2**63 - 1
_NOTHING = frozenset({"", "nan", "null", "none", "na", "n/a", "-"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """One row: its time in nanoseconds, its value (None: there is none), and both as they were written."""

    ts: int
    value: float | None
    timestamp_text: str
    value_text: str
    line: int


@dataclass
class Counts:
    """What was unusual about the input."""

    read: int = 0
    without_value: int = 0
    repeated: int = 0
    out_of_order: int = 0

    def _asdict(self) -> dict[str, int]:
        return asdict(self)

    def sentence(self) -> str:
        """In words; empty when there is nothing to tell."""
        parts = []
        if self.without_value:
            parts.append(f"{self.without_value} without a value (no score)")
        if self.repeated:
            parts.append(f"{self.repeated} with a timestamp seen before (judged, not learnt from)")
        if self.out_of_order:
            parts.append(f"{self.out_of_order} out of order (judged at their place in time)")
        return f"{self.read} rows: {', '.join(parts)}." if parts else ""


def read(text: TextIO, name: str) -> Iterator[Row]:
    """The rows of a CSV, one by one. Raises :class:`CommandError`, naming the line, for what cannot be read."""
    reader = csv.reader(text)
    at = 1
    try:
        header = [title.strip().lstrip("\ufeff").lower() for title in next(reader, [])]
        if not header:
            raise CommandError(f"{name}: is empty; its first line must name the columns timestamp and value.")
        missing = [title for title in ("timestamp", "value") if title not in header]
        if missing:
            raise CommandError(
                f"{name}: has no column {' and '.join(missing)}; its first line must name timestamp and value,"
                f" and it is: {','.join(header)[:100]}"
            )
        time_at, value_at = header.index("timestamp"), header.index("value")
        for cells in reader:
            at = reader.line_num
            if any(cell.strip() for cell in cells):
                yield _row(cells, time_at, value_at, at)
    except (ValueError, csv.Error) as error:
        raise CommandError(f"{name}, line {max(at, reader.line_num)}: {error}") from error


def _row(cells: list[str], time_at: int, value_at: int, line: int) -> Row:
    if len(cells) <= max(time_at, value_at):
        raise ValueError(f"has {len(cells)} columns, too few for timestamp and value.")
    timestamp, value = cells[time_at], cells[value_at]
    return Row(timestamp_of(timestamp), value_of(value), timestamp, value, line)


def value_of(text: str) -> float | None:
    """A value as a number, None for nothing. Raises ValueError."""
    if text.strip().lower() in _NOTHING:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number.") from None
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is no finite number.")
    return value


def timestamp_of(text: str) -> int:
    """A timestamp in nanoseconds since 1970. Raises ValueError."""
    given = text.strip()
    try:
        return _of_number(given)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(given)
        since = (found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no timestamp; one looks like 2026-01-31T09:30:00Z, 2026-01-31 09:30:00 or 1769851800."
        ) from None
    return _bounded((since.days * 86_400 + since.seconds) * _SECOND + since.microseconds * 1_000, text)


def _of_number(given: str) -> int:
    if given.lstrip("+-").isdigit():
        whole = int(given)
        return _bounded(whole * _unit(whole), given)
    number = float(given)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return _bounded(round(number * _unit(number)), given)


def _unit(number: float) -> int:
    return next((unit for least, unit in _UNITS if abs(number) >= least), _SECOND)


def _bounded(ts: int, text: str) -> int:
    if abs(ts) > _LATEST:
        raise ValueError(f"{text!r} is out of range.")
    return ts
