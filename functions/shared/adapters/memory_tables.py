"""The event tables in memory: the fake for unit tests, held to the same contract as the real ones."""

from collections.abc import Callable, Sequence
from threading import Lock

from functions.enrich.recording import Key, Standing
from functions.shared.errors import StoreRefused
from schemas.rows import Delivery, ProcessedRow, RawRow


class MemoryTables:
    """Lists of rows. ``refuses`` says which rows the store would never take."""

    def __init__(self, refuses: Callable[[RawRow | ProcessedRow], bool] = lambda _: False) -> None:
        self.claims: list[tuple[str, str]] = []
        self.raw: list[tuple[str, RawRow]] = []
        self.processed: list[tuple[str, ProcessedRow]] = []
        self._refuses = refuses
        self._lock = Lock()

    def claim(self, attempt_id: str, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        self.claims += [(one.raw.event_id, attempt_id) for one in deliveries]

    def contested(self, attempt_id: str, event_ids: Sequence[str]) -> set[str]:
        """See the port."""
        wanted = set(event_ids)
        return {event_id for event_id, attempt in self.claims if event_id in wanted and attempt != attempt_id}

    def standing_raw(self, event_ids: Sequence[str]) -> list[Standing]:
        """See the port."""
        return [
            Standing(row.event_id, (row.processing_status == "failed", row.received_at, row.digest), attempt)
            for attempt, row in self.raw
            if row.event_id in set(event_ids)
        ]

    def standing_processed(self, event_ids: Sequence[str]) -> list[Standing]:
        """See the port."""
        return [
            Standing(row.event_id, (False, row.received_at, row.digest), attempt)
            for attempt, row in self.processed
            if row.event_id in set(event_ids)
        ]

    def insert_raw(self, attempt_id: str, rows: Sequence[RawRow]) -> None:
        """See the port."""
        if any(map(self._refuses, rows)):
            raise StoreRefused("told to")
        with self._lock:
            self.raw += [(attempt_id, row) for row in rows]

    def insert_processed(self, attempt_id: str, rows: Sequence[ProcessedRow]) -> None:
        """See the port."""
        if any(map(self._refuses, rows)):
            raise StoreRefused("told to")
        with self._lock:
            self.processed += [(attempt_id, row) for row in rows]

    def delete_raw(self, keys: Sequence[Key]) -> None:
        """See the port."""
        with self._lock:
            self.raw = [(attempt, row) for attempt, row in self.raw if (row.event_id, attempt) not in set(keys)]

    def delete_processed(self, keys: Sequence[Key]) -> None:
        """See the port."""
        with self._lock:
            self.processed = [
                (attempt, row) for attempt, row in self.processed if (row.event_id, attempt) not in set(keys)
            ]
