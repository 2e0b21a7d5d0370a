"""What is to do of each slot of a source: its blocks are computed from their rows, or what came is added to them."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any, Protocol

from functions.measure.metrics import compile as sql
from functions.measure.metrics import names
from functions.measure.metrics.plan import Plan
from functions.measure.metrics.sources import SOURCES, SourceName

# The batch is in the name too: what somebody between sends once more, later, is to meet no other merge's.
_SCRATCH = "metric_added_"
_LEFT = "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {scratch:String})"

Work = Callable[[], None]


class Database(Protocol):
    """Where statements run. All raise :class:`~functions.shared.errors.StoreUnavailable` when it is away."""

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Run a statement to its end."""
        ...

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Generator[list[Any]]:
        """The rows of a query, as they arrive."""
        ...


class Slots:
    """The slots of a plan, in a database. What it gives to do may be done by several threads at once.

    Parameters of all: after, batch, since, until, planned; of visits also compared and made (:mod:`.compile`).
    """

    def __init__(self, database: Database, plan: Plan) -> None:
        self._database, self._plan = database, plan
        self._naming = Lock()

    def run(self, statements: Iterable[str], given: Mapping[str, Any]) -> None:
        """Run statements, one after the other."""
        for statement in statements:
            self._database.run(statement, given)

    def of(self, source: SourceName, given: Mapping[str, Any]) -> list[Work]:
        """What is to do of a source whose touched blocks are always read."""
        slots = [slot for slot in self._plan.computed() if slot.source == source]
        return [partial(self.run, [sql.computed(slot)], given) for slot in slots]

    @contextmanager
    def of_rows(self, sources: Sequence[SourceName], adds: bool, given: Mapping[str, Any]) -> Iterator[list[Work]]:
        """What is to do of sources that the same changes concern, before the context ends.

        ``adds``: blocks in which rows only came are not read; these are added to them.
        """
        one = sources[0]
        if not self._some(sql.touched(one), given):
            yield []
            return
        added_to = f"{_SCRATCH}to_{one}_{given['batch']}" if adds else ""
        if added_to:
            self._database.run(sql.choose_added(one, added_to), given)
        read = self._some(sql.read_of(one, added_to), given)
        added = bool(added_to) and self._some(sql.chosen(added_to), given)
        if "raw" in sources:
            self._track_names(sql.read_of("raw", added_to) if read else "", added_to if added else "", given)
        slots = [(number, slot) for number, slot in enumerate(self._plan.computed()) if slot.source in sources]
        computed = {number: [sql.computed(slot, added_to)] if read else [] for number, slot in slots}
        put = {number: sql.added(slot, added_to, f"{_SCRATCH}{number}_{given['batch']}") for number, slot in slots}
        yield [partial(self.run, [*computed[number], *(put[number] if added else ())], given) for number, _ in slots]
        if added_to:
            self._database.run(f"DROP TABLE IF EXISTS {added_to}", {})

    def remove_left(self) -> None:
        """Remove what a merge that died left."""
        for (table,) in list(self._database.rows(_LEFT, {"scratch": _SCRATCH})):
            self._database.run(f"DROP TABLE IF EXISTS {table}", {})

    def _track_names(self, read: str, added_to: str, given: Mapping[str, Any]) -> None:
        """Before anything is counted by name. One at a time: there is room for so many."""
        rows = SOURCES["raw"]
        with self._naming:
            if read:
                self._database.run(names.track(read, rows.counts), given)
            if added_to:
                self._database.run(names.track(sql.chosen(added_to), rows.came), given)

    def _some(self, query: str, given: Mapping[str, Any]) -> bool:
        [[count]] = self._database.rows(f"SELECT count() FROM ({query})", given)  # noqa: S608
        return bool(count)
