"""What operators say of visitors: that two of them are one; and that this was a mistake after all.

The next batch applies it: sessions and metrics follow. An undone merge leaves everything as if it had never been.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from functions.measure.database import Database
from functions.shared.errors import BadRequest, NotFound

_KINDS = ("u:", "a:", "s:", "f:")
_LONGEST = 300


class Merge(NamedTuple):
    """That two visitors are one. ``merged_at`` is RFC 3339."""

    merge_id: str
    visitor: str
    other: str
    merged_at: str
    undone: bool


class Identities:
    """The merges of a store. ``new_id`` makes a UUID; ``clock`` is nanoseconds."""

    def __init__(self, database: Database, new_id: Callable[[], str], clock: Callable[[], int]) -> None:
        self._database, self._new_id, self._clock = database, new_id, clock

    def merge(self, visitor: str, other: str) -> Merge:
        """Say that two are one. Raises :class:`BadRequest` for what is no visitor, or twice the same."""
        for name in (visitor, other):
            if not name.startswith(_KINDS) or not len("u:") < len(name) <= _LONGEST:
                raise BadRequest("bad_visitor", f"{name[:60]!r} is no visitor: it begins with u:, a:, s: or f:.")
        if visitor == other:
            raise BadRequest("same_visitor", "A visitor is one with itself already.")
        merge_id = self._new_id()
        given = {"id": merge_id, "visitor": visitor, "other": other, "version": self._clock()}
        self._database.run(_MERGE, given)
        return self.get(merge_id)

    def undo(self, merge_id: str) -> Merge:
        """Take it back. Raises :class:`NotFound` when there is no such merge; one undone already stays so."""
        if not self.get(merge_id).undone:
            self._database.run(_UNDO, {"id": merge_id, "clock": self._clock()})
        return self.get(merge_id)

    def get(self, merge_id: str) -> Merge:
        """One merge. Raises :class:`NotFound`."""
        for row in self._database.rows(f"{_READ} WHERE toString(merge_id) = {{id:String}}", {"id": merge_id.lower()}):
            return _merge(row)
        raise NotFound("no_such_merge", "There is no such merge.")

    def list(self) -> list[Merge]:
        """All, the oldest first, also those undone."""
        return [_merge(row) for row in self._database.rows(f"{_READ} ORDER BY merged_at, merge_id", {})]


def _merge(row: Sequence[Any]) -> Merge:
    return Merge(str(row[0]), str(row[1]), str(row[2]), str(row[3]), bool(row[4]))


_READ = """SELECT toString(merge_id), visitor, other, formatDateTime(merged_at, '%FT%TZ'), undone
FROM visitor_merges FINAL"""
_MERGE = """INSERT INTO visitor_merges (merge_id, visitor, other, merged_at, version)
SELECT {id:UUID}, {visitor:String}, {other:String}, now64(3), {version:UInt64}"""
_UNDO = """INSERT INTO visitor_merges (merge_id, visitor, other, merged_at, undone, version)
SELECT merge_id, visitor, other, merged_at, true, greatest(version + 1, {clock:UInt64})
FROM visitor_merges FINAL WHERE merge_id = {id:UUID}"""
