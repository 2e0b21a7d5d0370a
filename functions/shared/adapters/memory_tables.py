"""The event tables in memory: the fake for unit tests, held to the same contract as the real ones."""

from collections.abc import Callable, Collection, Sequence
from threading import Lock

from functions.enrich.tables import Claim, Place, Rival, StoredRow, Table, Touch
from functions.shared.errors import StoreRefused
from schemas.rows import LedgerRow, ProcessedRow, RawRow, rank_of


class MemoryTables:
    """Lists of rows, each beside the attempt that wrote it. ``refuses`` says which rows the store would never take."""

    def __init__(self, refuses: Callable[[RawRow | ProcessedRow | Claim | LedgerRow], bool] = lambda _: False) -> None:
        self.claims: list[tuple[str, Claim]] = []
        self.raw: list[tuple[str, RawRow]] = []
        self.processed: list[tuple[str, ProcessedRow]] = []
        self.touched: list[tuple[str, Touch]] = []
        self.ledger: list[tuple[str, LedgerRow]] = []
        self._refuses = refuses
        self._lock = Lock()

    def claim(self, attempt_id: str, claims: Sequence[Claim]) -> None:
        """See the port."""
        self._accept(claims)
        with self._lock:
            self.claims += [(attempt_id, claim) for claim in claims]

    def rivals(self, attempt_id: str, event_ids: Collection[str]) -> list[Rival]:
        """See the port."""
        wanted = set(event_ids)
        with self._lock:
            found = [(attempt, claim) for attempt, claim in self.claims if claim.event_id in wanted]
        return list({Rival(claim.event_id, by, claim.timestamp) for by, claim in found if by != attempt_id})

    def late_rivals(self, attempt_id: str, event_ids: Collection[str], _seconds: float) -> list[Rival]:
        """See the port: all of them are those and more."""
        return self.rivals(attempt_id, event_ids)

    def rows(self, places: Collection[Place]) -> list[StoredRow]:
        """See the port."""
        wanted = set(places)
        with self._lock:
            found = [_standing("processed_events", row, by, False) for by, row in self.processed]
            found += [_standing("raw_events", row, by, row.processing_status != "processed") for by, row in self.raw]
        return [row for row in found if Place(row.event_id, row.timestamp) in wanted]

    def insert_processed(self, attempt_id: str, rows: Sequence[ProcessedRow]) -> None:
        """See the port."""
        self._accept(rows)
        with self._lock:
            self.processed += [(attempt_id, row) for row in rows]

    def insert_raw(self, attempt_id: str, rows: Sequence[RawRow]) -> None:
        """See the port."""
        self._accept(rows)
        with self._lock:
            self.raw += [(attempt_id, row) for row in rows]

    def note(self, attempt_id: str, rows: Sequence[LedgerRow]) -> None:
        """See the port."""
        self._accept(rows)
        with self._lock:
            self.ledger += [(attempt_id, row) for row in rows]

    def remove(self, rows: Sequence[StoredRow]) -> None:
        """See the port."""
        doomed = {(row.table, row.event_id, row.attempt_id) for row in rows}
        with self._lock:
            self.processed = [
                (by, row) for by, row in self.processed if ("processed_events", row.event_id, by) not in doomed
            ]
            self.raw = [(by, row) for by, row in self.raw if ("raw_events", row.event_id, by) not in doomed]

    erase = remove

    def touch(self, attempt_id: str, touch: Touch) -> None:
        """See the port."""
        with self._lock:
            self.touched.append((attempt_id, touch))

    def await_idle(self, attempt_ids: Collection[str]) -> None:
        """See the port. Nothing is ever at work here when a call has returned."""

    def _accept(self, rows: Sequence[RawRow | ProcessedRow | Claim | LedgerRow]) -> None:
        if any(map(self._refuses, rows)):
            raise StoreRefused("told to")


def _standing(table: Table, row: RawRow | ProcessedRow, attempt_id: str, failed: bool) -> StoredRow:
    came = (row.batch_id, row.batch_index, row.key_id, row.generation)
    return StoredRow(table, row.event_id, attempt_id, row.timestamp, rank_of(row, failed), *came)
