"""A user of the series store that is halted in the midst of a request, and goes on when its turn is another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from functions.measure.lease import LeaseLostMeanwhile
from functions.shared.domain.series import SeriesTable
from functions.shared.ports import SeriesStore


class Halted:
    """The series store of somebody who is halted in the first write, until ``meanwhile`` is done by another."""

    def __init__(self, series: SeriesStore, meanwhile: Callable[[], None]) -> None:
        self._series, self._meanwhile = series, meanwhile

    def write(self, table: SeriesTable, rows: Sequence[Sequence[Any]]) -> None:
        self._meanwhile()
        self._series.write(table, rows)
        raise LeaseLostMeanwhile("Another one runs the batches now.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._series, name)
