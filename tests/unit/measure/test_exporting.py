"""Sessions on their way to the series store, in pieces that end anywhere."""

from collections.abc import Generator, Iterable, Mapping
from typing import Any
from unittest.mock import ANY

import pytest

from functions.measure import exporting
from functions.measure.doubts import Doubt, Doubts
from functions.measure.exporting import SessionExporter, Version, Waiting
from functions.shared.adapters.memory_series import MemorySeries
from functions.shared.domain import lines
from functions.shared.errors import StoreUnavailable

ROW = 'sessions session_id="{id}",visitor="a\\\n{id}",event_count={count} {at}\n'


class Pieces:
    """A database that answers each export with the same pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces, self.reached, self.run_with = list(pieces), list[Any](), list[Mapping[str, Any]]()

    def text(self, sql: str, parameters: Mapping[str, Any]) -> Generator[bytes]:
        yield from self.pieces

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        yield from ()

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        self.run_with.append(parameters)
        if "version" in parameters:
            self.reached.append(parameters["version"])


def row(number: int, count: str = "3i") -> bytes:
    return ROW.format(id=number, count=count, at=1_000 + number).encode()


def export(database: Pieces, series: MemorySeries) -> tuple[int, int, bool]:
    exporter = SessionExporter(database, series, Doubts("sessions", database, database))
    return exporter.export(Waiting([Version(7, 0, 1)]), lambda: True)


@pytest.mark.parametrize("at_a_time", [1, 40, 10_000])
@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_pieces_may_end_anywhere(monkeypatch: pytest.MonkeyPatch, size: int, at_a_time: int) -> None:
    monkeypatch.setattr(exporting, "_BYTES_AT_A_TIME", at_a_time)
    text, series = b"".join(map(row, range(50))), MemorySeries()
    database = Pieces(text[at : at + size] for at in range(0, len(text), size))
    assert export(database, series) == (50, 0, True)
    found = series.query("SELECT session_id, visitor, started_at FROM sessions ORDER BY started_at")
    assert found == [(str(number), f"a\n{number}", 1_000 + number) for number in range(50)]
    assert database.reached == [7]


@pytest.mark.parametrize("at_a_time", [40, 10_000])
@pytest.mark.parametrize(
    "end", [b"Code: 241. DB::Exception: (MEMORY_LIMIT_EXCEEDED)\n", row(9)[:-1], row(9)[:20], b"\\\n"]
)
def test_what_breaks_off_is_not_taken_for_all(monkeypatch: pytest.MonkeyPatch, end: bytes, at_a_time: int) -> None:
    monkeypatch.setattr(exporting, "_BYTES_AT_A_TIME", at_a_time)
    database = Pieces([row(1) + row(2), end])
    with pytest.raises(StoreUnavailable, match="broke off"):
        export(database, MemorySeries())
    assert database.reached == []


def test_a_row_that_no_column_takes_holds_up_no_other() -> None:
    rows, series = [row(number) for number in range(9)], MemorySeries()
    rows[4] = row(4).replace(b"visitor", b"nosuch")
    database = Pieces(rows)
    assert export(database, series) == (8, 1, True)
    assert len(series.query("SELECT session_id FROM sessions")) == 8
    assert database.reached == [7]


def test_of_what_is_told_once_more_is_remembered_how_far_that_came() -> None:
    database = Pieces([row(1)])
    exporter = SessionExporter(database, MemorySeries(), Doubts("sessions", database, database))
    time = iter([True, False])
    waiting = Waiting([Version(7, 0, 1), Version(9, 0, 1)], [Doubt("d", 6)])
    assert exporter.export(waiting, lambda: next(time)) == (1, 0, False)
    assert [one for one in database.run_with if "doubt" in one or "doubts" in one] == [
        {"doubt": ANY, "series": "sessions", "after": 8},
        {"doubts": ["d"]},
    ]


def test_a_newline_inside_of_a_text_ends_no_line() -> None:
    text = row(1) + row(2)
    assert lines.split(text + b"rest") == [row(1), row(2)]
    assert lines.count(text + b'x="\\\n') == 2
    assert lines.last(text + b'x="\\\n') == len(text)
    assert lines.last(text) == len(row(1))
    assert [lines.last(one) for one in (b"", b"\n", b"\\\n", b"\n\n", b"\na")] == [0, 0, 0, 1, 1]
