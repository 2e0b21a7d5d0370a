"""What the time-series store may hold older than it is: somebody wrote there who had lost the turn meanwhile.

That store cannot refuse rows. So whoever finds behind a write that the turn is another's by now leaves a doubt: from
where on all that is told there is to be told once more. The next that has the turn does so.
"""

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from functions.measure.database import Database
from functions.measure.lease import LeaseLostMeanwhile

_log = logging.getLogger("weir.measure")


class Doubt(NamedTuple):
    """Something that was told after ``after`` may be older than it is: a version, a batch or a time, by its series."""

    doubt_id: str
    after: int


class Doubts:
    """Those of one series. ``unheld`` also runs statements of who has no turn."""

    def __init__(
        self,
        series: str,
        database: Database,
        unheld: Database,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._series, self._database, self._unheld, self._new_id = series, database, unheld, new_id

    def known(self) -> list[Doubt]:
        """All that nobody has settled."""
        return [Doubt(row[0], int(row[1])) for row in self._database.rows(_KNOWN, {"series": self._series})]

    def settle(self, doubts: Sequence[Doubt], left_after: int | None = None) -> None:
        """All after them was told once more; ``left_after``: only up to there."""
        if not doubts:
            return
        if left_after is not None:
            self._leave(self._database, self._series, left_after)
        self._database.run(_SETTLE, {"doubts": [doubt.doubt_id for doubt in doubts]})

    @contextmanager
    def of_writing(self, after: int) -> Iterator[None]:
        """Within it, what was told after ``after`` is written: a doubt is left where the turn is lost meanwhile."""
        try:
            yield
        except LeaseLostMeanwhile:
            _log.warning("another had the turn meanwhile: %s are told once more", self._series)
            self._leave(self._unheld, self._series, after)
            raise

    def pass_on(self, series: str, after: int) -> None:
        """Leave one of another series, which is made of this one."""
        self._leave(self._database, series, after)

    def _leave(self, database: Database, series: str, after: int) -> None:
        database.run(_LEAVE, {"doubt": self._new_id(), "series": series, "after": after})


def earliest(doubts: Sequence[Doubt], reached: int) -> int:
    """From where on is to be told, where all up to ``reached`` was."""
    return min([reached, *(doubt.after for doubt in doubts)])


_KNOWN = "SELECT toString(doubt_id), after FROM export_doubts WHERE series = {series:String}"
_LEAVE = "INSERT INTO export_doubts (doubt_id, series, after) SELECT {doubt:UUID}, {series:String}, {after:UInt64}"
_SETTLE = """DELETE FROM export_doubts WHERE doubt_id IN {doubts:Array(UUID)}
SETTINGS lightweight_delete_mode = 'lightweight_update', lightweight_deletes_sync = 2"""
