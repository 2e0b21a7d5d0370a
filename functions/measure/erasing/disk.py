"""Rows that are gone from the disk, and not only from the answers."""

import time
from collections.abc import Callable, Collection, Iterable

from functions.measure.database import Database, one
from functions.shared.errors import StoreUnavailable

_WAIT = "SETTINGS mutations_sync = 2"
# Each replica of a cluster asks the query in a condition by itself, which the store refuses unless it is told that they
# come to the same. They do: what is asked for was written down before and does not change meanwhile. Should a replica
# not have it yet, the eraser's last look finds what is left, and begins again.
_DECIDED = f"{_WAIT}, allow_nondeterministic_mutations = 1"
_PAUSE_SECONDS = 0.5
# The tables are set to remove such parts within half a minute; on a store that is set otherwise it may take some.
_LONGEST_SECONDS = 600.0


class Disk:
    """Deletes rows by rewriting the parts they are in. ``sleep`` takes seconds."""

    def __init__(
        self,
        database: Database,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._sleep, self._now = database, sleep, now

    def delete(self, table: str, where: str, erasure_id: str, months: Iterable[str] | None = None) -> None:
        """Delete rows, in some partitions one after the other, or in all. Also what a light delete only hides there."""
        for place in [""] if months is None else [f"IN PARTITION ID '{int(month)}'" for month in months]:
            self._database.run(f"ALTER TABLE {table} DELETE {place} WHERE {where} {_DECIDED}", {"id": erasure_id})
            # A mutation writes what light deletes hide into the parts of all partitions, as a mask over the rows.
            if one(self._database, _HIDDEN, {"table": table})[0]:
                self._database.run(f"ALTER TABLE {table} APPLY PATCHES {place} {_WAIT}", {})
                self._database.run(f"ALTER TABLE {table} APPLY DELETED MASK {place} {_WAIT}", {})

    def forget_versions(self, table: str, months: Iterable[str]) -> None:
        """Leave of each row only its newest version, in some partitions."""
        for month in months:
            self._database.run(f"OPTIMIZE TABLE {table} PARTITION ID '{int(month)}' FINAL", {})

    def await_removed(self, tables: Collection[str]) -> None:
        """Return once no part is left that was replaced before. Raises :class:`StoreUnavailable` if one stays."""
        given = {"tables": list(tables)}
        doomed = {tuple(row) for row in self._database.rows(_REPLACED, given)}
        until = self._now() + _LONGEST_SECONDS
        while doomed & {tuple(row) for row in self._database.rows(_REPLACED, given)}:
            if self._now() > until:
                raise StoreUnavailable("Parts that were replaced are still on the disk; the next run waits on.")
            self._sleep(_PAUSE_SECONDS)


_HIDDEN = """SELECT count() FROM system.parts
WHERE database = currentDatabase() AND table = {table:String} AND active AND has_lightweight_delete"""
_REPLACED = """SELECT table, name FROM system.parts
WHERE database = currentDatabase() AND NOT active AND table IN {tables:Array(String)}"""
