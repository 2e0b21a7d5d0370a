"""Writers that record blocks side by side, a step at a time, in an order and with accidents that are given."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Literal

from functions.enrich.recording import Recorder
from functions.enrich.tables import Place, StoredRow
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.errors import StoreUnavailable
from functions.shared.ports import WriteReport
from schemas.rows import Delivery, LedgerRow

Fate = Literal["runs", "dies before", "dies after", "dies half way", "dies at work"]
FATES: tuple[Fate, ...] = ("runs", "dies before", "dies after", "dies half way", "dies at work")
_WRITES = ("claim", "insert_processed", "insert_raw", "note", "remove", "touch")
_INSERTS = ("insert_processed", "insert_raw")


class World:
    """One store, its writers, and the statements whose writers are dead but which the store still executes."""

    def __init__(
        self,
        blocks: Sequence[Sequence[Delivery]],
        new_attempt: Callable[[], str],
        parts: Sequence[Sequence[LedgerRow]] = (),
    ) -> None:
        """``parts`` are each block's messages for the ledger."""
        self.tables = MemoryTables()
        self.at_work: list[tuple[str, str, Callable[[], None]]] = []
        told = parts or [()] * len(blocks)
        self.writers = [_Writer(self, *each, new_attempt) for each in zip(blocks, told, strict=True)]

    def run(self, choices: Iterator[int], fates: Iterator[Fate]) -> list[WriteReport]:
        """Let the writers take steps until each has recorded its block, dead ones coming again; their reports."""
        while alive := [writer for writer in self.writers if not writer.done]:
            choice = next(choices, 0)
            alive[choice % len(alive)].step(next(fates, "runs"))
            if self.at_work and next(choices, 0) % 12 == 0:
                self.at_work.pop(choice % len(self.at_work))[2]()
        for writer in self.writers:
            writer.join()
        return [writer.report for writer in self.writers]

    def finish(self, attempt_ids: Collection[str]) -> None:
        """Let the store end the statements of these attempts."""
        ending = [one for one in self.at_work if one[0] in attempt_ids]
        self.at_work = [one for one in self.at_work if one[0] not in attempt_ids]
        for _, _, act in ending:
            act()

    def rows_at_work(self) -> list[str]:
        """Inserts of rows that nobody has waited for."""
        return [name for _, name, _ in self.at_work if name in _INSERTS]


class _Writer(threading.Thread):
    """Records one block, again and again until it is acknowledged. Only ever one writer runs."""

    def __init__(
        self, world: World, block: Sequence[Delivery], parts: Sequence[LedgerRow], new_attempt: Callable[[], str]
    ) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._block = block
        self._parts = parts
        self._new_attempt = new_attempt
        self._turn = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._fate: Fate = "runs"
        self.done = False
        self.report = WriteReport(0, 0, 0)
        self.error: BaseException | None = None
        self.start()
        self._back.acquire()

    def step(self, fate: Fate) -> None:
        """Let it take its next step and come to the one after."""
        self._fate = fate
        self._turn.release()
        self._back.acquire()
        if self.error is not None:
            raise self.error

    def run(self) -> None:
        try:
            while not self.done:
                try:
                    self.report = Recorder(_Steps(self), self._attempt).record(self._block, self._parts)
                    self.done = True
                except StoreUnavailable:
                    continue
        except BaseException as error:
            self.error, self.done = error, True
        self._back.release()

    def _attempt(self) -> str:
        self.attempt_id = self._new_attempt()
        return self.attempt_id

    def act(self, name: str, given: tuple[Any, ...]) -> Any:
        """One step: wait for the turn, then meet the fate."""
        self._back.release()
        self._turn.acquire()
        method = getattr(self._world.tables, name)
        fate = self._fate if name in _WRITES or self._fate in ("runs", "dies before") else "runs"
        if fate == "runs":
            return method(*given)
        if fate == "dies after":
            method(*given)
        elif fate == "dies half way" and name != "touch":
            *first, rows = given
            method(*first, rows[: (len(rows) + 1) // 2])
        elif fate == "dies at work":
            self._world.at_work.append((self.attempt_id, name, lambda: method(*given)))
        raise StoreUnavailable(fate)

    def wait(self, attempt_ids: Collection[str]) -> None:
        self.act("await_idle", (attempt_ids,))
        self._world.finish(attempt_ids)


class _Steps:
    """The port as a writer sees it; a look at the rows is two steps, for the tables are not read at one moment."""

    def __init__(self, writer: _Writer) -> None:
        self._writer = writer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *given: self._writer.act(name, given)

    def rows(self, places: Collection[Place]) -> list[StoredRow]:
        found = [row for row in self._writer.act("rows", (places,)) if row.table == "processed_events"]
        found += [row for row in self._writer.act("rows", (places,)) if row.table == "raw_events"]
        # In no order that another writer would see too.
        return sorted(found, key=lambda row: hash((row, self._writer.attempt_id)))

    def await_idle(self, attempt_ids: Collection[str]) -> None:
        self._writer.wait(attempt_ids)
