"""What the services need from the outside, as small protocols. Adapters implement them; wiring chooses."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

from functions.shared.domain.series import SeriesTable
from schemas.rows import Delivery


class Message(NamedTuple):
    """What is queued: UTF-8 text, and an id by which the broker may recognise a resend."""

    id: str
    body: bytes


class Published(NamedTuple):
    """What became of one message. ``error`` is empty when the broker holds it durably."""

    duplicate: bool
    error: str


class Received(NamedTuple):
    """A message taken from the queue and not yet settled. ``handle`` is the broker's own and opaque."""

    body: bytes
    attempt: int
    queued_at: int
    handle: Any


class Depth(NamedTuple):
    """How much waits in a queue: ready messages, messages in hand, dead letters."""

    ready: int
    in_flight: int
    dead: int


class Queue(Protocol):
    """A durable queue with at-least-once delivery and dead letters after a number of tries."""

    @property
    def max_message_bytes(self) -> int:
        """The largest body one message may have."""
        ...

    def publish(self, messages: Sequence[Message]) -> list[Published]:
        """Queue all, in order, and return only after the broker answered for each or the deadline passed.

        Raises :class:`~functions.shared.errors.QueueUnavailable` when none was acknowledged.
        """
        ...

    def receive(self, limit: int, wait_seconds: float) -> list[Received]:
        """Take up to ``limit`` messages, waiting up to ``wait_seconds`` for the first."""
        ...

    def ack(self, received: Received) -> None:
        """Settle a message for good."""
        ...

    def retry(self, received: Received, after_seconds: float, cause: str) -> bool:
        """Give a message back for later. After the last try it is dead-lettered with ``cause``; True then."""
        ...

    def depth(self) -> Depth:
        """How much waits."""
        ...


class WriteReport(NamedTuple):
    """What a write did, in events: 1 in is exactly 1 of these."""

    stored: int
    failed: int
    duplicates: int


class EventStore(Protocol):
    """Where enriched events are recorded, so that of all deliveries of an event exactly one counts."""

    def record(self, deliveries: Sequence[Delivery]) -> WriteReport:
        """Write processed rows, then raw rows; idempotent, and safe beside other writers of the same events.

        Raises :class:`~functions.shared.errors.StoreUnavailable`; then nothing may be acknowledged.
        """
        ...


class Instant(int):
    """Nanoseconds since 1970, given to a query as a time and not as a number."""


class SeriesStore(Protocol):
    """Where sessions, metrics and anomalies are kept by time: a row replaces the row of the same key.

    All raise :class:`~functions.shared.errors.StoreUnavailable` when the store is away; the next call tries anew.
    """

    def write(self, table: SeriesTable, rows: Sequence[Sequence[Any]]) -> None:
        """Keep the rows, each in the order of the table's columns; when it returns, they outlive a crash of the store.

        Idempotent: after an error, write the same again. Raises :class:`~functions.shared.errors.StoreRefused`
        for a value that no column takes. Readers see the rows a moment later: :meth:`await_visible`.
        """
        ...

    def await_visible(self, *tables: SeriesTable) -> None:
        """Return once queries see all that was written before the call."""
        ...

    def query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query, each ``%s`` bound to a value: text, numbers, booleans, None or :class:`Instant`.

        Times come back as nanoseconds, whole microseconds of them; ``sessions.started_at::long`` gives the last digits.
        Raises :class:`~functions.shared.errors.StoreRefused` for a statement that is wrong.
        """
        ...

    def ping(self) -> None:
        """Return if the store answers queries."""
        ...


Status = Literal["ok", "unavailable"]


class Probe(NamedTuple):
    """Whether an engine answers, and why not."""

    name: str
    status: Status
    detail: str
