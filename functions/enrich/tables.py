"""What recording needs of a store: claims, two tables of rows, and the ledger, as one narrow protocol.

Every method is one step: when it returns it has happened, is durable, and can be seen by everyone. A step may raise
:class:`~functions.shared.errors.StoreUnavailable`; then it has happened, or has not, or still will, until somebody has
called :meth:`EventTables.await_idle` for its attempt.
"""

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple, Protocol

from schemas.rows import LedgerRow, ProcessedRow, Rank, RawRow

Table = Literal["processed_events", "raw_events"]
TABLES: tuple[Table, ...] = ("processed_events", "raw_events")
Order = tuple[Rank, str, int, int]


class Claim(NamedTuple):
    """One delivery that an attempt is about to record: what it is, and at which timestamp its row will stand."""

    event_id: str
    failed: bool
    received_at: int
    digest: str
    timestamp: int
    batch_id: str
    batch_index: int
    key_id: str
    generation: int = 0


class Rival(NamedTuple):
    """That another attempt claimed the event, and the timestamp of its row, should there be one."""

    event_id: str
    attempt_id: str
    timestamp: int


class Place(NamedTuple):
    """Where a row of an event may stand."""

    event_id: str
    timestamp: int


class StoredRow(NamedTuple):
    """A row that is there: whose it is, where it stands, how it ranks, and by which place of which batch it came."""

    table: Table
    event_id: str
    attempt_id: str
    timestamp: int
    rank: Rank
    batch_id: str = ""
    batch_index: int = 0
    key_id: str = ""
    generation: int = 0

    @property
    def delivery(self) -> Order:
        """By which delivery it came, as these are ordered."""
        return (self.rank, self.batch_id, self.batch_index, -self.generation)

    @property
    def order(self) -> tuple[Order, str]:
        """The smallest counts. The rows of one delivery are told apart by their attempts, so that all agree on one."""
        return (self.delivery, self.attempt_id)


class Touch(NamedTuple):
    """Where the batches have to look after an attempt: at its rows, and at events that others recorded too.

    ``minutes`` are seconds since 1970, at full minutes; ``event_ids`` events with rivals; ``events`` how many it had.
    """

    minutes: list[int]
    event_ids: list[str]
    events: int


class EventTables(Protocol):
    """The claims, the tables and the ledger. Any method may raise :class:`~functions.shared.errors.StoreUnavailable`.

    Those that write rows also :class:`~functions.shared.errors.StoreRefused`, when the store will never take this
    block; then nothing of it was written.
    """

    def claim(self, attempt_id: str, claims: Sequence[Claim]) -> None:
        """Write claims, by which other attempts know of this one."""
        ...

    def rivals(self, attempt_id: str, event_ids: Collection[str]) -> list[Rival]:
        """Claims on these events by any other attempt, ever."""
        ...

    def late_rivals(self, attempt_id: str, event_ids: Collection[str], seconds: float, /) -> list[Rival]:
        """Of the rivals at least all that could not be seen yet ``seconds`` ago. Cheaper than to ask for all again."""
        ...

    def rows(self, places: Collection[Place]) -> list[StoredRow]:
        """The rows in these places in both tables; rows of the same events elsewhere may be among them."""
        ...

    def insert_processed(self, attempt_id: str, rows: Sequence[ProcessedRow]) -> None:
        """Insert processed rows."""
        ...

    def insert_raw(self, attempt_id: str, rows: Sequence[RawRow]) -> None:
        """Insert raw rows."""
        ...

    def note(self, attempt_id: str, rows: Sequence[LedgerRow]) -> None:
        """Write into the ledger what was witnessed."""
        ...

    def remove(self, rows: Sequence[StoredRow]) -> None:
        """Delete rows by event and attempt, each in its table."""
        ...

    def erase(self, rows: Sequence[StoredRow]) -> None:
        """Delete rows by event and attempt, each in its table, from the disk too."""
        ...

    def touch(self, attempt_id: str, touch: Touch) -> None:
        """Leave word for the batches."""
        ...

    def await_idle(self, attempt_ids: Collection[str]) -> None:
        """Return when no insert of these attempts is at work in the store any more, though its writer may be dead."""
        ...
